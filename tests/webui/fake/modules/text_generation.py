"""Stands in for the webui's `modules.text_generation`: from a prompt to a reply, by way of every hook.

Kept with care: `encode` cuts from the left without regard to what it cuts, `auto_max_new_tokens` is computed before
`tokenizer_modifier` is asked, whatever fails while the model writes becomes a log entry and an empty reply, and a
stream that is left early writes one token more, in its own thread, with the lock released already.
"""

from __future__ import annotations

import ast
import copy
import html
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import modules.shared as shared
import numpy as np
from modules import models
from modules.extensions import apply_extensions
from modules.logging_colors import logger
from modules.presets import default_preset_values

State = dict[str, Any]


def generate_reply(*args: Any, **kwargs: Any) -> Iterator[str]:
    """The reply so far, again and again, under the one lock, which is not reentrant."""
    models.load_model_if_idle_unloaded()
    shared.generation_lock.acquire()
    with models._generation_count_lock:
        models.active_generation_count += 1
    try:
        yield from _generate_reply(*args, **kwargs)
    finally:
        with models._generation_count_lock:
            models.active_generation_count -= 1
        models.last_generation_time = time.time()
        shared.generation_lock.release()


def _generate_reply(
    question: str,
    state: State,
    stopping_strings: Any = None,
    is_chat: bool = False,
    escape_html: bool = False,
    for_ui: bool = False,
) -> Iterator[str]:
    write = apply_extensions("custom_generate_reply")
    if write is None:
        if not models.check_model_loaded()[0]:
            yield ""
            return
        own = type(shared.model).__name__ in ("LlamaServer", "Exllamav3Model", "TensorRTLLMModel")
        write = generate_reply_custom if own else generate_reply_HF
    original = question
    if not is_chat:
        state = apply_extensions("state", state)
        question = apply_extensions("input", question, state)
    stops = _strings(stopping_strings) + _strings(state["custom_stopping_strings"])
    shared.stop_everything = False
    shown = state["stream"]
    if stops and not shown:
        # To stop early it must be streamed, whether anybody sees that or not.
        state = {**_copied(state), "stream": True}
    reply = ""
    for reply in write(question, original, state, stopping_strings, is_chat=is_chat):
        reply, found = apply_stopping_strings(reply, stops)
        reply = html.escape(reply) if escape_html else reply
        if shown:
            yield reply
        event = state.get("stop_event")
        if found or shared.stop_everything or (event and event.is_set()):
            break
    yield reply if is_chat else apply_extensions("output", reply, state)


def _strings(given: Any) -> list[str]:
    return list(ast.literal_eval(f"[{given}]") if isinstance(given, str) else given or [])


def _copied(state: State) -> State:
    alive = ("stop_event", "logits_processor")
    return {key: value if key in alive else copy.deepcopy(value) for key, value in state.items()}


def apply_stopping_strings(reply: str, all_stop_strings: list[str]) -> tuple[str, bool]:
    """(the reply up to a stop string, whether there was one); the beginning of one at its end waits for the rest."""
    for stop in all_stop_strings:
        if stop in reply:
            return reply[: reply.index(stop)], True
    for stop in all_stop_strings:
        for size in range(len(stop) - 1, 0, -1):
            if reply.endswith(stop[:size]):
                return reply[:-size], False
    return reply, False


def encode(
    prompt: str, add_special_tokens: bool = True, add_bos_token: bool = True, truncation_length: int | None = None
) -> Any:
    """(1, length): all but llama.cpp's are tensors. Of two BOS one is left, asked for or not.

    `[-length:]` cuts: a length of 0 cuts nothing, and a negative one takes from the beginning.
    """
    if shared.tokenizer is None:
        models.load_model_if_idle_unloaded()
        if shared.tokenizer is None:
            raise ValueError("No tokenizer is loaded")
    kind = type(shared.model).__name__
    if kind == "LlamaServer":
        ids = np.array(shared.tokenizer.encode(str(prompt), add_bos_token=add_bos_token)).reshape(1, -1)
    elif kind in ("Exllamav3Model", "TensorRTLLMModel"):
        ids = shared.tokenizer.encode(str(prompt))
        ids = ids if kind == "Exllamav3Model" else np.array(ids).reshape(1, -1)
    else:
        ids = shared.tokenizer.encode(str(prompt), return_tensors="pt", add_special_tokens=add_special_tokens)
        ids = _with_one_bos(ids, getattr(shared.tokenizer, "bos_token_id", None), add_bos_token)
    return ids if truncation_length is None else ids[:, -truncation_length:]


