"""Choose images of a part without needless decoding or copying."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np

from tlcli.store.records import ImageArray, Part


@runtime_checkable
class UnverifiedImages(Protocol):
    """Images that may be unreadable, such as a folder's."""

    def readable(self, index: np.ndarray) -> tuple[ImageArray, np.ndarray]:
        """The images at `index` that can be read, and their indices."""
        ...

    def subset(self, index: np.ndarray) -> ImageArray:
        """The images at `index`, without decoding them."""
        ...


class ImageSubset:
    """Some images of an array, fetched on demand: uint8, N x H x W x C.

    `channels` repeats the channel of grey images.
    """

    def __init__(self, images: ImageArray, index: np.ndarray, channels: int | None = None) -> None:
        self._images, self._index = images, np.asarray(index, np.int64)
        self._repeats = (channels or images.shape[3]) // images.shape[3]

    @property
    def shape(self) -> tuple[int, ...]:
        height, width, channels = self._images.shape[1:]
        return len(self), height, width, channels * self._repeats

    @property
    def dtype(self) -> np.dtype:
        return self._images.dtype

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: Any) -> np.ndarray:
        images = np.asarray(self._images[self._index[index]])
        return np.repeat(images, self._repeats, axis=-1) if self._repeats > 1 else images

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def take(part: Part, index: np.ndarray) -> Part:
    """The images at `index`; images on disk stay there."""
    images = part.images
    chosen: ImageArray
    if isinstance(images, UnverifiedImages):
        chosen = images.subset(index)
    elif isinstance(images, np.ndarray) and not isinstance(images, np.memmap):
        chosen = images[index]
    else:
        chosen = ImageSubset(images, index)
    return Part(chosen, part.labels[index], part.source_index[index])


def select(part: Part, index: np.ndarray) -> Part:
    """The images at `index`, without unreadable ones."""
    if not isinstance(part.images, UnverifiedImages):
        return take(part, index)
    images, kept = part.images.readable(index)
    return Part(images, part.labels[kept], part.source_index[kept])


def same_channels(parts: dict[str, Part]) -> dict[str, Part]:
    """Turn grey images into colour if another part has colour."""
    channels = max(part.images.shape[3] for part in parts.values())
    for name, part in parts.items():
        if part.images.shape[3] != channels:
            colour = ImageSubset(part.images, np.arange(len(part)), channels)
            parts[name] = Part(colour, part.labels, part.source_index)
    return parts
