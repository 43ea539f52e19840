"""Describe what computes, for the provenance of files: it can decide the last bits of a weight."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any


def describe_computing(precision: str, devices: int = 1) -> dict[str, Any]:
    """The backend, the device and the precision; on a CPU also the threads of one operation.

    Args:
        precision: `float32` or `mixed`.
        devices: The number of devices that share a batch.

    Returns:
        `backend`, `device` (`cpu`, or the name of the GPU), `precision`; `threads` on a CPU; on a GPU `tf32`,
        whether products of float32 are rounded to 10 bits; `devices` if there are several.
    """
    import keras

    backend = keras.backend.backend()
    device = _device(backend)
    found: dict[str, Any] = {"backend": backend, "device": device, "precision": precision}
    if device == "cpu":
        found["threads"] = int(os.environ.get("TF_NUM_INTRAOP_THREADS") or 0) or cores()
    else:
        found["tf32"] = _tf32(backend)
    return found | ({"devices": devices} if devices > 1 else {})


def compare_computers(was: dict[str, Any], now: dict[str, Any]) -> str:
    """Say why another computer cannot continue a training to the same bytes; empty if it can.

    Args:
        was: The description of the computer that began it, by `describe_computing`.
        now: The description of this computer.
    """
    alone = {"devices": 1}
    compared = ("backend", "device", "precision", "devices")
    pairs = [(name, (alone | was).get(name), (alone | now).get(name)) for name in compared]
    differ = [f"{name} was {old}, now {new}" for name, old, new in pairs if old != new]
    if not differ:
        return ""
    backend, device = was.get("backend", "tensorflow"), "cpu" if was.get("device", "cpu") == "cpu" else "gpu"
    return f"its {', its '.join(differ)} (KERAS_BACKEND={backend} and `device` {device} bring these back)"


def compare_recipes(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """List the values that differ between two recipes."""
    names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
    return [f"{name} was {was.get(name)}, now {now.get(name)}" for name in names]


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus(backend: str) -> list[str]:
    """The names of the GPUs that a backend sees."""
    if backend == "tensorflow":
        import tensorflow as tf

        found = map(tf.config.experimental.get_device_details, tf.config.get_visible_devices("GPU"))
        return [str(details.get("device_name", "gpu")) for details in found]
    if backend == "jax":
        import jax

        try:
            return [str(device.device_kind) for device in jax.devices() if device.platform != "cpu"]
        except RuntimeError:  # JAX_PLATFORMS names a platform that is missing
            return []
    return []


def _device(backend: str) -> str:
    return next(iter(gpus(backend)), "cpu")


def _tf32(backend: str) -> bool:
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.experimental.tensor_float_32_execution_enabled())
    import jax

    return jax.config.jax_default_matmul_precision in (None, "default", "tensorfloat32")
