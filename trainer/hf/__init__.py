"""`Trainer(model=SoftPromptModel(model, tokenizer, tokens=20), ...)`: a soft prompt from a script that one has.

For the Trainer of Transformers and what is made of it, such as TRL's SFTTrainer. They see a model with one trainable
parameter, whose checkpoints hold the soft prompt alone, as the file that a library uses. Rows are read as everywhere
here, [head][soft prompt][text], and by the same reader: lean, and equal to our own loop.
"""

from .model import SoftPromptModel
from .rows import collate

__all__ = ["SoftPromptModel", "collate"]
