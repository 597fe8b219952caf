"""The law on the webui's llama.cpp loader, with a real llama-server: what a text does, its soft prompt does.

In the real webui the loader is the webui's own; the fake has one of its kind.
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gguf")

from soft_prompts.errors import SoftPromptError

from ..llamacpp.llama_server import FOUND

pytestmark = [
    pytest.mark.llamacpp,
    pytest.mark.slow,
    pytest.mark.skipif(not FOUND, reason="LLAMA_SERVER names no llama-server, and none is on the PATH"),
]
Inside = Any  # the fixture of conftest.py
LAMP = " and the old keeper lit the lamp in the tower"
BEFORE, AFTER = "Once upon a time there was a miller", ". In the morning the boat was gone, and nobody knew where"
EXACT = "--flash-attn off --cache-type-k f32 --cache-type-v f32"
"""The writer's own flags, which stay: with these, a text is read as exactly in parts as in one go."""
WAYS = ["lora", "mmproj"]


def write(folder: Path) -> None:
    """The storyteller as GGUF: as it is, tied, and with an output and spare rows of its own."""
    import torch
    from gguf_of_tests import write_gguf
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from soft_prompts import demo

    tokenizer = AutoTokenizer.from_pretrained(demo.path())
    model = AutoModelForCausalLM.from_pretrained(demo.path(), dtype=torch.float32)
    write_gguf(folder / "mmproj.gguf", model, tokenizer)
    model.resize_token_embeddings(2560 + 96, mean_resizing=False)
    write_gguf(folder / "lora.gguf", model, tokenizer, unused=96, untie=True)


@pytest.fixture(scope="module", params=WAYS)
def _llama(_inside: Inside, request: pytest.FixtureRequest, gguf_of_tests: Any) -> Iterator[Inside]:
    """The webui with the llama.cpp loader and the storyteller as GGUF."""
    inside = _inside
    binaries = types.ModuleType("llama_cpp_binaries")
    binaries.get_binary_path = lambda: FOUND  # type: ignore[attr-defined]
    sys.modules["llama_cpp_binaries"] = binaries
    models = inside.user_data / "models"
    if not (models / "lora.gguf").exists():
        write(models)
    args, before = inside.shared.args, dict(vars(inside.shared.args))
    args.loader, args.ctx_size, args.threads, args.gpu_layers, args.parallel = "llama.cpp", 1024, 1, 0, 1
    args.extra_flags = EXACT
    with inside.hijacked():
        inside.models.unload_model()
        inside.shared.model, inside.shared.tokenizer = inside.models.load_model(f"{request.param}.gguf")
        assert type(inside.shared.model).__name__ == "LlamaServer"
        yield inside
        inside.models.unload_model()
        vars(args).update(before)
        inside.load()


@pytest.fixture
def llama(_llama: Inside) -> Iterator[Inside]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from soft_prompts import SoftPrompt, demo

    model, tokenizer = (each.from_pretrained(demo.path()) for each in (AutoModelForCausalLM, AutoTokenizer))
    for name, text in (("lamp", LAMP), ("sea", " The sea was calm")):
        SoftPrompt.from_text(text, model, tokenizer, name=name).save(_llama.folder / f"{name}.safetensors")
    _llama.ours.library.refresh()
    _llama.said.clear()
    yield _llama
    for path in sorted(_llama.folder.rglob("*"), reverse=True):
        if ".llamacpp" not in path.parts:
            path.rmdir() if path.is_dir() else path.unlink()
    _llama.ours.settings.switch(True)
    _llama.ours.current.switch(True)


def test_the_panel_says_what_will_happen(llama: Inside) -> None:
    health = llama.ours.desk.health()
    assert (health.state, health.line) == ("ready", "Tags work. 2 soft prompts are ready for the loaded model.")
    assert any("loader: llama.cpp" in each for each in health.details)
    rows = {row.name: row for row in llama.ours.desk.rows()}
    assert rows["lamp"].verdict == "fits" and rows["lamp"].tokens == len(llama.ours.library["lamp"])


def test_what_the_vectors_are_like_and_a_text_as_vectors(llama: Inside) -> None:
    """Of the very tokens of a text, each is nearest to itself; the file's table is asked, and no server restarted."""
    process = llama.shared.model.process.pid
    desk = llama.ours.desk
    assert "".join(desk.resembles("lamp")) == LAMP
    desk.make("keeper", LAMP)
    row = desk.bake("keeper")
    assert (row.verdict, row.method, row.tokens) == ("fits", "text", len(llama.ours.library["lamp"]))
    assert "".join(desk.resembles("keeper")) == LAMP.strip()
    assert llama.shared.model.process.pid == process


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("before", "after"), [(BEFORE, AFTER), (" Once", AFTER), (BEFORE, ""), (" Once", "")], ids=str)
def test_notebook(llama: Inside, before: str, after: str, stream: bool) -> None:
    if not after and llama.ours.current.served.route.way == "mmproj":
        pytest.skip("there the word before a tag at the end goes behind it")
    plain = llama.complete(before + LAMP + after, stream=stream, temperature=0)
    assert plain.strip()
    assert llama.complete(before + "<<sp:lamp>>" + after, stream=stream, temperature=0) == plain
    assert llama.complete(before + after, stream=stream, temperature=0) != plain
    assert llama.ours.last.tokens


