"""Loading Keras and what is under it: the device, the threads, and silence about both."""

from __future__ import annotations

import os
import re

from tlcli.cli.output import Console
from tlcli.errors import TlcliError, UsageError
from tlcli.quiet import muted


def load(console: Console, device: str = "auto", threads: int | None = None, tasks: int = 1) -> int:
    """Import Keras on a device with so many threads, before the library does. Takes some seconds.

    Where there are several tasks for a CPU, the threads are shared out among them: small networks leave the
    second thread of an operation idle for most of the time. Returns how many tasks to do at once.
    """
    match = re.fullmatch(r"auto|cpu|gpu(?::(\d{1,3}))?", device)
    if not match:
        raise UsageError(f"--device: received '{device}', expected auto, cpu, gpu or gpu:N.")
    if threads is not None and threads < 1:
        raise UsageError(f"--threads: received {threads}, expected a number from 1.")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        os.environ["JAX_PLATFORMS"] = "cpu"
    elif match[1] is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = match[1]
    at_once = min(tasks, threads or _cores()) if backend == "tensorflow" else 1
    if at_once > 1:
        threads = (threads or _cores()) // at_once
        os.environ["TF_NUM_INTEROP_THREADS"] = str(at_once)
    if threads is not None:
        for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[name] = str(threads)
    with console.working("loading TensorFlow" if backend == "tensorflow" else f"loading {backend}"), muted():
        import keras  # noqa: F401

        found = _has_gpu(backend)
    if threads is not None:  # what numpy was loaded with, before, does not follow the environment any more
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        threadpool_limits(threads, "blas")
    if device.startswith("gpu") and not found:
        raise TlcliError(
            "--device: no GPU is visible. Use --device cpu or auto; for a GPU, install tlcli with "
            "`pip install '.[gpu]'` in its folder."
        )
    return 1 if found else at_once


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _has_gpu(backend: str) -> bool:
    """Also makes the backend look for devices now, while what it says about them is not shown."""
    if backend == "tensorflow":
        import tensorflow

        return bool(tensorflow.config.list_physical_devices("GPU"))
    if backend == "jax":
        import jax

        return any(found.platform != "cpu" for found in jax.devices())
    return False
