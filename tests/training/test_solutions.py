"""Solved heads, hidden layers in the head, kept views, choices on held-out images, the recommended method."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tlcli import data, store
from tlcli.errors import UsageError
from tlcli.models import network as net
from tlcli.store.records import Checkpoint
from tlcli.training import Recipe, embed, transfer
from tlcli.training.embedding import rebuild
from tlcli.training.solved import INVERSE_PENALTIES, PENALTIES, Problem, logistic, ridge

SHORT = Recipe(samples=300, eval_every=100, batch_size=50)


def saved(tmp_path, arm: str) -> Checkpoint:
    (path,) = [p for p in tmp_path.iterdir() if arm in p.name]
    return store.read(path, Checkpoint)


def test_a_head_with_hidden_layers_takes_the_flattened_convolutions(base, target_set, tmp_path):
    how = {"recipe": SHORT, "head_units": "16,8"}
    results = transfer(base, [target_set], ["freeze", "finetune:copy=1"], save_dir=tmp_path, **how)
    frozen, tuned = results.runs
    assert [run.arm for run in results.runs] == [
        "freeze:head_units=16-8",
        "finetune:copy=1,head_units=16-8",
    ]
    flat = base.weights["dense1/kernel"].shape[0]
    new = flat * 16 + 16 + 16 * 8 + 8 + 8 * 4 + 4
    convolutions = sum(base.weights[f"conv{n}/{v}"].size for n in (1, 2) for v in ("kernel", "bias"))
    assert frozen.trainable_parameters == new
    assert frozen.parameters == tuned.trainable_parameters == convolutions + new
    kept = saved(tmp_path, "freeze")
    assert np.array_equal(kept.weights["conv2/kernel"], base.weights["conv2/kernel"])
    rebuilt = embed(kept, target_set)
    assert rebuilt.parts["test"].embeddings.shape[1] == 8
    with pytest.raises(UsageError, match="numbers of units"):
        transfer(base, [target_set], ["freeze"], recipe=SHORT, head_units="many")


def test_a_head_is_a_property_of_its_arm(base, source_set, target_set):
    """Linear and hidden heads in one grid; what is forgotten is measured with the base's own upper layers."""
    arms = ["freeze", "freeze:head_units=16,head_dropout=0.5", "replay:head_units=16"]
    plain, frozen, replayed = transfer(base, [target_set], arms, recipe=SHORT, source=source_set).runs
    assert plain.head_units == ""
    assert (frozen.head_units, frozen.head_dropout) == ("16", 0.5)
    before = base.history["test_accuracy"][-1]
    for run in (plain, frozen):
        assert run.source_accuracy_after == run.source_accuracy_before == before
    assert 0.5 < replayed.source_accuracy_after != before
    assert replayed.trainable_parameters > frozen.trainable_parameters
    with pytest.raises(UsageError, match="give head_units too"):
        transfer(base, [target_set], ["freeze"], head_dropout=0.5)
    with pytest.raises(UsageError, match="not alternatives of one arm"):
        transfer(base, [target_set], ["freeze:head_units=0|16"])


