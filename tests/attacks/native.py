"""`tried("native", 2_000)`: files of ours that are nearly right, without end, and how their reader fares at them.

A file is a description before it is bytes: texts, tensors, numbers. One level of it is changed and what stands around
is made to agree, so that most are sound containers of wrong contents, or of right ones that nobody writes so. Each is
listed and opened as a library does it; what can be done with it then, is done: other metadata, other types and kinds.
"""

from __future__ import annotations

import json
import math
import random
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from soft_prompts import SoftPrompt, SoftPromptError
from soft_prompts.container import header_size, metadata_of, parse_header, with_metadata, write_atomically
from soft_prompts.entry import describe
from soft_prompts.errors import InvalidFile
from soft_prompts.folder import examined
from soft_prompts.formats import WRITABLE, load_any, native

from .fuzz import INTERESTING, attacks, changed, scratched
from .measure import FREE, TIMES
from .trying import Tried, again, within

Random = random.Random
SHARE = 30
"""Percent of the files that have to be sound containers."""

BYTES = {"F32": 4, "F16": 2, "F64": 8, "BF16": 2, "I64": 8, "U8": 1, "BOOL": 1}
FINGERPRINT = '{"version": 1, "ids": [0, 7], "tokens": ["a", "b"], "sketch": "' + "AAAA" * 32 + '"}'
TOLD = {
    "author": "Ann", "base_model": "a/b", "created": "2026-11-24T10:00:00+00:00", "data": "0" * 64, "held_out": "2.9",
    "description": "rain ☂", "fingerprint": FINGERPRINT, "method": "finetune", "settings": '{"tokens": 3}',
    "steps": "300", "tags": "style, rain",
}  # fmt: skip
KEYS = (
    *TOLD, "format", "format_version", "name", "tokens", "width", "origin", "vectors", "__metadata__", "", "x" * 99,
    "\ud83d", "\0", "☂",
)  # fmt: skip
TEXTS = (
    "soft-prompt", "pt", "np", "lora", "1", "1.7", "2", "2.1", "01", "", " 1", "\uff13", "3", "4", "-1", "1e3", "noir",
    "a/b", "../noir", "/etc/passwd", "e\u0301", "noir?", "x" * 300, "nul\0", "\ud83d", "\ud83d\ude00", "\u2028", "{",
    "[]", "null", '{"version": 2}', '{"ids": [1e400]}', "AAAA", "\\ud800", "é" * 9000,
)  # fmt: skip
NAMES = ("vectors", "origin", "vector", "Vectors", "weight", "prompt_embeddings", "", "\ud83d", "☂", "a" * 300)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 8, 24, 48, 1.0, 3.5, 1 << 47, 1 << 48, 1 << 80, float("nan"), float("inf"), "",
    "F32", "F16", "F64", "BF16", "f32", "I64", [], {}, [0], [0, 48], [48, 0], [0, 24], [3, 4], [4, 3], [[3, 4]],
    [1] * 8, [1] * 9, ["3", 4], {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}, {"a": "b"}, {"a": 1},
)  # fmt: skip
SHAPES = (
    [4, 3], [12], [1, 3, 4], [], [0, 4], [3, 0], [0], [1, 1], [2, 2, 3], [1, 1, 1, 1, 1, 1, 3, 4], [1] * 9, [16_384, 1],
    [16_385, 1], [1, 131_072], [1, 131_073], [16_384, 0], [1 << 40, 0], [3, 1 << 24, 0],
)  # fmt: skip
FLOATS = (0x7FC00000, 0x7F800000, 0xFF800000, 0x80000000, 1, 0x7F7FFFFF, 0x477FF000, 0x33000000, 0xFFFFFFFF)
"""Bits of what numbers can be: NaN, infinite, minus nothing, beyond float16 and just not, and next to nothing."""

