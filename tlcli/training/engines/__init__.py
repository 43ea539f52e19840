"""The compiled training loops, one file for each backend."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import keras

from tlcli.errors import TlcliError
from tlcli.training.engines.engine import Engine
from tlcli.training.step import Step


def several_devices(devices: Sequence[str] | None, batch: int) -> AbstractContextManager[int]:
    """Where to build a network and make its engine, so that each batch is shared among several devices.

    Args:
        devices: Such as `GPU:0` and `GPU:1`; by default all GPUs that TensorFlow sees.
        batch: Images per step; there is no use for more devices than that.

    Returns:
        A context; what it gives is how many devices share a batch (1 under JAX).
    """
    if keras.backend.backend() != "tensorflow":
        return nullcontext(1)
    from tlcli.training.engines.mirrored_engine import mirrored

    return mirrored(devices, batch)


def make_engine(step: Step) -> Engine:
    """The engine of the backend that Keras runs on, for one device or those of `several_devices`.

    Raises:
        TlcliError: a backend for which there is none.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        from tlcli.training.engines.mirrored_engine import MirroredEngine
        from tlcli.training.engines.tensorflow_engine import TensorFlowEngine

        return MirroredEngine(step) if tf.distribute.has_strategy() else TensorFlowEngine(step)
    if backend == "jax":
        from tlcli.training.engines.jax_engine import JaxEngine

        return JaxEngine(step)
    raise TlcliError(f"KERAS_BACKEND={backend} is not supported; use tensorflow or jax.")


__all__ = ["Engine", "make_engine", "several_devices"]
