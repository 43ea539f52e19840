"""What a layer study says of co-adaptation, specificity and tuning, each with its interval."""

from __future__ import annotations

from tlcli.report.layers import Effect, LayerStudy
from tlcli.report.words import ALPHA, between, count, evidence, number, p_value, plural, points


def units(study: LayerStudy) -> int:
    """The repetitions that the means are over."""
    return max(len(units) for series in study.values.values() for units in series.values())


def _of(study: LayerStudy, name: str) -> tuple[list[Effect], Effect | None]:
    mine = [e for e in study.effects if e.name == name]
    return [e for e in mine if e.n], next((e for e in mine if not e.n), None)


def _dip(study: LayerStudy, name: str, digits: int, what: str, seen: str, unseen: str) -> str:
    """An effect that shows as a drop: where it is deepest, whether it is borne out, and its mean over n."""
    effects, mean = _of(study, name)
    if not effects:
        return ""
    deepest = min(effects, key=lambda e: e.comparison.difference)
    shown = [e for e in effects if e.shown and e.comparison.difference < 0]
    against = [e for e in effects if e.shown and e.comparison.difference > 0]
    detail = (
        f"{points(deepest.comparison.difference, digits, sign=True)} at n = {deepest.n}, "
        f"{evidence(deepest.comparison, deepest.p, digits)}"
    )
    if shown:
        where = ", ".join(str(e.n) for e in shown)
        text = f"{seen}: {what} at n = {where} (most {detail})."
    else:
        text = f"{unseen}: the lowest difference is {detail}."
    if against:
        text += f" At n = {', '.join(str(e.n) for e in against)} the difference is the other way round."
    if mean is not None:
        text += f" Over all n the mean difference is {_mean(mean, digits)}."
    return text


def _mean(e: Effect, digits: int) -> str:
    return f"{points(e.comparison.difference, digits, sign=True)} ({evidence(e.comparison, e.p, digits)})"


def coadaptation(study: LayerStudy, digits: int) -> str:
    text = _dip(
        study,
        "co-adaptation",
        digits,
        "networks with their own first n layers frozen (BnB) end below the base",
        "Co-adaptation is seen",
        "No co-adaptation (BnB below the base) can be shown",
    )
    return text + (_slope(study, "BnB", digits) if text else "")


def specificity(study: LayerStudy, digits: int) -> str:
    text = _dip(
        study,
        "specificity",
        digits,
        "layers frozen from the other task (AnB) do worse than from the own (BnB)",
        "Specificity is seen",
        "No specificity (AnB below BnB) can be shown",
    )
    return text + (_slope(study, "AnB", digits) if text else "")


def _slope(study: LayerStudy, series: str, digits: int) -> str:
    c = study.slopes.get(series)
    if c is None or c.p is None:
        return ""
    rate = (
        f"{number(100 * c.difference, digits)} points per further layer, 95 % interval "
        f"{between(c.low, c.high, digits)}, {p_value(c.p)}"
    )
    if c.p < ALPHA:
        return f" {series} {'falls' if c.difference < 0 else 'rises'} with n ({rate})."
    return f" That {series} changes with n cannot be shown ({rate})."


def tuning(study: LayerStudy, digits: int) -> str:
    """Tuning against freezing, and tuned networks against the base."""
    sentences = []
    for name, lead, gain, loss in (
        (
            "tuning against freezing",
            "Tuning the copied layers instead of freezing them (AnB+ − AnB)",
            "gains",
            "loses",
        ),
        ("tuned transfer against the base", "Tuned transfer (AnB+) against the base", "gains", "loses"),
        ("tuned selffer against the base", "Tuned selffers (BnB+) against the base", "gain", "lose"),
    ):
        effects, mean = _of(study, name)
        mean = mean or (effects[0] if effects else None)
        if mean is None:
            continue
        if mean.shown:
            verb = gain if mean.comparison.difference > 0 else loss
            sentences.append(f"{lead} {verb} {_mean(mean, digits).lstrip('+−')} on average.")
        else:
            sentences.append(f"{lead}: no difference can be shown ({_mean(mean, digits)} on average).")
    return " ".join(sentences)


def answer(study: LayerStudy, digits: int) -> str:
    """Two sentences: what freezing costs, and what tuning brings."""
    effects, _ = _of(study, "specificity")
    cost, _ = _of(study, "co-adaptation")
    frozen = effects or cost
    texts = []
    if frozen:
        deepest = min(frozen, key=lambda e: e.comparison.difference)
        lead = (
            f"{deepest.first} against {deepest.second}, "
            f"{points(deepest.comparison.difference, digits, sign=True)} at n = {deepest.n}, "
            f"{evidence(deepest.comparison, deepest.p, digits)}"
        )
        texts.append(
            f"Frozen features get too specific to be of use to the other task ({lead})."
            if deepest.shown
            else f"That frozen features of the other task are worse than own ones cannot be shown ({lead})."
        )
    _, tuned = _of(study, "tuning against freezing")
    _, gain = _of(study, "tuned transfer against the base")
    parts = []
    if tuned is not None:
        better = "is better than freezing" if tuned.comparison.difference > 0 else "is worse than freezing"
        parts.append(
            f"tuning them {better} by {_mean(tuned, digits).lstrip('+−')}"
            if tuned.shown
            else f"that tuning differs from freezing cannot be shown ({_mean(tuned, digits)})"
        )
    if gain is not None:
        word = "above" if gain.comparison.difference > 0 else "below"
        parts.append(
            f"tuned transfer ends {word} the base by {_mean(gain, digits).lstrip('+−')}"
            if gain.shown
            else f"no difference between tuned transfer and the base can be shown ({_mean(gain, digits)})"
        )
    if parts:
        text = ", and ".join(parts)
        texts.append(text[:1].upper() + text[1:] + ".")
    return " ".join(texts) or f"Accuracy against layers copied, over {plural(units(study), study.unit)}."


def limits(study: LayerStudy) -> list[str]:
    texts = []
    n = units(study)
    texts.append(
        f"The layer study rests on {plural(n, study.unit)}: an effect that is not shown may still be there."
    )
    if study.unit == "run":
        texts.append(
            "Its repetitions are runs on the same tasks: other splits of the classes may behave otherwise."
        )
    if study.budgets and study.budgets[0] != study.budgets[1]:
        before, after = study.budgets
        texts.append(
            f"A base has seen {count(before)} samples, a network {count(after)} more after copying: tuned "
            "networks had more training than the base they are held against."
        )
    if not study.base:
        texts.append(
            "The accuracy of the bases is not among the files, so there is no line to hold the networks "
            "against."
        )
    return texts
