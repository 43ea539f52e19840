"""Describe what computes, for the provenance of files: it can decide the last bits of a weight."""

from __future__ import annotations

import os
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


def same_computer(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether one computer can continue the other's work: only the threads may differ."""
    return all(one.get(name) == other.get(name) for name in ("backend", "devices"))


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
