"""Many at once and many in turn: threads while files are replaced, 200 soft prompts, 10,000 attachments."""

from __future__ import annotations

import ctypes
import gc
import itertools
import os
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from numpy.typing import NDArray

import soft_prompts
from soft_prompts import Library, SoftPrompt
from soft_prompts.hosts.hf.view import codec_of
from soft_prompts.slots import FIRST_ID
from soft_prompts.watch import Watch

from ..law import A, B
from ..test_attach import assert_same, state

pytestmark = pytest.mark.slow


def together(works: Iterable[Callable[[], None]], beside: Callable[[], object] = lambda: None) -> list[Exception]:
    """Each in a thread of its own, and `beside` here, again and again until all have ended; what they raised."""
    problems: list[Exception] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as problem:  # whatever it is, it must reach the test's own thread
            problems.append(problem)

    threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        beside()
    return problems


# ---- threads, while files are replaced

CONTENTS = {
    "noir": (" a stranger came in from the rain", " of the city under the water", " the lamp"),
    "sea/port": (" The sky over the port was grey.", " of its 12 gates, 7 wells and 300 bells", " the drowned market"),
    "note": (" Every night she lit the lamp", " Bring the key, the map", ' "Who are you?" asked the keeper.'),
}
"""What stands under each name, in turn; the last is a text, the others are vectors."""

ROWS = (
    "<<sp:noir>>" + B,
    A + "<<sp:sea/port>>",
    A + "<<sp:note>>,",
    "<<sp:sea/port>>, <<sp:noir>>",
    "<<sp:note>><<sp:noir>>.<<sp:noir>>",
    A + B,
)
THREADS, TIMES = 8, 100
FIRST, LAST = 10, 90
"""Files are replaced between these generations of each thread; before and after them it is known what they hold."""

Choice = tuple[tuple[str, int], ...]
"""(name, which of its contents), for each name that a row says."""


class Shelf:
    """A library's folder whose files are replaced; every content was made beforehand."""

    def __init__(self, folder: Path, model: Any, tokenizer: Any) -> None:
        self.library = Library(folder)
        self.made = {
            name: [SoftPrompt.from_text(text, model, tokenizer, name=name) for text in texts]
            for name, texts in CONTENTS.items()
        }
        for name in CONTENTS:
            self.put(name, 0)

    def put(self, name: str, content: int) -> None:
        """The content under the name, whole from one moment to the next."""
        if name == "note":
            path = self.library.folder / "note.txt"
            path.with_suffix(".new").write_text(CONTENTS[name][content], "utf-8")
            os.replace(path.with_suffix(".new"), path)
        else:
            self.made[name][content].save(self.library.folder / f"{name}.safetensors")


