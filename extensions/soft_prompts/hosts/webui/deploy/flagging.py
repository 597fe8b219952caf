"""`with_flag(text, "model.gguf$", "--lora start/model.gguf")`: config-user.yaml with our flag at one model, and back.

The webui keeps there what is set for each model: a pattern of its name -> settings, `extra_flags` among them, which
llama-server is started with, also for the model that `--model` loads. Only this line is touched, as text. What is ours
is told by the folder that the flag's file lies in, however the webui has written it anew since.
"""

from __future__ import annotations

import json
import re

from .failure import ByHand

FOLDER = "soft_prompts/.llamacpp/start"
"""Of the files that llama-server is started with, in user_data."""
UNUSUAL = "the model's settings are written there in a way that is left alone"
_PAIR = re.compile(r"""(?:^|\s+)(--(?:lora|mmproj)\s+('[^']*'|"[^"]*"|\S+))""")


def apart(flags: object) -> tuple[str, str]:
    """(what else stands in an `extra_flags` of the webui, our flag or nothing)."""
    text = flags if isinstance(flags, str) else ""
    for found in _PAIR.finditer(text):
        folder, _, name = found[2].strip("'\"").replace("\\", "/").rpartition("/")
        if name.endswith(".gguf") and f"/{folder}".endswith(f"/{FOLDER}"):
            return (text[: found.start()] + text[found.end() :]).strip(), found[1]
    return text, ""


def path_of(flag: str) -> str:
    """The file that our flag names."""
    return flag.partition(" ")[2].strip().strip("'\"")


def flag_for(name: str, path: str) -> str:
    """`flag_for("--lora", "user_data/.../model.gguf")`, as a shell takes it; raises ByHand for odd letters."""
    if not path.isascii() or not path.isprintable() or set(path) & set("'\"\\"):
        raise ByHand(f"the path {path} holds letters that such a flag cannot hold safely")
    return f"{name} '{path}'" if " " in path else f"{name} {path}"


def value_of(text: str, key: str) -> str:
    """The `extra_flags` of a model; empty where it has none."""
    head = _head(text, key)
    item = _item(text, head)[1] if head else None
    return _value(text[item[0] : item[1]]) if item else ""


def with_flag(text: str, key: str, flag: str) -> tuple[str, str | None]:
    """(the text with the flag, the line that was there before or None); raises ByHand."""
    end = "\r\n" if "\r\n" in text else "\n"
    head = _head(text, key)
    if head is None:
        if re.search(r"^(\.\.\.|%)|\A\s*[\[{]|\n---", text, re.M):
            raise ByHand(UNUSUAL)
        before = text + (end if text and not text.endswith("\n") else "")
        return before + f"{json.dumps(key)}:{end}  extra_flags: {json.dumps(flag)}{end}", None
    indent, item = _item(text, head)
    if item is None:
        at = head.end()
        gap = "" if text[:at].endswith("\n") else end
        return f"{text[:at]}{gap}{indent}extra_flags: {json.dumps(flag)}{end}{text[at:]}", None
    old = text[item[0] : item[1]]
    if _value(old) not in ("", "null", "~"):
        raise ByHand("the model has an extra_flags of its own there")
    gap = end if old.endswith("\n") else ""
    return f"{text[: item[0]]}{indent}extra_flags: {json.dumps(flag)}{gap}{text[item[1] :]}", old


def without_flag(text: str, key: str, before: str | None) -> str:
    """The text without our flag; before: as `with_flag` gave it. What else is set for the model stays."""
    head = _head(text, key)
    indent, item = _item(text, head) if head else ("", None)
    if head is None or item is None:
        return text
    rest, ours = apart(_value(text[item[0] : item[1]]))
    if not ours:
        return text
    end = "\r\n" if "\r\n" in text else "\n"
    new = f"{indent}extra_flags: {json.dumps(rest)}{end}" if rest else before or ""
    left = text[: item[0]] + new + text[item[1] :]
    if new or _block(left, head.end()) != head.end():
        return left
    return left[: head.start()] + left[head.end() :]


def _head(text: str, key: str) -> re.Match[str] | None:
    """The line of a key whose value is a block behind it; the last one, which counts."""
    quoted = "'" + key.replace("'", "''") + "'"
    names = "|".join(map(re.escape, (key, quoted, json.dumps(key))))
    return ([None, *re.finditer(rf"^(?:{names})[ \t]*:[ \t]*(?:#[^\n]*)?(?:\n|\Z|\r\n)", text, re.M)])[-1]


def _block(text: str, start: int) -> int:
    """Where the indented lines behind `start` end, blank ones at their end left out."""
    end = at = start
    while at < len(text) and (line := re.compile(r"[^\n]*(?:\n|\Z)").match(text, at)) and line.end() > at:
        if line[0].strip() and line[0][0] not in " \t":
            break
        at = line.end()
        end = at if line[0].strip() else end
    return end


def _item(text: str, head: re.Match[str]) -> tuple[str, tuple[int, int] | None]:
    """(how far the block is indented, where its `extra_flags` stands, lines that go on with it included)."""
    start, end = head.end(), _block(text, head.end())
    first = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\r?\n)*([ \t]+)(?=[^\s#])").match(text, start, end)
    indent = first[1] if first else "  "
    found = re.compile(rf"^{indent}extra_flags[ \t]*:[^\n]*(?:\n|\Z)(?:{indent}[ \t]+\S[^\n]*(?:\n|\Z))*", re.M)
    item = found.search(text, start, end)
    return indent, item.span() if item else None


def _value(item: str) -> str:
    """What the lines of an item say: they may be folded, and quoted in either way."""
    value = " ".join(item.partition(":")[2].split())
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1].replace("''", "'") if value[0] == "'" else value[1:-1]
    return value
