"""The sections of `python benchmarks/training.py`, and the rivals that they measure against."""