def _with_one_bos(ids: Any, bos: int | None, wanted: bool) -> Any:
    import torch

    if bos is None:
        return ids
    if wanted and (ids.shape[1] == 0 or ids[0, 0] != bos):
        ids = torch.cat((torch.tensor([[bos]]), ids), 1)
    while ids.shape[1] > 1 and ids[0, 0] == ids[0, 1] == bos:
        ids = ids[:, 1:]
    return ids


def decode(output_ids: Any, skip_special_tokens: bool = True) -> str:
    return shared.tokenizer.decode(output_ids, skip_special_tokens=skip_special_tokens)


def get_encoded_length(prompt: str) -> int:
    """What an extension says, else the length of the ids."""
    length = apply_extensions("tokenized_length", prompt)
    return len(encode(prompt)[0]) if length is None else length


def get_token_ids(prompt: str) -> str:
    """A line for each token, its number and its text, for the notebook's tab of tokens."""
    rows = [(int(each), shared.tokenizer.decode([int(each)])) for each in encode(prompt)[0]]
    return "".join(f"{number:<5}  -  {text!r}\n" for number, text in rows)


def get_max_prompt_length(state: State) -> int:
    return state["truncation_length"] - state["max_new_tokens"]


def generate_reply_wrapper(question: str, state: State, stopping_strings: Any = None) -> Iterator[tuple[str, str]]:
    """(raw, HTML) for the notebook, the prompt in front."""
    yield formatted_outputs(question, shared.model_name)
    for reply in generate_reply(question, state, stopping_strings, is_chat=False, escape_html=True, for_ui=True):
        yield formatted_outputs(question + reply, shared.model_name)


def formatted_outputs(reply: str, model_name: str) -> tuple[str, str]:
    return html.unescape(reply), generate_basic_html(reply)


def generate_basic_html(string: str) -> str:
    """In the webui from `modules.html_generator`, with Markdown; what is in angle brackets goes in as it is."""
    return f'<style></style><div class="readable-container"><p>{string}</p></div>'


def set_manual_seed(seed: int) -> int:
    import torch

    seed = random.randint(1, 2**31) if int(seed) == -1 else int(seed)
    torch.manual_seed(seed)
    return seed


def stop_everything_event() -> None:
    shared.stop_everything = True


def get_reply_from_output_ids(output_ids: Any, state: State | None = None, starting_from: int = 0) -> str:
    """The text behind the prompt, with the space that some tokenizers drop from a first token."""
    reply = decode(output_ids[starting_from:], state["skip_special_tokens"] if state else True)
    if len(output_ids) > starting_from and not reply.startswith(" "):
        first = shared.tokenizer.convert_ids_to_tokens(int(output_ids[starting_from]))
        reply = f" {reply}" if str(first).startswith("▁") else reply
    return reply


def _generate_params(state: State) -> State:
    """What of the state goes to `generate`."""
    params = {key: state[key] for key in (*default_preset_values, "max_new_tokens") if key in state}
    for key in ("epsilon_cutoff", "eta_cutoff"):
        params.pop(key)
        if state[key] > 0:
            params[key] = state[key] * 1e-4
    priority = params.pop("sampler_priority", None)
    if priority:
        names = priority if isinstance(priority, list) else priority.replace("\n", ",").split(",")
        params["sampler_priority"] = [name.strip() for name in names if name.strip()]
    if state["prompt_lookup_num_tokens"] > 0:
        params["prompt_lookup_num_tokens"] = state["prompt_lookup_num_tokens"]
    banned = [shared.tokenizer.eos_token_id] if state["ban_eos_token"] else []
    banned += [int(each) for each in (state["custom_token_bans"] or "").split(",") if each.strip()]
    if banned:
        params["suppress_tokens"] = banned
    if state["static_cache"]:
        params["cache_implementation"] = "static"
    if state["negative_prompt"] != "":
        params["negative_prompt_ids"] = encode(state["negative_prompt"])
    return {**params, "use_cache": not shared.args.no_cache}


