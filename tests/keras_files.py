"""Weights files as Keras lays them out, made with plain h5py, and the small network that they are for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tlcli.store.keras_weights import Place

PLACES = [
    Place("conv1", "conv2d", {"kernel": (3, 3, 1, 4), "bias": (4,)}),
    Place("conv1_bn", "batch_normalization", dict.fromkeys(("gamma", "beta", "mean", "variance"), (4,))),
    Place("conv2", "conv2d", {"kernel": (3, 3, 4, 2), "bias": (2,)}),
    Place("head", "dense", {"kernel": (8, 3), "bias": (3,)}),
]


def arrays(places: list[Place] = PLACES, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights by `layer/variable`."""
    rng = np.random.default_rng(seed)
    shapes = {f"{p.layer}/{name}": shape for p in places for name, shape in p.shapes.items()}
    return {key: rng.normal(size=shape).astype(np.float32) for key, shape in shapes.items()}


def fixed(names: list[str]) -> Any:
    """A list of names as h5py 2 stored it, for example in `cifar100vgg.h5`."""
    return np.array([name.encode() for name in names], "S") if names else np.array([])


def variable(names: list[str]) -> Any:
    """A list of names as h5py 3 stores it."""
    return [name.encode() for name in names] if names else []


def legacy(
    path: Path,
    layers: Mapping[str, Mapping[str, np.ndarray]],
    group: str = "/",
    listed: Callable[[list[str]], Any] = fixed,
) -> Path:
    """The legacy layout: layers by name, each with its arrays by name, such as `x/kernel:0`."""
    with h5py.File(path, "w") as file:
        root = file.require_group(group)
        root.attrs["layer_names"] = listed([*layers])
        root.attrs["backend"], root.attrs["keras_version"] = b"tensorflow", b"2.0.6"
        for name, held in layers.items():
            stored = root.create_group(name)
            stored.attrs["weight_names"] = listed([*held])
            for variable_name, array in held.items():
                stored[variable_name] = array
    return path


def as_legacy(
    weights: Mapping[str, np.ndarray], places: list[Place] = PLACES
) -> dict[str, dict[str, np.ndarray]]:
    """Weights under the names that Keras 2 gives, with layers without weights among them."""
    layers: dict[str, dict[str, np.ndarray]] = {}
    for number, place in enumerate(places, start=1):
        name = f"{place.kind}_{number}"
        layers[name] = {f"{name}/{v}:0": weights[f"{place.layer}/{v}"] for v in place.shapes}
        layers[f"activation_{number}"] = {}
    return layers


def keras_3(
    path: Path, weights: Mapping[str, np.ndarray], places: list[Place] = PLACES, root: str = "layers"
) -> Path:
    """The layout of Keras 3, with an optimizer and the random state of a dropout."""
    seen: dict[str, int] = {}
    with h5py.File(path, "w") as file:
        for place in places:
            count = seen[place.kind] = seen.get(place.kind, -1) + 1
            group = file.create_group(f"{root}/{place.kind}{f'_{count}' if count else ''}/vars")
            group.attrs["name"] = place.layer
            for number, variable_name in enumerate(place.shapes):
                group[str(number)] = weights[f"{place.layer}/{variable_name}"]
        file[f"{root}/dropout/seed_generator/vars/0"] = np.zeros(2, np.uint32)
        file["optimizer/vars/0"] = np.int64(3)
        file.create_group("vars")
    return path