SPELLINGS: tuple[tuple[bytes, bytes], ...] = (
    (b"{", b" {"), (b"{", b"\n{"), (b"{", b"\xef\xbb\xbf{"), (b"{", b"[{"), (b"[3", b"[3.0"), (b"[3", b"[03"),
    (b"[3", b"[-3"), (b"[3", b"[3e0"), (b"[3", b"[ 3"), (b"[0", b"[-0"), (b"vectors", b"\\u0076ectors"), (b"}", b"},"),
    (b"F32", b"\\u004632"), (b'"name"', b'"author"'), (b"origin", b"vectors"), (b'"', b"'"), (b"Ann", b"\\ud83d"),
    (b"Ann", b"A\nn"), (b"Ann", b"\xed\xa0\xbd"), (b"Ann", b"\xff"), (b"Ann", b"A\\/n"), (b"[0", b"[" + b"0" * 4400),
    (b":", b" : "), (b"}}", b"}} x"), (b"{", b"{" * 2000), (b"[", b"[" * 2000), (b'"shape"', b'"shape":[3,4],"shape"'),
)  # fmt: skip


@dataclass
class Made:
    """A file as it is meant: metadata, and tensors as (type, shape, bytes) in the order in which they stand."""

    metadata: dict[str, Any]
    tensors: dict[str, tuple[str, list[int], bytes]]

    def header(self) -> dict[str, Any]:
        """What the file says of itself; every place is right."""
        said, end = {}, 0
        for name, (dtype, shape, block) in self.tensors.items():
            said[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + len(block)]}
            end += len(block)
        return {"__metadata__": self.metadata, **said} if self.metadata else said

    @property
    def numbers(self) -> bytes:
        return b"".join(block for _, _, block in self.tensors.values())


def inputs(reader: str, seed: int) -> Iterator[bytes]:
    """Files for the reader, the same ones for the same seed."""
    chance = Random(f"{reader} {seed}")
    while True:
        data = made(chance) if chance.random() < 0.99 else chance.choice(attacks("safetensors"))
        # Every eighth is damaged once more, without regard to what it means.
        yield scratched(chance, data) if chance.random() < 0.125 else data


