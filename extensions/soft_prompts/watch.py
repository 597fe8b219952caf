"""`with Watch(library, changed=show): ...` keeps a library's listing up to date while its folder changes.

Nothing that a lookup needs waits for this: a lookup asks the disk itself. What is kept up to date is the listing that
panels show, and its revision. watchdog's events only say that it is time to look; where it is not installed, cannot
start, or sends nothing (network drives), the look that runs beside it every second finds the same a little later.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal

from .errors import SoftPromptError
from .folder import Signature, signature
from .library import Library

_log = logging.getLogger(__name__)

MOST_FOLDERS = 16
"""Folders that get events, the top first; each costs two threads on Linux, where a user has 128 inotify instances."""

QUIET = 0.05
"""Seconds without an event after which a burst counts as over; one that goes on is looked at in between."""

LATE = 1.5
"""Seconds that an event may come after what it tells of: watchdog holds halves of renames back for 0.5 s."""

# inotify sees single folders; watchdog's imitation of a recursive one loses its thread over some moves of folders.
_RECURSIVE = sys.platform in ("win32", "darwin")


class Watch:
    """`watch = Watch(library, changed).start()` ... `watch.close()`, or a `with` block.

    Starts a daemon thread that refreshes the library and calls `changed` there, without arguments, after every change
    of the listing, the first listing included. every: seconds between two looks at the folders' signatures. A file
    that is rewritten in its place, with no event to tell of it, shows in the listing after 5 to 20 times as long (and
    to a lookup of its name at once).
    """

    def __init__(self, library: Library, changed: Callable[[], None] | None = None, every: float = 0.5) -> None:
        self.library = library
        self.reason = "it has not started"
        self._changed = changed
        self._every = every
        self._told = library.revision
        self._took = 0.0
        self._event = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def kind(self) -> Literal["watchdog", "polling"]:
        """How changes are noticed at present, for a line of health; `reason` says why it is polling."""
        return "polling" if self.reason else "watchdog"

    def start(self) -> Watch:
        """Begin to watch; does nothing where it has begun. The folder need not exist yet."""
        if self._thread is None:
            closing = self._closing = threading.Event()
            self._thread = threading.Thread(target=self._run, args=[closing], name="soft-prompts-watch", daemon=True)
            self._thread.start()
        return self

    def close(self) -> None:
        """End the thread and those of watchdog, and wait for them; `start` may follow."""
        thread, self._thread = self._thread, None
        self._closing.set()
        self._event.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def __enter__(self) -> Watch:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, closing: threading.Event) -> None:
        ears = self._ears()
        due = 0.0
        while not closing.is_set():
            if heard := self._event.is_set():
                self._calm()
            try:
                if heard or time.monotonic() >= due or self.library.stale():
                    self._look(ears, heard)
                    due = time.monotonic() + max((20 if ears and not self.reason else 5) * self._every, 20 * self._took)
            except Exception as problem:  # whatever it is, the next look may go well; a dead thread says nothing
                level = logging.DEBUG if isinstance(problem, SoftPromptError | OSError) else logging.ERROR
                _log.log(level, "%s cannot be looked at: %s", self.library.folder, problem, exc_info=problem)
            if not closing.is_set():
                self._event.wait(self._every)
        if ears:
            ears.close()
        self.reason = "it has ended"

    def _ears(self) -> _Ears | None:
        try:
            return _Ears(self._event.set)
        except ImportError as missing:
            self.reason = f"{missing.name or missing} is not installed: pip install watchdog"
        except Exception as problem:  # of another's package: whatever it is, looking does without it
            self.reason = f"watchdog cannot start: {problem}"
        _log.info("watching %s by looking: %s", self.library.folder, self.reason)
        return None

    def _calm(self) -> None:
        """Wait for the end of a burst of events, not for ever, and the longer the more there is to look at."""
        end = time.monotonic() + max(0.5, 5 * self._took)
        self._event.clear()
        while self._event.wait(QUIET) and time.monotonic() < end and not self._closing.is_set():
            self._event.clear()

    def _look(self, ears: _Ears | None, heard: bool) -> None:
        began, before = time.monotonic(), self.library.revision
        self.library.refresh()
        new = ears is not None and self._listen(ears)
        if new:
            self.library.refresh()  # for what changed before the ears were there
        self._took = time.monotonic() - began
        now = self.library.revision
        if now != self._told:
            self._told = now
            self._tell()
        if ears and not (heard or new or self.reason or now == before or self._event.wait(LATE)):
            self.reason = "watchdog sends no events for this folder (a network drive?)"
            _log.info("watching %s by looking: %s", self.library.folder, self.reason)

    def _listen(self, ears: _Ears) -> bool:
        """Have the ears where the folders are now; whether any is new."""
        folders = self.library.folders()
        try:
            new = ears.listen(folders)
        except Exception as problem:  # limits of the system, and file systems of all kinds
            self.reason = f"watchdog cannot watch it: {problem}"
            return False
        if ears.placed < ears.needed:
            self.reason = f"{ears.needed} folders are more than the {MOST_FOLDERS} that get events"
        elif not ears.placed:
            self.reason = f"{self.library.folder} is not there yet"
        elif new:
            self.reason = ""
        return new

    def _tell(self) -> None:
        try:
            if self._changed:
                self._changed()
        except Exception:
            _log.exception("what is to be done after a change of %s failed", self.library.folder)


class _Ears:
    """watchdog's watches on a set of folders; `heard` is called in its thread. Raises ImportError without it."""

    def __init__(self, heard: Callable[[], None]) -> None:
        from watchdog import events, observers
        from watchdog.observers.polling import PollingObserver

        if issubclass(observers.Observer, PollingObserver):
            raise OSError("it knows no events of this system")
        # Without those of opening and closing, which our own reading makes.
        names = ("Created", "Deleted", "Moved", "Modified", "Attrib")
        kinds = [getattr(events, f"{what}{name}Event", None) for what in ("File", "Dir") for name in names]
        self._filter = [kind for kind in kinds if kind is not None]
        self._handler = _Handler(heard)
        self._watches: dict[str, tuple[Signature, Any]] = {}
        self.needed = 0
        self._observer = observers.Observer()
        self._observer.start()

    @property
    def placed(self) -> int:
        """How many folders are watched now, of the `needed` ones."""
        return len(self._watches)

    def listen(self, folders: list[str]) -> bool:
        """Watch these folders and no others; whether there were any to begin with. Raises OSError and others."""
        wanted = _places(folders)
        self.needed = len(wanted)
        wanted = dict(list(wanted.items())[:MOST_FOLDERS])
        alive = {emitter.watch for emitter in self._observer.emitters if emitter.is_alive()}
        for path, (place, watch) in list(self._watches.items()):
            if wanted.get(path) != place or watch not in alive:
                del self._watches[path]
                self._observer.unschedule(watch)
        new = [path for path in wanted if path not in self._watches]
        for path in new:
            watch = self._observer.schedule(self._handler, path, recursive=_RECURSIVE, event_filter=self._filter)
            self._watches[path] = wanted[path], watch
        return bool(new)

    def close(self) -> None:
        self._observer.stop()
        self._observer.join()


class _Handler:
    """What watchdog calls with every event; it is asked for nothing but `dispatch`."""

    def __init__(self, heard: Callable[[], None]) -> None:
        self._heard = heard

    def dispatch(self, event: object) -> None:
        self._heard()


def _places(folders: list[str]) -> dict[str, Signature]:
    """{real path: which folder stands there}; links lead to folders that watchdog would pass by."""
    places: dict[str, Signature] = {}
    for folder in folders:
        path = os.path.realpath(folder)
        inside = _RECURSIVE and any(os.path.join(above, "") in path for above in places)
        if not inside and (found := signature(path)):
            places[path] = found[2:4]
    return places
