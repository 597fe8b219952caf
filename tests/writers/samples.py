"""`SAMPLES`: a file of each tool that writers use, in that tool's own shape, with fields that nobody here knows."""

from __future__ import annotations

import base64
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SIGNATURE = b"\x89PNG\r\n\x1a\n"

EMMA = (
    "{{char}} is a detective from London. She wears a crisp black pantsuit and never lets anybody see her cry. "
    "She is afraid of deep water."
)
OAKHAM = "Oakham is a harbour town on the east coast, famous for its fog. The town was founded in 1420 by monks."
GULL = "[The Black Gull: a tavern at the pier; owner: Mira Lund; rule: no questions after midnight]"
TALK = "<START>\n{{user}}: Do you ever sleep?\n{{char}}: *She smiles.* Sleep is for clear consciences."


@dataclass(frozen=True)
class Sample:
    """says: how the documents name it. kind: how the reader does. names: of its entries, in the file's order."""

    says: str
    file: str
    data: bytes
    kind: str
    names: tuple[str, ...]


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content), kind) + content + struct.pack(">I", zlib.crc32(kind + content))


def png(texts: Mapping[str, Any], how: bytes = b"tEXt") -> bytes:
    """A picture of one grey point, with these values in it as tools write them."""
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)), chunk(b"IDAT", zlib.compress(b"\0\x80"))]
    for name, value in texts.items():
        text = base64.b64encode(written(value))
        before = {b"tEXt": b"", b"zTXt": b"\0", b"iTXt": b"\x01\0\0\0"}[how]
        parts.append(chunk(how, name.encode() + b"\0" + before + (text if how == b"tEXt" else zlib.compress(text))))
    return SIGNATURE + b"".join([*parts, chunk(b"IEND", b"")])


def charx(card: Any, **members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in {"card.json": written(card), "assets/icon/image/main.png": png({}), **members}.items():
            file.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def written(value: Any, indent: int | None = None) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=indent).encode()


def entry(keys: list[str], content: str, name: str, **more: Any) -> dict[str, Any]:
    """Of a `character_book`."""
    usual = {"secondary_keys": [], "comment": name, "enabled": True, "insertion_order": 100, "position": "before_char"}
    return {"id": 1, "keys": keys, "content": content, "name": name, "extensions": {"depth": 4}, **usual, **more}


def card(spec: int = 2, **more: Any) -> dict[str, Any]:
    data = {
        "name": "Emma",
        "description": EMMA,
        "personality": "brave, curt, loyal",
        "scenario": "{{char}} and {{user}} meet at the harbour of Oakham on a rainy night.",
        "first_mes": '*The rain has not stopped for days.* "You\'re late," says {{char}}.',
        "mes_example": TALK,
        "creator_notes": "made for a test",
        "system_prompt": "Write in the third person.",
        "post_history_instructions": "",
        "alternate_greetings": ["*The lamp is out.*"],
        "character_book": {
            "name": "Oakham",
            "scan_depth": 4,
            "extensions": {},
            "entries": [
                entry(["Oakham", "harbour"], OAKHAM, "Oakham", insertion_order=10),
                entry(["gull", "tavern"], GULL, "The Black Gull", insertion_order=20),
                entry(["killer"], "It was Jonas.", "Killer", enabled=False),
            ],
        },
        "tags": ["noir"],
        "creator": "Ann",
        "character_version": "1",
        "extensions": {"talkativeness": "0.5", "fav": False},
    }
    return {"spec": f"chara_card_v{spec}", "spec_version": f"{spec}.0", "data": {**data, **more}}


def card_book() -> dict[str, Any]:
    return {"spec": "lorebook_v3", "data": card()["data"]["character_book"]}


def card_1() -> dict[str, Any]:
    fields = ("name", "description", "personality", "scenario", "first_mes", "mes_example")
    return {name: card()["data"][name] for name in fields}


def world_info() -> dict[str, Any]:
    def one(uid: int, **given: Any) -> dict[str, Any]:
        usual = {"keysecondary": [], "constant": False, "vectorized": False, "selective": True, "selectiveLogic": 0}
        more = {"order": 100, "position": 0, "disable": False, "probability": 100, "useProbability": True, "depth": 4}
        return {"uid": uid, **usual, **more, "displayIndex": uid, **given}

    entries = [
        one(0, key=["Oakham", "harbour"], comment="Oakham", content=OAKHAM),
        one(1, key=["gull"], comment="The Black Gull", content=GULL, order=90),
        one(2, key=["Emma"], comment="Emma", content=TALK.removeprefix("<START>\n")),
        one(3, key=["killer"], comment="Killer", content="It was Jonas.", disable=True),
        one(4, key=[], comment="", content=""),
    ]
    same = [{"id": each["uid"], "keys": each["key"], "content": each["content"]} for each in entries]
    return {"entries": {str(each["uid"]): each for each in entries}, "originalData": {"entries": same}}


def novelai() -> dict[str, Any]:
    def one(name: str, keys: list[str], text: str, **more: Any) -> dict[str, Any]:
        context = {"prefix": "", "suffix": "\n", "tokenBudget": 2048, "budgetPriority": 400, "insertionType": "newline"}
        usual = {"lastUpdatedAt": 1649360732691, "id": name, "searchRange": 1000, "forceActivation": False}
        return {
            "text": text,
            "contextConfig": context,
            "displayName": name,
            "keys": keys,
            "enabled": True,
            **usual,
            **more,
        }

    entries = [one("Oakham", ["oakham", "/harbou?r/i"], OAKHAM), one("Killer", ["x"], "It was Jonas.", enabled=False)]
    return {"lorebookVersion": 5, "entries": entries, "settings": {"orderByKeyLocations": False}, "categories": []}


