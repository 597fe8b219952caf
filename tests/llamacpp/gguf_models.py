"""`write_gguf(path, model, tokenizer)`: a small model of Transformers as the GGUF that llama.cpp reads.

Written with the gguf package, as its own converter does it, for the shapes that the tests need.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np

ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
    "gemma2": gguf.MODEL_ARCH.GEMMA2,
    "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
    "gpt2": gguf.MODEL_ARCH.GPT2,
}
TYPES = {
    "F32": gguf.GGMLQuantizationType.F32,
    "F16": gguf.GGMLQuantizationType.F16,
    "Q8_0": gguf.GGMLQuantizationType.Q8_0,
    "Q4_0": gguf.GGMLQuantizationType.Q4_0,
}
NORMAL, UNKNOWN, CONTROL, UNUSED, BYTE = 1, 2, 3, 5, 6


def write_gguf(
    path: Path,
    model: Any,
    tokenizer: Any,
    kind: str = "F32",
    unused: int = 0,
    reserved: int = 0,
    untie: bool = False,
    **values: Any,
) -> Path:
    """unused, reserved: rows at the vocabulary's end (the model must have them) that are marked as such, or called as
    Llama 3 calls them; untie: write the output table as well; values: keys of the file to overwrite."""
    config = model.config.get_text_config()
    architecture = ARCHITECTURES[config.model_type]
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[architecture])
    writer.add_name("tiny " + config.model_type)
    _shape(writer, config)
    _vocabulary(writer, tokenizer, config.vocab_size, unused, reserved)
    for key, value in values.items():
        writer.add_key_value(key, value, gguf.GGUFValueType.STRING)
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    weights = {name: each.detach().float().numpy() for name, each in model.state_dict().items()}
    if config.tie_word_embeddings and not untie:
        weights.pop("lm_head.weight", None)
    for name, weight in weights.items():
        if name.endswith(("inv_freq", "embed_scale")):
            continue
        found = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert found, name
        _add(writer, found, _changed(config, name, weight), kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer: Any, name: str, weight: Any, kind: str) -> None:
    quantised = TYPES[kind] if weight.ndim > 1 and weight.shape[-1] % 32 == 0 else TYPES["F32"]
    writer.add_tensor(
        name, gguf.quants.quantize(np.ascontiguousarray(weight, np.float32), quantised), raw_dtype=quantised
    )


def _changed(config: Any, name: str, weight: Any) -> Any:
    if config.model_type == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
        heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
        parts = weight.reshape(heads, 2, weight.shape[0] // heads // 2, weight.shape[1])
        return parts.swapaxes(1, 2).reshape(weight.shape)
    if config.model_type.startswith("gemma") and name.endswith("norm.weight"):
        return weight + 1
    if config.model_type == "gpt2" and name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
        return weight.T
    return weight


def _shape(writer: Any, config: Any) -> None:
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    if config.model_type == "gpt2":
        writer.add_feed_forward_length(4 * config.hidden_size)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
        return
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_key_length(head)
    writer.add_value_length(head)
    if config.model_type == "llama":
        writer.add_rope_dimension_count(head)
    parameters = config.rope_parameters or {}
    writer.add_rope_freq_base(float((parameters.get("full_attention") or parameters).get("rope_theta", 10_000.0)))
    if config.model_type.startswith("gemma"):
        writer.add_sliding_window(config.sliding_window)
    if config.model_type == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)


def _vocabulary(writer: Any, tokenizer: Any, rows: int, unused: int, reserved: int) -> None:
    """Byte-level BPE as "gpt2", everything else of BPE as sentencepiece's "llama"."""
    built = json.loads(tokenizer.backend_tokenizer.to_str())
    ids = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])
    tokens = [text for text, _ in ids]
    specials = set(tokenizer.all_special_ids)
    kinds = [CONTROL if each in specials else NORMAL for each in range(len(tokens))]
    if tokenizer.unk_token_id is not None:
        kinds[tokenizer.unk_token_id] = UNKNOWN
    for each, text in enumerate(tokens):
        if len(text) == 6 and text.startswith("<0x"):
            kinds[each] = BYTE
    bytes_too = "ByteLevel" in json.dumps(built["pre_tokenizer"])
    if not bytes_too and BYTE not in kinds:
        # llama.cpp takes no sentencepiece vocabulary without them.
        tokens += [f"<0x{each:02X}>" for each in range(256)]
        kinds += [BYTE] * 256
    extra = rows - len(tokens)
    tokens += [f"[PAD{len(tokens) + each}]" for each in range(extra)]
    kinds += [UNUSED] * extra
    for each in range(rows - unused, rows):
        kinds[each] = UNUSED
    for number, each in enumerate(range(rows - reserved, rows)):
        tokens[each], kinds[each] = f"<|reserved_special_token_{number}|>", CONTROL
    if bytes_too:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        merges = built["model"]["merges"]
        writer.add_token_merges([each if isinstance(each, str) else " ".join(each) for each in merges])
    else:
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_scores([-float(each) for each in range(rows)])
        writer.add_add_space_prefix(True)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)


def origin_of(model: Any) -> dict[str, str]:
    """The metadata of a prompt that was made for this GgufModel."""
    from soft_prompts.fingerprint import KEY, sample_ids, take

    ids = sample_ids(len(model.tokens))
    return {"base_model": model.name, KEY: take(model, [model.tokens[each] for each in ids], ids).to_text()}
