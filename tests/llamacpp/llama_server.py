"""`with llama_server(model, flags) as address`: a real llama-server, where there is one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

FOUND = os.environ.get("LLAMA_SERVER") or shutil.which("llama-server") or ""
QUANTIZE = str(Path(FOUND or "llama-server").with_name("llama-quantize"))

EXACT = ("--flash-attn", "off", "--cache-type-k", "f32", "--cache-type-v", "f32")
"""With these a text is read as exactly as Transformers reads it, and in parts as in one go."""


class Address(str):
    """Of a server, and the number of its process."""

    pid: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def llama_server(
    model: Path, flags: Sequence[str] = (), context: int = 256, parallel: int = 1, port: int = 0
) -> Iterator[Address]:
    """The address of one that is ready; its log stands beside the model where it ends early."""
    port = port or free_port()
    command = [FOUND, "--model", str(model), "--port", str(port), "--ctx-size", str(context * parallel)]
    command += ["--parallel", str(parallel), "--threads", "1", "--threads-http", "4", "--no-warmup", *flags]
    log = model.with_suffix(".log")
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            address = Address(f"http://127.0.0.1:{port}")
            address.pid = process.pid
            _wait(process, address, log)
            yield address
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:  # so it is where a text is being written; the webui does the same
        process.kill()
        process.wait(20)


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"llama-server ended with {process.returncode}:\n{log.read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(address + "/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("llama-server was not ready within a minute")
