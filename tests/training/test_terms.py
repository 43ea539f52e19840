"""The terms that methods add to the loss, against the formulas of their articles in plain numpy."""

from __future__ import annotations

import numpy as np

from tlcli.training.methods.lwf import Distillation


def test_distillation_is_the_divergence_of_softened_answers():
    rng = np.random.default_rng(0)
    teacher, student = rng.normal(size=(2, 6, 4)).astype(np.float32)
    other_head = np.zeros((6, 3), np.float32)
    term = Distillation(weight=0.5, temperature=2.0).term(None)
    found = float(np.asarray(term([other_head, student], {"teacher": teacher})))

    def softened(logits):
        power = np.exp(logits.astype(np.float64) / 2)
        return power / power.sum(axis=1, keepdims=True)

    p, q = softened(teacher), softened(student)
    assert np.isclose(found, 0.5 * (p * np.log(p / q)).sum(axis=1).mean(), rtol=1e-5)