def test_a_hidden_head_trains_as_in_plain_keras(base, target_set, tmp_path):
    import keras

    from tlcli.training.order import SampleOrder

    how = {"recipe": SHORT, "save_dir": tmp_path, "seed": 2}
    transfer(base, [target_set], ["freeze:head_units=16"], **how)
    model = keras.Sequential(
        [
            keras.Input(target_set.image_shape),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(4),
        ]
    )
    start = net.initial_weights(net.build("cnn2", target_set.image_shape, 4, {"head_units": "16"}), 2, "run")
    start.update({key: value for key, value in base.weights.items() if key.startswith("conv")})
    model.set_weights(
        [start[f"{n}/{v}"] for n in ("conv1", "conv2", "head_dense1", "head") for v in ("kernel", "bias")]
    )
    for layer in model.layers[:2]:
        layer.trainable = False
    model.compile(keras.optimizers.Adam(0.001), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = ((np.asarray(target_set.train.images) / 255.0 - base.mean) / base.std).astype("float32")
    for batch in SampleOrder(len(x), 2).take(0, 300).reshape(6, 50):
        model.train_on_batch(x[batch], target_set.train.labels[batch])
    kept = saved(tmp_path, "freeze").weights
    for layer, name in zip(model.layers[-2:], ("head_dense1", "head"), strict=True):
        np.testing.assert_allclose(kept[f"{name}/kernel"], layer.get_weights()[0], atol=1e-5)


def test_a_head_may_read_all_layers(base, source_set, target_set, tmp_path):
    """Its inputs are what plain Keras computes, its solution scikit-learn's, and no other arm's features get
    in between."""
    import keras
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    arms = ["freeze", "ridge", "ridge:all_layers=1", "anchored"]
    results = transfer(base, [target_set], arms, recipe=SHORT, source=source_set, save_dir=tmp_path)
    runs = {run.arm: run for run in results.runs}
    (alone,) = transfer(base, [target_set], ["ridge"], recipe=SHORT, all_layers=True).runs
    solved = runs["ridge:all_layers=1"]
    assert alone.arm == solved.arm
    assert np.array_equal(alone.predictions, solved.predictions)
    assert solved.trainable_parameters == (32 + 32 + 128) * 4 + 4

    features = embed(base, target_set, "all").parts
    model = rebuild(base).model
    x = ((np.asarray(target_set.test.images) / 255.0 - base.mean) / base.std).astype("float32")
    taps = [model.get_layer(name).output for name in ("conv1", "conv2", "dense1")]
    pooled = keras.layers.MaxPooling2D(2)(taps[1])
    conv1, conv2, dense = (np.asarray(a) for a in keras.Model(model.inputs, [taps[0], pooled, taps[2]])(x))
    expected = np.concatenate([conv1.mean(axis=(1, 2)), conv2.mean(axis=(1, 2)), dense], axis=1)
    np.testing.assert_allclose(features["test"].embeddings, expected, atol=1e-5)
    penalty = solved.chosen["ridge"]["penalty"]
    plain = make_pipeline(StandardScaler(), RidgeClassifier(alpha=penalty))
    plain.fit(features["train"].embeddings, features["train"].labels)
    assert np.array_equal(solved.predictions, plain.predict(features["test"].embeddings))

    kept = saved(tmp_path, "ridge-all")
    again = embed(kept, target_set)
    assert again.layer == "all_layers"
    np.testing.assert_array_equal(again.parts["test"].embeddings, features["test"].embeddings)
    tuned = runs["anchored"]
    assert tuned.history["test_accuracy"][0] > 0.8
    assert tuned.trainable_parameters == tuned.parameters
    assert 0.5 < tuned.source_accuracy_after != tuned.source_accuracy_before
    with pytest.raises(UsageError, match="give one of the two"):
        transfer(base, [target_set], ["freeze:all_layers=1"], recipe=SHORT, head_units="8")


def test_the_head_of_an_arm_takes_the_place_of_the_bases(base, target_set, tmp_path):
    """Also where the base's own head reads all layers, or has hidden ones."""
    arms = ["ridge:all_layers=1", "freeze:head_units=16"]
    transfer(base, [target_set], arms, recipe=SHORT, save_dir=tmp_path)
    every, hidden = saved(tmp_path, "ridge-all"), saved(tmp_path, "head_units")
    model, all_of_them = rebuild(every).model, embed(every, target_set, "all")
    assert all_of_them.parts["train"].embeddings.shape[1] == 32 + 32 + 128
    np.testing.assert_array_equal(
        all_of_them.parts["test"].embeddings, embed(every, target_set).parts["test"].embeddings
    )
    arms = ["ridge", "ridge:all_layers=0", "lwf", "replay", "freeze:head_units=8", "anchored"]
    runs = {r.arm: r for r in transfer(every, [target_set], arms, recipe=SHORT, source=target_set).runs}
    assert runs["ridge"].trainable_parameters == (32 + 32 + 128) * 4 + 4
    assert runs["ridge:all_layers=0"].trainable_parameters == 128 * 4 + 4
    assert runs["anchored"].parameters == sum(v.size for v in every.weights.values())
    for arm in ("ridge:all_layers=0", "freeze:head_units=8"):
        after = runs[arm].source_accuracy_after
        assert after == runs[arm].source_accuracy_before == every.history["test_accuracy"][-1]
    with pytest.raises(UsageError, match="the base's head has hidden layers"):
        transfer(hidden, [target_set], ["finetune", "freeze:all_layers=1"], recipe=SHORT)
    (tuned,) = transfer(hidden, [target_set], ["anchored:solved=0,all_layers=none"], recipe=SHORT).runs
    assert tuned.parameters == sum(v.size for v in hidden.weights.values())
    with pytest.raises(UsageError, match="linear"):
        transfer(base, [target_set], ["anchored"], recipe=SHORT, head_units="8")
    assert len(model.get_layer("all_layers").output.shape) == 2


def test_mirrored_embeddings_are_means_with_the_mirror_image(base, target_set):
    turned = {
        name: dataclasses.replace(part, images=np.asarray(part.images)[:, :, ::-1])
        for name, part in target_set.parts.items()
    }
    one, other = (embed(base, each) for each in (target_set, dataclasses.replace(target_set, parts=turned)))
    both = embed(base, target_set, mirrored=True)
    assert (both.layer, both.mirrored, one.mirrored) == (one.layer, True, False)
    mean = (one.parts["test"].embeddings + other.parts["test"].embeddings) / 2
    np.testing.assert_allclose(both.parts["test"].embeddings, mean, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
def test_solved_heads_are_those_of_scikit_learn(base, tmp_path, classes):
    """Penalty and predictions are those of scikit-learn's pipelines on the embeddings, cross-validated."""
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    target = data.split(data.load_source("digits"), range(6, 6 + classes), size=40 * classes)
    solved = transfer(base, [target], ["ridge", "logistic"], save_dir=tmp_path).runs
    features = embed(base, target).parts
    x, y, test = features["train"].embeddings, features["train"].labels, features["test"].embeddings
    penalty = solved[0].chosen["ridge"]["penalty"]
    expected = make_pipeline(StandardScaler(), RidgeClassifier(alpha=penalty)).fit(x, y)
    assert np.array_equal(solved[0].predictions, expected.predict(test))
    c = solved[1].chosen["logistic"]["C"]
    expected = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000)).fit(x, y)
    assert (solved[1].predictions == expected.predict(test)).mean() > 0.995
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = [
        cross_val_score(
            make_pipeline(StandardScaler(), LogisticRegression(C=each, max_iter=1000)),
            x,
            y,
            cv=folds,
            scoring="neg_log_loss",
        ).mean()
        for each in INVERSE_PENALTIES
    ]
    assert c == INVERSE_PENALTIES[int(np.argmax(scores))]
    assert solved[0].test_accuracy > 0.9
    assert list(solved[0].history["samples_seen"]) == [len(y)]
    assert solved[0].trainable_parameters == 128 * classes + classes
    kept = saved(tmp_path, "logistic")
    assert np.array_equal(kept.weights["dense1/kernel"], base.weights["dense1/kernel"])


