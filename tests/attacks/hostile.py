"""`ATTACKS["torch"]["a shell command"]()`: files that try to run something, to fill the memory, or to stand still.

Every one of them is to be refused, by `tests/attacks/test_attacks.py` within a second and a stated amount of memory.
"""

from __future__ import annotations

import json
import os
import struct
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from . import build
from .build import NUMBERS, archive, deflated, described, entry, integer, nested, program, shaped, tensor, text

CANARY = Path(tempfile.gettempdir()) / f"soft-prompts-canary-{os.getpid()}"
"""What a payload that was run would have made."""

COMMAND = text(f"echo > {CANARY}")
HUGE = 1 << 62
Attack = Callable[[], bytes]

PAYLOADS: dict[str, bytes] = {
    "a shell command": b"cos\nsystem\n" + COMMAND + b"\x85R",
    "a shell command by its own name": b"cposix\nsystem\n" + COMMAND + b"\x85R",
    "Python code": b"cbuiltins\nexec\n" + text(f"open({str(CANARY)!r}, 'w')") + b"\x85R",
    "a program": b"csubprocess\nPopen\n" + COMMAND + b"\x85R",
    "torch.load": b"ctorch.serialization\nload\n" + text(str(CANARY)) + b"\x85R",
    "a name with dots": text("torch._utils") + text("_rebuild_tensor_v2.__globals__") + b"\x93)R",
    "a module of ours": b"csoft_prompts.container\nwrite_atomically\n" + text(str(CANARY)) + b"C\x01x\x86R",
    "a name that is none": integer(3) + integer(4) + b"\x93)R",
    "an instance (INST)": b"(" + COMMAND + b"ios\nsystem\n",
    "an object (OBJ)": b"(cos\nsystem\n" + COMMAND + b"o",
    "a class (NEWOBJ)": b"ccollections\nOrderedDict\n)\x81",
    "a class (NEWOBJ_EX)": b"ccollections\nOrderedDict\n)}\x92",
    "a registered extension": b"\x82\x01",
    "a changed object (BUILD)": tensor() + b"}(" + text("__class__") + COMMAND + b"ub",
    "a call of a tensor": tensor() + b")R",
    "a call of a type": b"ctorch\nFloatStorage\n)R",
    "a call without a tuple": b"ccollections\nOrderedDict\n]R",
    "a dictionary by arguments": b"ccollections\nOrderedDict\n](]" + text("a") + b"a" + text("b") + b"ae\x85R",
    "a parameter of nothing": b"ctorch._utils\n_rebuild_parameter\n)R",
    "a tensor of nothing": b"ctorch._utils\n_rebuild_tensor_v2\n)R",
    "a name in the text protocol": b"Pos.system\n0" + text("a"),
    "a storage that is none": text("storage") + b"Q",
    "a storage of another kind": b"(" + text("module") + text("a") + text("b") + text("c") + integer(1) + b"tQ",
    "a storage with a view": build.storage()[:-2] + b"(KaKbKctNtQ",
    "bytes that are no storage": nested(b"")[:-2] + text("x") + b"\x85R",
    "a memo of 32 GB": b"N" + b"r\xff\xff\xff\xff" + b"h\x05",
    "bytes of 2 EB": b"\x8e" + struct.pack("<Q", HUGE) + b"x",
    "bytes of 4 GB": b"B\xff\xff\xff\xffx",
    "a text of 2 EB": b"\x8d" + struct.pack("<Q", HUGE) + b"x",
    "a number of 4 GB": b"\x8b\xff\xff\xff\x7fx",
    "a million instructions": b"N0" * 500_000,
    "a tower of tuples as a key": b"}" + b")" + b"2\x86" * 60 + b"Ns",
    "a tower of remembered tuples as a key": b"})" + b"q\x00h\x00\x86" * 60 + b"Ns",
    "keys that collide": b"}(" + b"".join(integer(((1 << 61) - 1) * n) + b"N" for n in range(9_000)) + b"u",
    "a list in itself": b"]q\x00" + b"h\x00a" * 9_000,
    "lists of lists of lists": b"]q\x00" + b"".join(b"]q\x01(" + b"h\x00" * 60 + b"eq\x00" for _ in range(400)),
    "a tower of a hundred thousand": b")" + b"\x85" * 90_000,
    "no mark": b"Nt",
    "an empty stack": b"0",
    "a mark as a value": b"(0",
    "an append to nothing": b"NNa",
    "half a pair": b"}(Nu",
    "a key that is a list": b"}]Ns",
    "what was never remembered": b"h\x07",
    "half a character": b"X\x01\x00\x00\x00\xff",
    "a name without an end": b"cos" + b"x" * 300,
}

