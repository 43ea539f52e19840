"""The compiled training loops, one file for each backend."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import keras

from tlcli.errors import TlcliError
from tlcli.training.engines.engine import Engine, Measured, Predictor
from tlcli.training.forward import Forward
from tlcli.training.step import Step


def make_predictor(forward: Forward) -> Predictor:
    """Make the `Predictor` for the backend of Keras.

    Raises:
        TlcliError: The backend is not supported.
    """
    if _backend() == "jax":
        from tlcli.training.engines.jax_engine import JaxPredictor

        return JaxPredictor(forward)
    from tlcli.training.engines.tensorflow_engine import TensorFlowPredictor

    return TensorFlowPredictor(forward)


def make_engine(step: Step, devices: int = 1) -> Engine:
    """Make the `Engine` of a step for the backend of Keras.

    Args:
        step: The model, the loss and the variables to train.
        devices: The number of devices to share each batch (`shared_devices`).

    Raises:
        TlcliError: The backend is not supported.
    """
    if _backend() == "jax":
        from tlcli.training.engines.jax_engine import JaxEngine

        return JaxEngine(step, devices)
    from tlcli.training.engines.tensorflow_engine import TensorFlowEngine

    return TensorFlowEngine(step)


def shared_devices(devices: int | None, batch: int) -> int:
    """The number of devices that share a batch: each takes equally many images.

    Args:
        devices: The most devices; None means all GPUs that JAX sees. TensorFlow always uses one.
        batch: The number of images per step.
    """
    if _backend() != "jax":
        return 1
    import jax

    seen = jax.local_device_count() if jax.default_backend() != "cpu" or devices else 1
    most = min(devices or seen, seen)
    return next(n for n in range(most, 0, -1) if batch % n == 0)


def workplaces() -> int:
    """The number of runs to train at the same time, one on each device of JAX; 1 in TensorFlow."""
    if _backend() != "jax":
        return 1
    import jax

    return int(jax.local_device_count())


def workplace(worker: int) -> AbstractContextManager[Any]:
    """Let a thread compute on its own device in the block; further workers share the devices."""
    if _backend() != "jax":
        return nullcontext()
    import jax

    devices = jax.local_devices()
    return cast("AbstractContextManager[Any]", jax.default_device(devices[worker % len(devices)]))


def _backend() -> str:
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise TlcliError(f"KERAS_BACKEND={backend} is not supported; use tensorflow or jax.")
    return backend


__all__ = [
    "Engine",
    "Measured",
    "Predictor",
    "make_engine",
    "make_predictor",
    "shared_devices",
    "workplace",
    "workplaces",
]
