"""The training loop: chunks of steps, evaluations, resuming, stopping, without backends and files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from tlcli.errors import Interrupted, TlcliError
from tlcli.models import keras_private
from tlcli.models import network as net
from tlcli.training.engines import Engine, Measured
from tlcli.training.engines.memory import explain_exhaustion
from tlcli.training.order import next_evaluation
from tlcli.training.plan import Plans
from tlcli.training.step import Step
from tlcli.training.watch import Watch

_CHUNK_SECONDS = 0.7
_SAVE_SECONDS = 60.0


@dataclass
class Examples:
    """The data of a training: arrays on the device by name, and the parts to evaluate on."""

    train: dict[str, Any]
    size: int
    evaluated: dict[str, tuple[Any, np.ndarray]]
    """Inputs on the device and labels, by part (`test`, `validation`). If logits are averaged over mirror
    images, the inputs of the mirror images follow those of the images."""
    source_size: int = 0
    """The number of images of the replayed source task."""
    source_batch: int = 0
    views: int = 1
    """The number of versions of every image in `train`, the images themselves first; a step draws one."""

    @property
    def nbytes(self) -> int:
        """The size of the training arrays in bytes."""
        kinds = {key: np.dtype(keras.backend.standardize_dtype(x.dtype)) for key, x in self.train.items()}
        return sum(int(np.prod(x.shape)) * kinds[key].itemsize for key, x in self.train.items())


@dataclass
class Fit:
    """One training of one engine: its progress and its measurements."""

    step: Step
    engine: Engine
    examples: Examples
    model: keras.Model
    """The whole network, whose weights are saved and restored."""
    seed: int
    total_samples: int
    eval_every: int
    seen_before: int = 0
    """Samples seen in earlier phases of the same run."""
    rows_before: int = 0
    """Evaluations in earlier phases, which early stopping does not count."""
    history: dict[str, list[float]] = field(default_factory=dict)
    done: int = 0
    """The steps done."""
    pending: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    """Since the last evaluation: sum of the losses, samples right, samples."""
    best: dict[str, np.ndarray] = field(default_factory=dict)
    _test_logits: np.ndarray | None = None
    """The logits of the test part at the last evaluation; None if the weights have changed since."""
    _unread: list[tuple[int, Measured]] = field(default_factory=list)
    """Calls that the device has begun: the number of steps and a function for their measurements."""
    _finite: bool = True
    """Whether all weights were finite after the last steps that were read."""

    def __post_init__(self) -> None:
        recipe = self.step.recipe
        self.batch = min(recipe.batch_size, self.examples.size)
        self.total = max(1, -(-self.total_samples // self.batch))
        self.sides = 2 if recipe.mirrored else 1
        self.plans = Plans(
            recipe,
            tuple(self.step.model.inputs[0].shape[1:]),
            self.examples.size,
            self.batch,
            self.total,
            self.seed,
            self.examples.views,
            (self.examples.source_size, self.examples.source_batch),
        )

    def run(self, watch: Watch, doing: str = "") -> None:
        """Train from the present step to the end.

        Raises:
            Interrupted: `watch.stop` was true; `watch.save` has the state.
            TlcliError: The loss or a weight is NaN or infinite, or the device has too little memory.
        """
        with explain_exhaustion(self.batch, self.examples.nbytes):
            self._run(watch, doing)

    def _run(self, watch: Watch, doing: str) -> None:
        chunk, now = 2, time.monotonic()
        saved, plan = now, self._plan(chunk)
        while plan and not self._is_stopped_early():
            started, point = now, next_evaluation(self.done, self.total, self.eval_every, self.batch)
            self._begin(plan)
            plan = self._plan(chunk)  # while the device works
            steps = self._settle(leave=1 if self.engine.runs_ahead else 0)
            if self.done == point:
                steps += self._settle()
                self._require_finite()
                watch.measure(self._evaluate())
            watch.report(self.seen_before + self._measured_steps * self.batch, self.total * self.batch, doing)
            now = time.monotonic()
            if steps:
                chunk = max(1, min(4 * steps, int(steps * _CHUNK_SECONDS / max(now - started, 1e-3))))
            if watch.should_stop():
                if watch.save:
                    watch.save(self.state())
                raise Interrupted(f"Stopped after {self.done * self.batch:,} samples.")
            if watch.save and now - saved > _SAVE_SECONDS:
                watch.save(self.state())
                saved = now
        if self.best:
            net.assign(self.model, self.best)
            self.engine.read()
            self._test_logits = None
        elif self.step.recipe.ema:
            self.engine.swap_average()
        self.engine.write()

    def record_best(self, watch: Watch) -> None:
        """Add a last row for the weights that early stopping keeps, those of the best row before."""
        if not self.best or (waited := self._rows_since_best()) == 0:
            return
        row = {key: values[-1 - waited] for key, values in self.history.items()}
        row["samples_seen"] = self.history["samples_seen"][-1]
        for key, value in row.items():
            self.history[key].append(value)
        watch.measure(row)

    def record_solution(self) -> dict[str, float]:
        """Add a row to the history after solving for the head, which saw every training image once."""
        labels = np.asarray(self.examples.train["y"])
        loss, accuracy = score(self.predict(self.examples.train["x"]), labels)
        self.pending = [loss * self.examples.size, accuracy * self.examples.size, self.examples.size]
        self.seen_before += self.examples.size
        return self._evaluate()

    def _plan(self, steps: int) -> dict[str, np.ndarray] | None:
        """The rows of the next steps, up to the next evaluation; None at the end."""
        if self.done == self.total:
            return None
        point = next_evaluation(self.done, self.total, self.eval_every, self.batch)
        return self.plans.take(self.done, min(self.done + steps, point))

    def _begin(self, plan: dict[str, np.ndarray]) -> None:
        """Let the device begin the next steps; their measurements are read later, while it does others."""
        steps = len(plan["learning_rate"])
        self._unread.append((steps, self.engine.train(self.examples.train, plan)))
        self.done += steps

    @property
    def _measured_steps(self) -> int:
        return self.done - sum(steps for steps, _ in self._unread)

    def _settle(self, leave: int = 0) -> int:
        """Wait for the calls that have begun, except the last `leave`; returns the number of their steps."""
        before = self._measured_steps
        while len(self._unread) > leave:
            losses, right, self._finite = self._unread[0][1]()
            if not np.isfinite(losses).all():
                steps = self._measured_steps + int(np.isfinite(losses).argmin()) + 1
                raise self._divergence("its loss is", steps)
            for loss, count in zip(losses.tolist(), right.tolist(), strict=True):
                self.pending[0] += loss * self.batch
                self.pending[1] += count
                self.pending[2] += self.batch
            del self._unread[0]
        return self._measured_steps - before

    def _require_finite(self) -> None:
        """Raise if a weight is not finite. The loss may stay finite: a maximum or a ReLU hides NaN."""
        if not self._finite:
            raise self._divergence("a weight is", self.done)

    def _divergence(self, what: str, steps: int) -> TlcliError:
        less = ", or less of what the method adds to the loss" if self.step.terms else ""
        return TlcliError(
            f"The training diverged: {what} NaN or infinite after "
            f"{self.seen_before + steps * self.batch:,} images.\n"
            f"Try a lower `learning_rate` (it was {self.step.recipe.rate:g}){less}."
        )

    def _evaluate(self) -> dict[str, float]:
        if self.step.recipe.ema:
            self.engine.swap_average()
        row: dict[str, float] = {"samples_seen": self.seen_before + self.done * self.batch}
        loss, right, seen = self.pending
        row["train_loss"], row["train_accuracy"] = loss / seen, right / seen
        for part, (_, labels) in self.examples.evaluated.items():
            logits = self.answers(part)
            if not np.isfinite(logits).all():
                raise self._divergence(f"an output on the {part} part is", self.done)
            row[f"{part}_loss"], row[f"{part}_accuracy"] = score(logits, labels)
            if part == "test":
                self._test_logits = logits
        for key, value in row.items():
            self.history.setdefault(key, []).append(value)
        self.pending = [0.0, 0.0, 0.0]
        if self.step.recipe.early_stopping and self._rows_since_best() == 0:
            self.engine.write()
            self.best = net.weights(self.model)
        if self.step.recipe.ema:
            self.engine.swap_average()
        return row

    def predict(self, x: Any) -> np.ndarray:
        """Logits of the target's head for inputs on the device: float32, N x classes."""
        return np.asarray(self.engine.outputs(x)[0])

    def answers(self, part: str) -> np.ndarray:
        """Logits of a part, averaged over mirror images if the recipe says so: float32, N x classes."""
        x, labels = self.examples.evaluated[part]
        logits = self.predict(x)
        return logits.reshape(self.sides, len(labels), logits.shape[1]).mean(axis=0)

    def test_logits(self) -> np.ndarray:
        """Logits of the test part with the final weights: float32, N x classes."""
        if self._test_logits is None:
            self._test_logits = self.answers("test")
        return self._test_logits

    def _rows_since_best(self) -> int:
        """Evaluations since the best validation loss, which lies at most `early_stopping` rows back."""
        losses = self.history["validation_loss"]
        recent = losses[max(self.rows_before, len(losses) - 1 - (self.step.recipe.early_stopping or 0)) :]
        return len(recent) - 1 - int(np.argmin(recent))

    def _is_stopped_early(self) -> bool:
        patience = self.step.recipe.early_stopping
        measured = len(self.history.get("validation_loss", [])) > self.rows_before
        return bool(patience and measured and self._rows_since_best() >= patience)

    def state(self) -> dict[str, np.ndarray]:
        """Everything that a resumed training needs, as arrays by name."""
        self._settle()
        self.engine.write()
        state = {f"weights/{key}": value for key, value in net.weights(self.model).items()}
        state.update({f"best/{key}": value for key, value in self.best.items()})
        state.update(self.engine.state())
        state.update({f"dropout/{key}": v.numpy() for key, v in net.seed_states(self.model).items()})
        state.update({f"history/{key}": np.asarray(values) for key, values in self.history.items()})
        state["loop/done"] = np.array(self.done)
        state["loop/pending"] = np.array(self.pending)
        return state

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore the step at which `state` was taken."""

        def with_prefix(prefix: str) -> dict[str, np.ndarray]:
            return {key[len(prefix) :]: v for key, v in state.items() if key.startswith(prefix)}

        net.assign(self.model, with_prefix("weights/"), "the saved state")
        self.best = with_prefix("best/")
        for key, variable in net.seed_states(self.model).items():
            variable.assign(keras_private.on_device(state[f"dropout/{key}"]))
        self.engine.read()
        self.engine.restore(state)
        self.history = {key: values.tolist() for key, values in with_prefix("history/").items()}
        self.done = int(state["loop/done"])
        self.pending = [float(v) for v in state["loop/pending"]]


def score(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Mean cross-entropy (nats) and accuracy (0...1) of logits."""
    z = logits.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    log_probability = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    loss = -log_probability[np.arange(len(labels)), labels].mean()
    return float(loss), float((z.argmax(axis=1) == labels).mean())


def as_history(columns: Mapping[str, list[float]]) -> dict[str, np.ndarray]:
    """The columns of a history as arrays: `samples_seen` int64, the others float64."""
    return {
        key: np.asarray(values, dtype=np.int64 if key == "samples_seen" else np.float64)
        for key, values in columns.items()
    }
