"""The content of a results file: runs, classifications by neighbours, and their test data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tlcli.errors import TlcliError
from tlcli.store.provenance import Provenance
from tlcli.text import short_repr

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped]

ALL = "all"
"""In place of a layer's name: the outputs of all layers."""


@dataclass
class Target:
    """The part of a dataset that a results file keeps, so that predictions can be read."""

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
    """Warnings of `split` that bear on the meaning of results."""

    __repr__ = short_repr


@dataclass
class Run:
    """One training with one seed: a row of the table `runs`. None and empty texts stand for unknown."""

    method: str
    """The registered name, for example `freeze`."""
    arm: str
    """The method with its options, as `--method` takes it: `freeze:copy=2`. A table has one row for each
    arm."""
    dataset: str
    """The name of its target in the same file."""
    size: int
    """Training images."""
    run: int
    """0, 1, ...: the repetition."""
    seed: int
    parameters: int
    """The number of parameters of the network."""
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
    """Copied layers that stay frozen in the first phase."""
    head_units: str = ""
    """Hidden layers of the new head, as `512,256`."""
    head_dropout: float | None = None
    """Dropout on the inputs of the layers of such a head."""
    all_layers: int | None = None
    """1: the new head reads the outputs of all layers; 0: of one layer; None: as the base's head does."""
    batch_size: int | None = None
    samples: int | None = None
    """Training samples seen."""
    train_accuracy: float | None = None
    """After the last step, in inference mode, on at most 2,000 of the training images."""
    source_accuracy_before: float | None = None
    """The base's accuracy on the test part of the source task."""
    source_accuracy_after: float | None = None
    """The run's own, with the base's head."""
    source_refitted_before: float | None = None
    """As `source_accuracy_before`, with a head fitted anew to the source's training images."""
    source_refitted_after: float | None = None
    """As `source_accuracy_after`, likewise."""
    seconds: float | None = None
    """Wall-clock seconds, if they were recorded: choices, training and measurements of this run, while others
    may have trained beside it. The run that is the first to need a compiled network or the stored outputs of
    frozen layers also pays for the runs that share them, so compare medians."""
    selected: str = ""
    """The alternative that this run chose, as an arm; empty if the arm has none."""
    selected_on: str = ""
    """The images that the alternatives were compared on."""
    candidates: dict[str, Any] = field(default_factory=dict)
    """The `accuracy` and `loss` of each alternative on held-out images."""
    chosen: dict[str, Any] = field(default_factory=dict)
    """Values that the solver of the head chose: `penalty`, `C`, ..."""
    plugin: str = ""
    """The file or package that registered the method; empty for tlcli's own."""
    plugin_sha256: str = ""
    history: dict[str, np.ndarray] = field(default_factory=dict)
    """All of one length: `samples_seen` (int64) and the train and test losses and accuracies (float64)."""
    predictions: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """int64: the predicted class of each image of the target's test part; empty if not kept."""
    logits: np.ndarray | None = None
    """float32, N x classes: the logits of each image of the target's test part. Files keep them minus the
    largest of each image, with 12 significant bits."""

    __repr__ = short_repr

    @property
    def key(self) -> str:
        """The name that no other run of the file has."""
        return f"{self.dataset}|{self.arm}|{self.run}"

    @property
    def test_accuracy(self) -> float:
        """Share of the test part that is classified right after the last step, 0...1.

        Raises:
            TlcliError: The accuracy was not measured.
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
    """The number of neighbours that vote."""
    layer: str = ""
    """The layer that was embedded, or `all`."""
    mirrored: bool = False
    """Embeddings are means of an image's and its mirror image's."""
    metric: str = "euclidean"
    weights: str = "uniform"
    power: float = 1.0
    """Each number x was replaced by sign(x) |x|^power."""
    selected_on: str = ""
    """The data that k was chosen on: `cross-validation` or `test`."""
    left_out: int | None = None
    """The number of training images that were left out in turn."""
    base: str = ""
    """The file name of the network that was embedded."""
    base_sha256: str = ""
    ks: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """int64, K: every k that was tried, ascending."""
    cv_accuracies: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """float64, K: leave-one-out accuracy on the training part; empty if not measured."""
    test_accuracies: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """float64, K: accuracy on the test part."""
    predictions: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """int64: the predicted class of each image of the target's test part, with `k` neighbours."""

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
        """The leave-one-out accuracy with `k`; None if not measured."""
        return self._at_k(self.cv_accuracies)

    @property
    def test_accuracy(self) -> float | None:
        """The accuracy on the test part with `k`; None if not measured."""
        return self._at_k(self.test_accuracies)

    def _at_k(self, accuracies: np.ndarray) -> float | None:
        values = accuracies[self.ks == self.k] if len(accuracies) == len(self.ks) else accuracies[:0]
        return float(values[0]) if len(values) and not np.isnan(values[0]) else None


@dataclass
class Ranking:
    """The scores of one base from its embeddings of a target's training images, without training."""

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
    """The length of each embedding."""
    images: int
    """The number of training images that were scored."""
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
    """The values of the recipe that all runs share."""
    provenance: Provenance = field(default_factory=Provenance)
    neighbours: list[Neighbours] = field(default_factory=list)
    rankings: list[Ranking] = field(default_factory=list)

    __repr__ = short_repr

    def to_dataframe(self, table: str = "runs") -> pandas.DataFrame:
        """One of the tables, as `tlcli dump` writes it; needs pandas.

        Args:
            table: `runs` (a row a run, with the recipe), `history`, `neighbours`, `sweeps`, `rankings`,
                `targets` or `predictions`.

        Raises:
            TlcliError: pandas is not installed.
            UsageError: The table does not exist.
        """
        from tlcli.store import tabular

        try:
            import pandas
        except ImportError as error:
            raise TlcliError("`to_dataframe` needs pandas; install it with pip install pandas.") from error
        return pandas.DataFrame(tabular.table(self, table))
