"""The client against a real llama-server: streams, caches, parallel texts, restarts, and what goes wrong."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gguf")

from soft_prompts import SoftPrompt
from soft_prompts.errors import Misfit, SoftPromptError, UnknownPrompt, UnsupportedModel
from soft_prompts.hosts.llamacpp.client import Client
from soft_prompts.hosts.llamacpp.server import Gone, Refused
from soft_prompts.slots import FIRST_ID

from .llama_server import EXACT, FOUND, free_port, llama_server
from .storyteller import WAYS, loaded, write_storyteller

pytestmark = [
    pytest.mark.llamacpp,
    pytest.mark.slow,
    pytest.mark.skipif(not FOUND, reason="LLAMA_SERVER names no llama-server, and none is on the PATH"),
]
LAMP = " and the old keeper lit the lamp in the tower"
HILL = " and a dog ran over the hill"
BEFORE, AFTER = "Once upon a time there was a miller", ". In the morning the boat was gone, and nobody knew where"
TEXT = BEFORE + "<<sp:lamp>>" + AFTER
GREEDY: dict[str, Any] = {"n_predict": 24, "temperature": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library: two prompts that say what texts say, one that no text says, and one that is a text."""
    library = tmp_path_factory.mktemp("http") / "library"
    library.mkdir()
    for name, text in (("lamp", LAMP), ("sea", " The sea was calm")):
        SoftPrompt.from_text(text, *loaded(), name=name).save(library / f"{name}.safetensors")
    vectors = np.random.default_rng(3).standard_normal((9, 160)).astype(np.float32) * 0.3
    SoftPrompt("noir", vectors).save(library / "noir.safetensors")
    (library / "words.txt").write_text(HILL, "utf-8")
    return library


@pytest.fixture(scope="module")
def files(folder: Path) -> dict[str, Path]:
    return {way: write_storyteller(folder.parent, way) for way in WAYS}


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Running = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="module")
def running(files: dict[str, Path], way: str) -> Running:
    """`with running(client) as address`, whose server has the client's sidecar."""

    @contextmanager
    def start(client: Client, *flags: str, port: int = 0, parallel: int = 1) -> Iterator[str]:
        own = [] if client.sidecar is None else client.sidecar.flags
        with llama_server(files[way], [*own, *EXACT, *flags], 1280, parallel, port) as address:
            client.server.address = address
            yield address

    return start


@pytest.fixture(scope="module")
def new(files: dict[str, Path], way: str, folder: Path) -> Callable[..., Client]:
    """A client of the library."""

    def make(**options: Any) -> Client:
        return Client(files[way], folder, **options)

    return make


@pytest.fixture(scope="module")
def client(new: Callable[..., Client], running: Running) -> Iterator[Client]:
    """One with all of the library, and a server of two slots."""
    found = new()
    found.prepare()
    with running(found, parallel=2):
        yield found


def test_the_sidecar_holds_what_is_no_text(client: Client, way: str) -> None:
    assert client.sidecar is not None and client.sidecar.way == way
    assert len(client.sidecar.places) == 3
    assert client.check() < 0.01


def test_a_prompt_says_what_its_text_says(client: Client) -> None:
    plain = client.complete(BEFORE + LAMP + AFTER, **GREEDY)
    assert client.complete(TEXT, **GREEDY) == plain
    assert client.complete(BEFORE + AFTER, **GREEDY) != plain
    assert client.complete(BEFORE + "<<sp:noir>>" + AFTER, **GREEDY) != plain


def test_a_text_is_its_own_words(client: Client) -> None:
    plain = client.complete(BEFORE + HILL + AFTER, **GREEDY)
    text = BEFORE + "<<sp:words>>" + AFTER
    sent = client.request(text, {})["prompt"]
    assert isinstance(sent, list) and max(sent) < FIRST_ID
    assert client.complete(text, **GREEDY) == plain
    assert client.complete(BEFORE + "<<sp:noir>><<sp:words>>" + AFTER, **GREEDY).strip()


def test_streamed_is_whole(client: Client) -> None:
    for text in (TEXT, "<<sp:noir>>" + BEFORE, BEFORE):
        parts = list(client.stream(text, **GREEDY))
        assert len(parts) > 10
        assert "".join(parts) == client.complete(text, **GREEDY)


