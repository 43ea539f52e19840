"""The exact nearest neighbours of many points, at the speed of matrix products and in bounded memory.

Distances are first taken approximately, by a float32 matrix product whose rounding error is bounded (Higham,
Accuracy and Stability of Numerical Algorithms, 2002, section 3.5); only points that can be among the nearest
are then measured in float64. The result therefore does not depend on the order in which a matrix library
adds: neighbours at one distance are in the order of their indices, on every machine and with any number of
threads, and a copy is at distance 0 exactly.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

METRICS = ("euclidean", "cosine")

_QUERIES = 1024
_POINTS = 16384
_BLOCK = 32
_PAIRS = 128
"""Pairs to measure exactly at a time: their differences stay in the processor's cache."""
_CANDIDATES = 1 << 20
_UNIT = 2.0**-24
"""The unit roundoff of float32."""
_WORKERS = 8


def search(
    points: np.ndarray,
    queries: np.ndarray,
    k: int,
    *,
    metric: str = "euclidean",
    own: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Distances (float64, M x k, ascending) and indices (int64, M x k) of the k points nearest to each query.

    `points` (N x D) and `queries` (M x D) are float32, finite, below 1e18. `own` (int64, M) is the index of
    each query among the points; a query is not its own neighbour. k is at most N, or N - 1 with `own`.
    The cosine distance is 1 - cos; that of a zero vector to anything is 1, as in scikit-learn. Ties are
    broken by the index.
    """
    space = _Space.of(points, queries, metric)
    best = np.full((len(queries), k), np.inf)
    index = np.full((len(queries), k), -1, np.int64)
    starts = range(0, len(queries), _QUERIES)
    chunks = range(0, len(space.points), _POINTS)
    done = 0
    with _workers() as run:
        for chunk in (space.chunk(start, k + (own is not None)) for start in chunks):

            def update(start: int, chunk: _Chunk = chunk) -> None:
                rows = slice(start, min(start + _QUERIES, len(queries)))
                _update(space, chunk, rows, best[rows], index[rows], None if own is None else own[rows])

            for _ in run(update, starts):
                done += 1
                if progress is not None:
                    progress(len(queries) * done // (len(starts) * len(chunks)), len(queries))
    return (best / 2 if metric == "cosine" else np.sqrt(best)), index


@dataclass(frozen=True)
class _Chunk:
    """Some points in the form for the matrix product."""

    start: int
    width: int
    """Points in a block; the k-th smallest of the blocks' minima is near the k-th smallest of all."""
    vectors: np.ndarray
    """float32, (width x blocks) x (D + 1): y and then |y|^2 (1 - c), which is infinite for padding."""
    slack: np.ndarray
    """float32, one per block: 2 c |y|^2 of its longest."""


@dataclass(frozen=True)
class _Space:
    points: np.ndarray
    """Each distinct point once."""
    queries: np.ndarray
    point_lengths: np.ndarray | None
    """float64, infinite for a vector of zeros; None for the Euclidean metric."""
    query_lengths: np.ndarray | None
    centre: np.ndarray
    unit: np.float32
    copies: _Copies

    @classmethod
    def of(cls, points: np.ndarray, queries: np.ndarray, metric: str) -> _Space:
        points, queries = (np.ascontiguousarray(a, np.float32) for a in (points, queries))
        copies = _Copies.among(points)
        if len(copies.first) < len(points):
            points = points[copies.members[copies.first]]
        if metric == "cosine":
            lengths = _lengths(points), _lengths(queries)
            return cls(points, queries, *lengths, np.float32(0) * points[0], np.float32(1), copies)
        centre = points.mean(axis=0, dtype=np.float64).astype(np.float32)
        farthest = max(
            np.abs(edge(a, axis=0) - centre).max() for a in (points, queries) for edge in (np.min, np.max)
        )
        return cls(points, queries, None, None, centre, np.float32(farthest or 1), copies)

    def near(self, vectors: np.ndarray, lengths: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Vectors in the form for the matrix product, and their squared lengths, 1 for any direction."""
        if lengths is not None:
            return (vectors / lengths[:, None]).astype(np.float32), np.ones(len(vectors), np.float32)
        near = vectors - self.centre
        near /= self.unit
        return near, np.einsum("ij,ij->i", near, near)

    @property
    def error(self) -> np.float32:
        """c: (|x|^2 + |y|^2) c bounds the error of an approximate squared distance."""
        return np.float32((2 * self.points.shape[1] + 64) * _UNIT)

    def chunk(self, start: int, k: int) -> _Chunk:
        some = slice(start, start + _POINTS)
        lengths = None if self.point_lengths is None else self.point_lengths[some]
        near, norms = self.near(self.points[some], lengths)
        width = int(np.clip(len(near) // (4 * k), 1, _BLOCK))
        blocks = -(-len(near) // width)
        vectors = np.zeros((width * blocks, near.shape[1] + 1), np.float32)
        vectors[: len(near), :-1] = near
        vectors[:, -1] = np.inf
        vectors[: len(near), -1] = norms * (1 - self.error)
        padded = np.zeros(width * blocks, np.float32)
        padded[: len(near)] = norms
        return _Chunk(start, width, vectors, 2 * self.error * padded.reshape(width, blocks).max(axis=0))

    def squared_distances(self, query: np.ndarray, point: np.ndarray) -> np.ndarray:
        """float64, one per pair of indices; for the cosine metric that of the directions, 2 (1 - cos)."""
        out = np.empty(len(query))
        for start in range(0, len(query), _PAIRS):
            q, p = query[start : start + _PAIRS], point[start : start + _PAIRS]
            difference = self.points[p].astype(np.float64)
            if self.point_lengths is None or self.query_lengths is None:
                difference -= self.queries[q]
            else:
                difference /= self.point_lengths[p, None]
                difference -= self.queries[q] / self.query_lengths[q, None]
            out[start : start + _PAIRS] = np.einsum("ij,ij->i", difference, difference)
        if self.point_lengths is not None and self.query_lengths is not None:
            out[np.isinf(self.point_lengths[point]) | np.isinf(self.query_lengths[query])] = 2.0
        return out


def _lengths(vectors: np.ndarray) -> np.ndarray:
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    lengths[lengths == 0] = np.inf
    return lengths


@dataclass(frozen=True)
class _Copies:
    """Groups of equal points. A network whose units are all dead gives one embedding for all images; the
    groups keep the search fast then."""

    members: np.ndarray
    """int64: the indices of all points, those of equal points side by side, ascending."""
    first: np.ndarray
    """int64: the first position of each distinct point in `members`."""
    number: np.ndarray
    """int64: the number of copies of each distinct point."""

    @classmethod
    def among(cls, points: np.ndarray) -> _Copies:
        """Find equal rows by a hash of each row, and compare rows of one hash."""
        factors = np.random.default_rng(0).integers(1, 2**63, points.shape[1], np.uint64) | np.uint64(1)
        hashes = np.empty(len(points), np.uint64)
        for start in range(0, len(points), _POINTS):
            bits = (points[start : start + _POINTS] + np.float32(0)).view(np.uint32)  # -0.0 equals 0.0
            hashes[start : start + _POINTS] = np.einsum("ij,j->i", bits, factors, dtype=np.uint64)
        _, first_seen, group = np.unique(hashes, return_index=True, return_inverse=True)
        like = first_seen[group]
        for i in np.flatnonzero(like != np.arange(len(points))):
            if not np.array_equal(points[i], points[like[i]]):
                like[i] = i
        _, group, number = np.unique(like, return_inverse=True, return_counts=True)
        members = np.argsort(group, kind="stable")
        return cls(members, np.cumsum(number) - number, number)

    def expand(
        self, query: np.ndarray, point: np.ndarray, squared: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The pairs with each distinct point replaced by all points equal to it, the first k at most."""
        number = np.minimum(self.number[point], k)
        offset = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
        member = self.members[np.repeat(self.first[point], number) + offset]
        return np.repeat(query, number), member, np.repeat(squared, number)


def _update(
    space: _Space, chunk: _Chunk, rows: slice, best: np.ndarray, index: np.ndarray, own: np.ndarray | None
) -> None:
    """Merge the points of a chunk into the k nearest to the queries `rows`."""
    wanted = best.shape[1] + (own is not None)
    for query, point in _candidates(space, chunk, rows, wanted, best[:, -1]):
        squared = space.squared_distances(rows.start + query, point)
        query, member, squared = space.copies.expand(query, point, squared, wanted)
        if own is not None:
            other = member != own[query]
            query, member, squared = query[other], member[other], squared[other]
        _merge(best, index, query, member, squared)


def _candidates(
    space: _Space, chunk: _Chunk, rows: slice, k: int, farthest: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs (query from 0, distinct point) of one chunk that may belong to the k nearest.

    `farthest` is the squared distance of the k-th yet. With c the relative error, |y|^2 (1 - c) - 2xy is a
    lower bound of the squared distance less |x|^2 (1 - c). The k-th smallest of the minima over blocks of
    points bounds the k-th smallest of all from above, and costs one pass.
    """
    lengths = None if space.query_lengths is None else space.query_lengths[rows]
    x, norms = space.near(space.queries[rows], lengths)
    low = np.concatenate([-2 * x, np.ones((len(x), 1), np.float32)], axis=1) @ chunk.vectors.T
    limit = _round_up(farthest / float(space.unit) ** 2 - norms * (1 - space.error), space.error * norms)
    if len(chunk.slack) >= k:
        smallest = low.reshape(len(x), chunk.width, -1).min(axis=1) + chunk.slack
        kth = np.partition(smallest, k - 1, axis=1)[:, k - 1]
        limit = np.minimum(limit, _round_up(kth, 2 * space.error * norms))
    inside = low <= limit[:, None]
    for some in _groups(np.count_nonzero(inside, axis=1)):
        query, point = np.divmod(np.flatnonzero(inside[some]), low.shape[1])
        yield query + some.start, point + chunk.start


def _round_up(limit: np.ndarray, slack: np.ndarray) -> np.ndarray:
    """float32, rounded up, so that pairs on the limit are inside."""
    return (limit + slack + 4 * _UNIT * np.abs(limit) + 1e-30).astype(np.float32)


def _groups(counts: np.ndarray) -> Iterator[slice]:
    """Consecutive rows, together of no more than about a million candidates."""
    group = np.cumsum(counts) // _CANDIDATES
    edges = np.flatnonzero(np.diff(group)) + 1
    for first, last in zip([0, *edges], [*edges, len(counts)], strict=True):
        yield slice(int(first), int(last))


def _merge(
    best: np.ndarray, index: np.ndarray, query: np.ndarray, member: np.ndarray, squared: np.ndarray
) -> None:
    """Keep in `best` and `index`, row by row, the nearest of what they hold and the new pairs."""
    touched = np.unique(query)
    k = best.shape[1]
    held = index[touched] >= 0
    query = np.concatenate([np.repeat(touched, k)[held.ravel()], query])
    squared = np.concatenate([best[touched][held], squared])
    member = np.concatenate([index[touched][held], member])
    order = np.lexsort((member, squared, query))
    query = query[order]
    counts = np.bincount(query, minlength=len(best))
    rank = np.arange(len(query)) - (np.cumsum(counts) - counts)[query]
    kept = rank < k
    best[query[kept], rank[kept]] = squared[order[kept]]
    index[query[kept], rank[kept]] = member[order[kept]]


@contextlib.contextmanager
def _workers() -> Iterator[Callable[[Callable[[int], None], Iterable[int]], Iterator[None]]]:
    """A map over a few threads. Each has its share of the cores for matrix products, so that none waits."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(cores, _WORKERS)
    pool = ThreadPoolExecutor(workers)
    try:
        with threadpool_limits(cores // workers, "blas"):
            yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)
