"""The convergence of single networks: a figure each of loss, training and test accuracy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from tlcli.report.columns import MEASURED
from tlcli.report.document import Block, Chart, Column, Table, Text, rows_of
from tlcli.report.plots.single import draw_network
from tlcli.report.registry import section
from tlcli.report.study import Study
from tlcli.report.study.curves import curve
from tlcli.report.study.entry import last
from tlcli.report.study.order import decimals
from tlcli.report.words import clean, count, number, percent, plural
from tlcli.store.records import Checkpoint

MOST = 8
"""The most networks with a figure each; a larger study compares its arms instead."""
FEWEST_FOR_A_TURN = 5
"""The fewest measurements that can show a turn of the loss."""


@dataclass
class NetworkCurves:
    """One network or its repetitions: its name, its training data, and its histories."""

    name: str
    histories: list[dict[str, np.ndarray]]
    digits: int
    """Decimals of its accuracies."""
    size: int = 0
    """Training images; 0 if unknown."""
    architecture: str = ""

    def end(self, quantity: str, scale: float = 1.0) -> float | None:
        """The mean of the last values of a quantity."""
        values = [v for h in self.histories if (v := last(h, quantity)) is not None]
        return scale * float(np.mean(values)) if values else None

    @property
    def samples(self) -> int:
        """Training images seen."""
        return int(max(h["samples_seen"][-1] for h in self.histories))


def bases(study: Study) -> list[NetworkCurves]:
    """The checkpoints that were measured more than once."""
    return [
        NetworkCurves(
            _base_name(c.provenance.name, i),
            [c.history],
            decimals(0 if c.test_predictions is None else len(c.test_predictions)),
            training_images(study, c),
            clean(c.architecture),
        )
        for i, c in enumerate(study.checkpoints)
        if len(c.history.get("samples_seen", ())) > 1
    ]


def networks(study: Study) -> list[NetworkCurves]:
    """The bases, then every arm at every size if these are few."""
    found = bases(study)
    cells = [
        (t, c, [e for e in c.runs if len(e.history.get("samples_seen", ())) > 1])
        for t in study.tasks
        for c in t.cells
    ]
    cells = [cell for cell in cells if cell[2]]
    if len(cells) + len(found) > MOST:
        return found
    for task, c, runs in cells:
        name = c.arm + (f", {count(c.size)} images" if len(task.sizes) > 1 else "")
        name += f", {c.variant}" if c.variant else ""
        name += f", {task.name}" if len(study.tasks) > 1 else ""
        architecture = clean(runs[0].identity.architecture)
        found.append(NetworkCurves(name, [e.history for e in runs], task.digits, c.size, architecture))
    return found


@section("networks", "Convergence, network by network", order=50, per_task=False, folded=True)
def section_of_networks(study: Study, task: None) -> Iterable[Block]:
    """A figure per network, and a table of the last values."""
    found = networks(study)
    if not found:
        return
    yield _table(found)
    if len(found) <= MOST:
        for i, n in enumerate(found):
            yield _chart(n, i)
            yield Text(f"{n.name}: {_lower(describe(n))}")
    else:
        ends = [v for n in found if (v := n.end("test_accuracy")) is not None]
        d = min(n.digits for n in found)
        yield Text(
            f"The {len(found)} networks end with test accuracies from {percent(min(ends), d)} to "
            f"{percent(max(ends), d)}."
        )


def _chart(network: NetworkCurves, index: int) -> Chart:
    runs = len(network.histories)
    caption = f"{network.name}: loss and accuracy during training, on training and test images."
    if runs > 1:
        caption += f" Mean over {plural(runs, 'run')}; the bands are one standard deviation."
    alt = f"Convergence of {network.name}. {describe(network)}"
    return Chart(f"network-{index + 1}", caption, alt, partial(draw_network, network))


def _table(found: Sequence[NetworkCurves]) -> Table:
    d = min(n.digits for n in found)
    columns = [
        Column("network", "network", value=lambda n: n.name),
        Column("architecture", "architecture", value=lambda n: n.architecture),
        Column("runs", "runs", "count", value=lambda n: len(n.histories)),
        Column("size", "training images", "count", value=lambda n: n.size or None),
        Column("samples", "images seen", "count", value=lambda n: n.samples),
    ]
    for quantity in ("train_loss", "test_loss", "train_accuracy", "test_accuracy"):
        label, kind, scale = MEASURED[quantity]
        end = partial(NetworkCurves.end, quantity=quantity, scale=scale)
        columns.append(Column(f"end_{quantity}", label, kind, 3 if kind == "number" else d, value=end))
    note = (
        "Training loss and accuracy are averages over the steps between the last two measurements, on "
        "the images that the network saw (augmented if the recipe says so)."
    )
    caption = "Last loss and accuracy of each network (means over its runs)."
    return Table("networks", caption, columns, rows_of(columns, found), note)


def describe(network: NetworkCurves) -> str:
    """The last values of a network, and whether it overfits."""
    test = network.end("test_accuracy")
    end = f"It ends with test accuracy {percent(test, network.digits)}." if test is not None else ""
    return " ".join(filter(None, [end, _turn(network)])) or "Its accuracy was not measured."


def _turn(network: NetworkCurves) -> str:
    """Whether the test loss, smoothed over a tenth of the training, has clearly turned up again."""
    loss = curve(network.histories, "test_loss", FEWEST_FOR_A_TURN)
    if loss is None:
        return ""
    window = max(1, len(loss.seen) // 10)
    smooth = np.convolve(loss.mean, np.ones(window) / window, "valid")
    lowest, end = float(smooth.min()), float(smooth[-1])
    if end > 1.1 * lowest and end - lowest > 0.01:
        at = int(smooth.argmin()) + window - 1
        accuracy = curve(network.histories, "test_accuracy")
        fallen = (
            accuracy is None or len(accuracy.seen) != len(loss.seen) or accuracy.mean[-1] < accuracy.mean[at]
        )
        return (
            f"Its test loss is lowest ({number(lowest, 3)}) after about {count(loss.seen[at])} images and "
            f"has risen to {number(end, 3)} by the end, a sign of "
            f"over-fitting{'' if fallen else ', though its test accuracy has not fallen'}."
        )
    return "Its test loss does not clearly rise again."


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _base_name(name: str, index: int) -> str:
    stem = clean(name).removesuffix(".h5") if name else str(index + 1)
    return stem if stem.startswith("base") else f"base {stem}"


def training_images(study: Study, checkpoint: Checkpoint) -> int:
    """The training images of a base, if it or a data set given has them; else 0."""
    if checkpoint.train_source_index is not None:
        return len(checkpoint.train_source_index)
    parents = {p.content_sha256 for p in checkpoint.provenance.parents}
    for d in study.datasets:
        if d.provenance.content_sha256 in parents:
            return len(d.train)
    return 0


def ends_of_bases(study: Study) -> Iterable[str]:
    """A sentence for each of the first bases, for a report without transfer."""
    for n in bases(study)[:2]:
        test = n.end("test_accuracy")
        if test is not None:
            yield f"{n.name} reaches {percent(test, n.digits)} test accuracy after {count(n.samples)} images."
