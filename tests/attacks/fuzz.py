"""`inputs("numpy", seed)`: files that are nearly right, without end: each level of a format is damaged for itself.

A pickle is taken apart into its instructions, a zip into its members and fields, JSON into its values, a header into
its words; some of it is changed, and all that stands around it is made right again, so that readers get far.
"""

from __future__ import annotations

import base64
import io
import json
import pickletools
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from . import build, hostile

Random = random.Random
INTERESTING = (0, 1, 2, 3, 4, 8, 12, 47, 48, 127, 128, 255, 256, 65535, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
TOKENS = (
    b"'descr'", b"'shape'", b"'fortran_order'", b"'<f4'", b"'<f2'", b"'|V2'", b"'>f8'", b"'|O'", b"True", b"False",
    b"(3, 4)", b"(1, 3, 4)", b"(12,)", b"()", b"(99999999999, 4)", b"(-1, 4)", b":", b",", b"{", b"}", b" ",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, 0, 1, -1, 3, 4, 48, 1 << 40, 1.5, float("nan"), "", "F32", "BF16", "I64", "x" * 100, "\ud800", [], {},
    [3, 4], [0, 48], [1, 3, 4], "PROMPT_TUNING", "PREFIX_TUNING", {"name": "x"}, ["a"], '{"tensor": "AAAA"}',
)  # fmt: skip
LARGE = ("1 GB", "32 MB", "60 MB", "a million", "a step of", "more than", "a pickle that", "numbers that grow", "a dir")
NAMES = (
    "tensor",
    "metadata",
    "x",
    "prompt_embeddings",
    "__metadata__",
    "step",
    "epoch",
    "peft_type",
    "entries",
    "vectors",
)


def inputs(reader: str, seed: int) -> Iterator[bytes]:
    """Files for a reader, the same ones for the same seed."""
    chance = Random(f"{reader} {seed}")
    while True:
        data = _MAKERS[reader](chance) if chance.random() < 0.96 else chance.choice(attacks(reader))
        # Every fourth is damaged once more, without regard to what it means.
        yield scratched(chance, data) if chance.random() < 0.25 else data


@cache
def attacks(reader: str) -> list[bytes]:
    """The hostile files that are small: what is left of them when they are damaged must do no harm either."""
    made = (make() for name, make in hostile.ATTACKS[reader].items() if not name.startswith(LARGE))
    return [data for data in made if len(data) <= 1 << 16]


def scratched(chance: Random, data: bytes) -> bytes:
    """Bytes changed, taken out, put in, or cut off."""
    held = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        place, kind = chance.randrange(len(held) + 1), chance.randrange(5)
        if kind == 0:
            del held[place:]
        elif kind == 1:
            held[place : place + 1] = bytes([chance.randrange(256)])
        elif kind == 2:
            held[place:place] = chance.randbytes(chance.randrange(9))
        elif kind == 3:
            del held[place : place + chance.randrange(1, 17)]
        else:
            number = chance.choice(INTERESTING).to_bytes(8, "little")
            size = chance.choice((1, 2, 4, 8))
            held[place : place + size] = number[:size]
    return bytes(held)


# ---- pickles


@cache
def instructions(data: bytes) -> tuple[bytes, ...]:
    """The instructions of a whole pickle, each with what stands behind it."""
    places = [place for _, _, place in pickletools.genops(data) if place is not None]
    return tuple(data[start:stop] for start, stop in zip(places, [*places[1:], len(data)], strict=True))


PAYLOADS = (*hostile.PAYLOADS.values(), *hostile.VIEWS.values())


def pickled(chance: Random, data: bytes) -> bytes:
    """A pickle with other instructions, and another one's, and other numbers."""
    steps = list(instructions(data))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 4))):
        place, kind = chance.randrange(len(steps)), chance.randrange(6)
        if kind == 0:
            del steps[place]
        elif kind == 1:
            steps.insert(place, chance.choice(steps))
        elif kind == 2:
            other = chance.randrange(len(steps))
            steps[place], steps[other] = steps[other], steps[place]
        elif kind == 3:
            steps[place] = build.integer(chance.choice((*INTERESTING, -1, 1 << 61)))
        elif kind == 4:
            steps.insert(place, chance.choice(PAYLOADS)[:2000])
        else:
            steps[place] = scratched(chance, steps[place])
        steps = steps or [b"."]
    return b"".join(steps)


GOOD = {
    "tensor": build.program(build.tensor()),
    "batch": build.program(build.tensor((1, 3, 4), (12, 4, 1))),
    "half": build.program(build.tensor((3, 4), (1, 3), held=build.storage(kind="HalfStorage"))),
    "state": build.program(
        b"}(" + build.text("tensor") + b"ctorch._utils\n_rebuild_parameter\n(" + build.tensor() + b"\x88NtR"
        + build.text("step") + build.integer(3) + build.text("loss") + b"G" + struct.pack(">d", 1.5) + b"u"
    ),
    "dictionary": build.program(
        b"ccollections\nOrderedDict\n)R(" + build.text("prompt_embeddings") + build.tensor() + b"u}b"
    ),
    "two": build.program(b"}(" + build.text("a") + build.tensor() + build.text("<b>") + build.tensor() + b"u"),
    "within": build.program(
        b"}(" + build.text("a") + b"}(" + build.text("w") + build.tensor() + b"u" + build.text("lora_b") + b"Nu"
    ),
}  # fmt: skip
NESTED = build.program(build.tensor(held=hostile.inner()))


