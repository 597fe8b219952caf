"""A real SillyTavern on the real webui, driven in a real browser: what its writer types, and what the webui then gets.

Needs TEXTGEN_WEBUI_DIR (its folder), TEXTGEN_WEBUI_PYTHON (its Python), SILLYTAVERN_DIR (a SillyTavern with its
node_modules; one that keeps its config.yaml in its own folder must have been started once), node, and a Chromium with
its chromedriver. docs/sillytavern.md says which versions were tried. Set SILLYTAVERN_SCREENSHOTS to a folder, and it
gets pictures.
"""

from __future__ import annotations

import base64
import http.client
import http.server
import json
import os
import shutil
import struct
import subprocess
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

NEEDED = ("TEXTGEN_WEBUI_DIR", "TEXTGEN_WEBUI_PYTHON", "SILLYTAVERN_DIR")
MISSING = [name for name in NEEDED if not os.environ.get(name)]
pytestmark = [
    pytest.mark.webui,
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(bool(MISSING), reason=f"not set: {', '.join(MISSING)}"),
]

TAG, LAMP = "<<sp:lamp>>", " and the old keeper lit the lamp in the tower"
PLACES = {
    "story string": "They met at sea",
    "system prompt": "Nobody hurries here",
    "lorebook": "The lighthouse is old",
    "description": "The keeper is a quiet man",
    "author's note": "It is a stormy night",
    "first message": "Good evening",
    "message": "Who lit the lighthouse",
}
"""Where a tag stands -> the words before it; "lighthouse" calls the lorebook."""
ELSEWHERE = {place: words for place, words in PLACES.items() if place != "story string"}
"""The places of a Chat Completion, which has no story string."""
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--window-size=1300,900",
)  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def until(ask: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """The first true answer."""
    end = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        time.sleep(0.1)
    return answer


class Recorder:
    """Stands between SillyTavern and the webui at `port`: passes on, streaming, and keeps what was asked."""

    def __init__(self, webui: int) -> None:
        self.asked: list[tuple[str, Any, str]] = []
        """(path, body, answer) of each POST, in the order in which they were answered."""
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                recorder._pass_on(self, webui, b"")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = recorder._pass_on(self, webui, body)
                recorder.asked.append((self.path, json.loads(body), answer))

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def bodies(self, path: str) -> list[Any]:
        return [body for asked, body, _ in self.asked if asked == path]

    def _pass_on(self, handler: http.server.BaseHTTPRequestHandler, webui: int, body: bytes) -> str:
        dropped = ("host", "connection", "accept-encoding", "content-length", "transfer-encoding")
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in dropped}
        connection = http.client.HTTPConnection("127.0.0.1", webui, timeout=120)
        try:
            connection.request(handler.command, handler.path, body or None, headers)
            answer = connection.getresponse()
            handler.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in dropped:
                    handler.send_header(name, value)
            handler.end_headers()
            parts = []
            while part := answer.read1(65536):
                parts.append(part)
                handler.wfile.write(part)
                handler.wfile.flush()
            return b"".join(parts).decode("utf-8", "replace")
        finally:
            connection.close()


