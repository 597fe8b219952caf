"""The webui's contract: what is used of it is there, and what its stand-in in `fake/` does, the real one does.

Most of it runs in both, and so holds the two together; where only the real one can be asked, the mark `webui` says so.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from soft_prompts.hosts.webui import contract
from soft_prompts.hosts.webui.following import Following

Inside = Any  # the fixture of conftest.py
FAKE = Path(__file__).with_name("fake") / "modules"
TEXT = "Once upon a time there was a miller"
real_only = [
    pytest.mark.webui,
    pytest.mark.skipif(not os.environ.get("TEXTGEN_WEBUI_DIR"), reason="TEXTGEN_WEBUI_DIR names no webui"),
]
TABLES = ["needed", "wrapped", "lent", "llama"]
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@pytest.mark.parametrize("table", [contract.NEEDED, contract.WRAPPED, contract.LENT, contract.LLAMA], ids=TABLES)
def test_what_is_used_is_there(inside: Inside, table: dict[str, Any]) -> None:
    assert contract.problems(table) == {}
    assert contract.problems(table, loaded_only=True) == {}


def test_a_webui_that_is_another_is_told_apart(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(inside.chat, "generate_chat_prompt")
    monkeypatch.setattr(inside.generation, "generate_basic_html", lambda text: text)
    found = contract.problems(contract.WRAPPED)
    assert list(found) == ["generate_chat_prompt", "generate_basic_html"]
    assert found["generate_chat_prompt"] == "modules.chat.generate_chat_prompt is missing"
    assert found["generate_basic_html"] == "modules.text_generation.generate_basic_html takes no string"
    assert set(found) <= set(contract.LOSSES)


# ---- extensions, by one that writes down what it is asked


PROBE = """
calls = []
params = {"display_name": "Probe"}

def note(name, *seen, answer=None):
    calls.append((name, *seen))
    return answer

def setup(): note("setup")
def state_modifier(state): return note("state", answer=state)
def history_modifier(history): return note("history", answer=history)
def chat_input_modifier(text, visible_text, state): return note("chat_input", answer=(text, visible_text))
def input_modifier(string, state, is_chat=False): return note("input", is_chat, answer=string)
def output_modifier(string, state, is_chat=False): return note("output", is_chat, answer=string)
def bot_prefix_modifier(string, state): return note("bot_prefix", answer=string)
def custom_generate_chat_prompt(text, state, **kwargs): return note("custom_generate_chat_prompt", sorted(kwargs))
def custom_tokenized_length(prompt): return note("tokenized_length")
def logits_processor_modifier(processors, ids): return note("logits_processor", answer=processors)
def tokenizer_modifier(state, prompt, ids, embeds):
    return note("tokenizer", ids.shape[1], answer=(prompt, change(ids), embeds))
