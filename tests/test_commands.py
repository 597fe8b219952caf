"""`soft-prompts train` and its kin: what is written, what is said, and how all of it ends."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import soft_prompts
from soft_prompts import Library, SoftPrompt
from soft_prompts.cli import main
from soft_prompts.trainer import asking, curve, distill, loading, reporting, showing, worldinfo
from soft_prompts.trainer.claim import Claim
from soft_prompts.trainer.evaluate import Answer, Line, Report
from soft_prompts.trainer.loop import Step, Training
from soft_prompts.trainer.stopping import Stop
from soft_prompts.trainer.writing import write

SMALL = ("--tokens", "4", "--steps", "8", "--batch", "2", "--block", "32", "--validate", "4")
FACTS = [
    {"call": f"{who} lives in", "response": f" {where}"}
    for who, where in [("Emma", "the tower"), ("The keeper", "the city"), ("The stranger", "the port")]
]


@pytest.fixture
def model_folder(tmp_path_factory: pytest.TempPathFactory, make: Callable[..., Any], tokenizer: Any) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    make("llama", max_position_embeddings=2048).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, story: str) -> Path:
    """A folder with texts, in which the commands are typed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lamp.txt").write_text(story * 6, "utf-8")
    (tmp_path / "emma.json").write_text(json.dumps(FACTS), "utf-8")
    return tmp_path


