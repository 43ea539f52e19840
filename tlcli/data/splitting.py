"""Cut a dataset out of a source: some classes, some of their training images, all of their test images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tlcli.data import sampling as draws
from tlcli.data.duplicates import find_duplicates
from tlcli.data.fitting import fit_part
from tlcli.data.images import same_channels, select, take
from tlcli.data.source import Source
from tlcli.errors import TlcliError, UsageError
from tlcli.store.records import Dataset, Part
from tlcli.store.tree import printable

_LONGEST_NOTE = 1000


def split(
    source: Source,
    classes: Sequence[int | Sequence[int]],
    *,
    proportion: float | None = None,
    size: int | None = None,
    multiple_of: int = 1,
    validation: float = 0.0,
    seed: int = 0,
    sampling: str = "nested",
    no_duplicates: bool = False,
) -> Dataset:
    """Cut a dataset out of a source.

    `classes` are published numbers (see `classes.ClassExpression`); a tuple of numbers becomes one class with
    the least of them. Labels are renumbered 0...n-1 in ascending order. The training part is `proportion` or
    `size` of the images of these classes (default: all), rounded down to a multiple; `validation` is its
    share, per class, that becomes the validation part. `sampling` is "nested" (stratified; a larger subset
    contains a smaller one; ascending `source_index`), or "sklearn" or "sklearn-column": the images and order
    of scikit-learn's `train_test_split` (see `sampling.draw_sklearn`). The test part is whole. Training
    images with the same pixels as a test image are counted in the warnings; `no_duplicates` leaves them out
    before the drawing. Images are brought to `source.fit`. Raises UsageError for values out of range, and
    where a class would be empty. Warnings of the reading are in `source.warnings` afterwards, and in the
    dataset's options (`notes`).
    """
    if sampling not in draws.SAMPLINGS:
        raise UsageError(f"Unknown sampling {sampling!r}: expected {', '.join(draws.SAMPLINGS)}.")
    if not 0 <= validation < 1:
        raise UsageError(f"Validation {validation}: expected a share of at least 0 and less than 1.")
    if validation and source.validation is not None:
        raise UsageError(f"{source.name} already has a validation part: leave the validation share out.")
    groups = _groups_of(classes)
    _check_known(source, [number for group in groups for number in group])
    chosen = [group[0] for group in groups]
    names = [_name(source, group) for group in groups]

    pools, burst = _pools(source, groups)
    if no_duplicates:
        burst = _drop_duplicates(source, pools, burst)
    source.gather()
    pool = pools["train"]
    if empty := _empty_class(pool.labels, names):
        raise TlcliError(f"{source.name} has no readable training image of class {empty}.")
    if empty := _empty_class(pools["test"].labels, names):
        raise TlcliError(f"{source.name} has no test image of class {empty}: leave that class out.")

    n = draws.subset_size(len(pool), proportion=proportion, size=size, multiple_of=multiple_of)
    train, held = _draw_parts(pool.labels, chosen, n, validation, seed, sampling, burst)
    if empty := _empty_class(pool.labels[train], names):
        raise UsageError(
            f"{n} of {len(pool)} training images are so few that class {empty} would be empty; ask for more."
        )
    if validation:
        if empty := _empty_class(pool.labels[held], names):
            raise UsageError(
                f"A validation share of {validation} of {n} images is so small that class {empty} would be "
                "empty; ask for more."
            )
        pools["validation"] = take(pool, held)
    elif "validation" in pools and not len(pools["validation"]):
        del pools["validation"]
    pools["train"] = take(pool, train)
    if not no_duplicates:
        _warn_of_duplicates(source, pools)
    options: dict[str, Any] = {
        "classes": [list(group) if len(group) > 1 else group[0] for group in groups],
        "proportion": proportion,
        "size": size,
        "multiple_of": multiple_of,
        "validation": validation,
        "seed": seed,
        "sampling": sampling,
        **({"no_duplicates": True} if no_duplicates else {}),
        **({"notes": _notes(source)} if source.warnings else {}),
    }
    order = [name for name in ("train", "validation", "test") if name in pools]
    return Dataset(
        {name: fit_part(pools[name], source.fit) for name in order},
        names,
        np.array(chosen, np.int64),
        source.name,
        options,
    )


def _draw_parts(
    labels: np.ndarray,
    chosen: list[int],
    n: int,
    validation: float,
    seed: int,
    sampling: str,
    burst: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the images to train with, and of those held out of them for validation."""
    if sampling == "nested":
        return draws.draw_nested(labels, chosen, n, validation, seed, burst)
    if validation and burst is not None:
        raise UsageError(f"`sampling`: {sampling} would divide groups; take nested, or no validation share.")
    return draws.draw_sklearn(np.array(chosen)[labels], n, validation, seed, sampling == "sklearn-column")


