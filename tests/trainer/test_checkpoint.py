"""Checkpoints: whole or not there, of this training or refused, and a prompt that can be used at once."""

from __future__ import annotations

import errno
import itertools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import soft_prompts
from soft_prompts.errors import InvalidFile, TrainingError
from soft_prompts.trainer import Corpus, Distill, Finetune, Keeper, Lore, Training
from soft_prompts.trainer import checkpoint as module
from soft_prompts.trainer.checkpoint import State


@pytest.fixture
def begin(model: Any, tokenizer: Any, text: Corpus, small: dict[str, Any], tmp_path: Path) -> Callable[..., Training]:
    """`begin(resume=True, seed=3)`: a training of the prompt "noir", kept in the test's folder."""

    def get(
        resume: bool = False, overwrite: bool = False, task: Any = None, other: Any = None, **options: Any
    ) -> Training:
        keeper = Keeper(tmp_path, "noir", resume=resume, overwrite=overwrite)
        return Training(other or model, tokenizer, task or Finetune(text), keeper=keeper, **{**small, **options})

    return get


def stopped(training: Training, count: int) -> Training:
    for _ in itertools.islice(training, count):
        pass
    return training


def same(one: State, other: State) -> bool:
    """All but the seconds."""
    tensors = all(
        torch.equal(getattr(one, name), getattr(other, name))
        for name in ("vectors", "first", "second", "best", "origin")
    )
    plain = ("lowest", "begun", "best_step", "done", "applied", "skipped", "in_a_row", "waited", "ended", "history")
    return tensors and all(getattr(one, name) == getattr(other, name) for name in plain)


