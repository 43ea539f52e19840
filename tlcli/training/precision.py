"""Choose the precision of a training if its recipe leaves that to the device."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras

from tlcli.training.recipe import Recipe

CPUINFO = Path("/proc/cpuinfo")


def resolve_precision(recipe: Recipe) -> Recipe:
    """The recipe with `mixed` or `float32` in place of `auto`.

    The precision is mixed if every GPU has tensor cores for bfloat16 (compute capability 8.0: NVIDIA Ampere
    and later), or TensorFlow computes on a CPU that has tiles for it (AMX: Intel Xeons since 2023): wide
    convolutions are about five times as fast there as in float32. Without them they are slower.
    """
    if recipe.precision != "auto":
        return recipe
    found = _compute_capabilities()
    mixed = min(found) >= (8, 0) if found else keras.backend.backend() == "tensorflow" and _tiles()
    return dataclasses.replace(recipe, precision="mixed" if mixed else "float32")


def _tiles() -> bool:
    """Whether the CPU multiplies matrices of bfloat16 in tiles, as Linux reports it; false elsewhere."""
    try:
        return "amx_bf16" in CPUINFO.read_text(errors="replace").split()
    except OSError:
        return False


def _compute_capabilities() -> list[tuple[int, ...]]:
    """The compute capability of each GPU of the backend; (0, 0) if unknown."""
    if keras.backend.backend() == "jax":
        import jax

        gpus = [device for device in jax.devices() if device.platform == "gpu"]
        return [_version(getattr(gpu, "compute_capability", "0.0")) for gpu in gpus]
    import tensorflow as tf

    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    return [tuple(detail.get("compute_capability") or (0, 0)) for detail in details]


def _version(text: str) -> tuple[int, ...]:
    """`9.0` as numbers; (0, 0) for a GPU of another maker, which gives a name (`gfx90a`)."""
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else (0, 0)
