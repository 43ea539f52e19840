"""Cutting a dataset out of a source."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tlcli import store
from tlcli.data import classes, load_source, sources, split
from tlcli.errors import TlcliError, UsageError
from tlcli.store import Dataset


def test_digits_are_the_published_ones():
    from sklearn.datasets import load_digits

    published, source = load_digits(), load_source("digits")
    assert (len(source.train), len(source.test)) == (1442, 355)
    for part in source.parts.values():
        assert part.images.dtype == np.uint8
        assert np.array_equal(part.images[..., 0] / 15, published.images[part.source_index])
        assert np.array_equal(part.labels, published.target[part.source_index])
    assert not set(source.train.source_index) & set(source.test.source_index)


def test_exact_sizes_and_labels_on_digits():
    digits = load_source("digits")
    cut = split(
        digits,
        classes.ClassExpression("6-9").resolve(digits.class_names),
        proportion=0.1,
        multiple_of=10,
        validation=0.2,
    )
    assert {name: len(part) for name, part in cut.parts.items()} == {
        "train": 40,
        "validation": 10,
        "test": 141,
    }
    assert cut.class_names == ["6", "7", "8", "9"]
    assert cut.class_original.tolist() == [6, 7, 8, 9]
    assert set(cut.test.labels) == {0, 1, 2, 3}
    back = {int(i): k for k, i in enumerate(digits.train.source_index)}
    at = [back[int(i)] for i in cut.train.source_index]
    assert np.array_equal(cut.train.images, digits.train.images[at])
    assert np.array_equal(cut.class_original[cut.train.labels], digits.train.labels[at])


def test_built_in_sets_are_listed_without_being_read(no_caches):
    listed = {info.name: info for info in sources()}
    assert list(listed) == ["cifar10", "cifar100", "digits", "fashion-mnist", "mnist"]
    digits = load_source("digits")
    info = listed["digits"]
    assert (info.train, info.test, info.classes) == (
        len(digits.train),
        len(digits.test),
        len(digits.class_names),
    )
    assert info.image_shape == digits.train.images.shape[1:]


def test_the_lab_on_mnist(published):
    mnist = published("mnist")
    assert (len(mnist.train), len(mnist.test)) == (60_000, 10_000)
    assert mnist.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    target = classes.ClassExpression("6-9").resolve(mnist.class_names)
    cuts = [split(mnist, target, proportion=p, multiple_of=100) for p in (0.005, 0.01, 0.1, 1.0)]
    assert [len(cut.train) for cut in cuts] == [100, 200, 2300, 23900]
    assert {len(cut.test) for cut in cuts} == {3969}
    for small, large in pairwise(cuts):
        assert set(small.train.source_index) < set(large.train.source_index)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_and_the_subsets_of_scikit_learn(published, name):
    from sklearn.model_selection import train_test_split

    source = published(name)
    assert source.train.images.shape == (50_000, 32, 32, 3)
    assert np.bincount(source.test.labels).tolist() == [10_000 // len(source.class_names)] * len(
        source.class_names
    )
    assert [source.class_names[i] for i in source.train.labels[:2]] == {
        "cifar10": ["frog", "truck"],
        "cifar100": ["cattle", "dinosaur"],
    }[name]
    everything = classes.ClassExpression("all").resolve(source.class_names)
    expected, _ = train_test_split(
        np.arange(50_000), train_size=100, random_state=42, stratify=source.train.labels
    )
    cut = split(source, everything, size=100, seed=42, sampling="sklearn")
    assert cut.train.source_index.tolist() == expected.tolist()


def test_a_dataset_file_is_cut_again(tmp_path, tiny):
    first = split(tiny([20, 20, 20, 20]), [1, 2, 3], validation=0.1, seed=1)
    store.write(tmp_path / "first.h5", first)
    source = load_source(str(tmp_path / "first.h5"))
    again = split(
        source,
        classes.ClassExpression("3,1").resolve(source.class_names, class_numbers=source.class_numbers),
        size=8,
    )
    assert again.class_original.tolist() == [1, 3]
    assert set(again.train.source_index) <= set(first.train.source_index)
    assert set(again.parts["validation"].source_index) <= set(first.parts["validation"].source_index)
    assert again.train.images[:, 0, 0, 0].tolist() == again.train.source_index.tolist()
    assert [record.provenance.name for record in source.parents] == ["first.h5"]
    assert isinstance(source.parents[0], Dataset)
    with pytest.raises(UsageError, match="already has a validation part"):
        split(source, [1, 3], validation=0.1)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"size": 2}, TlcliError, "class '2' would be empty"),
        ({"size": 30, "validation": 0.1}, TlcliError, "validation share of 0.1 of 30 images"),
        ({"validation": 1.0}, UsageError, "less than 1"),
        ({"sampling": "other"}, UsageError, "nested, sklearn"),
        ({"seed": -1}, UsageError, "0 or more"),
    ],
)
def test_what_cannot_be_cut(tiny, options, kind, words):
    with pytest.raises(kind, match=words):
        split(tiny([30, 30, 3]), [0, 1, 2], **options)


def test_classes_that_cannot_be_tested_or_do_not_exist(tiny):
    with pytest.raises(TlcliError, match="no test image of class '0'"):
        split(tiny([3, 3], tests=0), [0, 1])
    with pytest.raises(UsageError, match="no class 7"):
        split(tiny([3, 3]), [0, 7])
    with pytest.raises(TlcliError, match="two classes named 'a'"):
        tiny([3, 3], names=["a", "a"])


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(UsageError, match="Did you mean 'mnist'"):
        load_source("mnits")
    with pytest.raises(UsageError, match="`white` does not go with digits"):
        load_source("digits", white=16)