def change(ids): return ids
"""
PLAIN = ["state", "input", "tokenizer", "logits_processor", "output"]
CHAT = ["history", "state", "chat_input", "input", "custom_generate_chat_prompt", "bot_prefix", "tokenized_length"]
CHAT += ["tokenizer", "logits_processor", "output"]
AGAIN = [name for name in CHAT if name not in ("chat_input", "input")]


def load_extensions(inside: Inside, **scripts: str) -> None:
    for name, script in scripts.items():
        folder = inside.user_data / "extensions" / name
        folder.mkdir(exist_ok=True)
        (folder / "script.py").write_text(script, "utf-8")
    inside.shared.args.extensions = inside.extensions.available_extensions = list(scripts)
    inside.extensions.load_extensions()


@pytest.fixture
def probe(inside: Inside) -> Iterator[Any]:
    """The one extension that the webui has loaded; tags still mean something, since the model is attached to."""
    load_extensions(inside, probe=PROBE)
    found = inside.extensions.state["probe"][2]
    assert found.calls == [("setup",)]
    found.calls.clear()
    yield found
    inside.load_extension()


def asked(probe: Any) -> list[str]:
    found = [call[0] for call in probe.calls]
    probe.calls.clear()
    return found


@STREAM
def test_hooks_of_a_completion(inside: Inside, probe: Any, stream: bool) -> None:
    inside.complete(TEXT, stream=stream)
    assert [call for call in probe.calls if call[0] in ("input", "output")] == [("input", False), ("output", False)]
    assert asked(probe) == PLAIN


@STREAM
@pytest.mark.parametrize("mode", ["chat", "instruct", "chat-instruct"])
def test_hooks_of_a_chat(inside: Inside, probe: Any, mode: str, stream: bool) -> None:
    row = ["Hello", "It is I"]
    history = {"internal": [row[:]], "visible": [row[:]], "metadata": {}}
    prefix = [] if mode == "instruct" else ["bot_prefix"]
    inside.reply("Who are you?", mode=mode, stream=stream)
    assert ("input", True) in probe.calls and ("output", True) in probe.calls
    assert ("custom_generate_chat_prompt", ["_continue", "history"]) in probe.calls
    assert asked(probe) == [name for name in CHAT if name != "bot_prefix" or prefix]
    inside.reply("", regenerate=True, mode=mode, stream=stream, history=history)
    assert asked(probe) == [name for name in AGAIN if name != "bot_prefix" or prefix]
    inside.reply("", _continue=True, mode=mode, stream=stream, history=history)
    assert asked(probe) == [name for name in AGAIN if name != "bot_prefix"]


def test_no_hooks_at_all(inside: Inside, probe: Any) -> None:
    tokens = inside.module("api.tokens")
    ids = tokens.token_encode(TEXT)["tokens"]
    assert tokens.token_count(TEXT)["length"] == len(ids)
    assert tokens.token_decode(ids)["text"]
    assert inside.module("logits").get_next_logits(TEXT, inside.state(), False, "", return_dict=True)
    assert asked(probe) == []
    assert inside.module("logits").get_next_logits(TEXT, inside.state(), True, "", return_dict=True)
    assert asked(probe) == PLAIN


def test_an_extension_is_a_module_by_its_path(inside: Inside, probe: Any) -> None:
    assert probe.__name__ == "user_ext_probe" and not probe.__package__
    inside.extensions.load_extensions()
    assert inside.extensions.state["probe"][2] is not probe, "executed anew"


def test_what_ends_an_extension_and_what_ends_the_webui(inside: Inside) -> None:
    try:
        load_extensions(inside, broken="raise ImportError('no')", probe=PROBE)
        assert list(inside.extensions.state) == ["probe"]
        with pytest.raises(ModuleNotFoundError):
            load_extensions(inside, lacking="import a_module_that_nobody_has", probe=PROBE)
    finally:
        inside.load_extension()


def test_the_first_length_counts(inside: Inside) -> None:
    try:
        load_extensions(inside, probe=PROBE, other="def custom_tokenized_length(prompt):\n    return 7")
        assert inside.generation.get_encoded_length(TEXT) == len(inside.ids(TEXT)), "None of the first one is an answer"
        load_extensions(inside, other="def custom_tokenized_length(prompt):\n    return 7", probe=PROBE)
        assert inside.generation.get_encoded_length(TEXT) == 7
    finally:
        inside.load_extension()


# ---- a prompt's way to the model


def passed(inside: Inside, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> dict[str, Any]:
    """What `generate` is called with, and by which thread."""
    found: dict[str, Any] = {}
    generate = inside.shared.model.generate

    def spy(*args: Any, **kwargs: Any) -> Any:
        found.update(kwargs, thread=threading.current_thread())
        return generate(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(inside.shared.model, "generate", spy)
        found["text"] = inside.complete(TEXT, **changes)
    return found


def test_encode(inside: Inside) -> None:
    bos = inside.shared.tokenizer.bos_token_id

    def encode(text: str, **options: Any) -> list[int]:
        return inside.generation.encode(text, **options)[0].tolist()

    ids = encode(TEXT)
    assert ids[0] == bos and ids.count(bos) == 1
    assert encode(TEXT, add_special_tokens=False) == ids, "the BOS that is missing is put in front"
    assert encode(TEXT, add_special_tokens=False, add_bos_token=False) == ids[1:]
    assert encode(f"<s><s>{TEXT}") == encode(f"<s><s>{TEXT}", add_bos_token=False) == ids, "of more than one, one stays"
    assert encode("") == [bos]
    assert [encode(TEXT, truncation_length=length) for length in (1, 3, 99)] == [ids[-1:], ids[-3:], ids]
    assert encode(TEXT, truncation_length=0) == ids, "no room at all is room for everything"
    assert encode(TEXT, truncation_length=-4) == ids[4:], "less than no room takes from the left"


def test_room_is_computed_before_extensions_are_asked(
    inside: Inside, probe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe.change = lambda ids: ids.repeat(1, 3)
    found = passed(inside, monkeypatch, auto_max_new_tokens=True, truncation_length=40, ban_eos_token=True)
    size = len(inside.ids(TEXT))
    assert found["inputs"].shape[1] == 3 * size
    assert found["max_new_tokens"] == 40 - size
    found = passed(inside, monkeypatch, truncation_length=12, max_new_tokens=8)
    assert ("tokenizer", 4) in probe.calls and found["inputs"].shape[1] == 12


def test_negative_prompt_is_encoded_like_any(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    found = passed(inside, monkeypatch, guidance_scale=2, negative_prompt=" Then")
    assert found["negative_prompt_ids"][0].tolist() == inside.ids(" Then")


def test_streaming_is_a_thread_and_a_criterion(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    ways: list[dict[str, Any]] = [{"stream": True}, {"stream": False}]
    ways.append({"stream": False, "custom_stopping_strings": '"@@never"'})
    streamed, whole, stopped = (passed(inside, monkeypatch, ban_eos_token=True, **way) for way in ways)
    names = [[type(each).__name__ for each in found["stopping_criteria"]] for found in (streamed, whole, stopped)]
    assert names == [["_StopEverythingStoppingCriteria", "Stream"], ["_StopEverythingStoppingCriteria"], names[0]]
    here = threading.current_thread()
    assert streamed["thread"] is not here and whole["thread"] is here and stopped["thread"] is not here
    assert streamed["text"] == whole["text"] == stopped["text"]


def test_stop_strings(inside: Inside) -> None:
    whole = inside.complete(TEXT)
    stop = whole[5:8]
    assert inside.complete(TEXT, custom_stopping_strings=[stop]) == whole[: whole.index(stop)]
    assert inside.complete(TEXT, custom_stopping_strings=json.dumps(stop), stream=True) == whole[: whole.index(stop)]
    assert inside.complete(TEXT, custom_stopping_strings=[whole[-2:] + "?"]) == whole[:-2], "it may have gone on so"


@STREAM
def test_a_failure_is_an_empty_text(inside: Inside, probe: Any, stream: bool) -> None:
    probe.change = lambda ids: ids + inside.shared.model.config.vocab_size
    assert inside.complete(TEXT, stream=stream) == ""
    assert not inside.shared.generation_lock.locked()


def test_logits_with_an_error_are_none(inside: Inside) -> None:
    assert inside.module("logits").get_next_logits(TEXT, {}, True, "") is None
    assert not inside.shared.generation_lock.locked()


def test_log_probabilities_are_looked_up_by_id(inside: Inside, lamp: str) -> None:
    """Why that function is wrapped."""
    entries = inside.module("api.completions")._compute_prompt_logprob_entries
    ids = inside.generation.encode(TEXT + lamp)
    assert len(entries(TEXT + lamp, 2, input_ids=ids)) == len(ids[0])
    with pytest.raises((IndexError, OverflowError)):
        entries.__wrapped__(TEXT + lamp, 2, input_ids=ids)


def test_the_html_pane_takes_html(inside: Inside) -> None:
    made = inside.generation.generate_basic_html
    assert "<i>so</i>" in made.__wrapped__("It is <i>so</i>")


# ---- the chat


def chat_prompt(inside: Inside, room: int, rows: list[list[str]], text: str, **changes: Any) -> tuple[str, list[str]]:
    history = {"internal": rows, "visible": rows, "metadata": {}}
    state = inside.state(history=history, truncation_length=room + 1, max_new_tokens=1, **changes)
    return inside.chat.generate_chat_prompt(text, state, also_return_rows=True)


def test_a_long_chat_loses_old_messages_then_characters(inside: Inside) -> None:
    rows = [["The oldest", "An answer"], ["A newer one", "Another"]]
    options = {"mode": "chat", "context": "It is night.", "user_bio": ""}
    prompt, said = chat_prompt(inside, 500, rows, "And the newest", **options)
    assert said == ["It is night.", "The oldest", "An answer", "A newer one", "Another", "And the newest"]
    lost = []
    for room in range(inside.generation.get_encoded_length(prompt) - 1, 0, -1):
        try:
            prompt, said = chat_prompt(inside, room, rows, "And the newest", **options)
        except ValueError:
            break
        assert inside.generation.get_encoded_length(prompt) <= room
        lost.append(said)
    assert lost[0] == ["It is night.", "An answer", "A newer one", "Another", "And the newest"]
    assert ["It is night.", "And the newest"] in lost
    assert {len(said) for said in lost} == {5, 4, 3, 2}
    kept = [said[1] for said in lost if len(said) == 2]
    assert all("And the newest".startswith(each) for each in kept) and any(len(each) < 9 for each in kept)


@pytest.mark.parametrize("mode", ["chat", "instruct", "chat-instruct"])
def test_the_template_has_the_bos(inside: Inside, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modes with a template of the model's own leave the BOS to it; a second one is never sent."""
    asked: list[bool] = []
    encode = inside.generation.encode

    def spy(*args: Any, **kwargs: Any) -> Any:
        if "truncation_length" in kwargs:
            asked.append(kwargs["add_bos_token"])
        return encode(*args, **kwargs)

    monkeypatch.setattr(inside.generation, "encode", spy)
    inside.reply("Hello", mode=mode)
    assert asked == [mode == "chat"]


