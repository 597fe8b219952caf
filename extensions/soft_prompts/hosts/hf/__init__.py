"""`with attach(model, tokenizer, library): ...` - any causal language model of Transformers understands tags.

The rooms: `view` reads a model, `injection` puts vectors into it, `generation` keeps placeholder ids away from
samplers, `tokenizer` reads and writes tags, `selftest` makes sure that all of this holds for the model at hand.
"""

from .attach import Attachment, attach, from_pretrained, text_prompt
from .view import origin_of

__all__ = ["Attachment", "attach", "from_pretrained", "origin_of", "text_prompt"]
