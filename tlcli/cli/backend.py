"""Load Keras on a backend, a device and a number of threads, quietly."""

from __future__ import annotations

import os
import re
import sys

from tlcli.cli import commands
from tlcli.cli.output import Console
from tlcli.environment import jax_gpu_plugins, set_environment, skip_extras
from tlcli.errors import TlcliError, UsageError
from tlcli.quiet import mute
from tlcli.training.computing import cores, gpus


def load(
    console: Console,
    device: str = "auto",
    threads: int | None = None,
    tasks: int = 1,
    deterministic: bool = False,
    tell: bool = True,
) -> int:
    """Import Keras on a device with a number of threads, before the library does. Takes some seconds.

    JAX computes if the user has named no backend and JAX sees a GPU, else TensorFlow. Several tasks on a CPU
    share TensorFlow's threads: small networks leave the second thread of an operation idle most of the time.

    Args:
        console: Prints what computes.
        device: `auto`, `cpu`, `gpu` or `gpu:N`.
        threads: CPU threads; None means one for each core.
        tasks: The number of trainings to do.
        deterministic: Ask a GPU for the same bits in every call.
        tell: Print what computes.

    Returns:
        The number of tasks to do at once.

    Raises:
        UsageError: The device has another form.
        TlcliError: A GPU is asked for, and there is none.
    """
    _choose_device(device)
    if deterministic:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()
        os.environ["TF_DETERMINISTIC_OPS"] = "1"
    backend = os.environ.get("KERAS_BACKEND") or _backend(device)
    os.environ["KERAS_BACKEND"] = backend
    at_once = min(tasks, threads or cores()) if backend == "tensorflow" else 1
    _set_threads(threads, at_once)
    with console.working("loading TensorFlow" if backend == "tensorflow" else f"loading {backend}"), mute():
        with skip_extras():
            import keras  # noqa: F401

        seen = gpus(backend)  # the backend looks for devices now, while it is muted
    if threads is not None:  # numpy is loaded already and no longer reads the environment
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        threadpool_limits(threads, "blas")
    if device.startswith("gpu") and not seen:
        raise TlcliError(
            f"--device {device}: {backend} sees no such GPU. Use --device cpu or auto, or install tlcli with "
            "pip install '.[gpu]', which brings JAX for CUDA."
        )
    if backend == "jax":
        from tlcli.training.engines.program_cache import keep_programs

        keep_programs(console.warn)
        from tlcli.training.engines import workplaces

        at_once = min(tasks, workplaces())
    elif seen:
        at_once = 1
    if tell:
        console.note(f"This computes with {_describe(backend, seen)}.")
    return at_once


def load_to_build(console: Console, *plugins: str) -> None:
    """Import Keras for a command that builds networks and computes nothing, without a framework if it can.

    A network of a plug-in may need the framework it was written for, and a program that goes on after the
    command needs one that trains.

    Args:
        console: Shows that Keras is loaded.
        plugins: The plug-in of each network, empty for tlcli's own.
    """
    if any(plugins) or not commands.OWN_PROCESS or "keras" in sys.modules:
        load(console, "cpu", tell=False)
        return
    from tlcli.models.keras_to_build import import_keras_to_build

    _choose_device("cpu")
    with console.working("loading Keras"), mute():
        import_keras_to_build()


def _choose_device(device: str) -> None:
    """Check the device, and hide all others from the backends."""
    match = re.fullmatch(r"auto|cpu|gpu(?::(\d{1,3}))?", device)
    if not match:
        raise UsageError(f"--device: received '{device}', expected auto, cpu, gpu or gpu:N.")
    set_environment()
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        os.environ["JAX_PLATFORMS"] = "cpu"
    elif match[1] is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = match[1]


def _backend(device: str) -> str:
    """The default backend. Imports JAX only if it has a plug-in for GPUs."""
    if device == "cpu" or not jax_gpu_plugins():
        return "tensorflow"
    with mute():
        return "jax" if gpus("jax") else "tensorflow"


def _set_threads(threads: int | None, at_once: int) -> None:
    if at_once > 1:
        os.environ["TF_NUM_INTEROP_THREADS"] = str(at_once)
        threads = (threads or cores()) // at_once
    if threads is not None:
        for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[name] = str(threads)


def _describe(backend: str, seen: list[str]) -> str:
    from importlib.metadata import version

    name = {"tensorflow": "TensorFlow", "jax": "JAX"}.get(backend, backend)
    where = f"{len(seen)} x {seen[0]}" if len(seen) > 1 else seen[0] if seen else "the CPU"
    return f"{name} {version(backend)} on {where}"
