"""Training a base: against plain Keras, resumed at random, with every part of a recipe."""

from __future__ import annotations

import dataclasses
import itertools
import random

import numpy as np
import pytest

from tlcli import store
from tlcli.errors import Interrupted, TlcliError, UsageError
from tlcli.models import network as net
from tlcli.training import Recipe, embed, train_base, transfer
from tlcli.training.base import channel_statistics
from tlcli.training.engines.tensorflow_engine import TensorFlowEngine
from tlcli.training.loop import Examples, Fit
from tlcli.training.order import SampleOrder, next_evaluation
from tlcli.training.step import Step
from tlcli.training.watch import Watch

EVERYTHING = Recipe(
    optimizer="adamw",
    learning_rate=0.003,
    schedule="one-cycle",
    weight_decay=1e-3,
    l2=1e-4,
    label_smoothing=0.1,
    batch_size=64,
    epochs=3,
    augment=("flip", "crop:1", "rotate:10", "resized-crop:0.5", "color-jitter", "cutout:2", "mixup:0.2"),
    ema=0.99,
)


def test_a_training_equals_plain_keras_step_by_step(source_set):
    """The same weights, order, penalty and optimizer through `train_on_batch` give the same weights."""
    import keras

    adam, sgd = keras.optimizers.Adam, keras.optimizers.SGD
    for optimizer, l2 in ((adam(0.001), 0.0), (sgd(0.05, momentum=0.9, nesterov=True), 0.01)):
        name = type(optimizer).__name__.lower()
        rate = float(optimizer.learning_rate)
        ours = train_base(
            source_set,
            "cnn2",
            seed=3,
            recipe=Recipe(optimizer=name, learning_rate=rate, l2=l2, samples=1000, batch_size=50),
        )
        mean, std = channel_statistics(source_set.train.images)
        network = net.build("cnn2", source_set.image_shape, 6)
        model, start = network.model, net.initial_weights(network, 3, "base")
        net.assign(model, start)
        for layer in model.layers:
            if l2 and hasattr(layer, "kernel"):
                layer.kernel_regularizer = layer.kernel.regularizer = keras.regularizers.L2(l2)
        model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        x = ((np.asarray(source_set.train.images) / 255.0 - mean) / std).astype("float32")
        order = SampleOrder(len(x), 3).take(0, 1000)
        for batch in order.reshape(20, 50):
            model.train_on_batch(x[batch], source_set.train.labels[batch])
        for key, value in net.weights(model).items():
            # Rounding turns the sign of a vanishing gradient, which Adam makes a whole step of: hence means.
            moved = np.abs(value - start[key]).mean()
            assert np.abs(ours.weights[key] - value).mean() < 0.01 * moved, f"{name} {key}"


