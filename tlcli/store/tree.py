"""The form between records and HDF5: arrays and attributes by path.

A record becomes a `Tree` and a `Tree` a record (dataset.py, checkpoint.py, embeddings.py, results.py); only
writing.py and gate.py turn a tree into bytes and back.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.errors import TlcliError

Scalar = str | int | float

UNPRINTABLE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff]")
"""Characters that no text in a file may hold, because they would reach terminals and pages."""

LONGEST_JSON_ATTRIBUTE = 60_000
"""Bytes. Many programs cannot read an attribute of 64 KiB or more; longer JSON goes to a scalar dataset."""


@dataclass
class Tree:
    """The content of one file.

    A dataset is a numpy array (or an `ImageArray`), a `str` (scalar text) or a list of `str`.
    """

    format: str
    datasets: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, dict[str, Scalar]] = field(default_factory=dict)
    """The attributes by the path of their group or dataset; the root is the empty string."""

    def set(self, path: str, name: str, value: Scalar) -> None:
        """Set one attribute."""
        self.attributes.setdefault(path, {})[name] = value

    def set_json(self, path: str, name: str, value: Any) -> None:
        """Store JSON as an attribute, or, if it is long, as a scalar dataset of that name."""
        text = to_json(value, name)
        if len(text.encode()) <= LONGEST_JSON_ATTRIBUTE:
            self.set(path, name, text)
        else:
            self.datasets[f"{path}/{name}".lstrip("/")] = text

    def get(self, path: str, name: str) -> Any:
        """One attribute."""
        return self.attributes[path][name]

    def has(self, path: str, name: str) -> bool:
        """Whether there is this attribute, or the dataset in its place."""
        return name in self.attributes.get(path, {}) or f"{path}/{name}".lstrip("/") in self.datasets

    def get_json(self, path: str, name: str) -> Any:
        """The value that `set_json` stored."""
        text = self.attributes.get(path, {}).get(name)
        if text is None:
            text = self.datasets[f"{path}/{name}".lstrip("/")]
        return from_json(str(text), name)

    def put_ordered(self, group: str, arrays: dict[str, np.ndarray]) -> None:
        """Store arrays by path below `group`, with an attribute `position` that keeps their order."""
        for position, (name, array) in enumerate(arrays.items()):
            path = f"{group}/{name}"
            self.datasets[path] = np.asarray(array)
            self.set(path, "position", position)

    def take_ordered(self, group: str) -> dict[str, np.ndarray]:
        """The arrays that `put_ordered` stored, in their order."""
        found = self.below(group)
        return dict(sorted(found.items(), key=lambda item: self.get(f"{group}/{item[0]}", "position")))

    def below(self, group: str) -> dict[str, Any]:
        """The datasets below a group, by their path from it."""
        prefix = group + "/"
        return {path[len(prefix) :]: data for path, data in self.datasets.items() if path.startswith(prefix)}


def to_json(value: Any, name: str = "value") -> str:
    """Canonical JSON: sorted keys, no white space, numpy numbers as numbers.

    Raises TlcliError for values that JSON cannot hold.
    """
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise TlcliError(f"{name} cannot be stored as JSON: {error}.") from error
    if UNPRINTABLE.search(text):
        raise TlcliError(f"{name} cannot be stored as JSON: it holds control characters.")
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"it holds a {type(value).__name__}")


def from_json(text: str, name: str = "value") -> Any:
    """Strict JSON: finite numbers, printable texts, no name twice in one object. Raises TlcliError."""
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite, object_pairs_hook=_unique)
        printable = _is_printable(value)
    except (ValueError, RecursionError) as error:
        raise TlcliError(f"{name} is not valid JSON.") from error
    if not printable:
        raise TlcliError(f"{name} holds control characters; expected printable text.")
    return value


def _is_printable(value: Any) -> bool:
    if isinstance(value, str):
        return not UNPRINTABLE.search(value)
    if isinstance(value, dict):
        return all(_is_printable(name) and _is_printable(inner) for name, inner in value.items())
    return not isinstance(value, list) or all(map(_is_printable, value))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that is there twice: readers differ in which value they take."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not finite")
    return number


def printable(text: str) -> str:
    """The text with escapes for characters that no file may hold: file names may be any bytes."""
    return UNPRINTABLE.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def base_name(path: str | Path) -> str:
    """The name of a file in provenance: without folder, `stdin` for a pipe."""
    return "stdin" if str(path) == "-" else printable(Path(path).name)
