"""Checkpoints whose options ask for another network than their arrays are of."""

from __future__ import annotations

import dataclasses
import resource
import time

import numpy as np
import pytest
import tensorflow as tf

from tlcli.cli.main import explain
from tlcli.errors import TlcliError
from tlcli.models import network as net
from tlcli.store.records import Checkpoint
from tlcli.training.embedding import rebuild


def checkpoint(
    arch: str, options: dict | None = None, shape: tuple[int, int, int] = (16, 16, 1)
) -> Checkpoint:
    network = net.build(arch, shape, 3, options)
    return Checkpoint(
        architecture=arch,
        options=network.options,
        input_shape=shape,
        class_names=["a", "b", "c"],
        class_original=np.arange(3),
        mean=np.zeros(1, np.float32),
        std=np.ones(1, np.float32),
        weights=net.weights(network.model),
        recipe={},
        seed=0,
        samples_seen=1,
    )


@pytest.mark.parametrize(
    ("arch", "options"),
    [
        ("cnn4", {}),
        ("cnn4", {"head_units": "8-9", "head_dropout": 0.5}),
        ("small-cnn", {"filters": "8-8", "blocks": "1-1", "all_layers": True}),
        ("densenet", {"growth": 2}),
    ],
)
def test_honest_ones_are_built(arch: str, options: dict) -> None:
    """Also: a head replaces the architecture's own, whose weights are not stored."""
    kept = checkpoint(arch, options)
    again = net.weights(rebuild(kept).model)
    assert again.keys() == kept.weights.keys()
    assert all(np.array_equal(again[key], kept.weights[key]) for key in again)


@pytest.mark.parametrize(
    ("arch", "options", "words"),
    [
        ("cnn4", {"units": 65536}, r"no array of the shape \(1024, 65536\), which dense1 of cnn4 with"),
        ("cnn4", {"filters": "60000-1-1-1"}, r"no array of the shape \(3, 3, 1, 60000\), which conv1"),
        ("cnn4", {"filters": "2000000000-1-1-1"}, "expected a value like"),
        ("small-cnn", {"blocks": "20000-1"}, "no array of the shape"),
        ("small-cnn", {"blocks": "20000-1", "head_units": "8"}, "no array of the shape"),
        ("cnn4", {"head_units": "-".join(["1"] * 9000)}, "no array of the shape"),
        ("cnn4", {"head_units": "-".join(["60000"] * 30)}, "no array of the shape"),
        ("densenet", {"growth": 60000}, "no array of the shape"),
    ],
)
def test_no_network_that_the_file_does_not_hold(arch: str, options: dict, words: str) -> None:
    """No variable without an array is made, which would take memory and time."""
    kept = checkpoint(arch)
    forged = dataclasses.replace(kept, options=kept.options | options)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(TlcliError, match=words) as caught:
        rebuild(forged)
    assert len(str(caught.value)) < 600
    assert time.process_time() - began < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB
    rebuild(kept)  # and after it all is as before


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[9]"),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes."),
        MemoryError(),
    ],
)
def test_no_memory_is_told_in_plain_words(error: Exception) -> None:
    """As TensorFlow, JAX and Python say it."""
    code, message = explain(error, [])
    assert code == 1
    assert message is not None
    assert "not enough memory" in message
