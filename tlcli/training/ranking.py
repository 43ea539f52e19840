"""Rank bases for a target by scores of their embeddings, without training."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tlcli.analysis import transferability
from tlcli.errors import TlcliError, UsageError
from tlcli.models.network import HEAD
from tlcli.store.records import Checkpoint, Dataset, Provenance, Ranking, Results, Target
from tlcli.training.compatible import target_name
from tlcli.training.computing import describe_computing
from tlcli.training.embedding import embed, require_shape, trained_precision
from tlcli.training.order import require_seeds
from tlcli.training.watch import Progress, ProgressCallback


def rank(
    bases: Sequence[Checkpoint],
    target: Dataset,
    *,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> Results:
    """Score bases for a target by the embeddings of its training images; the test part is not used.

    Args:
        bases: Networks that take images of the target's size.
        target: The target; of more than 4,000 training images, a stratified sample of 4,000 is used.
        seed: The seed of the sample, and of the folds of the cross-validation.
        progress: Takes a `Progress` as images are embedded.

    Returns:
        Results with `rankings`, in the order of the bases.

    Raises:
        UsageError: Two bases have one name.
        TlcliError: The images do not fit a base, or a class has too few.
    """
    require_seeds(seed)
    names = [base.provenance.name for base in bases]
    if twice := sorted(name for name in set(names) if name and names.count(name) > 1):
        raise UsageError(f"Two bases are called {twice[0]!r}; give them different file names.")
    for base in bases:
        require_shape(base, target)
    train = dataclasses.replace(target, parts={"train": target.train})
    rankings = []
    for number, base in enumerate(bases):

        def report(done: Progress, before: int = number * len(train.train)) -> None:
            if progress:
                progress(Progress(before + done.done, len(bases) * len(train.train), done.doing))

        rankings.append(_ranking(base, train, target_name(target), seed, report))
    precision = max(map(trained_precision, bases))  # `mixed` where one of them is
    known = Target(
        target_name(target),
        target.provenance.content_sha256,
        len(target.train),
        target.class_names,
        target.test.labels,
        target.test.source_index,
        target.source,
        " ".join(target.notes),
    )
    return Results(
        [],
        {known.name: known},
        {"seed": seed},
        Provenance(computed_by=describe_computing(precision)),
        rankings=rankings,
    )


def _ranking(base: Checkpoint, target: Dataset, name: str, seed: int, report: ProgressCallback) -> Ranking:
    embeddings = embed(base, target, progress=report)
    features, labels = embeddings.parts["train"].embeddings, embeddings.parts["train"].labels
    logits = None
    if base.class_names:
        logits = features @ base.weights[f"{HEAD}/kernel"] + base.weights.get(f"{HEAD}/bias", 0)
    try:
        scores = transferability.score(features, labels, logits, seed)
    except np.linalg.LinAlgError:
        scores = None
    if scores is None or not np.isfinite([scores.log_me, scores.h_score]).all():
        raise TlcliError(f"{base.provenance.name} gives embeddings that cannot be scored.")
    return Ranking(
        dataset=name,
        size=len(labels),
        base=base.provenance.name,
        base_sha256=base.provenance.content_sha256,
        architecture=base.architecture,
        layer=embeddings.layer,
        width=features.shape[1],
        images=min(len(labels), transferability.MOST),
        **dataclasses.asdict(scores),
    )
