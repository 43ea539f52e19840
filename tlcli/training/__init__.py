"""Training: the recipes, the methods, the loop. Importing this package needs no Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tlcli.environment import set_environment
from tlcli.training.logs import RunLogs
from tlcli.training.recipe import Recipe
from tlcli.training.recipes import RECIPES
from tlcli.training.watch import Progress

if TYPE_CHECKING:
    from tlcli.training.base import train_base
    from tlcli.training.embedding import embed
    from tlcli.training.grid import transfer
    from tlcli.training.ranking import rank

__all__ = ["RECIPES", "Progress", "Recipe", "RunLogs", "embed", "rank", "train_base", "transfer"]

set_environment()

_LAZY = {
    "train_base": "base",
    "embed": "embedding",
    "rank": "ranking",
    "transfer": "grid",
}


def __getattr__(name: str) -> Any:
    """Import functions that need Keras at their first use."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    from tlcli.quiet import import_keras

    import_keras()
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