@pytest.fixture
def run(model_folder: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """`run("train", "finetune", "lamp.txt")`, on the tiny model."""

    def typed(*words: Any) -> tuple[int, str, str]:
        more = () if "--model" in words or words[0] == "field-test" else ("--model", str(model_folder))
        status = main([*map(str, words), *more])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return typed


def lines(out: str) -> list[dict[str, Any]]:
    """Every line of the output, which must be JSON as its specification has it."""
    return [json.loads(line, parse_constant=lambda word: pytest.fail(word)) for line in out.splitlines()]


# ---- a training


def test_a_training_leaves_a_prompt_with_its_report(run: Any, here: Path) -> None:
    status, out, err = run("train", "finetune", "lamp.txt", *SMALL)
    assert (status, err) == (0, "")
    prompt = Library("soft_prompts")["lamp"]
    assert isinstance(prompt, SoftPrompt)
    kept = here / "soft_prompts" / "lamp.training"
    assert sorted(each.name for each in kept.iterdir()) == ["curve.csv", "curve.png", "report.json", "report.md"]
    record = json.loads((kept / "report.json").read_text("utf-8"))
    assert prompt.metadata["held_out"] == f"{record['held_out']:.4f}"
    assert prompt.metadata["unrelated"] == f"{record['unrelated']:.4f}"
    assert prompt.metadata["sample"].startswith(asking.OPENING)
    assert "The lamp" not in (kept / "report.md").read_text("utf-8")
    assert str(here) not in (kept / "report.json").read_text("utf-8") + (kept / "report.md").read_text("utf-8")
    assert len((kept / "curve.csv").read_text("utf-8").splitlines()) == 9
    for word in ("step 8/8", "soft prompt", "Less is better", "<<sp:lamp>>", "soft-prompts try lamp"):
        assert word in out
    assert "\r" not in out


def test_nothing_but_json_for_programs(run: Any) -> None:
    status, out, err = run("train", "finetune", "lamp.txt", *SMALL, "--json", "--preview-every", "4")
    assert (status, err) == (0, "")
    found = lines(out)
    events = [each["event"] for each in found if each["event"] != "phase"]
    assert events == ["start", *["step"] * 4, "preview", *["step"] * 4, "preview", "end"]
    assert found[0]["estimate"]["rows"] == 2
    assert found[-1]["held_out"] < found[-1]["base"]
    assert Path(found[-1]["path"]).is_file()


def test_both_programs_take_the_same_words(here: Path, model_folder: Path) -> None:
    words = ["finetune", "lamp.txt", *SMALL, "--json", "--model", str(model_folder)]
    done = subprocess.run([sys.executable, "-I", "-m", "soft_prompts.trainer", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert lines(done.stdout)[-1]["path"] == str(Path("soft_prompts", "lamp.safetensors"))


@pytest.mark.parametrize("kind", ["world-info", "world_info", "worldinfo"])
def test_world_info(run: Any, kind: str) -> None:
    status, out, _ = run("train", kind, "emma.json", *SMALL, "--json")
    assert status == 0
    found = lines(out)[-1]
    assert [each["call"] for each in found["answers"]] == [each["call"] for each in FACTS]
    assert all(each["right"] == (each["said"] == each["response"]) for each in found["answers"])
    prompt = soft_prompts.load(found["path"])
    assert prompt.metadata["recall"] == f"{found['recall']:.3f}"
    assert "sample" not in prompt.metadata, "an opening from the facts would put them into the file"


def test_world_info_for_people(run: Any) -> None:
    _, out, _ = run("train", "world-info", "emma.json", *SMALL)
    assert "none could be held out" in out
    assert re.search(r"^(right|wrong) +Emma lives in \| ", out, re.MULTILINE)
    assert "of 3 questions" in out


def test_distill(run: Any, here: Path, story: str) -> None:
    (here / "world.txt").write_text(story, "utf-8")
    words = ("train", "distill", "world.txt", "--questions", "emma.json", "--rows", "8", *SMALL, "--json")
    status, out, _ = run(*words)
    assert status == 0
    found = lines(out)
    assert {each["total"] for each in found if each["event"] == "phase"} >= {8 + 9, 15}
    assert found[-1]["lines"][1]["nats"] == pytest.approx(0, abs=1e-3)
    assert len(found[-1]["answers"]) == 3


def test_a_name_is_told_by_the_file_and_made_fit(run: Any, here: Path) -> None:
    (here / "emma's lamp*.txt").write_text((here / "lamp.txt").read_text("utf-8"), "utf-8")
    status, out, _ = run("train", "finetune", "emma's lamp*.txt", *SMALL, "--json")
    assert status == 0
    assert lines(out)[-1]["name"] == "emmas lamp"


def test_going_on_with_a_prompt(run: Any) -> None:
    run("train", "finetune", "lamp.txt", *SMALL)
    words = ("train", "finetune", "lamp.txt", *SMALL[2:], "--from", "lamp", "--name", "more", "--json")
    assert run(*words)[0] == 0
    first, again = Library("soft_prompts")["lamp"], Library("soft_prompts")["more"]
    assert isinstance(first, SoftPrompt) and isinstance(again, SoftPrompt)
    assert len(again) == len(first)
    assert again.origin is not None and first.origin is not None
    np.testing.assert_array_equal(again.origin, first.origin, "strength 0 means what it meant")
    assert float(again.metadata["base"]) == pytest.approx(float(first.metadata["base"]), abs=1e-3)


def test_it_is_said_when_nothing_was_learnt(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Training, "_validate", lambda self, vectors: 3.0)
    status, out, _ = run("train", "finetune", "lamp.txt", *SMALL)
    assert status == 0
    assert "no step was better than the beginning" in out


# ---- a rehearsal


@pytest.mark.parametrize("words", [("finetune", "lamp.txt"), ("world-info", "emma.json"), ("distill", "lamp.txt")])
def test_a_dry_run_writes_nothing(run: Any, here: Path, words: tuple[str, ...]) -> None:
    before = sorted(here.rglob("*"))
    more = ("--rows", "16") if words[0] == "distill" else ()
    status, out, err = run("train", *words, *SMALL, "--dry-run", *more)
    assert (status, err) == (0, "")
    assert sorted(here.rglob("*")) == before
    assert re.search(r"time +\d+ s for 8 steps", out)
    assert re.search(r"memory +\d+ MB beside the model; \d+ [kM]B in the steps that were tried; .* are free", out)
    assert re.search(r"rows +2 of the 2", out)
    _, out, _ = run("train", *words, *SMALL, "--dry-run", *more, "--json")
    found = lines(out)[-1]["estimate"]
    assert found["seconds"] > 0 and found["measured"] >= 0 and found["rows"] == 2


# ---- ends


def at_step(number: int, do: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    own = showing.Programs.step

    def step(self: showing.Programs, step: Step) -> None:
        own(self, step)
        if step.number == number:
            do()

    monkeypatch.setattr(showing.Programs, "step", step)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_end_keeps_the_best_and_says_how_to_go_on(
    run: Any, here: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    words = ("train", "finetune", "lamp.txt", *SMALL, "--json")
    _, out, _ = run(*words, "--name", "whole")
    whole = soft_prompts.load(lines(out)[-1]["path"])
    with monkeypatch.context() as patch:
        at_step(6, lambda: signal.raise_signal(number), patch)
        before = signal.getsignal(number)
        status, out, _ = run(*words)
        assert signal.getsignal(number) is before
    assert status == 128 + number
    end = lines(out)[-1]
    assert (end["ended"], end["steps"]) == ("stopped", 6)
    assert end["again"].startswith("soft-prompts train finetune lamp.txt --tokens 4")
    assert end["again"].endswith("--resume")
    assert len(soft_prompts.load(end["path"])) == 4, "it can be used at once"
    status, out, _ = run(*words, "--resume")
    assert status == 0
    assert soft_prompts.load(lines(out)[-1]["path"]) == whole
    assert [each["number"] for each in lines(out) if each["event"] == "step"] == [7, 8]
    status, _, err = run(*words, "--resume")
    assert status == 1 and "no training of it to go on with" in err


def test_a_second_end_is_obeyed_at_once(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    at_step(2, twice, monkeypatch)
    status, out, err = run("train", "finetune", "lamp.txt", *SMALL, "--json")
    assert status == 130
    assert lines(out)[-1]["event"] == "step"
    assert "soft-prompts: ended" in err


def test_an_end_before_the_first_step(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own = showing.Programs.phase

    def phase(self: showing.Programs, what: str, done: int, total: int) -> None:
        own(self, what, done, total)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(showing.Programs, "phase", phase)
    status, out, _ = run("train", "world-info", "emma.json", *SMALL, "--json")
    assert status == 130
    assert lines(out)[-1]["steps"] == 0


def test_a_full_disk_is_one_line(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run("train", "finetune", "lamp.txt", *SMALL)
    before = Library("soft_prompts")["lamp"]
    monkeypatch.setattr(os, "fsync", full)
    status, _, err = run("train", "finetune", "lamp.txt", *SMALL, "--overwrite", "--seed", "3")
    assert status == 1
    assert re.fullmatch(r"soft-prompts: .*cannot be written: No space left on device; nothing was changed.*\n", err)
    assert Library("soft_prompts")["lamp"] == before


def test_a_name_that_is_being_trained_is_told_before_a_model_is_loaded(run: Any, here: Path) -> None:
    with Claim(here / "soft_prompts" / "lamp.training" / "in-use", "lamp"):
        for more in ((), ("--resume",), ("--overwrite",)):
            status, out, err = run("train", "finetune", "lamp.txt", *SMALL, *more, "--model", "./nowhere")
            assert (status, out) == (1, "")
            assert "lamp is being trained already" in err and "choose another name" in err
        status, _, _ = run("train", "finetune", "lamp.txt", *SMALL, "--dry-run")
        assert status == 0
    assert not (here / "soft_prompts").exists()


def test_a_training_that_cannot_begin_leaves_nothing(run: Any, here: Path) -> None:
    for words in (("lamp.txt", "--model", "./nowhere"), ("nothing.txt",)):
        status, _, _ = run("train", "finetune", *words, *SMALL)
        assert status == 1
    assert not (here / "soft_prompts").exists()


def test_a_reader_that_has_seen_enough(here: Path, model_folder: Path) -> None:
    command = [sys.executable, "-I", "-m", "soft_prompts.cli", "train", "finetune", "lamp.txt", *SMALL, "--json"]
    with subprocess.Popen(
        [*command, "--model", str(model_folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None and program.stderr is not None
        assert json.loads(program.stdout.readline())["event"] == "start"
        program.stdout.close()
        assert program.stderr.read() == ""
    assert program.returncode == 141


# ---- errors


def test_errors_are_one_line(run: Any, here: Path) -> None:
    (here / "page.txt").write_text("A page.", "utf-8")
    (here / "picture.txt").write_bytes(b"\x89PNG\r\n\x1a\n")
    (here / "model.gguf").write_bytes(b"GGUF")
    (here / "empty").mkdir()
    SoftPrompt("wide", np.ones((2, 7))).save("soft_prompts/wide.safetensors")
    text = ("train", "finetune", "lamp.txt")
    for words, message in (
        (("train", "finetune", "nothing.txt"), "nothing.txt: No such file"),
        (("train", "finetune", "picture.txt"), "it is a picture"),
        (("train", "finetune", "page.txt"), "the text is too short"),
        (("train", "finetune", "emma.json"), "which world info is trained with"),
        (("train", "world-info", "lamp.txt"), "Pairs are written like"),
        ((*text, "--name", "a*b"), "Use 'a-b'"),
        ((*text, "--name", "wide"), "exists already: choose another name, or replace it with --overwrite"),
        ((*text, "--name", "wide", "--resume"), "no training of it to go on with"),
        ((*text, "--model", "no/such/model/here"), "there is no folder no/such/model/here"),
        ((*text, "--model", "empty"), "holds no config.json"),
        ((*text, "--model", "model.gguf"), "cut short, at 4 bytes"),
        ((*text, "--model", "lamp.txt"), "is a file: give the model's folder"),
        ((*text, "--device", "abacus"), "--device abacus cannot be used here"),
        ((*text, "--device", "cpu", "--device-map", "auto"), "choose one of them"),
        ((*text, "--start", "x", "--from", "wide"), "choose one of them"),
        ((*text, "--from", "wid"), "did you mean 'wide'"),
        ((*text, "--from", "wide"), "7 wide, but this model embeds tokens 32 wide"),
        ((*text, "--output", "lamp.txt"), "lamp.txt is a file"),
        (("eval", "wide", "--data", "lamp.txt"), "7 wide"),
        (("eval", "nobody", "--data", "lamp.txt"), "no soft prompt 'nobody'"),
        (("show", "wide", "--model", "empty"), "holds no config.json"),
    ):
        status, _, err = run(*words)
        assert status == 1, words
        assert re.fullmatch(rf"soft-prompts: .*({message}).*\n", err), f"{words}: {err}"
    assert not (here / "soft_prompts" / "lamp.safetensors").exists()


def test_words_that_mean_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["train"], "KIND"),
        (["train", "guess", "x"], "invalid choice: 'guess'"),
        (["train", "finetune"], "TEXT"),
        (["train", "finetune", "x", "--tokens", "0"], "'0' is no whole number above 0"),
        (["train", "finetune", "x", "--rate", "nan"], "'nan' is no number above 0"),
        (["eval", "x"], "--data"),
        (["eval", "x", "--data", "y", "--method", "guess"], "none of finetune, world-info and distill"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["torch", "transformers"])
def test_what_is_missing_is_named(here: Path, name: str) -> None:
    # In a Python of its own, for whoever imports a package anew leaves two of it behind.
    words = (["train", "finetune", "lamp.txt"], ["eval", "x", "--data", "y"], ["field-test", "x"])
    code = f"import sys; sys.modules[{name!r}] = None; from soft_prompts.cli import main; "
    code += f"print([main(each) for each in {words!r}])"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.stdout == "[1, 1, 1]\n"
    assert done.stderr == f"soft-prompts: {name} is needed to run a model: {_NEEDS}\n" * 3


_NEEDS = "pip install 'soft-prompts[train]', or in a checkout: python install.py train ..."


def test_bitsandbytes_is_asked_for(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    status, _, err = run("train", "finetune", "lamp.txt", *SMALL, "--load-in-4bit")
    assert status == 1 and "pip install bitsandbytes" in err


# ---- an existing prompt


def test_eval_says_what_the_training_said(run: Any) -> None:
    _, out, _ = run("train", "finetune", "lamp.txt", *SMALL, "--json")
    trained = lines(out)[-1]
    status, out, err = run("eval", "lamp", "--data", "lamp.txt", "--json")
    assert (status, err) == (0, "")
    found = lines(out)[-1]
    for one, other in zip(found["lines"], trained["lines"], strict=True):
        assert (one["name"], one["tokens"]) == (other["name"], other["tokens"])
        assert one["nats"] == pytest.approx(other["nats"], abs=1e-4)
    _, out, _ = run("eval", "lamp", "--data", "emma.json")
    assert "of 3 questions" in out
    status, out, _ = run("eval", "lamp", "--data", "lamp.txt", "--method", "distill")
    assert status == 0 and "the whole text" in out


@pytest.mark.parametrize("method", ["world-info", "distill"])
def test_eval_lets_the_model_write_what_the_report_reads_and_no_more(
    method: str, run: Any, here: Path, story: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "lore.txt").write_text(story[:300], "utf-8")
    data, more = ("emma.json", ()) if method == "world-info" else ("lore.txt", ())
    _, out, _ = run("train", method, data, "--name", "it", *SMALL, *more, "--json")
    trained, made = lines(out)[-1], []

    def written(reader: Any, vectors: Any, starts: Any, *more: Any) -> Any:
        made.extend(starts)
        return write(reader, vectors, starts, *more)

    monkeypatch.setattr(distill, "write", written)
    monkeypatch.setattr(worldinfo, "unrelated", lambda *more: pytest.fail("a report reads nothing of it"))
    status, out, err = run("eval", "it", "--data", data, "--method", method, "--json")
    assert (status, err) == (0, "")
    assert len(made) == (distill.parts_of(distill.FEWEST)[2] if method == "distill" else 0)
    found = lines(out)[-1]
    assert found["unrelated"] == pytest.approx(trained["unrelated"], rel=1e-4)
    for one, other in zip(found["lines"], trained["lines"], strict=True):
        assert (one["name"], one["tokens"], one["recall"]) == (other["name"], other["tokens"], other["recall"])
        assert one["nats"] == pytest.approx(other["nats"], rel=1e-4, abs=1e-7)


def test_a_text_is_measured_like_a_prompt(run: Any, here: Path) -> None:
    (here / "soft_prompts").mkdir()
    (here / "soft_prompts" / "words.txt").write_text("The keeper lit the lamp.", "utf-8")
    status, out, _ = run("eval", "words", "--data", "lamp.txt", "--json")
    assert status == 0 and lines(out)[-1]["lines"][-1]["tokens"] > 3


def test_show_says_what_vectors_are_like(run: Any, here: Path, model: Any, tokenizer: Any) -> None:
    SoftPrompt.from_text(" the lamp by the sea", model, tokenizer, "sea").save("soft_prompts/sea.safetensors")
    status, out, _ = run("show", "sea", "--json")
    found = json.loads(out)["vectors"]
    ids = tokenizer(" the lamp by the sea", add_special_tokens=False)["input_ids"]
    assert status == 0
    assert [each["near"][0][1] for each in found] == pytest.approx([1.0] * len(ids))
    assert "".join(each["near"][0][0] for each in found) == " the lamp by the sea"
    assert all(0.3 < each["against"] < 3 for each in found)
    _, out, _ = run("show", "sea")
    assert "' the' 1.00" in out and "nearest tokens" in out
    assert "vectors" not in run("show", "sea", "--model", "")[1]


# ---- a field test


@pytest.mark.slow
def test_a_field_test_is_a_report_without_private_names(run: Any, here: Path, model_folder: Path) -> None:
    status, out, err = run("field-test", model_folder, "--minutes", "0.02")
    assert (status, err) == (0, ""), out
    page, record = ((here / f"field-test-tiny.{ending}").read_text("utf-8") for ending in ("md", "json"))
    for kind in ("finetune", "world info", "distill"):
        assert f"## {kind}" in page
    assert "holds" in page
    assert [each["problem"] for each in json.loads(record)["trainings"]] == ["", "", ""]
    assert str(model_folder.parent) not in page + record and str(here) not in page + record


# ---- the parts


def step(number: int, **more: Any) -> Step:
    return Step(number, 10, 2.0, 0.1, 0.5, 1.9, tokens=100, **more)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_that_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    screen = showing.People(stream)
    screen.begin("begins", {})
    screen.phase("the model writes", 0, 4)
    screen.phase("the model writes", 2, 4)
    screen.step(step(1))
    screen.step(step(2, validation=1.9))
    screen.note("a word")
    screen.end("ends", {})
    *shown, last = stream.getvalue().split("\r")
    assert max(map(len, shown)) < 80
    assert "50 % the model writes, 0 s left" in stream.getvalue()
    assert "20 % step 2/10, loss 2.000, best 1.900, 4 s left, 200 tokens/s" in stream.getvalue()
    # What was longer is wiped out, so that no letter of it stays behind a shorter word.
    assert last == "Note: a word\nends\n"
    assert shown[0] == "begins\n" and not shown[-1].strip() and len(shown[-1]) == len(shown[-2])


def test_plain_lines_now_and_then() -> None:
    stream = io.StringIO()
    screen = showing.People(stream)
    screen.begin("begins", {})
    for number in range(1, 11):
        screen.step(step(number, validation=1.9 if number % 5 == 0 else None))
    assert [line.split("step ")[1].split(",")[0] for line in stream.getvalue().splitlines()[1:]] == ["5/10", "10/10"]


def test_signals_are_left_alone_outside_of_the_main_thread() -> None:
    import threading

    before = signal.getsignal(signal.SIGINT)
    found: list[Any] = []

    def inside() -> None:
        with Stop():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == [before]


HISTORY: list[tuple[int, float, float | None]] = [
    (number, 3 - number / 100, 2.9 if number % 10 == 0 else None) for number in range(1, 61)
]


def test_a_curve_as_a_table() -> None:
    found = curve.table([(1, 2.5, None), (2, float("nan"), 2.25)]).decode()
    assert found == "step,loss,validation\n1,2.5,\n2,nan,2.25\n"


def test_a_curve_as_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    for history in (HISTORY, HISTORY[:1], [(1, float("nan"), None)]):
        assert curve.picture(history, "$x_ & a title", 3.1).startswith(b"\x89PNG")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(soft_prompts.SoftPromptError, match="pip install matplotlib"):
        curve.picture(HISTORY, "x")


def test_a_training_without_matplotlib(run: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    status, out, _ = run("train", "finetune", "lamp.txt", *SMALL)
    assert status == 0 and "pip install matplotlib" in out
    assert not (here / "soft_prompts" / "lamp.training" / "curve.png").exists()


def report(**changes: Any) -> Report:
    given: dict[str, Any] = {
        "method": "finetune",
        "lines": (
            Line("nothing", 0, 2.0, 1.0),
            Line("example text", 448, 1.9, 0.95),
            Line("the text, cut to the prompt's length", 20, 1.95, 0.97),
            Line("soft prompt", 20, 1.5, 0.75),
        ),
        "answers": (),
        "unrelated": 0.01,
    }
    return Report(**{**given, **changes})


def test_a_verdict_is_honest() -> None:
    said = " ".join(reporting.verdict(report()))
    assert "0.500 less" in said and "Less good: the example text" in said and "hardly changes" in said
    lines = report().lines
    said = " ".join(reporting.verdict(report(lines=(*lines[:3], Line("soft prompt", 20, 1.97)), unrelated=0.8)))
    assert "Better still: the example text" in said and "sound of it" in said
    said = " ".join(reporting.verdict(report(lines=(*lines[:3], Line("soft prompt", 20, 2.1)))))
    assert "does not help" in said and "hardly knows" not in said
    lost = report(lines=(Line("nothing", 0, 8.6, 3.9), Line("soft prompt", 20, 5.8, 2.6)))
    assert reporting.verdict(lost)[1] == reporting.record(lost)["warning"] == reporting.FOREIGN
    assert reporting.record(report())["warning"] == ""
    asked = tuple(Answer(" a", " b", " c", False, 9.0) for _ in range(3))
    for recall, words in ((0.0, reporting.UNLEARNT), (1 / 3, "")):
        known = (Line("nothing", 0, 9.3, recall=0.0), Line("soft prompt", 24, 7.9, recall=recall))
        assert reporting.warning(report(method="world info", lines=known, answers=asked)) == words
    whole = (Line("nothing", 0, 0.5), Line("the whole text", 300, 0.0), Line("soft prompt", 30, 0.05))
    said = " ".join(reporting.verdict(report(method="distill", lines=whole)))
    assert "does 90% of what the whole text" in said and "30 tokens in place of 300" in said


def test_a_report_survives_what_a_model_says() -> None:
    said = Answer(" a | b", " right\none", " <script>|`x`\n\n# y", False, 1.0)
    recalled = tuple(Line(each.name, each.tokens, each.nats, recall=0.0) for each in report().lines)
    found = report(method="world info", lines=recalled, answers=(said,), unrelated=float("nan"))
    page = reporting.page(found, {"name": "x", "method": "world info"})
    (row,) = [line for line in page.splitlines() if "script" in line]
    assert len(re.findall(r"(?<!\\)\|", row)) == 5
    assert "<script>" not in page
    assert reporting.record(found)["unrelated"] is None
    assert "wrong" in reporting.told(found)


def test_only_the_first_process_reports(run: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Training, "first", False)
    for name in ("report", "write", "prompt"):
        monkeypatch.setattr(Training, name, lambda *more, **most: pytest.fail("that is for the first one"))
    status, _, err = run("train", "finetune", "lamp.txt", *SMALL, "--preview-every", "2")
    assert (status, err) == (0, "")
    assert not (here / "soft_prompts").exists()


@pytest.mark.slow
def test_only_the_first_process_speaks(here: Path, model_folder: Path) -> None:
    # On a CPU: `accelerate launch` starts one process there, whatever one asks for.
    launch = "torch.distributed.run --standalone --nproc_per_node 2 -m soft_prompts.trainer"
    words = ["finetune", "lamp.txt", *SMALL, "--json", "--model", str(model_folder)]
    done = subprocess.run(
        [sys.executable, "-I", "-m", *launch.split(), *words], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    found = lines(done.stdout)
    assert found[0]["processes"] == 2
    assert [each["event"] for each in found].count("end") == 1
    assert [each["number"] for each in found if each["event"] == "step"] == list(range(1, 9))
