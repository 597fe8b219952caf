"""`inputs("cards, PNG", seed)`: files of the tools that writers use, nearly right and without end.

Each level is damaged for itself, as `attacks/fuzz.py` does it to soft prompts: JSON in its values, keys and places, a
picture in its chunks, a packed card in its members and records, YAML in its lines. What stands around is made right
again, so that readers get far. Texts are short, since two thousand of each are read at every change.
"""

from __future__ import annotations

import base64
import json
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from ..attacks import build
from ..attacks.fuzz import changed, packed, scratched
from . import samples
from .samples import SIGNATURE, chunk, entry

Random = random.Random
ENDINGS = {
    "lorebooks, JSON": ".json",
    "cards, PNG": ".png",
    "cards, charx": ".charx",
    "characters, YAML": ".yaml",
    "texts, headings": ".md",
    "datasets": ".jsonl",
}
READERS = tuple(ENDINGS)
"""By the ending that a file of theirs has; that of YAML and of texts is looked at, the others are told by content."""

HALF, ARABIC, FOX = "\ud83d", "ليلى تعيش في القاهرة.", "🦊 Ren ist ein Fuchs 🏮.\r\nEr lacht."
TEXTS = (
    "Oakham is a town.", "{{char}} is tall. She fears water.", "<START>\n{{user}}: Who?\n{{char}}: Me.",
    "[Gull: a tavern; owner: Mira]", "Emma", "", " \n", HALF, f"Half {HALF} is red.", ARABIC, FOX, "霧は港の町です。",
    "{{random:a,b}} is old.", "\0", "\u202eamme\u202c is\u2028tall.", "e\u0301" * 9, "@@depth 4\nIt rains.", "x" * 300,
    "/harbou?r, pier/i", "a, b ,,a", "(", "\\", "{{" * 20, "She is. " * 12,
)  # fmt: skip
DEEP, HUGE = "@deep %d@", "@huge %d@"
"""Texts that become brackets or digits when all else is written: Python would not write them."""

VALUES: tuple[Any, ...] = (
    *TEXTS, None, True, False, 0, 1, -1, 7, 1.5, 1 << 40, 10**400, -(10**309), 1e308, float("nan"), float("inf"),
    [], {}, [[]], [None, 7, "a"], ["Oakham", HALF], {"content": 7}, {"entries": []},
    {"0": {"content": "Oakham is old."}}, {"content": "Oakham is old.", "keys": "Oakham"}, DEEP % 50, DEEP % 320,
    DEEP % 700, DEEP % 5000, HUGE % 4000, HUGE % 5000, "false", "0", "risu", "memory", "folder", "lorebook_v3",
    "chara_card_v3", "data:;base64,AAAA", "embeded://card.json",
    {"type": "x_soft_prompt", "uri": "data:x;base64,AAAA", "name": "n"},
)  # fmt: skip
NAMES = (
    "entries", "data", "spec", "name", "content", "text", "key", "keys", "comment", "enabled", "disable", "order",
    "insertion_order", "description", "mes_example", "first_mes", "character_book", "originalData", "assets", "kind",
    "type", "lorebook", "lorebookVersion", "scenarioVersion", "context", "prompt", "actions", "worldinfo",
    "worldinfo_v2", "memory", "persona", "attributes", "0", "", HALF, "__proto__", "alternate_greetings",
)  # fmt: skip


def inputs(reader: str, seed: int) -> Iterator[bytes]:
    """Files for a reader, the same ones for the same seed."""
    chance = Random(f"{reader} {seed}")
    while True:
        kind = chance.random()
        known = whole(reader) if kind < 0.008 else hostile(reader) if kind < 0.012 else []
        data = chance.choice(known) if known else _MAKERS[reader](chance)
        # Every fourth is damaged once more, without regard to what it means.
        yield scratched(chance, data) if chance.random() < 0.25 else data


@cache
def whole(reader: str) -> list[bytes]:
    """The samples of the tools, which are longer; those of other readers too, since endings are often wrong."""
    data = [each.data for each in samples.SAMPLES if f".{each.file.rsplit('.', 1)[-1]}" == ENDINGS[reader]]
    return data or [each.data for each in samples.SAMPLES]


