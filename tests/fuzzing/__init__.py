"""Kinds of files for `harness_fuzz.py`: good ones, how each is opened, how it is mutated."""
