"""Measure kNN for k = 1...40 against forty scikit-learn fits, in one run on one machine.

    python tests/benchmarks/knn.py [--images 10000] [--width 512] [--metric euclidean]

Both get the same float32 embeddings in memory and must predict the same classes.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from tlcli.analysis import knn, neighbours
from tlcli.store.records import EmbeddingPart, Embeddings

KS = range(1, 41)


def make(images: int, width: int, classes: int = 10) -> Embeddings:
    """Ten overlapping clusters, as many training as test images."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((classes, width), dtype=np.float32)

    def part() -> EmbeddingPart:
        labels = rng.integers(0, classes, images)
        noise = rng.standard_normal((images, width), dtype=np.float32)
        return EmbeddingPart(0.25 * centres[labels] + noise, labels, np.arange(images))

    return Embeddings({"train": part(), "test": part()}, "made up", list("0123456789"), np.arange(classes))


def forty_fits(record: Embeddings, metric: str, weights: str) -> np.ndarray:
    """The plain counterpart."""
    from sklearn.neighbors import KNeighborsClassifier

    train, test = record.parts["train"], record.parts["test"]
    return np.stack(
        [
            KNeighborsClassifier(n_neighbors=k, metric=metric, weights=weights, algorithm="brute")
            .fit(train.embeddings, train.labels)
            .predict(test.embeddings)
            for k in KS
        ]
    )


def one_search(record: Embeddings, metric: str, weights: str) -> np.ndarray:
    """The same predictions by tlcli, without choosing k."""
    train, test = record.parts["train"], record.parts["test"]
    found = neighbours.search(train.embeddings, test.embeddings, max(KS), metric=metric)
    return knn.classify(*found, train.labels, len(record.class_names), KS, weights)


def timed(function, *arguments):
    started = time.perf_counter()
    result = function(*arguments)
    return result, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--metric", default="euclidean", choices=neighbours.METRICS)
    parser.add_argument("--weights", default="uniform", choices=knn.WEIGHTS)
    parser.add_argument("--repeat", type=int, default=3, help="of tlcli's; the median counts")
    given = parser.parse_args()
    record = make(given.images, given.width)
    knn.evaluate(make(200, given.width), metric=given.metric)  # threads and caches are warm for both
    expected, plain = timed(forty_fits, record, given.metric, given.weights)
    fast = [timed(one_search, record, given.metric, given.weights) for _ in range(given.repeat)]
    whole = [
        timed(lambda: knn.evaluate(record, KS, metric=given.metric, weights=given.weights))[1]
        for _ in range(given.repeat)
    ]
    alone, chosen = float(np.median([t for _, t in fast])), float(np.median(whole))
    print(f"{given.images:,} x {given.images:,} x {given.width}, {given.metric}, {given.weights}, k = 1...40")
    print(f"forty scikit-learn fits          {plain:8.2f} s")
    print(f"one search and votes             {alone:8.2f} s   {plain / alone:5.1f} times faster")
    print(f"the same and k by leave-one-out  {chosen:8.2f} s   {plain / chosen:5.1f} times faster")
    print(f"predictions that differ: {int((fast[0][0] != expected).sum())} of {expected.size:,}")


if __name__ == "__main__":
    main()
