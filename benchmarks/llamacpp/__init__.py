"""The sections of `python benchmarks/llamacpp.py`."""
