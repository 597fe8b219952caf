"""`with Server(root, user_data, python) as server: server.get("/v1/soft-prompts")`: the real webui, as a process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PYTHON = os.environ.get("TEXTGEN_WEBUI_PYTHON", "")


class Server:
    """Starts `server.py` and waits until it answers; its log is `log`, and is shown when it does not."""

    def __init__(self, root: Path, user_data: Path, python: str, *flags: str, interface: bool = False) -> None:
        self.port, self.page = free_port(), free_port()
        self.interface = interface
        self.log = user_data.parent / f"server-{self.port}.log"
        api = ["--api", "--api-port", str(self.port), "--listen-port", str(self.page)]
        shown = [] if interface else ["--nowebui"]
        command = [python, "server.py", "--user-data-dir", str(user_data), "--cpu", *shown, *api, *flags]
        with self.log.open("wb") as log:
            environment = {**os.environ, "HF_HUB_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False"}
            self.process = subprocess.Popen(command, cwd=root, stdout=log, stderr=subprocess.STDOUT, env=environment)

    def __enter__(self) -> Server:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.get("/v1/internal/health")
                if self.interface:  # comes after the API
                    urllib.request.urlopen(f"http://127.0.0.1:{self.page}/", timeout=60).close()
                return self
            except OSError:
                time.sleep(0.3)
        self.close()
        raise AssertionError(f"the webui did not start:\n{self.log.read_text('utf-8', 'replace')[-4000:]}")

    def __exit__(self, *problem: object) -> None:
        self.close()

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def memory(self) -> int:
        """Bytes that the process holds (Linux)."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return json.load(answer)

    def ask(self, path: str, body: dict[str, Any], **headers: str) -> tuple[int, dict[str, str], Any]:
        """(status, headers, answer) of a POST, also of one that is refused."""
        data = json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data, {"content-type": "application/json", **names}
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, {name.lower(): value for name, value in answer.headers.items()}, json.load(answer)
        except urllib.error.HTTPError as problem:
            return problem.code, {}, json.load(problem)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        status, _, answer = self.ask(path, body)
        assert status == 200, answer
        return answer

    def stream(self, path: str, body: dict[str, Any]) -> Iterator[Any]:
        """The events of a streamed answer."""
        data = json.dumps({**body, "stream": True}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=300) as answer:
            for line in answer:
                if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
                    yield json.loads(line[6:])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