def test_batch_normalization_trains_as_in_plain_keras(source_set):
    """The network `cnn6-bn` against one of Keras's own layers, on the same batches; and the averages of its
    weights and moving statistics, which belong together.
    """
    import keras
    from keras import layers

    recipe = Recipe(samples=2000, batch_size=50)
    ours = train_base(source_set, "cnn6-bn", seed=3, recipe=recipe)
    averaged = train_base(source_set, "cnn6-bn", seed=3, recipe=dataclasses.replace(recipe, ema=0.9))
    start = net.initial_weights(net.build("cnn6-bn", source_set.image_shape, 6), 3, "base")
    x = inputs = keras.Input(source_set.image_shape)
    for number, width in enumerate((8, 8, 16, 16, 32, 32), start=1):
        x = layers.Conv2D(width, 3, padding="same", name=f"conv{number}")(x)
        x = layers.ReLU()(layers.BatchNormalization(name=f"conv{number}_bn")(x))
        x = layers.MaxPooling2D(2)(x) if number % 2 == 0 else x
    plain = keras.Model(inputs, layers.Dense(6, name="head")(layers.Flatten()(x)))
    net.assign(plain, start)
    plain.compile(keras.optimizers.Adam(0.001), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    mean, std = channel_statistics(source_set.train.images)
    images = ((np.asarray(source_set.train.images) / 255.0 - mean) / std).astype("float32")
    average = start
    for step, batch in enumerate(SampleOrder(len(images), 3).take(0, 2000).reshape(40, 50), start=1):
        plain.train_on_batch(images[batch], source_set.train.labels[batch])
        decay = min(0.9, (1 + step) / (10 + step))
        average = {key: decay * average[key] + (1 - decay) * v for key, v in net.weights(plain).items()}
    for found, expected in ((ours, net.weights(plain)), (averaged, average)):
        for key, value in expected.items():
            if not key.endswith("bias"):  # a bias before a normalization has no gradient but rounding
                moved = np.abs(value - start[key]).mean()
                assert np.abs(found.weights[key] - value).mean() < 0.1 * moved, key


WHITENED = Recipe.from_options("fast", epochs=3, batch_size=64, augment=["alternating-flip", "crop:1"])


@pytest.mark.parametrize(
    ("arch", "options", "recipe"),
    [
        ("cnn2", {"dropout": 0.5}, EVERYTHING),
        ("cnn2", {"dropout": 0.5}, Recipe(epochs=3, batch_size=64)),
        ("whitened-cnn", {"filters": "4-8-8"}, WHITENED),
    ],
)
def test_an_interrupted_training_ends_in_the_same_arrays(source_set, padded, tmp_path, arch, options, recipe):
    dataset = padded(source_set) if arch == "whitened-cnn" else source_set

    def train(**how):
        return train_base(dataset, arch, options=options, recipe=recipe, seed=5, **how)

    whole = train()
    state, interruptions, chance = tmp_path / "state", 0, random.Random(1)
    spent = [0.0]
    while True:
        left = [chance.randint(4, 9)]

        def stop(left=left) -> bool:
            left[0] -= 1
            return left[0] == 0

        try:
            resumed = train(state_dir=state, resume=True, stop=stop, record_seconds=True)
            break
        except Interrupted:
            interruptions += 1
            spent.append(store.read(state / "state.h5", store.Checkpoint).provenance.computed_by["seconds"])
    assert interruptions >= 1
    spent.append(resumed.provenance.computed_by["seconds"])
    assert all(later > earlier for earlier, later in itertools.pairwise(spent))
    assert "seconds" not in whole.provenance.computed_by
    assert set(whole.weights) == set(resumed.weights)
    for key, value in {**whole.weights, **whole.history}.items():
        assert np.array_equal(value, {**resumed.weights, **resumed.history}[key]), key


def test_a_state_from_before_an_option_was_added_goes_on(source_set, tmp_path):
    recipe, state = Recipe(samples=200, batch_size=20), tmp_path / "state.h5"
    how = {"recipe": recipe, "state_dir": tmp_path}
    with pytest.raises(Interrupted):
        train_base(source_set, "cnn2", stop=lambda: True, **how)
    kept = store.read(state, store.Checkpoint)
    options = {key: value for key, value in kept.options.items() if key != "dropout"}
    older = dataclasses.replace(kept, options=options)
    store.write(state, older, parents=[source_set], force=True)
    resumed = train_base(source_set, "cnn2", resume=True, **how)
    assert resumed.samples_seen == 200
    assert resumed.options["dropout"] == 0.0


def test_a_base_learns_and_records_what_it_did(base, source_set):
    assert base.history["test_accuracy"][-1] > 0.95
    assert list(base.history["samples_seen"]) == sorted(base.history["samples_seen"])
    answers = base.test_predictions == source_set.test.labels
    assert answers.mean() == base.history["test_accuracy"][-1]
    assert base.recipe["optimizer"] == "adam"
    assert base.recipe["learning_rate"] == 0.001


def test_early_stopping_keeps_the_weights_of_the_best_validation_loss(target_set):
    recipe = Recipe(learning_rate=0.02, epochs=60, batch_size=20, early_stopping=3)
    made = train_base(target_set, "cnn2", recipe=recipe)
    losses = made.history["validation_loss"]
    assert len(losses) < 60
    assert int(np.argmin(losses)) == len(losses) - 5, "three without gain, and the row of what is kept"
    assert losses[-1] == losses.min()
    right = (made.test_predictions == target_set.test.labels).mean()
    assert right == made.history["test_accuracy"][-1]


def test_early_stopping_without_a_validation_part_is_refused(source_set):
    with pytest.raises(UsageError, match="validation"):
        train_base(source_set, "cnn2", recipe=Recipe(epochs=1, early_stopping=2))


def test_divergence_is_said(source_set):
    with pytest.raises(TlcliError, match="diverged"):
        train_base(source_set, "cnn2", recipe=Recipe(optimizer="sgd", learning_rate=1000, epochs=2))


def test_a_weight_that_is_lost_behind_a_finite_loss_is_found(base, target_set, monkeypatch):
    train = TensorFlowEngine.train

    def poisoned(self, data, plan):
        kernel = self.step.trainable[0]
        kernel.assign(kernel.numpy() * np.nan)  # TensorFlow's ReLU makes zeros of it
        return train(self, data, plan)

    monkeypatch.setattr(TensorFlowEngine, "train", poisoned)
    with pytest.raises(TlcliError, match=r"weight .* 50 images"):
        transfer(base, [target_set], ["finetune"], recipe=Recipe(samples=50, batch_size=10))


def test_an_output_that_is_no_number_ends_the_training(base, target_set, monkeypatch):
    """Weights that are finite can give infinite outputs, whose loss no file may hold."""
    monkeypatch.setattr(Fit, "predict", lambda self, x: np.full((len(x), 4), np.inf, np.float32))
    with pytest.raises(TlcliError, match=r"test part .* 50"):
        transfer(base, [target_set], ["finetune"], recipe=Recipe(samples=50, batch_size=10))


@pytest.mark.parametrize(("seed", "runs"), [(-1, 1), (2**32, 1), (2**32 - 1, 2)])
def test_a_seed_that_not_everything_takes_is_refused(base, target_set, seed, runs):
    with pytest.raises(UsageError, match="`seed`: received"):
        transfer(base, [target_set], ["scratch"], seed=seed, runs=runs)


def test_shifts_that_leave_the_image_are_refused(base, source_set, target_set):
    recipe = Recipe(epochs=1, augment=("shift:8",))
    for train in (
        lambda: train_base(source_set, "cnn2", recipe=recipe),
        lambda: transfer(base, [target_set], ["finetune"], recipe=recipe),
    ):
        with pytest.raises(UsageError, match="these are 8x8"):
            train()


def test_statistics_come_from_all_classes_of_a_sorted_dataset():
    images = np.repeat(np.uint8([0, 255]), 9).reshape(18, 1, 1, 1)
    mean, std = channel_statistics(images, sample=10)
    assert mean == pytest.approx(4 / 9)  # 9 images, every second
    assert std == pytest.approx(0.5, abs=0.01)


def test_the_order_of_samples():
    order = SampleOrder(7, seed=1)
    stream = order.take(0, 21)
    for epoch in range(3):
        assert sorted(stream[7 * epoch : 7 * epoch + 7]) == list(range(7))
    assert not np.array_equal(stream[:7], stream[7:14])
    assert np.array_equal(SampleOrder(7, seed=1).take(5, 17), stream[5:17])
    assert not np.array_equal(SampleOrder(7, seed=2).take(0, 7), stream[:7])


def test_when_a_training_is_evaluated():
    def points(total: int, every: int, batch: int) -> list[int]:
        return sorted({next_evaluation(done, total, every, batch) for done in range(total)})

    assert points(240, 1000, 100) == list(range(10, 241, 10))
    assert points(25, 1000, 100) == [10, 20, 25]
    assert points(5, 130, 100) == [2, 3, 4, 5]
    assert points(4, 1, 100) == [1, 2, 3, 4]
    assert next_evaluation(10**9, 10**10, 7, 3) == 10**9 + 1, "without a list of all of them"


def test_a_training_may_be_measured_thousands_of_times(base):
    """Memory stays bounded from one measurement to the next. The engine computes nothing, for speed."""

    class Still:
        runs_ahead = True

        def train(self, data, plan):
            return lambda: (np.zeros(len(plan["index"])), np.zeros(len(plan["index"])), True)

        def outputs(self, x):
            return [np.zeros((len(x), 6), np.float32)]

        def write(self):
            pass

        read = write

    model = net.build("cnn2", base.input_shape, 6).model
    parts = {part: (np.zeros(20), np.zeros(20, int)) for part in ("test", "validation")}
    for patience in (None, 5000):
        recipe = Recipe(epochs=2000, early_stopping=patience)
        step = Step(model, base.mean, base.std, trainable=[], recipe=recipe)
        examples = Examples({}, 20, parts)
        fit = Fit(step, Still(), examples, model, 0, total_samples=40_000, eval_every=20)
        fit.run(Watch())
        assert fit.history["samples_seen"] == list(range(20, 40_001, 20))


def test_learning_rate_schedules():
    recipe = Recipe(learning_rate=1.0, schedule="one-cycle", epochs=1)
    rates = recipe.learning_rates(0, 100, 100)
    assert rates.argmax() in (19, 20)
    assert rates[0] < 0.05
    assert rates[-1] < 0.01
    assert np.array_equal(recipe.learning_rates(30, 40, 100), rates[30:40])
    cosine = Recipe(learning_rate=1.0, schedule="cosine", epochs=1).learning_rates(0, 100, 100)
    assert cosine[0] > 0.99
    assert cosine[-1] < 0.01
    step = Recipe(learning_rate=1.0, schedule="step", epochs=1).learning_rates(0, 100, 100)
    assert sorted(set(step.tolist()), reverse=True) == pytest.approx([1.0, 0.1, 0.01])


@pytest.mark.parametrize(
    "wrong",
    [
        {"optimizer": "magic"},
        {"learning_rate": -1},
        {"learning_rate": float("nan")},
        {"augment": ("fly",)},
        {"augment": ("crop:x",)},
        {"augment": ("crop:0.5",)},
        {"augment": ("crop:2", "shift:1")},
        {"augment": ("flip", "alternating-flip")},
        {"augment": ("crop:2", "crop:4")},
        {"batch_size": 0},
        {"epochs": 0},
        {"ema": 1.0},
        {"samples": 10},
    ],
)
def test_a_wrong_recipe_is_refused(wrong):
    with pytest.raises(UsageError):
        Recipe(**{"epochs": 1, **wrong})


def test_a_momentum_without_effect_is_refused():
    with pytest.raises(UsageError, match="`momentum` is of sgd"):
        Recipe.from_options("default", momentum=0.5)
    assert Recipe.from_options("fast", momentum=0.5).momentum == 0.5
    assert Recipe.from_options("fast", optimizer="adam").optimizer == "adam"


def test_embeddings_are_what_the_head_sees(base, source_set):
    made = embed(base, dataclasses.replace(source_set, options={"notes": ["12 are dark"]}))
    assert made.notes == ["12 are dark"]
    assert made.layer == "dense1"
    logits = made.parts["test"].embeddings @ base.weights["head/kernel"] + base.weights["head/bias"]
    assert np.array_equal(logits.argmax(axis=1), base.test_predictions)
    assert embed(base, source_set, "pool").parts["test"].embeddings.shape[1] == 2 * 2 * 32
    with pytest.raises(UsageError, match="its layers: conv1, conv2, pool"):
        embed(base, source_set, "conv7")
