"""Draw images: stratified, nested, and from the seed alone."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from tlcli.errors import TlcliError, UsageError

SAMPLINGS = ("nested", "sklearn", "sklearn-column")

# Separate streams of random numbers, so that one use of a seed never shifts another.
_ORDER, _TIES, _TEST, _VALIDATION = 1, 2, 4, 5

EVERY_FIFTH = "every-fifth"
TEST_SHARE = 0.2
"""The default share to hold out as a test part if a set has none."""


def generator(seed: int, *stream: int) -> np.random.Generator:
    """The random generator number `stream` of a seed. Raises UsageError for a negative seed."""
    if seed < 0:
        raise UsageError(f"Seed {seed}: expected 0 or more.")
    return np.random.default_rng([seed, *stream])


def holdout(labels: np.ndarray, every: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Split a set without a test part: indices (int64) of train and test, both ascending.

    Every fifth image of each class, in the published order, is for testing; in a class of two to four, the
    last. A class of one image has no test image.
    """
    labels = np.asarray(labels)
    is_test = np.zeros(len(labels), bool)
    for number in np.unique(labels):
        members = np.flatnonzero(labels == number)
        is_test[members[every - 1 :: every] if len(members) >= every else members[1:][-1:]] = True
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def check_test(test: float | str | None) -> None:
    """Raise UsageError for an impossible test share."""
    if test is None or test == EVERY_FIFTH:
        return
    if isinstance(test, str) or not 0 < test < 1:
        raise UsageError(f"`test` {test}: expected a share between 0 and 1, such as 0.2, or {EVERY_FIFTH}.")


