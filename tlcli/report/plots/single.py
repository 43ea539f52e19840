"""The figures of single networks, embeddings and images, and of the layer study."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from tlcli.report import drawing, style
from tlcli.report.study import Cell, Entry
from tlcli.report.study.curves import curve
from tlcli.report.study.entry import CONTROL
from tlcli.report.study.layers import BASE, NOTHING, SERIES, LayerStudy
from tlcli.report.words import number, plural
from tlcli.store.records import Part

if TYPE_CHECKING:
    from tlcli.report.sections.networks import NetworkCurves
    from tlcli.report.sections.pictures import Row

MOST_WRITTEN = 12
"""The most classes of a confusion matrix with numbers."""
PICTURES = 10
"""Pictures in a row."""
MOST_CLASSES = 20
"""The most classes of a map with a legend."""
SIDES: dict[str, dict[str, Any]] = {
    "train": {"color": style.TRAIN, "ls": (0, (5, 2))},
    "test": {"color": style.TEST, "ls": "-"},
}
"""The lines of training and test images."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")


def draw_confusion(cell: Cell, classes: Sequence[str], columns: int) -> Any:
    """Rows in percent, stronger for more; right answers in blue, wrong ones in orange."""
    del columns
    assert cell.confusion is not None
    share = 100 * cell.confusion / np.maximum(cell.confusion.sum(axis=1, keepdims=True), 1)
    n = len(share)
    names = [x if len(x) <= 14 else x[:13] + "…" for x in classes]
    side = float(np.clip(1.6 + 0.42 * n, 3.0, 6.2))
    figure, (ax,) = drawing.grid(1, 1, height=side, width=min(side + 0.9, drawing.WIDE))
    ax.imshow(_colours(share), interpolation="nearest", aspect="equal")
    if n <= MOST_WRITTEN:
        for i, j in np.ndindex(n, n):
            if share[i, j] >= 0.05 or i == j:
                strong = share[i, j] > (55 if i == j else 40)
                ink = "#ffffff" if strong else style.INK
                size = 8 if n <= 8 else 6.5
                ax.text(j, i, number(share[i, j], 1), ha="center", va="center", fontsize=size, color=ink)
    step = 1 if n <= 25 else -(-n // 25)
    crowded = max(map(len, names)) * 0.085 > (side - 1) * step / n
    ax.set_xticks(range(0, n, step), names[::step], rotation=90 if crowded else 0)
    ax.set_yticks(range(0, n, step), names[::step])
    ax.grid(visible=False)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    return figure


def _colours(share: np.ndarray) -> np.ndarray:
    """uint8 RGBA: blue on the diagonal, orange (steeper) beside it, the more opaque the more there are."""
    from matplotlib.colors import to_rgb

    right = np.eye(len(share), dtype=bool)
    depth = np.where(right, share / 100, np.sqrt(share / 100))[..., None]
    hue = 255 * np.where(right[..., None], to_rgb(style.colour("blue")), to_rgb(style.colour("vermillion")))
    return np.round(np.concatenate([hue, 255 * np.clip(depth, 0, 1)], axis=2)).astype(np.uint8)


def draw_pictures(part: Part, rows: Sequence[Row], names: Sequence[str], columns: int) -> Any:
    """All pictures of a row beside one another, on a phone five to a line."""
    from matplotlib.figure import Figure

    across = PICTURES if columns > 1 else PICTURES // 2
    lines = sum(-(-len(r.positions) // across) for r in rows)
    width = drawing.WIDE if columns > 1 else drawing.NARROW
    cell = width / across
    answers = [
        len(names[int(part.labels[i])]) + len(a)
        for r in rows
        for i, a in zip(r.positions, r.answers, strict=True)
    ]
    two = max(answers, default=2) > 8
    label = 0.34 if two else 0.2
    height = len(rows) * 0.3 + lines * (0.86 * cell + label + 0.06)
    figure = Figure(figsize=(width, height))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.axis("off")
    y = 0.0
    for r in rows:
        head = f"{r.right} right, {r.wrong} wrong"
        ax.text(0.04, y + 0.19, head, fontsize=9.5, fontweight="bold", color=style.INK)
        y += 0.3
        for start in range(0, len(r.positions), across):
            for k, i in enumerate(r.positions[start : start + across]):
                _draw_picture(ax, part, int(i), k * cell + 0.03, y, 0.86 * cell)
                text = f"{names[int(part.labels[i])]}{chr(10) if two else ' '}→ {r.answers[start + k]}"
                ax.text(
                    k * cell + 0.03, y + 0.86 * cell + 0.03, text, fontsize=7.5, va="top", color=style.INK
                )
            y += 0.86 * cell + label + 0.06
    return figure


def _draw_picture(ax: Any, part: Part, index: int, x: float, y: float, side: float) -> None:
    image = np.asarray(part.images[index : index + 1])[0]
    ax.imshow(
        image[..., 0] if image.shape[-1] == 1 else image[..., :3],
        extent=(x, x + side, y + side, y),
        cmap="gray",
        vmin=0,
        vmax=255,
        interpolation="nearest",
        aspect="auto",
    )


def draw_neighbours(panels: Sequence[Sequence[Entry]], columns: int) -> Any:
    """Accuracy against k, a panel for each size and arm."""
    legend = [("leave-one-out on training images", SIDES["train"]), ("test images", SIDES["test"])]
    figure, axes = drawing.grid(len(panels), columns, height=2.5, legend=legend, sharey=True)
    for ax, entries in zip(axes, panels, strict=True):
        _draw_neighbours_panel(ax, entries)
        e = entries[0]
        where = plural(e.size, "training image") + (f", {e.variant}" if e.variant else "")
        ax.set_title(f"{fill(where, 40)}\n{fill(e.arm, 40)}", fontsize=8.5)
        ax.set_xlabel("k, neighbours")
        ax.set_ylabel("accuracy (%)")
        ax.tick_params(labelleft=True)
    return figure


def _draw_neighbours_panel(ax: Any, entries: Sequence[Entry]) -> None:
    """The mean curves over the training sets, and the chosen k of each."""
    k = entries[0].search.ks
    picked = sorted({e.chosen_position for e in entries})
    for side, values in (
        ("train", [e.search.cv_accuracies for e in entries if len(e.search.cv_accuracies)]),
        ("test", [e.search.test_accuracies for e in entries]),
    ):
        if values:
            mean = 100 * np.mean(values, axis=0)
            ax.plot(k, mean, **SIDES[side])
            size = 6 if len(picked) == 1 else 4
            ax.plot(k[picked], mean[picked], "o", color=SIDES[side]["color"], ms=size)
    for i in picked:
        ax.axvline(k[i], color=style.MUTED, lw=0.9, zorder=0)
    end, ks = k[picked[-1]], [int(k[i]) for i in picked]
    early = end < 0.7 * k[-1]
    ax.annotate(
        f"k = {ks[0]}" if len(ks) == 1 else f"k = {ks[0]} to {ks[-1]}",
        (end, 0.03),
        xycoords=("data", "axes fraction"),
        xytext=(4 if early else -4, 0),
        textcoords="offset points",
        fontsize=8.5,
        color=style.INK,
        ha="left" if early else "right",
    )


def draw_scatter(
    panels: Sequence[tuple[str, np.ndarray]], labels: np.ndarray, names: Sequence[str], columns: int
) -> Any:
    """A panel per projection. Each point has its class as tip, and the script finds its image by number."""
    classes = sorted(set(labels.tolist()))
    texts = {c: names[c] if c < len(names) else str(c) for c in classes}
    looks: dict[int, dict[str, Any]] = {
        c: {"marker": MARKERS[c % len(MARKERS)], "color": style.CLASSES[c % len(style.CLASSES)], "ls": "none"}
        for c in classes
    }
    legend = [(texts[c], looks[c]) for c in classes] if len(classes) <= MOST_CLASSES else []
    figure, axes = drawing.grid(len(panels), columns, height=3.3, legend=legend)
    for ax, (title, flat) in zip(axes, panels, strict=True):
        for c in classes:
            mine = np.flatnonzero(labels == c)
            (points,) = ax.plot(flat[mine, 0], flat[mine, 1], alpha=0.8, mew=0, ms=3.4, **looks[c])
            drawing.tag(points, tips=[texts[c]], images=mine.tolist())
        ax.set(title=title, xticks=[], yticks=[])
        ax.grid(visible=False)
    return figure


def draw_network(found: NetworkCurves, columns: int) -> Any:
    """Loss and accuracy over images seen, and over epochs if the number of training images is known."""
    legend = [("training images", SIDES["train"]), ("test images", SIDES["test"])]
    figure, (loss, accuracy) = drawing.grid(2, columns, height=2.6, legend=legend)
    _draw_network_panel(loss, found, "loss", 1.0)
    _draw_network_panel(accuracy, found, "accuracy", 100.0)
    loss.set_ylabel("loss (nats)")
    loss.set_ylim(bottom=0)
    accuracy.set_ylabel("accuracy (%)")
    accuracy.set_ylim(top=min(accuracy.get_ylim()[1], 100.8))
    return figure


def _draw_network_panel(ax: Any, found: NetworkCurves, quantity: str, scale: float) -> None:
    for side, look in SIDES.items():
        measured = curve(found.histories, f"{side}_{quantity}", 1)
        if measured is None:
            continue
        seen, mean, sd = measured.seen / 1000, scale * measured.mean, scale * measured.sd
        ax.plot(seen, mean, marker="o" if len(seen) < 5 else None, **look)
        if sd.any():
            ax.fill_between(seen, mean - sd, mean + sd, color=look["color"], alpha=0.18, lw=0)
    ax.set_xlabel("images seen (thousands)")
    if size := found.size:
        epochs = ax.secondary_xaxis("top", functions=(lambda x: x * 1000 / size, lambda x: x * size / 1000))
        epochs.set_xlabel("epochs")
        epochs.xaxis.get_major_locator().set_params(integer=True)


def draw_layers(study: LayerStudy, columns: int) -> Any:
    """Accuracy against n with base and control as lines, and the difference from the base."""
    series = [s for s in SERIES.values() if s in study.values]
    lines = series + [BASE] * bool(study.base) + [NOTHING] * bool(study.nothing)
    legend = [(line, _look(line)) for line in lines]
    figure, axes = drawing.grid(2 if study.base else 1, columns, height=3.0, legend=legend)
    if (base := study.summary(BASE)) is not None:
        axes[0].axhline(100 * base.mean, zorder=1, **_look(BASE))
        axes[1].axhline(0, zorder=1, **_look(BASE))
        axes[1].set_ylabel("difference from the base (points)")
    if (nothing := study.summary(NOTHING)) is not None:
        _draw_series(axes[0], NOTHING, 0, [(0, nothing.mean, nothing.interval)], study.digits, "%")
    for i, s in enumerate(series):
        dodge = 0.07 * (i - (len(series) - 1) / 2)
        stats = [(n, m) for n in study.depths if (m := study.summary(s, n)) is not None]
        means = [(n, m.mean, m.interval) for n, m in stats]
        _draw_series(axes[0], s, dodge, means, study.digits, "%")
        if study.base:
            drops = [(n, c) for n, _ in stats if (c := study.from_base(s, n)) is not None]
            points = [(n, c.difference, c.interval() if c.runs > 2 else None) for n, c in drops]
            _draw_series(axes[1], s, dodge, points, study.digits, "points")
    axes[0].set_ylabel("test accuracy on B (%)")
    first = 0 if study.nothing else study.depths[0]
    for ax in axes:
        ax.set_xticks([n for n in (0, *study.depths) if n >= first])
        ax.set_xlim(first - 0.5, study.depths[-1] + 0.5)
        ax.set_xlabel("n, layers copied")
    return figure


def _draw_series(
    ax: Any,
    s: str,
    dodge: float,
    values: Sequence[tuple[int, float, tuple[float, float] | None]],
    digits: int,
    unit: str,
) -> None:
    look = _look(s)
    x, y = [n + dodge for n, *_ in values], [100 * mean for _, mean, _ in values]
    (line,) = ax.plot(x, y, zorder=3, **look)
    names = [f"{s}, n = {n}" if n else s for n, *_ in values]
    drawing.tag(line, tips=[f"{t}: {number(v, digits)} {unit}" for t, v in zip(names, y, strict=True)])
    for xi, (_, _, interval) in zip(x, values, strict=True):
        if interval is not None:
            ax.plot([xi, xi], [100 * v for v in interval], color=look["color"], lw=1.1, zorder=2)


def _look(line: str) -> dict[str, Any]:
    """The look of the base, the control or a series: dashed and hollow from the own task."""
    if line == BASE:
        return {"color": style.INK, "lw": 1.4}
    method = next((method for (method, _), name in SERIES.items() if name == line), CONTROL)
    colour, marker = style.METHODS[method]
    own = {"ls": (0, (4, 2)), "mfc": style.PAPER} if line.startswith("B") else {}
    return {"color": colour, "marker": marker, **own}
