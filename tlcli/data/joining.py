"""Several sources as one: their classes together, or the test part of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tlcli.data.fitting import Fit, FittedImages
from tlcli.data.images import ImageSubset, UnverifiedImages
from tlcli.data.source import Source, class_part, show
from tlcli.errors import TlcliError
from tlcli.store.records import ImageArray, Part


class JoinedImages:
    """The images of several arrays, one array after another: uint8, N x H x W x C."""

    dtype = np.dtype(np.uint8)

    def __init__(self, images: Sequence[ImageArray]) -> None:
        self._images = list(images)
        self._starts = np.cumsum([0, *(len(array) for array in self._images)])

    @property
    def shape(self) -> tuple[int, ...]:
        return (int(self._starts[-1]), *self._images[0].shape[1:])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: Any) -> np.ndarray:
        wanted = np.arange(len(self))[index]
        flat = wanted.ravel()
        out = np.empty((len(flat), *self.shape[1:]), np.uint8)
        which = np.searchsorted(self._starts, flat, side="right") - 1
        for number in np.unique(which):
            here = which == number
            out[here] = self._images[number][flat[here] - self._starts[number]]
        return out.reshape(*wanted.shape, *self.shape[1:])

    def subset(self, index: np.ndarray) -> ImageArray:
        """Some of them."""
        return ImageSubset(self, index)

    def readable(self, index: np.ndarray) -> tuple[ImageArray, np.ndarray]:
        """The images at `index`, ascending, that can be read, and their indices."""
        images: list[ImageArray] = []
        kept = []
        for array, start in zip(self._images, self._starts, strict=False):
            here = index[(index >= start) & (index < start + len(array))] - start
            found, good = (
                array.readable(here)
                if isinstance(array, UnverifiedImages)
                else (ImageSubset(array, here), here)
            )
            images.append(found)
            kept.append(good + start)
        channels = max(array.shape[3] for array in images)
        return JoinedImages(
            [FittedImages(array, Fit(channels=channels)) for array in images]
        ), np.concatenate(kept)


def join(sources: Sequence[Source], fit: Fit) -> Source:
    """One source with the classes of all; classes of the same name become one.

    Classes keep their published numbers if these differ, else they are numbered source by source.
    `source_index` numbers the images source by source, too. Raises TlcliError if the images differ in size
    and no size is asked for.
    """
    names = list(dict.fromkeys(name for source in sources for name in source.class_names))
    numbers = _numbers(sources, names)
    ranked = sorted(names, key=lambda name: numbers[name])
    parts = {}
    groups: dict[str, np.ndarray] = {}
    for part in ("train", "validation", "test"):
        having = [source for source in sources if part in source.parts]
        if having:
            parts[part] = _join_parts(having, part, ranked, fit)
        if having and all(part in source.groups for source in having):
            groups[part] = _join_groups([source.groups[part] for source in having])
    return Source(
        "+".join(dict.fromkeys(source.name for source in sources)),
        parts["train"],
        parts["test"],
        ranked,
        [warning for source in sources for warning in source.warnings],
        [numbers[name] for name in ranked],
        parts.get("validation"),
        [record for source in sources for record in source.parents],
        [notes for source in sources for notes in source.notes],
        groups,
        fit,
        list(sources),
    )


def with_test_of(train: Source, test: Source) -> Source:
    """The first source with the test part of the second, or with all of the second if it has none.

    Raises TlcliError if the first lacks a class of the second.
    """
    unknown = [name for name in test.class_names if name not in train.class_names]
    if unknown:
        raise TlcliError(
            f"{show(test.name)} has the class {unknown[0]!r:.100}, which {show(train.name)} has not: "
            "expected the test "
            "part of the same classes."
        )
    part = "test" if len(test.test) else "train"
    images = [train.train.images, (test.test if part == "test" else test.train).images]
    _of_one_shape(images, [train.name, test.name], Fit())  # raises if the sizes differ
    which = "that of" if part == "test" else "all of"
    return Source(
        train.name,
        train.train,
        _join_parts([test], part, train.class_names, Fit()),
        train.class_names,
        [*train.warnings, *test.warnings],
        train.class_numbers,
        train.validation,
        [*train.parents, *test.parents],
        [*train.notes, f"The test part is {which} {show(test.name)}."],
        {name: of_image for name, of_image in train.groups.items() if name != "test"},
        sources=[train, test],
    )


def _numbers(sources: Sequence[Source], names: Sequence[str]) -> dict[str, int]:
    pairs = {
        (name, number)
        for source in sources
        for name, number in zip(source.class_names, source.class_numbers, strict=True)
    }
    numbers = dict(sorted(pairs))
    if len(pairs) == len(names) == len(set(numbers.values())):
        return numbers
    return {name: number for number, name in enumerate(names)}


def _join_parts(sources: Sequence[Source], part: str, ranked: Sequence[str], fit: Fit) -> Part:
    label_of = {name: label for label, name in enumerate(ranked)}
    found = [source.parts[part] for source in sources]
    labels = [
        np.array([label_of[name] for name in source.class_names], np.int64)[p.labels]
        for source, p in zip(sources, found, strict=True)
    ]
    images = _of_one_shape([p.images for p in found], [source.name for source in sources], fit)
    if len(found) == 1:
        return class_part(images[0], labels[0], found[0].source_index)
    return class_part(JoinedImages(images), np.concatenate(labels), _positions(found))


def _positions(parts: Sequence[Part]) -> np.ndarray:
    """The positions in the sources, which are numbered source by source."""
    start, found = 0, []
    for part in parts:
        found.append(part.source_index + start)
        start = int(found[-1].max(initial=start - 1)) + 1
    return np.concatenate(found)


def _join_groups(groups: Sequence[np.ndarray]) -> np.ndarray:
    start, found = 0, []
    for group in groups:
        found.append(group + start)
        start = int(found[-1].max(initial=start - 1)) + 1
    return np.concatenate(found)


def _of_one_shape(images: Sequence[ImageArray], names: Sequence[str], fit: Fit) -> list[ImageArray]:
    channels = fit.channels or max(array.shape[3] for array in images)
    wanted = Fit(fit.size, fit.how, channels)
    fitted: list[ImageArray] = [
        array if FittedImages(array, wanted).shape == tuple(array.shape) else FittedImages(array, wanted)
        for array in images
    ]
    shapes = {array.shape[1:] for array in fitted}
    if len(shapes) > 1:
        of_each = ", ".join(
            f"{show(n)} {a.shape[1]} x {a.shape[2]}" for n, a in zip(names, images, strict=True)
        )
        raise TlcliError(f"The images differ in size: {of_each}; give `image_size` to bring all to one.")
    return fitted