VIEWS: dict[str, bytes] = {
    "a view beyond its numbers": tensor((3, 5), (5, 1)),
    "a view that begins beyond": tensor(offset=1),
    "one number, two thousand million times": tensor((16_384, 131_072), (0, 0)),
    "a stride that leaves": tensor((2, 2), (1 << 40, 1)),
    "a stride backwards": tensor((3, 4), (-4, 1), 8),
    "a shape below zero": tensor((-3, -4)),
    "a shape of 2 EB": tensor((1 << 40, 1 << 40), (0, 0)),
    "more strides than sizes": tensor((3, 4), (4, 1, 1)),
    "a hundred dimensions": tensor((1,) * 100, (1,) * 100),
    "no dimension": tensor((), ()),
    "no token": tensor((0, 4), (4, 1)),
    "a storage of 2 EB": tensor(held=build.storage(1 << 61)),
    "a storage beyond 64 bits": tensor(held=build.storage(1 << 70)),
    "a storage below zero": tensor(held=build.storage(-12)),
    "a storage of no type": tensor(held=b"(" + text("storage") + b"N" + text("0") + text("cpu") + integer(12) + b"tQ"),
    "a storage of another module": tensor(held=build.storage(module="os")),
    "a storage with a path": tensor(held=build.storage(key="../../../../etc/passwd")),
    "whole numbers": tensor(held=build.storage(6, kind="LongStorage")),
    "a shape of texts": tensor().replace(build.sizes(3, 4), text("34")),
}
INFINITE = struct.pack("<12f", *[float("nan")] * 6, *[float("inf")] * 6)
BOMB = bytes(1 << 24)
JSON_ATTACKS: dict[str, Attack] = {
    "a million brackets": lambda: b"[" * 1_000_000,
    "a hundred thousand brackets": lambda: b"[" * 100_000,
    "keys upon keys": lambda: b'{"a":' * 40_000,
    "60 MB of commas": lambda: b"[" + b"0," * 30_000_000 + b"0]",
    "60 MB of text": lambda: b'{"tensor": "' + b"A" * 60_000_000,
    "more than is read": lambda: b'{"tensor": "' + b"A" * (1 << 26),
    "a number of 100,000 digits": lambda: b'{"tensor": ' + b"9" * 100_000 + b"}",
    "a key twice": lambda: b'{"tensor": "", "tensor": ""}',
    "a key twice within": lambda: b'{"metadata": {"name": "a", "name": "b"}, "tensor": ""}',
    "metadata that is a list": lambda: build.mkultra(program(tensor(held=inner())), ["a"]),
    "300 keys of metadata": lambda: build.mkultra(program(tensor(held=inner())), {str(n): n for n in range(300)}),
    "no base64": lambda: b'{"tensor": "...."}',
    "half of base64": lambda: b'{"tensor": "gAKK"',
    "letters that are none": lambda: '{"tensor": "ééé"}'.encode(),
    "no UTF-8": lambda: b'{"tensor": "\xff"}',
    "a tensor that is a number": lambda: b'{"tensor": 3}',
    "no pickle": lambda: build.mkultra(b""),
    "a pickle of a text": lambda: build.mkultra(program(text("a"))),
    "two prompts": lambda: b"[" + build.mkultra(b"") + b"," + build.mkultra(b"") + b"]",
    "a prompt in a text in a text in a text": lambda: json.dumps(
        json.dumps(json.dumps({"a": build.mkultra(b"").decode()}))
    ).encode(),
    "a text that is a bomb of brackets": lambda: json.dumps({"a": "[" * 100_000 + '"tensor"'}).encode(),
    "a storage outside of itself": lambda: build.mkultra(program(tensor())),
}


def inner(pickle: bytes = b"") -> bytes:
    """A storage as mkultra has it: torch's older container within the pickle."""
    return nested(build.torch_older(pickle or program(build.storage())))


def window(size: int) -> bytes:
    """LZMA that asks for so much memory."""
    return b"\x09\x04\x05\x00\x5d" + struct.pack("<I", size) + bytes(64)


