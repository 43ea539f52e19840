"""Embeddings in two dimensions, by class: principal components, and t-SNE."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from inspect import signature
from typing import Any

import numpy as np

from tlcli.report import thumbnails
from tlcli.report.document import Block, Chart, Column, Table, Text, rows_of
from tlcli.report.plots.single import draw_scatter
from tlcli.report.registry import section
from tlcli.report.study import Study
from tlcli.report.words import clean, count, listing, number
from tlcli.store.records import Embeddings

MOST_POINTS = 750
MOST_MAPS = 3
SEED = 0


@section("map", "A map of the embeddings", order=28, per_task=False)
def maps(study: Study, task: None) -> Iterable[Block]:
    """A map per embeddings file, with the share of variance that the first two components hold."""
    for i, embeddings in enumerate(study.embeddings[:MOST_MAPS]):
        points, labels, indices = sample(embeddings)
        if len(points) < 3:
            continue
        panels, share, near = flatten(points, labels)
        name = clean(embeddings.provenance.name or f"embeddings {i + 1}")
        text = (
            f"In {name} (layer {clean(embeddings.layer)}{', mirrored' * embeddings.mirrored}, "
            f"{points.shape[1]} dimensions), "
            f"{number(100 * near, 1)} % of the images shown have a nearest neighbour of "
            f"their own class; two principal components hold {number(100 * share, 0)} % of the variance."
        )
        names = [clean(n) for n in embeddings.class_names]
        caption = (
            f"{name}: {count(len(points))} test images by their embedding, "
            f"{listing([t for t, _ in panels])}, colour and symbol by class. Distances between groups mean "
            f"little in t-SNE (perplexity {_perplexity(len(points))}, seed {SEED})."
        )
        draw = partial(draw_scatter, panels, labels, names)
        images = _images(study, labels, indices)
        sheet = None if images is None else partial(_sheet, images)
        yield Chart(f"map-{i + 1}", caption, f"Scatter of embeddings by class. {text}", draw, sheet)
        yield _data(panels, labels, indices, names, name, f"map-{i + 1}")
        yield Text(text)


def sample(embeddings: Embeddings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At most MOST_POINTS test images (else training images), the same each time.

    Returns:
        Their embeddings (float64, N x D), labels and positions in the published set (int, N).
    """
    part = embeddings.parts.get("test") or next(iter(embeddings.parts.values()))
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(part))[:MOST_POINTS])
    points = np.asarray(part.embeddings)[chosen].astype(np.float64)
    return points, np.asarray(part.labels)[chosen], np.asarray(part.source_index)[chosen]


def _images(study: Study, labels: np.ndarray, indices: np.ndarray) -> np.ndarray | None:
    """The images at these positions in the published set (uint8, N x H x W x C), if a data set has all."""
    for dataset in study.datasets:
        for part in dataset.parts.values():
            places = {index: i for i, index in enumerate(np.asarray(part.source_index).tolist())}
            found = [places.get(index, -1) for index in indices.tolist()]
            if min(found) >= 0 and np.array_equal(np.asarray(part.labels)[found], labels):
                return np.asarray(part.images[np.array(found)])
    return None


def _sheet(images: np.ndarray) -> dict[str, Any]:
    return {"sheet": thumbnails.sheet(images)}


def flatten(points: np.ndarray, labels: np.ndarray) -> tuple[list[tuple[str, np.ndarray]], float, float]:
    """Both projections, the variance of two components, and the share of points beside one of their class.

    On one thread, so that equal points give equal maps on any machine, and no thread waits for another.
    """
    # Only libraries that are loaded already are limited.
    import sklearn.manifold  # noqa: F401
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        flat, share = principal(points)
        panels = [("principal components", flat)]
        if (apart := t_sne(points)) is not None:
            panels.append(("t-SNE", apart))
        return panels, share, _near(points, labels)


def principal(points: np.ndarray, dimensions: int = 2) -> tuple[np.ndarray, float]:
    """The first principal components, and the share of the variance that two hold; signs are fixed."""
    centred = points - points.mean(axis=0)
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    dimensions = min(dimensions, len(sizes))
    largest = np.abs(right[:dimensions]).argmax(axis=1)
    signs = np.sign(right[np.arange(dimensions), largest])
    flat = left[:, :dimensions] * sizes[:dimensions] * np.where(signs == 0, 1, signs)
    if flat.shape[1] < 2:
        flat = np.hstack([flat, np.zeros((len(flat), 2 - flat.shape[1]))])
    total = float((sizes**2).sum())
    return flat, float((sizes[:2] ** 2).sum() / total) if total > 0 else 1.0


def t_sne(points: np.ndarray) -> np.ndarray | None:
    """t-SNE (van der Maaten & Hinton 2008) of 50 principal components."""
    from sklearn.manifold import TSNE

    if len(points) < 10 or not np.ptp(points, axis=0).any():
        return None
    flat, _ = principal(points, 50)
    steps = (
        "max_iter" if "max_iter" in signature(TSNE).parameters else "n_iter"
    )  # its name before scikit-learn 1.5
    settings = {"perplexity": _perplexity(len(points)), "init": "pca", "random_state": SEED, steps: 500}
    return TSNE(**settings, n_jobs=1).fit_transform(flat)


def _perplexity(n: int) -> int:
    return int(max(2, min(30, (n - 1) // 3)))


def _near(points: np.ndarray, labels: np.ndarray) -> float:
    """The share of points whose nearest neighbour has their class."""
    squares = (points**2).sum(axis=1)
    distances = squares[:, None] - 2 * points @ points.T + squares[None]
    np.fill_diagonal(distances, np.inf)
    return float((labels[distances.argmin(axis=1)] == labels).mean())


def _data(
    panels: list[tuple[str, np.ndarray]],
    labels: np.ndarray,
    indices: np.ndarray,
    names: list[str],
    name: str,
    id: str,
) -> Table:
    classes = [names[c] if c < len(names) else str(c) for c in labels.tolist()]
    columns = [
        Column("embeddings", "embeddings", value=lambda i: name),
        Column("class", "class", value=classes.__getitem__),
        Column("source_index", "position in the published set", "count", value=indices.__getitem__),
    ]
    for title, flat in panels:
        for k, axis in enumerate(("x", "y")):
            place = flat[:, k].tolist().__getitem__
            columns.append(Column(f"{title} {axis}", f"{title} {axis}", "number", 3, value=place))
    rows = rows_of(columns, range(len(labels)))
    return Table(id, "The points of the map.", columns, rows, shown=False, file="map")
