"""The size study: arms x numbers of training images x runs, on one task (documents 000, 001, 003 and 004)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from tlcli.report import curves, size_figures, size_words
from tlcli.report.document import Answer, Chart, Column, Section, Table, Text
from tlcli.report.gather import Entry, Study, arms_of, by, sizes_of, variants_of
from tlcli.report.pairs import (
    CONTROL,
    Contrast,
    against,
    best_against_second,
    between_variants,
    fit,
    summarise,
)
from tlcli.report.words import count, listing, number, plural

INTERVALS = (
    "Intervals are 95 % Student t intervals of the mean over {unit}, on these test images, cut at 0 and "
    "100 %; for other test images see the exact intervals in the table of capacity."
)
TESTED = (
    "Means and differences are over the runs that both arms have, run by run on the same test images; "
    "interval and p value count the chance of the runs and of the images (crossed random effects, "
    "Satterthwaite; with one run McNemar's exact test), p is adjusted after Holm for the comparisons at one "
    "size."
)


def section(
    study: Study,
    entries: Sequence[Entry],
    references: Sequence[str] = (),
    *,
    suffix: str = "",
    title: str = "",
) -> Section:
    """Tables, figures and discussion of the runs of one task; `references` are arms beside scratch that all
    others are held against.
    """
    d = study.digits
    part = Section("results" + suffix, title or "Test accuracy")
    control, best = against(entries), best_against_second(entries)
    changed = between_variants(entries)
    further = {name: found for name in references if (found := against(entries, name))}
    main = _main_chart(study, entries, suffix)
    part.blocks += [glance(entries, d, suffix), main, full_table(entries, d, suffix)]
    if any(len(g) > 2 for g in by(entries, lambda e: (e.size, e.arm, e.variant)).values()):
        part.blocks.append(_boxes(study, entries, suffix))
    part.blocks += curves.blocks(study, entries, suffix)
    part.blocks += _comparison_blocks(study, entries, control, best, changed, suffix)
    for place, (name, found) in enumerate(further.items(), 1):
        part.blocks += _reference_blocks(study, name, found, f"{suffix}-reference-{place}")
    part.discussion = size_words.discussion(entries, control, best, changed, d)
    part.discussion += [size_words.gains(found, name, d) for name, found in further.items()]
    part.limits = size_words.limits(entries)
    text = size_words.answer(entries, control, best, d)
    part.answer = Answer(text, main, weight=len(entries))
    return part


def glance(entries: Sequence[Entry], digits: int, suffix: str) -> Table:
    """Arms down, sizes across: mean and half the width of its interval."""
    sizes, variants = sizes_of(entries), variants_of(entries)
    columns = [Column("arm", "arm")]
    columns += [Column("variant", "variant")] if len(variants) > 1 else []
    columns += [Column(str(s), f"{count(s)} images", "figure") for s in sizes]
    rows = []
    for variant in variants:
        for arm in arms_of(entries):
            row: dict[str, Any] = {"arm": arm, "variant": variant}
            for size in sizes:
                if cell := [e for e in entries if (e.arm, e.size, e.variant) == (arm, size, variant)]:
                    # Half of an interval that is cut at 0 or 100 % would say too little.
                    s = summarise(cell, bounds=None)
                    half = (
                        f" ± {number(50 * (s.high - s.low), digits)}"
                        if s.high is not None and s.low is not None
                        else ""
                    )
                    row[str(size)] = number(100 * s.mean, digits) + half
            if any(str(s) in row for s in sizes):
                rows.append(row)
    caption = (
        "Test accuracy in percent at a glance: mean ± half the width of its 95 % interval, on these test "
        "images."
    )
    return Table("glance" + suffix, caption, columns, rows, group="variant" if len(variants) > 1 else "")


def full_table(entries: Sequence[Entry], digits: int, suffix: str) -> Table:
    """One row per size, arm and variant: mean, sd, interval, range, and training accuracy."""
    variants = variants_of(entries)
    columns = [Column("size", "training images", "count"), Column("arm", "arm")]
    columns += [Column("variant", "variant")] if len(variants) > 1 else []
    columns += [
        Column("runs", "runs", "count"),
        Column("mean", "mean (%)", "percent", digits),
        Column("sd", "sd (points)", "number", digits),
        Column("interval", "95 % interval (%)", "interval", digits),
        Column("train", "training accuracy (%)", "percent", digits),
        Column("gap", "gap (points)", "points", digits),
    ]
    rows = []
    for size in sizes_of(entries):
        for variant in variants:
            for arm in arms_of(entries):
                if cell := [e for e in entries if (e.arm, e.size, e.variant) == (arm, size, variant)]:
                    rows.append({"size": size, "arm": arm, "variant": variant} | _measures(cell))
    draws = max(
        (len({e.dataset for e in g}) for g in by(entries, lambda e: (e.size, e.arm, e.variant)).values()),
        default=1,
    )
    unit = "the draws of the training set" if draws >= 3 else "the runs"
    return Table(
        "accuracy" + suffix,
        "Test accuracy by number of training images and arm.",
        columns,
        rows,
        note=INTERVALS.format(unit=unit) + " Gap: training minus test accuracy.",
        group="size",
    )


def _measures(cell: Sequence[Entry]) -> dict[str, Any]:
    s = summarise(cell)
    train, gap = fit(cell) or (None, None)
    return {
        "runs": len(cell),
        "mean": 100 * s.mean,
        "sd": None if s.sd is None else 100 * s.sd,
        "interval": None if s.low is None or s.high is None else (100 * s.low, 100 * s.high),
        "train": None if train is None else 100 * train,
        "gap": None if gap is None else 100 * gap,
    }


def _of_what(entries: Sequence[Entry]) -> str:
    """What the intervals of a figure are of: a mean over runs, or a single run."""
    single = {len(g) == 1 for g in by(entries, lambda e: (e.size, e.arm, e.variant)).values()}
    mean = "Intervals are of the mean, on these test images"
    exact = "the exact binomial ones, for other test images"
    if single == {True}:
        return f" Intervals are {exact}."
    return f" {mean}; of a single run {exact}." if True in single else f" {mean}."


def _main_chart(study: Study, entries: Sequence[Entry], suffix: str) -> Chart:
    sizes, arms = sizes_of(entries), arms_of(entries)
    of_what = _of_what(entries)
    if len(sizes) == 1:
        draw = partial(size_figures.accuracy_dots, entries, study.looks)
        caption = (
            f"Test accuracy of each arm at {plural(sizes[0], 'training image')}: mean (symbol), 95 % "
            f"interval (line) and the single runs (ticks).{of_what}"
        )
        alt = f"Dot plot of test accuracy. {size_words.means(entries, sizes[0], study.digits)}"
        return Chart("accuracy" + suffix, caption, alt, draw)
    draw = partial(size_figures.accuracy_by_size, entries, study.looks)
    caption = (
        f"Test accuracy of {listing(arms)} against the number of training images: mean and 95 % interval. "
        f"Points of one size are set slightly apart so that their intervals can be seen.{of_what}"
    )
    alt = "Line chart of test accuracy against the number of training images. " + " ".join(
        size_words.means(entries, s, study.digits) for s in (sizes[0], sizes[-1])
    )
    return Chart("accuracy" + suffix, caption, alt, draw)


def _boxes(study: Study, entries: Sequence[Entry], suffix: str) -> Chart:
    variants = variants_of(entries)
    caption = (
        "Test accuracy over the runs: box from the first to the third quartile, thick line at the median, "
        "whiskers over all runs, a symbol per run. Each panel has its own scale."
    )
    if len(variants) > 1:
        caption += f" Filled: {variants[0]}; hollow: {listing(variants[1:])}."
    alt = "Box plots of test accuracy over the runs, one panel per number of training images. "
    alt += size_words.spread(entries, study.digits)
    return Chart(
        "boxes" + suffix,
        caption,
        alt,
        partial(size_figures.boxes, entries, study.looks),
    )


def _comparison_blocks(
    study: Study,
    entries: Sequence[Entry],
    control: list[Contrast],
    best: list[Contrast],
    changed: list[Contrast],
    suffix: str,
) -> list[Any]:
    blocks: list[Any] = []
    d = study.digits
    if control:
        blocks.append(Text("What transfer brings", "heading"))
        blocks += _held_against(
            study, control, CONTROL, "training from scratch", "gain" + suffix, "against-scratch" + suffix
        )
    if best:
        blocks.append(
            contrast_table(
                "best" + suffix,
                "Who wins where: the best arm against the runner-up.",
                best,
                d,
                note=" Best and runner-up, on the training sets that all arms have, were picked by these "
                "very numbers, so p is on the small side.",
            )
        )
    if changed:
        blocks.append(Text("What the variants change", "heading"))
        first, others = variants_of(entries)[0], list(dict.fromkeys(c.variant for c in changed))
        blocks.append(
            Chart(
                "variants" + suffix,
                f"Change of test accuracy against {first}, with 95 % intervals. Filled: borne out by the "
                "paired test; hollow: no difference can be shown.",
                f"Differences in test accuracy to the variant {first}. "
                + size_words.changes(changed, first, d),
                partial(size_figures.gains, changed, study.looks, label="change (points)"),
            )
        )
        blocks.append(
            contrast_table(
                "variants" + suffix,
                f"Each arm with {listing(others)} against the same arm with {first}.",
                changed,
                d,
                against=first,
            )
        )
    return blocks


def _reference_blocks(study: Study, name: str, found: list[Contrast], suffix: str) -> list[Any]:
    heading = Text(f"Held against {name}", "heading")
    return [heading, *_held_against(study, found, name, name, "gain" + suffix, "against" + suffix)]


def _held_against(
    study: Study, contrasts: list[Contrast], reference: str, what: str, figure: str, table: str
) -> list[Any]:
    """A chart, where there are several sizes, and the table of the differences to a reference."""
    blocks: list[Any] = []
    if len({c.size for c in contrasts}) > 1:
        caption = (
            f"Gain over {what}, with 95 % intervals. Filled: borne out by the paired test; hollow: no "
            "difference can be shown."
        )
        told = size_words.gains(contrasts, reference, study.digits)
        draw = partial(size_figures.gains, contrasts, study.looks, label=f"gain over {reference} (points)")
        blocks.append(Chart(figure, caption, f"Differences in test accuracy to {what}. {told}", draw))
    caption = f"Each arm against {what}."
    return [*blocks, contrast_table(table, caption, contrasts, study.digits, against=reference)]


def contrast_table(
    id: str, caption: str, contrasts: Sequence[Contrast], digits: int, *, note: str = "", against: str = ""
) -> Table:
    """Paired comparisons as rows; `against` names what all are held against, if it is the same for all."""
    variants = len({c.variant for c in contrasts}) > 1
    columns = [Column("size", "training images", "count")]
    columns += [Column("variant", "variant", shown=variants)]
    columns += [Column("first", "arm"), Column("first_mean", "mean (%)", "percent", digits)]
    columns += [Column("second", "against", shown=not against)]
    columns += [
        Column("second_mean", f"{against or 'against, mean'} (%)", "percent", digits),
        Column("difference", "difference (points)", "points", digits),
        Column("interval", "95 % interval (points)", "interval", digits),
        Column("p", "p (Holm)", "p"),
        Column("verdict", "borne out"),
        Column("pairs", "paired runs", "count", shown=False),
    ]
    rows = []
    for c in sorted(contrasts, key=lambda c: c.size):
        k = c.comparison
        rows.append(
            {
                "size": c.size,
                "variant": c.variant,
                "first": c.first,
                "second": c.second,
                "first_mean": 100 * c.first_mean,
                "second_mean": 100 * c.second_mean,
                "difference": 100 * k.difference,
                "interval": None if k.low is None or k.high is None else (100 * k.low, 100 * k.high),
                "p": c.p,
                "verdict": "yes" if c.shown else "no",
                "pairs": k.runs,
            }
        )
    return Table(id, caption, columns, rows, note=TESTED + note, group="size")
