"""Truncation in the webui: no half tag, no lost BOS, never longer than the webui itself would allow."""

from __future__ import annotations

from typing import Any

import pytest

Inside = Any  # the fixture of conftest.py
LAMP = " and the old keeper lit the lamp in the tower"
TEXTS = {
    "inside": "Once upon a time<<sp:lamp>> there was a miller. In the morning<<sp:lamp>> the boat was gone",
    "at both edges": "<<sp:lamp>>Once upon a time there was a miller<<sp:lamp>>",
    "two in a row": "Once<<sp:lamp>><<sp:lamp>><<sp:lamp:0.5>> upon a time",
    "only": "<<sp:lamp>>",
}
FIRST_ID = 1_000_000_000


def read_by_the_model(inside: Inside, prompt: str, **changes: Any) -> list[int]:
    """The ids that reach the model's own `generate`, behind every wrapper, and how many tokens it may write."""
    seen: dict[str, Any] = {}
    kind = type(inside.ours.current.served.base)
    own = kind.generate

    def generate(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.update(kwargs)
        return own(self, *args, **kwargs)

    kind.generate = generate
    try:
        inside.complete(prompt, **changes)
    finally:
        del kind.generate
    inside.new_tokens = seen["max_new_tokens"]
    return list(map(int, seen["inputs"][0]))


def whole(inside: Inside, ids: list[int]) -> bool:
    """Whether each placeholder is part of a run that is one whole tag."""
    place = 0
    while place < len(ids):
        if ids[place] >= FIRST_ID:
            slot = inside.ours.current.served._attached.slots.slot(ids[place])
            if ids[place : place + len(slot.ids)] != list(slot.ids):
                return False
            place += len(slot.ids)
        else:
            place += 1
    return True


@pytest.mark.parametrize("pinned", [False, True], ids=["no pins", "pins"])
@pytest.mark.parametrize("text", TEXTS, ids=str)
def test_every_truncation_length(inside: Inside, lamp: str, text: str, pinned: bool) -> None:
    prompt = TEXTS[text]
    full = len(inside.ids(prompt))
    bos = inside.shared.tokenizer.bos_token_id
    pin = 0
    if pinned:
        pin = len(inside.save("pin", " It was"))
        inside.ours.desk.pin("everywhere", "pin")
    for length in range(1, full + pin + 2):
        ids = read_by_the_model(inside, prompt, truncation_length=length + 1, max_new_tokens=1)
        assert len(ids) <= length, length
        assert whole(inside, ids), (length, ids)
        assert ids.count(bos) == 1, (length, ids)
        assert ids[0] == bos, (length, ids)
        if pin and 2 * pin <= length:
            assert inside.ours.current.served._attached.slots.slot(ids[1]).tag.name == "pin", length
        if length >= full + pin:
            assert len(ids) == full + pin


@pytest.mark.parametrize("pinned", [False, True], ids=["no pins", "pins"])
def test_auto_max_new_tokens_is_exact(inside: Inside, lamp: str, pinned: bool) -> None:
    if pinned:
        inside.save("pin", " It was")
        inside.ours.desk.pin("everywhere", "pin")
    prompt = TEXTS["inside"]
    full = len(inside.ids(prompt))
    for length in (full - 7, full, full + 3, full + 40):
        ids = read_by_the_model(
            inside, prompt, truncation_length=length, max_new_tokens=5, auto_max_new_tokens=True, ban_eos_token=True
        )
        assert len(ids) + inside.new_tokens == length


def test_plain_text_is_cut_as_ever(inside: Inside) -> None:
    text = "Once upon a time there was a miller"
    for length in range(1, 9):
        ids = read_by_the_model(inside, text, truncation_length=length + 1, max_new_tokens=1)
        assert ids == inside.ids(text)[-length:]


MESSAGE = "<<sp:lamp>>Go to the mill<<sp:lamp>> and ask<<sp:lamp:0.5>>"


@pytest.mark.parametrize("pinned", [False, True], ids=["no pins", "pins"])
@pytest.mark.parametrize("mode", ["chat", "instruct"])
@pytest.mark.parametrize("own_bos", [False, True], ids=["the template", "a template with a BOS"])
def test_every_cut_of_a_message(inside: Inside, lamp: str, mode: str, own_bos: bool, pinned: bool) -> None:
    """The webui cuts a message by characters until it fits: a tag stays whole or goes."""
    changes: dict[str, Any] = {"mode": mode, "context": "", "user_bio": "", "max_new_tokens": 1}
    if own_bos:
        changes["instruction_template_str"] = (
            "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        )
        changes["chat_template_str"] = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    if pinned:
        inside.save("pin", " It was")
        inside.ours.desk.pin("everywhere", "pin")
    state = inside.state(**changes)
    full = inside.generation.get_encoded_length(inside.chat.generate_chat_prompt(MESSAGE, state))
    seen = set()
    for length in range(full + 1, 1, -1):
        state = inside.state(**changes, truncation_length=length + 1)
        try:
            prompt = inside.chat.generate_chat_prompt(MESSAGE, state)
        except ValueError:
            break  # too little even for an empty message
        message = cut(prompt)
        seen.add(message)
        rest = message.replace("<<sp:lamp>>", "").replace("<<sp:lamp:0.5>>", "")
        assert "<" not in rest and "sp:" not in rest and ">" not in rest, message
        assert MESSAGE.startswith(message.rstrip()), message
        assert inside.generation.get_encoded_length(prompt) <= length
    assert len(seen) > 5
    assert all(not 0xE000 <= ord(each) < 0xF900 for message in seen for each in message)


def cut(prompt: str) -> str:
    """What is left of MESSAGE in a chat prompt."""
    for count in range(len(MESSAGE), 0, -1):
        if MESSAGE[:count] in prompt.removeprefix("<s>"):
            return MESSAGE[:count]
    return ""


def test_a_tag_in_an_attachment_is_not_cut_either(inside: Inside, lamp: str) -> None:
    """The webui puts the text of attached files behind the message, before it cuts."""
    if not inside.real:
        pytest.skip("the stand-in attaches no files")
    history: dict[str, Any] = {"internal": [], "visible": [], "metadata": {}}
    attached = {"name": "n.txt", "type": "text/plain", "content": f"Of the sea{lamp} and of the{lamp}"}
    history["metadata"]["user_0"] = {"attachments": [attached]}
    changes: dict[str, Any] = {"mode": "chat", "context": "", "user_bio": "", "max_new_tokens": 1, "history": history}
    full = inside.generation.get_encoded_length(inside.chat.generate_chat_prompt("Go", inside.state(**changes)))
    tags = set()
    for length in range(full + 1, full - 40, -1):
        prompt = inside.chat.generate_chat_prompt("Go", inside.state(**changes, truncation_length=length + 1))
        assert "<" not in prompt.replace(lamp, ""), prompt
        tags.add(prompt.count(lamp))
    assert history["metadata"]["user_0"]["attachments"] == [attached], "the history is the writer's"
    assert tags == {0, 1, 2}


def test_a_private_character_elsewhere_is_left_alone(inside: Inside, lamp: str) -> None:
    state = inside.state(context="A card with an icon \ue000.", mode="chat")
    prompt = inside.chat.generate_chat_prompt(f"hello {lamp}", state)
    assert prompt.count(lamp) == 1 and "icon \ue000." in prompt


@pytest.mark.parametrize("where", ["context", "custom_system_message"])
def test_a_system_message_alone_is_not_cut_through_a_tag(inside: Inside, lamp: str, where: str) -> None:
    mode = "instruct" if where == "custom_system_message" else "chat"
    changes: dict[str, Any] = {"mode": mode, "user_bio": "", "max_new_tokens": 1, "context": ""}
    changes[where] = f"It is night{lamp} and the{lamp} sea is calm{lamp}"
    full = inside.generation.get_encoded_length(inside.chat.generate_chat_prompt("", inside.state(**changes)))
    for length in range(full + 1, 8, -1):
        try:
            prompt = inside.chat.generate_chat_prompt("", inside.state(**changes, truncation_length=length + 1))
        except ValueError:
            break
        assert "sp:" not in prompt.replace(lamp, ""), prompt