def test_a_growing_chat_is_read_once(client: Client) -> None:
    """Slot 0 keeps what it read; slot 1 reads everything anew each time."""
    questions = ["who lives there?", "what did she see?", "and then?", "where is the boat?", "why?"]
    chat, known = "Of the tower<<sp:noir>> they say:", 0
    for turn in range(10):
        chat += f"\nTell me, {questions[turn % 5]}\nSo I say:"
        ids = client.text.encode(chat).ids
        asked = client.request(chat, {**GREEDY, "n_predict": 12, "return_tokens": True})
        warm = client.server.post("/completion", {**asked, "id_slot": 0, "cache_prompt": True})
        fresh = client.server.post("/completion", {**asked, "id_slot": 1, "cache_prompt": False})
        assert (warm["content"], warm["tokens"]) == (fresh["content"], fresh["tokens"]), turn
        read = {name: (each["timings"]["prompt_n"], each["tokens_evaluated"]) for name, each in
                (("warm", warm), ("fresh", fresh))}  # fmt: skip
        assert read["fresh"] == (len(ids), len(ids))
        # The last token of what is known may be read again, for what follows it.
        assert read["warm"][0] <= len(ids) - known + (turn > 0), (turn, read, known)
        assert warm["timings"]["cache_n"] == len(ids) - read["warm"][0]
        chat, known = chat + warm["content"], len(ids)


def test_tags_side_by_side_of_which_one_changes(
    files: dict[str, Path], way: str, running: Running, tmp_path: Path
) -> None:
    """Of prompts whose lengths are all multiples of four an image holds several vectors."""
    chance = np.random.default_rng(5)
    prompts = [SoftPrompt(name, chance.standard_normal((8, 160)).astype(np.float32) * 0.3) for name in "abc"]
    client = Client(files[way], prompts=prompts, folder=tmp_path)
    assert client.prepare().side == (1 if way == "lora" else 2)
    texts = [BEFORE + "<<sp:a>>" + second + AFTER for second in ("<<sp:b>>", "<<sp:c>>", " <<sp:b>>", "", "<<sp:b>>")]
    with running(client):
        alone = [client.complete(text, **GREEDY, cache_prompt=False) for text in texts]
        assert [client.complete(text, **GREEDY) for text in texts] == alone
        assert ["".join(client.stream(text, **GREEDY)) for text in texts] == alone


def test_a_thousand_tokens_without_a_soft_id(client: Client, way: str) -> None:
    assert client.sidecar is not None
    if way == "mmproj":
        assert client.sidecar.banned == ()  # an image has no id that could be written
        return
    wild = {"n_predict": 500, "temperature": 2, "top_k": 0, "top_p": 1, "min_p": 0, "ignore_eos": True}
    asked = client.request(TEXT, {**wild, "return_tokens": True})
    soft = set(client.sidecar.banned)
    assert {each for places in client.sidecar.places.values() for each in places} < soft
    for seed in (1, 2):
        written = client.server.post("/completion", {**asked, "seed": seed})["tokens"]
        assert len(written) == 500 and not soft & set(written)
    # The same without the ban: else this shows nothing.
    asked["logit_bias"] = []
    assert soft & set(client.server.post("/completion", {**asked, "seed": 1})["tokens"])


def test_a_ban_of_the_writer_s_own_stays(client: Client) -> None:
    first = client.server.post("/completion", client.request(TEXT, {**GREEDY, "return_tokens": True}))["tokens"][0]
    asked = client.request(TEXT, {**GREEDY, "return_tokens": True, "logit_bias": [[first, False]]})
    assert first not in client.server.post("/completion", asked)["tokens"]


def test_many_at_once(new: Callable[..., Client], running: Running) -> None:
    client = new()
    client.prepare()
    texts = [TEXT, BEFORE + "<<sp:noir>>" + AFTER, "<<sp:sea>>" + BEFORE, BEFORE, BEFORE + "<<sp:noir>><<sp:lamp>> and"]
    with running(client, "--threads-http", "8", parallel=4):
        alone = [client.complete(text, **GREEDY, cache_prompt=False) for text in texts]
        with ThreadPoolExecutor(5) as pool:
            for _ in range(3):
                assert list(pool.map(lambda text: client.complete(text, **GREEDY), texts)) == alone


# ---- restarts