def test_one_restart_is_enough(llama: Inside) -> None:
    llama.complete(BEFORE + "<<sp:lamp>>" + AFTER)
    served = llama.ours.current.served
    first = served.sidecar
    assert first is not None and served.tested == "passed its self-test"
    process = llama.shared.model.process.pid
    llama.said.clear()
    llama.complete("<<sp:sea>>" + BEFORE + "<<sp:lamp>>")
    assert (served.sidecar, llama.shared.model.process.pid, llama.said) == (first, process, [])
    # Another strength is other vectors.
    llama.complete(BEFORE + "<<sp:lamp:0.5>>")
    assert llama.shared.model.process.pid != process
    (said,) = llama.said
    assert said.startswith("llama.cpp is started once more, so that it has <<sp:lamp:0.5>> (about ")


MODES = ["chat", "chat-instruct", "instruct"]


@pytest.mark.parametrize("mode", MODES)
def test_chat(llama: Inside, mode: str) -> None:
    if mode == "instruct" and llama.ours.current.served.route.way == "mmproj":
        pytest.skip("this template has no BOS, and llama.cpp puts one before every prompt with images")
    said = {
        tag: llama.reply(f"Tell me of the sea{tag}, please.", mode=mode, temperature=0) for tag in (LAMP, "<<sp:lamp>>")
    }
    assert said[LAMP].strip()
    assert said["<<sp:lamp>>"] == said[LAMP]
    assert [use.tokens for use in llama.ours.last.uses] == [len(llama.ours.library["lamp"])]


def test_the_next_model_comes_up_with_its_prompts(llama: Inside) -> None:
    name = llama.shared.model_name
    llama.models.unload_model()
    llama.shared.model, llama.shared.tokenizer = llama.models.load_model(name)
    served, process = llama.ours.current.served, llama.shared.model.process.pid
    assert served.sidecar is not None and served.tested == "passed its self-test"
    assert llama.complete(BEFORE + "<<sp:lamp>>" + AFTER, temperature=0).strip()
    assert llama.shared.model.process.pid == process and llama.said == []
    assert llama.shared.args.extra_flags == EXACT


def test_a_text_is_its_own_words(llama: Inside) -> None:
    """No start, no rows: the first minute of who has no file yet."""
    (llama.folder / "words.txt").write_text(LAMP, "utf-8")
    llama.ours.library.refresh()
    process = llama.shared.model.process.pid
    plain = llama.complete(BEFORE + LAMP + AFTER, temperature=0)
    assert llama.complete(BEFORE + "<<sp:words>>" + AFTER, temperature=0) == plain
    assert llama.shared.model.process.pid == process
    assert [use.tokens for use in llama.ours.last.uses] == [len(llama.ours.library["lamp"])]


def test_a_server_that_does_not_start_with_them_starts_without(llama: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    served = llama.ours.current.served
    module = sys.modules[type(served._stock).__module__]

    def broken(*args: Any, **options: Any) -> Any:
        made = make(*args, **options)
        made.path.write_bytes(b"GGUF, but not much of one")
        return made

    make = module.make  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "make", broken)
    plain = llama.complete(BEFORE + AFTER, temperature=0)
    assert llama.complete(BEFORE + "<<sp:lamp:0.77>>" + AFTER, temperature=0) == plain
    assert any("does not start with soft prompts" in each for each in llama.said)
    assert "failed its self-test" in llama.ours.desk.report()
    for path in (llama.folder / ".llamacpp").glob("*.gguf"):
        path.unlink()
    monkeypatch.undo()
    name = llama.shared.model_name
    llama.models.unload_model()
    llama.shared.model, llama.shared.tokenizer = llama.models.load_model(name)
    assert llama.complete(BEFORE + "<<sp:lamp:0.77>>" + AFTER, temperature=0) != plain


def test_tags_side_by_side_of_which_one_changes(llama: Inside) -> None:
    """Where images hold several vectors each, llama-server stumbles over what it kept of the text before."""
    import numpy as np

    from soft_prompts import SoftPrompt

    for each in llama.folder.glob("*.safetensors"):
        each.unlink()
    chance = np.random.default_rng(5)
    for name in "abc":
        SoftPrompt(name, chance.standard_normal((8, 160)).astype(np.float32) * 0.3).save(
            llama.folder / f"{name}.safetensors"
        )
    llama.ours.library.refresh()
    said = [
        llama.complete(f"{BEFORE}<<sp:a>><<sp:{second}>>{AFTER}", temperature=0, stream=stream)
        for second in "bcb"
        for stream in (True, False)
    ]
    assert said[0] == said[1] == said[4] == said[5] and said[2] == said[3] != said[0] and all(map(str.strip, said))


