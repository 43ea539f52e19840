"""Embeddings: the activations of one layer for every image of a dataset."""

from __future__ import annotations

import keras
import numpy as np

from tlcli.errors import TlcliError, UsageError
from tlcli.models import network as net
from tlcli.models.heads import all_layers
from tlcli.models.rebuilt import require_stored_shapes
from tlcli.models.registry import NETWORKS
from tlcli.store.records import ALL, Checkpoint, Dataset, EmbeddingPart, Embeddings, Provenance
from tlcli.training.computing import describe_computing
from tlcli.training.inference import Inference, block_size
from tlcli.training.watch import ProgressCallback, Watch


def rebuild(checkpoint: Checkpoint, precision: str = "float32") -> net.Network:
    """The network of a checkpoint: built from the registry by name, with arrays assigned after a check.

    A checkpoint without classes has no head: the layer in its place must not be used.

    Args:
        precision: `float32` or `mixed`.

    Raises:
        UsageError: The plug-in of its network is missing or has another version.
        TlcliError: Weights are missing, too many, or of another shape.
    """
    NETWORKS.require(
        checkpoint.architecture,
        checkpoint.plugin,
        checkpoint.plugin_sha256,
        checkpoint.provenance.name or "the checkpoint",
    )
    with require_stored_shapes(checkpoint):
        network = net.build(
            checkpoint.architecture,
            checkpoint.input_shape,
            max(1, len(checkpoint.class_names)),
            checkpoint.options,
            precision,
        )
    wanted = set(net.variables(network.model))
    if not checkpoint.class_names:
        wanted = {key for key in wanted if not net.in_groups(network.groups[-1:], key)}
    missing = wanted - set(checkpoint.weights)
    if missing:
        raise TlcliError(f"The checkpoint lacks {sorted(missing)[0]!r}, which {network.architecture} needs.")
    net.assign(network.model, checkpoint.weights)
    return network


def trained_precision(checkpoint: Checkpoint) -> str:
    """The precision of a network's training, `float32` or `mixed`; it is evaluated in the same."""
    return "mixed" if checkpoint.recipe.get("precision") == "mixed" else "float32"


def require_shape(checkpoint: Checkpoint, dataset: Dataset) -> None:
    """Require images of the size and channels that a base was trained on.

    Raises:
        TlcliError: The dataset has others.
    """
    if tuple(checkpoint.input_shape) != dataset.image_shape:
        received, expected = ("x".join(map(str, s)) for s in (dataset.image_shape, checkpoint.input_shape))
        name = checkpoint.provenance.name or "BASE"
        raise TlcliError(
            f"The images are {received}, but the base was trained on {expected}.\n"
            f"Split the data set for this base (`like` {name}), or train a base on images of this size."
        )


def embed(
    checkpoint: Checkpoint,
    dataset: Dataset,
    layer: str | None = None,
    *,
    mirrored: bool = False,
    progress: ProgressCallback | None = None,
) -> Embeddings:
    """The activations of a layer, flattened to one vector per image, in the precision of the base's training.

    Args:
        checkpoint: The network.
        dataset: Images of the size it was trained on.
        layer: A layer's name, or `all` for the outputs of all layers below the head (`all_layers`); by
            default the layer that the head classifies.
        mirrored: Average the vectors of an image and its mirror image.
        progress: Takes a `Progress` after each part.

    Returns:
        Float32, N x D, for each part of the dataset.

    Raises:
        UsageError: The network has no layer of that name.
        TlcliError: The images have another size.
    """
    require_shape(checkpoint, dataset)
    precision = trained_precision(checkpoint)
    network = rebuild(checkpoint, precision)
    name = layer or network.embedding
    layers = network.model.layers[1:]
    names = [one.name for one in layers if checkpoint.class_names or not one.name.startswith(net.HEAD)]
    if name not in (ALL, *names):
        has = ", ".join([*names, ALL])
        raise UsageError(f"{network.architecture} has no layer {name!r}; its layers: {has}.")
    output = all_layers(network.model) if name == ALL else network.model.get_layer(name).output
    model = keras.Model(network.model.inputs, keras.layers.Flatten(name="embedding")(output))
    infer = Inference(model, checkpoint.mean, checkpoint.std, checkpoint.channel_order)
    watch, total = Watch(progress), sum(len(part) for part in dataset.parts.values())
    parts, done = {}, 0
    for part_name, part in dataset.parts.items():
        blocks = []
        block = block_size(part.images)
        for start in range(0, len(part), block):
            images = np.asarray(part.images[start : start + block])
            views = [images, images[:, :, ::-1]] if mirrored else [images]
            made = [infer(view)[0] for view in views]
            blocks.append(made[0] if len(made) == 1 else (made[0] + made[1]) / 2)
            done += len(blocks[-1])
            watch.report(done, total, f"embedding {part_name}")
        parts[part_name] = EmbeddingPart(np.concatenate(blocks), part.labels, part.source_index)
    return Embeddings(
        parts,
        name,
        dataset.class_names,
        dataset.class_original,
        Provenance(computed_by=describe_computing(precision)),
        mirrored,
        dataset.source,
        dataset.notes,
    )
