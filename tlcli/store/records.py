"""The content of the files, as plain dataclasses of numpy arrays. The rest of the package uses only these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from tlcli.store.provenance import Ancestor, Parent, Provenance
from tlcli.store.result_records import ALL, Neighbours, Ranking, Results, Run, Target
from tlcli.text import short_repr

__all__ = [
    "ALL",
    "Ancestor",
    "Checkpoint",
    "Dataset",
    "EmbeddingPart",
    "Embeddings",
    "ImageArray",
    "Neighbours",
    "Parent",
    "Part",
    "Provenance",
    "Ranking",
    "Record",
    "Results",
    "Run",
    "Target",
    "common_parents",
]


class ImageArray(Protocol):
    """An array of images that may be decoded on demand: uint8, N x H x W x C.

    A numpy array is an ImageArray; so is a folder of images that decodes the slice asked for.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> np.ndarray: ...


@dataclass
class Part:
    """One part of a dataset: images (uint8, N x H x W x C), labels and source_index (int64, N)."""

    images: ImageArray
    labels: np.ndarray
    source_index: np.ndarray
    """The position of each image in its part of the published set."""

    __repr__ = short_repr

    def __len__(self) -> int:
        return len(self.labels)


@dataclass
class Dataset:
    """Images of some classes, in parts `train`, optionally `validation`, and `test`."""

    format: ClassVar[str] = "tlcli-dataset"

    parts: dict[str, Part]
    class_names: list[str]
    class_original: np.ndarray
    """int64: the number that each class has in the published set."""
    source: str = ""
    """The published set, for example `mnist`."""
    options: dict[str, Any] = field(default_factory=dict)
    """The options of `split`: classes, proportion, size, multiple_of, validation, seed, sampling."""
    provenance: Provenance = field(default_factory=Provenance)

    __repr__ = short_repr

    @property
    def train(self) -> Part:
        return self.parts["train"]

    @property
    def test(self) -> Part:
        return self.parts["test"]

    @property
    def notes(self) -> list[str]:
        """Warnings of `split` that bear on the meaning of results."""
        return notes_of(self.options)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        height, width, channels = self.train.images.shape[1:]
        return int(height), int(width), int(channels)

    @property
    def classes(self) -> int:
        return len(self.class_names)


@dataclass
class Checkpoint:
    """A trained network: the name and options of its architecture, and its arrays, without code.

    The head is the last, classifying layer. A checkpoint without class names has none: a new head takes the
    output of its last layer.
    """

    format: ClassVar[str] = "tlcli-checkpoint"

    architecture: str
    options: dict[str, Any]
    """The architecture's own options, as JSON values."""
    input_shape: tuple[int, int, int]
    class_names: list[str]
    class_original: np.ndarray
    mean: np.ndarray
    """float32, one per channel in `channel_order`, in units of pixel values scaled to 0...1."""
    std: np.ndarray
    weights: dict[str, np.ndarray]
    """By `layer/variable`, in the network's order."""
    recipe: dict[str, Any] = field(default_factory=dict)
    """Every value of the training's recipe, as JSON."""
    seed: int = 0
    samples_seen: int = 0
    complete: bool = True
    """False for a training that was interrupted and can be resumed."""
    history: dict[str, np.ndarray] = field(default_factory=dict)
    """`samples_seen` (int64) and `train_loss`, `train_accuracy`, `test_loss`, `test_accuracy` (float64)."""
    test_predictions: np.ndarray | None = None
    """int64: the predicted class of each image of the test part of its dataset."""
    state: dict[str, np.ndarray] = field(default_factory=dict)
    """The state for a resumed training: the optimizer, the seed generators of dropout, ..."""
    channel_order: str = "rgb"
    """`bgr`: the network takes the channels in reverse."""
    source: str = ""
    """The published set of its training images, for example `mnist`; empty if unknown."""
    train_source_index: np.ndarray | None = None
    """int64: the position of each training image in the published set; None if unknown."""
    plugin: str = ""
    """The file or package that registered the architecture; empty for tlcli's own."""
    plugin_sha256: str = ""
    provenance: Provenance = field(default_factory=Provenance)
    notes: list[str] = field(default_factory=list)
    """The notes of the dataset that it was trained on."""

    __repr__ = short_repr


@dataclass
class EmbeddingPart:
    """embeddings (float32, N x D), labels and source_index (int64, N)."""

    embeddings: np.ndarray
    labels: np.ndarray
    source_index: np.ndarray

    __repr__ = short_repr

    def __len__(self) -> int:
        return len(self.labels)


@dataclass
class Embeddings:
    """The activations of one layer for every image of a dataset."""

    format: ClassVar[str] = "tlcli-embeddings"

    parts: dict[str, EmbeddingPart]
    layer: str
    """Its name, or `all`."""
    class_names: list[str]
    class_original: np.ndarray
    provenance: Provenance = field(default_factory=Provenance)
    mirrored: bool = False
    """Each vector is the mean of an image's and its mirror image's."""
    source: str = ""
    """The published set of the images, for example `mnist`; empty if unknown."""
    notes: list[str] = field(default_factory=list)
    """The notes of the dataset."""

    __repr__ = short_repr


Record = Dataset | Checkpoint | Embeddings | Results


def notes_of(options: dict[str, Any]) -> list[str]:
    """The notes among the options of a dataset, whose form may be wrong."""
    notes = options.get("notes", ())
    return [str(note) for note in notes] if isinstance(notes, list) else []


def common_parents(records: Sequence[Record]) -> tuple[tuple[Parent, ...], tuple[Ancestor, ...]]:
    """The `parents` and `ancestry` of a file made from these records."""
    parents = tuple(Parent(r.provenance.name, r.format, r.provenance.content_sha256) for r in records)
    ancestry: dict[str, Ancestor] = {}
    for r in records:
        p = r.provenance
        ancestry.setdefault(
            p.content_sha256,
            Ancestor(
                p.name,
                r.format,
                p.content_sha256,
                p.command,
                p.generated_by,
                tuple(q.content_sha256 for q in p.parents),
                p.computed_by,
            ),
        )
    for r in records:
        for ancestor in r.provenance.ancestry:
            ancestry.setdefault(ancestor.content_sha256, ancestor)
    return parents, tuple(ancestry.values())