@pytest.mark.parametrize("n", [30, 200])
def test_the_ridge_path_is_ridge_regression(n):
    """More and fewer images than features; the penalty is that of scikit-learn's search on the same folds."""
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(n)
    labels = np.arange(n) % 3
    x = rng.normal(size=(n, 50)) + 0.5 * np.eye(50)[labels]
    found = ridge(Problem(x[None], labels, 3, seed=5))
    folds = StratifiedKFold(5, shuffle=True, random_state=5).split(labels, labels)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), Ridge()),
        {"ridge__alpha": PENALTIES},
        scoring="neg_mean_squared_error",
        cv=list(folds),
    ).fit(x, 2.0 * np.eye(3)[labels] - 1)
    assert found.chosen["penalty"] == search.best_params_["ridge__alpha"]
    assert found.chosen["on"] == "5 folds"
    np.testing.assert_allclose(x @ found.kernel + found.bias, search.predict(x), atol=1e-4)


@pytest.mark.parametrize("solve", [ridge, logistic])
def test_the_penalty_is_chosen_on_the_validation_part_where_there_is_one(solve):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    x = rng.normal(size=(60, 40)) + np.eye(40)[labels]
    nonsense = rng.normal(size=(300, 40)), np.arange(300) % 3
    chosen = solve(Problem(x[None], labels, 3, 0, validation=nonsense)).chosen
    assert chosen["on"] == "validation part"
    strongest = {ridge: ("penalty", PENALTIES[-1]), logistic: ("C", INVERSE_PENALTIES[0])}[solve]
    assert chosen[strongest[0]] == strongest[1], "labels that do not hang on the image want no slope"
    single = solve(Problem(x[None, :3], labels[:3], 3, 0)).chosen
    assert single["on"] == ""


def test_all_views_of_an_image_are_on_one_side_of_a_fold():
    labels = np.arange(20) % 2
    x = np.arange(20.0)[None, :, None] + np.array([0, 0.1, 0.2])[:, None, None]
    trials, _ = Problem(x, labels, 2, 0).trials()
    assert len(trials) == 5
    for (train, train_labels), (tested, tested_labels) in trials:
        assert train.shape == (48, 1)
        assert np.array_equal(train_labels, np.floor(train[:, 0]).astype(int) % 2)
        assert not set(np.floor(train[:, 0])) & set(tested[:, 0])
        assert np.array_equal(tested[:, 0] % 2, tested_labels)


