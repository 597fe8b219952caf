"""`told(data)`: what a file really is where a text was wanted, and how a writer gets the text out of it."""

from __future__ import annotations

_SAVE = "open it, and save it as plain text (.txt, UTF-8)"
_PACKED = "unpack it, and give the texts in it"
_PAGE = f"it is a web page: {_SAVE}"

# How no plain text begins.
_ALWAYS = (
    (b"\x89PNG", "it is a picture (PNG): give a text"),
    (b"\xff\xd8\xff", "it is a picture (JPEG): give a text"),
    (b"%PDF-1.", f"it is a PDF: {_SAVE}"),
    (b"%PDF-2.", f"it is a PDF: {_SAVE}"),
    (b"{\\rtf", f"it is a formatted text (RTF): {_SAVE}"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"it is a document of an old Office (.doc): {_SAVE}"),
    (b"\x1f\x8b", f"it is a packed file (gzip): {_PACKED}"),
    (b"7z\xbc\xaf\x27\x1c", f"it is a packed file (7z): {_PACKED}"),
    (b"Rar!\x1a\x07", f"it is a packed file (rar): {_PACKED}"),
    (b"version https://git-lfs", "it only says where the file lies (Git LFS): type: git lfs pull"),
)
# How a text may begin by chance; told of bytes that are no text.
_ELSE = (
    (b"GIF8", "it is a picture (GIF): give a text"),
    (b"GGUF", "it is a model (GGUF): give a text"),
    (b"SQLite format 3", "it is a database (SQLite): export its texts"),
    (b"\x80", "it is a file of torch or of Python's pickle: give a text"),
    (b"ID3", "it is music or speech (MP3): give a text"),
    (b"RIFF", "it is a picture or a sound (RIFF): give a text"),
)
_ZIPS = (
    (b"word/", f"it is a Word document (.docx): {_SAVE}"),
    (b"opendocument.text", f"it is a document of LibreOffice (.odt): {_SAVE}"),
    (b"epub+zip", "it is an e-book (.epub): convert it to plain text (.txt, UTF-8), with Calibre for instance"),
    (b"data.pkl", "it is a file of torch: give a text"),
)
_ENDS = 1 << 16
"""Bytes at either end of a zip file, in which the names of what it holds are looked for."""


def told(data: bytes) -> str:
    """What begins so and is no plain text, and what to do; empty for all else."""
    if data.startswith(b"PK\x03\x04"):
        names = data[:_ENDS] + data[-_ENDS:]
        return next((words for mark, words in _ZIPS if mark in names), f"it is a packed file (zip): {_PACKED}")
    page = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if page.startswith((b"<!doctype html", b"<html")):
        return _PAGE
    return next((words for begin, words in _ALWAYS if data.startswith(begin)), "")


def told_of_bytes(data: bytes) -> str:
    """The same of bytes that are known to be no text; empty where it cannot be told."""
    if data[8:10] == b'{"' and b"\0" in data[:8]:
        return "it is a file of vectors (safetensors): give a text"
    if data[60:68] == b"BOOKMOBI":
        return "it is a book for Kindle: convert it to plain text (.txt, UTF-8), with Calibre for instance"
    if not any(data[:4096]):
        return "it holds nothing but zeros, as after a copy or a download that failed: get it again"
    return next((words for begin, words in _ELSE if data.startswith(begin)), "")
