"""`told(data)`: what a file really is, by how it begins, where a copy or a download gave us something else."""

from __future__ import annotations

ENOUGH = 64
"""Bytes of a file's beginning that tell."""

_GET_IT = "copy or download the soft prompt itself"
_PICTURE = f"it is a picture: {_GET_IT}"
_PICKLE = "it is a pickle of Python, which can run programs and is not read: save the tensor with torch.save"
_PAGE = "it is a web page that was saved in the place of the file: open that page, and download the file itself"
_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", _PICTURE),
    (b"\xff\xd8\xff", _PICTURE),
    (b"GIF8", _PICTURE),
    (b"%PDF-", f"it is a PDF under another name: {_GET_IT}"),
    (b"PK\x03\x04", "it is a zip file under another name: unpack it, and take the soft prompt out"),
    (b"\x1f\x8b", "it is a packed file (gzip) under another name: unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "it is a packed file (7z) under another name: unpack it"),
    (b"Rar!", "it is a packed file (rar) under another name: unpack it"),
    (b"GGUF", "it is a model (GGUF) and no soft prompt: put it into the folder for models"),
    *((bytes([0x80, version]), _PICKLE) for version in range(2, 6)),
    (b"{\\rtf", "it is a formatted text (RTF): save it as plain text, UTF-8"),
    (b"version https://git-lfs", f"it only says where the file lies (Git LFS): {_GET_IT}, or type: git lfs pull"),
    (b"<!doctype html", _PAGE),
    (b"<html", _PAGE),
)


def told(data: bytes) -> str:
    """What a file is that begins so, in words for the writer, with what to do; empty where it cannot be told."""
    start = data[:ENOUGH]
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return _PICTURE
    if len(start) >= 16 and not any(start):
        return "it holds nothing but zeros: a copy or a download that failed; get it again"
    # Web pages come in both spellings, and behind a line break.
    plain = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return next((words for begin, words in _BEGINNINGS if start.startswith(begin) or plain.startswith(begin)), "")
