"""The sentences of a size study, made from its numbers; nothing is claimed that the tests do not bear out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tlcli.report.gather import Entry, arms_of, by, sizes_of, variants_of
from tlcli.report.pairs import CONTROL, ENOUGH_DRAWS, Contrast, fit, mean_of, summarise
from tlcli.report.size_figures import curve_matrix, has_curve
from tlcli.report.words import (
    at_most,
    between,
    count,
    evidence,
    listing,
    number,
    percent,
    plural,
    points,
    sentence,
)


def answer(
    entries: Sequence[Entry], control: Sequence[Contrast], best: Sequence[Contrast], digits: int
) -> str:
    """Two sentences: whether transfer helped and where, and by how much at the smallest and largest size."""
    if control:
        return f"{_verdict(control)} {_extent(control, digits)}"
    size = sizes_of(entries)[-1]
    if mine := [c for c in best if c.size == size]:
        return _leader(max(mine, key=lambda c: c.first_mean), digits)
    top = max(_cells(e for e in entries if e.size == size), key=mean_of)
    s = summarise(top)
    tail = "one run" if s.low is None else f"95 % interval {between(s.low, s.high, digits)}"
    return (
        f"At {plural(size, 'training image')}, {_name(top[0])} gets {percent(s.mean, digits)} of these test "
        f"images right ({tail}). There is no other arm to compare it with."
    )


def _leader(c: Contrast, digits: int) -> str:
    """The best arm and how it differs from the runner-up, on the runs that both have."""
    where, variant = plural(c.size, "training image"), f" ({c.variant})" if c.variant else ""
    if c.tie:
        both = f"{c.first} and {c.second}{variant} both reach {percent(c.first_mean, digits)}"
        return f"At {where} no arm is ahead: {both}."
    lead = (
        f"{points(c.comparison.difference, digits, sign=True)} against {c.second}, "
        f"{evidence(c.comparison, c.p, digits)}"
    )
    best = f"The best arm at {where} is {c.first}{variant} with {percent(c.first_mean, digits)}"
    if c.shown:
        return f"{best} ({lead})."
    return f"{best}. No difference between it and {c.second} can be shown ({lead})."


def _verdict(control: Sequence[Contrast]) -> str:
    sizes = sorted({c.size for c in control})
    better = [s for s in sizes if any(c.gain for c in control if c.size == s)]
    worse = [s for s in sizes if any(c.loss for c in control if c.size == s)]
    none = [s for s in sizes if s not in better]
    if not better:
        text = "No gain from transfer can be shown"
        text += (
            f" at any of {at_most([count(s) for s in sizes])} training images"
            if len(sizes) > 1
            else f" at {plural(sizes[0], 'training image')}"
        )
    elif not none:
        text = "Transfer helped" + (
            f" at every size from {count(sizes[0])} to {count(sizes[-1])} training images"
            if len(sizes) > 1
            else f" at {plural(sizes[0], 'training image')}"
        )
    else:
        text = (
            f"Transfer helped at {at_most([count(s) for s in better])} training images; at "
            f"{at_most([count(s) for s in none])} no gain can be shown"
        )
    only_worse = [s for s in worse if s not in better]
    if only_worse:
        text += f" (and some arm is worse at {at_most([count(s) for s in only_worse])})"
    return text + "."


def _extent(control: Sequence[Contrast], digits: int) -> str:
    """The best arm against scratch at the smallest and the largest size, of those borne out if any are."""
    sizes = sorted({c.size for c in control})
    parts = []
    for s in dict.fromkeys((sizes[0], sizes[-1])):
        c = max((c for c in control if c.size == s), key=lambda c: (c.gain, c.first_mean))
        name = c.first + (f" ({c.variant})" if c.variant else "")
        parts.append(
            f"at {count(s)}, {name} reaches {percent(c.first_mean, digits)} against "
            f"{percent(c.second_mean, digits)} from scratch "
            f"({points(c.comparison.difference, digits, sign=True)}, {evidence(c.comparison, c.p, digits)})"
        )
    return sentence("; ".join(parts)) + "."


def discussion(
    entries: Sequence[Entry],
    control: Sequence[Contrast],
    best: Sequence[Contrast],
    changed: Sequence[Contrast],
    digits: int,
) -> list[str]:
    """Paragraphs: who wins where, what transfer brings, training against test, convergence, the variants."""
    paragraphs = [_winners(entries, best, digits)]
    if control:
        paragraphs.append(gains(control, CONTROL, digits))
    paragraphs += [_gap(entries, digits), convergence(entries, digits)]
    if changed:
        paragraphs.append(changes(changed, variants_of(entries)[0], digits))
    return [p for p in paragraphs if p]


def _winners(entries: Sequence[Entry], best: Sequence[Contrast], digits: int) -> str:
    """Who is ahead at which size, and where the lead over the runner-up is borne out."""
    sentences = []
    for variant in dict.fromkeys(c.variant for c in best):
        mine = sorted((c for c in best if c.variant == variant), key=lambda c: c.size)
        ahead = [
            f"{arm} is ahead at "
            + at_most([_reached(c, digits) for c in mine if c.first == arm and not c.tie])
            for arm in dict.fromkeys(c.first for c in mine if not c.tie)
        ]
        ahead += [f"{c.first} and {c.second} are level at {_reached(c, digits)}" for c in mine if c.tie]
        lead = f"With {variant}, " if variant else ""
        sentences.append(f"{lead}{listing(ahead)} training images.")
        shown, unclear = [c for c in mine if c.shown], [c for c in mine if not c.shown]
        if shown:
            over = [
                f"at {count(c.size)} over {c.second} ({points(c.comparison.difference, digits, sign=True)}, "
                f"{evidence(c.comparison, c.p, digits)})"
                for c in shown
            ]
            sentences.append(f"The paired test bears the lead out {at_most(over, 4)}.")
        if unclear:
            where = "anywhere" if not shown else f"at {at_most([count(c.size) for c in unclear])}"
            sentences.append(f"No difference between best and runner-up can be shown {where}.")
    return " ".join(sentences)


def _reached(c: Contrast, digits: int) -> str:
    return f"{count(c.size)} ({percent(c.first_mean, digits)})"


def gains(control: Sequence[Contrast], reference: str, digits: int) -> str:
    """What each arm gains or loses against the reference, where it can be shown."""
    sentences = []
    for arm in dict.fromkeys(c.first for c in control):
        mine = sorted((c for c in control if c.first == arm), key=lambda c: c.size)
        parts = []
        for word, group in (("better", [c for c in mine if c.gain]), ("worse", [c for c in mine if c.loss])):
            if group:
                parts.append(f"{word} than {reference} at {_spots(group, digits)}")
        unclear = [c for c in mine if not c.shown]
        if len(unclear) == len(mine):
            parts = [f"nowhere shown to differ from {reference}"]
        elif unclear:
            parts.append(
                f"not shown to differ at {at_most(list(dict.fromkeys(count(c.size) for c in unclear)))}"
            )
        sentences.append(f"{arm} is {'; '.join(parts)}.")
    return " ".join(sentences)


def _spots(group: Sequence[Contrast], digits: int) -> str:
    """Sizes with the differences there, of all variants together."""
    places = []
    for size in dict.fromkeys(c.size for c in group):
        differences = [points(c.comparison.difference, digits, sign=True) for c in group if c.size == size]
        places.append(f"{count(size)} images ({listing(list(dict.fromkeys(differences)))})")
    return at_most(places, 5)


def _gap(entries: Sequence[Entry], digits: int) -> str:
    """Training against test accuracy: widest and narrowest gap at the smallest and the largest size."""
    sentences = []
    sizes = sizes_of(entries)
    for size in dict.fromkeys((sizes[0], sizes[-1])):
        gaps = []
        for cell in _cells(e for e in entries if e.size == size):
            if found := fit(cell):
                train, gap = found
                detail = f"{percent(train, digits)} in training, {percent(train - gap, digits)} in test"
                gaps.append((gap, f"{_name(cell[0])} ({points(gap, digits)}: {detail})"))
        text = f"At {plural(size, 'training image')} the gap between training and test accuracy is"
        if len(gaps) > 1:
            sentences.append(f"{text} widest for {max(gaps)[1]} and narrowest for {min(gaps)[1]}.")
        elif gaps:
            sentences.append(f"{text} that of {gaps[0][1]}.")
    return " ".join(sentences)


def convergence(entries: Sequence[Entry], digits: int) -> str:
    """How soon the mean curves pass the final mean of scratch, at the smallest and the largest size."""
    sentences = []
    drawn = [e for e in entries if has_curve(e)]
    sizes = sizes_of(drawn)
    variant = variants_of(drawn)[0] if drawn else ""
    for size in dict.fromkeys((sizes[0], sizes[-1])) if sizes else ():
        cell = [e for e in entries if e.size == size and e.variant == variant]
        level = scratch_level(cell)
        others = [e for e in cell if has_curve(e) and e.method != CONTROL]
        if level is None or not others:
            continue
        parts = []
        for arm in arms_of(others):
            x, y = curve_matrix([e for e in others if e.arm == arm])
            at = reached(x, y.mean(axis=0), level)
            parts.append(
                f"{arm} after {count(at)} samples"
                if at is not None
                else f"{arm} not within {count(x[-1])} samples"
            )
        sentences.append(
            f"At {plural(size, 'training image')}{f' ({variant})' if variant else ''} the mean curve "
            f"reaches the level that scratch ends with ({percent(level, digits)}): {listing(parts)}."
        )
    return " ".join(sentences)


def scratch_level(cell: Sequence[Entry]) -> float | None:
    """What training from scratch ends with: the end of its mean curve, or without one its mean accuracy."""
    scratch = [e for e in cell if e.method == CONTROL]
    if drawn := [e for e in scratch if has_curve(e)]:
        return float(curve_matrix(drawn)[1].mean(axis=0)[-1])
    return mean_of(scratch) if scratch else None


def changes(changed: Sequence[Contrast], first: str, digits: int) -> str:
    """What the other variants change against the first."""
    sentences = []
    for variant in dict.fromkeys(c.variant for c in changed):
        mine = [c for c in changed if c.variant == variant]
        up = [c for c in mine if c.gain]
        down = [c for c in mine if c.loss]
        parts = []
        for word, group in (("raises", up), ("lowers", down)):
            if group:
                parts.append(
                    f"{word} test accuracy for "
                    + at_most(
                        [
                            f"{c.first} at {count(c.size)} "
                            f"({points(c.comparison.difference, digits, sign=True)})"
                            for c in group
                        ],
                        6,
                    )
                )
        unclear = len(mine) - len(up) - len(down)
        if parts:
            text = f"Against {first}, {variant} " + " and ".join(parts)
            text += f"; in {unclear} of {len(mine)} comparisons no difference can be shown" if unclear else ""
        else:
            low = min(c.comparison.difference for c in mine)
            high = max(c.comparison.difference for c in mine)
            text = (
                f"Against {first}, no effect of {variant} on test accuracy can be shown in any of "
                f"{len(mine)} comparisons (the differences are between {number(100 * low, digits)} and "
                f"{number(100 * high, digits)} points)"
            )
        sentences.append(text + ".")
    return " ".join(sentences)


def means(entries: Sequence[Entry], size: int, digits: int) -> str:
    """The means of all arms at one size."""
    parts = []
    for variant in variants_of(entries):
        for arm in arms_of(entries):
            if cell := [e for e in entries if (e.size, e.arm, e.variant) == (size, arm, variant)]:
                parts.append(
                    f"{arm}{f' ({variant})' if variant else ''} {percent(summarise(cell).mean, digits)}"
                )
    return f"At {plural(size, 'training image')}: {at_most(parts, 10)}."


def spread(entries: Sequence[Entry], digits: int) -> str:
    """Which arm varies most from run to run."""
    cells = [(max(a) - min(a), g[0]) for g in _cells(entries) if len(a := [e.accuracy for e in g]) > 1]
    if not cells:
        return ""
    widest, e = max(cells, key=lambda c: c[0])
    return (
        f"The runs lie furthest apart for {e.arm} at {plural(e.size, 'training image')} "
        f"({points(widest, digits)})."
    )


def limits(entries: Sequence[Entry]) -> list[str]:
    """What these runs cannot show."""
    texts = []
    cells = _cells(entries)
    draws = [len({e.dataset for e in g}) for g in cells]
    if any(n == 1 < len(g) for n, g in zip(draws, cells, strict=True)):
        texts.append(
            "The runs of one size share one training subset: their spread is that of the training (start, "
            "order of the images), not of drawing another subset. Intervals for other subsets would be "
            "wider."
        )
    if any(1 < n < min(len(g), ENOUGH_DRAWS) for n, g in zip(draws, cells, strict=True)):
        texts.append(
            "The runs of one size share two training subsets and count as independent all the same: their "
            "spread is that of the training more than of drawing another subset. Intervals for other subsets "
            "would be wider."
        )
    if any(len(g) == 1 for g in cells):
        texts.append(
            "Where there is a single run, nothing is known of the spread over runs and training subsets; one "
            "number is no result."
        )
    if max(draws, default=0) >= ENOUGH_DRAWS:
        texts.append(
            "The training sets of one size are drawn from the same published images and overlap, the larger "
            "the more: their results lie closer together than those of independent sets would."
        )
    bases = {base for e in entries if (base := e.run.base_sha256)}
    if len(bases) == 1:
        texts.append(
            "All transfer starts from one and the same trained base: how much another base, trained again, "
            "would change is not in the intervals."
        )
    if any(len(g) == 2 for g in cells):
        texts.append(
            "With two runs the intervals rest on one degree of freedom: they are wide, and roughly right "
            "only."
        )
    return texts


def reached(seen: np.ndarray, mean: np.ndarray, level: float) -> int | None:
    """The samples seen when a curve first is at the level; None if it never is."""
    there = np.flatnonzero(mean >= level - 1e-12)
    return int(seen[there[0]]) if len(there) else None


def _cells(entries: Iterable[Entry]) -> list[list[Entry]]:
    """The runs by size, arm and variant."""
    return list(by(entries, lambda e: (e.size, e.arm, e.variant)).values())


def _name(e: Entry) -> str:
    return f"{e.arm}, {e.variant}" if e.variant else e.arm
