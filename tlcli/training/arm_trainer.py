"""Train arms of one shape with one compiled network: each run assigns weights and traces nothing again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from tlcli.models import graph, keras_private
from tlcli.models import network as net
from tlcli.models.heads import HEAD, with_head
from tlcli.store.records import Checkpoint, Dataset
from tlcli.training import augment
from tlcli.training.arms import Arm
from tlcli.training.engines import Engine, make_engine
from tlcli.training.features import FeatureStore, FrozenLayers
from tlcli.training.forgetting import SourceAccuracy, SourceTask
from tlcli.training.inference import Inference
from tlcli.training.loop import Examples, Fit
from tlcli.training.methods import Context, Phase
from tlcli.training.recipe import Recipe
from tlcli.training.solved import SOLVERS, Problem
from tlcli.training.step import Step
from tlcli.training.watch import Watch

SOURCE_HEAD = "source_head"
FEATURE_BYTES = 6 << 30
"""The most bytes of activations of a dataset to store; larger ones are computed anew in every step."""


@dataclass
class _Stage:
    """One phase, compiled."""

    phase: Phase
    cut: graph.Cut
    step: Step
    engine: Engine
    below: FrozenLayers | None
    """The layers below the cut, which run once over the data."""
    trainable_parameters: int


@dataclass
class Outcome:
    """The measurements of one run of an arm; the weights stay in the trainer's network."""

    history: dict[str, list[float]]
    logits: np.ndarray
    """float32, N x classes: the logits of the test part."""
    train_accuracy: float
    """Accuracy in inference mode, on at most 2,000 of the training images, without augmentation."""
    chosen: dict[str, Any] = field(default_factory=dict)
    """Values chosen on the training images, by the solver that chose them."""


