"""Kinds of files for `harnesses/fuzz.py`: good ones, how each is opened, how it is mutated."""
