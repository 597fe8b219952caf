"""The pair that `from_pretrained` and `attach` give: ordinary objects of Transformers, on which every gesture works.

Where it can be had, the law decides: behind a prompt made of a text, a pipeline goes on as it does behind the text.
"""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, TextIteratorStreamer, TextStreamer, pipeline
from transformers.pipelines.pt_utils import KeyDataset

import soft_prompts
from soft_prompts import Library, SoftPrompt, TaggedText, TextPrompt, demo
from soft_prompts.errors import AmbiguousPrompt, UnknownPlaceholder, UnknownPrompt, UnsupportedInput, UnsupportedModel
from soft_prompts.slots import FIRST_ID

KEEPER, RAIN = " The old keeper sat down by the fire.", " The rain came in from the sea."
GREEDY = {"do_sample": False, "max_new_tokens": 8}
TEMPLATE = (
    "{% for m in messages %}{{ m.role }}: {% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}{{ part.text }}{% endfor %}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


@pytest.fixture
def pair(model: Any, tokenizer: Any) -> Iterator[tuple[Any, Any]]:
    """Attached, with no library: whatever is named here comes with its text."""
    tokenizer.chat_template = TEMPLATE
    model.generation_config.eos_token_id = None
    with soft_prompts.attach(model, tokenizer, self_test=False):
        yield model, tokenizer


@pytest.fixture
def keeper(pair: tuple[Any, Any]) -> SoftPrompt:
    return SoftPrompt.from_text(KEEPER, *pair, name="keeper")


@pytest.fixture
def rain(pair: tuple[Any, Any]) -> SoftPrompt:
    return SoftPrompt.from_text(RAIN, *pair, name="rain")


@pytest.fixture
def generator(pair: tuple[Any, Any]) -> Any:
    return pipeline("text-generation", model=pair[0], tokenizer=pair[1])


def new(answer: Any) -> Any:
    """What was written, of one text, of several, or of chats."""
    if isinstance(answer, list):
        return [new(each) for each in answer] if len(answer) > 1 else new(answer[0])
    said = answer["generated_text"]
    return said if isinstance(said, str) else said[-1]["content"]


# ---- from_pretrained


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, SoftPrompt]:
    """(model, tokenizer, the prompt in their library), loaded in one line, for good."""
    folder = tmp_path_factory.mktemp("library")
    plain = soft_prompts.from_pretrained(demo.path(), self_test=False)
    SoftPrompt.from_text("Rain, and no stars.", *plain, name="noir").save(folder / "noir.safetensors")
    model, tokenizer = soft_prompts.from_pretrained(
        demo.path(), library=folder, dtype="bfloat16", attn_implementation="eager", device_map="cpu"
    )
    return model, tokenizer, soft_prompts.load(folder / "noir.safetensors")


def test_keywords_reach_the_auto_class(loaded: tuple[Any, Any, SoftPrompt]) -> None:
    model, tokenizer, _ = loaded
    assert model.dtype == torch.bfloat16 and model.config._attn_implementation == "eager" and not model.training
    assert type(model).__module__.startswith("transformers.")
    assert type(tokenizer).__name__ == type(AutoTokenizer.from_pretrained(demo.path())).__name__


def test_the_tag_is_as_long_as_its_prompt(loaded: tuple[Any, Any, SoftPrompt]) -> None:
    _, tokenizer, noir = loaded
    assert len(tokenizer.encode(str(noir), add_special_tokens=False)) == len(noir)
    assert len(tokenizer.encode(noir + "", add_special_tokens=False)) == len(noir)
    assert tokenizer(noir)["input_ids"] == tokenizer(str(noir))["input_ids"]
    assert tokenizer([noir, "x"])["input_ids"] == tokenizer([str(noir), "x"])["input_ids"]
    assert tokenizer.decode(tokenizer.encode(f"A {noir} b"), skip_special_tokens=True) == "A <<sp:noir>> b"


def test_a_tokenizer_of_ones_own_is_taken() -> None:
    mine = AutoTokenizer.from_pretrained(demo.path(), padding_side="left", pad_token="</s>")
    _, tokenizer = soft_prompts.from_pretrained(demo.path(), tokenizer=mine, self_test=False)
    assert tokenizer is mine and hasattr(type(tokenizer), "soft_prompts_text")


