"""Stands in for the webui's `modules.chat`: from a history to a prompt, and from a reply to a history.

Kept with care: a prompt that is too long loses old messages, then the last message loses characters, found by bisection
with `get_encoded_length` as the measure; what is too long even then is a ValueError.
"""

from __future__ import annotations

import copy
import functools
import html
import re
from collections.abc import Iterator
from typing import Any

import modules.shared as shared
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from modules.extensions import apply_extensions
from modules.logging_colors import logger
from modules.text_generation import generate_reply, get_encoded_length, get_max_prompt_length

State = dict[str, Any]
Messages = list[dict[str, Any]]
jinja_env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
HERE = "the place where the last message goes"
compiled = functools.lru_cache(100)(jinja_env.from_string)


def replace_character_names(text: str, name1: str, name2: str) -> str:
    for written, name in {"{{user}}": name1, "{{char}}": name2, "<USER>": name1, "<BOT>": name2}.items():
        text = text.replace(written, name)
    return text


class _Prompt:
    """What one chat request makes of messages."""

    def __init__(self, user_input: str, state: State, impersonate: bool, goes_on: bool) -> None:
        self.user_input, self.state, self.impersonate, self.goes_on = user_input, state, impersonate, goes_on
        self.mode, self.names = state["mode"], (state["name1"], state["name2"])

    def instructed(self, messages: Messages, add_generation_prompt: bool) -> str:
        thinks = {key: self.state[key] for key in ("enable_thinking", "reasoning_effort", "preserve_thinking")}
        return compiled(self.state["instruction_template_str"]).render(
            messages=messages,
            add_generation_prompt=add_generation_prompt,
            tools=self.state.get("tools"),
            bos_token=shared.bos_token,
            eos_token=shared.eos_token,
            **thinks,
        )

    def chatted(self, messages: Messages, add_generation_prompt: bool) -> str:
        template = replace_character_names(self.state["chat_template_str"], *self.names)
        return compiled(template).render(
            messages=messages,
            add_generation_prompt=add_generation_prompt,
            name1=self.names[0],
            name2=self.names[1],
            user_bio=replace_character_names(self.state["user_bio"], *self.names),
            tools=self.state.get("tools"),
        )

    def messages(self, rows: list[list[Any]]) -> Messages:
        """The system message, the history, and what the writer says now."""
        if self.mode == "instruct":
            found = self._system()
        else:
            context = replace_character_names(self.state["context"], *self.names)
            found = [{"role": "system", "content": context}] if (context + self.state["user_bio"]).strip() else []
        for said, answered, *more in rows:
            role = (more[1] if len(more) > 1 else {}).get("role", "user")
            if said.strip() not in ("", "<|BEGIN-VISIBLE-CHAT|>"):
                found.append({"role": role, "content": said.strip()})
            if answered.strip():
                found.append({"role": "assistant", "content": answered.strip()})
        if self.impersonate and self.mode != "chat-instruct":
            found.append({"role": "user", "content": HERE})
        elif self.user_input and not (self.impersonate or self.goes_on):
            found.append({"role": "user", "content": self.user_input})
        return found

    def render(self, messages: Messages) -> str:
        last, inner = messages[-1], self.mode == "chat-instruct"
        if self.goes_on:
            messages = messages[:-1] if inner else self._open(messages)
        add = not (inner or self.goes_on or self.impersonate)
        prompt = (self.instructed if self.mode == "instruct" else self.chatted)(messages, add)
        if inner:
            outer = [*self._system(), {"role": "user", "content": self._command(prompt)}]
            outer = self._open([*outer, last]) if self.goes_on else outer
            prompt = self.instructed(outer, not self.goes_on)
        if self.goes_on:
            return prompt.split(HERE, 1)[0] + last["content"]
        if self.impersonate:
            return prompt.split(HERE, 1)[0] + self.user_input
        return prompt if self.mode == "instruct" else prompt + apply_extensions("bot_prefix", "", self.state)

    def _open(self, messages: Messages) -> Messages:
        """The last message with a mark in it; one more follows, so that the template does not treat it as the last."""
        return [*messages[:-1], {**messages[-1], "content": HERE}, {"role": "assistant", "content": "cut off"}]

    def _system(self) -> Messages:
        words = self.state["custom_system_message"]
        return [{"role": "system", "content": words}] if words.strip() else []

    def _command(self, prompt: str) -> str:
        command = self.state["chat-instruct_command"].replace("<|character|>", self.names[not self.impersonate])
        return replace_character_names(command.replace("<|prompt|>", prompt), *self.names)

    def fitted(self, messages: Messages, limit: int) -> str:
        """Mutates `messages`, until their prompt is at most `limit` tokens long."""
        prompt = self.render(messages)
        while messages and get_encoded_length(prompt) > limit:
            system = messages[0]["role"] == "system"
            if len(messages) > 1 + system:
                messages.pop(int(system))
            else:
                return self._bisected(messages, limit)
            prompt = self.render(messages)
        return prompt

    def _bisected(self, messages: Messages, limit: int) -> str:
        whole = messages[-1]["content"]

        def cut(length: int) -> str:
            messages[-1]["content"] = whole[:length]
            return self.render(messages)

        low, high = 0, len(whole)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if get_encoded_length(cut(middle)) <= limit else (low, middle - 1)
        prompt = cut(low)
        if get_encoded_length(prompt) > limit:
            raise ValueError(f"not even an empty message fits into {limit} tokens")
        logger.warning("cut from %s to %s tokens", get_encoded_length(whole), get_encoded_length(whole[:low]))
        return prompt


