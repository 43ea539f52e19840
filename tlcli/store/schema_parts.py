"""What the schemas of several formats share."""

from __future__ import annotations

from tlcli.store.elements import Array, Attribute, Format

VERSION = 2
PARTS = ("train", "validation", "test")
LONGEST_NAME = 1000
"""The most characters of a class name."""

COMMON_ATTRIBUTES = (
    Attribute("/", "format", "string", "The kind of file."),
    Attribute("/", "format_version", "int", "2."),
    Attribute("/", "generated_by", "string", "The program and its version."),
    Attribute(
        "/",
        "command",
        "string",
        "The arguments it was made with, without machine paths and without "
        "the options that do not change the content.",
    ),
    Attribute("/", "parents", "json list", "Name, format and content digest of each input."),
    Attribute(
        "/",
        "computed_by",
        "json object",
        "What computed a network: backend, device, precision, threads; with `record_seconds` also the "
        "`seconds` of a base. Not part of the content.",
    ),
    Attribute("/", "content_sha256", "string", "The digest of the content."),
    Attribute(
        "/",
        "provenance_sha256",
        "string",
        "The digest of `generated_by`, `command`, `parents`, `ancestry`, `computed_by` and the seconds of "
        "runs.",
    ),
)
COMMON_ARRAYS = (
    Array(
        "ancestry",
        "string",
        (),
        "JSON list of every file up the chain of inputs, nearest first: name, "
        "format, content digest, command, generated_by, computed_by, parents (their digests).",
        values="json",
        packed=False,
    ),
)


def make_format(
    name: str,
    noun: str,
    command: str,
    summary: str,
    arrays: tuple[Array, ...],
    attributes: tuple[Attribute, ...],
) -> Format:
    """A format with the arrays and attributes of every file."""
    return Format(name, noun, command, summary, COMMON_ARRAYS + arrays, COMMON_ATTRIBUTES + attributes)


NOTED = Array(
    "notes",
    "string",
    ("notes",),
    "Warnings that bear on the meaning of results, as in datasets.",
    "no",
    "text",
)


def class_arrays(required: str = "always") -> tuple[Array, ...]:
    numbers = "The number of each class in the published set."
    return (
        Array("classes/names", "string", ("n",), "The name of each class.", required, values="names"),
        Array("classes/original", "int64", ("n",), numbers, required, values="index"),
    )


def part_arrays(name: str, required: str, *first: Array) -> tuple[Array, ...]:
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


def image_part(name: str, required: str) -> Array:
    return Array(f"{name}/images", "uint8", ("N", "H", "W", "C"), "Pixel values 0...255.", required)


def embedding_part(name: str, required: str) -> Array:
    return Array(
        f"{name}/embeddings",
        "float32",
        ("N", "D"),
        "The activations of the layer.",
        required,
        values="finite",
        packed=False,
    )


HISTORY = (
    ("samples_seen", "int64", "samples", "Training samples seen so far."),
    ("*_loss", "float64", "finite", "`train_loss`, `test_loss`: mean cross-entropy, in nats."),
    (
        "*_accuracy",
        "float64",
        "share",
        "`train_accuracy`, `test_accuracy`: share classified right, 0...1.",
    ),
    ("*", "number", "finite", "Any other quantity of the same steps."),
)


def history_arrays(prefix: str, scope: int) -> tuple[Array, ...]:
    return tuple(
        Array(f"{prefix}history/{name}", dtype, ("T",), meaning, "no", values=values, scope=scope)
        for name, dtype, values, meaning in HISTORY
    )


def table_columns(group: str, length: str, *columns: tuple[str, str, str, str]) -> tuple[Array, ...]:
    """The columns of a table, one dataset each: name, type, check of the values, meaning."""
    return tuple(
        Array(f"{group}/{name}", dtype, (length,), meaning, "with its group", values)
        for name, dtype, values, meaning in columns
    )