def hold_out(
    labels: np.ndarray,
    numbers: Sequence[int],
    test: float | str | None,
    seed: int,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Split a set without a test part: indices (int64) of train and test, both ascending.

    The seed draws a share of each class (default `TEST_SHARE`), independent of other classes, and at least
    one image of a class of two. With `groups` (int64, N) it draws whole groups, so that the counts of the
    classes come near to the share. `EVERY_FIFTH` takes every fifth image, as `holdout` does.
    """
    check_test(test)
    if test == EVERY_FIFTH:
        if groups is not None:
            raise UsageError(f"`test` {EVERY_FIFTH} would divide groups: expected a share, such as 0.2.")
        return holdout(labels)
    share = float(test) if test is not None else TEST_SHARE
    if groups is not None:
        is_test = draw_groups(labels, groups, share, seed, _TEST)
        return np.flatnonzero(~is_test), np.flatnonzero(is_test)
    is_test = np.zeros(len(labels), bool)
    for label, number in enumerate(numbers):
        members = np.flatnonzero(labels == label)
        wanted = min(max(1, _round_share(len(members), share)), len(members) - 1)
        if wanted > 0:
            is_test[generator(seed, _TEST, number).permutation(members)[:wanted]] = True
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def draw_groups(labels: np.ndarray, groups: np.ndarray, share: float, seed: int, stream: int) -> np.ndarray:
    """Draw whole groups until each class has about its share: bool, N, true for the images drawn.

    The seed orders the groups. A group is drawn if it brings the counts of the classes nearer to the share. A
    class with several groups keeps an image on both sides.
    """
    names, member_of = np.unique(groups, return_inverse=True)
    classes = int(labels.max(initial=0)) + 1
    counts = np.zeros((len(names), classes), np.int64)
    np.add.at(counts, (member_of, labels), 1)
    total = counts.sum(0)
    wanted, drawn = share * total, np.zeros(classes)
    chosen = np.zeros(len(names), bool)
    left = (counts > 0).sum(0)
    for group in generator(seed, stream).permutation(len(names)):
        has = counts[group] > 0
        misses = ((drawn + counts[group] - wanted) ** 2)[has].sum() < ((drawn - wanted) ** 2)[has].sum()
        last_chance = bool((has & (drawn == 0) & (left == 1) & (total > counts[group])).any())
        leaves_none = bool((has & (total - drawn - counts[group] == 0)).any())
        if (misses or last_chance) and not leaves_none:
            chosen[group] = True
            drawn += counts[group]
        left -= has
    return chosen[member_of]


def _round_share(n: int, share: float) -> int:
    """The share of n as written in decimals, rounded to the nearest."""
    return int(n * Fraction(str(share)) + Fraction(1, 2))


def subset_size(
    total: int, *, proportion: float | None = None, size: int | None = None, multiple_of: int = 1
) -> int:
    """The number of images to draw from `total`: the size, or the proportion rounded down, then down to a
    multiple.

    The arithmetic is that of the decimal number as written, so that 0.1 of 30 is 3. Raises UsageError for
    values out of range, and where nothing would be left.
    """
    if proportion is not None and size is not None:
        raise UsageError("A proportion and a size were given: expected one of them.")
    if multiple_of < 1:
        raise UsageError(f"Multiple of {multiple_of}: expected 1 or more.")
    if proportion is not None and not 0 < proportion <= 1:
        raise UsageError(f"Proportion {proportion}: expected more than 0 and at most 1.")
    if size is not None and size < 1:
        raise UsageError(f"Size {size}: expected 1 or more.")
    if size is not None and size > total:
        raise UsageError(f"Size {size}: the chosen classes have only {total} training images.")
    share = Fraction(str(proportion)) if proportion is not None else Fraction(1)
    wanted = size if size is not None else int(total * share)
    rounded = wanted // multiple_of * multiple_of
    if rounded == 0:
        raise UsageError(
            f"Nothing is left of {total} training images: {wanted} rounded down to a multiple "
            f"of {multiple_of} is 0; ask for more."
        )
    return rounded


def stratified_order(counts: Sequence[int], take: int, ties: Sequence[int] | None = None) -> np.ndarray:
    """The class of the 1st, 2nd, ... `take`-th image drawn (int64), classes counted 0...k-1.

    After every number of draws each class has within one image of its exact share, so that all prefixes are
    stratified and nested. `counts` are the images per class; `ties` ranks the classes where two are equally
    due. Scheduling by earliest deadline after R. Tijdeman, "The chairman assignment problem", Discrete
    Mathematics 32 (1980): with w = counts/total, image j of a class (from 0) is due from draw (j + d)/w on
    and not after (j + 1 - d)/w, d = 1/(2k - 2). In whole numbers throughout.
    """
    k, total = len(counts), int(sum(counts))
    if k == 1:
        return np.zeros(take, np.int64)
    ranks = list(ties) if ties is not None else list(range(k))
    scale = 2 * k - 2

    def release(c: int, j: int) -> int:
        return -(-(j * scale + 1) * total // (counts[c] * scale))

    def deadline(c: int, j: int) -> int:
        return ((j + 1) * scale - 1) * total // (counts[c] * scale)

    waiting = [(release(c, 0), c, 0) for c in range(k) if counts[c]]
    heapq.heapify(waiting)
    due: list[tuple[int, int, int, int]] = []
    order = np.empty(take, np.int64)
    for draw in range(1, take + 1):
        while waiting and waiting[0][0] <= draw:
            _, c, j = heapq.heappop(waiting)
            heapq.heappush(due, (deadline(c, j), ranks[c], c, j))
        _, _, c, j = heapq.heappop(due)
        order[draw - 1] = c
        if j + 1 < counts[c]:
            heapq.heappush(waiting, (release(c, j + 1), c, j + 1))
    return order


def shuffled_classes(labels: np.ndarray, numbers: Sequence[int], seed: int) -> list[np.ndarray]:
    """For each class the indices of its images in the order in which they are drawn.

    The order of a class depends only on the seed and its published number, not on the other classes chosen.
    """
    return [
        generator(seed, _ORDER, number).permutation(np.flatnonzero(labels == label))
        for label, number in enumerate(numbers)
    ]


def draw_nested(
    labels: np.ndarray,
    numbers: Sequence[int],
    n: int,
    validation: float,
    seed: int,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Ascending indices (int64) of the training and of the validation images among `n` drawn, labels 0...k-1.

    `numbers` are the classes' published numbers. With one seed, a smaller draw is contained in a larger
    one, its training part in the training part and its validation part in the validation part. With
    `groups` (int64, N) the groups for validation are drawn from all images, whatever `n` is.
    """
    classes = shuffled_classes(labels, numbers, seed)
    ties = generator(seed, _TIES, *sorted(numbers)).permutation(len(classes)).tolist()
    order = stratified_order([len(c) for c in classes], n, ties)
    taken = np.bincount(order, minlength=len(classes))
    drawn = [members[:count] for members, count in zip(classes, taken, strict=True)]
    if groups is not None and validation:
        of_group = draw_groups(labels, groups, validation, seed, _VALIDATION)
        held = [of_group[members] for members in drawn]
    else:
        held = [_is_validation(len(members), validation) for members in drawn]
    train = np.concatenate([members[~h] for members, h in zip(drawn, held, strict=True)])
    valid = np.concatenate([members[h] for members, h in zip(drawn, held, strict=True)])
    return np.sort(train), np.sort(valid)


def _is_validation(n: int, share: float) -> np.ndarray:
    """Whether each of n images in drawing order is for validation: at every length the share, rounded."""
    exact = Fraction(str(share))
    cumulative = [int(j * exact + Fraction(1, 2)) for j in range(n + 1)]
    return np.diff(np.array(cumulative, np.int64)) > 0


def draw_sklearn(
    labels: np.ndarray, n: int, validation: float, seed: int, column: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of `train_test_split(..., train_size=n, random_state=seed, stratify=labels)`, in its order.

    With `column`, labels of shape (n, 1) are passed, as Keras hands out CIFAR's: scikit-learn then takes
    the classes in the order of their numbers as text (0, 1, 10, 11, ..., 2), and so draws another subset
    where a number has two digits. All images (which scikit-learn refuses) are taken in the published order.
    The validation part is split off the drawn images by a second call with the same seed. Subsets of
    different sizes are not nested.
    """
    from sklearn.model_selection import train_test_split

    def draw(index: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        if size == len(index):
            return index, index[:0]
        strata = labels[index][:, None] if column else labels[index]
        try:
            first, second = train_test_split(index, train_size=size, random_state=seed, stratify=strata)
        except ValueError as error:
            raise TlcliError(f"scikit-learn cannot draw {size} of {len(index)} images: {error}.") from None
        return first, second

    chosen, _ = draw(np.arange(len(labels)), n)
    held = int(len(chosen) * Fraction(str(validation)) + Fraction(1, 2))
    return draw(chosen, len(chosen) - held)