def test_pins(llama: Inside) -> None:
    from soft_prompts.hosts.protocol import Pin

    plain = llama.complete(LAMP + BEFORE, temperature=0)
    llama.ours.settings.pin("everywhere", Pin("lamp"))
    try:
        assert llama.complete(BEFORE, temperature=0) == plain
        (use,) = llama.ours.last.uses
        assert (use.tag, use.pinned, use.problem) == ("<<sp:lamp>>", True, "")
    finally:
        llama.ours.settings.unpin("everywhere", "lamp")


def test_counters_and_cuts(llama: Inside) -> None:
    lamp = len(llama.ours.library["lamp"])
    bare = llama.generation.get_encoded_length(BEFORE + AFTER)
    assert llama.generation.get_encoded_length(BEFORE + "<<sp:lamp>>" + AFTER) == bare + lamp
    assert llama.shared.tokenizer.decode(llama.ids(BEFORE + "<<sp:lamp>>" + AFTER)).endswith("<<sp:lamp>>" + AFTER)
    # A text that is longer than the context loses its beginning, and a tag goes whole.
    text = "<<sp:lamp>>" + (BEFORE + AFTER) * 3
    assert llama.complete(text, truncation_length=40, max_new_tokens=4).strip()
    (use,) = llama.ours.last.uses
    assert "cut off with the beginning" in use.problem
    assert llama.ours.last.tokens <= 36
    # The reply may be as long as the context leaves.
    llama.complete(BEFORE + "<<sp:lamp>>", auto_max_new_tokens=True, truncation_length=60)
    assert llama.shared.model.last_prompt_token_count == llama.ours.last.tokens


def test_logits(llama: Inside) -> None:
    view = llama.module("logits").get_next_logits
    found = []
    for text in (BEFORE + LAMP + AFTER, BEFORE + "<<sp:lamp>>" + AFTER, BEFORE + AFTER):
        table = view(text, llama.state(), False, "", top_logits=8, return_dict=True)
        found.append({token: round(float(each), 3) for token, each in table.items()})
    assert found[0] == pytest.approx(found[1], abs=0.005) and found[0] != found[2]


def test_soft_ids_are_never_written(llama: Inside) -> None:
    llama.complete(BEFORE + "<<sp:lamp>>")
    served = llama.ours.current.served
    text = llama.complete(
        BEFORE + "<<sp:lamp>>", temperature=2, max_new_tokens=200, top_p=1, top_k=0, ban_eos_token=True
    )
    assert "[PAD" not in text
    if served.route.way == "lora":
        assert served.sidecar.banned


def test_what_is_unknown_is_left_out_and_told(llama: Inside) -> None:
    plain = llama.complete(BEFORE + AFTER, temperature=0)
    assert llama.complete(BEFORE + "<<sp:lmap>>" + AFTER, temperature=0) == plain
    assert any("did you mean 'lamp'" in each for each in llama.said)


def test_switched_off(llama: Inside) -> None:
    plain = llama.complete(BEFORE + AFTER, temperature=0)
    llama.ours.desk.switch(False)
    assert llama.complete(BEFORE + "<<sp:lamp>>" + AFTER, temperature=0) == plain
    llama.ours.desk.switch(True)


def test_restart_waits_for_who_is_writing(llama: Inside) -> None:
    """Two at once, as with --parallel, where the webui takes no lock."""
    llama.complete(BEFORE + "<<sp:lamp>>")
    model, state = llama.shared.model, llama.state(max_new_tokens=60, stream=True, temperature=0, ban_eos_token=True)
    alone = list(model.generate_with_streaming(BEFORE, dict(state)))[-1]
    running = model.generate_with_streaming(BEFORE, dict(state))
    next(running)
    done: list[str] = []
    other = threading.Thread(
        target=lambda: done.extend(model.generate_with_streaming(BEFORE + "<<sp:sea:0.3>>", dict(state)))
    )
    other.start()
    other.join(0.5)
    assert other.is_alive() and not done
    assert list(running)[-1] == alone
    other.join(60)
    assert done and done[-1].strip()


def test_two_texts_side_by_side(llama: Inside) -> None:
    """The trial of the panel, whose first tag may restart the server, and whose unknown tags are told of."""
    tries = llama.ours.desk.tries
    assert tries.reason == ""
    texts = f"{BEFORE}<<sp:lamp>>{AFTER}", BEFORE + LAMP + AFTER, BEFORE + AFTER
    found = [list(tries.write(texts[0], other, tokens=8, seed=3)) for other in texts[1:]]
    left, right = ("".join(piece.text for number, piece in found[0] if number == each) for each in (0, 1))
    assert left == right != ""
    assert max(abs(piece.change) for _, piece in found[0]) < 0.02
    assert max(abs(piece.change) for _, piece in found[1]) > 0.1
    with pytest.raises(SoftPromptError, match="nowhere"):
        tries.write("<<sp:nowhere>>The sky", "The sky")
