"""Gains of transfer: every arm against the reference, the variants against each other, and all pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from math import isinf

from tlcli.report.columns import cell_column, cell_table, contrast_columns, first
from tlcli.report.document import Block, Chart, Column, Table, Text
from tlcli.report.plots.arms import draw_differences
from tlcli.report.registry import section
from tlcli.report.study import Cell, Study, Task
from tlcli.report.study.contrasts import Contrast, pair_runs
from tlcli.report.study.entry import by
from tlcli.report.study.order import size_text
from tlcli.report.study.worth import Worth
from tlcli.report.words import at_most, between, count, listing, number, plural, points

ADJUSTED = "Intervals and p values hold for all arms of one command and number of training images at once."
MARKS = "Filled marks: the 95 % interval leaves zero out; hollow: it does not."
MOST_PAIRS = 300


@section("gain", "What transfer brings", order=12)
def gain(study: Study, task: Task) -> Iterable[Block]:
    """Differences from scratch, or from the arm that the others extend, and from the arms asked for."""
    for place, reference in enumerate(task.references):
        if contrasts := task.against(reference):
            if place or reference != task.control:
                yield Text(f"Against {reference}", "heading")
            yield _chart(study, task, contrasts, reference, place)
            yield _table(task, contrasts, reference, place)
            yield from (Text(t) for t in verdicts(contrasts, reference, study.options.margin))
            yield from (Text(t) for t in _worths(task, contrasts, reference))


def _chart(study: Study, task: Task, contrasts: Sequence[Contrast], reference: str, place: int) -> Chart:
    base = "training from scratch" if reference == task.control else reference
    networks = all(c.comparison.single for c in contrasts)
    how = ": one network against another on these test images, with exact" if networks else ", with"
    scale = " All panels share one scale." if len({c.size for c in contrasts}) > 1 else ""
    caption = f"Test accuracy less that of {base}{how} simultaneous 95 % intervals. {MARKS}{scale}"
    text = " ".join(verdicts(contrasts, reference, study.options.margin))
    name = task.id("gain") + (f"-against-{place + 1}" if place else "")
    draw = partial(draw_differences, contrasts, study.looks, f"difference from {reference} (points)")
    return Chart(name, caption, f"Dot plot of differences from {reference}. {text}", draw)


def _table(task: Task, contrasts: Sequence[Contrast], reference: str, place: int) -> Table:
    known = {c: c.first.worth for c in contrasts if reference == task.control and c.difference > 0}

    def worth_of(c: Contrast) -> str | None:
        return with_span(w) if (w := known.get(c)) else None

    label = f"worth in images of {reference}"
    columns = [*gain_columns(task.digits), Column("worth", label, "figure", value=worth_of)]
    note = ADJUSTED
    if any(len(pair_runs(c.first.runs, c.second.runs)) < len(c.first.runs) for c in contrasts):
        note += " Where an arm has runs that the other lacks, the difference is over the runs that both have."
    if any(known.values()):
        note += (
            f" Worth: the number of training images with which {reference} reaches the same accuracy, on the "
            "line through its means over the logarithm of that number, with its 95 % interval."
        )
    caption = f"Every arm against {reference}."
    name = "against" if not place else f"against-reference-{place + 1}"
    return cell_table(task, name, caption, columns, contrasts, note, of=first, file="against")


def gain_columns(digits: int) -> list[Column]:
    """The accuracy of the first arm, and its difference from the other, which the caption names."""
    return [cell_column("accuracy", digits, of=first), *contrast_columns(digits, ["against"])]


def with_span(w: Worth, less: int = 0) -> str:
    """A number of images, less some of them, and its interval."""
    return f"{images_text(w.images, w, less)} ({span_text(w, less)})"


def images_text(x: float, w: Worth, less: int = 0) -> str:
    """A number of images to two figures, or a bound for it."""
    if isinf(x):
        return f"over {number(w.largest - less, 0)}" if x > 0 else f"under {number(w.smallest - less, 0)}"
    return number(float(f"{x - less:.2g}"), 0)


def span_text(w: Worth, less: int = 0) -> str:
    low, high = images_text(w.low, w, less), images_text(w.high, w, less)
    return low if low == high else f"{low} to {high}"


def worth_text(cell: Cell, found: Worth, reference: str) -> str:
    return (
        f"{plural(cell.size, 'image')} with {cell.name} are worth {images_text(found.images, found)} with "
        f"{reference} (95 % interval {span_text(found)})"
    )


def _worths(task: Task, contrasts: Sequence[Contrast], reference: str) -> Iterable[str]:
    """The worth of the best arm in images from scratch, at each size except the largest, if known."""
    best = (best_at(size, contrasts) for size in dict.fromkeys(c.size for c in contrasts))
    parts = [
        worth_text(c.first, found, reference)
        for c in best
        if (found := c.first.worth) and reference == task.control and c.size < found.largest and c.gain
    ]
    if parts:
        yield f"As data: {at_most(parts, 4)}."


def best_at(size: int, contrasts: Sequence[Contrast]) -> Contrast:
    """The comparison of the arm with the highest mean at a size."""
    return max((c for c in contrasts if c.size == size), key=lambda c: c.first.mean)


def verdicts(contrasts: Sequence[Contrast], reference: str, margin: float | None = None) -> list[str]:
    """The arms shown better, worse or neither against the reference, size by size."""
    if all(c.comparison.single for c in contrasts):
        return list(_of_networks(contrasts, reference))
    if not any(c.enough for c in contrasts):
        runs = max(c.comparison.runs for c in contrasts)
        return [
            f"With {plural(runs, 'run')} of each arm the report says nothing of the methods, which takes "
            "three. The differences above are those of these runs."
        ]
    sizes = by(contrasts, lambda c: c.size)
    quiet = [size for size, group in sizes.items() if not any(c.shown for c in group)]
    if len(quiet) == len(sizes) > 1:
        return [_none(contrasts, reference, f" at any of {len(sizes)} numbers of images", margin)]
    sentences = []
    if quiet:
        text = _none([c for c in contrasts if c.size in quiet], reference, "", margin)
        sentences.append(f"At {size_text(quiet)} training images {text[:1].lower()}{text[1:]}")
    for size in (s for s in sizes if s not in quiet):
        better, worse, rest = _by_verdict(sizes[size])
        parts = [
            f"{differences(group)} {'is' if len(group) == 1 else 'are'} {word} than {reference}"
            for word, group in (("better", better), ("worse", worse))
            if group
        ]
        if rest:
            names = at_most([c.first.name for c in rest], 5)
            verb = "is" if len(rest) == 1 else "are"
            parts.append(f"{names} {verb} not shown to differ from it{detectable_text(rest, ' ({})')}")
        sentences.append(f"At {plural(size, 'training image')} {'; '.join(parts)}.")
    return sentences


def _by_verdict(group: Sequence[Contrast]) -> tuple[list[Contrast], list[Contrast], list[Contrast]]:
    """The comparisons that show a gain, those that show a loss, and the others."""
    return [c for c in group if c.gain], [c for c in group if c.loss], [c for c in group if not c.shown]


def differences(group: Sequence[Contrast], most: int = 5) -> str:
    """The arms with their differences, the largest first."""
    ordered = sorted(group, key=lambda c: -abs(c.difference))
    return at_most([f"{c.first.name} ({c.points})" for c in ordered], most)


def _none(group: Sequence[Contrast], reference: str, where: str, margin: float | None) -> str:
    names = list(dict.fromkeys(c.first.name for c in group))
    who = f"None of the {len(names)} arms is" if len(names) > 1 else f"{names[0]} is not"
    text = f"{who} shown to differ from {reference}{where}{detectable_text(group, ' ({})')}."
    if margin is not None and all(c.equivalent for c in group):
        text += f" All are equivalent to it within {points(margin, group[0].first.task.digits)}."
    return text


def detectable_text(group: Sequence[Contrast], form: str) -> str:
    """The smallest differences that comparisons could detect, in such a form; empty if unknown."""
    known = sorted(c.detectable for c in group if c.detectable is not None)
    if not known:
        return ""
    if known[0] >= 1:
        return form.format("no true difference would be detected with a power of 80 %")
    low, high = (number(100 * x, group[0].first.task.digits) for x in (known[0], known[-1]))
    least = low if low == high else f"{low} to {high}"
    return form.format(f"a true difference of {least} points would be detected with a power of 80 %")


def _of_networks(contrasts: Sequence[Contrast], reference: str) -> Iterable[str]:
    """A sentence on two networks on these images, for one run each."""
    for size, group in by(contrasts, lambda c: c.size).items():
        parts = []
        for c in sorted(group, key=lambda c: -c.difference):
            exact = c.comparison.exact
            assert exact is not None
            parts.append(
                f"the network of {c.first.name} gets {plural(exact.only_first, 'test image')} right that the "
                f"network of {reference} gets wrong, and {count(exact.only_second)} the other way round "
                f"({c.points}, 95 % interval {between(c.interval, c.first.task.digits)})"
            )
        yield f"At {plural(size, 'training image')}, {at_most(parts, 4)}."
    yield "These are differences between single networks. A statement about methods takes three runs of each."


@section("variants", "What the variants change", order=14)
def variants(study: Study, task: Task) -> Iterable[Block]:
    """Every arm in the other variants against itself in the first."""
    if not (changed := task.changes):
        return
    usual, d = task.variants[0], task.digits
    label = f"change against {usual} (points)"
    text = _changes(changed, usual)
    yield Chart(
        task.id("variants"),
        f"Change of test accuracy against {usual}, with simultaneous 95 % intervals. {MARKS}",
        f"Dot plot of differences to the variant {usual}. {text}",
        partial(draw_differences, changed, study.looks, label),
    )
    columns = gain_columns(d)
    columns[2:2] = [Column("against_variant", "against variant", shown=False, value=lambda c: usual)]
    caption = f"Each arm against the same arm with {usual}."
    yield cell_table(task, "variants", caption, columns, changed, ADJUSTED, of=first)
    yield Text(text)


def _changes(changed: Sequence[Contrast], usual: str) -> str:
    """The arms that each further variant raises and lowers."""
    sentences = []
    for variant, mine in by(changed, lambda c: c.first.variant).items():
        better, worse, rest = _by_verdict(mine)
        if len(rest) == len(mine):
            ends = (f(c.difference for c in mine) for f in (min, max))
            low, high = (number(100 * x, mine[0].first.task.digits) for x in ends)
            sentences.append(
                f"Against {usual}, no effect of {variant} on test accuracy is shown in any of {len(mine)} "
                f"comparisons; the differences are between {low} and {high} points."
            )
            continue
        parts = []
        for word, group in (("raises", better), ("lowers", worse)):
            spots = [f"{c.first.arm} at {count(c.size)} ({c.points})" for c in group]
            parts += [f"{word} test accuracy for {at_most(spots, 6)}"] if spots else []
        tail = f"; {len(rest)} of {len(mine)} comparisons show no difference" if rest else ""
        sentences.append(f"Against {usual}, {variant} {listing(parts)}{tail}.")
    return " ".join(sentences)


@section("pairs", "Every two arms compared", order=60, folded=True)
def pairs(study: Study, task: Task) -> Iterable[Block]:
    """All pairs of arms of one size, a family at each size; which arms share the lead."""
    if not (found := task.pairs):
        return
    yield Text(leaders(task))
    caption = "Every two arms at one number of training images, the better one first."
    if task.references:
        caption += f" The tables above compare each arm with {listing(task.references)}."
    columns = contrast_columns(task.digits, ["detectable"])
    shown = len(found) <= MOST_PAIRS
    yield cell_table(task, "pairs", caption, columns, found, ADJUSTED, of=first, shown=shown)


def leaders(task: Task, sizes: Sequence[int] = ()) -> str:
    """The best arm at each size, and the arms not shown to be behind it."""
    sentences = []
    for (size, variant), cells in by(task.cells, lambda c: (c.size, c.variant)).items():
        if (sizes and size not in sizes) or len(cells) < 2:
            continue
        best, level, enough = task.leaders(size, variant)
        where = f"At {plural(size, 'training image')}" + (f" with {variant}" if variant else "")
        first = [c.arm for c in cells if c.mean == best.mean]
        has = "has" if len(first) == 1 else "have"
        tail = rivals(best, level) if enough else ""
        sentences.append(f"{where}, {at_most(first, 4)} {has} the highest mean{tail}.")
    return " ".join(sentences)


def rivals(best: Cell, level: Sequence[Cell], where: str = "") -> str:
    """The arms beside the best that may be as good, in words; `where` is put behind "other arm"."""
    if not level:
        return f", and every other arm{where} is shown to be worse"
    if len(level) == len(best.task.at(size=best.size, variant=best.variant)) - 1 > 1:
        return f"; no other arm{where} is shown to be worse"
    names = at_most([c.arm for c in level], 6)
    return f"; {names} {'is' if len(level) == 1 else 'are'} not shown to be worse"
