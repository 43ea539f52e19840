"""Transfer-learning experiments on images: the library behind the `tlcli` commands.

`import tlcli` is quick: its packages are imported at the first use, and TensorFlow or JAX only by functions
that train or run a network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tlcli import analysis, data, errors, models, report, store, training
    from tlcli.data.source import source
    from tlcli.models.registry import network
    from tlcli.report.registry import section
    from tlcli.training.methods import method
    from tlcli.training.recipes import recipe

__version__ = "0.2.0.dev0"
_DECORATORS = {
    "network": "tlcli.models.registry",
    "method": "tlcli.training.methods",
    "source": "tlcli.data.source",
    "recipe": "tlcli.training.recipes",
    "section": "tlcli.report.registry",
}
"""The decorators with which a user registers something, and the module of each."""

__all__ = [
    "__version__",
    "analysis",
    "data",
    "errors",
    "method",
    "models",
    "network",
    "recipe",
    "report",
    "section",
    "source",
    "store",
    "training",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name in _DECORATORS:
        return getattr(importlib.import_module(_DECORATORS[name]), name)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return __all__
