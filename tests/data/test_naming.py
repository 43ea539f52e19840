"""The names of files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlcli.data import default_name


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"dataset": "mnist", "classes": "6-9", "proportion": 0.01}, "mnist-6-9-p0.01.h5"),
        (
            {"dataset": "mnist", "classes": "6-9", "proportion": 1.0, "multiple_of": 100},
            "mnist-6-9-p1-m100.h5",
        ),
        ({"dataset": "digits", "classes": "all", "seed": 3}, "digits-all-s3.h5"),
        (
            {"dataset": "cifar10", "classes": "random:5", "size": 100, "sampling": "sklearn"},
            "cifar10-random5-n100-sklearn.h5",
        ),
        (
            {"dataset": "cifar10", "classes": "except:runs/a.h5", "validation": 0.1},
            "cifar10-except-a-v0.1.h5",
        ),
        (
            {"dataset": "cifar100", "classes": "fish,trees", "labels": "coarse"},
            "cifar100-coarse-fish_trees.h5",
        ),
        ({"dataset": "../my photos/", "classes": "cat, dog", "image_size": 32}, "my_photos-32x32-cat_dog.h5"),
        ({"dataset": "-", "classes": "0", "fit": "crop", "channels": 1}, "stdin-crop-grey-0.h5"),
        ({"dataset": "mnist", "classes": "0", "proportion": 1e-7}, "mnist-0-p0.0000001.h5"),
    ],
)
def test_names_say_what_was_asked_for(options, name):
    assert default_name(**options) == name


ANY_TEXT = st.text(st.characters() | st.sampled_from("\ud800\udce9"), max_size=300)
"""Any text, with the surrogates that Python makes of names that are not UTF-8."""


@given(ANY_TEXT, ANY_TEXT, st.floats(0, 1))
def test_any_input_makes_a_safe_name(dataset, classes, proportion):
    name = default_name(dataset.replace("\0", ""), classes, proportion=proportion)
    assert name.endswith(".h5")
    assert len(name.encode()) <= 120
    assert not set(name) & set("/\\:*?\"<>|\n\r\t\0 ,'`$&;()")
    assert name[0] not in ".-"


def test_what_reads_the_same_stays_apart():
    assert default_name("caf\udce9", "all") != default_name("caf\udce8", "all")
    assert default_name("mnist", "'a/b'") != default_name("mnist", "'a:b'")
    long = ",".join(str(i) for i in range(60))
    assert default_name("cifar100", long) != default_name("cifar100", long + ",60")
