"""`Shelf(library).rename("noir.safetensors", "dark/noir")`: what a writer does to the files of a library; undoable.

Files are named as they lie below the library's folder ("people/emma.safetensors"); nothing outside of it is touched.
"""

from __future__ import annotations

from .library import Library


class Shelf:
    """`Shelf(Library("soft_prompts/"))`; each method raises SoftPromptError, and has then changed nothing."""

    def __init__(self, library: Library) -> None:
        self.library = library
