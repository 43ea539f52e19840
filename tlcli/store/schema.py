"""The schema of the four formats, version 2: the one definition of their content.

Reading and writing both check against it, and the tables of README.md are printed from it
(`python -m tlcli.store.documentation`).
"""

from __future__ import annotations

from tlcli.store.elements import Array, Attribute
from tlcli.store.schema_parts import (
    NOTED,
    class_arrays,
    embedding_part,
    history_arrays,
    image_part,
    make_format,
    part_arrays,
)
from tlcli.store.schema_results import RESULTS

DATASET = make_format(
    "tlcli-dataset",
    "dataset",
    "tlcli split",
    "Images of some classes, in parts, with labels renumbered 0...n-1.",
    (
        *part_arrays("train", "always", image_part("train", "always")),
        *part_arrays("validation", "with its group", image_part("validation", "with its group")),
        *part_arrays("test", "always", image_part("test", "always")),
        *class_arrays(),
    ),
    (
        Attribute("/", "source", "string", "The published set."),
        Attribute(
            "/", "options", "json object", "The options of `split`: classes, proportion, size, seed, ..."
        ),
    ),
)

CHECKPOINT = make_format(
    "tlcli-checkpoint",
    "checkpoint",
    "tlcli train-base",
    "A trained network: the name and options of its architecture, and its arrays, without code. "
    "A checkpoint without classes has no head (the last, classifying layer).",
    (
        Array(
            "weights/*/*",
            "number",
            None,
            "`weights/<layer>/<variable>`; floats, and whole numbers where a layer counts. "
            "The attribute `position` keeps the network's order.",
            ordered=True,
        ),
        Array(
            "preprocessing/mean",
            "float32",
            ("C",),
            "Subtracted from pixel values scaled to 0...1, per channel in the order of `channel_order`.",
            values="finite",
        ),
        Array("preprocessing/std", "float32", ("C",), "Then divided by, per channel.", values="positive"),
        *class_arrays("with its group"),
        Array(
            "train/source_index",
            "int64",
            ("N",),
            "The position of each training image in the published set.",
            "no",
            values="index",
        ),
        *history_arrays("", 1),
        NOTED,
        Array(
            "test/predictions",
            "int64",
            ("N",),
            "The predicted class of each image of the test part of its dataset.",
            "no",
            values="index",
        ),
        Array(
            "state/**",
            "number",
            None,
            "The state that an interrupted training needs to go on.",
            "no",
            packed=False,
            ordered=True,
        ),
    ),
    (
        Attribute("/", "architecture", "string", "The registered name of the architecture."),
        Attribute("/", "options", "json object", "The architecture's options."),
        Attribute(
            "/", "plugin", "string", "The file or package that registered the architecture; empty: tlcli."
        ),
        Attribute("/", "plugin_sha256", "string", "Its digest; empty for tlcli's own."),
        Attribute("/", "input_shape", "json list", "Height, width, channels."),
        Attribute("/", "channel_order", "string", "`rgb`, or `bgr`: channels are reversed first."),
        Attribute("/", "source", "string", "The published set of its training images; empty if unknown."),
        Attribute("/", "recipe", "json object", "Every value of the training's recipe."),
        Attribute("/", "seed", "int", "The seed of the training."),
        Attribute("/", "samples_seen", "int", "Training samples seen."),
        Attribute("/", "complete", "int", "1; 0 for a training that was interrupted and can be resumed."),
    ),
)

EMBEDDINGS = make_format(
    "tlcli-embeddings",
    "embeddings",
    "tlcli embed",
    "The activations of one layer for every image of a dataset.",
    (
        *part_arrays("train", "always", embedding_part("train", "always")),
        *part_arrays("validation", "with its group", embedding_part("validation", "with its group")),
        *part_arrays("test", "always", embedding_part("test", "always")),
        *class_arrays(),
        NOTED,
    ),
    (
        Attribute("/", "layer", "string", "The layer's name, or `all`."),
        Attribute("/", "mirrored", "int", "1: each vector is the mean of an image's and its mirror image's."),
        Attribute("/", "source", "string", "The published set; empty if unknown."),
    ),
)

FORMATS = {f.name: f for f in (DATASET, CHECKPOINT, EMBEDDINGS, RESULTS)}