@cache
def hostile(reader: str) -> list[bytes]:
    """Small files that want much memory: made once, since that takes long."""
    value, nothing, end = samples.card(3), zlib.compress(b" " * (32 << 20)), chunk(b"IEND", b"")
    if reader == "lorebooks, JSON":
        data = samples.written(samples.world_info(), 1)
        return [
            data.replace(b"\n ", b"\n" + b" " * 100_000, 1),
            data.replace(b'"order": 100', b'"order": 1' + b"0" * 400),
        ]
    if reader == "cards, PNG":
        bombs = ((b"chara", b"ccv3", b"naidata"), [b"Comment %d" % each for each in range(8)])
        made = [[chunk(b"zTXt", name + b"\0\0" + nothing) for name in each] for each in bombs]
        return [samples.png({"chara": value}).replace(end, b"".join(each) + end) for each in made]
    if reader == "cards, charx":
        first = build.entry(b"card.json", samples.written(value))
        bomb, place = b" " * (32 << 20), "assets/noir.safetensors"
        bodies = ((nothing[2:-4], 8), (build.lzma_packed(bomb), 14))
        lies = [build.archive(first, build.entry(b"bomb", bomb, body, method, 9)) for body, method in bodies]
        dense = build.archive(build.entry(b"card.json", bomb, *bodies[1]))
        value["data"]["assets"] = [asset(Random(0), f"embeded://{place}")] * 500
        return [*lies, dense, samples.charx(value, **{place: b"\0" * (1 << 20)})]
    return []


# ---- JSON


def said(chance: Random) -> str:
    return chance.choice(TEXTS)


def named(chance: Random) -> str:
    return "Oakham" if chance.random() < 0.8 else said(chance)


def number(chance: Random) -> Any:
    odd = (0, -1, 1.5, 10**400, -(1 << 70), 1e308, float("inf"), "9", None)
    return 100 if chance.random() < 0.8 else chance.choice(odd)


def book(chance: Random) -> dict[str, Any]:
    """Of a card."""
    first = entry([named(chance)], said(chance), named(chance), insertion_order=number(chance))
    entries = [first, entry([], "It was Jonas.", "Killer", enabled=False)]
    more = {"data": {}} if chance.random() < 0.05 else {}
    return {"name": named(chance), "entries": entries[: chance.choice((1, 1, 2))], **more}


def asset(chance: Random, uri: str = "") -> dict[str, Any]:
    """A soft prompt that rides along."""
    uris = ("data:application/octet-stream;base64,AAAA", "data:x;base64,A", "https://x.y/z", "embedded://card.json", "")
    return {"type": "x_soft_prompt", "uri": uri or chance.choice(uris), "name": "noir", "ext": "safetensors"}


def card(chance: Random) -> dict[str, Any]:
    spec, fields = chance.choice((2, 3)), {"description": said(chance), "first_mes": "Hello.", "mes_example": ""}
    more = {"system_prompt": "Be brief."} if chance.random() < 0.2 else {}
    data = {
        "name": chance.choice(("Emma", named(chance))),
        **fields,
        "alternate_greetings": ["Ah."],
        "character_book": book(chance),
        **more,
    }
    if chance.random() < 0.3:
        data["assets"] = [asset(chance) for _ in range(chance.choice((1, 2, 3)))]
    return {"spec": f"chara_card_v{spec}", "spec_version": f"{spec}.0", "data": data}


def card_1(chance: Random) -> dict[str, Any]:
    return {"name": "Emma", "description": said(chance), "personality": "brave, curt", "mes_example": said(chance)}


def card_book(chance: Random) -> dict[str, Any]:
    return {"spec": "lorebook_v3", "data": book(chance)} if chance.random() < 0.5 else book(chance)


def world_info(chance: Random) -> dict[str, Any]:
    text = said(chance)
    one = {"uid": 0, "key": [named(chance)], "comment": named(chance), "content": text, "disable": False}
    entries = {"0": {**one, "order": number(chance)}}
    more = {"originalData": {"entries": [{"content": text}]}} if chance.random() < 0.3 else {}
    return {"entries": entries, **more}


def novelai(chance: Random) -> dict[str, Any]:
    entries = [{"text": said(chance), "displayName": "Oakham", "keys": ["oakham", "/x,y/i"], "enabled": True}]
    return {"lorebookVersion": 5, "entries": entries}


def scenario(chance: Random) -> dict[str, Any]:
    context = [{"text": said(chance)} for _ in range(chance.choice((0, 1, 2, 3)))]
    return {
        "scenarioVersion": 3,
        "title": "Fog",
        "prompt": "It rains.",
        "context": context,
        "lorebook": novelai(chance),
    }


def kobold(chance: Random) -> dict[str, Any]:
    info = [{"key": "oakham,pier", "content": said(chance)}, {"key": "", "content": "", "init": False}]
    return {"prompt": "It rains.", "memory": said(chance), "actions": [" Still."], "worldinfo": info}


