"""The schema of the four formats: the one place that says what a file holds.

Reading and writing both check against it, and the tables of README.md are printed from it
(`python -m tlcli.store.documentation`).
"""

from __future__ import annotations

from dataclasses import dataclass

VERSION = 1
PARTS = ("train", "validation", "test")
LONGEST_NAME = 1000
"""Characters of a class name."""

NUMBERS = (
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "float32",
    "float64",
)
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
    required: `always`, `with its group` (where anything else of the part or target is), `no`.
    packed: compressed with gzip where that saves space.
    ordered: carries an attribute `position`, so that its order among its kind is kept.
    """

    path: str
    dtype: str
    shape: tuple[str, ...] | None
    meaning: str
    required: str = "always"
    values: str = ""
    scope: int = 1
    packed: bool = True
    ordered: bool = False

    @property
    def dtypes(self) -> tuple[str, ...]:
        return {"number": NUMBERS, "float": FLOATS}.get(self.dtype, (self.dtype,))


@dataclass(frozen=True)
class Attribute:
    """A rule for an attribute of the root (`/`) or a group. Types: string, int, json object, json list."""

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
    attributes: tuple[Attribute, ...]


COMMON_ATTRIBUTES = (
    Attribute("/", "format", "string", "The kind of file."),
    Attribute("/", "format_version", "int", "1."),
    Attribute("/", "generated_by", "string", "The program and its version."),
    Attribute(
        "/",
        "command",
        "string",
        "The arguments it was made with, without machine paths and without "
        "the options that do not change the content.",
    ),
    Attribute("/", "parents", "json list", "Name, format and content digest of each input."),
    Attribute("/", "content_sha256", "string", "The digest of the content."),
    Attribute(
        "/", "provenance_sha256", "string", "The digest of `generated_by`, `command`, `parents`, `ancestry`."
    ),
)
COMMON_ARRAYS = (
    Array(
        "ancestry",
        "string",
        (),
        "JSON list of every file up the chain of inputs, nearest first: name, "
        "format, content digest, command, generated_by, parents (their digests).",
        values="json",
        packed=False,
    ),
)


def _classes(prefix: str = "", scope: int = 1) -> tuple[Array, ...]:
    return (
        Array(
            f"{prefix}classes/names", "string", ("n",), "The name of each class.", values="names", scope=scope
        ),
        Array(
            f"{prefix}classes/original",
            "int64",
            ("n",),
            "The number of each class in the published set.",
            values="index",
            scope=scope,
        ),
    )


def _part(name: str, required: str, *first: Array) -> tuple[Array, ...]:
    return (
        *first,
        Array(
            f"{name}/labels", "int64", ("N",), "The class of each image, 0...n-1.", required, values="index"
        ),
        Array(
            f"{name}/source_index",
            "int64",
            ("N",),
            "The position of each image in the part of the published set it comes from.",
            required,
            values="index",
        ),
    )


def _images(name: str, required: str) -> Array:
    return Array(f"{name}/images", "uint8", ("N", "H", "W", "C"), "Pixel values 0...255.", required)


def _embeddings(name: str, required: str) -> Array:
    return Array(
        f"{name}/embeddings",
        "float32",
        ("N", "D"),
        "The activations of the layer.",
        required,
        values="finite",
        packed=False,
    )


_HISTORY = (
    ("samples_seen", "int64", "index", "Training samples seen so far."),
    ("*_loss", "float64", "", "`train_loss`, `test_loss`: mean cross-entropy, in nats."),
    ("*_accuracy", "float64", "share", "`train_accuracy`, `test_accuracy`: share classified right, 0...1."),
    ("*", "number", "", "Any other quantity of the same steps."),
)


def _history(prefix: str, scope: int) -> tuple[Array, ...]:
    return tuple(
        Array(f"{prefix}history/{name}", dtype, ("T",), meaning, "no", values=values, scope=scope)
        for name, dtype, values, meaning in _HISTORY
    )


DATASET = Format(
    "tlcli-dataset",
    "dataset",
    "tlcli split",
    "Images of some classes, in parts, with labels renumbered 0...n-1.",
    (
        *_part("train", "always", _images("train", "always")),
        *_part("validation", "with its group", _images("validation", "with its group")),
        *_part("test", "always", _images("test", "always")),
        *_classes(),
    ),
    (
        Attribute("/", "source", "string", "The published set."),
        Attribute("/", "options", "json object", "How it was cut: classes, proportion, size, seed, ..."),
    ),
)

CHECKPOINT = Format(
    "tlcli-checkpoint",
    "checkpoint",
    "tlcli train-base",
    "A trained network: the name and options of its architecture, and its arrays. Never code.",
    (
        Array(
            "weights/*/*",
            "float",
            None,
            "`weights/<layer>/<variable>`; the attribute `position` keeps the network's order.",
            ordered=True,
        ),
        Array(
            "preprocessing/mean",
            "float32",
            ("C",),
            "Subtracted from pixel values scaled to 0...1, per channel.",
            values="finite",
        ),
        Array("preprocessing/std", "float32", ("C",), "Then divided by, per channel.", values="positive"),
        *_classes(),
        *_history("", 1),
        Array(
            "test/predictions",
            "int64",
            ("N",),
            "The class given to each image of the test part it was trained beside.",
            "no",
            values="index",
        ),
        Array(
            "optimizer/**",
            "number",
            None,
            "The optimizer's variables; in an incomplete checkpoint.",
            "no",
            packed=False,
            ordered=True,
        ),
        Array(
            "state/**", "number", None, "The random state, for resuming.", "no", packed=False, ordered=True
        ),
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
    "tlcli-embeddings",
    "embeddings",
    "tlcli embed",
    "The activations of one layer for every image of a dataset.",
    (
        *_part("train", "always", _embeddings("train", "always")),
        *_part("validation", "with its group", _embeddings("validation", "with its group")),
        *_part("test", "always", _embeddings("test", "always")),
        *_classes(),
    ),
    (Attribute("/", "layer", "string", "Its name, or `all`; `, mirrored` for means with mirror images."),),
)

RESULTS = Format(
    "tlcli-results",
    "results",
    "tlcli transfer` or `tlcli knn",
    "The runs of one grid: datasets x methods x repetitions.",
    (
        *_history("runs/*/", 2),
        Array(
            "runs/*/curves/*",
            "number",
            ("any",),
            "What else was measured along an axis; of kNN `k`, `cv_accuracy`, `test_accuracy`.",
            "no",
        ),
        Array(
            "runs/*/test/predictions",
            "int64",
            ("N",),
            "The class given to each image of the target's test part.",
            "no",
            values="index",
            scope=2,
        ),
        Array(
            "targets/*/classes/names",
            "string",
            ("classes",),
            "The name of each class.",
            "with its group",
            values="names",
            scope=2,
        ),
        Array(
            "targets/*/test/labels",
            "int64",
            ("N",),
            "The class of each test image.",
            "with its group",
            values="index",
            scope=2,
        ),
        Array(
            "targets/*/test/source_index",
            "int64",
            ("N",),
            "Its position in the published set.",
            "with its group",
            values="index",
            scope=2,
        ),
    ),
    (
        Attribute("/", "recipe", "json object", "What all runs share."),
        Attribute("/runs/*", "position", "int", "0, 1, ...: the order of the runs."),
        Attribute("/runs/*", "method", "string", "The registered name of the method."),
        Attribute("/runs/*", "arm", "string", "The method with its options: a row of a table."),
        Attribute("/runs/*", "dataset", "string", "The name of its target."),
        Attribute("/runs/*", "size", "int", "Training images."),
        Attribute("/runs/*", "run", "int", "0, 1, ...: the repetition."),
        Attribute("/runs/*", "seed", "int", "Its seed."),
        Attribute("/runs/*", "parameters", "int", "Parameters of the network in all."),
        Attribute("/runs/*", "trainable_parameters", "int", "Those that were trained."),
        Attribute("/runs/*", "attributes", "json object", "More about the run: architecture, base, ..."),
        Attribute("/targets/*", "position", "int", "0, 1, ...: the order of the targets."),
        Attribute("/targets/*", "content_sha256", "string", "The content digest of the dataset."),
        Attribute("/targets/*", "train_size", "int", "Its training images."),
        Attribute("/targets/*", "source", "string", "The published set."),
    ),
)

FORMATS = {f.name: f for f in (DATASET, CHECKPOINT, EMBEDDINGS, RESULTS)}
