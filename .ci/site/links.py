"""`problems(Path("site"))`: what is dead in a built site, or would be fetched from elsewhere when it is read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FETCHED = {"script": "src", "img": "src", "source": "srcset", "iframe": "src", "video": "src"}
"""Tag -> attribute that a browser fetches without being asked; of `link` it is href, by its rel."""
RELS = {"stylesheet", "icon", "preload", "preconnect", "modulepreload"}
UNREAD = re.compile(r"(?:^|\n)\s*(?:[-*] |\d+\. |\| ?\S.*\|\s*$)", re.MULTILINE)
"""A list or a table within a paragraph: on a code host it is one, and here it stayed text."""


@dataclass
class Read(HTMLParser):
    """What one page names, and what it has."""

    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    paragraphs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        self.ids |= {has[name] for name in ("id", "name") if has.get(name)}
        if tag == "a" and "href" in has:
            self.links.append(has["href"])
        if tag == "link" and RELS & set(has.get("rel", "").split()):
            self.fetched.append(has["href"])
        if has.get(FETCHED.get(tag, "")):
            self.fetched.append(has[FETCHED[tag]])
        if tag == "p":
            self._inside = True
            self.paragraphs.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "p"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.paragraphs[-1] += data


def problems(site: Path) -> list[str]:
    """One line for each dead link, anchor or file, for each fetch from elsewhere, and for each unread list."""
    # 404.html is for servers, which show it at any address: its links begin at the top.
    paths = [path.resolve() for path in sorted(site.rglob("*.html")) if path.name != "404.html"]
    pages = {path: _read(path) for path in paths}
    found = []
    for path, page in pages.items():
        told = path.relative_to(site.resolve())
        found += [f"{told}: {problem}" for link in page.links if (problem := _dead(link, path, pages))]
        found += [f"{told}: {problem}" for each in page.fetched if (problem := _elsewhere(each, path, pages))]
        found += [f"{told}: stayed text: {text[:80]!r}" for text in page.paragraphs if UNREAD.search(text)]
    return found


def _read(path: Path) -> Read:
    page = Read()
    page.feed(path.read_text("utf-8"))
    return page


def _dead(link: str, page: Path, pages: dict[Path, Read]) -> str:
    parts = urlsplit(link)
    if parts.scheme in ("https", "mailto"):
        return ""  # of others; nothing here asks the network
    if parts.scheme or parts.netloc:
        return f"{link} is no https"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    target = target / "index.html" if target.is_dir() else target
    if not target.exists():
        return f"{link} leads nowhere"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
        return f"{link} has no such anchor"
    return ""


def _elsewhere(address: str, page: Path, pages: dict[Path, Read]) -> str:
    if address.startswith("data:"):
        return ""
    return f"{address} would be fetched" if urlsplit(address).netloc else _dead(address.partition("#")[0], page, pages)