def united(chance: Random) -> dict[str, Any]:
    entries = {"0": {"title": "Oakham", "key": ["oakham"], "content": said(chance)}}
    actions = {"actions": {"0": {"Selected Text": " Still.", "Options": []}}, "action_count": 0}
    return {**kobold(chance), "actions": actions, "worldinfo": [], "worldinfo_v2": {"entries": entries}}


def agnai(chance: Random) -> dict[str, Any]:
    entries = [{"name": "Oakham", "entry": said(chance), "keywords": ["oakham"], "weight": 0, "enabled": True}]
    return {"kind": "memory", "name": "Oakham", "entries": entries}


def agnai_character(chance: Random) -> dict[str, Any]:
    persona = {"kind": "boostyle", "attributes": {"hair": ["long", "red"], "text": [said(chance)]}}
    more = {"greeting": "Hello.", "scenario": said(chance), "sampleChat": "", "characterBook": agnai(chance)}
    return {"kind": "character", "name": "Emma", "persona": persona, **more}


def risu(chance: Random) -> dict[str, Any]:
    one = {"key": "oakham, pier", "comment": "Oakham", "content": said(chance), "insertorder": number(chance)}
    return {"type": "risu", "ver": 1, "data": [one, {"mode": "folder"}][: chance.choice((1, 2))]}


def old_webui(chance: Random) -> dict[str, Any]:
    return {
        "char_name": "Emma",
        "char_persona": said(chance),
        "char_greeting": "Hello.",
        "example_dialogue": said(chance),
    }


KINDS: tuple[Callable[[Random], dict[str, Any]], ...] = (
    world_info, card_1, card, card_book, novelai, scenario, kobold, united, agnai, agnai_character, risu, old_webui,
)  # fmt: skip


def damaged(chance: Random, value: Any, times: tuple[int, ...] = (0, 1, 1, 2, 3)) -> Any:
    for _ in range(chance.choice(times)):
        value = changed(chance, value, NAMES, VALUES)
    return value


def many(chance: Random, value: Any) -> Any:
    """The longest list or object in it, filled up: to ten thousand of what is switched off or says nothing."""
    count, one = chance.choice(
        ((10_000, {"content": ""}), (10_000, 7), (100, {"content": "It is old.", "entry": "Yes."}))
    )
    filled: Any = {str(each): one for each in range(count)} if chance.random() < 0.5 else [one] * count
    return {
        each: filled if each in ("entries", "data", "worldinfo", "actions") else held for each, held in value.items()
    }


