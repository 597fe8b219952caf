"""`report(health, last, packages)`: all that a panel knows, as plain text for a bug report."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from importlib import metadata

from .protocol import Health, Request


def report(health: Health, last: Request, packages: Sequence[str]) -> str:
    """Versions, health, the tags of the last request; no text of the writer's."""
    versions = [f"{name} {version(name)}" for name in packages]
    lines = [
        f"soft-prompts {_own_version()} - {health.state}: {health.line}",
        *(f"- {detail}" for detail in health.details),
        f"- Python {platform.python_version()} on {platform.system()}, {', '.join(versions)}",
        f"- last request: {last.tokens} tokens" if last.when else "- no request yet",
        *(f"  - {use.tag}: {use.tokens} tokens{f', {use.problem}' if use.problem else ''}" for use in last.uses),
    ]
    return "\n".join(lines)


def version(package: str) -> str:
    """Of what is installed, "missing" of what is not."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def _own_version() -> str:
    return str(getattr(sys.modules["soft_prompts"], "__version__", "unknown"))
