"""`soft-prompts ui`: the tab by itself in a browser, on the embedded storyteller or any model of Transformers.

It listens to this computer alone.
"""

from __future__ import annotations

import argparse
import threading
from importlib.util import find_spec
from typing import Any

from . import panel
from .errors import SoftPromptError
from .hosts.alone import Alone
from .trainer.options import model_words
from .trainer.runs import runs_of
from .trainer.tab import TrainSection

ADDRESS = "127.0.0.1"
_NEEDS = "pip install 'soft-prompts[train,ui]', or in a checkout: python install.py ui"


def ui(options: argparse.Namespace) -> None:
    """Show it until Ctrl-C; raises SoftPromptError where it cannot."""
    check()
    host = alone(options).start()
    address = launched(blocks(host), options.port, options.browser)
    print(f"The tab is at {address} until you press Ctrl-C here.", flush=True)
    threading.Event().wait()


def check() -> None:
    """Raises SoftPromptError, with all that is missing at once."""
    missing = [name for name in ("gradio", "torch", "transformers") if find_spec(name) is None]
    if missing:
        needed = f"{', '.join(missing[:-1])} and {missing[-1]} are" if missing[1:] else f"{missing[0]} is"
        raise SoftPromptError(f"{needed} needed to show the tab: {_NEEDS}")


def alone(options: argparse.Namespace) -> Alone:
    """The host, which has not begun to load its model yet."""
    return Alone(options.folder, lambda: loaded(options), options.model or "storyteller", model_words(options))


def loaded(options: argparse.Namespace) -> tuple[Any, Any]:
    """(model, tokenizer); here torch comes in."""
    from .trainer.asking import opened

    found: tuple[Any, Any] = opened(options)
    return found


def blocks(host: Alone) -> Any:
    """The page: a sheet to write on, the library, training and trying."""
    return panel.standalone(host, [TrainSection(runs_of)], writes=host)


def launched(blocks: Any, port: int | None, browser: bool) -> str:
    """The address, once it answers there; port None: the first that is free."""
    try:
        _, address, _ = blocks.queue().launch(
            server_name=ADDRESS, server_port=port, inbrowser=browser, prevent_thread_lock=True, quiet=True, share=False
        )
    except OSError:
        raise SoftPromptError(f"the port {port or ''} is taken: choose another one with --port 7890") from None
    return str(address)
