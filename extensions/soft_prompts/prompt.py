"""`SoftPrompt(name="noir", vectors=array)` and `noir + "The sky"`: the artifact, and a text that carries it."""

from __future__ import annotations

import hashlib
import html
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .container import pack, write_atomically
from .errors import AmbiguousPrompt, InvalidFile, InvalidPrompt, InvalidTag
from .tags import LARGEST_STRENGTH, name_problem, suggest_name, tag_for

FORMAT = "soft-prompt"
VERSION = "1"
MOST_TOKENS = 16_384
WIDEST = 131_072


@dataclass(frozen=True, eq=False, repr=False)
class SoftPrompt:
    """`SoftPrompt(name="noir", vectors=array)`: N vectors that stand where N tokens would.

    name: what the tag `<<sp:name>>` says. vectors: (tokens, width), in the space of the embedding module's output,
    kept as a read-only float32 copy. origin: (tokens, width), what strength 0 means; without it a host takes the
    mean of the model's token embeddings. metadata: str -> str, read-only; docs/format.md names its keys.

    Frozen data: no device, no model, no path. Two are equal when vectors and origin are. Raises InvalidPrompt.
    """

    name: str
    vectors: NDArray[np.float32]
    origin: NDArray[np.float32] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name)
        vectors = _matrix(self.vectors, "vectors", self.name)
        origin = None if self.origin is None else _matrix(self.origin, "origin", self.name)
        if origin is not None and origin.shape != vectors.shape:
            raise InvalidPrompt(f"soft prompt '{self.name}': the origin is {origin.shape}, the vectors {vectors.shape}")
        texts = [each for pair in self.metadata.items() for each in pair]
        if not all(isinstance(each, str) and each == each.encode("utf-8", "ignore").decode() for each in texts):
            raise InvalidPrompt(f"soft prompt '{self.name}': metadata is str -> str; write numbers as text")
        object.__setattr__(self, "vectors", vectors)
        object.__setattr__(self, "origin", origin)
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))

    @classmethod
    def from_text(cls, text: str, model: Any, tokenizer: Any, name: str) -> SoftPrompt:
        """`SoftPrompt.from_text("A cyberpunk novel.", model, tokenizer, name="noir")`: the text's own embeddings.

        It behaves as the text does where it stands after other text (a leading space means a new word), and is the
        usual start of a training. Needs torch and transformers; the model is not changed.
        """
        from .hosts.hf import text_prompt

        return text_prompt(text, model, tokenizer, name)

    @classmethod
    def from_embeddings(
        cls, embeddings: Any, name: str, metadata: Mapping[str, str] | None = None, *, model: Any = None,
        tokenizer: Any = None,
    ) -> SoftPrompt:  # fmt: skip
        """`SoftPrompt.from_embeddings(tensor, name="noir")`: vectors that another program made.

        embeddings: (tokens, width) or (1, tokens, width), an array or a tensor of any type on any device, in the space
        of the embedding module's output. Copied, and cut off from its gradient. model, tokenizer: what they are made
        for, so that the prompt says so, and others are told where it does not fit. Raises InvalidPrompt.
        """
        if hasattr(embeddings, "detach"):  # a tensor, for which this module needs no torch
            embeddings = embeddings.detach().float().cpu().numpy()
        if getattr(embeddings, "ndim", 0) == 3 and len(embeddings) == 1:
            embeddings = embeddings[0]
        made_for: dict[str, str] = {}
        if model is not None:
            from .hosts.hf import origin_of

            made_for = origin_of(model, tokenizer)
        return cls(name, embeddings, metadata={**made_for, **(metadata or {})})

    @classmethod
    def from_file(cls, path: str | Path) -> SoftPrompt:
        """`SoftPrompt.from_file("noir.json")`: the soft prompt in a file of any known kind; as `soft_prompts.load`."""
        from .formats import load

        return load(path)

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "") -> SoftPrompt:
        """`SoftPrompt.from_bytes(data, name="noir")`: as `from_file`, of the bytes that such a file holds.

        name: by default the one that the file says of itself. Nothing in it is run. Raises InvalidFile.
        """
        from .formats import from_bytes

        return from_bytes(data, name)

    @classmethod
    def from_json(cls, text: str, name: str = "") -> SoftPrompt:
        """`SoftPrompt.from_json(text)`: the soft prompt in mkultra's JSON, which may stand in other JSON.

        name: by default the one that it says of itself. Its pickle is not run. Raises InvalidFile.
        """
        if text.lstrip()[:1] not in ("{", "[", '"'):
            raise InvalidFile(f"{text[:40]!r} is no JSON: for the name of a file there is SoftPrompt.from_file(path)")
        return cls.from_bytes(text.encode("utf-8", "replace"), name)

    @cached_property
    def digest(self) -> str:
        """Hexadecimal name of the content: the vectors and the origin, not the name and the metadata."""
        content = hashlib.sha256(repr(self.vectors.shape).encode())
        content.update(self.vectors.tobytes())
        if self.origin is not None:
            content.update(self.origin.tobytes())
        return content.hexdigest()

    @property
    def uuid(self) -> str:
        """The one that came with it; else one of its content, so that the same vectors have the same everywhere."""
        return self.metadata.get("uuid") or str(uuid.uuid5(uuid.NAMESPACE_OID, self.digest))

    @property
    def about(self) -> str:
        """`print(noir.about)`: name, date, length, uuid, model and description, in lines. `print(noir)` is its tag."""
        date = self.metadata.get("created", "")[:16].replace("T", " ")
        rows = {
            "Length": f"{len(self)} tokens, {self.width} wide",
            "UUID": self.uuid,
            "Made for": self.metadata.get("base_model", "") or "not said",
            "Description": self.metadata.get("description", "") or "none",
        }
        lines = [f"{key + ':':<13}{value}" for key, value in rows.items()]
        return "\n".join([f"{self.name} ({date})" if date else self.name, *lines])

    @property
    def width(self) -> int:
        """How wide each vector is: the width of the embedding module's output."""
        return int(self.vectors.shape[1])

    def at(self, strength: float) -> TaggedText:
        """`noir.at(0.7) + "The sky"`: the tag with a strength of -4 to 4, in steps of 0.01."""
        if not abs(strength) <= LARGEST_STRENGTH:
            raise InvalidTag(f"'{self.name}' at {strength}: a strength lies between -4 and 4")
        return TaggedText(str(tag_for(self.name, strength)), [self])

    def save(self, path: str | Path) -> None:
        """`noir.save("soft_prompts/noir.safetensors")` writes the native file, whole or not at all.

        Raises InvalidFile, and InvalidPrompt when `path` ends in another kind's name.
        """
        path = Path(path)
        if path.suffix != ".safetensors":
            raise InvalidPrompt(f"{path.name}: the native file ends in .safetensors; save to '{path.stem}.safetensors'")
        write_atomically(path, pack(*self.parts()))

    def to_file(self, path: str | Path) -> None:
        """`noir.to_file("noir.json")` writes it as other tools read it, whole or not at all; what is there is replaced.

        By the ending of `path`: `.safetensors` (ours), `.json` (mkultra), `.zip` (KoboldAI), `.npy`; none for a folder
        of PEFT's. Raises InvalidFile. What gets lost in which kind: docs/format.md.
        """
        from .converting import convert

        convert(self, Path(path), over=True)

    def to_json(self) -> str:
        """`noir.to_json()`: one line of mkultra's JSON, which may be a text in other JSON; `from_json` reads it."""
        from .formats import write_as

        (data,) = write_as("mkultra", self).values()
        return data.decode()

    def parts(self, dtype: str = "float32") -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
        """(tensors, metadata) of the native file; dtype is "float32" or "float16"."""
        tensors: dict[str, NDArray[Any]] = {"vectors": self.vectors.astype(dtype)}
        if self.origin is not None:
            tensors["origin"] = self.origin.astype(dtype)
        own = {"format": FORMAT, "format_version": VERSION, "name": self.name}
        return tensors, {**self.metadata, **own, "tokens": str(len(self)), "width": str(self.width)}

    def __len__(self) -> int:
        return int(self.vectors.shape[0])

    def __str__(self) -> str:
        return str(tag_for(self.name))

    def __repr__(self) -> str:
        return f"SoftPrompt({self.name!r}, {len(self)} tokens, {self.width} wide)"

    def _repr_html_(self) -> str:
        # Notebooks show it. Its words may come from a stranger's file.
        return f"<pre>{html.escape(self.about)}</pre>"

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, SoftPrompt) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __add__(self, other: str | SoftPrompt) -> TaggedText:
        return TaggedText(str(self), [self]) + other

    def __radd__(self, other: str) -> TaggedText:
        return TaggedText(other) + self if isinstance(other, str) else NotImplemented

    def __reduce__(self) -> tuple[Any, ...]:
        # A MappingProxyType cannot be pickled or copied; the constructor makes a new one.
        return type(self), (self.name, self.vectors, self.origin, dict(self.metadata))


