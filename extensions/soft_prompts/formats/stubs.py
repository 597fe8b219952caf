"""`known(module, name)`: all that a pickle of torch may call, as inert stand-ins that only note what was asked.

Nothing of torch, of Python's pickle or of any module that a file names is ever imported or called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidFile
from .numbers import BYTES, check_kind, floats, table

STORAGES = {
    "FloatStorage": ("F32", 4),
    "HalfStorage": ("F16", 2),
    "BFloat16Storage": ("BF16", 2),
    "DoubleStorage": ("F64", 8),
    "LongStorage": ("I64", 8),
    "IntStorage": ("I32", 4),
    "ShortStorage": ("I16", 2),
    "CharStorage": ("I8", 1),
    "ByteStorage": ("U8", 1),
    "BoolStorage": ("BOOL", 1),
    "ComplexFloatStorage": ("C64", 8),
    "ComplexDoubleStorage": ("C128", 16),
}
"""{name in torch: (type of its numbers, bytes of each)}."""


@dataclass(frozen=True)
class Kind:
    """A typed storage's class: what its numbers are."""

    name: str
    size: int


@dataclass(frozen=True)
class Storage:
    """Numbers in a row, not read yet. load: the bytes of `count` numbers, and perhaps more behind them."""

    kind: Kind
    count: int
    load: Callable[[], bytes]


@dataclass(frozen=True)
class Tensor:
    """A view of a storage, which has been checked against it."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def table(self) -> tuple[int, int]:
        """(tokens, width); raises InvalidFile where it is no soft prompt's."""
        check_kind(self.storage.kind.name)
        return table(self.shape)

    def load(self) -> NDArray[np.float32]:
        """Its numbers; asked once `table` has found nothing wrong."""
        kind = self.storage.kind
        data = self.storage.load()
        if len(data) < self.storage.count * kind.size:
            raise InvalidFile("its vectors are cut short: copy or download it again")
        numbers = floats(data[: self.storage.count * BYTES[kind.name]], kind.name)
        steps = [each * numbers.itemsize for each in self.strides]
        # `rebuilt` has checked that this view stays within the numbers.
        view = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, steps, writeable=False)
        return np.array(view, np.float32, order="C")


@dataclass(frozen=True)
class Named:
    """Something that a pickle may call."""

    call: Callable[..., Any]


def known(module: str, name: str, nested: Callable[[bytes], Any]) -> Any:
    """The stand-in for what a pickle asks by name; nested: for the bytes of a storage. Raises InvalidFile otherwise."""
    if module == "torch" and name in STORAGES:
        return Kind(*STORAGES[name])
    table: dict[tuple[str, str], Callable[..., Any]] = {
        ("torch._utils", "_rebuild_tensor_v2"): rebuilt,
        ("torch._utils", "_rebuild_parameter"): _parameter,
        ("collections", "OrderedDict"): _ordered,
        ("torch.storage", "_load_from_bytes"): _from_bytes(nested),
    }
    if call := table.get((module, name)):
        return Named(call)
    asked = ascii(f"{module}.{name}"[:80])[1:-1]
    raise InvalidFile(f"it asks Python for {asked}, which no soft prompt needs: nothing of it was run; do not trust it")


def rebuilt(*arguments: Any) -> Tensor:
    """A tensor of (storage, offset, shape, strides, ...), which must lie within its storage; raises InvalidFile."""
    if len(arguments) < 4:
        raise InvalidFile("it describes a tensor by too little: made by a faulty tool")
    storage, offset, shape, strides = arguments[:4]
    if not isinstance(storage, Storage) or not all(map(_are_sizes, ((offset,), shape, strides))):
        raise InvalidFile("it describes a tensor by what are no sizes: made by a faulty tool")
    if len(shape) != len(strides) or len(shape) > 8:
        raise InvalidFile(f"it has a tensor of {len(shape)} sizes and {len(strides)} strides: made by a faulty tool")
    count = int(np.prod(shape, dtype=object)) if shape else 1
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    # More numbers than there are would be one number many times over, and fill the memory.
    if count > storage.count or (count and last >= storage.count):
        raise InvalidFile(f"it has a tensor of shape {shape} that reaches beyond its {storage.count:,} numbers")
    return Tensor(storage, offset, tuple(shape), tuple(strides))


def _parameter(*arguments: Any) -> Tensor:
    if not arguments or not isinstance(arguments[0], Tensor):
        raise InvalidFile("it has a parameter that is no tensor: made by a faulty tool")
    return arguments[0]


def _ordered(*arguments: Any) -> dict[Any, Any]:
    if arguments:
        raise InvalidFile("it makes a dictionary in a way that torch does not: made by a faulty tool")
    return {}


def _from_bytes(nested: Callable[[bytes], Any]) -> Callable[..., Storage]:
    def call(*arguments: Any) -> Storage:
        if len(arguments) != 1 or not isinstance(arguments[0], bytes):
            raise InvalidFile("it has a storage that is no bytes: made by a faulty tool")
        storage = nested(arguments[0])
        if not isinstance(storage, Storage):
            raise InvalidFile("it has something else where a storage should be: made to deceive, or by a faulty tool")
        return storage

    return call


def _are_sizes(values: Any) -> bool:
    return isinstance(values, tuple) and all(type(each) is int and 0 <= each < 1 << 48 for each in values)
