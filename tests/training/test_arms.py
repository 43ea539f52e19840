"""The arms that method specifications mean."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlcli.errors import UsageError
from tlcli.training.arms import count_arms, parse_arms
from tlcli.training.methods import METHODS

GROUPS = [("conv1",), ("conv2",), ("dense",), ("head",)]
BELOW = len(GROUPS) - 1
NAMES = sorted(METHODS)

layers = st.integers(0, BELOW)
sweeps = st.tuples(layers, layers).map(lambda pair: f"{min(pair)}-{max(pair)}")


@given(st.sampled_from(NAMES), layers, layers)
def test_an_arm_copies_and_freezes_what_it_says(name: str, copied: int, frozen: int) -> None:
    chosen = METHODS[name]
    given_options = [f"copy={copied}"] * chosen.copies + [f"freeze={frozen}"] * chosen.freezes
    spec = f"{name}:{','.join(given_options)}" if given_options else name
    if chosen.copies and chosen.freezes and frozen > copied:
        with pytest.raises(UsageError, match="layers frozen, but only"):
            parse_arms([spec], GROUPS)
        return
    (arm,) = parse_arms([spec], GROUPS)
    assert arm.method == name
    assert arm.copy == (copied if chosen.copies else 0)
    assert arm.freeze == (frozen if chosen.freezes else 0)
    assert arm.phases


@given(st.sampled_from([n for n in NAMES if METHODS[n].copies]), sweeps)
def test_a_sweep_is_one_arm_for_each_value(name: str, sweep: str) -> None:
    """By whichever road it is given; no two labels are the same."""
    first, last = map(int, sweep.split("-"))
    arms = parse_arms([f"{name}:copy={sweep}"], GROUPS)
    assert [arm.copy for arm in arms] == list(range(first, last + 1))
    assert len({arm.label for arm in arms}) == len(arms)
    assert parse_arms([name], GROUPS, copy=sweep) == arms
    assert count_arms([f"{name}:copy={sweep}"], None, None) == count_arms([name], sweep, None) == len(arms)
    one_by_one = [parse_arms([f"{name}:copy={n}"], GROUPS)[0] for n in range(first, last + 1)]
    assert [dataclasses.replace(arm, settings=()) for arm in one_by_one] == [
        dataclasses.replace(arm, settings=()) for arm in arms
    ]
    if first != last:  # one that copies everything is named as its neighbours
        assert [arm.label.split(",")[0] for arm in arms] == [
            f"{name}:copy={n}" for n in range(first, last + 1)
        ]
        with pytest.raises(UsageError, match="is there twice"):
            parse_arms([f"{name}:copy={sweep}", f"{name}:copy={last}"], GROUPS)


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6))
def test_the_same_arm_twice_is_refused(names: list[str]) -> None:
    if len(set(names)) == len(names):
        assert [arm.method for arm in parse_arms(names, GROUPS)] == names
    else:
        with pytest.raises(UsageError, match="is there twice"):
            parse_arms(names, GROUPS)


@pytest.mark.parametrize(
    ("spec", "how"),
    [
        ("ridge:rate=3", {}),
        ("logistic:augment=0", {}),
        ("freeze:views=4,augment=0", {}),
        ("finetune:augment=0.5", {}),
        ("anchored:solved=0.5", {}),
        ("anchored:statistics=2", {}),
        ("finetune:statistics=0.5", {}),
        ("scratch:statistics=1", {}),
        ("ridge:statistics=1", {}),
        ("lp-ft:probe=1", {}),
        ("finetune:rate=0", {}),
        ("freeze:views=0.5", {}),
        ("freeze:views=nan", {}),
        ("freeze:head_units=²", {}),
        ("replay:share=0", {}),
        ("lwf:temperature=0", {}),
        ("finetune", {"freeze": "1"}),
        ("scratch", {"copy": "1"}),
    ],
)
def test_what_would_have_no_effect_is_refused(spec: str, how: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        parse_arms([spec], GROUPS, **how)


values = st.one_of(st.text(max_size=5), st.sampled_from(["nan", "inf", "-1", "1e9", "0.5", "2", "1-2"]))
specs = st.one_of(
    st.text(max_size=20),
    st.builds(
        lambda name, keys: f"{name}:{','.join(keys)}",
        st.sampled_from(NAMES),
        st.lists(
            st.builds(
                lambda key, value: f"{key}={value}",
                st.sampled_from(["copy", "freeze", "strength", "rate_decay", "share", ""]),
                st.one_of(
                    st.text(max_size=5), st.sampled_from(["nan", "inf", "-1", "1e9", "0.5", "2", "1-2"])
                ),
            ),
            max_size=3,
        ),
    ),
)


@given(specs)
def test_any_specification_is_understood_or_refused(spec: str) -> None:
    try:
        arms = parse_arms([spec], GROUPS)
    except UsageError:
        return
    for arm in arms:
        assert 0 <= arm.freeze <= arm.copy <= BELOW
        assert arm.phases