def test_who_waits_while_the_server_is_restarted(new: Callable[..., Client], running: Running) -> None:
    port = free_port()
    client = new(address=f"http://127.0.0.1:{port}", wait=60)
    client.prepare(["<<sp:lamp>>"])
    with ThreadPoolExecutor(4) as pool:
        with running(client, port=port):
            plain = client.complete(BEFORE + LAMP + AFTER, **GREEDY)
            assert client.complete(TEXT, **GREEDY) == plain
            with pytest.raises(SoftPromptError, match="was started without <<sp:sea>>: prepare"):
                client.complete("<<sp:sea>>" + BEFORE)
            # One that is being written when the server goes.
            long = pool.submit(client.complete, TEXT, n_predict=900, temperature=0, ignore_eos=True)
            while not any(slot["is_processing"] for slot in client.server.get("/slots")):
                assert not long.done()
        client.prepare(["<<sp:noir>>", "<<sp:sea>>", "<<sp:lamp>>"])
        waiting = [pool.submit(client.complete, text, **GREEDY) for text in (TEXT, "<<sp:sea>>" + BEFORE)]
        time.sleep(0.5)  # a while in which they have nothing to ask
        assert not any(each.done() for each in (long, *waiting))
        with running(client, port=port):
            assert waiting[0].result(60) == plain
            assert waiting[1].result(60) == client.complete(" The sea was calm" + BEFORE, **GREEDY)
            assert long.result(60) == client.complete(TEXT, n_predict=900, temperature=0, ignore_eos=True)
            assert client.check() < 0.01


def test_the_same_sidecar_in_another_process(new: Callable[..., Client], running: Running) -> None:
    """The word for an image is another one with each start."""
    client = new()
    client.prepare()
    said = []
    for _ in range(2):
        with running(client):
            said.append(client.complete(TEXT, **GREEDY))
    assert said[0] == said[1]


def test_a_stream_whose_server_goes(new: Callable[..., Client], running: Running) -> None:
    client = new()
    client.prepare()
    with running(client):
        parts = client.stream(TEXT, n_predict=1000, temperature=0, ignore_eos=True)
        assert next(parts)
    with pytest.raises(Gone, match="is it running"):
        list(parts)


# ---- what is refused


def test_tags_that_mean_nothing(client: Client, folder: Path) -> None:
    with pytest.raises(UnknownPrompt, match="did you mean 'lamp'"):
        client.complete(BEFORE + "<<sp:lmap>>")
    SoftPrompt("wide", np.ones((4, 64), np.float32)).save(folder / "wide.safetensors")
    try:
        with pytest.raises(Misfit, match="64 wide"):
            client.complete(BEFORE + "<<sp:wide>>")
    finally:
        (folder / "wide.safetensors").unlink()


def test_a_server_without_the_sidecar(new: Callable[..., Client], running: Running, way: str) -> None:
    client = new()
    with running(client):
        plain = client.complete(BEFORE + HILL + AFTER, **GREEDY)
        assert client.complete(BEFORE + "<<sp:words>>" + AFTER, **GREEDY) == plain
        assert client.sidecar is None
        for ask in (lambda: client.complete(TEXT), client.check, lambda: list(client.stream(TEXT))):
            with pytest.raises(UnsupportedModel, match=f"started with --{way} "):
                ask()
        assert client.complete(BEFORE + HILL + AFTER, **GREEDY) == plain


def test_a_server_with_another_sidecar(new: Callable[..., Client], running: Running, way: str) -> None:
    other, client = new(), new()
    other.prepare(["<<sp:noir>>"])
    client.prepare()
    with running(other) as address:
        assert other.check() < 0.01
        client.server.address = address
        with pytest.raises(UnsupportedModel, match=f"started with --{way} "):
            client.check()
        with pytest.raises(UnsupportedModel):
            client.complete(TEXT)


def test_a_server_with_a_key(new: Callable[..., Client], running: Running) -> None:
    client = new(key="guess")
    client.prepare()
    with running(client, "--api-key", "secret") as address:
        with pytest.raises(Refused, match="API Key"):
            client.complete(TEXT)
        with pytest.raises(Refused, match="API Key"):
            client.check()
        friend = new(key="secret", address=address)
        friend.prepare()
        assert friend.complete(TEXT, **GREEDY) == friend.complete(BEFORE + LAMP + AFTER, **GREEDY)


def test_no_server(new: Callable[..., Client]) -> None:
    client = new(address=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Gone, match="no llama-server answers at"):
        client.complete(TEXT)
    with pytest.raises(SoftPromptError, match="there is no sidecar yet"):
        client.check()
    client = new(address=client.server.address, wait=0.5)
    began = time.monotonic()
    with pytest.raises(Gone):
        client.complete(TEXT)
    assert 0.4 < time.monotonic() - began < 10


def test_what_answers_is_something_else(new: Callable[..., Client]) -> None:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Welcome!</html>")

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            with pytest.raises(Refused, match="is no llama-server"):
                new(address=f"http://127.0.0.1:{server.server_port}").complete(TEXT)
        finally:
            server.shutdown()
