"""Import weights that others trained, and export networks to Keras's own files."""

from __future__ import annotations

import json
import re
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tlcli.models import keras_private
from tlcli.models import network as net
from tlcli.models.heads import HEAD
from tlcli.models.registry import NETWORKS, architecture
from tlcli.store.atomic import atomic_file, write_error
from tlcli.store.keras_weights import Place, WeightsFile
from tlcli.store.named_tensors import TensorFile
from tlcli.store.records import Checkpoint

WEIGHTS_SUFFIX, MODEL_SUFFIX = ".weights.h5", ".keras"


def import_weights(
    file: WeightsFile | TensorFile,
    network: net.Network,
    class_names: Sequence[str],
    class_original: np.ndarray,
    mean: np.ndarray,
    std: np.ndarray,
) -> Checkpoint:
    """A checkpoint of a network with the weights in a file, which its `recipe` names.

    Args:
        file: From `store.weights.open_weights`.
        network: The network of the weights: its layers with weights match those of the file.
        class_names: One for each logit; none for a base without a head.
        class_original: int64, the number of each class in the published set.
        mean: float32, one per channel: the mean that training subtracted from pixels scaled to 0...1.
        std: float32, one per channel: the number that training then divided by.

    Raises:
        TlcliError: The weights are those of another network, or not finite.
    """
    published = architecture(network.architecture).pretrained
    found = places(network.model, published.pytorch_name if published else None)
    headless = not class_names
    if headless:
        found = [place for place in found if place.layer != HEAD]
    kinds = net.variables(network.model)
    read = file.read(found, network.architecture, headless)
    weights = {key: array.astype(kinds[key].dtype) for key, array in read.items()}
    plugin, plugin_sha256 = NETWORKS.plugin(network.architecture)
    return Checkpoint(
        architecture=network.architecture,
        options=network.options,
        input_shape=network.input_shape,
        class_names=list(class_names),
        class_original=class_original,
        mean=mean,
        std=std,
        plugin=plugin,
        plugin_sha256=plugin_sha256,
        weights=weights,
        recipe={"imported_from": file.name, "imported_sha256": file.sha256(), "imported_layout": file.layout},
    )


def export_model(
    path: str | Path,
    network: net.Network,
    mean: np.ndarray,
    std: np.ndarray,
    channel_order: str = "rgb",
    *,
    force: bool = False,
) -> None:
    """Write a network as a file of Keras, whole or not at all.

    `x.keras` takes pixel values 0...255 in the order red, green, blue, and gives logits;
    `keras.models.load_model` needs nothing else. `x.weights.h5` holds the arrays only, for `load_weights` of
    a network of the same layers, which takes standardised pixels in the order `channel_order`. The same
    network gives the same bytes, with the same version of Keras.

    Raises:
        TlcliError: The file exists and `force` is not given, or cannot be written.
    """
    model = standard(network.model, mean, std, channel_order)
    net.assign(model, net.weights(network.model))
    net.reset_seed_states(model, 0)
    with atomic_file(path, force) as temporary, tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / f"model{MODEL_SUFFIX}"
        model.save(saved)
        try:
            if str(path).endswith(WEIGHTS_SUFFIX):
                with zipfile.ZipFile(saved) as archive:
                    temporary.write_bytes(archive.read("model.weights.h5"))
            else:
                _copy_without_times(saved, temporary)
        except OSError as error:
            raise write_error(path, error) from error


def standard(
    model: keras.Model, mean: np.ndarray, std: np.ndarray, channel_order: str = "rgb"
) -> keras.Model:
    """The network as Keras's own layers of the same names, with new weights, for pixels 0...255 in RGB."""
    inputs = keras.Input(model.input_shape[1:], name="images")
    ordered = keras.ops.flip(inputs, axis=-1) if channel_order == "bgr" else inputs
    pixels = keras.layers.Rescaling(
        [1 / (255 * float(s)) for s in std],
        [-float(m) / float(s) for m, s in zip(mean, std, strict=True)],
        name="standardize",
    )
    outputs = keras_private.call_again(model, pixels(ordered), _counterpart)
    return keras.Model(inputs, outputs, name=model.name)


def places(model: keras.Model, pytorch_name: Callable[[str], str] | None = None) -> list[Place]:
    """The layers with weights in the network's order, with their names in files of Keras and PyTorch."""
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for key, variable in net.variables(model).items():
        layer, name = key.split("/", 1)
        shapes.setdefault(layer, {})[name] = tuple(variable.shape)
    return [
        Place(
            layer,
            _kind(model.get_layer(layer)),
            of_layer,
            pytorch_name(layer) if pytorch_name else None,
            _parts(model.get_layer(layer)),
        )
        for layer, of_layer in shapes.items()
    ]


def _parts(layer: Any) -> tuple[str, ...]:
    """The places of the arrays of each layer with weights in a layer that is a network itself."""
    seen: Counter[str] = Counter()
    parts = []
    for inner in getattr(layer, "layers", []):
        kind = _kind(inner)
        number, seen[kind] = seen[kind], seen[kind] + 1
        if inner.weights:
            parts.append(f"/layers/{kind}" + (f"_{number}" if number else ""))
    return tuple(parts) or ("",)


def _counterpart(layer: Any) -> Any:
    """The layer of Keras for one of tlcli's; a new copy of a layer or operation of Keras."""
    if hasattr(layer, "counterpart"):
        return layer.counterpart()
    return type(layer).from_config(layer.get_config())


def _kind(layer: Any) -> str:
    """The name of a layer's class in Keras's files: `Conv2D` is `conv2d`."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", type(_counterpart(layer)).__name__)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _copy_without_times(saved: Path, target: Path) -> None:
    """Copy a `.keras` file without its times, and with numbers in place of addresses in memory."""
    with zipfile.ZipFile(saved) as archive, zipfile.ZipFile(target, "w") as plain:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "metadata.json":
                content = json.dumps({"keras_version": json.loads(content)["keras_version"]}).encode()
            elif name == "config.json":
                content = json.dumps(_renumber(json.loads(content), {})).encode()
            member = zipfile.ZipInfo(name)
            member.external_attr = 0o644 << 16
            plain.writestr(member, content)


def _renumber(value: Any, known: dict[int, int]) -> Any:
    """The JSON value with `shared_object_id`s numbered 1, 2, ... in their order."""
    if isinstance(value, list):
        return [_renumber(inner, known) for inner in value]
    if not isinstance(value, dict):
        return value
    return {
        key: known.setdefault(inner, len(known) + 1) if key == "shared_object_id" else _renumber(inner, known)
        for key, inner in value.items()
    }