NPY_ATTACKS: dict[str, Attack] = {
    "a shape of 4 EB": lambda: build.npy(shaped(f"({1 << 30}, {1 << 30})")),
    "a shape of 8 GB": lambda: build.npy(shaped("(16384, 131072)")),
    "a shape below zero": lambda: build.npy(shaped("(-3, -4)")),
    "a shape of a million digits": lambda: build.npy(shaped("(" + "9" * 9_000 + ", 1)")),
    "a hundred dimensions": lambda: build.npy(shaped("(" + "1, " * 60 + ")")),
    "no token": lambda: build.npy(shaped("(0, 4)"), b""),
    "a shape that is a call": lambda: build.npy(shaped("__import__('os').system('true')")),
    "a header of 4 GB": lambda: build.npy(shaped("(3, 4)"), version=2, length=0xFFFFFFF0),
    "a header of brackets": lambda: build.npy("(" * 60_000),
    "a header of spaces": lambda: build.npy("{" + " " * 60_000),
    "a header of quotes": lambda: build.npy("{" + "'a':" * 15_000),
    "a header of pairs": lambda: build.npy("{" + "".join(f"'k{n}':True," for n in range(900))),
    "a header that says it twice": lambda: build.npy(shaped("(3, 4)")[:-1] + "'shape': (3, 4), }"),
    "a header without a shape": lambda: build.npy("{'descr': '<f4', 'fortran_order': False, }"),
    "a coming version": lambda: build.npy(shaped("(3, 4)"), version=9),
    "objects": lambda: build.npy(shaped("(3, 4)", "'|O'"), program(PAYLOADS["a shell command"])),
    "a table of names": lambda: build.npy(shaped("(3, 4)", "[('a', '<f4')]")),
    "texts": lambda: build.npy(shaped("(3, 4)", "'<U1'")),
    "numbers of 2 GB": lambda: build.npy(shaped("(1, 1)", "'<V2147483647'")),
    "numbers behind": lambda: build.npy(shaped("(3, 4)"), NUMBERS + b"x"),
    "numbers missing": lambda: build.npy(shaped("(3, 4)"), NUMBERS[:-1]),
    "NaN and infinity": lambda: build.npy(shaped("(3, 4)"), INFINITE),
    "a head alone": lambda: b"\x93NUMPY\x01",
}


def meta(data: bytes) -> bytes:
    return archive(entry(), entry(b"meta.json", data))


