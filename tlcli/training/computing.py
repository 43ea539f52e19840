"""What computes, for the provenance of files: it can decide the last bits of a weight."""

from __future__ import annotations

import os
from typing import Any

import keras


def computed_by(precision: str, devices: int = 1) -> dict[str, Any]:
    """The backend, the device and what it computes in; on a CPU also the threads of one operation.

    Args:
        precision: `float32` or `mixed`.
        devices: How many share a batch.

    Returns:
        `backend`, `device` (`cpu` or `gpu`), `precision`; `threads` on a CPU; `devices` where several do.
    """
    backend = keras.backend.backend()
    device = _device(backend)
    found: dict[str, Any] = {"backend": backend, "device": device, "precision": precision}
    if device == "cpu":
        found["threads"] = int(os.environ.get("TF_NUM_INTRAOP_THREADS") or 0) or cores()
    return found | ({"devices": devices} if devices > 1 else {})


def same_computer(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Can one go on with what the other has begun? Threads may differ, backends and devices may not."""
    return all(one.get(name) == other.get(name) for name in ("backend", "devices"))


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _device(backend: str) -> str:
    if backend == "tensorflow":
        import tensorflow

        return "gpu" if tensorflow.config.get_visible_devices("GPU") else "cpu"
    if backend == "jax":
        import jax

        return str(jax.default_backend())
    return "cpu"