def greedy(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> list[tuple[int, ...]]:
    """What each row goes on with."""
    made = model.generate(
        ids, attention_mask=mask, max_new_tokens=6, do_sample=False, pad_token_id=3, eos_token_id=None
    )
    return [tuple(row) for row in made[:, ids.shape[1] :].tolist()]


def plain(tokenizer: Any, attached: Any, row: str, said: dict[str, list[int]]) -> torch.Tensor:
    """(1, length): the ids of a row, those of the words themselves in the place of each tag."""
    ids = list(tokenizer(row)["input_ids"])
    for place, each in enumerate(ids):
        if each >= FIRST_ID:
            slot = attached.slots.slot(each)
            ids[place] = said[slot.tag.name][each - slot.ids.start]
    return torch.tensor([ids])


def expected(model: Any, tokenizer: Any, shelf: Shelf) -> dict[str, dict[Choice, tuple[int, ...]]]:
    """{row: {contents: continuation}} of plain words on the model as it is, no two of a row alike."""
    inner = codec_of(tokenizer).seams.inner
    wanted: dict[str, dict[Choice, tuple[int, ...]]] = {}
    for row in ROWS:
        names = [name for name in CONTENTS if f"<<sp:{name}>>" in row]
        wanted[row] = {}
        for which in itertools.product(range(3), repeat=len(names)):
            choice = tuple(zip(names, which, strict=True))
            prompts = [shelf.made[name][content] for name, content in choice]
            said = {name: inner(CONTENTS[name][content]) for name, content in choice}
            with soft_prompts.attach(model, tokenizer, prompts=prompts, self_test=False) as attached:
                ids = plain(tokenizer, attached, row, said)
            wanted[row][choice] = greedy(model, ids, torch.ones_like(ids))[0]
        assert len(set(wanted[row].values())) == len(wanted[row]), "or else a wrong one could not be told"
    return wanted


def batches(chance: random.Random) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """(rows, how they are padded), without end."""
    while True:
        rows = [chance.choice(ROWS) for _ in range(chance.choice((1, 2, 3, 4)))]
        padding = [{"padding": True}, {"padding": "max_length", "max_length": chance.choice((72, 90))}]
        padding += [{"padding": True, "pad_to_multiple_of": 16}, *([{}] if len(rows) == 1 else [])]
        yield rows, chance.choice(padding)


def test_eight_threads_generate_while_files_are_replaced(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.padding_side = "left"
    shelf = Shelf(tmp_path, model, tokenizer)
    wanted = expected(model, tokenizer, shelf)
    turns, last = iter(range(1_000_000)), {name: 2 - place % 2 for place, name in enumerate(CONTENTS)}
    gate, busy = threading.Barrier(THREADS), threading.Lock()
    replacing, around = threading.Event(), threading.Event()
    wrong: list[object] = []
    seen: set[Choice] = set()

    def replace() -> None:
        """One file more."""
        if not replacing.wait(0.01):
            return
        with busy:
            if replacing.is_set():
                turn = next(turns)
                shelf.put(tuple(CONTENTS)[turn % 3], turn // 3 % 3)
                shelf.library.refresh()
                if turn == 9:
                    around.set()

    def settle() -> None:
        """All files as they shall stay, once each content of each name was there."""
        around.wait()
        with busy:
            replacing.clear()
            for name, content in last.items():
                shelf.put(name, content)
            shelf.library.refresh()

    def at(number: int, choice: Choice) -> bool:
        """Whether a generation of this number may have met these contents."""
        if number < FIRST:
            return all(content == 0 for _, content in choice)
        return number < LAST or all(content == last[name] for name, content in choice)

    def work(thread: int) -> None:
        made = batches(random.Random(thread))
        for number in range(TIMES):
            if number in (FIRST, LAST) and gate.wait() == 0:
                replacing.set() if number == FIRST else settle()
            if number in (FIRST, LAST):
                gate.wait()
            rows, padding = next(made)
            batch = tokenizer(rows, return_tensors="pt", **padding)
            for row, found in zip(rows, greedy(model, batch["input_ids"], batch["attention_mask"]), strict=True):
                met = [choice for choice, each in wanted[row].items() if each == found and at(number, choice)]
                wrong.extend([] if met else [(thread, number, row, found)])
                seen.update(met)

    def guarded(thread: int) -> None:
        try:
            work(thread)
        finally:
            if sys.exc_info()[0] is not None:
                gate.abort()  # or else the others would wait for ever

    with Watch(shelf.library), soft_prompts.attach(model, tokenizer, shelf.library):
        problems = together([lambda thread=each: guarded(thread) for each in range(THREADS)], replace)  # type: ignore[misc]
    assert (problems, wrong) == ([], [])
    met = {content for choice in seen for content in choice}
    assert met >= {*((name, 0) for name in CONTENTS), *last.items()}, "what was there first, and what last"


# ---- two hundred soft prompts

COUNT, TOKENS = 200, 50


def vectors_of(model: Any, ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """(rows, length, width): what the model's embedding gives for ids."""
    with torch.no_grad():
        return model.get_input_embeddings()(torch.tensor(ids)).numpy()  # type: ignore[no-any-return]


def test_two_hundred_prompts_in_one_process(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    made = {f"p{n}": SoftPrompt(f"p{n}", rng.normal(size=(TOKENS, 32))) for n in range(COUNT)}
    given, filed = [made[f"p{n}"] for n in range(0, COUNT, 2)], [made[f"p{n}"] for n in range(1, COUNT, 2)]
    for prompt in filed:
        prompt.save(tmp_path / f"{prompt.name}.safetensors")
    ids_of: dict[str, list[int]] = {}
    wrong: list[str] = []

    def check(name: str) -> None:
        ids = tokenizer(f"<<sp:{name}>>", add_special_tokens=False)["input_ids"]
        if ids_of.setdefault(name, ids) != ids or not np.array_equal(vectors_of(model, [ids])[0], made[name].vectors):
            wrong.append(name)

    def work(thread: int) -> None:
        names = list(made)
        random.Random(thread).shuffle(names)
        for name in names:
            check(name)

    with soft_prompts.attach(model, tokenizer, tmp_path, prompts=given) as attached:
        # Each is met for the first time by some thread or other, while others look theirs up.
        assert together([lambda thread=each: work(thread) for each in range(8)]) == []  # type: ignore[misc]
        assert wrong == []
        # One text with all of them, words between them.
        ids = tokenizer(" and".join(f"<<sp:{name}>>" for name in made))["input_ids"]
        soft = [each for each in ids if each >= FIRST_ID]
        assert soft == [each for name in made for each in ids_of[name]]
        assert len(set(soft)) == COUNT * TOKENS
        found = vectors_of(model, [ids])[0][np.array(ids) >= FIRST_ID]
        assert np.array_equal(found, np.concatenate([prompt.vectors for prompt in made.values()]))
        assert tokenizer.decode(soft) == "".join(map(str, made.values()))
        # Several texts in a batch, each with its own two, the first and the last, and so on.
        pairs = list(zip(list(made)[: COUNT // 2], list(made)[: COUNT // 2 - 1 : -1], strict=True))
        rows = tokenizer([f"<<sp:{one}>>, {'and ' * (n % 5)}<<sp:{two}>>" for n, (one, two) in enumerate(pairs)],
                         padding=True)["input_ids"]  # fmt: skip
        for row, found, pair in zip(rows, vectors_of(model, rows), pairs, strict=True):
            both = np.concatenate([made[name].vectors for name in pair])
            assert np.array_equal(found[np.array(row) >= FIRST_ID], both)
        # Through the whole model: as if its vectors were given instead of the ids.
        row = torch.tensor(rows[:1])
        with torch.no_grad():
            one = model(input_ids=row).logits
            two = model(inputs_embeds=torch.tensor(vectors_of(model, rows[:1]))).logits
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)
        slots = [attached.slots.slot(each[0]) for each in ids_of.values()]
        assert [slot.tag.name for slot in slots] == list(ids_of)


# ---- ten thousand attachments

CYCLES, WARM = 10_000, 500
MOST_MEMORY = (4 if sys.platform == "linux" else 64) << 20
"""Bytes that the process may grow by: 0.4 KB for each attachment, whose copy of the tokenizer is a hundred times that.

More where nothing makes the system's library give back what is free: it keeps that in many pieces.
"""


def resident() -> int:
    """Bytes that the process holds, without what it has only not given back yet, where it can be made to."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
    return int(psutil.Process().memory_info().rss)


def held(model: torch.nn.Module, tokenizer: Any) -> tuple[Counter[str], dict[str, int]]:
    """({type: objects}, {what: how many}) of all that there is in the process after everything lost was freed."""
    for _ in range(3):
        gc.collect()
    objects = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_state_dict_hooks")
    everywhere = ("_global_forward_hooks", "_global_forward_pre_hooks", "_global_module_registration_hooks")
    registries = {name: len(getattr(torch.nn.modules.module, name)) for name in everywhere}
    return objects, {
        **{name: sum(len(getattr(each, name)) for each in model.modules()) for name in hooks},
        **registries,
        "attributes": len(vars(model)) + len(vars(tokenizer)),
        "subclasses": len(type(tokenizer).__subclasses__()) + len(type(model).__subclasses__()),
        "modules": len(sys.modules),
        "threads": threading.active_count(),
        "files": psutil.Process().num_fds() if hasattr(psutil.Process, "num_fds") else 0,
    }


def test_ten_thousand_attachments_leave_nothing(model: Any, tokenizer_of: Any, tmp_path: Path) -> None:
    """Every hundredth with its self-test and a generation, which take as long as ten others."""
    # Not BPE: tokenizers 0.23 keeps what each thread has cached of such a model, about a kilobyte, when that is gone.
    tokenizer = tokenizer_of("unigram")
    before = state(model, tokenizer)
    prompt = SoftPrompt.from_text(" a stranger came in", model, tokenizer, name="p")
    prompt.save(tmp_path / "q.safetensors")
    library = Library(tmp_path)
    objects: Counter[str] = Counter()
    counts: dict[str, int] = {}
    memory = 0
    for cycle in range(WARM + CYCLES):
        if cycle == WARM:
            held(model, tokenizer)  # the first time leaves a few objects of its own
            objects, counts = held(model, tokenizer)
            memory = resident()
        whole = cycle % 100 == 0
        with soft_prompts.attach(model, tokenizer, library, prompts=[prompt], self_test=whole):
            batch = tokenizer("The door <<sp:p>> and <<sp:q:0.5>>", return_tensors="pt")
            if whole:
                model.generate(**batch, max_new_tokens=2, do_sample=False, pad_token_id=3)
    after, left = held(model, tokenizer)
    grown = resident() - memory
    assert left == counts
    assert (after - objects).total() < 50, (after - objects).most_common(10)
    assert grown < MOST_MEMORY, f"{grown:,} bytes"
    assert_same(before, state(model, tokenizer))
    assert max(tokenizer("The door <<sp:p>>")["input_ids"]) < FIRST_ID