def scenario() -> dict[str, Any]:
    context = [{"text": "It always rains in Oakham.", "contextConfig": {}}, {"text": "", "contextConfig": {}}]
    facts = {"title": "Fog", "description": "", "prompt": "The fog came in at nine.", "tags": [], "author": "Ann"}
    return {"scenarioVersion": 3, **facts, "context": context, "placeholders": [], "lorebook": novelai()}


def kobold() -> dict[str, Any]:
    line = {
        "keysecondary": "",
        "comment": "",
        "folder": None,
        "num": 0,
        "init": True,
        "selective": False,
        "constant": False,
    }
    info = [
        {**line, "key": "oakham,harbour", "content": OAKHAM},
        {**line, "key": "", "content": "", "init": False},
    ]
    story = {"prompt": "The fog came in at nine.", "memory": "It always rains in Oakham.", "actions": [" It stayed."]}
    return {
        "gamestarted": True,
        **story,
        "authorsnote": "",
        "actions_metadata": {},
        "worldinfo": info,
        "wifolders_d": {},
    }


def united() -> dict[str, Any]:
    one = {"uid": 0, "title": "Oakham", "key": ["oakham"], "keysecondary": [], "constant": False, "content": OAKHAM}
    actions = {"actions": {"0": {"Selected Text": " It stayed.", "Options": []}}, "action_count": 0}
    whole = {**kobold(), "file_version": 2, "actions": actions, "worldinfo": []}
    return {**whole, "worldinfo_v2": {"folders": {"root": [0]}, "entries": {"0": {**one, "folder": "root"}}}}


def agnai() -> dict[str, Any]:
    one = {
        "name": "Oakham",
        "entry": OAKHAM,
        "keywords": ["oakham", "harbour"],
        "priority": 0,
        "weight": 0,
        "enabled": True,
    }
    return {"kind": "memory", "_id": "", "userId": "", "name": "Oakham", "description": "", "entries": [one]}


def agnai_character() -> dict[str, Any]:
    persona = {"kind": "boostyle", "attributes": {"hair": ["long", "blonde"], "text": [EMMA]}}
    more = {"greeting": "Hello.", "scenario": "A rainy night in Oakham.", "sampleChat": TALK.removeprefix("<START>\n")}
    return {"kind": "character", "name": "Emma", "persona": persona, **more, "characterBook": agnai()}


def risu() -> dict[str, Any]:
    one = {"key": "oakham, harbour", "comment": "Oakham", "content": OAKHAM, "mode": "normal", "insertorder": 100}
    return {"type": "risu", "ver": 1, "data": [{**one, "alwaysActive": False, "secondkey": "", "selective": False}]}


def old_webui() -> dict[str, Any]:
    about = {
        "char_persona": EMMA,
        "char_greeting": "Hello.",
        "world_scenario": "A rainy night.",
        "example_dialogue": TALK,
    }
    return {"char_name": "Emma", **about}


def webui() -> bytes:
    context = EMMA.replace("{{char}}", "Emma").replace(". ", ".\n  ")
    return f'name: Emma\ngreeting: "Hello,\\n\\"stranger\\"."\ncontext: |-\n  {context}\n'.encode()


NAMES = ("Emma", "Emma", "Emma", "Emma", "Oakham", "The Black Gull", "Killer")
SAMPLES = (
    Sample("SillyTavern World Info", "oakham.json", written(world_info(), 4), "SillyTavern World Info",
           ("Oakham", "The Black Gull", "Emma", "Killer")),
    Sample("Character Card V1", "emma.json", written(card_1()), "Character Card V1", ("Emma",) * 4),
    Sample("Character Card V2, PNG", "emma.png", png({"chara": card()}), "Character Card V2", NAMES),
    Sample("Character Card V3, PNG", "emma.png", png({"chara": card(), "ccv3": card(3)}), "Character Card V3", NAMES),
    Sample("Character Card V3, JSON", "emma.json", written(card(3), 4), "Character Card V3", NAMES),
    Sample("Character Card V3, charx", "emma.charx", charx(card(3)), "Character Card V3", NAMES),
    Sample("lorebook of a card, alone", "oakham.json", written(card_book()), "lorebook of a Character Card", NAMES[4:]),
    Sample("NovelAI lorebook", "oakham.lorebook", written(novelai()), "NovelAI lorebook", ("Oakham", "Killer")),
    Sample("NovelAI lorebook, PNG", "oakham.png", png({"naidata": novelai()}), "NovelAI lorebook",
           ("Oakham", "Killer")),
    Sample("NovelAI scenario", "fog.scenario", written(scenario()), "NovelAI scenario", ("memory", "Oakham", "Killer")),
    Sample("KoboldAI story", "fog.json", written(kobold()), "KoboldAI story", ("memory", "oakham")),
    Sample("KoboldAI United story", "fog.json", written(united()), "KoboldAI story", ("memory", "Oakham")),
    Sample("webui character, YAML", "Emma.yaml", webui(), "webui character", ("Emma",)),
    Sample("webui character, old JSON", "Emma.json", written(old_webui()), "webui character", ("Emma",) * 3),
    Sample("Agnai memory book", "oakham.json", written(agnai()), "Agnai memory book", ("Oakham",)),
    Sample("Agnai character", "emma.json", written(agnai_character()), "Agnai character", ("Emma",) * 4 + ("Oakham",)),
    Sample("Risu lorebook", "oakham.json", written(risu()), "Risu lorebook", ("Oakham",)),
    Sample("text with headings", "oakham.md", f"# Oakham\n{OAKHAM}\n".encode(), "text with headings", ("Oakham",)),
)  # fmt: skip
