"""Neighbours and votes against brute force and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlcli.analysis import knn, neighbours
from tlcli.errors import TlcliError, UsageError
from tlcli.store.records import EmbeddingPart, Embeddings, Parent, Provenance


def embeddings(
    train: np.ndarray, test: np.ndarray, train_labels: np.ndarray, test_labels: np.ndarray
) -> Embeddings:
    def part(vectors: np.ndarray, labels: np.ndarray) -> EmbeddingPart:
        return EmbeddingPart(vectors.astype(np.float32), labels.astype(np.int64), np.arange(len(labels)))

    names = [str(i) for i in range(1 + max(train_labels.max(), test_labels.max()))]
    origin = Provenance(
        parents=(
            Parent("base.h5", "tlcli-checkpoint", "b" * 64),
            Parent("digits-6-9.h5", "tlcli-dataset", "d" * 64),
        ),
        name="e.h5",
    )
    parts = {"train": part(train, train_labels), "test": part(test, test_labels)}
    return Embeddings(parts, "dense", names, np.arange(len(names)), origin)


def clusters(n: int, m: int, width: int = 20, classes: int = 5, seed: int = 0) -> Embeddings:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((classes, width))
    train_labels, test_labels = rng.integers(0, classes, n), rng.integers(0, classes, m)
    train = centres[train_labels] + 1.5 * rng.standard_normal((n, width))
    test = centres[test_labels] + 1.5 * rng.standard_normal((m, width))
    return embeddings(train, test, train_labels, test_labels)


def brute(points: np.ndarray, queries: np.ndarray, metric: str, own: np.ndarray | None = None) -> np.ndarray:
    """Distances by the definition, in float64."""
    p, q = points.astype(float), queries.astype(float)
    if metric == "euclidean":
        distances = np.sqrt(((q[:, None] - p[None]) ** 2).sum(-1))
    else:
        from sklearn.metrics.pairwise import cosine_distances

        distances = cosine_distances(q, p)
    if own is not None:
        distances[np.arange(len(q)), own] = np.inf
    return distances


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(2, 150),
    width=st.integers(1, 12),
    kind=st.sampled_from(["smooth", "integers", "dead units", "far away", "outlier", "all equal"]),
    metric=st.sampled_from(neighbours.METRICS),
    leave_out=st.booleans(),
    chunk=st.sampled_from([7, 40, 16384]),
)
def test_search_is_exact(seed, n, width, kind, metric, leave_out, chunk):
    rng = np.random.default_rng(seed)
    points, queries = (rng.standard_normal((rows, width)).astype(np.float32) for rows in (n, 30))
    if kind == "integers":
        points, queries = np.round(points), np.round(queries)
    elif kind == "dead units":
        points, queries = np.maximum(points - 1, 0), np.maximum(queries - 1, 0)
    elif kind == "far away" and metric == "euclidean":
        points, queries = points * np.float32(1e-3) + 5000, queries * np.float32(1e-3) + 5000
    elif kind == "outlier":
        points[0] *= 1e9
    elif kind == "all equal":
        points[:] = queries[:] = 3
    own = np.arange(n) if leave_out else None
    queries = points if leave_out else queries
    k = int(rng.integers(1, n + (not leave_out)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_POINTS", chunk)
        found, index = neighbours.search(points, queries, k, metric=metric, own=own)
    expected = brute(points, queries, metric, own)
    np.testing.assert_allclose(found, np.sort(expected, axis=1)[:, :k], rtol=1e-5, atol=1e-7)
    if metric == "euclidean":  # exact in both, so that ties are real: they go by the index
        np.testing.assert_array_equal(index, np.argsort(expected, axis=1, kind="stable")[:, :k])


@pytest.mark.parametrize("weights", knn.WEIGHTS)
@pytest.mark.parametrize("metric", neighbours.METRICS)
def test_predictions_are_those_of_forty_fits(metric, weights):
    from sklearn.neighbors import KNeighborsClassifier

    record = clusters(400, 300)
    train, test = record.parts["train"], record.parts["test"]
    found = neighbours.search(train.embeddings, test.embeddings, 40, metric=metric)
    predictions = knn.classify(*found, train.labels, 5, range(1, 41), weights)
    for k in range(1, 41):
        fit = KNeighborsClassifier(k, metric=metric, weights=weights, algorithm="brute")
        expected = fit.fit(train.embeddings.astype(float), train.labels).predict(
            test.embeddings.astype(float)
        )
        np.testing.assert_array_equal(predictions[k - 1], expected, err_msg=f"k = {k}")


@pytest.mark.parametrize("weights", knn.WEIGHTS)
def test_copies_and_ties_vote_as_in_scikit_learn(weights):
    """Also: no tie is at the k-th place, where scikit-learn's choice is arbitrary."""
    from sklearn.neighbors import KNeighborsClassifier

    rng = np.random.default_rng(1)
    train, test = (np.round(rng.standard_normal((rows, 3)) * 1.5) for rows in (300, 200))
    record = embeddings(train, test, rng.integers(0, 4, 300), rng.integers(0, 4, 200))
    labels = record.parts["train"].labels
    found = neighbours.search(train, test, 41)
    predictions = knn.classify(*found, labels, 4, range(1, 41), weights)
    compared = 0
    for k in range(1, 41):
        fit = KNeighborsClassifier(k, weights=weights, algorithm="kd_tree").fit(train, labels)
        clear = found[0][:, k - 1] < found[0][:, k]
        np.testing.assert_array_equal(predictions[k - 1][clear], fit.predict(test)[clear], err_msg=f"k = {k}")
        compared += clear.sum()
    assert compared > 500


