"""The top of the page: a title from the data, and the findings, the most important first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tlcli.report.sections import layers as layer_section
from tlcli.report.sections import ranking
from tlcli.report.sections.forgetting import extremes
from tlcli.report.sections.gains import best_at, detectable_text, leaders, rivals, worth_text
from tlcli.report.sections.networks import ends_of_bases
from tlcli.report.sections.overview import arms_over_tasks
from tlcli.report.study import Study, Task
from tlcli.report.study.contrasts import Contrast
from tlcli.report.study.entry import CONTROL, NEIGHBOURS, by
from tlcli.report.study.order import size_text
from tlcli.report.words import NBSP, at_most, between, clean, count, listing, number, plural, points, sentence

Words = Iterable[str]
MOST_NAMED = 6
"""Classes up to which a title names them."""
SHORTFALLS = {
    "behind": "has not learned its training images as the other arms have",
    "rising": "was still improving when its training ended",
    "unknown": "has neither a training accuracy nor a curve on file to show that it was trained to its end",
}
"""The predicate for a control that is not trained to its end, by the reason."""


def title(study: Study) -> str:
    """The title `source → target, network`, unless the user gave one."""
    if study.options.title:
        return clean(study.options.title)
    targets = list(dict.fromkeys(clean(e.target.source) for e in study.entries if e.target.source))
    sources = list(dict.fromkeys(_sources(study)))
    networks = list(
        dict.fromkeys(
            [clean(e.identity.architecture) for e in study.entries if e.identity.architecture]
            or [clean(c.architecture) for c in study.checkpoints]
        )
    )
    where = at_most(targets, 3)
    if sources and targets and sources != targets:
        where = f"{at_most(sources, 2)} → {where}"
    if len(study.tasks) == 1 and len(study.tasks[0].classes) <= MOST_NAMED:
        where += (": " if where else "Classes ") + at_most(study.tasks[0].classes, MOST_NAMED)
    parts = [where or "Transfer learning", *networks[:3]]
    return ", ".join(p for p in parts if p)


def _sources(study: Study) -> Iterable[str]:
    """The published sets of the bases' training images, from the bases or else from the splits."""
    yield from (clean(c.source) for c in study.checkpoints if c.source)
    bases = dict.fromkeys(e.run.base_sha256 for e in study.entries)
    for r in study.records:
        above = {a.content_sha256: a for a in r.provenance.ancestry}
        for parent in (p for digest in bases if digest in above for p in above[digest].parents):
            if parent in above and (found := re.search(r"--dataset (\S+)", above[parent].command)):
                yield clean(found.group(1))


def subtitle(study: Study) -> str:
    parts = []
    if study.entries:
        parts.append(plural(len(study.entries), "run"))
        if len(study.tasks) == 1:
            parts.append(plural(study.tasks[0].images, "test image"))
        elif study.tasks:
            parts.append(f"{plural(len(study.tasks), 'target task')}")
    parts.append("from " + at_most([clean(r.provenance.name or r.format) for r in study.records], 4))
    return " · ".join(parts)


def findings(study: Study) -> list[str]:
    """The answer, a paragraph for each finding."""
    found: list[str] = []
    for layer_study in study.layer_studies if not study.tasks else ():
        found += layer_section.answer(layer_study)
    if len(study.tasks) > 1:
        found += _over_tasks(study)
    elif study.tasks:
        found += _one_task(study.tasks[0])
    found += [ranking.describe(ranked, name) for name, ranked in ranking.by_target(study)]
    if not found:
        found = [*ends_of_bases(study), "These files hold no transfer to compare."]
    return found


def _one_task(task: Task) -> Words:
    reference = next(iter(task.references), "")
    every = task.against(reference) if reference else []
    contrasts = [c for c in every if c.first.method != NEIGHBOURS] or every
    if not contrasts:
        yield _best(task)
        return
    if not any(c.enough for c in contrasts):
        yield _too_few(contrasts, reference)
        return
    yield _verdict(contrasts, reference, reference == task.control)
    yield _extent(contrasts, reference)
    yield from filter(None, (_as_data(contrasts, reference), _losers(every, reference)))
    forgetful = [c for c in task.cells if c.lost is not None]
    yield from filter(None, (_control(task, contrasts), extremes(forgetful), _time(contrasts)))
    if len(task.arms) > 2:
        yield leaders(task, task.sizes[-1:])


