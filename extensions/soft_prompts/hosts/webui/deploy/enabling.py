"""`with_item(text, "soft_prompts")`: the webui's settings.yaml with one more name in `default_extensions`.

Only that one key is touched, as text: comments and everything else stay as they are. settings.yaml rather than
`--extensions` in CMD_FLAGS.txt, because the webui itself writes it: what a writer ticks or unticks in its Session tab
and saves is then what counts, and its automatic saving keeps the list. The webui puts the names of both together, while
`--extensions` on its command line would replace the one in CMD_FLAGS.txt.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from . import packages
from .failure import ByHand

KEY = re.compile(r"""^(?:default_extensions|"default_extensions"|'default_extensions')[ \t]*:(?=[ \t\r\n]|\Z)""", re.M)
FLOW = re.compile(r"""[ \t]*\[((?:"[^"\n]*"|'[^'\n]*'|[^\]\["'#{}&*!])*)\](?=[ \t]*(?:[ \t]#[^\n]*)?(?:\r?\n|\Z))""")
REST = re.compile(r"[ \t]*(?:[ \t]#[^\n]*)?(?:\r?\n|\Z)")
ITEM = re.compile(
    r"""([ \t]*)-[ \t]+(?:"([^"\\\n]*)"|'([^'\n]*)'|(\w[^\n#:"'\[\]{},]*?))[ \t]*(?:[ \t]#[^\n]*)?(?:\r?\n|\Z)"""
)
UNUSUAL = "default_extensions is written there in a way that is left alone"
BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?\r?\n")

# Asked of the webui's Python, which has the library that the webui reads its settings with.
SAME = """
import json, sys, yaml
old, new, before, after = json.load(sys.stdin)
old, new = (yaml.safe_load(text) or {} for text in (old, new))
lists = [each.pop("default_extensions", before) for each in (old, new)]
print(json.dumps(old == new and lists == [before, after]))
"""


@dataclass(frozen=True)
class Listed:
    """Where `default_extensions` stands in a text: the key's start, the end of its value, and each name's span."""

    start: int
    end: int
    items: list[tuple[str, int, int]]
    flow: bool
    indent: str = ""

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.items]


def find(text: str) -> Listed | None:
    """The last one, which is the one that counts; None if there is none. Raises ByHand for what is not understood."""
    keys = list(KEY.finditer(text))
    if not keys:
        return None
    start, after = keys[-1].span()[0], keys[-1].span()[1]
    if flow := FLOW.match(text, after):
        words = re.finditer(r"""\s*(?:"([^"]*)"|'([^']*)'|([^,\s][^,]*?))\s*(?:,|\Z)""", flow.group(1))
        spans = [(next(filter(None, each.groups()), ""), *each.span()) for each in words]
        return Listed(start, flow.end(), [(name, flow.start(1) + a, flow.start(1) + b) for name, a, b in spans], True)
    if not (rest := REST.match(text, after)):
        raise ByHand(UNUSUAL)
    items, end, indent, at = [], rest.end(), "", rest.end()
    while at < len(text):
        if item := ITEM.match(text, at):
            items.append((item.group(2) or item.group(3) or item.group(4) or "", *item.span()))
            indent, at = item.group(1), item.end()
            end = at
        elif blank := BLANK.match(text, at):
            at = blank.end()
        elif text[at] in " \t-":
            raise ByHand(UNUSUAL)
        else:
            break
    return Listed(start, end, items, False, indent)


def names_in(text: str) -> list[str]:
    found = find(text)
    return found.names if found else []


def with_item(text: str, name: str, default: list[str]) -> str:
    """The text with a name added. default: what the webui takes where the key is missing, and would lose by it."""
    line = "\r\n" if "\r\n" in text else "\n"
    found = find(text)
    if found is None:
        if re.search(r"^(\.\.\.|%)|\A\s*[\[{]|\n---", text, re.M):
            raise ByHand(UNUSUAL)
        head = text + (line if text and not text.endswith("\n") else "")
        return head + line.join(["default_extensions:", *(f"- {each}" for each in [*default, name]), ""])
    if found.flow:
        close = text.rindex("]", found.start, found.end)
        inside = text[text.index("[", found.start) + 1 : close].rstrip()
        comma = "" if not inside.strip() else " " if inside.endswith(",") else ", "
        return text[: close - (len(text[:close]) - len(text[:close].rstrip()))] + comma + name + text[close:]
    head = text[: found.end]
    return head + (line if not head.endswith("\n") else "") + f"{found.indent}- {name}{line}" + text[found.end :]


def without_item(text: str, name: str, drop_key: bool) -> str:
    """The text without a name. drop_key: take an empty list away, key and all, because the key was not there before."""
    found = find(text)
    if found is None or name not in found.names:
        return text
    left = [item for item in found.items if item[0] != name]
    if not left:
        tail = text[found.end :]
        line = "\r\n" if "\r\n" in text else "\n"
        if drop_key:
            return text[: found.start] + (tail[REST.match(tail).end() :] if found.flow else tail)  # type: ignore[union-attr]
        return text[: found.start] + "default_extensions: []" + ("" if found.flow else line) + tail
    for _, start, end in reversed([item for item in found.items if item[0] == name]):
        cut = text[:start]
        if found.flow and text[end - 1] != ",":  # the last one: the comma before it goes with it
            cut = cut.rstrip()[: -1 if cut.rstrip().endswith(",") else None]
        text = cut + text[end:]
    return text


def default_of(webui: Path) -> list[str]:
    """The webui's own `default_extensions`: nothing today; gallery once."""
    code = (webui / "modules" / "shared.py").read_text("utf-8", "replace")
    found = re.search(r"'default_extensions': \[([^\]]*)\]", code)
    return re.findall(r"['\"]([^'\"]+)['\"]", found.group(1)) if found else []


def check(python: Path, old: str, new: str, before: list[str], after: list[str]) -> None:
    """The webui's own YAML reader must see the one name more or less, and no other difference. Raises ByHand."""
    code, out, _ = packages.ask(python, ["-c", SAME], json.dumps([old, new, before, after]))
    if code == 0 and not json.loads(out):
        raise ByHand(UNUSUAL)
