"""Augmentation moves pixels as it says, drawn from the seed and the step alone."""

from __future__ import annotations

import numpy as np

from tlcli.training import Recipe, augment
from tlcli.training.order import SampleOrder
from tlcli.training.plan import Plans


def test_augmentation_moves_pixels_as_it_says():
    from tlcli.training import augment

    images = np.random.default_rng(0).normal(size=(3, 6, 6, 2)).astype("float32")
    flipped = np.asarray(augment.apply(images, {"flip": np.array([1, 0, 1], "float32")}, {"flip": 0.5}))
    assert np.array_equal(flipped[0], images[0, :, ::-1])
    assert np.array_equal(flipped[1], images[1])
    offset = {"offset": np.array([[0, 0], [1, -2], [2, 2]], "int32")}
    shifted = np.asarray(augment.apply(images, offset, {"crop": 2}))
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    assert np.array_equal(shifted[0], images[0])
    assert np.array_equal(shifted[1], padded[1, 3:9, 0:6])
    assert np.array_equal(shifted[2], padded[2, 4:10, 4:10])
    corner = {"corner": np.array([[0, 0], [-1, 4], [3, 3]], "int32")}
    cut = np.asarray(augment.apply(images, corner, {"cutout": 3}))
    assert not cut[0, :3, :3].any()
    assert np.array_equal(cut[0, 3:], images[0, 3:])
    assert not cut[1, :2, 4:].any()
    turned = np.asarray(augment.apply(images, {"angle": np.zeros(3, "float32")}, {"rotate": 5}))
    np.testing.assert_allclose(turned, images, atol=1e-5)
    quarter = np.asarray(augment.apply(images, {"angle": np.full(3, np.pi / 2, "float32")}, {"rotate": 90}))
    turns = [np.rot90(images, k, axes=(1, 2)) for k in (1, 3)]
    assert any(np.allclose(quarter, t, atol=1e-4) for t in turns)
    boxes = np.array([[0, 0, 1, 1], [0.5, 0, 0.5, 1], [0, 0.5, 1, 0.5]], "float32")
    enlarged = np.asarray(augment.apply(images, {"box": boxes}, {"resized-crop": 0.5}))
    np.testing.assert_allclose(enlarged[0], images[0], atol=1e-5)
    for row, part in ((1, images[1, 3:]), (2, images[2, :, 3:].swapaxes(0, 1))):
        whole = enlarged[row] if row == 1 else enlarged[row].swapaxes(0, 1)
        np.testing.assert_allclose(whole[1], 0.75 * part[0] + 0.25 * part[1], atol=1e-5)


def test_colors_are_jittered_in_pixels_not_in_standard_units():
    from tlcli.training import augment

    pixels = np.random.default_rng(0).uniform(0.3, 0.6, (4, 5, 5, 3)).astype("float32")
    mean, std = np.array([0.4, 0.5, 0.6], "float32"), np.array([0.2, 0.3, 0.25], "float32")
    factors = np.array([[1, 1, 1], [0.5, 1, 1], [1, 0.5, 1], [1, 1, 0]], "float32")
    images = (pixels - mean) / std
    changed = augment.apply(images, {"color": factors}, {"color-jitter": 0.5}, mean, std)
    found = np.asarray(changed) * std + mean
    expected = pixels.copy()
    expected[1] *= 0.5
    expected[2] = 0.5 * pixels[2] + 0.5 * pixels[2].mean()
    expected[3] = pixels[3].mean(axis=2, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    plan = augment.draw(
        {"resized-crop": 0.2, "color-jitter": 0.4}, (500,), (8, 8, 3), np.random.default_rng(1)
    )
    top, left, height, width = plan["box"].T
    assert (top + height).max() <= 1 + 1e-6
    assert (left + width).max() <= 1 + 1e-6
    assert 0.13 < (height * width).min() < 0.3
    assert 0.6 <= plan["color"].min() < 0.65 < 1.35 < plan["color"].max() <= 1.4


def test_alternating_flips_show_both_sides_in_two_epochs():
    order = SampleOrder(30, seed=1)
    first, sides = np.random.default_rng(4).integers(0, 2, 30), {}
    for start in range(0, 120, 40):  # stretches that straddle the epochs, as chunks of steps do
        index = order.take(start, start + 40).reshape(8, 5)
        flips = augment.alternating_flips(index, start, first)
        for number, flip in zip(index.ravel(), flips.ravel(), strict=True):
            sides.setdefault(number, []).append(flip)
    assert all(seen in ([0, 1, 0, 1], [1, 0, 1, 0]) for seen in sides.values())
    assert 5 < sum(seen[0] for seen in sides.values()) < 25


def test_what_a_step_sees_depends_on_the_seed_and_the_step_alone():
    recipe = Recipe(
        epochs=1, augment=("alternating-flip", "crop:2", "rotate:9", "color-jitter", "cutout:3", "mixup:0.2")
    )

    def plans(seed=5):
        return Plans(recipe, (8, 8, 1), 30, 7, 400, seed, views=3, replayed=(50, 4))

    whole, other = plans().take(0, 200), plans(6).take(0, 200)
    cut, resumed = plans(), plans()
    pieces = [cut.take(start, start + 8) for start in range(0, 200, 8)]
    assert set(whole) == {"index", "index_source", "learning_rate", *augment.DRAWN} - {"box"}
    for name, rows in whole.items():
        assert np.array_equal(np.concatenate([piece[name] for piece in pieces]), rows), name
        assert np.array_equal(resumed.take(130, 200)[name], rows[130:]), name
        assert name == "learning_rate" or not np.array_equal(other[name], rows), name
        assert len(np.unique(rows, axis=0)) > 80 or name == "learning_rate", f"{name} repeats itself"
    assert np.array_equal(np.sort(whole["partner"], axis=1), np.tile(np.arange(7), (200, 1)))
    assert set(np.unique(whole["index"] // 30)) == {0, 1, 2}
