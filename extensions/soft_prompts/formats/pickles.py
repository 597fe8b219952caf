"""`unpickled(data, known, storage)`: the closed reader of pickles: data in, and nothing but data out.

It is a machine of its own for the few instructions that torch writes. None of them can import or call anything but
the stand-ins of `stubs.py`. Python's unpickler is not used even with its names restricted: a short pickle can make that
one claim gigabytes, or hash nested tuples for ever.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from ..errors import InvalidFile
from .stubs import Named

MOST_STEPS = 25_000
"""Instructions. A soft prompt takes about a hundred, one with the state of its optimizer a few hundred."""

Known = Callable[[str, str], Any]
Persistent = Callable[[Any], Any]

_MARK = object()
_KEYS = (str, int, type(None))
_CUT = "its pickle is cut short or damaged: copy or download it again"


def unpickled(data: bytes, known: Known, storage: Persistent, start: int = 0) -> tuple[Any, int]:
    """(value, place behind it) of the pickle at `start`; raises InvalidFile with a bare fact.

    known: (module, name) -> what may be called. storage: what a persistent id stands for.
    """
    machine = _Machine(data, start, known, storage)
    try:
        return machine.run(), machine.place
    except (IndexError, struct.error, UnicodeDecodeError, OverflowError):
        raise InvalidFile(_CUT) from None


class _Machine:
    def __init__(self, data: bytes, place: int, known: Known, storage: Persistent) -> None:
        self.place = place
        self._data, self._known, self._storage = data, known, storage
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        for _ in range(MOST_STEPS):
            code = self._data[self.place]
            self.place += 1
            if code == 0x2E:  # STOP
                return self._stack.pop()
            step = _STEPS.get(code)
            if step is None:
                raise InvalidFile(f"its pickle holds an instruction ({code:#04x}) that torch does not write")
            step(self)
        raise InvalidFile(f"its pickle has more than {MOST_STEPS:,} instructions: is it a model?")

    # ---- what stands behind an instruction

    def take(self, count: int) -> bytes:
        if count > len(self._data) - self.place:
            raise InvalidFile(_CUT)
        self.place += count
        return self._data[self.place - count : self.place]

    def number(self, form: str) -> Any:
        (value,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return value

    def sized(self, form: str) -> bytes:
        return self.take(self.number(form))

    def line(self) -> str:
        stop = self._data.find(b"\n", self.place, self.place + 256)
        if stop < 0:
            raise InvalidFile(_CUT)
        text = self.take(stop - self.place).decode()
        self.place += 1
        return text

    # ---- the stack

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise InvalidFile(_CUT)
        return value

    def marked(self) -> list[Any]:
        """What stands above the last mark, taken off with it."""
        place = len(self._stack) - 1
        while self._stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise InvalidFile(_CUT)
        values = self._stack[place + 1 :]
        del self._stack[place:]
        return values

    def tuple_of(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(values)))

    def remember(self, key: int) -> None:
        if self._stack[-1] is _MARK:
            raise InvalidFile(_CUT)
        self._memo[key] = self._stack[-1]

    def memoize(self) -> None:
        self.remember(len(self._memo))

    def recall(self, key: int) -> None:
        if key not in self._memo:
            raise InvalidFile(_CUT)
        self.push(self._memo[key])

    # ---- lists and dictionaries

    def extend(self, values: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            raise InvalidFile(_CUT)
        self._stack[-1].extend(values)

    def update(self, values: list[Any]) -> None:
        table = self._stack[-1]
        if not isinstance(table, dict) or len(values) % 2:
            raise InvalidFile(_CUT)
        for key, value in zip(values[::2], values[1::2], strict=True):
            # Hashing a tuple of tuples may take for ever, and large numbers can be chosen to collide.
            if not isinstance(key, _KEYS) or (isinstance(key, int) and abs(key) >= 1 << 31):
                raise InvalidFile("its pickle has a key that is neither a text nor a small number")
            table[key] = value

    def build(self) -> None:
        """What is hung onto a state dict (torch notes versions there) is of no use."""
        self.pop()
        if not isinstance(self._stack[-1], dict):
            raise InvalidFile("its pickle changes an object of Python: nothing of it was run; do not trust it")

    # ---- names and calls

    def named(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise InvalidFile(_CUT)
        self.push(self._known(module, name))

    def stacked(self) -> None:
        name = self.pop()
        self.named(self.pop(), name)

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Named) or not isinstance(arguments, tuple):
            raise InvalidFile("its pickle calls what is no function of torch: nothing of it was run; do not trust it")
        self.push(function.call(*arguments))

    def stored(self) -> None:
        self.push(self._storage(self.pop()))


def _long(machine: _Machine) -> None:
    machine.push(int.from_bytes(machine.sized("<B"), "little", signed=True))


def _put(form: str) -> Callable[[_Machine], None]:
    return lambda machine: machine.remember(machine.number(form))


def _get(form: str) -> Callable[[_Machine], None]:
    return lambda machine: machine.recall(machine.number(form))


def _pushes(value: Callable[[_Machine], Any]) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(value(machine))


def _text(form: str) -> Callable[[_Machine], None]:
    return _pushes(lambda machine: machine.sized(form).decode())


def _numbered(form: str) -> Callable[[_Machine], None]:
    return _pushes(lambda machine: machine.number(form))


def _bytes(form: str) -> Callable[[_Machine], None]:
    return _pushes(lambda machine: machine.sized(form))


# The codes are those of Python's documentation of the format (pickletools), the comments its names.
_STEPS: dict[int, Callable[[_Machine], object]] = {
    0x80: lambda machine: machine.take(1),  # PROTO
    0x95: lambda machine: machine.take(8),  # FRAME
    0x28: _pushes(lambda machine: _MARK),  # MARK
    0x30: _Machine.pop,  # POP
    0x4E: _pushes(lambda machine: None),  # NONE
    0x88: _pushes(lambda machine: True),  # NEWTRUE
    0x89: _pushes(lambda machine: False),  # NEWFALSE
    0x4A: _numbered("<i"),  # BININT
    0x4B: _numbered("<B"),  # BININT1
    0x4D: _numbered("<H"),  # BININT2
    0x8A: _long,  # LONG1
    0x47: _numbered(">d"),  # BINFLOAT
    0x58: _text("<I"),  # BINUNICODE
    0x8C: _text("<B"),  # SHORT_BINUNICODE
    0x8D: _text("<Q"),  # BINUNICODE8
    0x42: _bytes("<I"),  # BINBYTES
    0x43: _bytes("<B"),  # SHORT_BINBYTES
    0x8E: _bytes("<Q"),  # BINBYTES8
    0x29: _pushes(lambda machine: ()),  # EMPTY_TUPLE
    0x74: lambda machine: machine.push(tuple(machine.marked())),  # TUPLE
    0x85: lambda machine: machine.tuple_of(1),  # TUPLE1
    0x86: lambda machine: machine.tuple_of(2),  # TUPLE2
    0x87: lambda machine: machine.tuple_of(3),  # TUPLE3
    0x5D: _pushes(lambda machine: []),  # EMPTY_LIST
    0x61: lambda machine: machine.extend([machine.pop()]),  # APPEND
    0x65: lambda machine: machine.extend(machine.marked()),  # APPENDS
    0x7D: _pushes(lambda machine: {}),  # EMPTY_DICT
    0x73: lambda machine: machine.update([machine.pop(), machine.pop()][::-1]),  # SETITEM
    0x75: lambda machine: machine.update(machine.marked()),  # SETITEMS
    0x71: _put("<B"),  # BINPUT
    0x72: _put("<I"),  # LONG_BINPUT
    0x94: _Machine.memoize,  # MEMOIZE
    0x68: _get("<B"),  # BINGET
    0x6A: _get("<I"),  # LONG_BINGET
    0x63: lambda machine: machine.named(machine.line(), machine.line()),  # GLOBAL
    0x93: _Machine.stacked,  # STACK_GLOBAL
    0x52: _Machine.reduce,  # REDUCE
    0x62: _Machine.build,  # BUILD
    0x51: _Machine.stored,  # BINPERSID
}