def generate_chat_prompt(user_input: str, state: State, **kwargs: Any) -> Any:
    """The prompt; with `also_return_rows` also the contents of its messages."""
    rows = kwargs.get("history", state["history"])["internal"]
    made = _Prompt(user_input.strip(), state, kwargs.get("impersonate", False), kwargs.get("_continue", False))
    messages = made.messages(rows)
    known = shared.tokenizer is not None
    prompt = made.fitted(messages, get_max_prompt_length(state)) if known else made.render(messages)
    return (prompt, [each["content"] for each in messages]) if kwargs.get("also_return_rows") else prompt


def count_prompt_tokens(text_input: Any, state: State) -> str:
    """The counter below the chat's input; whatever goes wrong is its answer."""
    if shared.tokenizer is None:
        return "Tokenizer not available"
    try:
        text = text_input.get("text", "") if isinstance(text_input, dict) else text_input
        count = get_encoded_length(generate_chat_prompt(text, copy.deepcopy(state)))
        most = state["truncation_length"]
        return f"History + Input:<br/>{count:,} / {most:,} tokens ({100 * count / most if most > 0 else 0:.1f}%)"
    except Exception as problem:
        return f"Error: {problem}"


def get_stopping_strings(state: State) -> list[str]:
    """What stands between the messages of a dialogue, up to its bracket or colon: there the model is to stop."""
    said = ["first user message", "first assistant message", "second user message", "second assistant message"]
    dialogue = [{"role": ("user", "assistant")[place % 2], "content": each} for place, each in enumerate(said)]
    names = {"name1": state["name1"], "name2": state["name2"]}
    tokens = {"bos_token": shared.bos_token, "eos_token": shared.eos_token}
    template = state["chat_template_str" if state["mode"] == "chat" else "instruction_template_str"]
    known = names if state["mode"] == "chat" else tokens
    prompt = compiled(template).render(messages=dialogue, add_generation_prompt=False, **known)
    found = [stop for between in re.split("|".join(said), prompt)[1:] for stop in _stop(between)]
    found += state.pop("stopping_strings", None) or []
    return [each for each in dict.fromkeys(found) if not any(each.startswith(o) and each != o for o in found)]


def _stop(between: str) -> list[str]:
    for opening, closing in ("<>", "[]", "()", "{}"):
        if between.strip().startswith(opening) and closing in between:
            return [between.strip().split(closing)[0] + closing]
    return [between.split(":")[0] + ":"] if ":" in between else []


def chatbot_wrapper(
    text: Any, state: State, regenerate: bool, _continue: bool, loading_message: bool, for_ui: bool
) -> Iterator[dict[str, Any]]:
    """The history with the reply so far: `internal` is the text, `visible` is escaped."""
    text = text.get("text", "") if isinstance(text, dict) else text
    output = apply_extensions("history", copy.deepcopy(state["history"]))
    state = apply_extensions("state", state)
    if state["mode"] != "chat":
        state["add_bos_token"] = False  # the template's own affair
    output.setdefault("metadata", {})
    stops, chat, before = get_stopping_strings(state), state["mode"] != "instruct", ["", ""]
    if regenerate or _continue:
        text, visible = output["internal"][-1][0], output["visible"][-1][0]
        if _continue:
            before = [output["internal"][-1][1], output["visible"][-1][1]]
    else:
        text, visible = apply_extensions("chat_input", text, html.escape(text), state)
        text = apply_extensions("input", text, state, is_chat=True)
        output["internal"].append([text, ""])
        output["visible"].append([visible, ""])
    if loading_message:
        yield {**output, "visible": [*output["visible"][:-1], [visible, before[1] or shared.processing_message]]}
    rows = {key: value[:-1] if key in ("internal", "visible") else value for key, value in output.items()}
    options = {"_continue": _continue, "history": output if _continue else rows}
    prompt = apply_extensions("custom_generate_chat_prompt", text, state, **options)
    if prompt is None:
        prompt = generate_chat_prompt(text, state, **options)
    for count, reply in enumerate(generate_reply(prompt, state, stops, is_chat=True, for_ui=for_ui)):
        if chat:
            reply = reply if _continue else reply.lstrip()
            said_by = next((f"{state[key]}:" for key in ("name2", "name1") if reply.startswith(f"{state[key]}:")), "")
            reply = reply.removeprefix(said_by)
        shown = html.escape(re.sub("<USER>|<user>|{{user}}", state["name1"], reply) if chat else reply)
        if shared.stop_everything:
            break
        if _continue:
            output["internal"][-1], output["visible"][-1] = [text, before[0] + reply], [visible, before[1] + shown]
        elif count or shown.strip():
            output["internal"][-1], output["visible"][-1] = [text, reply.lstrip(" ")], [visible, shown.lstrip(" ")]
        if state["stream"]:
            yield output
    output["visible"][-1][1] = apply_extensions("output", output["visible"][-1][1], state, is_chat=True)
    yield output


def generate_chat_reply(
    text: Any,
    state: State,
    regenerate: bool = False,
    _continue: bool = False,
    loading_message: bool = True,
    for_ui: bool = False,
) -> Iterator[dict[str, Any]]:
    """The same, where there is something to write anew or to go on with."""
    history = state["history"]
    greeting = len(history["visible"]) == 1 and not history["visible"][0][0]
    if (regenerate or _continue) and (greeting or not history["internal"]):
        yield history
    else:
        text = "" if regenerate or _continue else text
        yield from chatbot_wrapper(text, state, regenerate, _continue, loading_message, for_ui)


def impersonate_wrapper(textbox: dict[str, str], state: State) -> Iterator[tuple[dict[str, str], str]]:
    """The writer's next message, written by the model behind what is there of it."""
    text = textbox["text"]
    prompt = generate_chat_prompt("", state, impersonate=True)
    for reply in generate_reply(prompt + text, state, get_stopping_strings(state), is_chat=True):
        yield {**textbox, "text": (text + reply).lstrip(" ")}, ""
