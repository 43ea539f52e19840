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
    """What runs a network outside training, on the backend that Keras runs on.

    Raises:
        TlcliError: a backend for which there is none.
    """
    if _backend() == "jax":
        from tlcli.training.engines.jax_engine import JaxPredictor

        return JaxPredictor(forward)
    from tlcli.training.engines.tensorflow_engine import TensorFlowPredictor

    return TensorFlowPredictor(forward)


def make_engine(step: Step, devices: int = 1) -> Engine:
    """What trains by a step, on the backend that Keras runs on.

    Args:
        step: What is minimised.
        devices: Share each batch among so many (`shared_devices`).

    Raises:
        TlcliError: a backend for which there is none.
    """
    if _backend() == "jax":
        from tlcli.training.engines.jax_engine import JaxEngine

        return JaxEngine(step, devices)
    from tlcli.training.engines.tensorflow_engine import TensorFlowEngine

    return TensorFlowEngine(step)


def shared_devices(devices: int | None, batch: int) -> int:
    """Among how many devices a batch is shared: each takes as many images as any other.

    Args:
        devices: At most so many; None: all GPUs that JAX sees. Under TensorFlow it is always one.
        batch: Images per step.
    """
    if _backend() != "jax":
        return 1
    import jax

    seen = jax.local_device_count() if jax.default_backend() != "cpu" or devices else 1
    most = min(devices or seen, seen)
    return next(n for n in range(most, 0, -1) if batch % n == 0)


def workplaces() -> int:
    """On how many devices runs are trained at once, each on one: those of JAX; 1 under TensorFlow."""
    if _backend() != "jax":
        return 1
    import jax

    return int(jax.local_device_count())


def workplace(worker: int) -> AbstractContextManager[Any]:
    """Within it, what a thread computes lies on its own device; workers beyond their number share them."""
    if _backend() != "jax":
        return nullcontext()
    import jax

    devices = jax.local_devices()
    return cast("AbstractContextManager[Any]", jax.default_device(devices[worker % len(devices)]))


def describe_backend() -> dict[str, str]:
    """For the provenance: what computes, where it is not TensorFlow."""
    backend = keras.backend.backend()
    return {} if backend == "tensorflow" else {"backend": backend}


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
