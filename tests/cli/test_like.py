"""Images are brought to what a base takes, and what a base that does not fit advises makes them fit."""

from __future__ import annotations

import re

import numpy as np
from processes import tlcli

from tlcli import data, store


def test_the_advice_for_images_that_do_not_fit_works(tmp_path):
    def run(*arguments, code=0):
        done = tlcli(*arguments, "-q", cwd=tmp_path)
        assert done.returncode == code, done.stderr
        return done.stderr.decode()

    shape = ("--image-size", "12x10", "--channels", "3")
    run("split", "--dataset", "digits", "--classes", "0-5", *shape, "--size", "100", "-o", "source.h5")
    run("train-base", "source.h5", "--arch", "cnn2", "--samples", "100", "-o", "base.h5")
    cut = ("split", "--dataset", "digits", "--classes", "6-9", "--size", "40")
    run(*cut, "-o", "target.h5")
    for command in (
        ("transfer", "base.h5", "target.h5", "--method", "freeze"),
        ("embed", "base.h5", "target.h5"),
    ):
        told = run(*command, "-o", "out.h5", code=1)
        assert {"8x8x1", "12x10x3"} <= set(re.findall(r"\w+x\w+x\w+", told))
        assert "tlcli split --like base.h5" in told
    run(*cut, "--like", "base.h5", "-o", "fitting.h5")
    run(
        "transfer",
        "base.h5",
        "fitting.h5",
        "--method",
        "freeze",
        "--samples",
        "40",
        "--runs",
        "1",
        "-o",
        "out.h5",
    )
    run(*cut, "--like", "source.h5", "-o", "likewise.h5")
    source = data.load_source("digits", image_size=(12, 10), channels=3)
    plain = data.split(source, range(6, 10), size=40)
    for name in ("fitting.h5", "likewise.h5"):
        found = store.read(tmp_path / name, store.Dataset)
        assert np.array_equal(found.train.images[:], plain.train.images[:])


def test_the_advice_for_a_network_that_takes_larger_images_works(tmp_path):
    cut = ("split", "--dataset", "digits", "--size", "40", "-q")
    assert tlcli(*cut, "-o", "small.h5", cwd=tmp_path).returncode == 0
    train = ("train-base", "--arch", "vgg16", "--samples", "10", "-q", "-o", "base.h5")
    told = tlcli(*train, "small.h5", cwd=tmp_path).stderr.decode()
    size = told.partition("(tlcli split --image-size ")[2].partition(")")[0]
    assert tlcli(*cut, "--image-size", size, "-o", "large.h5", cwd=tmp_path).returncode == 0
    assert store.read(tmp_path / "large.h5", store.Dataset).image_shape == (int(size), int(size), 1)