def _verdict(contrasts: Sequence[Contrast], reference: str, control: bool) -> str:
    """A sentence on the gain, and the sizes at which it is shown."""
    sizes = sorted({c.size for c in contrasts})
    better = [s for s in sizes if any(c.gain for c in contrasts if c.size == s)]
    winners = list(dict.fromkeys(c.first.name for c in contrasts if c.gain))
    what = "Transfer helped"
    if not control:
        what = f"{at_most(winners, 4)} {'is' if len(winners) == 1 else 'are'} better than {reference}"
    none = "no gain from transfer is shown" if control else f"no arm is shown to be better than {reference}"
    one = f"at {plural(sizes[0], 'training image')}"
    if not better:
        many = f"at any of {len(sizes)} numbers of training images ({size_text(sizes)})"
        return f"{sentence(none)} {one if len(sizes) == 1 else many}{detectable_text(contrasts, '; {}')}."
    if len(sizes) == 1:
        return f"{what} {one}."
    if len(better) == len(sizes):
        return f"{what} at each of {len(sizes)} numbers of training images ({size_text(sizes)})."
    rest = [s for s in sizes if s not in better]
    return f"{what} at {size_text(better)} training images; at {size_text(rest)} {none}."


def _extent(contrasts: Sequence[Contrast], reference: str) -> str:
    """The best arm against the reference at the smallest and the largest size with a shown gain, if any."""
    sizes = sorted({c.size for c in contrasts})
    parts = []
    for s in dict.fromkeys((sizes[0], sizes[-1])):
        c = max((c for c in contrasts if c.size == s), key=lambda c: (c.gain, c.first.mean))
        against = "from scratch" if c.second.method == CONTROL else f"with {reference}"
        parts.append(
            f"at {count(s)}, {c.first.name} reaches {c.first.percent} against {c.second.percent} {against}, "
            f"{c.points}{c.brackets}"
        )
    return sentence(f"{'; '.join(parts)}.")


def _as_data(contrasts: Sequence[Contrast], reference: str) -> str:
    """The worth of the best arm in images of the reference, at the smallest size where it is known."""
    for size in sorted({c.size for c in contrasts if c.second.method == CONTROL}):
        best = best_at(size, contrasts)
        found = best.first.worth
        if found is not None and best.gain and size < found.largest:
            return f"{worth_text(best.first, found, reference)}."
    return ""


def _losers(contrasts: Sequence[Contrast], reference: str) -> str:
    """A sentence on the arms that are shown to be worse, with the sizes."""
    worse = by([c for c in contrasts if c.loss], lambda c: c.first.name)
    parts = [
        f"{name} at {at_most([f'{count(c.size)} ({c.points})' for c in group], 3)}"
        for name, group in worse.items()
    ]
    return f"Worse than {reference}: {at_most(parts, 5)}." if parts else ""


def _control(task: Task, contrasts: Sequence[Contrast]) -> str:
    """A sentence on the reference: trained to its end, or else compared at equal budget."""
    short = by(dict.fromkeys(c.second for c in contrasts if c.gain), task.shortfall)
    texts = [
        f"{short[reason][0].arm} {words} (at {size_text([c.size for c in short[reason]])})"
        for reason, words in SHORTFALLS.items()
        if reason in short
    ]
    if not texts:
        return ""
    text = f"The gain is measured at an equal budget of images seen: {listing(texts)}."
    longer = [
        (c, found)
        for reason in ("behind", "rising")
        for c in short.get(reason, ())
        if (found := task.converged_control(c))
    ]
    for cell, found in longer[:2]:
        best = task.best(cell.size, [c.first for c in contrasts if c.second is cell])
        text += (
            f" Trained to its end ({count(found.samples)} instead of {count(cell.samples)} images seen), "
            f"{cell.arm} reaches {found.percent} at {count(cell.size)}, where {best.name} "
            f"has {best.percent}."
        )
    return text


def _time(contrasts: Sequence[Contrast]) -> str:
    """The cost of the best arm and of the reference at the largest size: seconds of a run, if recorded, and
    the images seen until the arm has the final accuracy of the reference."""
    best = best_at(max(c.size for c in contrasts), contrasts)
    return " ".join(filter(None, (_seconds(best), _images_to_reach(best))))


def _seconds(best: Contrast) -> str:
    """How long a run of each of two arms takes; empty if one is unknown."""
    first, second = best.first, best.second
    if first.seconds is None or second.seconds is None:
        return ""
    times = [f"{number(c.seconds or 0, 1)} s with {c.name}" for c in (first, second)]
    return f"At {first.where}, a run takes {times[0]} and {times[1]} (medians)."