def good(chance: Random) -> bytes:
    return chance.choice(list(GOOD.values()))


def torch_zip(chance: Random) -> bytes:
    """Its pickle, its members, or its fields."""
    numbers = build.NUMBERS if chance.random() < 0.8 else chance.randbytes(chance.choice((0, 24, 47, 48, 60)))
    more = chance.choice(({}, {}, {}, {"byteorder": b"big"}, {"code/x": b""}, {"more/data.pkl": b"N."}))
    data = build.torch_zip(pickled(chance, good(chance)), numbers, **more)
    return fields(chance, data) if chance.random() < 0.2 else data


def torch_older(chance: Random) -> bytes:
    """Any of its five pickles, or its storages."""
    parts = [build.VERSION, build.machine(), good(chance), build.program(b"](" + build.text("0") + b"e")]
    for place in chance.choice(((0,), (1,), (2,), (2,), (2,), (3,), (1, 2), (2, 3))):
        parts[place] = pickled(chance, GOOD["tensor"] if chance.random() < 0.05 else parts[place])
    version, about, body, keys = parts
    count = struct.pack("<q", chance.choice((12, 12, 12, 0, -1, 13)))
    return build.torch_older(body, count + build.NUMBERS, keys, version, about)


# ---- JSON


def changed(chance: Random, value: Any, names: tuple[str, ...] = NAMES, values: tuple[Any, ...] = VALUES) -> Any:
    """The same JSON with one value, key or place in it changed; names, values: what may come instead."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key, kind = chance.choice(list(value)), chance.randrange(5)
        rest = {each: held for each, held in value.items() if each != key}
        if kind == 0:
            return rest
        if kind == 1:
            return {**value, chance.choice(names): chance.choice(values)}
        if kind == 2:
            return {**rest, chance.choice(names): value[key]}
        return {**value, key: changed(chance, value[key], names, values)}
    if isinstance(value, list) and value and chance.random() < 0.7:
        place = chance.randrange(len(value))
        return [*value[:place], changed(chance, value[place], names, values), *value[place + chance.randrange(2) :]]
    return chance.choice(values)


OTHERS: tuple[Any, ...] = (
    {"moduleVersion": 1, "data": "AAAA"},
    {"spec": "chara_card_v3", "data": {"character_book": {"entries": []}}},
    {"first_mes": "", "mes_example": ""},
    {"peft_type": "PROMPT_TUNING"},
    {"entries": {"0": {"key": ["a"]}}},
    [{"call": " a", "response": " b"}],
    {"tensor": {"a": [1]}, "more": [{"tensor": "AAAA"}]},
)
"""What other tools keep in JSON."""


def encoded(chance: Random, value: Any) -> bytes:
    data = json.dumps(value).encode()
    return data if chance.random() < 0.9 else scratched(chance, data)


def mkultra(chance: Random) -> bytes:
    """Its pickle, the one in that, its base64, or its JSON, also within other JSON."""
    body = chance.randrange(4)
    pickle = pickled(chance, NESTED) if body == 0 else NESTED
    if body == 1:
        pickle = build.program(build.tensor(held=build.nested(torch_older(chance))))
    value: Any = {"metadata": {"name": "x", "epoch": 1e9, "step": 3}, "tensor": base64.b64encode(pickle).decode()}
    for _ in range(chance.choice((0, 1, 2)) if body < 2 else chance.choice((1, 2, 3))):
        value = changed(chance, value)
    if chance.random() < 0.1:
        value = changed(chance, chance.choice(OTHERS))
    around = chance.randrange(8)
    if around == 0:
        value = {"a": json.dumps(value), "b": [1]}
    elif around == 1:
        value = json.dumps(json.dumps([value]))
    return encoded(chance, value)


# ---- numpy, zips, safetensors


def words(chance: Random, header: bytes) -> bytes:
    """A header of numpy, word by word."""
    held = header
    for _ in range(chance.choice((1, 1, 2, 3))):
        held = held.replace(chance.choice(TOKENS), chance.choice(TOKENS), chance.choice((1, 1, 9)))
    return held


def array(chance: Random) -> bytes:
    shape = chance.choice(("(3, 4)", "(1, 3, 4)", "(3L, 4L)", "(4, 3)"))
    descr = chance.choice(("'<f4'", "'<f4'", "'<f2'", "'|V2'", "'>f4'", "'<f8'", "'<i4'"))
    header = build.shaped(shape, descr, chance.choice(("True", "False"))).encode()
    if chance.random() < 0.6:
        header = words(chance, header)
    version = chance.choice((1, 1, 1, 2, 3, 4))
    length = None if chance.random() < 0.8 else chance.choice(INTERESTING[:14])
    size = 12 * {"2": 2, "8": 8}.get(descr[-2], 4) if chance.random() < 0.8 else chance.choice((0, 24, 47, 48, 96))
    return build.npy(header.decode("latin-1"), chance.randbytes(size), version, length)


def number(chance: Random) -> bytes:
    """A single number, as an npz keeps the step of a training."""
    descr = chance.choice(("'<i8'", "'<f4'", "'|O'", "'<U9'", "'>i4'"))
    return build.npy(
        build.shaped(chance.choice(("()", "()", "(1,)", "(2,)")), descr), chance.randbytes(chance.choice((4, 8, 9)))
    )


def kobold(chance: Random) -> bytes:
    """Its array, its metadata, or its fields."""
    meta = {"name": "x", "supported": ["a", "b"], "description": "c", "author": "d"}
    members = {"tensor.npy": array(chance) if chance.random() < 0.5 else build.ARRAY}
    if chance.random() < 0.8:
        members["meta.json"] = encoded(chance, changed(chance, meta))
    return packed(chance, members)


def mtj(chance: Random) -> bytes:
    members = {"tensor.npy": array(chance) if chance.random() < 0.6 else build.ARRAY}
    members |= {f"{name}.npy": number(chance) for name in ("step", "loss", "opt_state") if chance.random() < 0.7}
    return packed(chance, members)


METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def packed(chance: Random, members: dict[str, bytes]) -> bytes:
    """A zip, or one whose records lie."""
    if chance.random() < 0.3:
        return archive(chance, members)
    file = io.BytesIO()
    method = chance.choice(METHODS)
    with zipfile.ZipFile(file, "w", method) as whole:
        for name, data in members.items():
            whole.writestr(zipfile.ZipInfo(name), data, method)
        if chance.random() < 0.1:
            whole.comment = chance.choice((b"x", b"PK\x05\x06", b"PK\x05\x06" + bytes(18)))
    return fields(chance, file.getvalue()) if chance.random() < 0.5 else file.getvalue()


def archive(chance: Random, members: dict[str, bytes]) -> bytes:
    """Each member with a line of the directory in which something may lie, or is said in the record for large ones."""

    def lie(value: int) -> int:
        return value if chance.random() < 0.8 else chance.choice(INTERESTING)

    entries = []
    for name, data in members.items():
        method = chance.choice((0, 0, 8, 12, 14))
        body = {8: build.deflated, 14: build.lzma_packed}.get(method, bytes)(data)
        flags, size = chance.choice((0, 0, 0, 1, 8)), lie(len(data))
        entries.append(build.entry(name.encode(), data, body, method, size, flags=flags))
    if chance.random() < 0.1:
        entries = [build.large(name.encode(), data) for name, data in members.items()]
    place = None if chance.random() < 0.8 else chance.choice(INTERESTING)
    record = chance.choice((None, None, None, -1, -1, lie(0)))
    return build.archive(*entries, place=place, record=record, end=chance.choice((b"", b"", b"PK\x05\x06")))


SIGNS = (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06")


def fields(chance: Random, data: bytes) -> bytes:
    """A zip with another number in one of its records."""
    held, sign = bytearray(data), chance.choice(SIGNS)
    place = data.find(sign)
    at = place + chance.randrange(4, 46 if sign == SIGNS[0] else 30 if sign == SIGNS[1] else 22)
    size = chance.choice((1, 2, 4))
    held[at : at + size] = chance.choice(INTERESTING).to_bytes(8, "little")[:size]
    return bytes(held)


def safetensors(chance: Random) -> bytes:
    kind = chance.choice(("F32", "F32", "BF16", "F16", "I32"))
    stop = {"BF16": 24, "F16": 24}.get(kind, 48)
    name = chance.choice(("x", "x", "prompt_embeddings", "vectors", "lora_a", "emb_params"))
    header = {"__metadata__": {"format": "pt", "author": "Ann"}, name: build.described([3, 4], stop, kind)}
    if chance.random() < 0.8:
        header = changed(chance, header)
    return build.safetensors(encoded(chance, header), build.NUMBERS[:stop])


def peft(chance: Random) -> bytes:
    """The folder, as a zip of it."""
    config = {"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 3, "token_dim": 4, "base_model_name_or_path": "a/b"}
    kind = chance.randrange(3)
    weights = (safetensors, torch_zip, torch_older)[kind](chance) if chance.random() < 0.6 else None
    whole = build.safetensors({"prompt_embeddings": build.described([3, 4])}) if weights is None else weights
    name = "adapter_model.safetensors" if kind == 0 or weights is None else "adapter_model.bin"
    said = changed(chance, config) if chance.random() < 0.7 else config
    top = chance.choice(("", "", "noir/"))
    return build.zipped({f"{top}adapter_config.json": encoded(chance, said), top + name: whole})


_MAKERS: dict[str, Callable[[Random], bytes]] = {
    "mkultra JSON": mkultra,
    "KoboldAI zip": kobold,
    "mtj-softtuner state": mtj,
    "torch, zip": torch_zip,
    "torch, older": torch_older,
    "PEFT": peft,
    "numpy": array,
    "safetensors": safetensors,
}
READERS = tuple(_MAKERS)
