"""Check that a base, its targets and the arms of a grid fit each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tlcli.errors import TlcliError, UsageError
from tlcli.models.heads import HEAD_UNITS, with_head
from tlcli.store.records import Checkpoint, Dataset
from tlcli.training import augment
from tlcli.training.arms import Arm
from tlcli.training.base import require_classes, require_validation
from tlcli.training.embedding import require_shape
from tlcli.training.recipe import Recipe


def target_name(dataset: Dataset) -> str:
    """The name of a dataset in results: its file's name without `.h5`, or its content if it has no file."""
    name = dataset.provenance.name.removesuffix(".h5")
    return name or f"{dataset.source or 'dataset'}-n{len(dataset.train)}"


def relation(base: Checkpoint, dataset: Dataset) -> str:
    """`own` if the base was trained on the dataset's training images, with the same classes; else `other`.

    The published set and the positions in it identify images, so that a part of the base's task is `own`,
    too.
    """
    digest = dataset.provenance.content_sha256
    if digest and digest in {parent.content_sha256 for parent in base.provenance.parents}:
        return "own"
    same = bool(base.source) and base.source == dataset.source
    if not same or set(base.class_original) != set(dataset.class_original) or base.train_source_index is None:
        return "other"
    return "own" if np.isin(dataset.train.source_index, base.train_source_index).all() else "other"


def check_grid(
    base: Checkpoint,
    datasets: Sequence[Dataset],
    arms: Sequence[Arm],
    recipe: Recipe,
    source_data: Dataset | None,
    below_head: int,
    bn_statistics: str = "frozen",
) -> None:
    """Check that the parts of a grid fit each other, before the training.

    Raises:
        UsageError: Two datasets have one name, or options or methods exclude each other.
        TlcliError: Images or classes do not fit the base.
    """
    for dataset in [*datasets, *([source_data] if source_data else [])]:
        require_shape(base, dataset)
    augment.require_size(recipe.augmentation(), base.input_shape)
    for dataset in datasets:
        require_validation(recipe, dataset)
        require_classes(dataset)
    names = [target_name(d) for d in datasets]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"Two data sets are called {sorted(twice)[0]!r}; give them different file names.")
    if source_data is not None and not base.class_names:
        raise UsageError(
            "`source`: the base has no head, so its accuracy on the source task cannot be measured."
        )
    if source_data is not None and list(source_data.class_original) != list(base.class_original):
        raise TlcliError(
            "`source`: its classes are not those that the base was trained on "
            f"(received {len(source_data.class_names)}, expected {len(base.class_names)}: "
            f"{', '.join(base.class_names[:5])}, ...)."
        )
    if source_data is not None and HEAD_UNITS in base.options:
        raise UsageError("`source`: the base's head has hidden layers; expected a base with a linear head.")
    for arm in arms:
        if arm.choices and recipe.early_stopping:
            raise UsageError("`early_stopping` and alternatives (a|b) would choose on the same images.")
        for choice in arm.choices or (arm,):
            if bn_statistics == "moving" and any(phase.frozen_statistics for phase in choice.phases):
                raise UsageError(
                    f"`bn_statistics` moving: {arm.label} keeps the base's statistics (statistics=1)."
                )
            _check_arm(base, choice, recipe, source_data, below_head)


def _check_arm(
    base: Checkpoint, arm: Arm, recipe: Recipe, source_data: Dataset | None, below_head: int
) -> None:
    hidden = HEAD_UNITS in with_head(base.options, dict(arm.head))
    if HEAD_UNITS in base.options and not hidden:
        raise UsageError(
            f"{arm.label}: the base's head has hidden layers, and the base lacks the layers below a linear "
            "head; add all_layers=none, or name other `head_units`."
        )
    if any(phase.solve for phase in arm.phases) and (hidden or arm.copy != below_head):
        raise UsageError(
            f"{arm.label} solves for a linear head on the base's own features; leave out `head_units` and "
            "`copy`."
        )
    terms = [term for phase in arm.phases for term in phase.terms]
    if source_data is None and any(term.source_share for term in terms):
        raise UsageError(f"{arm.method} mixes in images of the source task; name them with `source`.")
    if HEAD_UNITS in base.options and any(term.needs_source_head for term in terms):
        raise UsageError(f"{arm.method} needs the base's own head, and that has hidden layers.")
    if not base.class_names and any(term.needs_source_head or term.needs_teacher for term in terms):
        raise UsageError(f"{arm.method} needs the base's own head, and this base has none (`headless`).")
    if "mixup" in recipe.augmentation() and any(term.needs_teacher for term in terms):
        raise UsageError(
            f"{arm.method} takes the base's logits of single images, and mixup mixes two; leave out mixup."
        )
    if any(phase.views for phase in arm.phases):
        augmentation = recipe.augmentation()
        if not augmentation or "mixup" in augmentation:
            raise UsageError(
                f"{arm.label} keeps augmented views of single images; name an augmentation with `augment` "
                "(not mixup, which mixes two images)."
            )
        if not any(phase.frozen for phase in arm.phases):
            raise UsageError(f"{arm.label} freezes no layer, so it keeps no views; leave out views=.")