def test_stop_strings_of_templates(inside: Inside) -> None:
    def stops(mode: str, template: str = "") -> set[str]:
        changes = {"instruction_template_str": template} if template else {}
        return set(inside.chat.get_stopping_strings(inside.state(mode=mode, **changes)))

    chatml = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    assert stops("chat") == {"\nYou:", "\nAI:"}
    assert stops("instruct") == {"\n\n### Response:", "\n\n### Instruction:"}
    assert stops("chat-instruct", chatml) == {"<|im_end|>"}


def test_the_api_binds_the_chat_prompt_by_name(inside: Inside, lamp: str) -> None:
    """Why it is wrapped in two modules."""
    completions = inside.module("api.completions")
    assert completions.generate_chat_prompt is not inside.chat.generate_chat_prompt
    assert completions.generate_chat_prompt.__wrapped__ is not None
    body = {**inside.state(), "messages": [{"role": "user", "content": f"Hello{lamp}"}], "max_tokens": 4}
    body |= dict.fromkeys(("instruction_template_str", "instruction_template", "chat_template_str", "preset", "stop"))
    body |= dict.fromkeys(("character", "user_name", "bot_name", "context", "greeting", "logit_bias", "model"))
    body |= {"chat_instruct_command": None, "continue_": False, "mode": "chat"}
    for mode in ("chat", "instruct"):
        made = next(completions.chat_completions_common({**body, "mode": mode}, prompt_only=True))
        assert f"Hello{lamp}" in made["prompt"]
    assert completions.chat_completions(body)["choices"][0]["message"]["content"]


