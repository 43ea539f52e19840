"""Digests over the content of a file, independent of how HDF5 lays it out.

The content digest is the SHA-256 of a sorted listing with one line for every dataset and attribute. The line
of a dataset has its path, dtype, shape and the SHA-256 of its little-endian bytes in C order (of the UTF-8
JSON for texts), which can be computed block by block. The listing leaves out the digests themselves,
`generated_by`, `command`, `ancestry`, `computed_by` and the seconds of runs, and has the content digests of
the parents in place of `parents`. So the same content has the same digest, whatever command, folder or
machine made it. The provenance digest covers what is left out.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import numpy as np

from tlcli.store.tree import Tree, to_json

PROVENANCE = ("generated_by", "command", "parents", "ancestry", "computed_by")
SECONDS = "runs/seconds"
DIGESTS = ("content_sha256", "provenance_sha256")

_BLOCK = 1 << 25
"""Bytes of images in memory at a time."""


class DataDigest:
    """The SHA-256 of one array, fed in blocks."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, block: np.ndarray) -> None:
        little = np.ascontiguousarray(block, block.dtype.newbyteorder("<"))
        self._hash.update(little.reshape(-1).view(np.uint8).data)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def data_digest(data: Any) -> str:
    """The SHA-256 of one dataset as a `Tree` holds it: an array, a text or a list of texts."""
    if isinstance(data, str | list):
        return hashlib.sha256(to_json(data).encode()).hexdigest()
    if known := getattr(data, "sha256", ""):
        return str(known)
    digest = DataDigest()
    if isinstance(data, np.ndarray):
        digest.update(data)
    else:  # images that stay in their file
        rows = max(1, _BLOCK // math.prod(data.shape[1:]))
        for start in range(0, len(data), rows):
            digest.update(data[start : start + rows])
    return digest.hexdigest()


def shape_of(data: Any) -> tuple[int, ...]:
    """The shape of a dataset as a `Tree` holds it."""
    if isinstance(data, str):
        return ()
    return (len(data),) if isinstance(data, list) else tuple(int(n) for n in data.shape)


def dtype_of(data: Any) -> str:
    """The dtype of a dataset as a `Tree` holds it: a numpy name or `string`."""
    return "string" if isinstance(data, str | list) else np.dtype(data.dtype).name


def content_digest(tree: Tree, data_digests: dict[str, str]) -> str:
    """The content digest of a tree, given the digest of each dataset's data."""
    lines = [
        _line("dataset", path, dtype_of(data), list(shape_of(data)), data_digests[path])
        for path, data in tree.datasets.items()
        if path not in (*PROVENANCE, SECONDS)
    ]
    for path, attributes in tree.attributes.items():
        lines += [
            _line("attribute", path, name, type(value).__name__, value)
            for name, value in attributes.items()
            if path or name not in PROVENANCE + DIGESTS
        ]
    parents = [parent["content_sha256"] for parent in tree.get_json("", "parents")]
    lines.append(_line("parents", parents))
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def provenance_digest(tree: Tree) -> str:
    """The digest of what the content digest leaves out."""
    values: list[Any] = [str(tree.get("", name)) for name in ("generated_by", "command")]
    values += [tree.get_json("", name) for name in ("parents", "ancestry")]
    if tree.has("", "computed_by"):  # not in version 1
        values.append(tree.get_json("", "computed_by"))
    if SECONDS in tree.datasets:
        values.append(data_digest(tree.datasets[SECONDS]))
    return hashlib.sha256(_line(*values).encode()).hexdigest()


def _line(*values: Any) -> str:
    return json.dumps(values, ensure_ascii=True, allow_nan=True, sort_keys=True)
