"""`python -m soft_prompts.trainer finetune neuromancer.txt --name gibson`: the same words as `soft-prompts train`."""

from __future__ import annotations

import sys

from ..cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