def test_a_run_that_goes_on_is_the_run_that_was_never_stopped(
    begin: Callable[..., Training], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soft_prompts.trainer.loop.SAVED", -1.0)  # after every step
    whole = stopped(begin(), 99)
    for stop in (1, 4, 5, 11):
        for file in tmp_path.iterdir():
            if file.is_file():
                file.unlink()
        stopped(begin(), stop)
        again = begin(resume=True)
        numbers = [step.number for step in again]
        assert numbers == list(range(stop + 1, 13))
        assert f"going on from step {stop} of 12" in again.notes
        assert same(again.state, whole.state)
        assert again.prompt("x") == whole.prompt("x")
        assert soft_prompts.load(tmp_path / "noir.safetensors") == whole.prompt("noir")


def test_what_stands_in_the_library_is_used_at_once(
    begin: Callable[..., Training], model: Any, tokenizer: Any, tmp_path: Path
) -> None:
    library = soft_prompts.Library(tmp_path)
    with soft_prompts.attach(model, tokenizer, library):
        training = begin()
        seen = set()
        for step in training:
            if step.validation is None:
                continue
            loaded = soft_prompts.Library(tmp_path)["noir"]
            assert np.array_equal(loaded.vectors, training.state.best.numpy())
            assert loaded.metadata["validation"] == f"{step.best:.4f}"
            library.refresh()
            ids = tokenizer("<<sp:noir>>The sea", return_tensors="pt")
            model.generate(**ids, max_new_tokens=2, do_sample=False)
            seen.add(loaded.digest)
        assert len(seen) > 1
    assert list(soft_prompts.Library(tmp_path)) == ["noir"]


def test_finished(begin: Callable[..., Training], tmp_path: Path) -> None:
    training = stopped(begin(), 99)
    training.keep(training.prompt("noir"), {"report.json": b"{}"})
    assert sorted(each.name for each in tmp_path.iterdir()) == ["noir.safetensors", "noir.training"]
    assert [each.name for each in (tmp_path / "noir.training").iterdir()] == ["report.json"]
    assert "held_out" in soft_prompts.load(tmp_path / "noir.safetensors").metadata


def test_never_over_a_prompt_that_somebody_has_made(begin: Callable[..., Training], tmp_path: Path) -> None:
    made = soft_prompts.SoftPrompt("noir", np.ones((2, 32), np.float32))
    made.save(tmp_path / "noir.safetensors")
    with pytest.raises(
        TrainingError, match="noir.safetensors exists already: choose another name, or replace it with --overw"
    ):
        stopped(begin(), 1)
    # To go on is not to replace: there is no training of it.
    with pytest.raises(TrainingError, match="exists already, and there is no training of it to go on with"):
        stopped(begin(resume=True), 1)
    assert soft_prompts.load(tmp_path / "noir.safetensors") == made
    # A first checkpoint replaces it, also where nothing is better than the beginning.
    stopped(begin(overwrite=True, rate=1e-12), 4)
    assert soft_prompts.load(tmp_path / "noir.safetensors") != made


def test_the_same_training_once_more(begin: Callable[..., Training]) -> None:
    training = stopped(begin(), 5)
    first = training.prompt("x")
    assert stopped(training, 5).prompt("x") == first


def test_a_prompt_that_was_not_written_before_the_crash_is_written(
    begin: Callable[..., Training], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state is written first: a program may be killed before the prompt is."""

    class Killed(BaseException):
        pass

    def killed(*args: Any) -> None:
        raise Killed

    monkeypatch.setattr(Keeper, "_put", killed)
    with pytest.raises(Killed):
        stopped(begin(), 4)
    monkeypatch.undo()
    again = begin(resume=True)
    step = next(iter(again))
    assert step.number == 5
    stopped(again, 99)
    assert np.array_equal(soft_prompts.load(tmp_path / "noir.safetensors").vectors, again.state.best.numpy())


CHANGED: dict[str, tuple[dict[str, Any], str]] = {
    "seed": ({"seed": 1}, r"\(seed was 0 and is 1\)"),
    "two": ({"rate": 0.2, "steps": 13}, r"\(steps was 12 and is 13, rate was 0.4 and is 0.2\)"),
    "data": ({"task": "data"}, r"\(what it learnt from was something else\)"),
    "method": ({"task": "method"}, r"\(method was 'finetune' and is 'distill', what it learnt from was "),
    "model": ({"other": "weights"}, r"\(the model's token embeddings are others\)"),
    "family": ({"other": "family"}, r"\(base_model was 'llama' and is 'gpt2', the model's"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_another_training_is_refused_by_what_differs(
    case: str, begin: Callable[..., Training], make: Callable[..., Any], story: str
) -> None:
    options, message = CHANGED[case]
    options = dict(options)
    if options.get("task"):
        other = Lore(story[:300]) if case == "method" else None
        options["task"] = Distill(other, rows=8) if other else Finetune(Corpus(story * 5 + "The end."))
    if options.get("other"):
        options["other"] = make("gpt2" if case == "family" else "llama")
        with torch.no_grad():
            options["other"].get_input_embeddings().weight.copy_(torch.randn(400, 32))
    stopped(begin(), 4)
    with pytest.raises(TrainingError, match=f"is of another training {message}") as found:
        stopped(begin(resume=True, **options), 1)
    assert "begin anew with --overwrite in place of --resume" in str(found.value)
    assert len(str(found.value)) < 600


def test_another_machine_is_told(begin: Callable[..., Training], monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(begin(), 4)
    monkeypatch.setattr(torch, "__version__", "9.9")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    again = stopped(begin(resume=True), 1)
    told = [note for note in again.notes if "may differ in the last digits" in note]
    assert len(told) == 2
    assert re.search(r"torch was '2.*' and is '9.9' now", told[0])
    assert "threads was 1 and is 7 now" in told[1]


def test_another_type_is_told(begin: Callable[..., Training], make: Callable[..., Any]) -> None:
    stopped(begin(), 4)
    again = stopped(begin(resume=True, other=make("llama").to(torch.bfloat16)), 1)
    assert any("type was 'float32' and is 'bfloat16' now" in note for note in again.notes)


def test_rows_at_once_may_be_chosen_anew(begin: Callable[..., Training]) -> None:
    stopped(begin(micro=2), 4)
    assert stopped(begin(resume=True, micro=1), 1)._engine.rows == 1
    assert stopped(begin(resume=True), 1)._engine.rows == 2
    assert stopped(begin(resume=True, recompute=True), 1)._engine.recompute


@pytest.fixture
def state(begin: Callable[..., Training], tmp_path: Path) -> Path:
    """A training's state file."""
    stopped(begin(), 4)
    return tmp_path / "noir.training" / "training.state"


def test_damage_is_told(state: Path, tmp_path: Path) -> None:
    whole = state.read_bytes()
    keeper = Keeper(tmp_path, "noir", resume=True)
    assert keeper._read() is not None
    damages = [whole[:place] for place in range(0, len(whole), 64)]
    damages += [whole[:place] + bytes([whole[place] ^ 0x11]) + whole[place + 1 :] for place in range(0, len(whole), 64)]
    damages += [b"", whole + b"\0", b"\0" * len(whole), b"PK\3\4" + whole]
    for damaged in damages:
        state.write_bytes(damaged)
        with pytest.raises(
            InvalidFile, match="training.state cannot be read .*: take it away, and the training begins"
        ):
            keeper.open({}, {})


@pytest.mark.parametrize("words", ["[]", "{}", "null", '{"version": 2}', '{"version": 1, "state": {"done": 1}}', "{"])
def test_a_state_of_another_kind_is_told(words: str, state: Path, tmp_path: Path) -> None:
    state.write_bytes(module._framed(words, b""))
    with pytest.raises(InvalidFile, match="cannot be read"):
        Keeper(tmp_path, "noir", resume=True).open({}, {})


def test_the_state_holds_no_model(state: Path, begin: Callable[..., Training]) -> None:
    tokens, width = begin().state.vectors.shape
    assert state.stat().st_size < 5 * 4 * tokens * width + 16_000
    assert b"keeper who lived" not in state.read_bytes()


@pytest.mark.parametrize("where", ["open", "write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_files_whole(
    where: str, begin: Callable[..., Training], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = begin()
    steps = iter(training)
    for _ in range(4):
        next(steps)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "in-use"]
    before = {path: path.read_bytes() for path in files}
    monkeypatch.setattr(os, *_full(where))
    with pytest.raises(InvalidFile, match="cannot be written: No space left on device; nothing was changed"):
        for _ in range(4):
            next(steps)
    monkeypatch.undo()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert [step.number for step in begin(resume=True)] == list(range(5, 13))


def _full(where: str) -> tuple[str, Any]:
    def full(*args: Any, **options: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if where == "write":
        original = os.fdopen

        def opened(*args: Any, **options: Any) -> Any:
            file = original(*args, **options)

            class Full:
                def __enter__(self) -> Full:
                    return self

                def __exit__(self, *problem: Any) -> None:
                    file.close()

                def write(self, data: bytes) -> None:
                    file.write(data[: len(data) // 2])
                    full()

            return Full()

        return "fdopen", opened
    if where == "open":
        original_open = os.open

        def refused(path: Any, flags: int, *args: Any, **options: Any) -> int:
            return full() if flags & os.O_CREAT else original_open(path, flags, *args, **options)

        return "open", refused
    return where, full


def test_a_prompt_that_cannot_be_put_into_the_library(
    begin: Callable[..., Training], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.replace

    def replaced(source: Any, target: Any) -> None:
        if str(target).endswith(".safetensors"):
            raise PermissionError(errno.EACCES, "Permission denied")
        original(source, target)

    monkeypatch.setattr(os, "replace", replaced)
    with pytest.raises(InvalidFile, match="noir.safetensors cannot be written: Permission denied"):
        stopped(begin(), 4)


@pytest.mark.parametrize("resume", [False, True])
def test_a_file_where_the_folder_should_be(resume: bool, begin: Callable[..., Training], tmp_path: Path) -> None:
    (tmp_path / "noir.training").write_text("mine")
    with pytest.raises(InvalidFile, match="noir.training.* cannot be "):
        stopped(begin(resume=resume), 4)
    assert (tmp_path / "noir.training").read_text() == "mine"


@pytest.mark.parametrize("resume", [False, True])
def test_what_a_killed_program_left_behind_is_swept(
    resume: bool, begin: Callable[..., Training], tmp_path: Path
) -> None:
    stopped(begin(), 4)
    left = [
        tmp_path / "noir.training" / name for name in (f".{'0a' * 8}.tmp", "prompt.new", f"written/.{'1b' * 8}.tmp")
    ]
    mine = [tmp_path / "noir.training" / "notes.tmp", tmp_path / f".{'2c' * 8}.tmp"]
    for path in (*left, *mine):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    stopped(begin(resume=resume, overwrite=not resume), 1)
    assert [path.exists() for path in (*left, *mine)] == [False] * 3 + [True] * 2


def test_a_prompt_in_a_folder_of_the_library(
    model: Any, tokenizer: Any, text: Corpus, small: dict[str, Any], tmp_path: Path
) -> None:
    keeper = Keeper(tmp_path, "people/emma")
    stopped(Training(model, tokenizer, Finetune(text), keeper=keeper, **small), 4)
    assert list(soft_prompts.Library(tmp_path)) == ["people/emma"]
    assert (tmp_path / "people" / "emma.training" / "training.state").is_file()


def test_rows_that_the_model_wrote_are_kept(
    begin: Callable[..., Training], story: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from soft_prompts.trainer import distill

    counted = []
    original = distill.write
    monkeypatch.setattr(distill, "write", lambda *args, **options: counted.append(1) or original(*args, **options))
    task = Distill(Lore(story[:300]), rows=12)
    whole = stopped(begin(task=task), 99)
    wrote = len(counted)
    assert wrote > 3
    kept = sorted((tmp_path / "noir.training" / "written").iterdir())
    assert len(kept) == wrote
    # One is lost, one is damaged; neither is believed.
    kept[0].unlink()
    kept[1].write_bytes(kept[1].read_bytes().replace(b'"rows": [[', b'"rows": [[7, '))
    again = stopped(begin(task=task, resume=True), 99)
    again.prepare()
    assert len(counted) == wrote + 2
    assert again.lesson.test.rows == whole.lesson.test.rows
    assert again.lesson.validation.rows == whole.lesson.validation.rows
    # Another seed, another text of the teacher's.
    stopped(begin(task=task, overwrite=True, seed=1), 1)
    assert len(counted) == 2 * wrote + 2
