"""Stands in for the webui's `modules.presets`: every sampling parameter, and where it does nothing."""

from __future__ import annotations

from typing import Any

_PRIORITY = """
repetition_penalty presence_penalty frequency_penalty dry top_n_sigma temperature dynamic_temperature quadratic_sampling
top_k top_p typical_p epsilon_cutoff eta_cutoff tfs top_a min_p adaptive_p mirostat xtc encoder_repetition_penalty
no_repeat_ngram
"""
default_preset_values: dict[str, Any] = {
    **dict.fromkeys(("temperature", "dynatemp_low", "dynatemp_high", "dynatemp_exponent", "smoothing_curve"), 1),
    **dict.fromkeys(("top_p", "typical_p", "tfs", "guidance_scale"), 1),
    **dict.fromkeys(("repetition_penalty", "encoder_repetition_penalty"), 1),
    **dict.fromkeys(("smoothing_factor", "top_k", "min_p", "top_n_sigma", "top_a", "xtc_probability"), 0),
    **dict.fromkeys(("epsilon_cutoff", "eta_cutoff", "adaptive_target", "penalty_alpha", "mirostat_mode"), 0),
    **dict.fromkeys(("dry_multiplier", "frequency_penalty", "presence_penalty", "no_repeat_ngram_size"), 0),
    **{"xtc_threshold": 0.1, "adaptive_decay": 0.9, "mirostat_tau": 5, "mirostat_eta": 0.1},
    **{"dry_allowed_length": 2, "dry_base": 1.75, "repetition_penalty_range": 1024},
    **{"do_sample": True, "dynamic_temperature": False, "temperature_last": False},
    "sampler_priority": "\n".join(_PRIORITY.split()),
    "dry_sequence_breakers": r'"\n", ":", "\"", "*"',
}
