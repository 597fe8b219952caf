"""What was typed, and what comes of it: names, starts, ends before anything was learnt, and lines to type next."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from soft_prompts.cli import main, parser
from soft_prompts.errors import InvalidFile
from soft_prompts.trainer import (
    Corpus,
    Distill,
    Facts,
    Finetune,
    Lore,
    Pair,
    Settings,
    WorldInfo,
    asking,
    commands,
    curve,
    job,
    loading,
    reporting,
    showing,
)
from soft_prompts.trainer.distill import FEWEST, MOST, rows_for
from soft_prompts.trainer.evaluate import Line, Report
from soft_prompts.trainer.loop import Step
from soft_prompts.trainer.memory import Peak
from soft_prompts.trainer.options import model_words, name_of
from soft_prompts.trainer.reader import Reader

SMALL = ("--tokens", "4", "--steps", "8", "--batch", "2", "--block", "32", "--validate", "4")
TEXT = ("train", "finetune", "lamp.txt")


@pytest.fixture
def typed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    story: str,
    make: Callable[..., Any],
    tokenizer: Any,
) -> Callable[..., tuple[int, str, str]]:
    """`typed("train", "finetune", "lamp.txt")` on a tiny model, in a folder with texts: status, output, errors."""
    monkeypatch.chdir(tmp_path)
    make("llama", max_position_embeddings=2048).save_pretrained("tiny")
    tokenizer.save_pretrained("tiny")
    (tmp_path / "lamp.txt").write_text(story * 6, "utf-8")
    (tmp_path / "emma.json").write_text('[{"call": "Emma lives in", "response": " the tower"}]', "utf-8")

    (tmp_path / "soft_prompts").mkdir()
    (tmp_path / "soft_prompts" / "words.txt").write_text("The lamp.", "utf-8")
    capsys.readouterr()

    def run(*words: str) -> tuple[int, str, str]:
        status = main([*words, *(() if "--model" in words else ("--model", "tiny"))])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_errors_say_what_to_type(typed: Any) -> None:
    for words, message in (
        ((*TEXT, "--name", "lamp.safetensors"), "a name has no ending, as tags have none: --name lamp"),
        ((*TEXT, "--name", ""), "cannot name a soft prompt"),
        ((*TEXT, "--start", ""), "the start '' has no tokens: give a sentence"),
        ((*TEXT, "--block", "4"), "block=4: a row of text has 16 tokens at least, and 256 serve"),
        ((*TEXT, "--tokens", "2000"), "a prompt of 2000 tokens and rows of .* do not fit .* lower tokens or block"),
        (("train", "world-info", "emma.json", "lamp.txt"), "facts are one file, and here are 2"),
        (("eval", "words", "--data", "lamp.txt", "--held-out", "emma.json"), "Pairs are written like"),
    ):
        status, _, err = typed(*words)
        assert status == 1, words
        assert re.fullmatch(rf"soft-prompts: .*({message}).*\n", err), f"{words}: {err}"


def test_a_folder_is_named_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lamp 1.5").mkdir()
    monkeypatch.chdir(tmp_path / "lamp 1.5")
    assert name_of(["."]) == name_of([os.path.join("..", "lamp 1.5", "")]) == "lamp 1.5"
    assert name_of([os.path.join("a", "lamp.v2.txt"), "b.txt"]) == "lamp.v2"
    assert commands._named(["."]) == "lamp 1.5"


def test_help_says_what_is_taken_otherwise(
    model: Any, tokenizer: Any, text: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    lore = Lore(text.text[:600])
    facts = Facts((Pair("Emma lives in", " the tower"),))
    for kind, task in (("finetune", Finetune(text)), ("world-info", WorldInfo(facts)), ("distill", Distill(lore))):
        with pytest.raises(SystemExit):
            main(["train", kind, "--help"])
        said = " ".join(capsys.readouterr().out.split())
        settings = Settings.of(task.lesson(Reader(model, tokenizer)).defaults)
        steps = f"{FEWEST} to {MOST}" if kind == "distill" else str(settings.steps)
        assert f"at most ({steps})" in said
        assert re.search(rf"--validate N [^-]*\({settings.validate}\)", said)
        assert f"cost ({'a tenth of the text' if kind == 'distill' else settings.tokens}" in said
    assert f"to learn from ({FEWEST} to {MOST})" in said
    assert re.search(rf"--patience N [^-]*\({Settings().patience}\)", said)


def test_a_longer_text_is_written_of_more() -> None:
    assert [rows_for(tokens) for tokens in (8, 153, 154, 310, 5_000)] == [1536, 1536, 1540, 3072, 3072]


def test_nothing_to_go_on_with_is_said(typed: Any) -> None:
    status, out, _ = typed(*TEXT, *SMALL, "--resume")
    assert status == 0
    assert "Note: there is no training of this name to go on with, so it begins at the first step\n" in out
    assert "to go on with" not in typed(*TEXT, *SMALL, "--overwrite")[1]


def at_first_step(do: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    def step(self: showing.People, step: Step) -> None:
        do()

    monkeypatch.setattr(showing.People, "step", step)


def test_an_end_before_the_first_look_promises_nothing(typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    at_first_step(lambda: signal.raise_signal(signal.SIGINT), monkeypatch)
    status, out, _ = typed(*TEXT, *SMALL)
    assert status == 130
    assert "Stopped after step 1 of 8. No look at unseen text has found anything better" in out
    assert "can be used" not in out


def test_a_rehearsal_ends_at_once(typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(*words: Any) -> None:
        signal.raise_signal(signal.SIGINT)  # in this thread, and so before anything else is done

    monkeypatch.setattr(job, "rehearse", measured)
    # A program that was started in the background hears no Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        status, out, err = typed(*TEXT, *SMALL, "--dry-run")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (status, err) == (130, "\nsoft-prompts: ended\n")
    assert "--resume" not in out


def test_the_line_to_try_loads_the_model_in_the_same_way(typed: Any) -> None:
    _, out, _ = typed(*TEXT, *SMALL, "--name", "my lamp", "--output", "my lib", "--dtype", "bfloat16")
    assert "soft-prompts try 'my lamp' --folder 'my lib' --model tiny --dtype bfloat16\n" in out
    words = ["--model", "m", "--device-map", "auto", "--load-in-4bit", "--trust-remote-code"]
    assert model_words(parser().parse_args([*TEXT, *words])) == words


def test_lines_are_quoted_as_the_shell_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert job.typed("--name", "my lamp", "x") == "--name 'my lamp' x"
    monkeypatch.setattr(os, "name", "nt")
    assert job.typed("--name", "my lamp", "x") == '--name "my lamp" x'


def test_whether_a_folder_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asking.check_folder(tmp_path / "new" / "er")
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidFile, match="file is a file"):
        asking.check_folder(tmp_path / "file" / "er")
    monkeypatch.setattr(os, "access", lambda path, how: False)
    with pytest.raises(InvalidFile, match="check the permissions, or choose another --output"):
        asking.check_folder(tmp_path / "new")


def test_a_field_test_looks_at_its_folder_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x")
    assert main(["field-test", str(tmp_path / "no model"), "--output", str(tmp_path / "file")]) == 1
    assert "is a file" in capsys.readouterr().err


def test_a_field_test_says_nothing_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from soft_prompts.trainer.fieldtest import _clean

    monkeypatch.chdir(tmp_path)
    (tmp_path / "ann" / "tiny").mkdir(parents=True)
    options = parser().parse_args(["field-test", "ann/tiny"])
    assert _clean("tiny: ann/tiny holds no weights", options) == "tiny: ... holds no weights"
    assert _clean(f"tiny: {tmp_path}/ann/tiny, {tmp_path}", options) == "tiny: ..., ..."
    assert json.loads(_clean({"x": "ann/tiny"}, options)) == {"x": "..."}


def test_a_name_in_letters_that_a_font_has_not() -> None:
    # Any warning is an error here, as it would be a line among those of a training.
    assert curve.picture([(1, 3.0, 2.9)], "\u6771\u4eac", 3.1).startswith(b"\x89PNG")


def test_what_was_not_measured_is_not_praised() -> None:
    lines = (Line("nothing", 0, 2.0), Line("soft prompt", 4, 1.5))
    *_, last = reporting.verdict(Report("finetune", lines, (), float("nan")))
    assert last == "What it does to unrelated text could not be measured."


def test_a_card_that_does_not_say_how_much_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        """As torch.mps is: it knows nothing of a highest level."""

    class Weight:
        device = torch.device("mps")

    class Model:
        def parameters(self) -> list[Weight]:
            return [Weight()]

    monkeypatch.setattr(torch, "get_device_module", lambda kind: Silent())
    with Peak(Model()) as peak:  # type: ignore[arg-type]
        pass
    assert peak.bytes is None
    with Peak(torch.nn.Linear(2, 2)) as peak:
        pass
    assert peak.bytes is not None


# ---- models


def test_a_model_that_is_nowhere_is_one_line(typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, **options: Any) -> None:
        logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 1s [Retry 1/5].")
        raise OSError("We couldn't connect to the hub.\nCheck your internet connection.\nA third line.")

    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", missing)
    status, _, err = typed(*TEXT, "--model", "somebody/else")
    assert status == 1
    assert err == (
        "soft-prompts: the model somebody/else cannot be loaded: We couldn't connect to the hub. Check your internet "
        "connection. Nor is there a folder somebody/else here.\n"
    )
    assert "Nor is there" not in typed(*TEXT)[2]


def test_only_a_download_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    from transformers.utils.logging import is_progress_bar_enabled

    enable_progress_bars()
    loading._hush()
    assert (are_progress_bars_disabled(), is_progress_bar_enabled()) == (False, False)
    disable_progress_bars()
    loading._hush()
    assert are_progress_bars_disabled()
    enable_progress_bars()


def test_a_map_of_nothing_but_the_processor_computes_as_it_does(typed: Any) -> None:
    import transformers

    transformers.AutoModelForCausalLM.from_pretrained("tiny").half().save_pretrained("tiny")
    for words in ((), ("--device-map", "cpu")):
        out = typed(*TEXT, *SMALL, "--dry-run", *words)[1]
        assert " on cpu in float32, " in out
    assert " on cpu in float16, " in typed(*TEXT, *SMALL, "--dry-run", "--device-map", "cpu", "--dtype", "float16")[1]
