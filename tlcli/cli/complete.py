"""Completion in the shell: names of data sets, networks, methods and recipes, without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterable

Completer = Callable[[str], list[tuple[str, str]]]


def words(allowed: Iterable[str]) -> Completer:
    """Complete one of a few words."""

    def complete(incomplete: str) -> list[tuple[str, str]]:
        return [(word, "") for word in allowed if word.startswith(incomplete)]

    return complete


def _filter_names(incomplete: str, named: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, summary) for name, summary in named if name.startswith(incomplete)]


def datasets(incomplete: str) -> list[tuple[str, str]]:
    """The built-in data sets."""
    from tlcli.data import sources

    return _filter_names(incomplete, ((s.name, s.summary) for s in sources()))


def architectures(incomplete: str) -> list[tuple[str, str]]:
    """The registered networks."""
    from tlcli.models import architectures as registered

    return _filter_names(incomplete, ((a.name, a.summary) for a in registered().values()))


def methods(incomplete: str) -> list[tuple[str, str]]:
    """The ways to train on the target."""
    from tlcli.training.methods import METHODS

    return _filter_names(incomplete, ((m.name, m.summary) for m in METHODS.values()))


def recipes(incomplete: str) -> list[tuple[str, str]]:
    """The named recipes."""
    from tlcli.training.recipes import RECIPES

    return _filter_names(incomplete, ((r.name, r.summary) for r in RECIPES.values()))


def augmentations(incomplete: str) -> list[tuple[str, str]]:
    """The augmentations; those that take a value end in a colon."""
    from tlcli.training.recipe import AUGMENTATIONS

    return _filter_names(incomplete, AUGMENTATIONS.items())
