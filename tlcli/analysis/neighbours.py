"""The exact nearest neighbours of many points, at the speed of matrix products and in bounded memory.

Distances are first taken approximately, by a float32 matrix product whose rounding error is bounded (Higham,
Accuracy and Stability of Numerical Algorithms, 2002, section 3.5); only points that can be among the nearest
are then measured in float64. So the result does not hang on the order in which a matrix library adds:
neighbours at one distance stand in the order of their indices, on every machine and with any number of
threads, and a copy is at distance 0 exactly.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

METRICS = ("euclidean", "cosine")

_QUERIES = 1024
_POINTS = 16384
_BLOCK = 32
_PAIRS = 512
"""Pairs measured exactly at a time: few enough for their differences to stay in the processor's cache."""
_CANDIDATES = 1 << 20
_UNIT = 2.0**-24
"""The unit roundoff of float32."""


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

    `points` (N x D) and `queries` (M x D) are float32, finite. `own` (int64, M) names for each query the
    point that it is itself, which then is no neighbour of it. k is at most N, or N - 1 with `own`. The cosine
    distance is 1 - cos; that of a zero vector to anything is 1, as in scikit-learn. Ties are broken by the
    index.
    """
    space = _Space.of(points, queries, metric)
    distances = np.empty((len(queries), k))
    indices = np.empty((len(queries), k), np.int64)

    def fill(start: int) -> None:
        rows = slice(start, min(start + _QUERIES, len(queries)))
        distances[rows], indices[rows] = _nearest(space, rows, k, None if own is None else own[rows])

    # The matrix product uses all cores by itself; what follows it is sequential and gains from a few threads.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for done, _ in enumerate(pool.map(fill, range(0, len(queries), _QUERIES)), 1):
            if progress is not None:
                progress(min(done * _QUERIES, len(queries)), len(queries))
    return (distances / 2 if metric == "cosine" else np.sqrt(distances)), indices


@dataclass(frozen=True)
class _Side:
    """The points, or the queries, as they are and as the matrix product takes them."""

    vectors: np.ndarray
    """float32."""
    lengths: np.ndarray | None
    """float64, infinite for a vector of zeros; None for the Euclidean metric."""
    near: np.ndarray
    """float32: centred and scaled to at most 1; for the cosine metric, directions."""
    norms: np.ndarray
    """float32: the squared lengths of `near`; 1 for directions, also for that of a zero vector."""

    def exact(self, index: np.ndarray) -> np.ndarray:
        """Some of the vectors, or of their directions, in float64."""
        vectors = self.vectors[index].astype(np.float64)
        if self.lengths is not None:
            vectors /= self.lengths[index, None]
        return vectors


@dataclass(frozen=True)
class _Space:
    points: _Side
    """Each distinct point once."""
    queries: _Side
    unit: float
    """The length that is 1 in `near`."""
    members: np.ndarray
    """int64: the indices of all points, those of equal points side by side, ascending."""
    first: np.ndarray
    """int64: where the indices of each distinct point begin in `members`."""
    copies: np.ndarray
    """int64: how many there are."""

    @classmethod
    def of(cls, points: np.ndarray, queries: np.ndarray, metric: str) -> _Space:
        points, queries = (np.ascontiguousarray(a, np.float32) + np.float32(0) for a in (points, queries))
        rows = points.view(np.dtype((np.void, points.shape[1] * 4))).ravel()
        _, distinct, group = np.unique(rows, return_index=True, return_inverse=True)
        points, copies = points[distinct], np.bincount(group)
        unit = 1.0
        if metric == "cosine":
            sides = _direction(points), _direction(queries)
        else:
            centre = points.mean(axis=0, dtype=np.float64).astype(np.float32)
            near = points - centre, queries - centre
            unit = float(max(np.abs(a).max(initial=0) for a in near)) or 1.0
            sides = _centred(points, near[0], unit), _centred(queries, near[1], unit)
        return cls(*sides, unit, np.argsort(group, kind="stable"), np.cumsum(copies) - copies, copies)

    def squared_distances(self, query: np.ndarray, point: np.ndarray) -> np.ndarray:
        """float64, one per pair of indices; for the cosine metric that of the directions, 2 (1 - cos)."""
        out = np.empty(len(query))
        for start in range(0, len(query), _PAIRS):
            some = slice(start, start + _PAIRS)
            difference = self.points.exact(point[some])
            difference -= self.queries.exact(query[some])
            out[some] = np.einsum("ij,ij->i", difference, difference)
        if self.points.lengths is not None and self.queries.lengths is not None:
            out[np.isinf(self.points.lengths[point]) | np.isinf(self.queries.lengths[query])] = 2.0
        return out


def _centred(vectors: np.ndarray, near: np.ndarray, unit: float) -> _Side:
    near /= np.float32(unit)
    return _Side(vectors, None, near, np.einsum("ij,ij->i", near, near))


def _direction(vectors: np.ndarray) -> _Side:
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    lengths[lengths == 0] = np.inf
    near = (vectors / lengths[:, None]).astype(np.float32)
    return _Side(vectors, lengths, near, np.ones(len(near), np.float32))


def _nearest(space: _Space, rows: slice, k: int, own: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances and indices of the k nearest to the queries `rows`; scans the points in chunks."""
    count = rows.stop - rows.start
    best = np.full((count, k), np.inf)
    index = np.full((count, k), -1, np.int64)
    wanted = k + (own is not None)
    for start in range(0, len(space.points.vectors), _POINTS):
        for query, point in _candidates(space, rows, start, wanted, best[:, -1]):
            squared = space.squared_distances(rows.start + query, point)
            query, member, squared = _all_copies(space, query, point, squared, wanted)
            if own is not None:
                other = member != own[query]
                query, member, squared = query[other], member[other], squared[other]
            _merge(best, index, query, member, squared)
    return best, index


