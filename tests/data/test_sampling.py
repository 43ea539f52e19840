"""The drawing of images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlcli.data.sampling import draw_nested, draw_sklearn, holdout, stratified_order, subset_size
from tlcli.errors import TlcliError, UsageError

class_counts = st.lists(st.integers(1, 40), min_size=1, max_size=8)


@given(class_counts)
def test_every_prefix_has_each_class_within_one_of_its_share(counts):
    total = sum(counts)
    order = stratified_order(counts, total)
    taken = np.cumsum(order[:, None] == np.arange(len(counts)), axis=0)
    exact = np.arange(1, total + 1)[:, None] * np.array(counts) / total
    assert np.abs(taken - exact).max() < 1
    assert (taken[-1] == counts).all()


@settings(max_examples=50)
@given(class_counts, st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 0.25, 0.5]), st.data())
def test_subsets_are_nested_and_hang_on_the_seed_alone(counts, seed, validation, data):
    labels = np.repeat(np.arange(len(counts)), counts)
    numbers = list(range(10, 10 + len(counts)))
    large = data.draw(st.integers(1, len(labels)))
    small = data.draw(st.integers(1, large))
    (train, held), (train2, held2) = (
        draw_nested(labels, numbers, n, validation, seed) for n in (small, large)
    )
    assert set(train) <= set(train2)
    assert set(held) <= set(held2)
    assert len(train) + len(held) == small == len(set(train) | set(held))
    assert (np.diff(train) > 0).all()
    again = draw_nested(labels, numbers, small, validation, seed)
    assert all(np.array_equal(a, b) for a, b in zip((train, held), again, strict=True))


def test_the_validation_share_is_taken_per_class():
    labels = np.repeat([0, 1], [400, 100])
    train, held = draw_nested(labels, [0, 1], 250, 0.2, 0)
    assert np.bincount(labels[held]).tolist() == [40, 10]
    assert np.bincount(labels[train]).tolist() == [160, 40]


def test_another_seed_gives_another_subset_and_other_classes_do_not():
    labels = np.repeat([0, 1, 2], 100)
    first, _ = draw_nested(labels, [4, 5, 6], 30, 0, 0)
    other, _ = draw_nested(labels, [4, 5, 6], 30, 0, 1)
    assert set(first) != set(other)
    alone, _ = draw_nested(labels[:200], [4, 5], 20, 0, 0)
    assert set(alone) == set(first[first < 200])


@pytest.mark.parametrize(("proportion", "size"), [(0.005, 100), (0.01, 200), (0.1, 2300), (1.0, 23900)])
def test_sizes_of_the_lab(proportion, size):
    assert subset_size(23983, proportion=proportion, multiple_of=100) == size


def test_proportions_are_decimal_numbers():
    assert subset_size(30, proportion=0.1) == 3
    assert subset_size(100, proportion=0.29) == 29
    assert subset_size(100) == 100
    assert subset_size(105, size=99, multiple_of=10) == 90


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"proportion": 0.0}, UsageError),
        ({"proportion": 1.1}, UsageError),
        ({"proportion": float("nan")}, UsageError),
        ({"proportion": 0.5, "size": 3}, UsageError),
        ({"size": 0}, UsageError),
        ({"multiple_of": 0}, UsageError),
        ({"size": 101}, TlcliError),
        ({"proportion": 0.001}, TlcliError),
        ({"multiple_of": 1000}, TlcliError),
    ],
)
def test_sizes_out_of_range(options, kind):
    with pytest.raises(kind):
        subset_size(100, **options)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_holdout_takes_every_fifth_of_a_class(values):
    labels = np.array(values)
    train, test = holdout(labels)
    assert sorted([*train, *test]) == list(range(len(labels)))
    for number, count in zip(*np.unique(labels, return_counts=True), strict=True):
        assert (labels[test] == number).sum() == (count // 5 if count >= 5 else int(count > 1))


@pytest.mark.parametrize("classes", [10, 12])
def test_sklearn_is_reproduced_index_for_index(classes):
    from sklearn.model_selection import train_test_split

    labels = np.random.default_rng(0).integers(0, classes, 3000)
    everything = np.arange(len(labels))
    for n in (100, 1000):
        flat, _ = train_test_split(everything, train_size=n, random_state=42, stratify=labels)
        column, _ = train_test_split(everything, train_size=n, random_state=42, stratify=labels[:, None])
        assert np.array_equal(draw_sklearn(labels, n, 0, 42)[0], flat)
        assert np.array_equal(draw_sklearn(labels, n, 0, 42, column=True)[0], column)
        # Labels of one digit sort alike as numbers and as text, so that only then both ways agree.
        assert np.array_equal(flat, column) == (classes <= 10)
    assert np.array_equal(draw_sklearn(labels, 3000, 0, 42)[0], everything)
    train, held = draw_sklearn(labels, 1000, 0.1, 42)
    assert (len(train), len(held)) == (900, 100)
    with pytest.raises(TlcliError, match="scikit-learn"):
        draw_sklearn(labels, classes - 1, 0, 42)