ZIP_ATTACKS: dict[str, Attack] = {
    "1 GB in 1 MB": lambda: archive(entry(packed=deflated(BOMB, 64), method=8, size=1 << 30)),
    "1 GB in 1 MB, said to be small": lambda: archive(entry(packed=deflated(BOMB, 64), method=8, size=176)),
    "1 GB in 1 MB, said to be an array": lambda: archive(
        entry(data=build.npy(shaped("(16384, 16384)"), b""), packed=deflated(BOMB, 64), method=8, size=(1 << 30) + 128)
    ),
    "32 MB in 5 KB, by LZMA": lambda: archive(entry(packed=build.lzma_packed(bytes(1 << 25)), method=14, size=1 << 25)),
    "a window of 4 GB": lambda: archive(entry(packed=window(0xFFFFFFFF), method=14)),
    "LZMA of noise": lambda: archive(entry(packed=window(1 << 16)[:9] + bytes(range(256)), method=14)),
    "LZMA of nothing": lambda: archive(entry(packed=b"", method=14)),
    "LZMA of wrong settings": lambda: archive(entry(packed=b"\x09\x04\x05\x00\xff" + bytes(8), method=14)),
    "LZMA of odd settings": lambda: archive(entry(packed=b"\x09\x04\x05\x00\xe0" + bytes(8), method=14)),
    "noise": lambda: archive(entry(packed=bytes(range(256)), method=8)),
    "another method": lambda: archive(entry(method=12)),
    "a password": lambda: archive(entry(flags=1)),
    "a wrong checksum": lambda: archive(entry(crc=1)),
    "a member twice": lambda: archive(entry(), entry()),
    "members over each other": lambda: archive(*[(b"", entry()[1])] * 2, entry(b"x")),
    "another name in its place": lambda: archive(entry(local=b"meta.json!")),
    "a member behind the directory": lambda: archive(entry(b"a"), (b"", entry()[1]), end=entry()[0]),
    "a link to a file": lambda: archive(entry(data=b"/etc/passwd", mode=0o120777)),
    "a path out of the folder": lambda: archive(entry(b"../../tensor.npy")),
    "an absolute path": lambda: archive(entry(b"/tensor.npy")),
    "a directory of 2 MB": lambda: archive(*[entry(b"%d" % n, b"") for n in range(40_000)]),
    "a directory of 4 GB": lambda: archive(entry(), length=0xFFFFFFF0),
    "a directory out of the file": lambda: archive(entry(), place=0xFFFFFFF0),
    "a directory of zeros": lambda: archive(entry(), (b"", bytes(99))),
    "half a directory": lambda: archive(entry(), length=30),
    "no directory": lambda: build.ARRAY + b"PK\x05\x06",
    "a large archive without its record": lambda: archive(entry(), place=0xFFFFFFFF),
    "a large archive with its record nowhere": lambda: archive(entry(), record=HUGE),
    "a large archive with its record beyond 63 bits": lambda: archive(entry(), record=(1 << 64) - 1),
    "a large member that begins beyond 63 bits": lambda: archive(
        entry(b"a"),
        (b"", entry(extra=struct.pack("<2HQ", 1, 8, (1 << 64) - 1))[1].replace(b"%s", b"\xff" * 4)),
    ),
    "a large archive with its record elsewhere": lambda: archive(entry(), record=0),
    "a large archive of 4 EB": lambda: archive(entry(), record=-1, length=HUGE),
    "a large archive that begins nowhere": lambda: archive(entry(), record=-1, place=HUGE),
    "a large member that is 4 EB": lambda: archive(
        entry(size=0xFFFFFFFF, extra=struct.pack("<2HQ", 1, 8, HUGE)),
    ),
    "a large member that begins nowhere": lambda: archive(
        entry(b"a"),
        (b"", entry(extra=struct.pack("<2HQ", 1, 8, HUGE))[1].replace(b"%s", b"\xff" * 4)),
    ),
    "a large member without its size": lambda: archive(entry(size=0xFFFFFFFF)),
    "a comment with another end": lambda: archive(entry(), end=b"PK\x05\x06" + bytes(18)),
    "a zip in a zip": lambda: build.zipped({"a.zip": build.zipped({"tensor.npy": build.ARRAY})}),
    "metadata of 2 MB": lambda: meta(b'"' + b"a" * (2 << 20) + b'"'),
    "metadata of brackets": lambda: meta(b"[" * 100_000),
    "metadata of commas": lambda: meta(b"[" + b"0," * 200_000 + b"0]"),
    "metadata that says it twice": lambda: meta(b'{"name": "a", "name": "b"}'),
    "metadata that is a list": lambda: meta(b"[1]"),
    "300 keys of metadata": lambda: meta(json.dumps({str(n): n for n in range(300)}).encode()),
    "no UTF-8 as metadata": lambda: meta(b'{"name": "\xff"}'),
    **{f"an array: {name}": lambda made=made: archive(entry(data=made())) for name, made in NPY_ATTACKS.items()},  # type: ignore[misc]
}


def mtj(**members: bytes) -> bytes:
    return build.zipped({f"{name}.npy": data for name, data in members.items()}, zipfile.ZIP_DEFLATED)


MTJ_ATTACKS: dict[str, Attack] = {
    **{
        f"an array: {name}": lambda made=made: mtj(tensor=made(), step=build.ARRAY)
        for name, made in NPY_ATTACKS.items()
    },  # type: ignore[misc]
    "no array": lambda: mtj(step=build.ARRAY),
    "a step of 1 GB": lambda: archive(
        entry(data=b""), entry(b"step.npy", packed=deflated(BOMB, 64), method=8, size=1 << 30)
    ),
}