def _notes(source: Source) -> list[str]:
    """The warnings for the file: each short, on one line."""
    return [printable(warning)[:_LONGEST_NOTE] for warning in source.warnings]


def _groups_of(classes: Sequence[int | Sequence[int]]) -> list[tuple[int, ...]]:
    """The numbers of each class, merged ones together, in ascending order."""
    groups = {tuple(sorted({c} if isinstance(c, int | np.integer) else set(c))) for c in classes}
    numbers = [number for group in groups for number in group]
    if len(set(numbers)) < len(numbers):
        twice = next(number for number in numbers if numbers.count(number) > 1)
        raise UsageError(f"The class {twice} is in two of the classes: expected it in one.")
    return sorted(groups)


def _name(source: Source, group: Sequence[int]) -> str:
    return "+".join(source.class_names[source.class_numbers.index(number)] for number in group)


def _pools(source: Source, groups: Sequence[Sequence[int]]) -> tuple[dict[str, Part], np.ndarray | None]:
    """By part, the readable images of the chosen classes; and the training images' groups that a table
    gave."""
    new_label = np.full(len(source.class_names), -1, np.int64)
    for label, group in enumerate(groups):
        for number in group:
            new_label[source.class_numbers.index(number)] = label
    pools: dict[str, Part] = {}
    burst = None
    for name, part in source.parts.items():
        labels = new_label[part.labels]
        at = Part(part.images, labels, np.arange(len(part)))
        wanted = select(at, np.flatnonzero(labels >= 0))
        positions = wanted.source_index
        pools[name] = Part(wanted.images, wanted.labels, part.source_index[positions])
        if name == "train" and name in source.groups:
            burst = source.groups[name][positions]
    return same_channels(pools), burst


def _drop_duplicates(source: Source, pools: dict[str, Part], burst: np.ndarray | None) -> np.ndarray | None:
    """Remove images from the pools that are also test images; returns the groups of the rest."""
    for name in ("train", "validation"):
        if name not in pools:
            continue
        double = find_duplicates(pools[name], pools["test"])
        if double.any():
            source.notes.append(f"{double.sum()} {name} images that are in the test part, too, are left out.")
            pools[name] = take(pools[name], np.flatnonzero(~double))
            burst = burst[~double] if name == "train" and burst is not None else burst
    return burst


def _warn_of_duplicates(source: Source, pools: dict[str, Part]) -> None:
    for name in ("train", "validation"):
        double = int(find_duplicates(pools[name], pools["test"]).sum()) if name in pools else 0
        if double:
            source.warnings.append(
                f"{double} of {len(pools[name])} {name} images are in the test part, too, pixel for pixel: "
                "`no_duplicates` leaves them out."
            )


def _check_known(source: Source, chosen: Sequence[int]) -> None:
    if not chosen:
        raise UsageError("No classes are chosen: expected at least one.")
    unknown = [number for number in chosen if number not in source.class_numbers]
    if unknown:
        raise UsageError(f"{source.name} has no class {unknown[0]}.")


def _empty_class(labels: np.ndarray, names: Sequence[str]) -> str:
    """The first class without labels, quoted; empty if there is none."""
    counts = np.bincount(labels, minlength=len(names))
    return "" if counts.all() else repr(names[int(np.argmin(counts))])
