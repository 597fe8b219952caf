"""Stands in for the webui's `modules.api.completions`: OpenAI's two ways to ask, as far as text goes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from modules import shared
from modules.chat import generate_chat_prompt, generate_chat_reply
from modules.text_generation import encode, generate_reply
from modules.transformers_loader import LogitsBiasProcessor, LogprobProcessor

Body = dict[str, Any]
Entries = list[dict[str, Any]]


def _compute_prompt_logprob_entries(prompt: str, logprobs_count: int, input_ids: Any = None) -> Entries:
    """An entry for each token of the prompt: the first has no probability, each other is looked up by its id."""
    ids = encode(prompt) if input_ids is None else input_ids
    tokenizer, row = shared.tokenizer, [int(each) for each in ids[0]]
    if shared.args.loader == "llama.cpp" and row:
        return shared.model.get_prompt_logprob_entries(ids[0], max(logprobs_count, 1), prompt=prompt)
    if not row:
        return []
    first = "" if row[0] == tokenizer.bos_token_id else tokenizer.decode([row[0]])
    entries: Entries = [{"token": first if prompt.startswith(first) else "", "null_logprob": True}]
    if len(row) == 1:
        return entries
    with torch.inference_mode():
        logits = shared.model(input_ids=ids).logits[0].float()
    for token, scores in zip(row[1:], logits.log_softmax(-1), strict=False):
        others = [int(each) for each in scores.topk(max(logprobs_count, 1)).indices if each != token]
        shown = [token, *others[: max(logprobs_count, 1) - 1]]
        entry = [
            {"token": tokenizer.decode([each]), "token_id": each, "logprob": scores[each].item()} for each in shown
        ]
        entries.append({"top_logprobs": entry})
    return entries


def format_completion_logprobs(entries: Entries) -> dict[str, list[Any]] | None:
    """OpenAI's columns."""
    if not entries:
        return None
    columns: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    offset = 0
    for entry in entries:
        top = entry.get("top_logprobs") or [{"token": entry.get("token", ""), "logprob": None}]
        shown = {each["token"]: each["logprob"] for each in top} if "top_logprobs" in entry else None
        for column, value in zip(columns.values(), (top[0]["token"], top[0]["logprob"], shown, offset), strict=True):
            column.append(value)
        offset += len(top[0]["token"])
    return columns


def _of_step(alternatives: dict[str, float]) -> Entries:
    return [{"top_logprobs": [{"token": t, "logprob": p} for t, p in alternatives.items()]}] if alternatives else []


def process_parameters(body: Body, is_legacy: bool = False) -> Body:
    """Mutates the body into a state: what the API calls otherwise, and the processors that it asks for."""
    body["max_new_tokens"] = body.pop("length" if is_legacy else "max_tokens")
    body["truncation_length"] = body["truncation_length"] or shared.settings["truncation_length"]
    if body["temperature"] == 0:
        body["do_sample"], body["top_k"] = False, 1
    stop = body.get("stop")
    body["custom_stopping_strings"] = [stop] if isinstance(stop, str) else stop or []
    if body.get("logprobs") is True:
        body["logprobs"] = max(body.get("top_logprobs") or 5, 1)
    processors: list[Any] = [LogitsBiasProcessor(body["logit_bias"])] if body.get("logit_bias") else []
    if body.get("logprobs"):
        body["logprob_proc"] = LogprobProcessor(body["logprobs"])
        processors.append(body["logprob_proc"])
    if processors:
        from transformers import LogitsProcessorList

        body["logits_processor"] = LogitsProcessorList(processors)
    return body