ENTRY = {"x": described([3, 4])}
SAFETENSORS_ATTACKS: dict[str, Attack] = {
    "a header of 1 TB": lambda: build.safetensors(ENTRY, length=1 << 39),
    "a header of 2 MB": lambda: build.safetensors(b"{" + b" " * (2 << 20)),
    "a header of brackets": lambda: build.safetensors(b'{"a":' + b"[" * 30_000),
    "a shape of 4 EB": lambda: build.safetensors({"x": described([1 << 40, 1 << 40])}),
    "a shape below zero": lambda: build.safetensors({"x": described([-3, -4])}),
    "a shape of no token": lambda: build.safetensors({"x": described([0, 4], 0)}, b""),
    "bfloat16 of another size": lambda: build.safetensors({"x": described([3, 4], 48, "BF16")}),
    "whole numbers": lambda: build.safetensors({"x": described([3, 4], 48, "I32")}),
    "a name twice": lambda: build.safetensors(b'{"x": {}, "x": {}}'),
    "tensors over each other": lambda: build.safetensors({**ENTRY, "y": described([3, 4])}),
    "a hole": lambda: build.safetensors({"x": described([2, 4], 48, start=16)}),
    "numbers missing": lambda: build.safetensors(ENTRY, NUMBERS[:-1]),
    "numbers behind": lambda: build.safetensors(ENTRY, NUMBERS + b"x"),
    "nothing": lambda: build.safetensors({}, b""),
    "NaN and infinity": lambda: build.safetensors(ENTRY, INFINITE),
    "metadata of numbers": lambda: build.safetensors({"__metadata__": {"a": 1}, **ENTRY}),
    "300 keys of metadata": lambda: build.safetensors({"__metadata__": {str(n): "" for n in range(300)}, **ENTRY}),
}


def in_json(body: bytes) -> Attack:
    return lambda: build.mkultra(program(body))


def views_in_json(body: bytes) -> Attack:
    """The same view over a storage that stands in the pickle, as it must in JSON."""
    return lambda: build.mkultra(program(body.replace(build.storage(), inner())))


def everywhere(wrap: Callable[[bytes], bytes]) -> dict[str, Attack]:
    return {name: lambda body=body: wrap(program(body)) for name, body in {**PAYLOADS, **VIEWS}.items()}  # type: ignore[misc]


def deeper(payload: bytes) -> bytes:
    """In the bytes of a storage in a pickle: what `torch.storage._load_from_bytes` would run."""
    return tensor(held=nested(build.torch_older(program(payload))))


NESTED: dict[str, bytes] = {
    **{f"in a storage: {name}": deeper(body) for name, body in PAYLOADS.items()},
    "in a storage in a storage: a shell command": deeper(deeper(PAYLOADS["a shell command"])),
    "in a storage: a zip of torch": tensor(held=nested(build.torch_zip(program(PAYLOADS["a shell command"])))),
    "in a storage: a bare pickle": tensor(held=nested(program(PAYLOADS["a shell command"]))),
    "in a storage: a tensor": tensor(held=nested(build.torch_older(program(tensor())))),
    "in a storage: nothing": tensor(held=nested(b"")),
}

OLDER_ATTACKS: dict[str, Attack] = {
    **everywhere(build.torch_older),
    **{name: lambda body=body: build.torch_older(program(body)) for name, body in NESTED.items()},  # type: ignore[misc]
    "a command as the version": lambda: build.torch_older(
        program(tensor()), version=program(PAYLOADS["a shell command"])
    ),
    "a command as the machine": lambda: build.torch_older(
        program(tensor()), about=program(PAYLOADS["a shell command"])
    ),
    "a command as the keys": lambda: build.torch_older(program(tensor()), keys=program(PAYLOADS["a shell command"])),
    "another version": lambda: build.torch_older(program(tensor()), version=program(b"K\x01")),
    "another machine": lambda: build.torch_older(program(tensor()), about=build.machine(b"\x89")),
    "keys that are none": lambda: build.torch_older(program(tensor()), keys=program(b"]Na")),
    "a key twice": lambda: build.torch_older(program(tensor()), keys=program(b"](" + text("0") * 2 + b"e")),
    "a key too many": lambda: build.torch_older(program(tensor()), keys=program(b"](" + text("0") + text("1") + b"e")),
    "a key missing": lambda: build.torch_older(program(tensor()), keys=program(b"]")),
    "a storage in two ways": lambda: build.torch_older(
        program(b"]" + tensor() + b"a" + tensor(held=build.storage(kind="HalfStorage")) + b"a")
    ),
    "a storage of another length": lambda: build.torch_older(program(tensor()), struct.pack("<q", 13) + NUMBERS),
    "bytes behind": lambda: build.torch_older(program(tensor()), struct.pack("<q", 12) + NUMBERS + b"x"),
    "NaN and infinity": lambda: build.torch_older(program(tensor()), struct.pack("<q", 12) + INFINITE),
    "a pickle of 2 MB": lambda: build.torch_older(program(b"C\xff" + b"x" * 255 + (b"0C\xff" + b"x" * 255) * 8_200)),
}

