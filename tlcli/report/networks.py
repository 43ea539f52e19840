"""The convergence of single networks: a figure each of loss, training and test accuracy (document 003)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tlcli.report import drawing, style
from tlcli.report.document import Answer, Chart, Column, Section, Table
from tlcli.report.gather import Study, by, last, sizes_of
from tlcli.report.words import clean, count, number, percent, plural
from tlcli.store.records import Checkpoint

MOST = 8
"""Networks with a figure of their own; a study of more shows its arms side by side instead."""
FEWEST_FOR_A_TURN = 5
"""Measurements of a loss from which to say that it has turned."""
QUANTITIES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")


@dataclass
class Network:
    """One network or the repetitions of one: its name, what it was trained on, and its histories."""

    name: str
    histories: list[dict[str, np.ndarray]]
    size: int = 0
    architecture: str = ""


def networks(study: Study) -> list[Network]:
    """The bases, then every arm at every size where these are few."""
    found = [
        Network(
            _base_name(c.provenance.name, i), [c.history], _training_images(study, c), clean(c.architecture)
        )
        for i, c in enumerate(study.checkpoints)
        if len(c.history.get("samples_seen", ())) > 1
    ]
    cells = by(
        [e for e in study.entries if len(e.run.history.get("samples_seen", ())) > 1],
        lambda e: (e.task, e.variant, e.arm, e.size),
    )
    if len(cells) + len(found) > MOST:
        return found
    several = len(sizes_of(study.entries)) > 1
    for (_, variant, arm, size), group in cells.items():
        name = arm + (f", {count(size)} images" if several else "") + (f", {variant}" if variant else "")
        found.append(
            Network(name, [e.run.history for e in group], size, clean(group[0].identity.architecture))
        )
    return found


def _bases(study: Study) -> int:
    return sum(len(c.history.get("samples_seen", ())) > 1 for c in study.checkpoints)


def section(study: Study) -> Section | None:
    """A figure per network, and the table of where each ended."""
    found = networks(study)
    if not found:
        return None
    d = study.digits
    part = Section("networks", "Convergence, network by network")
    bases = found[: _bases(study)]
    if len(bases) > MOST:
        part.title = "The base networks"
        found = bases
    else:
        part.blocks += [_chart(n, i, d) for i, n in enumerate(found)]
    part.blocks.insert(0, _table(found, d))
    part.discussion = [_ends(found, d)]
    if not study.entries:
        part.answer = Answer(
            _answer(bases, d), next((b for b in part.blocks if isinstance(b, Chart)), None), 1
        )
    return part


def _chart(network: Network, index: int, digits: int) -> Chart:
    runs = len(network.histories)
    caption = f"{network.name}: loss and accuracy during training, on training and test images."
    if runs > 1:
        caption += f" Mean over {plural(runs, 'run')}; the bands are one standard deviation."
    alt = f"Convergence of {network.name}. {_end(network, digits)}"
    return Chart(f"network-{index + 1}", caption, alt, partial(draw, network))


def draw(network: Network, columns: int) -> Any:
    """Loss and accuracy over samples seen, and over epochs where the number of training images is known."""
    from matplotlib.lines import Line2D

    figure, (loss, accuracy) = drawing.grid(2, columns, height=2.6, legend=0.3)
    _panel(loss, network, "loss", 1.0)
    _panel(accuracy, network, "accuracy", 100.0)
    loss.set_ylabel("loss (nats)")
    loss.set_ylim(bottom=0)
    accuracy.set_ylabel("accuracy (%)")
    accuracy.set_ylim(top=min(accuracy.get_ylim()[1], 100.8))
    lines = [Line2D([], [], color=style.TRAIN, linestyle=(0, (5, 2))), Line2D([], [], color=style.TEST)]
    drawing.legend_on_top(figure, lines, ["training images", "test images"], columns=2)
    return figure


def _panel(ax: Any, network: Network, quantity: str, scale: float) -> None:
    for side, colour, line in (("train", style.TRAIN, (0, (5, 2))), ("test", style.TEST, "-")):
        seen, values = matrix(network.histories, f"{side}_{quantity}")
        if not len(values):
            continue
        mean = scale * values.mean(axis=0)
        few = len(seen) < FEWEST_FOR_A_TURN
        ax.plot(seen / 1000, mean, color=colour, linestyle=line, marker="o" if few else None)
        if len(values) > 1:
            sd = scale * values.std(axis=0, ddof=1)
            ax.fill_between(seen / 1000, mean - sd, mean + sd, color=colour, alpha=0.18, lw=0)
    ax.set_xlabel("samples seen (thousands)")
    if network.size:
        epochs = ax.secondary_xaxis("top", functions=_epochs(network.size))
        epochs.set_xlabel("epochs")
        epochs.xaxis.get_major_locator().set_params(integer=True)


def _epochs(size: int) -> tuple[Any, Any]:
    return (lambda x: x * 1000 / size), (lambda x: x * size / 1000)


def matrix(histories: Sequence[dict[str, np.ndarray]], quantity: str) -> tuple[np.ndarray, np.ndarray]:
    """Samples seen, and one row per run of a quantity that was measured throughout (else no rows)."""
    have = [h for h in histories if len(h.get(quantity, ())) == len(h["samples_seen"])]
    have = [h for h in have if np.isfinite(h[quantity]).all()]
    if not have:
        return np.zeros(0), np.zeros((0, 0))
    seen = max((h["samples_seen"] for h in have), key=len)
    rows = [np.interp(seen, h["samples_seen"], h[quantity]) for h in have]
    return np.asarray(seen, np.float64), np.asarray(rows)


def _table(found: Sequence[Network], digits: int) -> Table:
    rows = []
    for n in found:
        row: dict[str, Any] = {
            "name": n.name,
            "architecture": n.architecture,
            "runs": len(n.histories),
            "size": n.size or None,
            "samples": int(max(h["samples_seen"][-1] for h in n.histories)),
        }
        for q in QUANTITIES:
            mean = _last_mean(n, q)
            row[q] = mean if mean is None or "loss" in q else 100 * mean
        rows.append(row)
    columns = [
        Column("name", "network"),
        Column("architecture", "architecture"),
        Column("runs", "runs", "count"),
        Column("size", "training images", "count"),
        Column("samples", "samples seen", "count"),
        Column("train_loss", "training loss", "number", 3),
        Column("test_loss", "test loss", "number", 3),
        Column("train_accuracy", "training accuracy (%)", "percent", digits),
        Column("test_accuracy", "test accuracy (%)", "percent", digits),
    ]
    return Table(
        "networks",
        "Where each network ended (means over its runs).",
        columns,
        rows,
        note="Training loss and accuracy are averages over the last stretch of training: of the network as "
        "it changed, on the images as it saw them (augmented, where they were).",
    )


def _end(network: Network, digits: int) -> str:
    train, test = (_last_mean(network, q) for q in ("train_accuracy", "test_accuracy"))
    sentences = []
    if train is not None:
        sentences.append(
            f"Over its last stretch of training it gets {percent(train, digits)} of the images right, as it "
            "saw them then."
        )
    if test is not None:
        sentences.append(f"It ends with test accuracy {percent(test, digits)}.")
    return " ".join(filter(None, [*sentences, _turn(network)]))


def _last_mean(network: Network, quantity: str) -> float | None:
    values = [v for h in network.histories if (v := last(h, quantity)) is not None]
    return float(np.mean(values)) if values else None


def _turn(network: Network) -> str:
    """Whether the test loss, smoothed over a tenth of the training, has clearly turned up again."""
    seen, values = matrix(network.histories, "test_loss")
    if len(seen) < FEWEST_FOR_A_TURN:
        return ""
    window = max(1, values.shape[1] // 10)
    smooth = np.convolve(values.mean(axis=0), np.ones(window) / window, "valid")
    lowest, end = float(smooth.min()), float(smooth[-1])
    if end > 1.1 * lowest and end - lowest > 0.01:
        at = int(smooth.argmin()) + window - 1
        _, accuracy = matrix(network.histories, "test_accuracy")
        fallen = accuracy.shape[1] != len(seen) or accuracy.mean(axis=0)[-1] < accuracy.mean(axis=0)[at]
        return (
            f"Its test loss is lowest ({number(lowest, 3)}) after about {count(seen[at])} samples and has "
            f"risen to {number(end, 3)} by the end, a sign of over-fitting"
            f"{'' if fallen else ', though its test accuracy has not fallen'}."
        )
    return "Its test loss has not clearly turned up again."


def _ends(found: Sequence[Network], digits: int) -> str:
    if len(found) > MOST:
        ends = [v for n in found for h in n.histories if (v := last(h, "test_accuracy")) is not None]
        return (
            f"The {len(found)} networks end with test accuracies from {percent(min(ends), digits)} to "
            f"{percent(max(ends), digits)}, {percent(float(np.mean(ends)), digits)} on average."
        )
    return " ".join(f"{n.name}: {_lower(_end(n, digits))}" for n in found)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _answer(bases: Sequence[Network], digits: int) -> str:
    texts = []
    for n in bases[:2]:
        test = _last_mean(n, "test_accuracy")
        samples = count(max(h["samples_seen"][-1] for h in n.histories))
        if test is not None:
            texts.append(f"{n.name} reaches {percent(test, digits)} test accuracy after {samples} samples.")
    return " ".join(texts) + " These files hold no transfer to compare with."


def _base_name(name: str, index: int) -> str:
    stem = clean(name).removesuffix(".h5") if name else str(index + 1)
    return stem if stem.startswith("base") else f"base {stem}"


def _training_images(study: Study, checkpoint: Checkpoint) -> int:
    """The training images of a base: those of its dataset if that is here, else samples seen by epochs."""
    parents = {p.content_sha256 for p in checkpoint.provenance.parents}
    for d in study.datasets:
        if d.provenance.content_sha256 in parents:
            return len(d.train)
    epochs = checkpoint.recipe.get("epochs")
    return round(checkpoint.samples_seen / epochs) if epochs else 0