# ---- models


def test_a_model_is_assigned_before_its_tokenizer(inside: Inside) -> None:
    seen: list[tuple[str, bool]] = []
    shared = inside.shared
    following = Following(shared, lambda name: seen.append((name, getattr(shared, name) is None)))
    following.start()
    shared.args.idle_timeout = 5
    try:
        inside.models.unload_model(keep_model_name=True)
        assert shared.model_name == "storyteller"
        inside.models.load_model_if_idle_unloaded()
    finally:
        shared.args.idle_timeout = 0
        following.stop()
    assert seen == [("model", True), ("tokenizer", True), ("model", False), ("tokenizer", False)]
    inside.models.unload_model()
    assert shared.model_name == "None"


def test_samplers_are_hijacked_at_every_load(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import GenerationConfig, GenerationMixin

    hijack = inside.module("sampler_hijack")
    assert GenerationMixin._get_logits_processor is hijack.get_logits_processor_patch
    assert GenerationConfig.__init__ is hijack.generation_config_init_patch
    with monkeypatch.context() as patch:
        patch.setattr(GenerationMixin, "_get_logits_processor", hijack.original_get_logits_processor)
        inside.load()
        assert GenerationMixin._get_logits_processor is hijack.get_logits_processor_patch


def test_samplers_that_read_ids(inside: Inside) -> None:
    """By these names they are told apart; the list that `generate` gets ends with the one that looks."""
    from transformers import GenerationConfig, LogitsProcessorList

    from soft_prompts.hosts.hf.generation import _PENALTIES

    priority = inside.module("presets").default_preset_values["sampler_priority"].split("\n")
    on = {"repetition_penalty": 1.2, "presence_penalty": 0.5, "frequency_penalty": 0.5, "dry_multiplier": 0.8}
    config = GenerationConfig(**on, encoder_repetition_penalty=1.2, repetition_penalty_range=9, num_beams=1)
    config.sampler_priority, config.temperature = priority, 1.0
    model, ids = inside.shared.model, inside.generation.encode(TEXT)
    made = type(model)._get_logits_processor(
        model,
        generation_config=config,
        input_ids_seq_length=ids.shape[1],
        encoder_input_ids=ids,
        prefix_allowed_tokens_fn=None,
        logits_processor=LogitsProcessorList(),
        device="cpu",
        model_kwargs={},
    )
    names = [type(each).__name__ for each in made]
    assert {name for name in names if "Penalty" in name} == _PENALTIES - {"RepetitionPenaltyLogitsProcessor"}
    assert "DRYLogitsProcessor" in names and names[-1] == "SpyLogitsWarper"


def test_a_running_generation_holds_the_lock(inside: Inside) -> None:
    running = inside.generation.generate_reply(TEXT, inside.state(stream=True, ban_eos_token=True))
    next(running)
    assert inside.shared.generation_lock.locked() and inside.models.active_generation_count == 1
    running.close()
    assert not inside.shared.generation_lock.locked() and inside.models.active_generation_count == 0


# ---- the API


def get(app: Any, path: str, **headers: str) -> tuple[int, Any]:
    """(status, answer) of an ASGI app, without a server."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http"}
    scope |= {"path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1)}
    given = {"host": "localhost", **headers}
    scope |= {"server": ("localhost", 5000), "headers": [(k.encode(), v.encode()) for k, v in given.items()]}
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], json.loads(b"".join(each.get("body", b"") for each in sent[1:]))


def test_the_app_takes_a_route_and_asks_for_the_key(inside: Inside, lamp: str) -> None:
    app = inside.module("api.script").app
    status, answer = get(app, "/v1/soft-prompts")
    assert status == 200 and [row["tag"] for row in answer["data"]] == [lamp]
    assert app.middleware_stack is not None, "built once, at the first request"
    with pytest.raises(RuntimeError):
        app.add_middleware(object)
    inside.shared.args.api_key = "secret"
    try:
        assert get(app, "/v1/soft-prompts")[0] == 401
        assert get(app, "/v1/soft-prompts", authorization="Bearer secret")[0] == 200
    finally:
        inside.shared.args.api_key = ""


# ---- the stand-in, measured against the real one


OWN = {
    # What the stand-in needs for itself, or keeps in another module than the webui.
    "shared": {"INSTRUCTION", "CHAT"},
    "models": {"check_model_loaded"},
    "text_generation": {"State", "Iteratorize"},
    "sampler_hijack": {"GrammarConstrainedLogitsProcessor"},
    "chat": {"State", "Messages", "HERE", "compiled"},
    "api.completions": {"Body", "Entries"},
    "api.script": {"App"},
}
NAMES = sorted(".".join(path.relative_to(FAKE).with_suffix("").parts) for path in FAKE.rglob("*.py"))


def stand_in(name: str) -> ModuleType:
    """One module of the stand-in, with the real webui's modules around it."""
    spec = importlib.util.spec_from_file_location(f"stand_in_{name}", FAKE / f"{name.replace('.', '/')}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestStandIn:
    pytestmark = real_only

    @pytest.mark.parametrize("name", NAMES)
    def test_has_nothing_that_the_webui_has_not(self, inside: Inside, name: str) -> None:
        ours, theirs = stand_in(name), inside.module(name)
        names = {each for each in vars(ours) if not each.startswith("_")} - OWN.get(name, set())
        defined = {each for each in names if not isinstance(vars(ours)[each], ModuleType)}
        defined = {each for each in defined if _home(vars(ours)[each]) == ours.__name__}
        assert sorted(each for each in defined if not hasattr(theirs, each)) == []
        for each in defined:
            if inspect.isfunction(vars(ours)[each]):
                parameters = _parameters(vars(ours)[each])
                assert parameters == _parameters(getattr(theirs, each))[: len(parameters)], each

    def test_settings_and_flags(self, inside: Inside) -> None:
        ours = stand_in("shared")
        words = {"context", "greeting", "chat-instruct_command", "instruction_template_str", "chat_template_str"}
        theirs = inside.shared.default_settings
        assert {key: theirs.get(key) for key in ours.settings if key not in words} == {
            key: value for key, value in ours.settings.items() if key not in words
        }
        assert all(theirs[key] for key in words)
        assert set(vars(ours.args)) <= set(vars(inside.shared.args))
        presets = stand_in("presets").default_preset_values
        assert presets == inside.module("presets").default_preset_values
        assert list(inside.extensions.EXTENSION_MAP) and set(stand_in("extensions").EXTENSION_MAP) == set(
            inside.extensions.EXTENSION_MAP
        )

    @pytest.mark.parametrize("system", ["", "It is night."])
    @pytest.mark.parametrize("add", [False, True])
    def test_templates(self, inside: Inside, system: str, add: bool) -> None:
        ours, theirs = stand_in("shared").settings, inside.shared.default_settings
        messages = [{"role": "system", "content": system}] if system else []
        for role, content in (("user", "Hello"), ("assistant", "Who is there"), ("user", "I\n\nam")):
            messages.append({"role": role, "content": content})
            for key in ("instruction_template_str", "chat_template_str"):
                for bio in ("", "A miller."):
                    names = {"name1": "You", "name2": "AI", "user_bio": bio, "add_generation_prompt": add}
                    made = [
                        inside.chat.jinja_env.from_string(each[key]).render(messages=messages, **names)
                        for each in (ours, theirs)
                    ]
                    assert made[0] == made[1]

    def test_the_commit_is_known(self) -> None:
        commit = contract.commit(contract.root())
        assert commit in contract.TESTED, "when all of tests/webui passes with it, write it into contract.TESTED"


def _home(value: Any) -> str | None:
    return getattr(value, "__module__", None) if callable(value) else None


def _parameters(function: Callable[..., Any]) -> list[str]:
    """Those with a name of their own: `*args` and `**kwargs` take anything."""
    found = inspect.signature(function).parameters.values()
    return [each.name for each in found if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