TORCH_ATTACKS: dict[str, Attack] = {
    **everywhere(build.torch_zip),
    **{name: lambda body=body: build.torch_zip(program(body)) for name, body in NESTED.items()},  # type: ignore[misc]
    "two pickles": lambda: build.torch_zip(program(tensor()), **{"more/data.pkl": program(b"N")}),
    "a program of torch": lambda: build.torch_zip(program(tensor()), **{"code/a.py": b"import os"}),
    "another machine": lambda: build.torch_zip(program(tensor()), byteorder=b"big"),
    "a pickle of 2 MB": lambda: build.torch_zip(bytes(2 << 20)),
    "a pickle that grows": lambda: archive(entry(b"a/data.pkl", packed=deflated(BOMB, 64), method=8, size=1 << 30)),
    "numbers missing": lambda: build.torch_zip(program(tensor()), NUMBERS[:-1]),
    "NaN and infinity": lambda: build.torch_zip(program(tensor()), INFINITE),
    "numbers that grow": lambda: archive(
        entry(b"a/data.pkl", program(tensor((16_384, 16_384), (16_384, 1), held=build.storage(1 << 28)))),
        entry(b"a/data/0", packed=deflated(BOMB, 64), method=8, size=1 << 30),
    ),
}

MKULTRA_ATTACKS: dict[str, Attack] = {
    **JSON_ATTACKS,
    **{name: in_json(body) for name, body in {**PAYLOADS, **NESTED}.items()},
    **{name: views_in_json(body) for name, body in VIEWS.items()},
    "NaN and infinity": lambda: build.mkultra(
        program(tensor(held=nested(build.torch_older(program(build.storage()), struct.pack("<q", 12) + INFINITE))))
    ),
}

CONFIG = b'{"peft_type": "PROMPT_TUNING"}'


def adapter(weights: bytes, config: bytes = CONFIG, name: str = "adapter_model.bin") -> bytes:
    return build.zipped({"adapter_config.json": config, name: weights})


PEFT_ATTACKS: dict[str, Attack] = {
    **{name: lambda body=body: adapter(build.torch_zip(program(body))) for name, body in PAYLOADS.items()},  # type: ignore[misc]
    **{
        f"vectors: {name}": lambda made=made: adapter(made(), name="adapter_model.safetensors")  # type: ignore[misc]
        for name, made in SAFETENSORS_ATTACKS.items()
    },
    "a configuration of brackets": lambda: adapter(b"", b"[" * 60_000),
    "a configuration of 1 MB": lambda: adapter(b"", b" " * (1 << 20)),
    "a configuration that says it twice": lambda: adapter(b"", CONFIG[:-1] + b', "peft_type": "LORA"}'),
    "a configuration that is a list": lambda: adapter(b"", b"[]"),
    "a kind that is a list": lambda: adapter(b"", b'{"peft_type": ["PROMPT_TUNING"]}'),
    "sizes that lie": lambda: adapter(build.safetensors(ENTRY), CONFIG[:-1] + b', "num_virtual_tokens": 9}'),
    "no vectors": lambda: build.zipped({"adapter_config.json": CONFIG}),
}

ATTACKS: Mapping[str, Mapping[str, Attack]] = {
    "mkultra JSON": MKULTRA_ATTACKS,
    "KoboldAI zip": ZIP_ATTACKS,
    "mtj-softtuner state": MTJ_ATTACKS,
    "torch, zip": TORCH_ATTACKS,
    "torch, older": OLDER_ATTACKS,
    "PEFT": PEFT_ATTACKS,
    "numpy": NPY_ATTACKS,
    "safetensors": SAFETENSORS_ATTACKS,
}
"""{reader: {what is tried: the file}}."""

CUT = (
    "mkultra.json", "mkultra-inside.json", "kobold.zip", "kobold-bfloat16.zip", "state.mtjsp", "state.mkusp",
    "state-older.mkusp", "one.pt", "one-older.pt", "embedding.bin", "google.npy", "one.safetensors",
)  # fmt: skip
"""The golden files that are cut at every 64th byte."""