def test_kept_views_are_augmented_images_seen_by_the_frozen_layers(base, target_set, tmp_path):
    """A head trained on kept views is the head that plain training on those very images gives."""
    from tlcli.training import augment
    from tlcli.training.order import SampleOrder, rng
    from tlcli.training.plan import SEGMENT

    recipe = dataclasses.replace(SHORT, augment=("shift:1",))
    (run,) = transfer(base, [target_set], ["freeze:views=2"], recipe=recipe, save_dir=tmp_path, seed=3).runs
    assert run.arm == "freeze:views=2"
    images, n = np.asarray(target_set.train.images), len(target_set.train)
    versions = [images]
    for number in range(2):
        view = np.concatenate([*augment.view(images, recipe.augmentation(), number, 3, base.mean, base.std)])
        padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
        moved = [padded[:, r : r + 8, c : c + 8] for r in range(3) for c in range(3)]
        assert np.any([(view == m).all(axis=(1, 2, 3)) for m in moved], axis=0).all()
        versions.append(view)
    assert not np.array_equal(versions[1], versions[2])
    import keras

    seen = dataclasses.replace(target_set, parts=dict(target_set.parts))
    seen.parts["train"] = dataclasses.replace(
        target_set.train,
        images=np.concatenate(versions),
        labels=np.tile(target_set.train.labels, 3),
        source_index=np.arange(3 * n),
    )
    x = embed(base, seen).parts["train"].embeddings
    model = keras.Sequential([keras.Input((128,)), keras.layers.Dense(4)])
    start = net.initial_weights(net.build("cnn2", target_set.image_shape, 4), 3, "run")
    model.set_weights([start["head/kernel"], start["head/bias"]])
    model.compile(keras.optimizers.Adam(0.001), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    drawn = rng(3, "view", 0).integers(0, 3, (SEGMENT, 50))
    for number, batch in enumerate(SampleOrder(n, 3).take(0, 300).reshape(6, 50)):
        rows = batch + n * drawn[number]
        model.train_on_batch(x[rows], target_set.train.labels[batch])
    kept = saved(tmp_path, "freeze").weights
    np.testing.assert_allclose(kept["head/kernel"], model.get_weights()[0], atol=1e-5)


def test_views_need_an_augmentation_and_frozen_layers(base, target_set):
    augmented = dataclasses.replace(SHORT, augment=("shift:1",))
    mixed = dataclasses.replace(SHORT, augment=("mixup",))
    for arm, recipe in (
        ("freeze:views=2", SHORT),
        ("freeze:views=2", mixed),
        ("finetune:views=2", augmented),
    ):
        with pytest.raises(UsageError, match="views"):
            transfer(base, [target_set], [arm], recipe=recipe)
    solved, more = transfer(base, [target_set], ["logistic", "logistic:views=3"], recipe=augmented).runs
    assert more.trainable_parameters == solved.trainable_parameters
    assert not np.array_equal(more.predictions, solved.predictions)
    plain, unaugmented = (
        transfer(base, [target_set], [arm], recipe=recipe).runs[0]
        for arm, recipe in (("freeze", SHORT), ("freeze:augment=0", augmented))
    )
    assert np.array_equal(plain.history["test_loss"], unaugmented.history["test_loss"])


def test_anchored_starts_from_the_solved_head_and_its_parts_can_be_left_out(base, source_set, target_set):
    recipe = Recipe(samples=200, eval_every=100, batch_size=50, augment=("shift:1",), learning_rate=1e-4)
    arms = [
        "logistic",
        "logistic:all_layers=1",
        "anchored:all_layers=0",
        "anchored",
        "anchored:solved=0",
        "anchored:alpha=0,rate_decay=1",
        "anchored:replay=1",
    ]
    last, solved, behind_last, whole, headless, plain, replayed = transfer(
        base, [target_set], arms, recipe=recipe, source=source_set
    ).runs
    assert (whole.arm, behind_last.arm) == ("anchored", "anchored:all_layers=0")
    assert behind_last.history["test_accuracy"][0] == last.test_accuracy
    assert whole.history["test_accuracy"][0] == solved.test_accuracy
    n = len(target_set.train)
    assert whole.history["samples_seen"].tolist() == [n, n + 100, n + 200]
    assert headless.history["test_accuracy"][0] < solved.test_accuracy - 0.2
    assert plain.arm == "anchored:alpha=0,rate_decay=1"
    assert replayed.source_accuracy_after > 0.5
    with pytest.raises(UsageError, match="linear"):
        transfer(base, [target_set], ["ridge"], head_units="8")
    with pytest.raises(UsageError, match="linear"):
        transfer(base, [target_set], ["ridge:copy=2"])