def _candidates(
    space: _Space, rows: slice, start: int, k: int, farthest: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs (query from 0, distinct point) of one chunk that may belong to the k nearest.

    `farthest` is the squared distance of the k-th yet. With c the relative error, |y|^2 (1 - c) - 2xy is a
    lower bound of the squared distance less |x|^2 (1 - c). The k-th smallest of the minima over blocks of
    points bounds the k-th smallest of all from above, and costs one pass.
    """
    chunk = slice(start, start + _POINTS)
    x, x_norms = space.queries.near[rows], space.queries.norms[rows]
    y, y_norms = space.points.near[chunk], space.points.norms[chunk]
    c = np.float32((2 * x.shape[1] + 32) * _UNIT)
    width = int(np.clip(len(y) // (4 * k), 1, _BLOCK))
    blocks = -(-len(y) // width)
    low = np.empty((len(x), width * blocks), np.float32)
    low[:, len(y) :] = np.inf
    np.matmul(x, y.T * np.float32(-2), out=low[:, : len(y)])
    low[:, : len(y)] += y_norms * (1 - c)

    limit = _outward(farthest / space.unit**2 - x_norms * (1 - c), c * (x_norms + 1))
    if blocks >= k:
        padded = np.zeros(width * blocks, np.float32)
        padded[: len(y)] = y_norms
        smallest = low.reshape(len(x), width, blocks).min(axis=1)
        smallest += 2 * c * padded.reshape(width, blocks).max(axis=0)
        kth = np.partition(smallest, k - 1, axis=1)[:, k - 1]
        limit = np.minimum(limit, _outward(kth, 2 * c * x_norms))
    inside = low <= limit[:, None]
    for some in _groups(np.count_nonzero(inside, axis=1)):
        query, point = np.divmod(np.flatnonzero(inside[some]), low.shape[1])
        yield query + some.start, point + start


def _outward(limit: np.ndarray, slack: np.ndarray) -> np.ndarray:
    """float32, rounded up: what is just on the limit must be inside."""
    return (limit + slack + 4 * _UNIT * np.abs(limit) + 1e-30).astype(np.float32)


def _groups(counts: np.ndarray) -> Iterator[slice]:
    """Consecutive rows, together of no more than about a million candidates."""
    group = np.cumsum(counts) // _CANDIDATES
    edges = np.flatnonzero(np.diff(group)) + 1
    for first, last in zip([0, *edges], [*edges, len(counts)], strict=True):
        yield slice(int(first), int(last))


def _all_copies(
    space: _Space, query: np.ndarray, point: np.ndarray, squared: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs with each distinct point replaced by all points equal to it, the first k at most."""
    copies = np.minimum(space.copies[point], k)
    offset = np.arange(copies.sum()) - np.repeat(np.cumsum(copies) - copies, copies)
    member = space.members[np.repeat(space.first[point], copies) + offset]
    return np.repeat(query, copies), member, np.repeat(squared, copies)


def _merge(
    best: np.ndarray, index: np.ndarray, query: np.ndarray, member: np.ndarray, squared: np.ndarray
) -> None:
    """Keep in `best` and `index`, row by row, the nearest of what they hold and the new pairs."""
    touched = np.unique(query)
    k = best.shape[1]
    query = np.concatenate([np.repeat(touched, k), query])
    squared = np.concatenate([best[touched].ravel(), squared])
    member = np.concatenate([index[touched].ravel(), member])
    order = np.lexsort((member, squared, query))
    query = query[order]
    counts = np.bincount(query, minlength=len(best))
    rank = np.arange(len(query)) - (np.cumsum(counts) - counts)[query]
    kept = rank < k
    best[query[kept], rank[kept]] = squared[order[kept]]
    index[query[kept], rank[kept]] = member[order[kept]]