def test_k_is_chosen_by_leaving_one_out():
    from sklearn.model_selection import LeaveOneOut, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    record = clusters(60, 50, seed=3)
    train = record.parts["train"]
    (found,) = knn.evaluate(record, [1, 4, 9, 15]).neighbours
    for k, accuracy in zip(found.ks, found.cv_accuracies, strict=True):
        fit = KNeighborsClassifier(int(k))
        assert accuracy == pytest.approx(
            cross_val_score(fit, train.embeddings, train.labels, cv=LeaveOneOut()).mean()
        )
    best = int(np.argmax(found.cv_accuracies))
    assert found.k == found.ks[best]
    assert found.cv_accuracy == found.cv_accuracies[best]
    assert found.selected_on == "cross-validation"
    assert found.test_accuracy == found.test_accuracies[best]
    assert (found.predictions == record.parts["test"].labels).mean() == found.test_accuracy


def test_select_on_test_takes_the_best_on_test_and_says_so():
    (found,) = knn.evaluate(clusters(60, 50), select_on="test").neighbours
    assert found.test_accuracy == found.test_accuracies.max()
    assert found.selected_on == "test"


def test_results_name_what_they_come_from():
    results = knn.evaluate(clusters(30, 20), [1, 2], metric="cosine", weights="distance")
    found, target = results.neighbours[0], results.targets["digits-6-9"]
    assert (found.arm, found.size) == ("knn:metric=cosine,weights=distance", 30)
    assert (found.dataset, found.base, target.content_sha256) == ("digits-6-9", "base.h5", "d" * 64)


def test_power_is_taken_of_the_embeddings_and_named():
    record = clusters(60, 50)
    rooted = {
        name: EmbeddingPart(
            np.sign(part.embeddings) * np.sqrt(np.abs(part.embeddings)), part.labels, part.source_index
        )
        for name, part in record.parts.items()
    }
    other = Embeddings(rooted, "dense", record.class_names, record.class_original)
    (plain,) = knn.evaluate(other).neighbours
    assert plain.arm == "knn"
    record.layer, record.mirrored = "all", True
    (found,) = knn.evaluate(record, power=0.5).neighbours
    assert found.arm == "knn:power=0.5,layer=all,mirrored=1"
    np.testing.assert_array_equal(found.predictions, plain.predictions)
    for power in (0.0, 1.5, float("nan")):
        with pytest.raises(UsageError, match="power"):
            knn.evaluate(record, power=power)


def test_large_training_parts_leave_out_some_in_turn(monkeypatch):
    monkeypatch.setattr(knn, "LEFT_OUT", 40)
    assert knn.evaluate(clusters(300, 50)).neighbours[0].left_out == 40


def test_default_ks_stop_at_what_there_is():
    assert list(knn.evaluate(clusters(8, 5)).neighbours[0].ks) == [1, 2, 3, 4, 5, 6, 7]


def test_estimator_is_plain_scikit_learn():
    record = clusters(80, 60)
    results = knn.evaluate(record, [7])
    predictions = knn.estimator(record, 7).predict(record.parts["test"].embeddings)
    np.testing.assert_array_equal(predictions, results.neighbours[0].predictions)


@pytest.mark.parametrize("text", ["", "0", "3-1", "a", "1,,2", "1.5", "-3", "1-99999999", "1-9999999"])
def test_bad_expressions_of_k_are_refused(text):
    with pytest.raises(UsageError, match="`k`"):
        knn.parse_ks(text)


def test_expressions_of_k():
    assert knn.parse_ks("5") == (5,)
    assert knn.parse_ks("9, 1-3,2") == (1, 2, 3, 9)


def test_impossible_requests_are_refused():
    record = clusters(20, 10)
    with pytest.raises(UsageError, match="each of 20 training images has 19"):
        knn.evaluate(record, [20])
    with pytest.raises(UsageError, match="metric"):
        knn.evaluate(record, metric="manhattan")
    for bad in (np.nan, np.inf, 1e30):
        record.parts["test"].embeddings[3, 1] = bad
        with pytest.raises(TlcliError, match="test embeddings hold"):
            knn.evaluate(record)


def test_memory_stays_bounded():
    """100,000 points and 2,000 queries: their distances would be 800 MB in float32."""
    import tracemalloc

    rng = np.random.default_rng(0)
    points, queries = (rng.standard_normal((rows, 8), dtype=np.float32) for rows in (100_000, 2_000))
    tracemalloc.start()
    neighbours.search(points, queries, 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400e6
