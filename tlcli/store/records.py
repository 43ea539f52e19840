"""What the files hold, as plain dataclasses of numpy arrays; the rest of the package sees only these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from tlcli.errors import TlcliError
from tlcli.text import short_repr

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped]


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
    computed_by: dict[str, Any] = field(default_factory=dict)


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
    computed_by: dict[str, Any] = field(default_factory=dict)
    """Where a network was computed: `backend`, `device`, `precision`, `threads`; texts and numbers. Empty
    where none was. Who trains sets it, and `write` keeps it; it is no part of the content."""

    __repr__ = short_repr


@dataclass
class Part:
    """One part of a dataset: images (uint8, N x H x W x C), labels and source_index (int64, N)."""

    images: ImageArray
    labels: np.ndarray
    source_index: np.ndarray
    """The position of each image in the part of the published set that it was taken from."""

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
    """How it was cut: classes, proportion, size, multiple_of, validation, seed, sampling."""
    provenance: Provenance = field(default_factory=Provenance)

    __repr__ = short_repr

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
    """A trained network: the name and options of its architecture, and its arrays. Never code.

    Without class names it is headless: its last layer is what a new head takes.
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
    """How it was trained: every value, as JSON."""
    seed: int = 0
    samples_seen: int = 0
    complete: bool = True
    """False for a training that was interrupted and can be resumed."""
    history: dict[str, np.ndarray] = field(default_factory=dict)
    """`samples_seen` (int64) and `train_loss`, `train_accuracy`, `test_loss`, `test_accuracy` (float64)."""
    test_predictions: np.ndarray | None = None
    """int64: the class it gives each image of the test part it was trained beside."""
    state: dict[str, np.ndarray] = field(default_factory=dict)
    """What a resumed training needs: the optimizer, the seed generators of dropout, ..."""
    channel_order: str = "rgb"
    """`bgr`: the network takes the channels in reverse."""
    source: str = ""
    """The published set it was trained on, for example `mnist`; empty where unknown."""
    train_source_index: np.ndarray | None = None
    """int64: the position in the published set of each image it was trained on; None where unknown."""
    plugin: str = ""
    """The file or package that registered the architecture; empty for tlcli's own."""
    plugin_sha256: str = ""
    provenance: Provenance = field(default_factory=Provenance)

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


ALL = "all"
"""Where a layer is named: what all of them make of an image."""


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
    """The published set that the images are from, for example `mnist`; empty where unknown."""

    __repr__ = short_repr


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
    notes: str = ""
    """What `split` noted in the dataset: what bears on the meaning of results."""

    __repr__ = short_repr