def card(name: str, description: str, first: str) -> bytes:
    """A character card: a picture with the character in its text chunk."""
    fields = {"name": name, "description": description, "first_mes": first}
    empty = ("personality", "scenario", "mes_example", "creator_notes", "system_prompt", "post_history_instructions")
    data = {**dict.fromkeys(empty, ""), "alternate_greetings": [], "tags": [], "extensions": {}, **fields}
    whole = {**data, "spec": "chara_card_v2", "spec_version": "2.0", "data": data, "talkativeness": "0.5"}
    text = b"chara\0" + base64.b64encode(json.dumps(whole).encode())
    rows = (b"\0" + b"\x60\x70\x80" * 96) * 144
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 96, 144, 8, 2, 0, 0, 0)),
        (b"tEXt", text),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    packed = [struct.pack(">I", len(b)) + a + b + struct.pack(">I", zlib.crc32(a + b)) for a, b in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def lorebook(content: str) -> str:
    entry = {"uid": 0, "key": ["lighthouse"], "keysecondary": [], "comment": "", "content": content, "order": 100,
             "position": 0, "constant": False, "selective": False, "disable": False, "probability": 100,
             "useProbability": True, "depth": 4, "addMemo": True}  # fmt: skip
    return json.dumps({"entries": {"0": entry}})


def settings(defaults: dict[str, Any], url: str) -> dict[str, Any]:
    """SillyTavern's settings.json: connected to `url`, greedy, a tag in each of PLACES, "Show <tags> in responses"."""

    def tagged(place: str) -> str:
        return f"{PLACES[place]}{TAG}."

    chosen = {**defaults, "firstRun": False, "main_api": "textgenerationwebui", "amount_gen": 12, "max_context": 1024}
    chosen["active_character"] = "Keeper.png"
    chosen["world_info_settings"]["world_info"] = {"globalSelect": ["lore"]}
    chosen["extension_settings"]["note"]["default"] = tagged("author's note")
    user = chosen["power_user"]
    user.update(auto_connect=True, auto_load_chat=True, encode_tags=True)
    user["sysprompt"] = {"enabled": True, "name": "Ours", "content": tagged("system prompt")}
    user["context"]["story_string"] = tagged("story string") + "\n" + user["context"]["story_string"]
    greedy = {"temp": 0, "do_sample": False, "seed": 1, "rep_pen": 1, "min_p": 0, "top_p": 1, "ban_eos_token": True}
    chosen["textgenerationwebui_settings"].update(greedy, type="ooba", server_urls={"ooba": url}, streaming=True)
    chat = chosen["oai_settings"]
    chat.update(chat_completion_source="custom", custom_url=f"{url}/v1", custom_model="storyteller", seed=1)
    chat.update(temp_openai=0, openai_max_tokens=12, openai_max_context=1024, stream_openai=True)
    # The storyteller ends at once after a template that it was not trained on.
    chat.update(custom_include_body="ban_eos_token: true")
    next(prompt for prompt in chat["prompts"] if prompt["identifier"] == "main")["content"] = tagged("system prompt")
    return chosen


class Tavern:
    """SillyTavern as its own process, in a browser: `say` types a message, `chat` is what it keeps of the chat."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver = driver
        driver.get(url)
        until(lambda: self.js("return !!window.SillyTavern?.getContext().chat.length"), "the character's chat opens")
        self.connected("storyteller")

    def js(self, code: str, *values: Any) -> Any:
        return self.driver.execute_script(code, *values)

    def connected(self, model: str) -> None:
        until(lambda: self.js("return SillyTavern.getContext().onlineStatus") == model, "SillyTavern connects")

    @property
    def chat(self) -> list[str]:
        return list(self.js("return SillyTavern.getContext().chat.map(message => message.mes)"))

    def shown(self) -> list[str]:
        return list(self.js("return [...document.querySelectorAll('#chat .mes_text')].map(text => text.innerText)"))

    def toasts(self) -> str:
        code = "return [...document.querySelectorAll('#toast-container .toast')].map(toast => toast.innerText).join()"
        return str(self.js(code))

    def type(self, text: str) -> None:
        """Send it; returns when it stands in the chat and nobody speaks any more."""
        box, before = self.driver.find_element("css selector", "#send_textarea"), len(self.chat)
        over = "#loader, #preloader, dialog[open]"
        until(lambda: not self.driver.find_elements("css selector", over), "nothing lies over the page")

        def stands() -> bool:
            self.silent()
            if len(self.chat) > before:
                return True
            # Again, where the page was not ready yet and has swallowed it.
            box.clear()
            box.send_keys(text)
            self.js("document.querySelector('#send_but').click()")
            time.sleep(0.5)
            return False

        until(stands, "the message is sent")

    def say(self, text: str) -> str:
        """The character's answer, whole."""
        before = len(self.chat)
        self.type(text)
        until(lambda: len(self.chat) == before + 2, "the character answers")
        self.silent()
        return self.chat[-1]

    def press(self, button: str, recorder: Recorder) -> Any:
        """What the webui is asked when that button makes the character speak."""
        asked = len(recorder.bodies("/v1/completions"))
        self.js("document.querySelector(arguments[0]).click()", button)
        until(lambda: len(recorder.bodies("/v1/completions")) > asked, f"{button} asks")
        self.silent()
        return recorder.bodies("/v1/completions")[-1]

    def silent(self) -> None:
        """Wait until nobody speaks: before that, SillyTavern's buttons do nothing."""
        until(lambda: self.js("return import('/script.js').then(page => !page.is_send_press)"), "the answer ends")

    def picture(self, name: str) -> None:
        if folder := os.environ.get("SILLYTAVERN_SCREENSHOTS"):
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))


