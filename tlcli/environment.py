"""What the frameworks read from the environment when they are loaded. Imports none of them."""

from __future__ import annotations

import os
import platform
from importlib.metadata import distributions


def set_environment() -> None:
    """Set what makes the frameworks quick and quiet; what the user has set stays.

    TensorFlow takes oneDNN's kernels by itself only where the processor has AVX512_VNNI, AMX or AVX_VNNI. On
    others with AVX2 they are faster as well (see `tests/benchmarks/training.py`).
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
