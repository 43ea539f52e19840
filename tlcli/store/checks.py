"""Checks of a file's outline and values against the schema, when it is written and when it is read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tlcli.errors import TlcliError
from tlcli.store.elements import FILE_WIDE, Array, Attribute, Format
from tlcli.store.gate import UnsafeError, check_name
from tlcli.store.schema_parts import LONGEST_NAME
from tlcli.store.tree import UNPRINTABLE, from_json

MOST_SAMPLES = 10**15
"""More samples than a training can see: a year at 30 million images a second."""

Outline = dict[str, tuple[str, tuple[int, ...]]]
"""The dtype and shape of every dataset, by path."""


def check_outline(
    kind: Format, outline: Outline, attributes: dict[str, dict[str, Any]], groups: Iterable[str] = ()
) -> None:
    """Check names, dtypes, shapes and attributes, before any data is read. Raises TlcliError."""
    rules = Rules(kind)
    empty = set(groups) - _groups_of(outline) - {"", *attributes}
    if empty:
        raise TlcliError(f"It holds an unknown group {min(empty)!r:.80}.")
    dimensions: dict[tuple[str, str], tuple[int, str]] = {}
    for path, (dtype, shape) in outline.items():
        rule = rules.array(path)
        _check_array(rule, path, dtype, shape)
        _check_dimensions(rule, path, shape, dimensions)
    rules.check_complete(outline, attributes)
    rules.check_attributes(outline, attributes)


def check_names(paths: Iterable[str]) -> None:
    """Refuse paths with names that the gate would refuse when they are read. Raises TlcliError."""
    for name in {name for path in paths if path for name in path.split("/")}:
        try:
            check_name(name.encode("utf-8", "surrogatepass"))
        except UnsafeError as error:
            raise TlcliError(f"{error}; give it another name.") from error


def _check_array(rule: Array, path: str, dtype: str, shape: tuple[int, ...]) -> None:
    if dtype not in rule.dtypes:
        raise TlcliError(f"{path} holds {dtype} values; expected {_or(rule.dtypes)}.")
    if rule.shape is not None and len(shape) != len(rule.shape):
        raise TlcliError(f"{path} has the shape {shape}; expected {_shape_text(rule.shape)}.")


def _check_dimensions(
    rule: Array, path: str, shape: tuple[int, ...], known: dict[tuple[str, str], tuple[int, str]]
) -> None:
    """Check that dimensions of one name have one length, within the rule's scope or the whole file."""
    for name, length in zip(rule.shape or (), shape, strict=True) if rule.shape else ():
        if length < 1:
            raise TlcliError(f"{path} has the shape {shape}; expected at least one entry along every axis.")
        if name == "any":
            continue
        scope = "" if name in FILE_WIDE else "/".join(path.split("/")[: rule.scope])
        first, where = known.setdefault((scope, name), (length, path))
        if length != first:
            raise TlcliError(f"{path} has the shape {shape}; expected {name} = {first}, as in {where}.")


class Rules:
    """The rules of one format, ready to be looked up."""

    def __init__(self, kind: Format) -> None:
        self.kind = kind
        self._arrays = [(_pattern(rule.path), rule) for rule in kind.arrays]
        self._groups: dict[str, dict[str, Attribute]] = {}
        for attribute in kind.attributes:
            self._groups.setdefault(attribute.path.lstrip("/"), {})[attribute.name] = attribute
            if attribute.type.startswith("json"):
                path = f"{attribute.path}/{attribute.name}".lstrip("/")
                long = Array(path, "string", (), attribute.meaning, "no", values="json")
                self._arrays.append((_pattern(path), long))
        self._group_patterns = [(_pattern(path), rules) for path, rules in self._groups.items()]

    def array(self, path: str) -> Array:
        for pattern, rule in self._arrays:
            if pattern.fullmatch(path):
                return rule
        raise TlcliError(f"It holds an unknown dataset {path!r:.80}.")

    def check_complete(self, outline: Outline, attributes: Iterable[str]) -> None:
        """Check that no required array is missing, in any part or target that is there."""
        for pattern, rule in self._arrays:
            if rule.required == "always" and not any(pattern.fullmatch(path) for path in outline):
                raise TlcliError(f"{rule.path} is missing.")
        paths = {*outline, *attributes}
        for _, rule in self._arrays:
            if rule.required == "with its group":
                _check_whole(rule, paths)

    def check_attributes(self, outline: Outline, attributes: dict[str, dict[str, Any]]) -> None:
        """Check that every attribute is known and has its type, and that none is missing."""
        for path in {"", *attributes, *outline, *_groups_of(outline)}:
            found = attributes.get(path, {})
            expected = self._expected_attributes(path, outline)
            for name, value in found.items():
                if name not in expected:
                    raise TlcliError(f"{path or 'The file'} has an unknown attribute {name!r:.80}.")
                _check_type(expected[name], path, value)
            for name, rule in expected.items():
                long = rule.type.startswith("json") and f"{path}/{name}".lstrip("/") in outline
                if name not in found and not long:
                    raise TlcliError(f"{path or 'The file'} lacks the attribute {name!r}.")

    def _expected_attributes(self, path: str, outline: Outline) -> dict[str, Attribute]:
        if path in outline:
            ordered = self.array(path).ordered
            return {"position": Attribute(path, "position", "int", "")} if ordered else {}
        for pattern, rules in self._group_patterns:
            if pattern.fullmatch(path):
                return rules
        return {}


def _check_whole(rule: Array, paths: set[str]) -> None:
    """Check that every group that matches the leading names of the rule's path has the array."""
    head, rest = (rule.path.split("/")[: rule.scope], rule.path.split("/")[rule.scope :])
    pattern = _pattern("/".join(head))
    for group in {"/".join(path.split("/")[: rule.scope]) for path in paths}:
        if pattern.fullmatch(group) and "/".join((group, *rest)) not in paths:
            raise TlcliError(f"{'/'.join((group, *rest))} is missing.")


