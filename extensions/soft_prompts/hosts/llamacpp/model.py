"""`GgufModel.open("model.gguf")`: what is known of a GGUF model without loading it: its vocabulary and its embeddings.

Rows are read from the file when they are asked for; no copy of the model is made, and the file is not kept open.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidFile, SoftPromptError, UnsupportedModel
from .header import Header, Place, read_header

EMBEDDING = "token_embd.weight"
OUTPUT = "output.weight"
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
_MOST_PARTS = 1024
_SCALED = ("gemma", "gemma2", "gemma3", "gemma3n", "gemma4", "gemma-embedding")
"""Architectures whose embedding module multiplies the table's rows by the root of their width."""


@dataclass(frozen=True)
class GgufModel:
    """A View of the token embeddings, as far as a file can give one: width, rows and `embed`.

    tokens and kinds: one text and one of ggml's token types for each row. tied: whether the same table is the output.
    """

    path: Path
    architecture: str
    name: str
    width: int
    rows: int
    tokens: tuple[str, ...]
    kinds: tuple[int, ...]
    tied: bool
    values: dict[str, Any]
    _headers: tuple[Header, ...]
    _holder: Header
    _table: Place

    @classmethod
    def open(cls, path: str | Path) -> GgufModel:
        """The model of this file, or of all parts where it is the first of several.

        Raises InvalidFile for what is no whole GGUF, UnsupportedModel for a GGUF that is no language model.
        """
        path = Path(path)
        headers = [read_header(each) for each in _parts(path)]
        values = headers[0].values
        architecture = str(values.get("general.architecture", ""))
        holder = next((each for each in headers if EMBEDDING in each.tensors), None)
        tokens = values.get("tokenizer.ggml.tokens")
        if holder is None or not tokens:
            what = f"of the architecture '{architecture}'" if architecture else "without an architecture"
            raise UnsupportedModel(
                f"{path.name} is a GGUF {what} that holds no token embeddings or no vocabulary: it is no language "
                "model (an adapter or a projector, perhaps); choose the model itself"
            )
        table = holder.tensors[EMBEDDING]
        if len(table.shape) != 2 or table.shape[1] < len(tokens):
            raise InvalidFile(
                f"{path}: the embeddings are {table.shape}, and the vocabulary has {len(tokens):,} tokens"
            )
        kinds = values.get("tokenizer.ggml.token_type") or [1] * len(tokens)
        if len(kinds) != len(tokens):
            raise InvalidFile(f"{path}: {len(tokens):,} tokens have {len(kinds):,} types: convert the model again")
        name = str(values.get("general.name") or path.stem)
        tied = not any(OUTPUT in each.tensors for each in headers)
        shape = table.shape
        found = cls(
            path, architecture, name, *shape, tuple(tokens), tuple(kinds), tied, values, tuple(headers), holder, table
        )
        found._check_place()
        return found

    @property
    def scale(self) -> float:
        """What the embedding module multiplies the table's rows by."""
        return float(np.float32(np.sqrt(self.width))) if self.architecture in _SCALED else 1.0

    @property
    def parts(self) -> int:
        """How many files it is made of."""
        return len(self._headers)

    @property
    def weights(self) -> int:
        """How many numbers there are in all of them."""
        return sum(prod(place.shape) for each in self._headers for place in each.tensors.values())

    @cached_property
    def kind(self) -> str:
        """The table's type as people write it: "Q4_K", "F16"."""
        return str(_quantisation().GGMLQuantizationType(self._table.kind).name)

    @property
    def identity(self) -> str:
        """Changes when the file does."""
        return f"{self.path.resolve()}|{self._holder.size}|{self._holder.changed}"

    def embed(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """(len(ids), width): as the embedding module gives them, scale and all."""
        rows: NDArray[np.float32] = self.table_rows(ids) * np.float32(self.scale)
        return rows

    def table_rows(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """(len(ids), width): rows as the file holds them, dequantised; raises InvalidFile where it was replaced."""
        gguf = _quantisation()
        status = self._holder.path.stat()
        if (status.st_size, status.st_mtime_ns) != (self._holder.size, self._holder.changed):
            raise InvalidFile(f"{self._holder.path} has changed since it was read: load the model again")
        length = self._row_length()
        shape = (self._table.shape[1], length)
        table = np.memmap(self._holder.path, np.uint8, "r", self._table.start, shape)
        rows = np.array(table[np.asarray(list(ids), np.int64)])
        del table
        return np.asarray(gguf.quants.dequantize(rows, gguf.GGMLQuantizationType(self._table.kind)), np.float32)

    def _row_length(self) -> int:
        """Bytes of a row of the table."""
        gguf = _quantisation()
        try:
            block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(self._table.kind)]
        except (ValueError, KeyError):
            raise UnsupportedModel(
                f"{self.path.name} holds its embeddings in type {self._table.kind}, which the gguf package "
                f"does not know: {_how_to_install()}"
            ) from None
        if self.width % block:
            raise InvalidFile(f"{self.path}: rows of {self.width} numbers do not fill blocks of {block}")
        return int(self.width // block * size)

    def _check_place(self) -> None:
        end = self._table.start + self._row_length() * self.rows
        if end > self._holder.size:
            raise InvalidFile(
                f"{self._holder.path} is cut short: it has {self._holder.size:,} bytes, and its embeddings alone end "
                f"at {end:,}: download or copy it again"
            )


def _parts(path: Path) -> list[Path]:
    """The files of a model; llama.cpp takes the first of several, and so does this."""
    match = _PART.search(path.name)
    if match is None or int(match[2]) > _MOST_PARTS:
        return [path]
    stem, count = path.name[: match.start()], int(match[2])
    found = [path.with_name(f"{stem}-{number:05d}-of-{count:05d}.gguf") for number in range(1, count + 1)]
    if missing := [each.name for each in found if not each.exists()]:
        raise InvalidFile(f"{path.name} is one of {count} parts, and {', '.join(missing)} is not beside it")
    return found


def _quantisation() -> Any:
    try:
        import gguf
        import gguf.quants
    except ImportError as missing:
        raise SoftPromptError(
            f"reading a GGUF needs the package gguf ({missing.name or missing} is missing): {_how_to_install()}"
        ) from missing
    return gguf


def _how_to_install() -> str:
    """The line that brings the gguf package, or a newer one, to this very Python."""
    python = f'"{sys.executable}"' if " " in sys.executable else sys.executable
    return f"{python} -m pip install --upgrade gguf"
