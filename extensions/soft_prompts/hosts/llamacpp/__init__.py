"""Soft prompts on llama.cpp: sidecar files that a GGUF model is started with; numpy and `gguf`, no torch."""
