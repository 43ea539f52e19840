"""The same training under Keras's JAX backend, in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

SCRIPT = """
import numpy as np
from tlcli import data
from tlcli.training import Recipe, embed, train_base, transfer
import keras
assert keras.backend.backend() == "jax"
digits = data.load_source("digits")
source = data.split(digits, range(6))
recipe = Recipe(epochs=4, batch_size=50, optimizer="adamw", weight_decay=1e-3, schedule="one-cycle", ema=0.9,
                learning_rate=0.004, augment=("shift:1",))
base = train_base(source, "cnn2", options={"dropout": 0.2}, recipe=recipe)
assert base.history["test_accuracy"][-1] > 0.9, base.history
target = data.split(digits, range(6, 10), size=100)
arms = ["freeze:copy=2", "finetune:rate_decay=0.5", "replay"]
results = transfer(base, [target], arms, recipe=Recipe(samples=1000, batch_size=20), source=source)
for run in results.runs:
    assert run.test_accuracy > 0.6, (run.arm, run.test_accuracy)
    assert run.test_accuracy == (run.predictions == target.test.labels).mean()
vectors = embed(base, source).parts["test"].embeddings
logits = vectors @ base.weights["head/kernel"] + base.weights["head/bias"]
assert (logits.argmax(1) == base.test_predictions).mean() > 0.99
small = train_base(data.split(digits, range(6), size=60), "cnn6-bn",
                   recipe=Recipe(samples=120, batch_size=20))
assert np.abs(small.weights["conv2_bn/moving_mean"]).max() > 0
"""


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_train_transfer_and_embed_under_jax():
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr[-3000:]
