"""The schema of the four formats: the one place that says what a file holds.

Reading and writing both check against it, and the tables of README.md are printed from it
(`python -m tlcli.store.schema`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tlcli.errors import TlcliError
from tlcli.store.tree import from_json

VERSION = 1
PARTS = ("train", "validation", "test")
LONGEST_NAME = 1000
"""Characters of a class name."""

NUMBERS = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
           "float16", "float32", "float64")
FLOATS = ("float16", "float32", "float64")

FILE_WIDE = frozenset("HWCDn")
"""Dimensions that have one value in the whole file; the others (N, T) hold within a group."""


@dataclass(frozen=True)
class Array:
    """A rule for datasets.

    path: `*` stands for one name, `**` for one or more.
    shape: names of dimensions, equal names for equal lengths; None for any shape; () for a scalar.
    scope: how many leading names of the path a dimension's value holds within.
    values: a check of the values: `finite`, `positive`, `index` (0 or more), `share` (0...1 or NaN),
        `names` (unique, not empty), `json`.
    packed: compressed with gzip where that saves space.
    """

    path: str
    dtype: str
    shape: tuple[str, ...] | None
    meaning: str
    required: bool = True
    values: str = ""
    scope: int = 1
    packed: bool = True
    ordered: bool = False

    @property
    def dtypes(self) -> tuple[str, ...]:
        return {"number": NUMBERS, "float": FLOATS}.get(self.dtype, (self.dtype,))


@dataclass(frozen=True)
class Attribute:
    """A rule for an attribute of the root (path `/`) or of a group. Types: string, int, json object, json list."""

    path: str
    name: str
    type: str
    meaning: str


@dataclass(frozen=True)
class Format:
    """One kind of file. `command` is what writes it, `noun` what a message calls it."""

    name: str
    noun: str
    command: str
    summary: str
    arrays: tuple[Array, ...]
    attributes: tuple[Attribute, ...] = field(default=())


COMMON_ATTRIBUTES = (
    Attribute("/", "format", "string", "The kind of file."),
    Attribute("/", "format_version", "int", "1."),
    Attribute("/", "generated_by", "string", "The program and its version."),
    Attribute("/", "command", "string", "The arguments it was made with, without machine paths and without "
              "the options that do not change the content."),
    Attribute("/", "parents", "json list", "Name, format and content digest of each input."),
    Attribute("/", "content_sha256", "string", "The digest of the content."),
    Attribute("/", "provenance_sha256", "string", "The digest of `generated_by`, `command`, `parents`, "
              "`ancestry`."),
)
COMMON_ARRAYS = (
    Array("ancestry", "string", (), "JSON list of every file up the chain of inputs, nearest first: name, "
          "format, content digest, command, generated_by, parents (their digests).", values="json",
          packed=False),
)


def _classes(prefix: str = "", scope: int = 1) -> tuple[Array, ...]:
    return (
        Array(f"{prefix}classes/names", "string", ("n",), "The name of each class.", values="names",
              scope=scope),
        Array(f"{prefix}classes/original", "int64", ("n",), "The number of each class in the published set.",
              scope=scope),
    )


def _part(name: str, required: bool, *first: Array) -> tuple[Array, ...]:
    return (
        *first,
        Array(f"{name}/labels", "int64", ("N",), "The class of each image, 0...n-1.", required,
              values="index"),
        Array(f"{name}/source_index", "int64", ("N",), "The position of each image in the part of the "
              "published set it comes from.", required, values="index"),
    )


def _images(name: str, required: bool) -> Array:
    return Array(f"{name}/images", "uint8", ("N", "H", "W", "C"), "The images: pixel values 0...255.", required)


def _embeddings(name: str, required: bool) -> Array:
    return Array(f"{name}/embeddings", "float32", ("N", "D"), "The activations of the layer.", required,
                 values="finite", packed=False)


_HISTORY = (
    ("samples_seen", "int64", "index", "Training samples seen so far."),
    ("*_loss", "float64", "", "`train_loss`, `test_loss`: mean cross-entropy, in nats."),
    ("*_accuracy", "float64", "share", "`train_accuracy`, `test_accuracy`: share classified right, 0...1."),
)


def _history(prefix: str, scope: int) -> tuple[Array, ...]:
    return tuple(
        Array(f"{prefix}history/{name}", dtype, ("T",), meaning, False, values=values, scope=scope)
        for name, dtype, values, meaning in _HISTORY
    )


DATASET = Format(
    "tlcli-dataset", "dataset", "tlcli split",
    "Images of some classes, in parts, with labels renumbered 0...n-1.",
    (
        *_part("train", True, _images("train", True)),
        *_part("validation", False, _images("validation", False)),
        *_part("test", True, _images("test", True)),
        *_classes(),
    ),
    (
        Attribute("/", "source", "string", "The published set."),
        Attribute("/", "options", "json object", "How it was cut: classes, proportion, size, seed, ..."),
    ),
)

CHECKPOINT = Format(
    "tlcli-checkpoint", "checkpoint", "tlcli train-base",
    "A trained network: the name and options of its architecture, and its arrays. Never code.",
    (
        Array("weights/*/*", "float", None, "`weights/<layer>/<variable>`; the attribute `position` keeps the "
              "network's order.", packed=False, ordered=True),
        Array("preprocessing/mean", "float32", ("C",), "Subtracted from pixel values scaled to 0...1, per "
              "channel.", values="finite"),
        Array("preprocessing/std", "float32", ("C",), "Then divided by, per channel.", values="positive"),
        *_classes(),
        *_history("", 1),
        Array("test/predictions", "int64", ("N",), "The class given to each image of the test part it was "
              "trained beside.", False, values="index"),
        Array("optimizer/**", "number", None, "The optimizer's variables; in an incomplete checkpoint.", False,
              packed=False, ordered=True),
        Array("state/**", "number", None, "The random state, for resuming.", False, packed=False,
              ordered=True),
    ),
    (
        Attribute("/", "architecture", "string", "The registered name of the architecture."),
        Attribute("/", "options", "json object", "The architecture's options."),
        Attribute("/", "input_shape", "json list", "Height, width, channels."),
        Attribute("/", "recipe", "json object", "How it was trained."),
        Attribute("/", "seed", "int", "The seed it was trained with."),
        Attribute("/", "samples_seen", "int", "Training samples seen."),
        Attribute("/", "complete", "int", "1; 0 for a training that was interrupted and can be resumed."),
    ),
)

EMBEDDINGS = Format(
    "tlcli-embeddings", "embeddings", "tlcli embed",
    "The activations of one layer for every image of a dataset.",
    (
        *_part("train", True, _embeddings("train", True)),
        *_part("validation", False, _embeddings("validation", False)),
        *_part("test", True, _embeddings("test", True)),
        *_classes(),
    ),
    (Attribute("/", "layer", "string", "The layer."),),
)

RESULTS = Format(
    "tlcli-results", "results", "tlcli transfer` or `tlcli knn",
    "The runs of one grid: datasets x methods x repetitions.",
    (
        *_history("runs/*/", 2),
        Array("runs/*/curves/*", "number", ("any",), "What else was measured along an axis; of kNN `k`, "
              "`cv_accuracy`, `test_accuracy`.", False),
        Array("runs/*/test/predictions", "int64", ("N",), "The class given to each image of the target's test "
              "part.", False, values="index", scope=2),
        Array("targets/*/classes/names", "string", ("classes",), "The name of each class.", False,
              values="names", scope=2),
        Array("targets/*/test/labels", "int64", ("N",), "The class of each test image.", False,
              values="index", scope=2),
        Array("targets/*/test/source_index", "int64", ("N",), "Its position in the published set.", False,
              values="index", scope=2),
    ),
    (
        Attribute("/", "recipe", "json object", "What all runs share."),
        Attribute("runs/*", "position", "int", "0, 1, ...: the order of the runs."),
        Attribute("runs/*", "method", "string", "The registered name of the method."),
        Attribute("runs/*", "arm", "string", "The method with its options: a row of a table."),
        Attribute("runs/*", "dataset", "string", "The name of its target."),
        Attribute("runs/*", "size", "int", "Training images."),
        Attribute("runs/*", "run", "int", "0, 1, ...: the repetition."),
        Attribute("runs/*", "seed", "int", "Its seed."),
        Attribute("runs/*", "parameters", "int", "Parameters of the network in all."),
        Attribute("runs/*", "trainable_parameters", "int", "Those that were trained."),
        Attribute("runs/*", "attributes", "json object", "More about the run: architecture, base, ..."),
        Attribute("targets/*", "position", "int", "0, 1, ...: the order of the targets."),
        Attribute("targets/*", "content_sha256", "string", "The content digest of the dataset."),
        Attribute("targets/*", "train_size", "int", "Its training images."),
        Attribute("targets/*", "source", "string", "The published set."),
    ),
)

FORMATS = {f.name: f for f in (DATASET, CHECKPOINT, EMBEDDINGS, RESULTS)}


Outline = dict[str, tuple[str, tuple[int, ...]]]
"""The dtype and shape of every dataset, by path."""


def check_outline(kind: Format, outline: Outline, attributes: dict[str, dict[str, Any]]) -> None:
    """Check names, dtypes, shapes and attributes, before any data is read. Raises TlcliError."""
    rules = Rules(kind)
    dimensions: dict[tuple[str, str], tuple[int, str]] = {}
    for path, (dtype, shape) in outline.items():
        rule = rules.array(path)
        _check_array(rule, path, dtype, shape)
        _check_dimensions(rule, path, shape, dimensions)
    rules.check_complete(outline)
    rules.check_attributes(outline, attributes)


def _check_array(rule: Array, path: str, dtype: str, shape: tuple[int, ...]) -> None:
    if dtype not in rule.dtypes:
        raise TlcliError(f"{path} holds {dtype} values; expected {_or(rule.dtypes)}.")
    if rule.shape is not None and len(shape) != len(rule.shape):
        raise TlcliError(f"{path} has the shape {shape}; expected {_shape_text(rule.shape)}.")


def _check_dimensions(
    rule: Array, path: str, shape: tuple[int, ...], known: dict[tuple[str, str], tuple[int, str]]
) -> None:
    """Equal names of dimensions mean equal lengths, within the rule's scope or the whole file."""
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
        self._arrays = [(_pattern(rule.path), rule) for rule in COMMON_ARRAYS + kind.arrays]
        self._groups: dict[str, dict[str, Attribute]] = {}
        for attribute in COMMON_ATTRIBUTES + kind.attributes:
            self._groups.setdefault(attribute.path.lstrip("/"), {})[attribute.name] = attribute
            if attribute.type.startswith("json"):
                path = f"{attribute.path}/{attribute.name}".lstrip("/")
                long = Array(path, "string", (), attribute.meaning, False, values="json")
                self._arrays.append((_pattern(path), long))
        self._group_patterns = [(_pattern(path), rules) for path, rules in self._groups.items()]

    def array(self, path: str) -> Array:
        for pattern, rule in self._arrays:
            if pattern.fullmatch(path):
                return rule
        raise TlcliError(f"it holds an unknown dataset {path!r:.80}.")

    def check_complete(self, outline: Outline) -> None:
        """Every required array is there, and every optional part is whole."""
        for pattern, rule in self._arrays:
            group = rule.path.rsplit("/", 1)[0]
            begun = "*" not in rule.path and group in PARTS and any(p.startswith(group + "/") for p in outline)
            needed = rule.required or (begun and self.kind in (DATASET, EMBEDDINGS))
            if needed and not any(pattern.fullmatch(path) for path in outline):
                raise TlcliError(f"{rule.path} is missing.")

    def check_attributes(self, outline: Outline, attributes: dict[str, dict[str, Any]]) -> None:
        """Every attribute is known and has its type, and none is missing."""
        for path in {"", *attributes, *_groups_of(outline)}:
            found = attributes.get(path, {})
            expected = self._expected(path, outline)
            for name, value in found.items():
                if name not in expected:
                    raise TlcliError(f"{path or 'the file'} has an unknown attribute {name!r:.80}.")
                _check_type(expected[name], path, value)
            for name, rule in expected.items():
                long = rule.type.startswith("json") and f"{path}/{name}".lstrip("/") in outline
                if name not in found and not long:
                    raise TlcliError(f"{path or 'the file'} lacks the attribute {name!r}.")

    def _expected(self, path: str, outline: Outline) -> dict[str, Attribute]:
        if path in outline:
            ordered = self.array(path).ordered
            return {"position": Attribute(path, "position", "int", "")} if ordered else {}
        for pattern, rules in self._group_patterns:
            if pattern.fullmatch(path):
                return rules
        return {}


