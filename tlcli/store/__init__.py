"""The files: what they hold (records), their schema, atomic writing and safe reading."""

from tlcli.store.atomic import atomic_file, check_output, make_folder
from tlcli.store.atomic_folder import check_folder, write_folder
from tlcli.store.describing import Entry, FileDescription, describe
from tlcli.store.reading import file_format, read, read_any
from tlcli.store.records import (
    Ancestor,
    Checkpoint,
    Dataset,
    EmbeddingPart,
    Embeddings,
    ImageArray,
    Neighbours,
    Parent,
    Part,
    Provenance,
    Record,
    Results,
    Run,
    Target,
    common_parents,
)
from tlcli.store.verifying import ParentCheck, VerifyReport, verify
from tlcli.store.writing import write

__all__ = [
    "Ancestor",
    "Checkpoint",
    "Dataset",
    "EmbeddingPart",
    "Embeddings",
    "Entry",
    "FileDescription",
    "ImageArray",
    "Neighbours",
    "Parent",
    "ParentCheck",
    "Part",
    "Provenance",
    "Record",
    "Results",
    "Run",
    "Target",
    "VerifyReport",
    "atomic_file",
    "check_folder",
    "check_output",
    "common_parents",
    "describe",
    "file_format",
    "make_folder",
    "read",
    "read_any",
    "verify",
    "write",
    "write_folder",
]