class ArmTrainer:
    """Trains arms of one shape: the same phases and number of classes, whatever layers are copied.

    If a phase adds terms to the loss, or keeps batch normalization of the copied layers, then these are part
    of the shape.
    """

    def __init__(
        self,
        base: Checkpoint,
        classes: int,
        arm: Arm,
        recipe: Recipe,
        *,
        images: int,
        moving_statistics: bool = False,
        source_head: bool = False,
    ) -> None:
        self.base, self.recipe = base, recipe
        self.images, self.moving_statistics = images, moving_statistics
        options = with_head(base.options, dict(arm.head))
        self.network = net.build(base.architecture, base.input_shape, classes, options, recipe.precision)
        self.model = self.network.model
        self.copied = tuple(self.network.groups[: arm.copy])
        terms = [term for phase in arm.phases for term in phase.terms]
        self.needs_teacher = any(term.needs_teacher for term in terms)
        self.source_share = max((term.source_share for term in terms), default=0.0)
        self.trains_source_head = any(term.needs_source_head for term in terms)
        if self.trains_source_head or source_head:
            self.model = self._with_source_head()
        self._dropouts = {
            layer: layer.rate for layer in self.model.layers if isinstance(layer, keras.layers.Dropout)
        }
        own = {layer.name for layer in self.network.model.layers}
        self.source_layers = [layer for layer in self.model.layers if layer.name not in own]
        self._stages = [self._compile(phase) for phase in arm.phases]
        self._asked: Inference | None = None

    @property
    def cut_layers(self) -> set[str | None]:
        """The layers whose activations its phases store; None for a phase that takes the images."""
        return {stage.cut.layer for stage in self._stages}

    @property
    def parameters(self) -> int:
        return net.counts(self.network.model)[0]

    @property
    def trainable_parameters(self) -> int:
        """The number of parameters that the widest phase changes."""
        return max(stage.trainable_parameters for stage in self._stages)

    def run(
        self,
        arm: Arm,
        dataset: Dataset,
        seed: int,
        watch: Watch,
        features: FeatureStore,
        source_data: Dataset | None = None,
    ) -> Outcome:
        """Train an arm of this shape from the base (or from scratch) with one seed."""
        self._start(self.network.groups[: arm.copy], seed, dataset)
        history: dict[str, list[float]] = {}
        chosen: dict[str, Any] = {}
        seen = trained = 0
        for stage, phase in zip(self._stages, arm.phases, strict=True):
            # A solved head takes no images from the stream, so that all arms see the same ones afterwards.
            fit = self._fit(stage, phase, dataset, seed + 1_000_003 * trained, features, source_data)
            fit.history, fit.seen_before = history, seen
            fit.rows_before = len(history.get("samples_seen", []))
            if phase.solve:
                chosen[phase.solve] = self._solve(phase.solve, fit, dataset, seed)
                watch.measure(fit.record_solution())
            else:
                fit.run(watch)
                trained += 1
            history, seen = fit.history, fit.seen_before + fit.done * fit.batch
        fit.record_best(watch)
        return Outcome(history, fit.test_logits(), self._train_accuracy(fit, dataset), chosen)

    def _solve(self, how: str, fit: Fit, dataset: Dataset, seed: int) -> dict[str, Any]:
        """Solve for the linear head and assign it; returns the values that the solver chose."""
        n = len(dataset.train)
        x = np.asarray(fit.examples.train["x"]).reshape(fit.examples.views, n, -1)
        validation = None
        if "validation" in fit.examples.evaluated:
            held, labels = fit.examples.evaluated["validation"]
            sides = np.asarray(held).reshape(fit.sides, len(labels), -1)
            validation = (
                sides.mean(axis=0),
                labels,
            )  # mean logits of a linear head are those of the mean features
        problem = Problem(x, dataset.train.labels, dataset.classes, seed, validation)
        found = SOLVERS[how](problem)
        weights = {f"{HEAD}/kernel": found.kernel, f"{HEAD}/bias": found.bias}
        net.assign(self.network.model, weights, "the solved head")
        fit.engine.read()
        return found.chosen

    def weights(self) -> dict[str, np.ndarray]:
        """The weights after the last run, without the source head."""
        return net.weights(self.network.model)

    def measure_source(self, task: SourceTask) -> SourceAccuracy:
        """Measure the source task with the network of the last run."""
        if self._asked is None:
            self._asked = task.inference(self.model, SOURCE_HEAD)
        return task.measure(self._asked)

    def _with_source_head(self) -> keras.Model:
        """The network with the base's head beside its own, and the layers between the two if the heads read
        different features."""
        features = self.network.features(self.base.options)
        with keras_private.initialize_with_numpy():
            head = keras.layers.Dense(len(self.base.class_names), name=SOURCE_HEAD)(features)
        return keras.Model(self.network.model.inputs, [self.network.model.outputs[0], head])

    def _start(self, copied: list[tuple[str, ...]], seed: int, dataset: Dataset) -> None:
        base, model = self.base, self.network.model
        values = net.initial_weights(self.network, seed, "run")
        values.update(net.adapt_weights(model, dataset.train.images, base.mean, base.std))
        values.update({k: v for k, v in base.weights.items() if net.in_groups(copied, k)})
        net.assign(model, values, "the base")
        for layer in self.source_layers:
            name = HEAD if layer.name == SOURCE_HEAD else layer.name
            own = {k.split("/", 1)[1]: v for k, v in base.weights.items() if k.startswith(f"{name}/")}
            net.assign(self.model, {f"{layer.name}/{variable}": v for variable, v in own.items()}, "the base")
        net.reset_seed_states(self.model, seed)

    def _set_frozen(self, phase: Phase) -> None:
        """Freeze layers: they do not learn and run in inference mode, whether or not their outputs are
        stored. Only their batch normalization may go on."""
        silent = graph.frozen_dropouts(self.network.model, self.network.groups[: phase.frozen])
        for layer, rate in self._dropouts.items():
            layer.rate = 0.0 if layer.name in silent else rate
        for number, group in enumerate(self.network.groups):
            for name in group:
                layer = self.model.get_layer(name)
                normalizes = isinstance(layer, keras.layers.BatchNormalization)
                kept = normalizes and phase.frozen_statistics and number < len(self.copied)
                learns = number >= phase.frozen and not kept
                layer.trainable = learns or (normalizes and self.moving_statistics)
        for layer in self.source_layers:
            layer.trainable = self._trains_source_layers(phase)

    def _trains_source_layers(self, phase: Phase) -> bool:
        return self.trains_source_head and bool(phase.terms)

    def _compile(self, phase: Phase) -> _Stage:
        frozen = self.network.groups[: phase.frozen]
        self._set_frozen(phase)
        trainable = [
            v
            for group in self.network.groups[phase.frozen :]
            for name in group
            for v in self.model.get_layer(name).trainable_variables
        ]
        if self._trains_source_layers(phase):
            trainable += [v for layer in self.source_layers for v in layer.trainable_variables]
        return self._stage(phase, self._choose_cut(phase, frozen), trainable)

    def _choose_cut(self, phase: Phase, frozen: list[tuple[str, ...]]) -> graph.Cut:
        """Cut behind the frozen layers if their activations can be stored: not if every step augments images
        anew or statistics move, nor if they do not fit into memory."""
        model = self.model if self._trains_source_layers(phase) else self.network.model
        if phase.solve:
            return graph.cut(model, frozen)
        whole = graph.Cut(None, model, None)
        moving = self.moving_statistics and any(len(group) > 1 for group in frozen)
        anew = self.recipe.augment and phase.augment and not phase.views
        if not frozen or anew or moving:
            return whole
        cut = graph.cut(model, frozen)
        images = self.images * (1 + phase.views)
        if cut.below is None or 4 * images * int(np.prod(cut.below.output.shape[1:])) > FEATURE_BYTES:
            return whole
        return cut

    def _stage(self, phase: Phase, cut: graph.Cut, trainable: list[Any]) -> _Stage:
        base, recipe = self.base, self.recipe
        if cut.below is not None or not phase.augment:
            recipe = dataclasses.replace(recipe, augment=())
        if phase.solve:
            # Without steps there is nothing to average or augment.
            recipe = Recipe(samples=1, batch_size=recipe.batch_size, mirrored=recipe.mirrored)
        context = Context(base, self.network, trainable, self.copied)
        step = Step(
            cut.above,
            base.mean,
            base.std,
            base.channel_order,
            trainable=trainable,
            recipe=recipe,
            terms=[factory.term(context) for factory in phase.terms],
            rate_scales=self._rate_scales(phase, trainable),
        )
        below = FrozenLayers(cut.below, base) if cut.below is not None else None
        count = sum(int(np.prod(v.shape)) for v in trainable)
        return _Stage(phase, cut, step, make_engine(step), below, count)

    def _rate_scales(self, phase: Phase, trainable: list[Any]) -> dict[str, float]:
        if phase.rate_decay == 1:
            return {}
        below = self.network.below_head
        layer_of = {name: n for n, group in enumerate(self.network.groups) for name in group}
        places = net.variables(self.network.model)
        owner = {v.path: layer_of[key.split("/", 1)[0]] for key, v in places.items()}
        return {v.path: phase.rate_decay ** (below - owner.get(v.path, below)) for v in trainable}

    def _fit(
        self,
        stage: _Stage,
        phase: Phase,
        dataset: Dataset,
        seed: int,
        features: FeatureStore,
        source_data: Dataset | None,
    ) -> Fit:
        """The training of a phase, which may differ from the compiled one in rate and length."""
        self._set_frozen(phase)
        rate = self.recipe.rate * phase.rate
        stage.step.recipe = dataclasses.replace(stage.step.recipe, learning_rate=rate)
        stage.engine.reset()
        examples = self._examples(stage, dataset, seed, features, source_data)
        return Fit(
            stage.step,
            stage.engine,
            examples,
            self.model,
            seed,
            total_samples=round(self.recipe.total_samples(len(dataset.train)) * phase.share),
            eval_every=self.recipe.eval_every or len(dataset.train),
        )

    def _examples(
        self, stage: _Stage, dataset: Dataset, seed: int, features: FeatureStore, source_data: Dataset | None
    ) -> Examples:
        engine = stage.engine
        inputs = features.inputs(dataset, stage.below, engine)
        train = {"x": inputs["train"], "y": engine.put(dataset.train.labels)}
        if self.needs_teacher and stage.phase.terms:
            train["teacher"] = engine.put(features.teacher(self.base, dataset))
        views = 1
        if stage.phase.views and stage.below is not None:
            kept = [inputs["train"], *self._views(stage, dataset, seed)]
            views = len(kept)
            train = {key: ops.concatenate([value] * views) for key, value in train.items()}
            train["x"] = ops.concatenate(kept)
        batch = min(self.recipe.batch_size, len(dataset.train))
        source_batch = 0
        if self.source_share and stage.phase.terms:
            assert source_data is not None
            source_inputs = features.inputs(source_data, stage.below, engine)
            train |= {"x_source": source_inputs["train"], "y_source": engine.put(source_data.train.labels)}
            source_batch = max(1, round(self.source_share * batch))
        return Examples(
            train=train,
            size=len(dataset.train),
            evaluated={
                part: (inputs[part], dataset.parts[part].labels)
                for part in ("test", "validation")
                if part in dataset.parts
            },
            source_size=len(source_data.train) if source_data else 0,
            source_batch=source_batch,
            views=views,
        )

    def _views(self, stage: _Stage, dataset: Dataset, seed: int) -> Iterator[Any]:
        """The outputs of the frozen layers for augmented views of the training images, view by view."""
        assert stage.below is not None
        base = self.base
        grey = [v if base.channel_order == "rgb" else v[::-1] for v in (base.mean, base.std)]
        images, augmentation = dataset.train.images, self.recipe.augmentation()
        for number in range(stage.phase.views):
            blocks = augment.view(images, augmentation, number, seed, *grey)
            yield ops.concatenate([stage.below.outputs(stage.engine.put(block)) for block in blocks])

    def _train_accuracy(self, fit: Fit, dataset: Dataset, sample: int = 2_000) -> float:
        logits = fit.predict(net.pick_evenly(fit.examples.train["x"][: len(dataset.train)], sample))
        labels = net.pick_evenly(dataset.train.labels, sample)
        return float((logits.argmax(axis=1) == labels).mean())
