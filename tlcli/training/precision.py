"""In which precision a training computes, where its recipe leaves that to the device."""

from __future__ import annotations

import dataclasses

import keras

from tlcli.training.recipe import Recipe


def settled(recipe: Recipe) -> Recipe:
    """The recipe with `mixed` or `float32` in the place of `auto`.

    Mixed where every device is a GPU with tensor cores for bfloat16 (compute capability 8.0: NVIDIA Ampere
    and later); never on a CPU, where it was two to four times slower.
    """
    if recipe.precision != "auto":
        return recipe
    found = _compute_capabilities()
    mixed = bool(found) and min(found) >= (8, 0)
    return dataclasses.replace(recipe, precision="mixed" if mixed else "float32")


def _compute_capabilities() -> list[tuple[int, ...]]:
    """Of each GPU that the backend computes on; (0, 0) of one that does not say."""
    if keras.backend.backend() == "jax":
        import jax

        gpus = [device for device in jax.devices() if device.platform == "gpu"]
        return [_version(getattr(gpu, "compute_capability", "0.0")) for gpu in gpus]
    import tensorflow as tf

    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    return [tuple(detail.get("compute_capability") or (0, 0)) for detail in details]


def _version(text: str) -> tuple[int, ...]:
    """`9.0` as numbers; a GPU of another maker names its kind (`gfx90a`)."""
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else (0, 0)
