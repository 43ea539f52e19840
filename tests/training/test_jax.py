"""The same training under Keras's JAX backend, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
import dataclasses
import numpy as np
from tlcli import data
from tlcli.training import Recipe, embed, train_base, transfer
import keras
assert keras.backend.backend() == "jax"
digits = data.load_source("digits")
source = data.split(digits, range(6))
# JAX compiles anew for every number of steps: measuring after every 8 makes that number one
recipe = Recipe(samples=3200, batch_size=50, eval_every=400, optimizer="adamw", weight_decay=1e-3, ema=0.9,
                schedule="one-cycle", learning_rate=0.004, augment=("shift:1",))
base = train_base(source, "cnn2", options={"dropout": 0.2}, recipe=recipe)
assert base.history["test_accuracy"][-1] > 0.9, base.history
target = data.split(digits, range(6, 10), size=100)
arms = ["freeze:copy=2", "anchored:replay=1"]
results = transfer(base, [target], arms, recipe=Recipe(samples=1000, batch_size=20), source=source)
assert base.recipe["backend"] == results.recipe["backend"] == "jax"
for run in results.runs:
    assert run.test_accuracy > 0.6, (run.arm, run.test_accuracy)
    assert run.test_accuracy == (run.predictions == target.test.labels).mean()
vectors = embed(base, source).parts["test"].embeddings
logits = vectors @ base.weights["head/kernel"] + base.weights["head/bias"]
assert (logits.argmax(1) == base.test_predictions).mean() > 0.99
few = data.split(digits, range(6), size=60)
for part in few.parts.values():
    part.images = np.pad(part.images[:], ((0, 0), (2, 2), (2, 2), (0, 0)))
for arch, options, precision in (("whitened-cnn", {"filters": "4-8-8", "depth": 1}, "float32"),
                                 ("small-cnn", {"filters": "8-8", "blocks": "1-1"}, "mixed")):
    recipe = Recipe(samples=120, batch_size=20, precision=precision)
    small = train_base(few, arch, options=options, recipe=recipe)
    assert np.abs(small.weights["conv1_bn/moving_mean"]).max() > 0
    assert small.history["train_loss"][-1] < small.history["train_loss"][0]
(run,) = transfer(small, [few], ["logistic"], recipe=dataclasses.replace(recipe, mirrored=True)).runs
assert run.test_accuracy > 0.3
assert embed(small, few).parts["test"].embeddings.dtype == np.float32
"""


def test_train_transfer_and_embed_under_jax():
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr[-3000:]
