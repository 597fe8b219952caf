"""`small("qwen3")`: a random model of any architecture of Transformers, so small that it is asked in a second."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

NAMES: dict[str, str] = dict(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
KINDS = sorted(NAMES)

SMALL: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "dim", "embedding_size", "emb_dim"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "encoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("decoder_attention_heads", "encoder_attention_heads"), 4),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "ffn_hidden_size", "d_ff"), 64),
    **dict.fromkeys(("decoder_ffn_dim", "encoder_ffn_dim"), 64),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 32),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx"), 256),
    **{"num_key_value_heads": 2, "head_dim": 8},
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_topk", "moe_top_k"), 2),
    **dict.fromkeys(("n_group", "topk_group", "n_groups", "mamba_n_groups"), 1),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank"), 16),
    **dict.fromkeys(("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"), 8),
    **dict.fromkeys(("mamba_d_state", "state_size", "ssm_state_size"), 8),
    **{"mamba_d_ssm": 64, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_num_heads": 4, "mamba_head_dim": 16},
    **{"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 8},
    **{"vocab_size": 400, "pad_token_id": 3, "bos_token_id": 1, "eos_token_id": 2},
}
"""Where a configuration has a size of this name, it gets this one."""

EVERY_HEAD = {"num_key_value_heads": 4}
HYBRID = {"layer_types": ["linear_attention", "full_attention"]}
INDEXED = {
    **{"indexer_n_heads": 4, "indexer_kv_heads": 1, "indexer_head_dim": 8},
    **{"indexer_budget": 64, "indexer_compress_ratio": 4},
}
GEMMA_4 = {
    **{"head_dim": 8, "global_head_dim": 16, "num_global_key_value_heads": 2},
    **{"vocab_size_per_layer_input": 400, "hidden_size_per_layer_input": 8},
    "layer_types": ["sliding_attention", "full_attention"],
}
BYTES = {
    **{"vocab_size": 400, "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 1, "intermediate_size": 64},
}

SPECIAL: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("axk1", "axk2", "deepseek_v2", "deepseek_v3", "deepseek_v32", "dots3_note_text"), EVERY_HEAD),
    **dict.fromkeys(("glm4_moe_lite", "glm_moe_dsa", "longcat_flash", "minicpm3", "youtu"), EVERY_HEAD),
    **dict.fromkeys(("qwen3_5", "qwen3_5_text", "qwen3_next"), HYBRID),
    **dict.fromkeys(("qwen3_5_moe", "qwen3_5_moe_text"), HYBRID),
    **{key: {**HYBRID, **EVERY_HEAD, "num_experts_per_token": 2} for key in ("bailing_hybrid", "kimi_linear")},
    **dict.fromkeys(("gemma4", "gemma4_text", "gemma4_unified", "gemma4_unified_text"), GEMMA_4),
    **{key: {**HYBRID, **INDEXED} for key in ("qwen4_exp", "qwen4_exp_text")},
    **{key: {"layer_types": ["conv", "full_attention"]} for key in ("lfm2_moe", "lfm3")},
    **{key: {"rotary_dim": 8} for key in ("codegen", "gptj")},
    "bamba": {"attn_layer_indices": [1]},
    "blt": {
        **dict.fromkeys(("patcher_config", "encoder_config", "decoder_config", "global_config"), BYTES),
        **{"encoder_hash_byte_group_vocab": 500, "cross_attn_k": 1},
    },
    "cohere_compass_text": {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e4}}},
    "dbrx": {
        "attn_config": {"clip_qkv": 8.0, "kv_n_heads": 2, "rope_theta": 1e4},
        "ffn_config": {"hidden_size": 32, "ffn_hidden_size": 32},
    },
    "dots1": {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1},
    "falcon": {"alibi": False, "head_dim": None},
    "gemma3n_text": {
        **{"num_hidden_layers": 4, "num_kv_shared_layers": 2, "altup_num_inputs": 2, "laurel_rank": 8},
        **{"vocab_size_per_layer_input": 400, "hidden_size_per_layer_input": 8},
        **{"activation_sparsity_pattern": [0.0] * 4, "layer_types": ["sliding_attention", "full_attention"] * 2},
    },
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "prophetnet": {"num_hidden_layers": None},
    "recurrent_gemma": {"num_hidden_layers": 3},
    "reformer": {"is_decoder": True, "axial_pos_embds": False},
    "xlnet": {"max_position_embeddings": None},
    "xlstm": {"v_head_dim": None},
    "xmod": {"default_language": "en_XX"},
    "zamba": {
        "use_mamba_kernels": False,
        "num_hidden_layers": 4,
        "layers_block_type": ["linear_attention", "hybrid"] * 2,
    },
    "zamba2": {"layers_block_type": ["linear_attention", "hybrid"]},
    "zaya": {"num_experts_per_tok": 1},
}
"""What an architecture needs besides or instead; None leaves its own default, and an unknown name does no harm."""


def small(kind: str) -> Any:
    """A model with nothing in it that is zero, so that no part of it is left out of a comparison."""
    torch.manual_seed(0)
    config, made = _config(kind), getattr(transformers, NAMES[kind])
    if made.config_class is (getattr(config, "sub_configs", None) or {}).get("text_config"):
        config = config.get_text_config()  # as from_pretrained does
    model = made(config).eval()
    # What a checkpoint's settings ask for (bans, penalties, lengths) is not what is compared.
    model.generation_config = transformers.GenerationConfig()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(3)  # default initialisations are so small that random models always say the same
            if not weight.any():
                weight.normal_(std=0.3)
        for name, buffer in model.named_buffers():
            if name.endswith("tid2eid"):
                buffer.random_(0, 4)  # which experts a token is sent to: all to the first, before a checkpoint is read
    return model


def _config(kind: str) -> Any:
    made = CONFIG_MAPPING[kind]
    default = made()
    if "text_config" in (getattr(made, "sub_configs", None) or {}):
        return made(text_config=_sizes(default.text_config, kind))
    return made(**_sizes(default, kind))


def _sizes(config: Any, kind: str) -> dict[str, Any]:
    aliases = getattr(config, "attribute_map", {})
    sizes = {key: value for key, value in SMALL.items() if key not in aliases and _has(config, key)}
    return {key: value for key, value in {**sizes, **SPECIAL.get(kind, {})}.items() if value is not None}


def _has(config: Any, key: str) -> bool:
    try:
        return not isinstance(getattr(config, key), (list, tuple))
    except AttributeError:
        return False
    except Exception:  # a size that differs from layer to layer, which Transformers refuses to name
        return True
