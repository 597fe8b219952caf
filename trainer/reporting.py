"""`told(report)`, `page(report, facts)`, `record(report)`: a Report for people, as Markdown, and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..terminal import table, wrapped
from .evaluate import Answer, Line, Report

SHOWN = 24
"""Answers in a terminal; the page has all of them."""

CLOSE = 0.005
"""Nats per token that are no difference worth a word."""

_COSTS = (
    (0.05, "hardly changes what the model writes elsewhere"),
    (0.3, "colours what the model writes elsewhere"),
    (math.inf, "makes all that the model writes sound of it, so use it where that is wanted, or weaker"),
)


def told(report: Report, rest: str = "") -> str:
    """For a terminal: the table, the answers, what it all means. rest: where all answers are, if they are many."""
    parts = [table(_cells(report), numbers=True)]
    if report.answers:
        # Wrong ones first: they are why one looks.
        answers = sorted(report.answers, key=lambda each: each.right)
        parts.append(table([_answered(each) for each in answers[:SHOWN]]))
        parts[-1] += f"\n... and {len(answers) - SHOWN} more{rest}" if len(answers) > SHOWN else ""
    return "\n\n".join([*parts, wrapped("\n".join(verdict(report)))])


def page(report: Report, facts: dict[str, str], files: Sequence[str] = ()) -> str:
    """Markdown: the facts of the training, the table, the verdict, every answer. files: pictures beside it."""
    cells = _cells(report)
    lines = [f"# {_safe(facts.get('name', 'Report'))}", ""]
    lines += [f"- {key}: {_safe(value)}" for key, value in facts.items() if key != "name"]
    lines += ["", *_markdown(cells), "", *verdict(report), ""]
    lines += [f"![{each}]({each})\n" for each in files]
    if report.answers:
        rows = [("call", "right answer", "what it said", "")]
        rows += [(each.call, each.response, each.said, "right" if each.right else "wrong") for each in report.answers]
        lines += ["## Answers", "", *_markdown(rows), ""]
    lines += [f"Note: {each}." for each in report.notes]
    return "\n".join(lines).rstrip() + "\n"


LOST = 3.0
"""Bits per byte: what a model knows takes about 1, another language of its alphabet 2, and letters at random 4 to 5."""
FOREIGN = (
    "The model hardly knows such text: without the soft prompt it guesses nearly every word. Expect a flavour, and no "
    "sentences; a larger model, or one that was made for such text, serves better."
)
ASKED = 3
"""Facts, from which on it tells something that not one was known."""
UNLEARNT = (
    "It says none of these facts right. A model learns facts in words that it uses itself, so a small one learns few; "
    "more steps, each fact said in more ways, or a larger model help."
)


def record(report: Report) -> dict[str, Any]:
    """For programs; numbers that are no numbers are null, since JSON has none."""
    shares = {each.name: each.recall for each in report.lines}
    facts = {
        "held_out": report.held_out.prompt,
        "base": report.held_out.base,
        "unrelated": report.unrelated,
        "recall": shares[report.lines[-1].name],
        **asdict(report),
        "verdict": verdict(report),
        "warning": warning(report),
    }
    cleaned: dict[str, Any] = plain(facts)
    return cleaned


def plain(value: Any) -> Any:
    """`value` with None for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_json(value: Any) -> str:
    """One line."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def verdict(report: Report) -> list[str]:
    """What the table means, honestly, in whole sentences."""
    first, last = report.lines[0], report.lines[-1]
    sentences = [_closed(report) if report.method == "distill" else _gained(report.method, first, last)]
    rivals = report.lines[1:-1]
    # What taught is no rival: nothing can be nearer to it than itself.
    compared = [each for each in rivals if not (report.method == "distill" and each.nats < 1e-4)]
    if compared:
        sentences.append(_beside(min(compared, key=lambda each: each.nats), last))
    if last.recall is not None:
        sentences.append(_recalled(report))
    if warning(report):
        sentences.insert(1, warning(report))
    return [*sentences, _cost(report.unrelated)]


def warning(report: Report) -> str:
    """What a writer should hear first, mostly nothing: that the model is strange to such text, or learnt no fact."""
    first, last = report.lines[0], report.lines[-1]
    if report.method == "finetune" and first.bits is not None and first.bits > LOST:
        return FOREIGN
    return UNLEARNT if report.method == "world info" and last.recall == 0 and len(report.answers) >= ASKED else ""


def _cost(nats: float) -> str:
    if math.isnan(nats):
        return "What it does to unrelated text could not be measured."
    words = next(words for most, words in _COSTS if nats <= most)
    return f"On unrelated text its predictions move by {nats:.3f} nats a token: it {words}."


def _gained(method: str, first: Line, last: Line) -> str:
    gained = first.nats - last.nats
    where = "right answers" if method == "world info" else "text that it has not seen"
    if not gained > CLOSE:
        return (
            f"The soft prompt does not help: {last.nats:.3f} nats a token of {where}, and {first.nats:.3f} without it. "
            "More text, more steps or another rate may."
        )
    return (
        f"A token of {where} costs the model {first.nats:.3f} nats, and {last.nats:.3f} behind the soft prompt: "
        f"{gained:.3f} less. Less is better."
    )


def _closed(report: Report) -> str:
    first, last = report.lines[0], report.lines[-1]
    share = 1 - last.nats / first.nats if first.nats > 0 else 0.0
    whole = max(each.tokens for each in report.lines)
    if share <= 0.02:
        return "The soft prompt does not bring the model nearer to the text in its context. More tokens or steps may."
    return (
        f"The soft prompt does {share:.0%} of what the whole text in the context does, with {last.tokens} tokens in "
        f"place of {whole}."
    )


def _beside(rival: Line, last: Line) -> str:
    better, even = rival.nats < last.nats - CLOSE, rival.nats <= last.nats + CLOSE
    word = "Better still" if better else "As good" if even else "Less good"
    costs = f"for {rival.tokens} tokens of context, where the soft prompt takes {last.tokens}"
    return f"{word}: {_named(rival)} in the context, with {rival.nats:.3f}, {costs}."


def _named(line: Line) -> str:
    name = line.name if line.name.startswith("the ") else f"the {line.name}"
    return f"{name}," if "," in name else name


def _recalled(report: Report) -> str:
    last, first = report.lines[-1], report.lines[0]
    count = len(report.answers)
    rivals = [each for each in report.lines[1:-1] if each.recall is not None]
    best = max(rivals, key=lambda each: (each.recall or 0, -each.tokens), default=None)
    words = f"It answers {_of(last, count)} right, word for word; without it the model answers {_of(first, count)}"
    if best is None:
        return f"{words}."
    words += f", and with {_named(best)} in the context {_of(best, count)}."
    return words if (best.recall or 0) <= (last.recall or 0) else f"{words} So the text still knows more."


def _of(line: Line, count: int) -> str:
    return f"{round((line.recall or 0) * count)} of {count} questions" if count else f"{line.recall or 0:.0%}"


def _cells(report: Report) -> list[tuple[str, ...]]:
    """Rows of the table, the names of the columns first; columns that would be empty are left out."""
    what = "nats apart" if report.method == "distill" else "nats per token"
    columns = [
        ("", [each.name for each in report.lines]),
        ("context", [str(each.tokens) for each in report.lines]),
        (what, [_number(each.nats) for each in report.lines]),
        ("bits per byte", [_number(each.bits) for each in report.lines]),
        ("answer nats", [_number(each.answers) for each in report.lines] if report.method == "distill" else []),
        ("right", ["" if each.recall is None else f"{each.recall:.0%}" for each in report.lines]),
    ]
    kept = [(name, cells) for name, cells in columns if any(cells)]
    return [tuple(name for name, _ in kept), *zip(*(cells for _, cells in kept), strict=True)]


def _number(value: float | None) -> str:
    return "" if value is None else f"{round(value, 3) + 0.0:.3f}"  # no -0.000


def _answered(answer: Answer) -> tuple[str, str]:
    """A call with its answer; of a wrong one, what it said in place of what."""
    call = " ".join(answer.call.split())
    call = call if len(call) <= 56 else "..." + call[-53:]
    said, wanted = (" ".join(each.split())[:48] for each in (answer.said, answer.response))
    if answer.right:
        return "right", f"{call} | {wanted}"
    return "wrong", f"{call} | {said}   (right: {wanted})"


def _markdown(rows: Sequence[tuple[str, ...]]) -> list[str]:
    lines = ["| " + " | ".join(map(_safe, row)) + " |" for row in rows]
    marks = ["---", *("---:" if _numeric(rows, place) else "---" for place in range(1, len(rows[0])))]
    return [lines[0], "|" + "|".join(marks) + "|", *lines[1:]]


def _numeric(rows: Sequence[tuple[str, ...]], place: int) -> bool:
    return all(row[place].rstrip("%").replace(".", "").replace("-", "").isdigit() or not row[place] for row in rows[1:])


def _safe(text: str) -> str:
    """On one line of a table, whatever a model said."""
    text = " ".join(text.split())
    return "".join("\\" + each if each in "\\|*_`<>[]#" else each for each in text)