@pytest.fixture(scope="module")
def server(start: Callable[..., Any]) -> Iterator[Any]:
    with start() as running:
        yield running


@pytest.fixture(scope="module")
def recorder(server: Any) -> Iterator[Recorder]:
    with Recorder(server.port) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def address(recorder: Recorder, beside: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A SillyTavern with a character, a lorebook and settings of its own."""
    node = shutil.which("node") or pytest.skip("there is no node on this machine")
    root, home = Path(os.environ["SILLYTAVERN_DIR"]).resolve(), tmp_path_factory.mktemp("tavern")
    user = home / "data" / "default-user"
    for folder in ("characters", "worlds"):
        (user / folder).mkdir(parents=True)
    tagged = {place: f"{words}{TAG}." for place, words in PLACES.items()}
    (user / "characters" / "Keeper.png").write_bytes(card("Keeper", tagged["description"], tagged["first message"]))
    (user / "worlds" / "lore.json").write_text(lorebook(tagged["lorebook"]), "utf-8")
    defaults = json.loads((root / "default" / "content" / "settings.json").read_text("utf-8"))
    chosen = settings(defaults, f"http://127.0.0.1:{recorder.port}")
    (user / "settings.json").write_text(json.dumps(chosen), "utf-8")
    shutil.copy(root / "default" / "config.yaml", home / "config.yaml")
    port = beside.free_port()
    files = ["--dataRoot", str(home / "data"), "--configPath", str(home / "config.yaml")]
    # The browser's switch has an older name and a newer one.
    quiet = ["--autorun", "false", "--browserLaunchEnabled", "false", "--listen", "false"]
    with (home / "log").open("wb") as log:
        command = [node, "server.js", "--port", str(port), *files, *quiet]
        process = subprocess.Popen(command, cwd=root, stdout=log, stderr=subprocess.STDOUT)
    try:
        until(lambda: process.poll() is not None or answers(port), "SillyTavern starts", 180)
        assert process.poll() is None, (home / "log").read_text("utf-8", "replace")[-4000:]
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(20)


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def tavern(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tavern]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    service = shutil.which("chromedriver")
    browser = next((found for found in map(shutil.which, BROWSERS) if found), None)
    if not service or not browser:
        pytest.skip("there is no Chromium with its chromedriver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(service))
    try:
        yield Tavern(driver, address)
    finally:
        driver.quit()


def test_text_completion(tavern: Tavern, recorder: Recorder, server: Any) -> None:
    """Tags arrive whole from everywhere, and the streamed answer is the one that the text itself gets."""
    answer = tavern.say(f"{PLACES['message']}{TAG}.")
    (body,) = recorder.bodies("/v1/completions")
    assert [place for place, words in PLACES.items() if f"{words}{TAG}." not in body["prompt"]] == []
    assert body["stream"] and body["prompt"].count(TAG) == len(PLACES)
    plain = {**body, "prompt": body["prompt"].replace(TAG, LAMP), "stream": False}
    assert answer == server.post("/v1/completions", plain)["choices"][0]["text"].strip() != ""
    tavern.picture("text")


def test_tags_are_shown(tavern: Tavern) -> None:
    """With "Show <tags> in responses", as docs/sillytavern.md says; without it, `<>` is left of a tag."""
    tavern.say(f'"It is{TAG}", *he said{TAG}*, {TAG}')
    shown = tavern.shown()
    assert shown[0] == f"{PLACES['first message']}{TAG}."
    assert f'"It is{TAG}", he said{TAG}, {TAG}' in shown
    tavern.picture("shown")


def test_tokens_are_counted_by_the_webui(tavern: Tavern, recorder: Recorder, server: Any) -> None:
    """SillyTavern's "Best match" asks the webui, where a tag costs what its vectors cost."""
    tavern.say(f"Once more{TAG}.")
    asked = {body["text"]: json.loads(answer) for path, body, answer in recorder.asked if path == "/v1/internal/encode"}
    counted = {text: answer["length"] for text, answer in asked.items() if TAG in text}
    assert counted
    for text, length in counted.items():
        assert length == server.post("/v1/internal/token-count", {"text": text.replace(TAG, LAMP)})["length"]


def test_again_and_on(tavern: Tavern, recorder: Recorder) -> None:
    """Regenerate asks the very same again; continue goes on after it, with every tag."""
    first = tavern.say(f"And then{TAG}?")
    (*_, asked), again = recorder.bodies("/v1/completions"), tavern.press("#option_regenerate", recorder)
    assert again["prompt"] == asked["prompt"] and tavern.chat[-1] == first
    # The note's depth is counted in messages, so that it stands one message higher now.
    on = tavern.press("#option_continue", recorder)
    assert on["prompt"].endswith(first) and on["prompt"].count(TAG) == asked["prompt"].count(TAG)
    assert tavern.chat[-1].startswith(first)


def refuses(tavern: Tavern, furnished: Path) -> None:
    """In strict mode SillyTavern shows what is wrong with a tag."""
    chosen = furnished / "soft_prompts" / "settings.json"
    chosen.write_text(json.dumps({"version": 1, "strict": True}), "utf-8")
    tavern.js("$('.toast').remove()")
    try:
        tavern.type("Who<<sp:lamb>>?")
        until(lambda: "did you mean 'lamp'?" in tavern.toasts(), "SillyTavern shows what is wrong")
        assert "<<sp:lamb>>" in tavern.toasts()
    finally:
        chosen.unlink()


def test_strict_text_completion(tavern: Tavern, furnished: Path) -> None:
    refuses(tavern, furnished)
    tavern.picture("strict-text")


def test_chat_completion(tavern: Tavern, recorder: Recorder, server: Any) -> None:
    """The same by a custom OpenAI-compatible endpoint."""
    tavern.js("$('#main_api').val('openai').trigger('change'); $('#api_button_openai').trigger('click')")
    tavern.connected("Valid")
    answer = tavern.say(f"{PLACES['message']}{TAG}.")
    *_, body = recorder.bodies("/v1/chat/completions")
    said = [str(message["content"]) for message in body["messages"]]
    assert [place for place, words in ELSEWHERE.items() if not any(f"{words}{TAG}." in each for each in said)] == []
    plain = {**json.loads(json.dumps(body).replace(TAG, LAMP)), "stream": False}
    assert body["stream"]
    assert answer == server.post("/v1/chat/completions", plain)["choices"][0]["message"]["content"].strip() != ""
    tavern.picture("chat")


def test_strict_chat_completion(tavern: Tavern, furnished: Path) -> None:
    refuses(tavern, furnished)
    tavern.picture("strict-chat")
