"""The recipes by name: values of `Recipe` that go well together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tlcli.errors import UsageError
from tlcli.register import Register

Values = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True)
class NamedRecipe:
    """Values that replace those of `Recipe`; options of the user replace them in turn."""

    name: str
    summary: str
    values: Mapping[str, Any]


RECIPES: Register[NamedRecipe] = Register("recipe", "tlcli.recipes", "tlcli.training.recipes")


def recipe(name: str, summary: str) -> Callable[[Values], Values]:
    """Register a recipe: a function that returns fields of `tlcli.training.Recipe` and their values.

    Args:
        name: What `--recipe` takes: letters, digits, dots, dashes, underscores.
        summary: One line for the help.

    The decorated function is called once, without arguments. Fields that it does not name stay as in
    `Recipe`.

        import tlcli

        @tlcli.recipe("patient", "SGD at a low rate, for 50 epochs")
        def patient():
            return {"optimizer": "sgd", "learning_rate": 0.01, "schedule": "cosine", "epochs": 50}

    Raises:
        UsageError: The name has another owner. Fields and values are checked when the recipe is used.
    """

    def decorate(function: Values) -> Values:
        values = function()
        if not isinstance(values, Mapping):
            raise UsageError(f"The recipe {name!r} is {values!r:.60}; expected a dictionary of its values.")
        RECIPES.add(name, NamedRecipe(name, summary, dict(values)), function)
        return function

    return decorate


@recipe("default", "Adam for ten epochs")
def _default() -> dict[str, Any]:
    return {}


@recipe("fast", "for a base: SGD on one cycle with crops and an average of the weights, 32 epochs")
def _fast() -> dict[str, Any]:
    """Jordan's settings (arXiv 2404.00498) for batches of 200 and three times the epochs: in his units a rate
    of 12 and a decay of 0.012 per 1024 images at the peak. No label smoothing, which makes features transfer
    worse (Kornblith et al. 2021)."""
    return {
        "optimizer": "sgd",
        "learning_rate": 0.2,
        "momentum": 0.9,
        "schedule": "one-cycle",
        "weight_decay": 0.01,
        "batch_size": 200,
        "epochs": 32,
        "augment": ("alternating-flip", "crop:4"),
        "ema": 0.998,
    }


@recipe(
    "small",
    "for networks of some ten thousand parameters: 100 epochs, milder crops, mirrored test images",
)
def _small() -> dict[str, Any]:
    """For networks that cannot memorise their images: many steps, milder crops, hardly any decay, and logits
    averaged over both sides of an image."""
    return {
        "optimizer": "sgd",
        "learning_rate": 0.2,
        "momentum": 0.9,
        "schedule": "one-cycle",
        "weight_decay": 0.002,
        "batch_size": 100,
        "epochs": 100,
        "augment": ("alternating-flip", "crop:3"),
        "ema": 0.999,
        "mirrored": True,
    }
