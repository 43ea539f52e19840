"""What the files hold, as plain dataclasses of numpy arrays; the rest of the package sees only these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from tlcli.errors import TlcliError


class ImageArray(Protocol):
    """An array of images that may be decoded on demand: uint8, N x H x W x C.

    A numpy array is one; so is a folder of images that decodes the slice it is asked for.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> np.ndarray: ...


@dataclass(frozen=True)
class Parent:
    """One input of a file: its name (no path), its format and its content digest."""

    name: str
    format: str
    content_sha256: str


@dataclass(frozen=True)
class Ancestor:
    """A file somewhere up the chain of inputs, as the `ancestry` of a file lists it."""

    name: str
    format: str
    content_sha256: str
    command: str
    generated_by: str
    parents: tuple[str, ...] = ()
    """The content digests of its own inputs."""


@dataclass(frozen=True)
class Provenance:
    """Where a file comes from. `content_sha256` is empty until the file has been written or read."""

    command: str = ""
    parents: tuple[Parent, ...] = ()
    ancestry: tuple[Ancestor, ...] = ()
    """Every file up the chain, nearest first, each once."""
    generated_by: str = ""
    content_sha256: str = ""
    name: str = ""
    """The file's own name without folder, or `stdin`."""


@dataclass
class Part:
    """One part of a dataset: images (uint8, N x H x W x C), labels and source_index (int64, N)."""

    images: ImageArray
    labels: np.ndarray
    source_index: np.ndarray
    """The position of each image in the part of the published set that it was taken from."""

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
    """How it was cut: classes, proportion, size, multiple_of, validation, seed, sampling."""
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def train(self) -> Part:
        return self.parts["train"]

    @property
    def test(self) -> Part:
        return self.parts["test"]

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
    """A trained network: the name and options of its architecture, and its arrays. Never code."""

    format: ClassVar[str] = "tlcli-checkpoint"

    architecture: str
    options: dict[str, Any]
    """The architecture's own options, as JSON values."""
    input_shape: tuple[int, int, int]
    class_names: list[str]
    class_original: np.ndarray
    mean: np.ndarray
    """float32, one per channel, in units of pixel values scaled to 0...1."""
    std: np.ndarray
    weights: dict[str, np.ndarray]
    """By `layer/variable`, in the network's order."""
    recipe: dict[str, Any] = field(default_factory=dict)
    """How it was trained: every value, as JSON."""
    seed: int = 0
    samples_seen: int = 0
    complete: bool = True
    """False for a training that was interrupted and can be resumed."""
    history: dict[str, np.ndarray] = field(default_factory=dict)
    """`samples_seen` (int64) and `train_loss`, `train_accuracy`, `test_loss`, `test_accuracy` (float64)."""
    test_predictions: np.ndarray | None = None
    """int64: the class it gives each image of the test part it was trained beside."""
    optimizer: dict[str, np.ndarray] = field(default_factory=dict)
    """The optimizer's variables; only in an incomplete checkpoint."""
    state: dict[str, np.ndarray] = field(default_factory=dict)
    """The random state: the seed generators of dropout and what else a resumed training needs."""
    provenance: Provenance = field(default_factory=Provenance)


@dataclass
class EmbeddingPart:
    """embeddings (float32, N x D), labels and source_index (int64, N)."""

    embeddings: np.ndarray
    labels: np.ndarray
    source_index: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


ALL = "all"
"""Where a layer is named: what all of them make of an image."""


@dataclass
class Embeddings:
    """The activations of one layer for every image of a dataset."""

    format: ClassVar[str] = "tlcli-embeddings"

    parts: dict[str, EmbeddingPart]
    layer: str
    """Its name, or `all`; with `, mirrored` where each vector is a mean with the mirror image's."""
    class_names: list[str]
    class_original: np.ndarray
    provenance: Provenance = field(default_factory=Provenance)


@dataclass
class Target:
    """What a results file keeps of a dataset its runs were tested on, so that predictions can be read."""

    name: str
    content_sha256: str
    train_size: int
    class_names: list[str]
    test_labels: np.ndarray
    """int64, N."""
    test_source_index: np.ndarray
    """int64, N."""
    source: str = ""
    """The published set, for example `mnist`."""


@dataclass
class Run:
    """One training, or one evaluation of neighbours, with one seed."""

    key: str
    """Unique in its file, for example `mnist-6-9-p0.01/freeze(copy=2)/0` with `/` written as `|`."""
    method: str
    """The registered name, for example `freeze`."""
    arm: str
    """Method with its options, for example `freeze(copy=2)`: what a table has one row for."""
    dataset: str
    """The name of its target in the same file."""
    size: int
    """Training images."""
    run: int
    """0, 1, ...: the repetition."""
    seed: int
    parameters: int
    trainable_parameters: int
    attributes: dict[str, Any] = field(default_factory=dict)
    """More scalars: `architecture`, `base`, `base_sha256`, `relation`, `copy`, `freeze`, `batch_size`, ..."""
    history: dict[str, np.ndarray] = field(default_factory=dict)
    """All of one length: `samples_seen` (int64) and the train and test losses and accuracies (float64)."""
    predictions: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """int64: the class given to each image of the target's test part."""
    curves: dict[str, np.ndarray] = field(default_factory=dict)
    """Anything else measured along an axis; kNN: `k` (int64), `cv_accuracy`, `test_accuracy`."""

    @property
    def test_accuracy(self) -> float:
        """Share of the test part that is classified right after the last step, 0...1.

        Raises:
            TlcliError: it was not measured.
        """
        if "test_accuracy" not in self.history:
            raise TlcliError(f"The run {self.key!r} has no test accuracy.")
        return float(self.history["test_accuracy"][-1])


@dataclass
class Results:
    """The runs of one grid: datasets x methods x repetitions."""

    format: ClassVar[str] = "tlcli-results"

    runs: list[Run]
    targets: dict[str, Target]
    recipe: dict[str, Any] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)


Record = Dataset | Checkpoint | Embeddings | Results


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
            ),
        )
    for r in records:
        for ancestor in r.provenance.ancestry:
            ancestry.setdefault(ancestor.content_sha256, ancestor)
    return parents, tuple(ancestry.values())
