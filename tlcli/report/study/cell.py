"""A cell of the grid: the runs of one arm at one size, each quantity computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tlcli.analysis import measures, statistics
from tlcli.analysis.measures import BiasVariance, ClassMeasures
from tlcli.analysis.statistics import Summary
from tlcli.report.study.contrasts import right_answers, units
from tlcli.report.study.curves import Curve, curve
from tlcli.report.study.entry import Entry
from tlcli.report.study.worth import Worth, worth
from tlcli.report.words import percent, plural

if TYPE_CHECKING:
    from tlcli.report.study.grid import Task


@dataclass(eq=False)
class Cell:
    """The runs of one arm at one size and in one variant of a task."""

    task: Task
    size: int
    variant: str
    arm: str
    method: str
    runs: list[Entry]

    @property
    def name(self) -> str:
        """The arm, and the variant if there are several."""
        return f"{self.arm} ({self.variant})" if self.variant else self.arm

    @property
    def where(self) -> str:
        return plural(self.size, "training image")

    @cached_property
    def units(self) -> list[list[Entry]]:
        return units(self.runs)

    @property
    def draws(self) -> int:
        """Training sets."""
        return len({e.dataset for e in self.runs})

    def over_units(self, measure: Callable[[Entry], float]) -> list[float]:
        """A measure, averaged within each repetition."""
        return [float(np.mean([measure(e) for e in unit])) for unit in self.units]

    @cached_property
    def values(self) -> list[float]:
        """The test accuracy of each repetition."""
        return self.over_units(lambda e: e.measured)

    @cached_property
    def accuracy(self) -> Summary:
        """Mean test accuracy with its interval over the repetitions, on these test images."""
        return statistics.summary(self.values)

    @property
    def mean(self) -> float:
        return self.accuracy.mean

    @property
    def percent(self) -> str:
        """The mean as text."""
        return percent(self.mean, self.task.digits)

    @property
    def equal(self) -> bool:
        """Whether all repetitions have the same accuracy."""
        return len(self.values) > 1 and max(self.values) - min(self.values) < 1e-12

    @property
    def sd(self) -> float | None:
        """The standard deviation of the repetitions, from three different ones on."""
        return None if len(self.values) < 3 or self.equal else self.accuracy.sd

    @property
    def deterministic(self) -> bool:
        """Whether all repetitions gave the same answers, some of them wrong."""
        first = self.runs[0].predictions
        same = all(e.correct is not None and np.array_equal(e.predictions, first) for e in self.runs)
        return self.equal and self.mean < 1 and same

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """The interval of the mean on these test images, within 0 and 1; from three repetitions on."""
        s = self.accuracy.interval
        return None if s is None or self.equal else (max(0.0, s[0]), min(1.0, s[1]))

    @cached_property
    def new_images(self) -> tuple[float, float] | None:
        """The interval of the mean for other images (and runs) of the same kind."""
        correct = right_answers(self.units)
        return None if correct is None else statistics.new_images(correct)

    @cached_property
    def train(self) -> float | None:
        """Mean training accuracy, if every run has one."""
        return self._mean(lambda e: e.train_accuracy)

    @property
    def gap(self) -> float | None:
        """Training minus test accuracy."""
        return None if self.train is None else self.train - self.mean

    @cached_property
    def lost(self) -> Summary | None:
        """Source accuracy lost with the base's head, with its interval."""
        return self._summary(lambda e: e.lost)

    @cached_property
    def lost_features(self) -> Summary | None:
        """Source accuracy lost with a head fitted anew, with its interval."""
        return self._summary(lambda e: e.lost_features)

    def _measured(self, measure: Callable[[Entry], float | None]) -> list[float] | None:
        """The values of a measure by repetition; None where a run lacks it."""
        if any(measure(e) is None for e in self.runs):
            return None
        return self.over_units(lambda e: measure(e) or 0.0)

    def _summary(self, measure: Callable[[Entry], float | None]) -> Summary | None:
        values = self._measured(measure)
        return None if values is None else statistics.summary(values)

    @cached_property
    def before(self) -> float | None:
        return self._mean(lambda e: e.before)

    @cached_property
    def after(self) -> float | None:
        return self._mean(lambda e: e.after)

    def _mean(self, measure: Callable[[Entry], float | None]) -> float | None:
        values = self._measured(measure)
        return None if values is None else float(np.mean(values))

    @cached_property
    def samples(self) -> int:
        """Training images seen by the longest run."""
        return max(e.samples for e in self.runs)

    @cached_property
    def seconds(self) -> float | None:
        """The median of the seconds that its runs took, if all are known: the first run may also pay for
        what the others share."""
        times = [e.training.seconds for e in self.runs if e.training.seconds is not None]
        return float(np.median(times)) if len(times) == len(self.runs) else None

    @property
    def parameters(self) -> int:
        """The number of trained parameters."""
        return self.runs[0].training.trainable_parameters

    @cached_property
    def curve(self) -> Curve | None:
        """Test accuracy along the training."""
        return curve([e.history for e in self.runs], "test_accuracy")

    @cached_property
    def worth(self) -> Worth | None:
        """The worth in images from scratch, if that was trained with several numbers of them."""
        return None if self.task.control is None else worth(self, self.task.control)

    @cached_property
    def parts(self) -> BiasVariance | None:
        """Bias and variance of the error, from two runs on."""
        predictions = [e.predictions for e in self.runs if e.correct is not None]
        if len(predictions) < 2:
            return None
        return measures.bias_variance(np.stack(predictions), self.runs[0].target.test_labels)

    @cached_property
    def classes(self) -> dict[int, ClassMeasures]:
        """The measures by class of each run with predictions, by its id."""
        return {
            id(e): measures.by_class(e.predictions, e.target.test_labels, len(e.target.class_names))
            for e in self.runs
            if e.correct is not None
        }

    @property
    def balanced(self) -> Summary:
        """Balanced accuracy."""
        return self._of_classes(lambda m: m.balanced)

    @property
    def macro_f1(self) -> Summary:
        return self._of_classes(lambda m: m.macro_f1)

    def recall(self, index: int) -> Summary:
        """The accuracy of a class that has test images."""
        return self._of_classes(lambda m: float(m.recall[index]))

    def _of_classes(self, measure: Callable[[ClassMeasures], float]) -> Summary:
        units = [[measure(self.classes[id(e)]) for e in unit if id(e) in self.classes] for unit in self.units]
        return statistics.summary([float(np.mean(unit)) for unit in units if unit], bounds=(0.0, 1.0))

    @cached_property
    def likelihood(self) -> Summary | None:
        """Negative log-likelihood of the test labels, in nats."""
        return self._of_logits(measures.likelihood, np.inf)

    @cached_property
    def calibration(self) -> Summary | None:
        """Expected calibration error."""
        return self._of_logits(measures.calibration_error, 1.0)

    def _of_logits(self, measure: Callable[[np.ndarray, np.ndarray], float], most: float) -> Summary | None:
        if any(e.training.logits is None for e in self.runs):
            return None
        values = self.over_units(lambda e: measure(np.asarray(e.training.logits), e.target.test_labels))
        return statistics.summary(values, bounds=(0.0, most))

    @cached_property
    def confusion(self) -> np.ndarray | None:
        """float64, true x predicted: test images, averaged over the runs."""
        runs = [e for e in self.runs if e.correct is not None]
        if not runs:
            return None
        labels, classes = runs[0].target.test_labels, len(runs[0].target.class_names)
        counts = np.zeros(classes**2)
        for e in runs:
            counts += np.bincount(
                labels * classes + np.clip(e.predictions, 0, classes - 1), minlength=classes**2
            )
        return counts.reshape(classes, classes) / len(runs)