def test_where_the_files_are_is_said_to_both(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = []
    for auto in (AutoTokenizer, AutoModelForCausalLM):

        def load(name: str, *, auto: Any = auto, load: Any = auto.from_pretrained, **options: Any) -> Any:
            heard.append((auto, options))
            return load(name)

        monkeypatch.setattr(auto, "from_pretrained", load)
    where = {"gguf_file": "model.gguf", "revision": "main", "trust_remote_code": False}
    soft_prompts.from_pretrained(demo.path(), self_test=False, **where, dtype="float32")
    assert heard == [(AutoTokenizer, where), (AutoModelForCausalLM, {**where, "dtype": "float32"})]


def test_a_model_that_writes_on_from_nothing_is_refused_in_a_line(tmp_path: Path) -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=64, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(demo.path()).save_pretrained(tmp_path)
    with pytest.raises(UnsupportedModel, match="is a T5 model, and Transformers has none of that kind") as refused:
        soft_prompts.from_pretrained(tmp_path)
    assert len(str(refused.value)) < 300


def test_what_attach_is_given_by_mistake(model: Any, tokenizer: Any) -> None:
    with pytest.raises(UnsupportedModel, match=r"'gpt2' is a name: soft_prompts.from_pretrained\('gpt2'\) loads both"):
        soft_prompts.attach("gpt2", tokenizer)
    with pytest.raises(UnsupportedModel, match="was given no tokenizer"):
        soft_prompts.attach(model, None)


def test_what_cannot_come_back_is_refused() -> None:
    with pytest.raises(UnsupportedInput, match="no output_loading_info.*soft_prompts.attach"):
        soft_prompts.from_pretrained(demo.path(), output_loading_info=True)


def test_a_text_prompt_given_by_name(model: Any, tokenizer: Any) -> None:
    ids = tokenizer(KEEPER, add_special_tokens=False)["input_ids"]
    with soft_prompts.attach(model, tokenizer, prompts=[TextPrompt("keeper", KEEPER)], self_test=False):
        assert len(tokenizer.encode("<<sp:keeper>>", add_special_tokens=False)) == len(ids)


def test_a_prompt_in_no_folder_has_to_come_with_its_text(pair: tuple[Any, Any], keeper: SoftPrompt) -> None:
    assert len(pair[1].encode(keeper + "", add_special_tokens=False)) == len(keeper)
    with pytest.raises(UnknownPrompt, match="write prompt \\+ text"):
        pair[1].encode(str(keeper))


# ---- pipelines


def test_a_pipeline(generator: Any, keeper: SoftPrompt) -> None:
    [answer] = generator("Once" + keeper + " He", **GREEDY)
    [plain] = generator("Once" + KEEPER + " He", **GREEDY)
    assert answer["generated_text"].startswith("Once<<sp:keeper>> He")
    assert answer["generated_text"].removeprefix("Once<<sp:keeper>> He") == new(plain).removeprefix(
        "Once" + KEEPER + " He"
    )
    # What came back can be given again: it still carries its prompt.
    assert new(generator(answer["generated_text"], **GREEDY)).startswith(answer["generated_text"])


def test_a_pipeline_of_many(generator: Any, keeper: SoftPrompt, rain: SoftPrompt) -> None:
    options: dict[str, Any] = {**GREEDY, "return_full_text": False}
    texts = [keeper + " He", "A" + rain + " It was", "no tag"]
    plain = [KEEPER + " He", "A" + RAIN + " It was", "no tag"]
    alone = [new(generator(each, **options)) for each in texts]
    assert alone == [new(generator(each, **options)) for each in plain]
    assert new(generator(texts, **options)) == alone
    assert [new(each) for each in generator((each for each in texts), **options)] == alone
    assert [new(each) for each in generator(KeyDataset([{"text": each} for each in texts], "text"), **options)] == alone
    assert new(generator(texts, batch_size=3, **options)) == alone


@pytest.mark.skipif(sys.platform != "linux" or sys.version_info >= (3, 14), reason="workers are not forked here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_pipeline_whose_workers_tokenize(generator: Any, keeper: SoftPrompt) -> None:
    texts: list[Any] = [keeper + " He", keeper + " She"]
    with pytest.raises(UnknownPlaceholder, match="num_workers=0"):
        generator(texts, num_workers=1, **GREEDY)
    generator.tokenizer(keeper)
    assert new(generator(texts, num_workers=1, **GREEDY)) == new(generator(texts, **GREEDY))


def test_a_pipeline_returns_several(generator: Any, keeper: SoftPrompt) -> None:
    torch.manual_seed(0)
    answers = generator(keeper + " He", do_sample=True, max_new_tokens=8, num_return_sequences=3)
    assert len({new(each) for each in answers}) == 3
    assert all(new(each).startswith("<<sp:keeper>> He") and new(each).count("<<") == 1 for each in answers)


def test_a_pipeline_with_a_prefix(generator: Any, keeper: SoftPrompt) -> None:
    options: dict[str, Any] = {**GREEDY, "return_full_text": False}
    assert new(generator(" He", prefix=keeper + "", **options)) == new(generator(KEEPER + " He", **options))


CHATS: list[Callable[[Any, Any], list[dict[str, Any]]]] = [
    lambda one, two: [{"role": "system", "content": "You:" + one}, {"role": "user", "content": "Hello" + two + " Go"}],
    lambda one, two: [{"role": "user", "content": "Hello" + one}, {"role": "assistant", "content": "I" + two + " and"}],
    lambda one, two: [{"role": "user", "content": [{"type": "text", "text": "Hello" + one + two}]}],
    lambda one, two: [{"role": "user", "content": one}],
]


@pytest.mark.parametrize("chat", CHATS, ids=["system", "continued", "parts", "alone"])
def test_a_pipeline_of_chats(generator: Any, keeper: SoftPrompt, rain: SoftPrompt, chat: Any) -> None:
    tagged, plain = chat(keeper, rain), chat(KEEPER, RAIN)
    kept = copy.deepcopy(tagged)
    answer, expected = generator(tagged, **GREEDY), generator(plain, **GREEDY)
    assert tagged == kept, "the chat itself is not changed"
    if plain[-1]["role"] == "assistant":
        assert new(answer) == new(expected).replace(RAIN, str(rain))
        assert isinstance(new(answer), TaggedText)
    else:
        assert new(answer) == new(expected)
    assert new(generator([tagged, tagged], **GREEDY)) == [new(answer)] * 2
    # The chat that came back goes on.
    more = [{"role": "user", "content": "And?"}]
    assert new(generator(answer[0]["generated_text"] + more, **GREEDY)) == new(
        generator(expected[0]["generated_text"] + more, **GREEDY)
    )


# ---- chat templates


def test_a_chat_written_out_carries_its_prompts(pair: tuple[Any, Any], keeper: SoftPrompt, rain: SoftPrompt) -> None:
    tokenizer = pair[1]
    chat = CHATS[0](keeper, rain)
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert text == "system: You:<<sp:keeper>>\nuser: Hello<<sp:rain>> Go\nassistant:"
    assert dict(text.prompts) == {"keeper": keeper, "rain": rain}
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True)["input_ids"]
    assert ids == tokenizer(text, add_special_tokens=False)["input_ids"]
    assert ids == tokenizer.apply_chat_template(conversation=chat, add_generation_prompt=True, return_dict=False)
    both = tokenizer.apply_chat_template([chat, chat[1:]], tokenize=False)
    assert [set(each.prompts) for each in both] == [{"keeper", "rain"}, {"rain"}]
    batch = tokenizer.apply_chat_template([chat, chat[1:]], padding=True, return_tensors="pt")
    assert (batch["input_ids"] >= FIRST_ID).sum(dim=1).tolist() == [len(keeper) + len(rain), len(rain)]
    plain = tokenizer.apply_chat_template([{"role": "user", "content": "no tag"}], tokenize=False)
    assert type(plain) is str


def test_chats_of_a_batch_may_mean_different_prompts_by_one_name(pair: tuple[Any, Any], keeper: SoftPrompt) -> None:
    tokenizer = pair[1]
    other = SoftPrompt("keeper", np.zeros((2, keeper.width)))
    chats = [[{"role": "user", "content": each + " x"}] for each in (keeper, other)]
    rows = tokenizer.apply_chat_template(chats)["input_ids"]
    assert [sum(each >= FIRST_ID for each in row) for row in rows] == [len(keeper), 2]
    with pytest.raises(AmbiguousPrompt, match="'keeper'"):
        tokenizer.apply_chat_template(chats[0] + chats[1])
    # And nothing of it stays behind.
    with pytest.raises(UnknownPrompt):
        tokenizer("<<sp:keeper>>")


def test_documents_carry_prompts_too(pair: tuple[Any, Any], rain: SoftPrompt) -> None:
    template = "{% for d in documents %}{{ d.text }} {% endfor %}{{ messages[0].content }}"
    found = pair[1].apply_chat_template(
        [{"role": "user", "content": "Go"}], documents=[{"title": "a", "text": "x" + rain}], chat_template=template
    )
    assert sum(each >= FIRST_ID for each in found["input_ids"]) == len(rain)


def test_a_mask_of_the_assistants_tokens_is_refused_in_words(pair: tuple[Any, Any], rain: SoftPrompt) -> None:
    options = {
        "return_assistant_tokens_mask": True,
        "chat_template": "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
    }
    with pytest.raises(UnsupportedInput, match="return_assistant_tokens_mask cannot be served"):
        pair[1].apply_chat_template([{"role": "user", "content": rain + " x"}], **options)
    assert all(pair[1].apply_chat_template([{"role": "user", "content": "x y"}], **options)["assistant_masks"])


# ---- batches and streams


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_batch_with_different_tags(
    pair: tuple[Any, Any], keeper: SoftPrompt, rain: SoftPrompt, story: str, side: str
) -> None:
    """Each row goes on as it does alone, and as behind the words; padding stands left, as generate wants it."""
    model, tokenizer = pair
    tokenizer.padding_side = side
    texts = [keeper + " He", "A" + rain + keeper + ", then", story[:60], rain.at(1) + ""]
    plain = [KEEPER + " He", "A" + RAIN + KEEPER + ", then", story[:60], RAIN]
    soft, words = (tokenizer(each, padding=True, return_tensors="pt") for each in (texts, plain))
    assert torch.equal(soft["attention_mask"], words["attention_mask"])
    with torch.no_grad():
        logits = [model(**each).logits for each in (soft, words)]
    shown = soft["attention_mask"].bool()
    torch.testing.assert_close(logits[0][shown], logits[1][shown], rtol=1e-4, atol=1e-4)
    if side == "left":
        together = model.generate(**soft, **GREEDY)[:, soft["input_ids"].shape[1] :]
        alone = [model.generate(**tokenizer(each, return_tensors="pt"), **GREEDY)[0, -8:] for each in texts]
        assert torch.equal(together, torch.stack(alone))


def test_streams(pair: tuple[Any, Any], keeper: SoftPrompt, capsys: Any) -> None:
    model, tokenizer = pair
    batch = tokenizer(keeper + " He", return_tensors="pt")
    whole = tokenizer.decode(model.generate(**batch, **GREEDY)[0], skip_special_tokens=True)
    model.generate(**batch, **GREEDY, streamer=TextStreamer(tokenizer, skip_special_tokens=True))
    assert capsys.readouterr().out == whole + "\n"
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, timeout=60)
    thread = threading.Thread(target=model.generate, kwargs={**batch, **GREEDY, "streamer": streamer})
    thread.start()
    assert "<<sp:keeper>> He" + "".join(streamer) == whole
    thread.join()


