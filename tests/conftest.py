"""Small real models and tokenizers, made here: a random model of each family, a tokenizer of each kind of border."""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# The same examples every time, and no time limits: machines are noisy, and a red run must mean a fault.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

SHARED = Path(__file__).resolve().parents[2] / "shared"

TEXT = (
    "Once upon a time there was an old keeper who lived in a tower by the sea. Every night she lit the lamp, and every "
    'morning she put it out. One evening the door opened, and a stranger came in from the rain. "Who are you?" asked '
    'the keeper. "I am nobody," said the stranger, "but I know where the lamp was made." They sat down by the fire, '
    "and he told her (it took all night) of the city under the water, of its 12 gates, 7 wells and 300 bells; of the "
    "glass-makers, the bell-ringers, the drowned market. The sky over the port was grey.\n\n"
    "The letter said: Dear Emma, the ship comes on Monday. Bring the key, the map and the red cloak.\n"
)

TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
LLAMA = {**TINY, "num_key_value_heads": 2, "intermediate_size": 64, "max_position_embeddings": 256}
NEO = {"attention_types": [[["global", "local"], 1]], "num_heads": 4, "num_layers": 2, "hidden_size": 32}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}),
    "gpt_neo": ("GPTNeoConfig", {**NEO, "intermediate_size": 64, "max_position_embeddings": 256, "window_size": 64}),
    "gptj": ("GPTJConfig", {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 8, "n_positions": 256}),
    "gpt_neox": ("GPTNeoXConfig", {**TINY, "intermediate_size": 64, "max_position_embeddings": 256}),
    "bloom": ("BloomConfig", {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
    # The embedding is 16 wide here and is projected to 32: a prompt is as wide as the embedding's output.
    "opt": ("OPTConfig", {**TINY, "ffn_dim": 64, "word_embed_proj_dim": 16, "max_position_embeddings": 256}),
    "falcon": ("FalconConfig", {**TINY, "alibi": False, "multi_query": True}),
    "llama": ("LlamaConfig", LLAMA),
    "mixtral": ("MixtralConfig", {**LLAMA, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen3": ("Qwen3Config", {**LLAMA, "head_dim": 8}),
    "gemma2": ("Gemma2Config", {**LLAMA, "head_dim": 8}),
    "gemma3": ("Gemma3TextConfig", {**LLAMA, "head_dim": 8}),
    "phi3": ("Phi3Config", {**LLAMA, "original_max_position_embeddings": 256}),
    "mamba": ("MambaConfig", {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}),
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    # The models are so small that a second thread costs more than it does, above all beside another job.
    torch.set_num_threads(1)


def make_tokenizer(kind: str) -> Any:
    """A fast tokenizer trained on TEXT: "bytes" is GPT-2's kind, "prepend" Llama 2's, the others are Metaspace."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    specials = ["<unk>", "<s>", "</s>", "<pad>"]
    options: dict[str, Any] = {"vocab_size": 380, "special_tokens": specials, "show_progress": False}
    if kind == "bytes":
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        trainer: Any = trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **options)
    elif kind == "prepend":
        backend = Tokenizer(models.BPE(unk_token="<unk>"))
        backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
        trainer = trainers.BpeTrainer(max_token_length=8, **options)
    else:
        scheme = "first" if kind == "first" else "always"
        backend = Tokenizer(models.Unigram() if kind == "unigram" else models.BPE(unk_token="<unk>"))
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=kind == "unigram")
        backend.decoder = decoders.Metaspace(prepend_scheme=scheme)
        trainer = (
            trainers.UnigramTrainer(unk_token="<unk>", **options)
            if kind == "unigram"
            else trainers.BpeTrainer(max_token_length=8, **options)
        )
    backend.train_from_iterator([TEXT] * 4, trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", backend.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )


def make_model(family: str, vocabulary: int = 400, **changes: Any) -> Any:
    """A random model of `family` in evaluation mode, always the same one."""
    import torch
    import transformers

    name, options = FAMILIES[family]
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3}
    torch.manual_seed(0)
    config = getattr(transformers, name)(vocab_size=vocabulary, **{**options, **ids, **changes})
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    # Default initialisations are so small that random models always say the same: sharpen them.
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(3)
    return model


@pytest.fixture
def story() -> str:
    """The text that the tokenizers of `tokenizer_of` were trained on."""
    return TEXT


@pytest.fixture(scope="session")
def _tokenizers() -> dict[str, Any]:
    return {}


@pytest.fixture
def tokenizer_of(_tokenizers: dict[str, Any]) -> Callable[[str], Any]:
    """`tokenizer_of("prepend")`: a copy of its own for each test."""

    def get(kind: str) -> Any:
        if kind not in _tokenizers:
            _tokenizers[kind] = make_tokenizer(kind)
        return copy.deepcopy(_tokenizers[kind])

    return get


@pytest.fixture
def tokenizer(tokenizer_of: Callable[[str], Any]) -> Any:
    return tokenizer_of("bytes")


@pytest.fixture(scope="session")
def make() -> Callable[..., Any]:
    """`make("gpt2")`: a random model of that family."""
    return make_model


@pytest.fixture
def model() -> Any:
    return make_model("llama")


@pytest.fixture(params=list(FAMILIES))
def family_model(request: pytest.FixtureRequest) -> Any:
    return make_model(request.param)


@pytest.fixture(scope="session")
def _storyteller() -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from soft_prompts import demo

    return AutoModelForCausalLM.from_pretrained(demo.path(), dtype="float32").eval(), AutoTokenizer.from_pretrained(
        demo.path()
    )


@pytest.fixture
def storyteller(_storyteller: tuple[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """(model, tokenizer) of the embedded storyteller; shared, so a test must leave them as they were."""
    model, tokenizer = _storyteller
    yield model, tokenizer
    assert "generate" not in vars(model), "a test left the storyteller attached"


@pytest.fixture(scope="session")
def stories260k() -> tuple[Any, Any]:
    """A real trained model that lies beside the checkout on some machines."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = SHARED / "models" / "stories260k"
    if not folder.is_dir():
        pytest.skip("stories260k is not beside this checkout")
    return AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--window-size=1280,1000",
    # What gradio's page asks for elsewhere is not there at once, and not after a while in which nothing is drawn.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    # Pages that were left keep gradio's line to the server, of which a browser has six; with these the next one waits.
    "--disable-features=BackForwardCache",
)  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real browser, by selenium, with a profile of its own."""
    yield from _browser(tmp_path_factory.mktemp("browser"))


@pytest.fixture
def other_driver(tmp_path: Path) -> Iterator[Any]:
    """A second one, beside the first."""
    yield from _browser(tmp_path / "other-browser")


def _browser(profile: Path) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    service = shutil.which("chromedriver")
    if not program or not service:
        pytest.skip("there is no Chromium with its chromedriver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(service))
    yield browser
    browser.quit()