def made(chance: Random) -> bytes:
    """A file that is right, then up to three times changed in what it says, and every fourth time in how."""
    file = right(chance)
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        chance.choice(_CHANGES)(chance, file)
    if chance.random() < 0.003:
        chance.choice(_LARGE)(chance, file)
    header: Any = file.header()
    how = chance.random()
    if how < 0.12:
        header = changed(chance, header, NAMES, VALUES)
    text = json.dumps(header, ensure_ascii=chance.random() < 0.5, separators=(",", ":"))
    # Half a character has no bytes in UTF-8; those that some tools write for it are refused.
    said = text.encode("utf-8", "surrogatepass")
    if 0.12 <= how < 0.22:
        said = said.replace(*chance.choice(SPELLINGS), chance.choice((1, 1, -1)))
    said += b" " * chance.choice((0, -len(said) % 8, chance.randrange(99)))
    numbers = file.numbers
    if 0.22 <= how < 0.25:
        numbers = chance.choice((numbers[:-1], numbers[: len(numbers) // 2], b"", numbers + b"x", numbers + bytes(8)))
    length = chance.choice((*INTERESTING, len(said) - 1, len(said) + 1, 1 << 20)) if 0.25 <= how < 0.27 else len(said)
    return struct.pack("<Q", max(length, 0)) + said + numbers


def right(chance: Random) -> Made:
    """What this library writes, and what others may."""
    tokens, width = chance.choice(((3, 4), (3, 4), (1, 1), (2, 5), (5, 2)))
    own = {"format": "soft-prompt", "format_version": "1", "name": "noir", "tokens": str(tokens), "width": str(width)}
    told = {key: value for key, value in TOLD.items() if chance.random() < 0.4}
    tensors = {"vectors": tensor(chance, [tokens, width])}
    if chance.random() < 0.3:
        tensors["origin"] = tensor(chance, [tokens, width])
    return Made(chance.choice(({**own, **told}, {**told, **own}, {"format": "pt"}, told)), tensors)


def tensor(chance: Random, shape: list[int], dtype: str = "") -> tuple[str, list[int], bytes]:
    """One of small numbers that fills its place, as far as that is no more than a few megabytes."""
    dtype = dtype or chance.choice(("F32", "F32", "F16"))
    count = math.prod(shape)
    if count > 1 << 20:
        return dtype, shape, b""
    numbers = [chance.choice((0.0, 0.5, -1.25, 3.0, 65504.0)) for _ in range(min(count, 16))] * (count // 16 + 1)
    kind = {"F32": "<f4", "F16": "<f2", "F64": "<f8"}.get(dtype)
    block = np.array(numbers[:count], kind).tobytes() if kind else bytes(count * BYTES.get(dtype, 1))
    return dtype, list(shape), block


# ---- changes of what it says


def _numbers(chance: Random, file: Made) -> None:
    if not file.tensors:
        return
    name = chance.choice(list(file.tensors))
    dtype, shape, block = file.tensors[name]
    held = bytearray(block)
    for _ in range(chance.choice((1, 1, 3))):
        bits = struct.pack("<I", chance.choice(FLOATS))
        size = min(BYTES.get(dtype, 1), 4)
        place = chance.randrange(len(held) // size) * size if len(held) >= size else 0
        held[place : place + size] = bits[4 - size :][: len(held) - place]
    file.tensors[name] = dtype, shape, bytes(held)


def _texts(chance: Random, file: Made) -> None:
    for _ in range(chance.choice((1, 1, 2))):
        key = chance.choice((*file.metadata, *KEYS))
        if chance.random() < 0.25:
            file.metadata.pop(key, None)
        else:
            file.metadata[key] = chance.choice(TEXTS)


def _shape(chance: Random, file: Made) -> None:
    name = chance.choice((*file.tensors, "vectors", "origin"))
    dtype = chance.choice((*BYTES, "F32", "F16", "", "X9"))
    file.tensors[name] = tensor(chance, chance.choice((*SHAPES, [3, 4], [3, 4])), dtype)


def _tensors(chance: Random, file: Made) -> None:
    """Another one, one less, one under another name, or all in another order."""
    names, kind = list(file.tensors), chance.randrange(4)
    if kind == 0 or not names:
        file.tensors[chance.choice(NAMES)] = tensor(chance, [3, 4], chance.choice(tuple(BYTES)))
    elif kind == 1:
        del file.tensors[chance.choice(names)]
    elif kind == 2:
        file.tensors[chance.choice(NAMES)] = file.tensors.pop(chance.choice(names))
    else:
        chance.shuffle(names)
        file.tensors = {name: file.tensors[name] for name in names}


def _many_texts(chance: Random, file: Made) -> None:
    file.metadata |= {f"key {number}": "x" for number in range(chance.choice((256, 300, 32_700, 32_770)))}


def _long_text(chance: Random, file: Made) -> None:
    file.metadata["description"] = "x" * (chance.choice((1 << 19, (1 << 20) - 400, 1 << 20)))


def _many_tensors(chance: Random, file: Made) -> None:
    file.tensors |= {f"t{n}": ("U8", [1], b"x") for n in range(chance.choice((100, 5_000, 8_000)))}


def _many_vectors(chance: Random, file: Made) -> None:
    shape = chance.choice(([16_384, 64], [64, 16_384], [8, 131_072], [16_384, 63]))
    file.tensors |= {name: tensor(chance, shape) for name in file.tensors if name in ("vectors", "origin")}


_CHANGES: tuple[Callable[[Random, Made], None], ...] = (_numbers, _texts, _texts, _shape, _tensors)
_LARGE: tuple[Callable[[Random, Made], None], ...] = (_many_texts, _long_text, _many_tensors, _many_vectors)


# ---- how the reader fares


@dataclass
class TriedNative(Tried):
    """sound: files that are containers as they should be, whatever is in them."""

    sound: int = 0

    @property
    def share(self) -> float:
        """Of the sound ones, in percent."""
        return 100 * self.sound / max(self.inputs, 1)


def tried(reader: str, count: int, seed: int = 0, held: bool = False) -> TriedNative:
    """So many files, each with every allocation counted; held: the system keeps this process to the bound as well."""
    found = TriedNative(reader)
    files = inputs(reader, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.safetensors"
        for number in range(count):
            data = next(files)
            path.unlink(missing_ok=True)  # some drives hurry to keep what is written over a file
            path.write_bytes(data)
            with bounded(FREE + TIMES * len(data) if held else 0):
                prompt = within(found, len(data), lambda: opened(path))
            found.sound += sound(data)
            try:
                goes_on(data, prompt, number, path)
            except Exception as problem:
                found.faults.append(f"{number}, later: {type(problem).__name__}: {problem}"[:300])
    return found


def opened(path: Path) -> SoftPrompt:
    """The file listed and then read, as a library does it; what the list refuses is never read."""
    entry = describe(path, "x", *examined(str(path)))
    # A header may hold half a character nowhere: the list is shown, and what is shown is encoded.
    assert str(entry.problem or dict(entry.metadata)).encode()
    prompt = load_any(path, "x")
    assert isinstance(prompt, SoftPrompt)
    assert not entry.problem and (entry.tokens, entry.width) == prompt.vectors.shape, "the list says what is read"
    return prompt


def sound(data: bytes) -> bool:
    """Whether the container is as it should be."""
    try:
        size = header_size(data[:8], len(data))
        parse_header(data[8 : 8 + size], len(data) - 8 - size)
    except InvalidFile:
        return False
    return True


def goes_on(data: bytes, prompt: SoftPrompt | None, number: int, path: Path) -> None:
    """All that is done with a file and with what it held; nothing may get lost on the way."""
    if not sound(data):
        for ask in (metadata_of, native.read, lambda each: with_metadata(each, {})):
            assert _refused(ask, data), "a file that is no sound container is refused by all that open one"
        return
    with suppress(InvalidFile):  # where there is no room left for more
        other = with_metadata(data, {"author": "Ann"})
        assert metadata_of(other) == {"author": "Ann"}
        assert other.endswith(data[8 + header_size(data[:8], len(data)) :]), "the numbers are byte for byte the same"
    if prompt is None:
        return
    if native.matches(data):
        assert native.read(data) == prompt
    _written(prompt, number)
    if not number % 50:
        write_atomically(path, native.write(prompt))
        assert load_any(path, "x") == prompt
        assert _refused(lambda each: write_atomically(path.parent, each), data), "a folder stands there"
        assert [each.name for each in path.parent.iterdir()] == [path.name]


def _written(prompt: SoftPrompt, number: int) -> None:
    """What was taken is the same after it was written and read again."""
    try:
        copy = native.read(native.write(prompt))
    except InvalidFile as problem:
        assert sum(len(key + value) for key, value in prompt.metadata.items()) > 100_000, problem
        return
    assert (copy, copy.name, copy.metadata) == (prompt, prompt.name, prompt.metadata)
    with suppress(InvalidFile):  # beyond float16
        half = native.read(native.write(prompt, "float16"))
        assert np.array_equal(half.vectors, prompt.vectors.astype(np.float16))
    with suppress(SoftPromptError):  # other tools' files take less metadata
        other: Any = again(prompt, number)
        assert np.array_equal(other.vectors, prompt.vectors), tuple(WRITABLE)[number % len(WRITABLE)]


def _refused(ask: Callable[[bytes], object], data: bytes) -> bool:
    try:
        ask(data)
    except SoftPromptError:
        return True
    return False


@contextmanager
def bounded(more: int) -> Iterator[None]:
    """In this block the process gets so many bytes of address space more than it has, 0 any, and then MemoryError.

    Nothing of that where the system is not Linux, which alone does as it is told there.
    """
    if not more or sys.platform != "linux":
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    has = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