# ---- nothing of ours stays in what is saved


def test_a_saved_pair_is_the_clean_original(
    pair: tuple[Any, Any], generator: Any, keeper: SoftPrompt, tmp_path: Path
) -> None:
    model, tokenizer = pair
    clean = copy.deepcopy(tokenizer)
    clean.save_pretrained(tmp_path / "clean")
    tokenizer(keeper + " He")
    tokenizer.save_pretrained(tmp_path / "saved")
    generator.save_pretrained(tmp_path / "pipeline")
    model.save_pretrained(tmp_path / "model")
    for file in (tmp_path / "clean").iterdir():
        assert (
            file.read_bytes()
            == (tmp_path / "saved" / file.name).read_bytes()
            == (tmp_path / "pipeline" / file.name).read_bytes()
        ), file.name
    assert len(list((tmp_path / "clean").iterdir())) == len(list((tmp_path / "saved").iterdir()))
    for file in tmp_path.rglob("*.json"):
        assert not {"soft_prompts", "<<sp", "keeper"} & set(file.read_text("utf-8").split('"')), file
    again = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert (
        len(again) == len(clean) and again("The <<sp:keeper>>")["input_ids"] == clean("The <<sp:keeper>>")["input_ids"]
    )
    for copied in (again, copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
        assert not hasattr(type(copied), "soft_prompts_text")
    reloaded, second = soft_prompts.from_pretrained(tmp_path / "pipeline", tokenizer=again, self_test=False)
    for weight, other in zip(model.state_dict().items(), reloaded.state_dict().items(), strict=True):
        assert weight[0] == other[0] and torch.equal(weight[1], other[1])
    assert second(keeper + " He")["input_ids"][-1] == tokenizer(keeper + " He")["input_ids"][-1]


# ---- one's own tokens


def test_tokens_of_ones_own_before_and_after(model: Any, tokenizer: Any) -> None:
    """The ancestors' limit: soft prompts take no place in the vocabulary, so whoever adds to it may."""
    tokenizer.add_tokens(["<before>"])
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    with soft_prompts.attach(model, tokenizer):
        keeper = SoftPrompt.from_text(KEEPER, model, tokenizer, name="keeper")
        first = tokenizer("A<before>" + keeper + " He", return_tensors="pt")
        expected = model.generate(**first, **GREEDY)
        tokenizer.add_tokens(["<after>"])
        tokenizer.add_special_tokens({"extra_special_tokens": ["<mark>"]})
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        with torch.no_grad():  # the new rows speak for nobody
            model.get_output_embeddings().weight[-2:] = 0
        assert torch.equal(
            tokenizer("A<before>" + keeper + " He", return_tensors="pt")["input_ids"], first["input_ids"]
        )
        assert torch.equal(model.generate(**first, **GREEDY), expected)
        soft = tokenizer("<after>x" + keeper + "<mark> He<before>", return_tensors="pt")
        plain = tokenizer("<after>x" + KEEPER + "<mark> He<before>", return_tensors="pt")
        assert soft["input_ids"].shape == plain["input_ids"].shape
        torch.testing.assert_close(model(**soft).logits, model(**plain).logits, rtol=1e-4, atol=1e-4)
        assert tokenizer.decode(soft["input_ids"][0]).endswith("<after>x<<sp:keeper>><mark> He<before>")
    assert len(tokenizer) == model.get_input_embeddings().num_embeddings


# ---- two at once


def test_two_libraries_on_two_models(
    make: Callable[..., Any], tokenizer_of: Callable[[str], Any], tmp_path: Path
) -> None:
    """One name, two folders, two models and vocabularies, in turns and in threads: nobody hears the other's."""
    pairs, plain, libraries = [], [], []
    for number, (family, kind, text) in enumerate([("gpt2", "bytes", KEEPER), ("llama", "unigram", RAIN)]):
        model, tokenizer = make(family), tokenizer_of(kind)
        model.generation_config.eos_token_id = None
        prompt = SoftPrompt.from_text(text, model, tokenizer, name="p")
        prompt.save(tmp_path / str(number) / "p.safetensors")
        plain.append(pipeline("text-generation", model=model, tokenizer=copy.deepcopy(tokenizer)))
        libraries.append(Library(tmp_path / str(number)))
        pairs.append((model, tokenizer, text))
    wanted = [
        new(one("A" + text + " He", **GREEDY))[len("A" + text) :]
        for one, (_, _, text) in zip(plain, pairs, strict=True)
    ]
    with (
        soft_prompts.attach(*pairs[0][:2], libraries[0]),
        soft_prompts.attach(*pairs[1][:2], libraries[1]),
    ):
        generators = [pipeline("text-generation", model=model, tokenizer=tokenizer) for model, tokenizer, _ in pairs]
        heard: list[list[str]] = [[], []]

        def write(which: int) -> None:
            heard[which].append(new(generators[which]("A<<sp:p>> He", **GREEDY))[len("A<<sp:p>>") :])

        for which in (0, 1, 0, 1):
            write(which)
        threads = [threading.Thread(target=write, args=(which,)) for which in (0, 1) * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert heard == [[wanted[0]] * 5, [wanted[1]] * 5]
        ids = [tokenizer("<<sp:p>>", return_tensors="pt")["input_ids"] for _, tokenizer, _ in pairs]
        assert not set(ids[0][ids[0] >= FIRST_ID].tolist()) & set(ids[1][ids[1] >= FIRST_ID].tolist())
        with pytest.raises(UnknownPlaceholder):
            pairs[1][0](ids[0])