@dataclass
class Run:
    """One training with one seed: a row of the table `runs`. None and empty texts stand for unknown."""

    method: str
    """The registered name, for example `freeze`."""
    arm: str
    """The method with its options, as `--method` takes it: `freeze:copy=2`. What a table has one row for."""
    dataset: str
    """The name of its target in the same file."""
    size: int
    """Training images."""
    run: int
    """0, 1, ...: the repetition."""
    seed: int
    parameters: int
    """Of the network, in all."""
    trainable_parameters: int
    architecture: str = ""
    architecture_options: dict[str, Any] = field(default_factory=dict)
    base: str = ""
    """The file name of the base."""
    base_sha256: str = ""
    """The content digest of the base."""
    base_accuracy: float | None = None
    """The base's accuracy on its own test part."""
    relation: str = ""
    """`own`: the base was trained on these images; `other`."""
    copy: int | None = None
    """Weighted layers copied from the base, from the input on."""
    freeze: int | None = None
    """Those of them that stay frozen in the first phase."""
    head_units: str = ""
    """Hidden layers of the new head, as `512,256`."""
    head_dropout: float | None = None
    """Dropout on the inputs of the layers of such a head."""
    all_layers: int | None = None
    """1: the new head reads what all layers make of an image; 0: one layer; None: as the base's head does."""
    batch_size: int | None = None
    samples: int | None = None
    """Training samples seen."""
    train_accuracy: float | None = None
    """After the last step, in inference mode, on at most 2,000 of the training images."""
    source_accuracy_before: float | None = None
    """The base's accuracy on the test part of the source task."""
    source_accuracy_after: float | None = None
    """The run's own, with the base's head."""
    selected: str = ""
    """Where the arm has alternatives: the one that this run took, as an arm."""
    selected_on: str = ""
    """The images that the alternatives were compared on."""
    candidates: dict[str, Any] = field(default_factory=dict)
    """Held-out `accuracy` and `loss` of each alternative."""
    chosen: dict[str, Any] = field(default_factory=dict)
    """What was chosen in solving for the head, by the solver: `penalty`, `C`, ..."""
    plugin: str = ""
    """The file or package that registered the method; empty for tlcli's own."""
    plugin_sha256: str = ""
    history: dict[str, np.ndarray] = field(default_factory=dict)
    """All of one length: `samples_seen` (int64) and the train and test losses and accuracies (float64)."""
    predictions: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """int64: the class given to each image of the target's test part; empty where they were not kept."""
    logits: np.ndarray | None = None
    """float32, N x classes: what the softmax takes for each image of the target's test part. Files keep them
    less the largest of each image, with 12 significant bits."""

    __repr__ = short_repr

    @property
    def key(self) -> str:
        """What tells it from the other runs of its file."""
        return f"{self.dataset}|{self.arm}|{self.run}"

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
class Neighbours:
    """One classification of a target's test part by the nearest training images, for many k."""

    dataset: str
    """The name of its target in the same file."""
    size: int
    """Training images, which are the neighbours."""
    k: int
    """How many of them vote."""
    layer: str = ""
    """The layer that was embedded, or `all`."""
    mirrored: bool = False
    """Embeddings are means of an image's and its mirror image's."""
    metric: str = "euclidean"
    weights: str = "uniform"
    power: float = 1.0
    """Each number x counts as sign(x) |x|^power."""
    selected_on: str = ""
    """What k was chosen on: `cross-validation` or `test`."""
    left_out: int | None = None
    """Training images that were left out in turn."""
    base: str = ""
    """The file name of the network that was embedded."""
    base_sha256: str = ""
    ks: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """int64, K: every k that was tried, ascending."""
    cv_accuracies: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """float64, K: by leave-one-out on the training part; empty where not measured."""
    test_accuracies: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """float64, K: on the test part."""
    predictions: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """int64: the class given to each image of the target's test part, with `k` neighbours."""

    __repr__ = short_repr

    @property
    def arm(self) -> str:
        """`knn` with the options that are not the default, in the spelling of `Run.arm`."""
        options = {
            "metric": "" if self.metric == "euclidean" else self.metric,
            "weights": "" if self.weights == "uniform" else self.weights,
            "power": "" if self.power == 1 else f"{self.power:g}",
            "layer": ALL if self.layer == ALL else "",
            "mirrored": "1" if self.mirrored else "",
        }
        given = ",".join(f"{name}={value}" for name, value in options.items() if value)
        return f"knn:{given}" if given else "knn"

    @property
    def cv_accuracy(self) -> float | None:
        """The leave-one-out accuracy with `k`; None where it was not measured."""
        return self._at_k(self.cv_accuracies)

    @property
    def test_accuracy(self) -> float | None:
        """The accuracy on the test part with `k`; None where it was not measured."""
        return self._at_k(self.test_accuracies)

    def _at_k(self, accuracies: np.ndarray) -> float | None:
        values = accuracies[self.ks == self.k] if len(accuracies) == len(self.ks) else accuracies[:0]
        return float(values[0]) if len(values) and not np.isnan(values[0]) else None


@dataclass
class Ranking:
    """What the embeddings of a target's training images say of one base, without a training."""

    dataset: str
    """The name of its target in the same file."""
    size: int
    """Training images."""
    base: str
    """The file name of the base."""
    base_sha256: str
    architecture: str
    layer: str
    """The layer that was embedded."""
    width: int
    """Numbers for each image."""
    images: int
    """Training images that were scored."""
    logistic: float
    """Accuracy (0...1) of a logistic head on held-out training images."""
    neighbours: float
    """Accuracy (0...1) of the nearest neighbours, each training image left out in turn."""
    log_me: float
    """You et al. 2021."""
    h_score: float
    """Ibrahim et al. 2021."""
    leep: float | None = None
    """Nguyen et al. 2020; None for a base without a head."""


@dataclass
class Results:
    """The runs of one grid, datasets x methods x repetitions; or classifications by nearest neighbours; or a
    ranking of bases."""

    format: ClassVar[str] = "tlcli-results"

    runs: list[Run]
    targets: dict[str, Target]
    recipe: dict[str, Any] = field(default_factory=dict)
    """What all runs share."""
    provenance: Provenance = field(default_factory=Provenance)
    neighbours: list[Neighbours] = field(default_factory=list)
    rankings: list[Ranking] = field(default_factory=list)

    __repr__ = short_repr

    def to_dataframe(self, table: str = "runs") -> pandas.DataFrame:
        """One of its tables, as `tlcli dump` writes it; needs pandas.

        Args:
            table: `runs` (a row a run, with the recipe), `history`, `neighbours`, `sweeps`, `targets` or
                `predictions`.

        Raises:
            TlcliError: pandas is not installed.
            UsageError: another table.
        """
        from tlcli.store import tabular

        try:
            import pandas
        except ImportError as error:
            raise TlcliError("to_dataframe needs pandas; install it with pip install pandas.") from error
        return pandas.DataFrame(tabular.table(self, table))


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
                p.computed_by,
            ),
        )
    for r in records:
        for ancestor in r.provenance.ancestry:
            ancestry.setdefault(ancestor.content_sha256, ancestor)
    return parents, tuple(ancestry.values())