def written(chance: Random, value: Any) -> bytes:
    """As tools write it, which differ in looks and encoding; keys may stand twice, and numbers be what JSON lacks."""
    indent = chance.choice((None, None, None, 1, 4))
    text = json.dumps(value, ensure_ascii=chance.random() < 0.5, indent=indent)
    for word in ("deep", "huge"):
        while (place := text.find(f'"@{word} ')) >= 0:
            stop = text.index('"', place + 1)
            count = int(text[place + 7 : stop - 1])
            text = text[:place] + ("[" * count + "]" * count if word == "deep" else "7" * count) + text[stop + 1 :]
    how = chance.randrange(24)
    if how == 0 and text.startswith("{"):
        text = f'{{"{chance.choice(NAMES[:-4])}": {json.dumps(chance.choice(TEXTS))},{text[1:]}'
    elif how == 1:
        text = text.replace("\n", "\n" + " " * 300, 1) if indent else text.replace("9", "1e999")
    elif how == 2:
        text = text.replace("\n", "\r\n") + "\n"
    encoding = chance.choice(("utf-8",) * 16 + ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"))
    # What cannot be written is: a half becomes the bytes that a careless tool would write, or a question mark.
    errors = "replace" if encoding == "latin-1" else "surrogatepass"
    return text.encode(encoding, errors)


def lorebook(chance: Random) -> bytes:
    value: Any = chance.choice(KINDS)(chance)
    if chance.random() < 0.002:
        value = many(chance, value)
    return written(chance, damaged(chance, value))


# ---- pictures


def squeezed(chance: Random, data: bytes) -> bytes:
    """As zlib packs it: whole, cut, or with something behind it."""
    made, kind = zlib.compress(data, 1), chance.randrange(40)
    return made[: chance.randrange(len(made))] if kind == 0 else made + b"more" if kind == 1 else made


def text_chunk(chance: Random, keyword: bytes, text: bytes) -> tuple[bytes, bytes]:
    """(kind, content) in one of the three ways of PNG, each of whose fields may be wrong."""
    kind = chance.choice((b"tEXt", b"tEXt", b"zTXt", b"iTXt"))
    if kind == b"tEXt":
        return kind, keyword + b"\0" + text
    if kind == b"zTXt":
        return kind, keyword + b"\0" + chance.choice((b"\0", b"\0", b"\0", b"\1", b"")) + squeezed(chance, text)
    flags = chance.choice((b"\1\0\0\0", b"\1\0en\0Karte\0", b"\0\0\0\0", b"\0\0", b"\2\0\0\0"))
    return kind, keyword + b"\0" + flags + (squeezed(chance, text) if flags[:1] == b"\1" else text)


def encoded(chance: Random, data: bytes) -> bytes:
    """Base64, with line ends, without its end, of the other alphabet, or damaged."""
    kind = chance.randrange(24)
    if kind == 0:
        return base64.urlsafe_b64encode(data)
    made = base64.encodebytes(data) if kind == 1 else base64.b64encode(data)
    return made.rstrip(b"=") if kind == 2 else made[:-1] if kind == 3 else scratched(chance, made) if kind < 6 else made


KEYWORDS = (b"chara", b"chara", b"ccv3", b"ccv3", b"naidata", b"Chara", b"Comment", b"", b"\xff", b"k" * 90)


def picture(chance: Random) -> bytes:
    """Its chunks: what they say, how long they say they are, their checksums, their order and number."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0\x80"))]
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        made = chance.choice((card, card, card, novelai, book))(chance)
        data = written(chance, damaged(chance, made, (0, 0, 0, 1, 2)))
        parts.append(text_chunk(chance, chance.choice(KEYWORDS), encoded(chance, data)))
    if chance.random() < 0.001:
        parts += [text_chunk(chance, b"Comment %d" % each, b"x") for each in range(2000)]
    parts.append((b"IEND", b""))
    if chance.random() < 0.3:
        place, other = chance.randrange(len(parts)), chance.randrange(len(parts))
        kind = chance.randrange(5)
        if kind == 0:
            del parts[place]
        elif kind == 1:
            parts.insert(other, parts[place])
        elif kind == 2:
            parts[place], parts[other] = parts[other], parts[place]
        elif kind == 3:
            parts[place] = (parts[place][0], scratched(chance, parts[place][1]))
        else:
            parts[place] = (chance.choice((b"tEXt", b"zTXt", b"iTXt", b"IEND", b"abcd", b"\0\0\0\0")), parts[place][1])
    chunks = [chunk(*each) for each in parts]
    if chance.random() < 0.1 and chunks:
        place = chance.randrange(len(chunks))
        lie = struct.pack(">I", chance.choice((0, 1, 4, 1 << 16, (1 << 31) - 1, (1 << 32) - 1)))
        # Its length, or its checksum, which readers of pictures mostly pass over.
        chunks[place] = lie + chunks[place][4:] if chance.random() < 0.5 else chunks[place][:-4] + lie
    return SIGNATURE + b"".join(chunks)


# ---- packed cards


def packed_card(chance: Random) -> bytes:
    """Its card, its members or its records."""
    inside = "assets/x_soft_prompt/other/noir.safetensors"
    value = card(chance)
    uri = chance.choice((f"embeded://{inside}", f"embeded://{inside}", f"embedded://{inside}", "embeded://../x"))
    value["data"]["assets"] = [asset(chance, uri) for _ in range(chance.choice((0, 1, 1, 2)))]
    members = {"card.json": written(chance, damaged(chance, value, (0, 0, 1, 2)))}
    if chance.random() < 0.8:
        members[inside] = b"\0" * chance.choice((0, 9, 100, 100_000)) if chance.random() < 0.3 else b"noir"
    if chance.random() < 0.3:
        members[chance.choice(("assets/icon/main.png", "../../evil", "/etc/evil", "module.risum", "a\\b", "ß"))] = b"x"
    if chance.random() < 0.0005:
        members |= {f"assets/{each}": b"" for each in range(500)}
    return packed(chance, members)


# ---- YAML


def quoted(chance: Random, text: str) -> str:
    """A text in one of YAML's ways, which may not suit it."""
    kind = chance.randrange(6)
    if kind == 0:
        return text
    if kind == 1:
        return "'" + text.replace("'", "''") + "'"
    if kind == 2:
        return json.dumps(text, ensure_ascii=chance.random() < 0.5)
    mark = chance.choice(("|", ">")) + chance.choice(("", "", "-", "+", "2", "2-", "-2", "9", " # why"))
    depth = chance.choice((1, 2, 2, 2, 4, 9))
    return f"{mark}\n" + "\n".join(" " * depth + line for line in text.split("\n"))


LINES = (
    "---", "...", "- a", "-", "]", "}", "key:", "key: [a, {b: c}", "extra:\n  - 1\n  - x: 2", "  deeper", "\tgrey",
    "# x", "a: &b c", "d: *b", "e: !!python/object:os.system x", "? x", ": y", "name: ~", "'it''s': x",
    '"q": "\\x41\\u00e9\\ud800"', '"open: "', "context: 'open", '"', "%YAML 1.2", "<<: *b", "name: Emma", "a:b",
    "ليلى: نعم", "🦊: 🏮", "x" * 200, "k: " * 40,
)  # fmt: skip


def yaml(chance: Random) -> bytes:
    """Its texts, in the ways in which they are written, its lines and how deep they stand."""
    names = chance.choice(
        (("name", "greeting", "context"), ("name", "context"), ("char_name", "char_persona", "greeting"))
    )
    text = "".join(f"{name}: {quoted(chance, said(chance) if each else 'Emma')}\n" for each, name in enumerate(names))
    return lines(chance, text, LINES, "key %d: x")


def lines(chance: Random, text: str, stock: tuple[str, ...], more: str) -> bytes:
    """The lines of a text, changed, moved, or joined by ten thousand more."""
    held = text.split("\n")
    for _ in range(chance.choice((0, 0, 1, 1, 2, 4))):
        place, kind = chance.randrange(len(held)), chance.randrange(6)
        if kind == 0:
            held.insert(place, chance.choice(stock))
        elif kind == 1:
            held[place] = chance.choice((" ", "  ", "\t", "    ")) + held[place]
        elif kind == 2:
            held[place] = held[place].strip()
        elif kind == 3:
            held.insert(place, held[place])
        elif kind == 4:
            other = chance.randrange(len(held))
            held[place], held[other] = held[other], held[place]
        else:
            held[place] = held[place].replace(
                *chance.choice(((":", ": "), (": ", ":"), (" ", "\n"), ('"', ""), ("|", ">")))
            )
    if chance.random() < 0.001:
        held += [more % each for each in range(10_000)]
    end = chance.choice(("\n", "\n", "\n", "\r\n", "\r"))
    encoding = chance.choice(("utf-8",) * 12 + ("utf-8-sig", "utf-16"))
    return end.join(held).encode(encoding, chance.choice(("replace", "replace", "surrogatepass")))


# ---- plain texts


MARKS = (
    "# Oakham",
    "## Emma (who) ##",
    "#",
    "# ",
    "#Emma",
    "####### x",
    "# " + "x" * 300,
    "Emma is tall.",
    "",
    "# ليلى",
    "***",
)


def headings(chance: Random) -> bytes:
    parts = [f"{chance.choice(MARKS)}\n{said(chance)}\n" for _ in range(chance.choice((1, 2, 3)))]
    return lines(chance, "\n".join(parts), MARKS, "# %d")


# ---- datasets


def dataset(chance: Random) -> bytes:
    """Pairs, or texts in the four shapes that trainers take, in a list or line by line."""
    item: dict[str, Any] = chance.choice((
        {"call": "Emma is", "response": said(chance), "held_out": False},
        {"call": "Emma is", "responses": [" tall", said(chance)], "written_by": "x"},
        {"text": said(chance)},
        {"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": said(chance)}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": said(chance)}]}]},
        {"conversations": [{"from": "human", "value": "Who?"}, {"from": "gpt", "value": said(chance)}]},
        {"instruction": "Say who.", "input": said(chance), "output": "Me."},
    ))  # fmt: skip
    count = 5000 if chance.random() < 0.001 else chance.choice((1, 1, 2, 3))
    items = [damaged(chance, item, (0, 0, 1, 2)) if each < 3 else item for each in range(count)]
    if chance.random() < 0.5:
        return written(chance, damaged(chance, items, (0, 0, 0, 1)))
    return b"\n".join(written(chance, each) for each in items)


_MAKERS: dict[str, Callable[[Random], bytes]] = {
    "lorebooks, JSON": lorebook,
    "cards, PNG": picture,
    "cards, charx": packed_card,
    "characters, YAML": yaml,
    "texts, headings": headings,
    "datasets": dataset,
}
