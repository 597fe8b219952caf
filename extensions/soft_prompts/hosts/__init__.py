"""One room per host: `hf` serves any causal language model of Transformers."""