def _check_type(rule: Attribute, path: str, value: Any) -> None:
    expected = int if rule.type == "int" else str
    if type(value) is not expected:
        raise TlcliError(f"the attribute {rule.name!r} of {path or 'the file'} is a {type(value).__name__}; "
                         f"expected {rule.type}.")
    if rule.type.startswith("json"):
        _check_json(rule, path, value)


def _check_json(rule: Attribute, path: str, text: str) -> None:
    expected = dict if rule.type == "json object" else list
    if not isinstance(from_json(text, rule.name), expected):
        raise TlcliError(f"the attribute {rule.name!r} of {path or 'the file'} is no {rule.type}.")


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
        if not np.isfinite(data[start:start + rows]).all():
            raise TlcliError(f"{path} holds NaN or infinite values; expected finite numbers.")


def _positive(path: str, data: np.ndarray) -> None:
    _finite(path, data)
    if (data <= 0).any():
        raise TlcliError(f"{path} holds {data.min():g}; expected numbers above 0.")


def _index(path: str, data: np.ndarray) -> None:
    if data.size and data.min() < 0:
        raise TlcliError(f"{path} holds {data.min()}; expected 0 or more.")


def _share(path: str, data: np.ndarray) -> None:
    if ((data < 0) | (data > 1)).any():
        raise TlcliError(f"{path} holds values outside 0...1.")


def _names(path: str, data: list[str]) -> None:
    for name in data:
        if not name or len(name) > LONGEST_NAME or any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
            raise TlcliError(f"{path} holds {name!r:.60}; expected printable names of 1...{LONGEST_NAME} "
                             "characters.")
    if len(set(data)) < len(data):
        twice = next(name for name in data if data.count(name) > 1)
        raise TlcliError(f"{path} holds {twice!r:.60} more than once; expected unique names.")


def _json(path: str, data: str) -> None:
    from_json(data, path)


_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "finite": _finite, "positive": _positive, "index": _index, "share": _share, "names": _names, "json": _json,
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