def generate_reply_HF(
    question: str, original_question: str, state: State, stopping_strings: Any = None, is_chat: bool = False
) -> Iterator[str]:
    """Transformers: the whole reply, or one token after the other."""
    import torch
    from modules.sampler_hijack import GrammarConstrainedLogitsProcessor
    from modules.transformers_loader import _StopEverythingStoppingCriteria
    from transformers import LogitsProcessorList, StoppingCriteriaList

    set_manual_seed(state["seed"])
    params = _generate_params(state)
    ids = encode(question, add_bos_token=state["add_bos_token"], truncation_length=get_max_prompt_length(state))
    if state["auto_max_new_tokens"]:
        params["max_new_tokens"] = state["truncation_length"] - ids.shape[-1]
    question, ids, embeds = apply_extensions("tokenizer", state, question, ids, None)
    params["inputs"] = ids
    if embeds is not None:
        params["inputs_embeds"] = embeds
    eos = shared.tokenizer.eos_token_id
    params["eos_token_id"] = [] if eos is None else [eos]
    params["stopping_criteria"] = StoppingCriteriaList([_StopEverythingStoppingCriteria()])
    processors = state.get("logits_processor", LogitsProcessorList())
    processors = processors if isinstance(processors, LogitsProcessorList) else LogitsProcessorList([processors])
    if state["grammar_string"].strip():
        processors.append(GrammarConstrainedLogitsProcessor(state["grammar_string"]))
    apply_extensions("logits_processor", processors, ids)
    params["logits_processor"] = processors
    try:
        if not is_chat:
            yield ""
        if state["stream"]:
            yield from _streamed(params, state, len(ids[0]))
        else:
            with torch.no_grad():
                output = shared.model.generate(**params)[0]
            yield get_reply_from_output_ids(output, state, starting_from=len(ids[0]))
    except Exception:
        logger.exception("Failed to generate reply (HF)")


def _streamed(params: State, state: State, start: int) -> Iterator[str]:
    import torch
    from modules.transformers_loader import Stream

    def generate(callback: Callable[[Any], None]) -> None:
        params["stopping_criteria"].append(Stream(callback))
        with torch.no_grad():
            shared.model.generate(**params)

    reply = ""
    with Iteratorize(generate) as rows:
        for row in rows:
            if row[-1] in params["eos_token_id"]:
                break
            new = get_reply_from_output_ids(row, state, starting_from=start)
            if chr(0xFFFD) not in new:  # else half a character
                reply, start = reply + new, len(row)
                yield reply


class Iteratorize:
    """In the webui in `modules.callbacks`: what a function tells its callback, from its own thread, as an iterator."""

    class _Stop(Exception):
        pass

    def __init__(self, function: Callable[..., None]) -> None:
        self.stop_now = False
        self._told: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self._run, args=(function,)).start()

    def _run(self, function: Callable[..., None]) -> None:
        try:
            function(callback=self._tell)
        except self._Stop:
            pass
        except Exception:
            logger.exception("Failed in generation callback")
        self._told.put(self)

    def _tell(self, value: Any) -> None:
        if self.stop_now or shared.stop_everything:
            raise self._Stop
        self._told.put(value)

    def __iter__(self) -> Iterator[Any]:
        while (value := self._told.get()) is not self:
            yield value

    def __enter__(self) -> Iteratorize:
        return self

    def __exit__(self, *reason: Any) -> None:
        self.stop_now = True


def generate_reply_custom(
    question: str, original_question: str, state: State, stopping_strings: Any = None, is_chat: bool = False
) -> Iterator[str]:
    """Loaders that get a text and the state, and encode for themselves; afterwards tokens are counted for the log."""
    state = _copied(state)
    state["seed"] = set_manual_seed(state["seed"])
    reply = ""
    try:
        if not is_chat:
            yield ""
        if not state["stream"]:
            reply = shared.model.generate(question, state)
            yield reply
        else:
            for reply in shared.model.generate_with_streaming(question, state):
                yield reply
    except Exception:
        logger.exception("Failed to generate reply (custom)")
    finally:
        logger.info("%s tokens", len(encode(original_question + reply)[0]) - len(encode(original_question)[0]))