@dataclass(frozen=True)
class TextPrompt:
    """`TextPrompt("emma", "Emma is tall.")`: an untrained prompt, which is its own tokens on any model.

    What a `.txt` in a library is. Without a library it is given by name, `attach(..., prompts=[emma])`, and a text says
    `f"{emma}The door"`.
    """

    name: str
    text: str

    def __post_init__(self) -> None:
        check_name(self.name)
        if not self.text.strip():
            raise InvalidPrompt(f"text prompt '{self.name}' is empty: write a sentence into it")

    @property
    def digest(self) -> str:
        """Hexadecimal name of the content, of another kind than any soft prompt's."""
        return hashlib.sha256(b"text\0" + self.text.encode("utf-8", "surrogatepass")).hexdigest()

    def __str__(self) -> str:
        return str(tag_for(self.name))


Prompt = SoftPrompt | TextPrompt


class TaggedText(str):
    """`noir + "The sky"`: a str that carries the prompts its tags name; `.prompts` is {name: SoftPrompt}.

    `+` on either side keeps them. Everything else (slices, f-strings, str.join) gives a plain str, whose names must be
    in a library. Raises AmbiguousPrompt when one name would stand for two contents.
    """

    prompts: Mapping[str, SoftPrompt]

    def __new__(cls, text: str = "", prompts: Iterable[SoftPrompt] = ()) -> TaggedText:
        self = super().__new__(cls, text)
        self.prompts = MappingProxyType(by_name([*getattr(text, "prompts", {}).values(), *prompts]))
        return self

    def __add__(self, other: str | SoftPrompt) -> TaggedText:
        if isinstance(other, SoftPrompt):
            # "C:\\" + noir: a backslash before a tag would make it a literal.
            slashes = len(self) - len(self.rstrip("\\"))
            return TaggedText(str.__add__(self, "\\" * slashes + str(other)), [*self.prompts.values(), other])
        if not isinstance(other, str):
            return NotImplemented
        return TaggedText(str.__add__(self, other), [*self.prompts.values(), *getattr(other, "prompts", {}).values()])

    def __radd__(self, other: str) -> TaggedText:
        return TaggedText(other) + self if isinstance(other, str) else NotImplemented

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), list(self.prompts.values()))


