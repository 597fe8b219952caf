"""`readable(text)`: a text for a pane that takes HTML, in which tags can be read instead of being taken for markup."""

from __future__ import annotations

import html

from ...tags import replace


def readable(text: str) -> str:
    """Tags as HTML that shows what the writer typed; the rest of the text is left as it is."""
    return replace(text, _shown)


def _shown(tag: str) -> str:
    # An underscore is emphasis in Markdown; the rest of a name means nothing to it.
    return html.escape(tag).replace("_", "&#95;")
