"""Environment variables that TensorFlow and JAX read when they are loaded. Imports neither."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from typing import Any, cast


def set_environment() -> None:
    """Make the frameworks quick and quiet. Variables that the user has set stay.

    TensorFlow uses oneDNN's kernels by default only on processors with AVX512_VNNI, AMX or AVX_VNNI. They are
    faster on others with AVX2, too (`tests/benchmarks/training.py`).
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if platform.machine().lower() in ("x86_64", "amd64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def jax_gpu_plugins() -> list[str]:
    """The installed packages that let JAX compute on GPUs, such as `jax-cuda13-plugin`."""
    names = {str(found.metadata["Name"] or "").lower().replace("_", "-") for found in distributions()}
    return sorted(
        name for name in names if name.startswith(("jax-cuda", "jax-rocm")) and name.endswith("-plugin")
    )


@contextmanager
def skip_extras() -> Iterator[None]:
    """Import Keras within the block without its wrappers for scikit-learn, plots, data frames and notebooks:
    where these packages are installed, they take longer to load than Keras itself."""
    modules = cast("dict[str, Any]", sys.modules)
    hidden = [name for name in ("sklearn", "matplotlib", "pandas", "IPython") if name not in modules]
    modules.update(dict.fromkeys(hidden))  # an import of what is None fails
    try:
        yield
    finally:
        for name in hidden:
            del modules[name]