Known = TypeVar("Known", bound="SoftPrompt | TextPrompt")


def by_name(prompts: Iterable[Known]) -> dict[str, Known]:
    """{name: prompt}; raises AmbiguousPrompt when one name comes with two contents."""
    table: dict[str, Known] = {}
    for prompt in prompts:
        if (first := table.setdefault(prompt.name, prompt)) != prompt:
            contents = " and ".join(f"{each!r}, content {each.digest[:8]}" for each in (first, prompt))
            raise AmbiguousPrompt(
                f"two different soft prompts are named '{prompt.name}' ({contents}): "
                "give one of them another name with dataclasses.replace(prompt, name=...)"
            )
    return table


def check_name(name: str) -> None:
    """Raises InvalidPrompt, with a name that would do, when `name` cannot name a soft prompt."""
    if problem := name_problem(name):
        raise InvalidPrompt(f"{name!r} cannot name a soft prompt: {problem}. Use '{suggest_name(name)}'")


def _matrix(value: ArrayLike, what: str, name: str) -> NDArray[np.float32]:
    if getattr(value, "requires_grad", False):
        raise InvalidPrompt(f"soft prompt '{name}': its {what} have a gradient: SoftPrompt.from_embeddings takes them")
    try:
        array = np.array(value, dtype=np.float32, order="C", copy=True)
    except (TypeError, ValueError) as problem:
        raise InvalidPrompt(f"soft prompt '{name}': its {what} are no table of numbers ({problem})") from None
    if array.ndim != 2:
        raise InvalidPrompt(f"soft prompt '{name}': its {what} have shape {array.shape}, not (tokens, width)")
    if not 0 < array.shape[0] <= MOST_TOKENS or not 0 < array.shape[1] <= WIDEST:
        raise InvalidPrompt(
            f"soft prompt '{name}': its {what} have shape (tokens, width) = {array.shape}; "
            f"tokens go from 1 to {MOST_TOKENS:,}, the width from 1 to {WIDEST:,}"
        )
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).any(axis=1).sum())
        raise InvalidPrompt(f"soft prompt '{name}': {bad} of its {len(array)} {what} hold NaN or infinity; retrain it")
    array.setflags(write=False)
    return array
