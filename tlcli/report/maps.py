"""Embeddings in two dimensions, by class: principal components, and t-SNE."""

from __future__ import annotations

from functools import partial
from inspect import signature
from typing import Any

import numpy as np

from tlcli.report import drawing, style
from tlcli.report.document import Answer, Chart, Column, Section, Table
from tlcli.report.gather import Study
from tlcli.report.words import clean, count, listing, number
from tlcli.store.records import Embeddings

MOST_POINTS = 750
MOST_MAPS = 3
SEED = 0
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
PALETTE = (*style.OKABE_ITO, style.CONTROL)


def section(study: Study) -> Section | None:
    """A map per embeddings file, with the share of variance that the first two components hold."""
    if not study.embeddings:
        return None
    part = Section("map", "A map of the embeddings")
    for i, embeddings in enumerate(study.embeddings[:MOST_MAPS]):
        points, labels = sample(embeddings)
        if len(points) < 3:
            continue
        flat, share = principal(points)
        name = clean(embeddings.provenance.name or f"embeddings {i + 1}")
        neighbours = _near(points, labels)
        panels = [("principal components", flat)]
        if (apart := t_sne(points)) is not None:
            panels.append(("t-SNE", apart))
        text = (
            f"In {name} (layer {clean(embeddings.layer)}{', mirrored' * embeddings.mirrored}, "
            f"{points.shape[1]} dimensions), "
            f"{number(100 * neighbours, 1)} % of the images shown have a nearest neighbour of their own "
            f"class; two principal components hold {number(100 * share, 0)} % of the variance."
        )
        names = [clean(n) for n in embeddings.class_names]
        caption = (
            f"{name}: {count(len(points))} test images by their embedding, "
            f"{listing([t for t, _ in panels])}, colour and symbol by class. Distances between groups mean "
            f"little in t-SNE (perplexity {_perplexity(len(points))}, seed {SEED})."
        )
        part.blocks.append(
            Chart(
                f"map-{i + 1}",
                caption,
                f"Scatter of embeddings by class. {text}",
                partial(draw, panels, labels, names),
            )
        )
        part.blocks.append(_data(panels, labels, names, f"map-{i + 1}"))
        part.discussion.append(text)
    if not part.blocks:
        return None
    chart = part.blocks[0]
    part.answer = Answer(part.discussion[0], chart if isinstance(chart, Chart) else None, 0)
    return part


def sample(embeddings: Embeddings) -> tuple[np.ndarray, np.ndarray]:
    """At most MOST_POINTS test images (else training images), the same each time: float64 N x D, int N."""
    part = embeddings.parts.get("test") or next(iter(embeddings.parts.values()))
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(part))[:MOST_POINTS])
    return np.asarray(part.embeddings)[chosen].astype(np.float64), np.asarray(part.labels)[chosen]


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
    """t-SNE (van der Maaten & Hinton 2008) of 50 principal components, on one thread so that it repeats."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if len(points) < 10 or not np.ptp(points, axis=0).any():
        return None
    flat, _ = principal(points, 50)
    steps = (
        "max_iter" if "max_iter" in signature(TSNE).parameters else "n_iter"
    )  # its name before scikit-learn 1.5
    settings = {"perplexity": _perplexity(len(points)), "init": "pca", "random_state": SEED, steps: 500}
    with threadpool_limits(1):
        return TSNE(**settings).fit_transform(flat)


def _perplexity(n: int) -> int:
    return int(max(2, min(30, (n - 1) // 3)))


def _near(points: np.ndarray, labels: np.ndarray) -> float:
    """The share of points whose nearest neighbour has their class."""
    squares = (points**2).sum(axis=1)
    distances = squares[:, None] - 2 * points @ points.T + squares[None]
    np.fill_diagonal(distances, np.inf)
    return float((labels[distances.argmin(axis=1)] == labels).mean())


def draw(panels: list[tuple[str, np.ndarray]], labels: np.ndarray, names: list[str], columns: int) -> Any:
    """A panel per projection; the points as one picture in the SVG, so that the page stays small."""
    from matplotlib.lines import Line2D

    shown = sorted(set(labels.tolist()))
    width = drawing.width_for(columns, len(panels))
    texts = [names[c] if c < len(names) else str(c) for c in shown]
    legend = texts if len(shown) <= 20 else []
    room, legend_columns = drawing.legend_room(legend, width)
    figure, axes = drawing.grid(len(panels), columns, height=3.3, legend=room, width=width)
    for ax, (title, flat) in zip(axes, panels, strict=True):
        for c in shown:
            mine = flat[labels == c]
            ax.plot(
                mine[:, 0],
                mine[:, 1],
                linestyle="none",
                rasterized=True,
                alpha=0.8,
                markeredgewidth=0,
                ms=3.4,
                marker=_marker(c),
                color=PALETTE[c % len(PALETTE)],
            )
        ax.set_title(title)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.grid(visible=False)
    handles = [
        Line2D([], [], linestyle="none", marker=_marker(c), color=PALETTE[c % len(PALETTE)]) for c in shown
    ]
    if legend:
        drawing.legend_on_top(figure, handles, legend, columns=legend_columns)
    return figure


def _marker(c: int) -> str:
    return MARKERS[c % len(MARKERS)]


def _data(panels: list[tuple[str, np.ndarray]], labels: np.ndarray, names: list[str], id: str) -> Table:
    columns = [Column("class", "class")]
    for title, _ in panels:
        columns += [Column(f"{title} {axis}", f"{title} {axis}", "number", 3) for axis in ("x", "y")]
    rows = []
    for i, c in enumerate(labels.tolist()):
        row: dict[str, Any] = {"class": names[c] if c < len(names) else str(c)}
        for title, flat in panels:
            row |= {f"{title} x": float(flat[i, 0]), f"{title} y": float(flat[i, 1])}
        rows.append(row)
    return Table(id, "The points of the map.", columns, rows, shown=False)