def _images_to_reach(best: Contrast) -> str:
    """The images seen until the first arm has the final accuracy of the second; empty if unknown."""
    at = best.first.curve.images_to_reach(best.second.mean) if best.first.curve and best.gain else None
    if at is None or best.second.curve is None:
        return ""
    return (
        f"At {best.first.where}, {best.first.name} needs to see {count(at)} images to reach what "
        f"{best.second.name} has after {count(best.second.samples)}."
    )


def _too_few(contrasts: Sequence[Contrast], reference: str) -> str:
    """A sentence on these networks alone, for fewer than three runs, which say nothing of the method."""
    best = best_at(max(c.size for c in contrasts), contrasts)
    runs = max(c.comparison.runs for c in contrasts)
    one = "With one run of each arm this page compares networks, not methods"
    lead = one if runs == 1 else "Two runs of each arm are too few for a verdict"
    interval = best.brackets if best.comparison.single else ""
    side = "above" if best.difference >= 0 else "below"
    return (
        f"{lead}: a statement about methods takes three. At {best.first.where}, {best.first.name} reaches "
        f"{best.first.percent}, {points(abs(best.difference), best.first.task.digits)} {side} "
        f"{reference}{interval}."
    )


def _best(task: Task) -> str:
    """A sentence on the best arm, without a reference."""
    best = task.best(task.sizes[-1])
    interval = f" (95 % interval {between(best.interval, task.digits)})" if best.interval else ""
    text = f"At {best.where}, {best.name} gets {best.percent} of the test images right{interval}"
    if len(task.at(size=best.size)) == 1:
        return f"{text}. There is no other arm to compare it with."
    _, level, enough = task.leaders(best.size, best.variant)
    if enough:
        return f"{text}{rivals(best, level, f' with {best.variant}' if best.variant else '')}."
    equal = [c.name for c in task.at(size=best.size) if c is not best and c.mean == best.mean]
    return f"{text}, {'as many as ' + at_most(equal, 4) if equal else 'more than any other arm'}."


def _over_tasks(study: Study) -> Words:
    """The numbers of tasks on which each arm is better and worse than the reference."""
    tasks = [t for t in study.tasks if t.gains]
    if not tasks:
        for t in study.tasks[:3]:
            yield f"{t.name}: {_best(t)}"
        return
    enough = [t for t in tasks if any(c.enough for c in t.gains)]
    if not enough:
        yield (
            f"With fewer than three runs of each arm, the {len(tasks)} tasks compare networks and not "
            "methods; the differences are in the overview."
        )
        return
    helped = [t for t in enough if any(c.gain for c in t.gains)]
    control = all(any(c.second.method == CONTROL for c in t.gains) for t in enough)
    what = "Transfer helped" if control else "At least one arm is better than the reference"
    if helped:
        names = at_most([t.name for t in helped], 4)
        yield f"{what} on {len(helped)} of {plural(len(enough), 'task')}: {names}."
    else:
        reference = "scratch" if control else "the reference"
        known = detectable_text([c for t in enough for c in t.gains], "; {}")
        yield f"No arm is shown to be better than {reference} on any of {plural(len(enough), 'task')}{known}."
    yield from _by_arm(enough)
    if helped and (unhelped := [t for t in enough if t not in helped]):
        known = detectable_text([c for t in unhelped for c in t.gains], "; {}")
        yield f"No gain is shown on {at_most([t.name for t in unhelped], 4)}{known}."


def _by_arm(tasks: Sequence[Task]) -> Words:
    """What each arm gains, forgets and takes, from the table over the tasks."""
    table = arms_over_tasks(tasks)
    columns = {c.key: c for c in table.columns}

    def cells_of(key: str, unit: str) -> list[str]:
        rows = [r for r in table.rows if r[key] is not None]
        return [f"{table.cell(r, columns[key])}{NBSP}{unit} with {r['arm']}" for r in rows[:8]]

    named = [
        f"{r['arm']} is better on {r['better_on']} and worse on {r['worse_on']} "
        f"({table.cell(r, columns['mean_gain'])}{NBSP}points on average)"
        for r in table.rows
        if r["mean_gain"] is not None
    ]
    where = " at some number of training images" if any(len(t.sizes) > 1 for t in tasks) else ""
    references = listing(list(dict.fromkeys(str(t.reference) for t in tasks)))
    yield f"Of {plural(len(tasks), 'task')}, against {references}{where}: {'; '.join(named[:8])}."
    if lost := cells_of("mean_lost", "points"):
        yield f"Of its accuracy on the source task the base loses, on average, {listing(lost)}."
    if seconds := cells_of("mean_seconds", "s"):
        yield f"A run takes, on average over the tasks, {listing(seconds)}."
