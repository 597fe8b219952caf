"""`ServedLlama(model, library, asks)`: a model of the webui's llama.cpp loader, with tags; torch-free.

The loader runs llama-server, which takes soft prompts from a sidecar file that it is started with. So the first tag
that needs one restarts it, once; until then nothing is changed. See `soft_prompts.hosts.llamacpp`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SoftPromptError, UnsupportedModel
from ...fingerprint import Described, Fit
from ...library import Library
from ...prompt import SoftPrompt, TextPrompt
from ...resolve import Resolver
from ...slots import FIRST_ID, Slot, Slots
from ...tags import Tag, tag_for
from ..budget import bos_of, rearranged, spans_of
from ..llamacpp.neighbours import baked, nearest, readable
from ..llamacpp.sidecar import Sidecar
from ..llamacpp.text import Text
from ..llamacpp.trial import Likely, answered, check_length, ends_of, question, trial
from ..llamacpp.view import GgufView
from ..llamacpp.wire import Wire, anew
from ..plain import plain, tags_of
from ..protocol import Piece, Turn
from ..wrapped import Wrapped
from .gate import Gate
from .llama_kept import FOLDER
from .llama_start import Starts
from .llama_stock import Stock, examined
from .serving import Asks

log = logging.getLogger("textgen")

Ids = NDArray[np.int64]


class ServedLlama:
    """Mutates the loader's model, until `close()`; raises SoftPromptError, and leaves it as it was.

    read: what becomes of a text before its tags are looked for.
    """

    def __init__(
        self, model: Any, args: Any, library: Library, asks: Asks, starts: Starts, read: Callable[[str], str] = str
    ) -> None:
        self.tokenizer = self.base = model
        self.file, self.route = examined(model, args)
        self.kind = f"{self.file.name} ({self.file.architecture}, {self.file.kind})"
        self.verdicts: dict[Any, Any] = {}
        self._library, self._asks = library, asks
        self._slots = Slots(self.file.width)
        view = GgufView(self.file, lambda text: self._text.seams.inner(text))
        self._resolver = Resolver(view, self._slots, library)
        # A tag that means nothing is left out here; what is said about it is said once a request, not at each count.
        self._text = Text(self._ask, self._resolver, self._slots, lambda tag, problem: None)
        self._wire = Wire(self._slots, self._text, self._resolver.words)
        self._gate = Gate()
        self._stock = Stock(model, self.file, self.route, starts, self._gate, library.folder / FOLDER, asks.told)
        self._given = threading.local()
        self._read = read
        self._wrapped = [
            Wrapped(owner, name, around).install()
            for owner, name, around in (
                (model.session, "post", self._post),
                (model, "encode", self._encode),
                (model, "decode", self._decode),
                (model, "generate_with_streaming", self._streaming),
                (model, "get_logits", self._logits),
            )
        ]
        self._stock.begin()

    @property
    def sidecar(self) -> Sidecar | None:
        """What the server has now."""
        return self._stock.sidecar

    def serves(self, model: Any, tokenizer: Any) -> bool:
        """Whether this is the one."""
        return model is self.base

    def close(self) -> None:
        """Undo everything. A server that was started with a sidecar goes on with it, and nothing asks for its rows."""
        while self._wrapped:
            self._wrapped.pop().restore()

    @property
    def tested(self) -> str:
        """What is known of whether it works, in words."""
        if self._stock.refused:
            return "failed its self-test"
        return "passed its self-test" if self.sidecar else "is tried with the first tag, which restarts llama.cpp once"

    # ---- what the host asks

    def place(self, tag: Tag) -> Slot:
        """The ids and vectors of a tag; raises SoftPromptError with the reason why there are none."""
        slot = self._resolver.place(tag)
        if self._resolver.words(slot.key):
            return slot  # a text is its own words, and needs neither room nor a server that was tried
        if self._stock.refused:
            raise UnsupportedModel(self._stock.refused)
        if len(slot.ids) > self.route.room:
            raise UnsupportedModel(
                f"{tag.text or tag}: it has {len(slot.ids)} tokens, and with llama.cpp this model has room for "
                f"{self.route.room} ({self.route.why}): retrain it shorter, or load the original with Transformers"
            )
        return slot

    def fit(self, prompt: Described) -> Fit:
        """Whether the prompt was made for this model; a file's header is enough to tell."""
        return self._resolver.fit(prompt)

    def tokens(self, text: str) -> int:
        """What a text prompt costs on this model."""
        return len(self._text.seams.inner(text))

    def resembles(self, name: str) -> list[str]:
        """For each vector of a prompt the token it is nearest to, as one reads it; raises SoftPromptError."""
        ids = nearest(self.file, self._resolver.place(tag_for(name)).vectors)
        return [readable(self.file, each, self._text.decode) for each in ids]

    def baked(self, prompt: TextPrompt) -> SoftPrompt:
        """The vectors that a text has on this model, made for it; raises SoftPromptError."""
        return baked(self.file, prompt, self._text.seams.inner(prompt.text))

    def arranged(self, ids: Ids, whole: Callable[[], Ids], pins: Sequence[int], limit: int) -> Ids:
        """(1, length): see `Served.arranged` of the Transformers loader."""
        row: list[int] = ids[0].tolist()
        fitted = rearranged(row, lambda: whole()[0].tolist(), pins, limit, self._slots.slot, self._head)
        return ids if fitted == row else np.array([fitted], np.int64)

    def reached(self, ids: Ids) -> list[Slot]:
        """The slot of each whole tag in the ids, in their order."""
        row: list[int] = ids[0].tolist()
        return [self._slots.slot(row[start]) for start, _ in spans_of(row, self._slots.slot)[0]]

    @staticmethod
    def allow(ids: Ids, new_tokens: int) -> Ids:
        """The same ids: this loader counts what is really sent."""
        return ids

    def next_logits(self, host: Any, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """`_get_next_logits`, which asks `get_logits`; pins are put in there."""
        return call(*args, **options)

    def entries(
        self, call: Callable[..., list[dict[str, Any]]], prompt: str, count: int, ids: Ids, pins: Sequence[int]
    ) -> list[dict[str, Any]]:
        """The webui's log probabilities of a prompt's tokens: soft ones have none, and pins are heard, not shown."""
        row: list[int] = ids[0].tolist()
        if not pins and not any(each >= FIRST_ID for each in row):
            return call(prompt, count, input_ids=ids)
        head, whole = self._head(row), [*row, *pins]
        # Places of images are not told apart in what this server says of a prompt.
        if self.route.way == "mmproj" or self._ready(whole) != whole:
            plainly = np.array([[each for each in row if each < FIRST_ID]], np.int64)
            return call(prompt, count, input_ids=plainly)
        found = call(prompt, count, input_ids=np.array([[*row[:head], *pins, *row[head:]]], np.int64))
        found = [*found[:head], *found[head + len(pins) :]]
        begins = {slot.ids.start for slot in self.reached(ids)}
        for place, each in enumerate(row[: len(found)]):
            if each >= FIRST_ID:
                text = str(self._slots.slot(each).tag) if each in begins else ""
                found[place] = {"token": text, "null_logprob": True}
        return found

    def trial(
        self, left: str, right: str, *, tokens: int, seed: int, temperature: float, turn: Turn
    ) -> Iterator[tuple[int, Piece]]:
        """Both columns, see `hosts.llamacpp.trial`; raises SoftPromptError."""
        for tag in tags_of(left + "\n" + right):
            self.place(tag)
        rows = [self._text.encode(each).ids for each in (left, right)]
        check_length(rows, tokens, getattr(self.base, "n_ctx", None))
        options: dict[str, Any] = {"tokens": tokens, "seed": seed, "temperature": temperature}
        return trial(rows, self._likeliest, ends_of(self.file), turn=turn, **options)

    def _likeliest(self, ids: Sequence[int]) -> Sequence[Likely]:
        self._stock.ensure(self._wire.needed(ids), self._rest)
        try:
            with self._gate.ticket():
                answer = self._ask("/completion", question(ids))
        except OSError as problem:  # as those of requests are
            raise SoftPromptError("llama.cpp does not answer any more: load the model again") from problem
        return answered(answer, self.sidecar.banned if self.sidecar else ())

    # ---- around the loader's own

    def _encode(self, call: Callable[..., list[int]], text: str, add_bos_token: bool = False, **options: Any) -> Any:
        given = getattr(self._given, "ids", None)
        if given is not None and given[0] == text:
            self._given.ids = None
            return given[1]
        text = self._read(text)
        bos = str(getattr(self.base, "bos_token", "") or "")
        if bos and text.startswith(bos):
            add_bos_token = False  # as the loader itself does
        return self._text.encode(text, add_bos_token).ids

    @contextmanager
    def _giving(self, prompt: str, row: list[int]) -> Iterator[None]:
        """Where the loader encodes this prompt in here, it gets these ids."""
        self._given.ids = (prompt, row)
        try:
            yield
        finally:
            self._given.ids = None

    def _decode(self, call: Callable[..., str], ids: Any, **options: Any) -> str:
        row = [int(each) for each in (ids if isinstance(ids, (list, tuple, np.ndarray)) else [ids])]
        return self._text.decode(row) if any(each >= FIRST_ID for each in row) else call(ids, **options)

    def _streaming(self, call: Callable[..., Iterator[str]], prompt: str, state: dict[str, Any]) -> Iterator[str]:
        if self._has_images(state):
            if tags := tags_of(self._read(prompt)):
                self._asks.dropped(tags, "llama.cpp takes no tags beside images in one request")
            with self._gate.ticket():
                yield from call(plain(prompt), state)
            return
        asked = np.array([self.base.encode(prompt, add_bos_token=state["add_bos_token"])], np.int64)
        row = self._ready(self._asks.arranged(state, prompt, asked)[0].tolist())
        with self._gate.ticket(), self._giving(prompt, row):
            yield from call(prompt, state)

    def _logits(self, call: Callable[..., Any], prompt: str, state: dict[str, Any], *args: Any, **options: Any) -> Any:
        row = list(self.base.encode(prompt, add_bos_token=state["add_bos_token"]))
        pins = self._asks.logits_pins(prompt, np.array([row], np.int64))
        head = self._head(row)
        row = self._ready([*row[:head], *pins, *row[head:]])
        with self._gate.ticket(), self._giving(prompt, row):
            return call(prompt, state, *args, **options)

    def _post(self, call: Callable[..., Any], url: str, *args: Any, **options: Any) -> Any:
        asked = options.get("json")
        if isinstance(asked, Mapping) and url.endswith("/completion"):
            media = str(getattr(self.base, "media_marker", "<__media__>"))
            options["json"] = self._wire.payload(asked, self.sidecar, media)
        self._gate.wait()
        try:
            answer = call(url, *args, **options)
        except OSError:  # as those of requests are: a count that came while the server was restarted
            if not self._gate.closed_lately():
                raise
            self._gate.wait()
            return call(url, *args, **options)
        if isinstance(asked, Mapping) and answer.status_code >= 400 and (again := anew(options["json"], answer.text)):
            return call(url, *args, **{**options, "json": again})
        return answer

    def _ask(self, path: str, asked: Mapping[str, Any]) -> Any:
        """The server's answer, for Text and the probe."""
        answer = self.base.session.post(f"http://127.0.0.1:{self.base.port}{path}", json=dict(asked))
        return answer.json()

    def _head(self, row: Sequence[int]) -> int:
        """How many ids stand before the text."""
        head = self._text.seams.head
        begins = len(head) if head and list(row[: len(head)]) == head else 0
        return max(begins, bos_of(row, head[0] if head else None))

    def _has_images(self, state: dict[str, Any]) -> bool:
        from modules import shared

        return bool(shared.is_multimodal and self.base._process_images_for_generation(state))

    # ---- the sidecar

    def _ready(self, row: list[int]) -> list[int]:
        """The ids, once the server has what they stand for; without the soft ones where it cannot be brought to it."""
        try:
            self._stock.ensure(self._wire.needed(row), self._rest)
            return row
        except SoftPromptError as problem:
            tags = [self._slots.slot(row[start]).tag for start, _ in spans_of(row, self._slots.slot)[0]]
            self._asks.dropped(tags, str(problem))
            return [each for each in row if each < FIRST_ID]

    def _rest(self) -> Iterator[Slot]:
        """What else is put in: what is pinned or was used, then the whole library, as far as it fits."""
        self._library.refresh()  # a file that has just come must not cost a start of its own
        return self._resolver.fitting([*self._asks.favourites(), *map(tag_for, self._library)])
