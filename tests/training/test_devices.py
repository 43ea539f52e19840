"""One training shared among two devices: logical CPUs, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import pathlib, sys
from tlcli import data, store
from tlcli.errors import Interrupted
from tlcli.training import Recipe, train_base

TWO = ["CPU:0", "CPU:1"]
folder = pathlib.Path(sys.argv[1])
source = store.write(folder / "source.h5", data.split(data.load_source("digits"), range(6)))


def assert_close(made, alone, share):
    for key, value in alone.weights.items():
        moved = np.abs(value - start.weights[key]).mean()
        assert np.abs(made.weights[key] - value).mean() < share * moved, key


# batches of 63, which two devices cannot share evenly, and mixup, whose pairs lie in both shares
both = dict(batch_size=63, weight_decay=1e-3, label_smoothing=0.1, ema=0.9)
augment = ("flip", "crop:1", "rotate:10", "cutout:2", "mixup:0.2")
start = train_base(source, "cnn2", recipe=Recipe(samples=1, batch_size=1, learning_rate=1e-9), devices=TWO)
assert "devices" not in start.recipe
for recipe, share in (
    (Recipe(samples=63 * 40, optimizer="sgd", schedule="one-cycle", augment=augment, **both), 1e-4),
    (Recipe(samples=63 * 20, optimizer="adam", **both), 1e-2),
):
    alone = train_base(source, "cnn2", recipe=recipe)
    made = train_base(source, "cnn2", recipe=recipe, devices=TWO)
    assert_close(made, alone, share)
    np.testing.assert_allclose(made.history["train_loss"], alone.history["train_loss"], rtol=1e-4)
    np.testing.assert_allclose(made.history["test_loss"], alone.history["test_loss"], rtol=1e-3)
    assert made.recipe == {**alone.recipe, "devices": 2}

# batch normalization and dropout, which are not as on one device, and going on
how = dict(options={"head_units": "32", "head_dropout": 0.2}, devices=TWO)
how["recipe"] = Recipe(epochs=3, batch_size=50, learning_rate=0.004, ema=0.9)
whole = train_base(source, "cnn6-bn", **how)
assert whole.history["test_accuracy"][-1] > 0.8, whole.history
asked = iter([False, True])
try:
    train_base(source, "cnn6-bn", state_dir=folder / "state", stop=lambda: next(asked), **how)
    raise AssertionError("not stopped")
except Interrupted:
    resumed = train_base(source, "cnn6-bn", state_dir=folder / "state", resume=True, **how)
for key, value in whole.weights.items():
    np.testing.assert_allclose(resumed.weights[key], value, rtol=1e-4, atol=1e-6, err_msg=key)
"""


def test_two_devices_train_as_one(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path], capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr[-3000:]
