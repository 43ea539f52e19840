"""The training loop: chunks of steps, evaluations, resuming, stopping. Knows no backend and no file."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from tlcli.errors import Interrupted, TlcliError
from tlcli.models import network as net
from tlcli.training import augment
from tlcli.training.engines import Engine
from tlcli.training.order import SampleOrder, next_evaluation, rng
from tlcli.training.step import Step
from tlcli.training.watch import Watch

_CHUNK_SECONDS = 0.7
_SAVE_SECONDS = 60.0


@dataclass
class Examples:
    """What a training runs on: arrays on the device by name, and the parts it is evaluated on."""

    train: dict[str, Any]
    size: int
    evaluated: dict[str, tuple[Any, np.ndarray]]
    """By part (`test`, `validation`): inputs on the device and labels; where answers are mirrored, the inputs
    of the mirror images stand behind those of the images."""
    source_size: int = 0
    """Images of the replayed source task."""
    source_batch: int = 0
    views: int = 1
    """Versions of every image in `train`, the images themselves first; each step draws one of each."""


@dataclass
class Fit:
    """One training of one engine: where it stands and what it has measured."""

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
    """Steps."""
    pending: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    """Since the last evaluation: sum of the losses, samples right, samples."""
    best: dict[str, np.ndarray] = field(default_factory=dict)
    _measured: np.ndarray | None = None
    """Logits of the test part at the last evaluation; None where the weights have changed since."""

    def __post_init__(self) -> None:
        recipe = self.step.recipe
        self.batch = min(recipe.batch_size, self.examples.size)
        self.total = max(1, -(-self.total_samples // self.batch))
        self.sides = 2 if recipe.mirrored else 1
        self.order = SampleOrder(self.examples.size, self.seed)
        self.source_order = SampleOrder(max(1, self.examples.source_size), self.seed, "source")

    def run(self, watch: Watch, doing: str = "") -> None:
        """Train to the end, from wherever it stands.

        Raises:
            Interrupted: `watch.stop` said so; the state has been given to `watch.save`.
            TlcliError: the loss or a weight is no number any more.
        """
        chunk, saved = 8, time.monotonic()
        while self.done < self.total and not self._stopped_early():
            started, before = time.monotonic(), self.done
            point = next_evaluation(before, self.total, self.eval_every, self.batch)
            self._advance(min(before + chunk, point))
            if self.done == point:
                watch.measure(self._evaluate())
            watch.report(self.seen_before + self.done * self.batch, self.total * self.batch, doing)
            now = time.monotonic()
            steps = self.done - before
            chunk = max(1, min(4 * steps, int(steps * _CHUNK_SECONDS / max(now - started, 1e-3))))
            if watch.asked_to_stop():
                if watch.save:
                    watch.save(self.state())
                raise Interrupted(f"stopped after {self.done * self.batch:,} samples.")
            if watch.save and now - saved > _SAVE_SECONDS:
                watch.save(self.state())
                saved = time.monotonic()
        if self.best:
            net.assign(self.model, self.best)
            self._measured = None
        elif self.step.recipe.ema:
            self._swap_average()

    def record_kept(self, watch: Watch) -> None:
        """After early stopping: a last row for the weights that are kept, those of the best row before."""
        if not self.best or (waited := self._waited()) == 0:
            return
        row = {key: values[-1 - waited] for key, values in self.history.items()}
        row["samples_seen"] = self.history["samples_seen"][-1]
        for key, value in row.items():
            self.history[key].append(value)
        watch.measure(row)

    def record_solution(self) -> dict[str, float]:
        """A row of the history after the weights were solved for, which saw every training image once."""
        labels = np.asarray(self.examples.train["y"])
        loss, accuracy = score(self.predict(self.examples.train["x"]), labels)
        self.pending = [loss * self.examples.size, accuracy * self.examples.size, self.examples.size]
        self.seen_before += self.examples.size
        return self._evaluate()

    def _advance(self, stop: int) -> None:
        losses, right = self.engine.train(self.examples.train, self._plan(self.done, stop))
        if not np.isfinite(losses).all():
            steps = self.done + int(np.isfinite(losses).argmin()) + 1
            raise self._diverged("its loss is", steps)
        for loss, count in zip(losses.tolist(), right.tolist(), strict=True):
            self.pending[0] += loss * self.batch
            self.pending[1] += count
            self.pending[2] += self.batch
        self.done = stop

    def _require_finite(self) -> None:
        """Weights can be lost while the loss stays finite: a maximum or a ReLU lets no NaN through."""
        if not all(np.isfinite(v.numpy()).all() for v in self.step.averaged):
            raise self._diverged("a weight is", self.done)

    def _diverged(self, what: str, steps: int) -> TlcliError:
        less = ", or less of what the method adds to the loss" if self.step.terms else ""
        return TlcliError(
            f"the training diverged: {what} no number after {self.seen_before + steps * self.batch:,} "
            f"samples.\nTry a lower `learning_rate` (it was {self.step.recipe.rate:g}){less}."
        )

    def _plan(self, start: int, stop: int) -> dict[str, np.ndarray]:
        steps, batch = stop - start, self.batch
        plan = {
            "index": self.order.take(start * batch, stop * batch).reshape(steps, batch),
            "learning_rate": self.step.recipe.learning_rates(start, stop, self.total),
        }
        if (views := self.examples.views) > 1:
            plan["index"] += self.examples.size * self._drawn_views(start, steps, views)
        if share := self.examples.source_batch:
            plan["index_source"] = self.source_order.take(start * share, stop * share).reshape(steps, share)
        if self.step.augmentation:
            shape = tuple(self.step.model.inputs[0].shape[1:])
            drawn = [
                augment.draw(self.step.augmentation, batch, shape, rng(self.seed, "augment", number))
                for number in range(start, stop)
            ]
            plan.update({key: np.stack([d[key] for d in drawn]) for key in drawn[0]})
        if "alternating-flip" in self.step.augmentation:
            sides = rng(self.seed, "side")
            plan["flip"] = augment.alternating_flips(plan["index"], start * batch, self.examples.size, sides)
        return plan

    def _drawn_views(self, start: int, steps: int, views: int) -> np.ndarray:
        draws = [rng(self.seed, "view", start + n).integers(0, views, self.batch) for n in range(steps)]
        return np.stack(draws)

    def _evaluate(self) -> dict[str, float]:
        self._require_finite()
        if self.step.recipe.ema:
            self._swap_average()
        row: dict[str, float] = {"samples_seen": self.seen_before + self.done * self.batch}
        loss, right, seen = self.pending
        row["train_loss"], row["train_accuracy"] = loss / seen, right / seen
        for part, (_, labels) in self.examples.evaluated.items():
            logits = self.answers(part)
            row[f"{part}_loss"], row[f"{part}_accuracy"] = score(logits, labels)
            if part == "test":
                self._measured = logits
        for key, value in row.items():
            self.history.setdefault(key, []).append(value)
        self.pending = [0.0, 0.0, 0.0]
        if self.step.recipe.early_stopping and self._waited() == 0:
            self.best = net.weights(self.model)
        if self.step.recipe.ema:
            self._swap_average()
        return row

    def predict(self, x: Any) -> np.ndarray:
        """Logits of the target's head for inputs on the device: float32, N x classes."""
        return np.asarray(self.engine.outputs(x)[0])

    def answers(self, part: str) -> np.ndarray:
        """Logits of a part as the recipe has them measured: float32, N x classes."""
        x, labels = self.examples.evaluated[part]
        logits = self.predict(x)
        return logits.reshape(self.sides, len(labels), logits.shape[1]).mean(axis=0)

    def test_logits(self) -> np.ndarray:
        """Logits of the test part with the final weights, as last evaluated: float32, N x classes."""
        if self._measured is None:
            self._measured = self.answers("test")
        return self._measured

    def _waited(self) -> int:
        """Evaluations since the best validation loss, which lies at most `early_stopping` rows back."""
        losses = self.history["validation_loss"]
        recent = losses[max(self.rows_before, len(losses) - 1 - (self.step.recipe.early_stopping or 0)) :]
        return len(recent) - 1 - int(np.argmin(recent))

    def _stopped_early(self) -> bool:
        patience = self.step.recipe.early_stopping
        measured = len(self.history.get("validation_loss", [])) > self.rows_before
        return bool(patience and measured and self._waited() >= patience)

    def _swap_average(self) -> None:
        """Exchange the weights and their average (twice is nothing)."""
        average = [v for key, v in self.engine.variables().items() if key.startswith("average/")]
        for a, v in zip(average, self.step.averaged, strict=True):
            held = v.numpy()
            v.assign(a.value if isinstance(a, keras.Variable) else a)
            a.assign(held)

    def state(self) -> dict[str, np.ndarray]:
        """Everything that a resumed training needs, as arrays by name."""
        state = {f"weights/{key}": value for key, value in net.weights(self.model).items()}
        state.update({f"best/{key}": value for key, value in self.best.items()})
        state.update({key: np.asarray(v.numpy()) for key, v in self.engine.variables().items()})
        state.update({f"dropout/{key}": v.numpy() for key, v in net.seed_states(self.model).items()})
        state.update({f"history/{key}": np.asarray(values) for key, values in self.history.items()})
        state["loop/done"] = np.array(self.done)
        state["loop/pending"] = np.array(self.pending)
        return state

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on where `state` was taken."""

        def under(prefix: str) -> dict[str, np.ndarray]:
            return {key[len(prefix) :]: v for key, v in state.items() if key.startswith(prefix)}

        net.assign(self.model, under("weights/"), "the saved state")
        self.best = under("best/")
        for key, variable in self.engine.variables().items():
            variable.assign(state[key])
        for key, variable in net.seed_states(self.model).items():
            variable.assign(state[f"dropout/{key}"])
        self.history = {key: values.tolist() for key, values in under("history/").items()}
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