def _check_type(rule: Attribute, path: str, value: Any) -> None:
    if type(value) is not (int if rule.type == "int" else str):
        found = {int: "whole number", float: "number", str: "text"}[type(value)]
        raise TlcliError(
            f"The attribute {rule.name!r} of {path or 'the file'} is a {found}; expected {rule.type}."
        )
    if isinstance(value, str) and UNPRINTABLE.search(value):
        raise TlcliError(
            f"The attribute {rule.name!r} of {path or 'the file'} holds control characters; "
            "expected printable text."
        )
    if rule.type.startswith("json"):
        _check_json(rule, path, value)


def _check_json(rule: Attribute, path: str, text: Any) -> None:
    expected = dict if rule.type == "json object" else list
    if not isinstance(from_json(text, rule.name), expected):
        raise TlcliError(
            f"The attribute {rule.name!r} of {path or 'the file'} has another type; expected {rule.type}."
        )


def check_values(kind: Format, datasets: dict[str, Any]) -> None:
    """Check the values of data in memory; lazy images pass. Raises TlcliError."""
    rules = Rules(kind)
    for path, data in datasets.items():
        rule = rules.array(path)
        if rule.values:
            _CHECKS[rule.values](path, data)


def _finite(path: str, data: np.ndarray) -> None:
    rows = max(1, 2**22 // max(1, data[:1].size))
    for start in range(0, len(data), rows):
        if not np.isfinite(data[start : start + rows]).all():
            raise TlcliError(f"{path} holds NaN or infinite values; expected finite numbers.")


def _positive(path: str, data: np.ndarray) -> None:
    _finite(path, data)
    if (data <= 0).any():
        raise TlcliError(f"{path} holds {data.min():g}; expected numbers above 0.")


def _index(path: str, data: np.ndarray) -> None:
    if data.size and data.min() < 0:
        raise TlcliError(f"{path} holds {data.min()}; expected 0 or more.")


def _count(path: str, data: np.ndarray) -> None:
    if data.size and (data.min() < -1 or data.max() > MOST_SAMPLES):
        wrong = data.min() if data.min() < -1 else data.max()
        raise TlcliError(f"{path} holds {wrong}; expected 0 to {MOST_SAMPLES:,}, or -1 for unknown.")


def _samples(path: str, data: np.ndarray) -> None:
    _index(path, data)
    if data.max() > MOST_SAMPLES or (data[1:] < data[:-1]).any():
        raise TlcliError(f"{path} holds numbers that fall, or above {MOST_SAMPLES:,}; expected rising ones.")


def _share(path: str, data: np.ndarray) -> None:
    _finite(path, data)
    _share_or_nan(path, data)


def _finite_or_nan(path: str, data: np.ndarray) -> None:
    if np.isinf(data).any():
        raise TlcliError(f"{path} holds infinite values; expected finite numbers, or NaN for unknown.")


def _share_or_nan(path: str, data: np.ndarray) -> None:
    if ((data < 0) | (data > 1)).any():
        raise TlcliError(f"{path} holds values outside 0...1.")


def _check_measured(path: str, data: np.ndarray) -> None:
    if np.isinf(data).any() or np.isnan(data[-1:]).any():
        raise TlcliError(
            f"{path} is infinite, or ends in NaN; expected finite numbers, and NaN between them."
        )


def _check_measured_share(path: str, data: np.ndarray) -> None:
    _check_measured(path, data)
    _share_or_nan(path, data)


def _text(path: str, data: list[str]) -> None:
    for text in data:
        if UNPRINTABLE.search(text):
            raise TlcliError(f"{path} holds {text!r:.60}; expected printable text.")


def _objects(path: str, data: list[str]) -> None:
    for text in set(data):
        if not isinstance(from_json(text, path), dict):
            raise TlcliError(f"{path} holds {text!r:.60}; expected a JSON object in each row.")


def _names(path: str, data: list[str]) -> None:
    for name in data:
        if not name or len(name) > LONGEST_NAME or UNPRINTABLE.search(name):
            raise TlcliError(
                f"{path} holds {name!r:.60}; expected printable names of 1...{LONGEST_NAME} characters."
            )
    if len(set(data)) < len(data):
        twice = Counter(data).most_common(1)[0][0]
        raise TlcliError(f"{path} holds {twice!r:.60} more than once; expected unique names.")


def _json(path: str, data: str) -> None:
    from_json(data, path)


_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "finite": _finite,
    "finite?": _finite_or_nan,
    "positive": _positive,
    "index": _index,
    "count": _count,
    "samples": _samples,
    "share": _share,
    "share?": _share_or_nan,
    "measured": _check_measured,
    "measured share": _check_measured_share,
    "text": _text,
    "objects": _objects,
    "names": _names,
    "json": _json,
}


def _pattern(path: str) -> re.Pattern[str]:
    text = re.escape(path).replace(r"\*\*", ".+").replace(r"\*", "[^/]+")
    return re.compile(text, re.DOTALL)


def _groups_of(outline: Outline) -> set[str]:
    """Every group on the way to a dataset."""
    groups: set[str] = set()
    for path in outline:
        while "/" in path:
            path = path.rsplit("/", 1)[0]
            if path in groups:
                break
            groups.add(path)
    return groups


def _or(values: Iterable[str]) -> str:
    return " or ".join(values) if len(tuple(values)) < 4 else "numbers"


def _shape_text(shape: tuple[str, ...]) -> str:
    return f"{len(shape)} dimensions ({', '.join(shape)})" if shape else "a scalar"
