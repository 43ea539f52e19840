"""Transfer-learning experiments on images: the library behind the `tlcli` commands.

`import tlcli` costs nothing: its packages are imported when they are first used, and TensorFlow only by what
trains a network or runs one.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tlcli import analysis, data, errors, models, report, store, training

__version__ = "0.1.0"
__all__ = ["__version__", "analysis", "data", "errors", "models", "report", "store", "training"]


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
