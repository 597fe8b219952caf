"""`write(LLAMA, path)`: a GGUF with the vocabulary and the embeddings of a large model, and no layers.

What a sidecar is made from is all there: metadata, tokens and their types, merges or scores, and a table of random
blocks. Everything else of the file is a hole, so that it takes little room on a disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np

NORMAL, CONTROL, UNUSED = 1, 3, 5
_ROWS = 4_096
"""Of a table, made at once."""


@dataclass(frozen=True)
class Shape:
    """rows: of the vocabulary; the last of them are `reserved` control tokens and `unused` ones.

    merges: of a byte-level vocabulary; none: sentencepiece, with a score for each token. kind: of the table.
    """

    name: str
    architecture: str
    width: int
    rows: int
    reserved: int
    unused: int
    merges: int
    kind: str
    tied: bool = False

    def __str__(self) -> str:
        tied = ", tied" if self.tied else ""
        return f"{self.name}: {self.rows:,} x {self.width:,}, {self.kind}{tied}"


LLAMA = Shape("Llama 3 8B", "llama", 4_096, 128_256, 251, 0, 280_147, "Q4_K")
WANTED = Shape("Llama 3 8B with 80 unused tokens", "llama", 4_096, 128_256, 251, 80, 280_147, "Q4_K")
QWEN = Shape("Qwen 2.5 7B", "qwen2", 3_584, 152_064, 0, 290, 151_387, "Q4_K")
GEMMA = Shape("Gemma 3 4B", "gemma3", 2_560, 262_144, 0, 6_242, 0, "Q6_K", tied=True)
TIED = Shape("Llama 3 8B, if it were tied", "llama", 4_096, 128_256, 251, 0, 280_147, "Q4_K", tied=True)
SHAPES = (WANTED, LLAMA, QWEN, GEMMA, TIED)


def write(shape: Shape, path: Path) -> Path:
    """The file, with a header as converters write it."""
    writer = gguf.GGUFWriter(path, shape.architecture)
    writer.add_name(shape.name)
    writer.add_context_length(8_192)
    _vocabulary(writer, shape)
    kind = gguf.GGMLQuantizationType[shape.kind]
    block, size = gguf.GGML_QUANT_SIZES[kind]
    length = shape.width // block * size
    for name in ("token_embd.weight", *(() if shape.tied else ("output.weight",))):
        writer.add_tensor_info(name, (shape.rows, length), np.dtype(np.uint8), shape.rows * length, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with open(path, "r+b") as file:
        file.seek(-(-path.stat().st_size // 32) * 32)
        for start in range(0, shape.rows, _ROWS):
            file.write(_blocks(kind, min(_ROWS, shape.rows - start) * shape.width // block, start))
        if not shape.tied:
            file.truncate(file.tell() + shape.rows * length)
    return path


def _vocabulary(writer: Any, shape: Shape) -> None:
    last = shape.reserved + shape.unused
    words = [_word(each) for each in range(shape.rows - last)]
    reserved = [f"<|reserved_special_token_{each}|>" for each in range(shape.reserved)]
    unused = [f"<unused{each}>" for each in range(shape.unused)]
    mark = "Ġ" if shape.merges else "▁"
    writer.add_token_list([*(mark + word for word in words), *reserved, *unused])
    writer.add_token_types([NORMAL] * len(words) + [CONTROL] * shape.reserved + [UNUSED] * shape.unused)
    if shape.merges:
        writer.add_tokenizer_model("gpt2")
        writer.add_token_merges([f"{_word(each)} {_word(each + 1)}" for each in range(shape.merges)])
    else:
        writer.add_tokenizer_model("llama")
        writer.add_token_scores([-float(each) for each in range(shape.rows)])


def _word(number: int) -> str:
    letters = ""
    while number or not letters:
        number, digit = divmod(number, 26)
        letters += chr(ord("a") + digit)
    return letters + "e"


def _blocks(kind: gguf.GGMLQuantizationType, count: int, seed: int) -> bytes:
    """Random blocks of a K type, whose scale makes weights of the usual size."""
    size = gguf.GGML_QUANT_SIZES[kind][1]
    blocks = np.random.default_rng(seed).integers(0, 256, (count, size), np.uint8)
    scale = np.frombuffer(np.float16(2e-5).tobytes(), np.uint8)
    if kind == gguf.GGMLQuantizationType.Q4_K:
        blocks[:, :2] = blocks[:, 2:4] = scale
    else:
        blocks[:, -2:] = scale
    return blocks.tobytes()
