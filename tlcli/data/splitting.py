"""From a source to a dataset: some classes, some of their training images, all of their test images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tlcli.data import sampling as draws
from tlcli.data.images import same_channels, select, take
from tlcli.data.source import Source
from tlcli.errors import TlcliError, UsageError
from tlcli.store.records import Dataset, Part


def split(
    source: Source,
    classes: Sequence[int],
    *,
    proportion: float | None = None,
    size: int | None = None,
    multiple_of: int = 1,
    validation: float = 0.0,
    seed: int = 0,
    sampling: str = "nested",
) -> Dataset:
    """Cut a dataset out of a source.

    `classes` are published numbers (see `classes.parse`); labels are renumbered 0...n-1 in ascending order
    of them. The training part is `proportion` or `size` of the images of these classes (default: all),
    rounded down to a multiple; `validation` is the share of it, per class, that becomes the validation
    part. `sampling` is "nested" (stratified; the smaller is contained in the larger, ascending
    `source_index`), or "sklearn" or "sklearn-column": the very images and order of scikit-learn's
    `train_test_split` (see `sampling.draw_sklearn`). The test part is whole. Raises UsageError for values
    out of range, TlcliError where a class would be empty. Warnings of the reading are in `source.warnings`
    afterwards.
    """
    if sampling not in draws.SAMPLINGS:
        raise UsageError(f"unknown sampling {sampling!r}: expected {', '.join(draws.SAMPLINGS)}")
    if not 0 <= validation < 1:
        raise UsageError(f"validation {validation}: expected a share of at least 0 and less than 1")
    if validation and source.validation is not None:
        raise UsageError(f"{source.name} already has a validation part: leave the validation share out")
    chosen = sorted(set(classes))
    _check_known(source, chosen)
    names = [source.class_names[source.class_numbers.index(number)] for number in chosen]

    pools = {name: _pool(source, part, chosen) for name, part in source.parts.items()}
    pool = pools["train"]
    _check_full(pool.labels, names, f"{source.name} has no readable training image of class {{}}")
    _check_full(
        pools["test"].labels,
        names,
        f"{source.name} has no test image of class {{}}: leave that class out of the classes",
    )

    n = draws.subset_size(len(pool), proportion=proportion, size=size, multiple_of=multiple_of)
    if sampling == "nested":
        train, held = draws.draw_nested(pool.labels, chosen, n, validation, seed)
    else:
        published = np.array(chosen)[pool.labels]
        train, held = draws.draw_sklearn(published, n, validation, seed, sampling == "sklearn-column")
    _check_full(
        pool.labels[train],
        names,
        f"{n} of {len(pool)} training images is so small a part that class {{}} would be empty; ask for more",
    )
    if validation:
        _check_full(
            pool.labels[held],
            names,
            f"a validation share of {validation} of {n} images is so small "
            "that class {} would be empty; ask for more",
        )
        pools["validation"] = take(pool, held)
    elif "validation" in pools and not len(pools["validation"]):
        del pools["validation"]
    pools["train"] = take(pool, train)
    options: dict[str, Any] = {
        "classes": chosen,
        "proportion": proportion,
        "size": size,
        "multiple_of": multiple_of,
        "validation": validation,
        "seed": seed,
        "sampling": sampling,
    }
    order = [name for name in ("train", "validation", "test") if name in pools]
    return Dataset(
        same_channels({name: pools[name] for name in order}),
        names,
        np.array(chosen, np.int64),
        source.name,
        options,
    )


def _pool(source: Source, part: Part, chosen: Sequence[int]) -> Part:
    """The readable images of the chosen classes, labels renumbered 0...n-1."""
    new_label = np.full(len(source.class_names), -1, np.int64)
    for label, number in enumerate(chosen):
        new_label[source.class_numbers.index(number)] = label
    labels = new_label[part.labels]
    wanted = select(part, np.flatnonzero(labels >= 0))
    return Part(wanted.images, new_label[wanted.labels], wanted.source_index)


def _check_known(source: Source, chosen: Sequence[int]) -> None:
    if not chosen:
        raise UsageError("no classes were chosen: expected at least one")
    unknown = [number for number in chosen if number not in source.class_numbers]
    if unknown:
        raise UsageError(f"{source.name} has no class {unknown[0]}")


def _check_full(labels: np.ndarray, names: Sequence[str], message: str) -> None:
    counts = np.bincount(labels, minlength=len(names))
    if not counts.all():
        raise TlcliError(message.format(repr(names[int(np.argmin(counts))])))