def completions_common(
    body: Body, is_legacy: bool = False, stream: bool = False, stop_event: Any = None
) -> Iterator[dict[str, Any]]:
    """One answer, or one for each piece; the tokens of the prompt are counted and judged without any hook."""
    state = process_parameters(body, is_legacy)
    limit = state["max_new_tokens"]
    state |= {"stream": stream, "stop_event": stop_event}
    spy, prompt, prefix = state.pop("logprob_proc", None), body["prompt"], ""
    ids = encode(prompt)
    entries: Entries = []
    if body["echo"]:
        prefix = prompt
        if body.get("logprobs") is not None:
            entries = _compute_prompt_logprob_entries(prompt, body["logprobs"], input_ids=ids)

    def answer(text: str, shown: Entries, reason: str | None, tokens: int = 0) -> dict[str, Any]:
        usage = {"prompt_tokens": len(ids[0]), "completion_tokens": tokens, "total_tokens": len(ids[0]) + tokens}
        choice = {"index": 0, "finish_reason": reason, "text": text, "logprobs": format_completion_logprobs(shown)}
        return {"object": "text_completion", "model": shared.model_name, "choices": [choice], "usage": usage}

    def last() -> Entries:
        return _of_step(spy.token_alternatives) if spy else []

    if stream:
        yield answer(prefix, entries, None)
    seen = ""
    for text in generate_reply(prompt, state, is_chat=False) if limit else ():
        if stream and text[len(seen) :]:
            yield answer(text[len(seen) :], last(), None)
        seen = text
    tokens = len(encode(seen)[0]) if limit else 0
    full = tokens >= limit or len(ids[0]) + tokens >= state["truncation_length"]
    reason, suffix = "length" if limit and full else "stop", body["suffix"] or ""
    if stream:
        yield answer(suffix, last(), reason, tokens)
    else:
        steps = [entry for each in (spy.token_alternatives_history if spy else ()) for entry in _of_step(each)]
        yield answer(prefix + seen + suffix, entries + steps, reason, tokens)


def convert_history(history: Entries) -> tuple[str, str, dict[str, Any]]:
    """(what the writer says now, system message, rows of [said, answered])."""
    system = "\n".join(each["content"] for each in history if each["role"] == "system")
    rows: list[list[str]] = []
    for each in history:
        if each["role"] == "user":
            rows.append([each["content"], ""])
        elif each["role"] == "assistant" and rows and not rows[-1][1]:
            rows[-1][1] = each["content"]
        elif each["role"] == "assistant":
            rows.append(["", each["content"]])
    said = rows.pop()[0] if history[-1]["role"] == "user" else ""
    return said, system, {"internal": rows, "visible": [row[:] for row in rows]}


def chat_completions_common(
    body: Body, is_legacy: bool = False, stream: bool = False, prompt_only: bool = False, stop_event: Any = None
) -> Iterator[dict[str, Any]]:
    """The chat, in instruct mode unless the body says otherwise."""
    state = process_parameters(body, is_legacy)
    said, state["custom_system_message"], state["history"] = convert_history(body["messages"])
    keys = {"bot_name": "name2", "user_name": "name1", "chat_instruct_command": "chat-instruct_command"}
    keys |= {key: key for key in ("instruction_template_str", "chat_template_str", "context")}
    state |= {key: body.get(asked) or shared.settings[key] for asked, key in keys.items()}
    state |= {"user_bio": body.get("user_bio") or "", "stream": stream, "stop_event": stop_event}
    state.pop("logprob_proc", None)
    if prompt_only:
        yield {"prompt": generate_chat_prompt(said, state, _continue=body["continue_"])}
        return
    text, seen = "", 0
    for history in generate_chat_reply(said, state, _continue=body["continue_"], loading_message=False):
        text = history["internal"][-1][1]
        if stream and text[seen:]:
            yield {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text[seen:]}}]}
            seen = len(text)
    if not stream:
        message = {"role": "assistant", "content": text}
        yield {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


def chat_completions(body: Body, is_legacy: bool = False, stop_event: Any = None) -> dict[str, Any]:
    return deque(chat_completions_common(body, is_legacy, stream=False, stop_event=stop_event), maxlen=1).pop()


def stream_chat_completions(body: Body, is_legacy: bool = False, stop_event: Any = None) -> Iterator[dict[str, Any]]:
    yield from chat_completions_common(body, is_legacy, stream=True, stop_event=stop_event)


def completions(body: Body, is_legacy: bool = False, stop_event: Any = None) -> dict[str, Any]:
    return deque(completions_common(body, is_legacy, stream=False, stop_event=stop_event), maxlen=1).pop()


def stream_completions(body: Body, is_legacy: bool = False, stop_event: Any = None) -> Iterator[dict[str, Any]]:
    yield from completions_common(body, is_legacy, stream=True, stop_event=stop_event)
