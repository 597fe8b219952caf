"""soft_prompts.demo.path() is the folder of the storyteller: a tiny Llama and its tokenizer, made by this project.

    AutoModelForCausalLM.from_pretrained(soft_prompts.demo.path())

`stories` and `lore` make its texts (standard library only), `build` trained it, `measure` says what it can do.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def path() -> Path:
    """The folder with the model's files; raises FileNotFoundError where the package was installed without its data."""
    folder = Path(str(resources.files(__name__) / "storyteller"))
    if not (folder / "model.safetensors").is_file():
        raise FileNotFoundError(
            f"the storyteller is not at {folder}; build it with: python -m soft_prompts.demo.build --output {folder}"
        )
    return folder
