"""A device without memory, and a training that goes on elsewhere: told in words, and nothing is lost."""

from __future__ import annotations

import re
import sys
from functools import partial

import numpy as np
import pytest

from tlcli.errors import Interrupted, TlcliError
from tlcli.training import Recipe, train_base, transfer
from tlcli.training.engines.memory import with_smaller_blocks
from tlcli.training.engines.tensorflow_engine import TensorFlowEngine

SHORT = Recipe(samples=50, batch_size=10)


def full(*arguments):
    """What TensorFlow does when a device has no memory left."""
    import tensorflow as tf

    raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")


def test_an_evaluation_takes_smaller_blocks():
    import tensorflow as tf

    tried = []

    def compute(block):
        tried.append(block)
        return full() if block > 60 else "made"

    assert with_smaller_blocks(compute, 500) == ("made", 31)
    assert tried == [500, 250, 125, 62, 31]
    with pytest.raises(tf.errors.ResourceExhaustedError):
        with_smaller_blocks(full, 4)
    with pytest.raises(KeyError):
        with_smaller_blocks(lambda block: {}[block], 4)


def test_a_batch_that_is_too_large_is_told(base, target_set, monkeypatch):
    monkeypatch.setattr(TensorFlowEngine, "train", full)
    data = (target_set.train.images.nbytes + target_set.train.labels.nbytes) / 1e6
    told = f"for training with 10 images per step, beside {data:.1f} MB of data.\nGive a smaller `batch_size`"
    with pytest.raises(TlcliError, match=re.escape(told)):
        transfer(base, [target_set], ["finetune"], recipe=SHORT)


def test_data_that_are_too_large_are_told(target_set, monkeypatch):
    import tensorflow as tf

    convert = tf.convert_to_tensor

    def convert_but_images(value, *more, **options):
        images = isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim == 4
        return full() if images else convert(value, *more, **options)

    monkeypatch.setattr(tf, "convert_to_tensor", convert_but_images)
    told = rf"memory for the data: {len(target_set.train)} images .*\n.*A smaller `batch_size` does not help"
    with pytest.raises(TlcliError, match=told):
        train_base(target_set, "cnn2", recipe=SHORT)


def test_a_state_of_another_training_is_refused(source_set, tmp_path):
    train = partial(train_base, source_set, "cnn2", state_dir=tmp_path / "state")
    with pytest.raises(Interrupted):
        train(recipe=Recipe(epochs=2), stop=lambda: True)
    for recipe, seed, told in (
        (Recipe(epochs=2), 1, "its seed was 0, now 1"),
        (Recipe(epochs=3), 0, "its epochs was 2, now 3"),
        (Recipe(epochs=2, precision="mixed"), 0, "its precision was float32, now mixed"),
    ):
        with pytest.raises(TlcliError, match=rf"another training: {told}\.\n"):
            train(recipe=recipe, seed=seed, resume=True)


ELSEWHERE = (
    ({"backend": "jax"}, "its backend was tensorflow, now jax (KERAS_BACKEND=tensorflow and `device` cpu"),
    ({"device": "NVIDIA H100"}, "its device was cpu, now NVIDIA H100 ("),
    ({"devices": 2}, "its devices was 1, now 2 ("),
)


@pytest.mark.parametrize("kind", ["base", "grid"])
def test_what_another_computer_began_is_refused_and_kept(
    base, source_set, target_set, tmp_path, monkeypatch, kind
):
    recipe = Recipe(samples=300, batch_size=20)
    train = {
        "base": partial(train_base, source_set, "cnn2", recipe=recipe, state_dir=tmp_path),
        "grid": partial(transfer, base, [target_set], ["scratch"], recipe=recipe, runs=4, state_dir=tmp_path),
    }[kind]
    with pytest.raises(Interrupted):
        train(stop=lambda: kind == "base" or any(tmp_path.glob("*.h5")))
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert kept
    module = sys.modules[f"tlcli.training.{kind}"]
    describe = module.describe_computing
    for elsewhere, told in ELSEWHERE:
        with monkeypatch.context() as patch:
            patch.setattr(module, "describe_computing", lambda *given, e=elsewhere: {**describe(*given), **e})
            with pytest.raises(TlcliError, match=re.escape(told)):
                train(resume=True)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept
    assert train(resume=True)
