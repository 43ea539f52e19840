"""Training a base: the network of the source task."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tlcli import store
from tlcli.errors import TlcliError, UsageError
from tlcli.models import network as net
from tlcli.models.registry import NETWORKS
from tlcli.models.registry import architecture as architecture_of
from tlcli.store.owned import OwnedFolder
from tlcli.store.records import Checkpoint, Dataset, Provenance
from tlcli.training import augment
from tlcli.training.computing import compare_computers, compare_recipes, describe_computing
from tlcli.training.engines import Engine, make_engine, shared_devices
from tlcli.training.loop import Examples, Fit, as_history
from tlcli.training.moving_statistics import describe_lag
from tlcli.training.order import require_seeds
from tlcli.training.precision import resolve_precision
from tlcli.training.recipe import Recipe
from tlcli.training.step import Step
from tlcli.training.watch import MeasuredCallback, ProgressCallback, StopCallback, Watch, rows

STATE = "state.h5"
"""The name of the state file of an unfinished training."""


_BLOCK = 100
"""Images to sum at a time."""


def channel_statistics(images: Any, sample: int = 10_000) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation per channel of pixels scaled to 0...1: float32, C each.

    Measured on at most `sample` images, evenly spaced.
    """
    pixels = net.pick_evenly(images, sample)
    sums, squares, count = np.zeros(pixels.shape[3]), np.zeros(pixels.shape[3]), 0
    for start in range(0, len(pixels), _BLOCK):  # whole numbers below 2^53: their sums are exact in float64
        block = np.asarray(pixels[start : start + _BLOCK], np.float64).reshape(-1, pixels.shape[3])
        sums, squares, count = sums + block.sum(axis=0), squares + (block**2).sum(axis=0), count + len(block)
    mean = sums / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return (mean / 255).astype(np.float32), np.maximum(std / 255, 1e-3).astype(np.float32)


def _preprocessing(name: str, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The mean and standard deviation of the training images, one float32 for each channel.

    A network that rescales pixels by itself gets pixels of 0...255.
    """
    published = architecture_of(name).pretrained
    channels = dataset.image_shape[2]
    if published is not None and published.rescales:
        return np.zeros(channels, np.float32), np.full(channels, 1 / 255, np.float32)
    return channel_statistics(dataset.train.images)


def train_base(
    dataset: Dataset,
    architecture: str,
    *,
    options: Mapping[str, Any] | None = None,
    recipe: Recipe | None = None,
    seed: int = 0,
    state_dir: Path | None = None,
    resume: bool = False,
    progress: ProgressCallback | None = None,
    stop: StopCallback | None = None,
    measured: MeasuredCallback | None = None,
    devices: int | None = None,
    record_seconds: bool = False,
    warn: Callable[[str], None] = warnings.warn,
) -> Checkpoint:
    """Train a network on a dataset from random weights.

    Args:
        dataset: A dataset with a train and a test part. The history also has the loss and accuracy of a
            validation part, if there is one.
        architecture: A registered name.
        options: The architecture's options.
        recipe: The recipe; by default Adam for ten epochs.
        seed: The seed of the weights, the order, dropout and augmentation.
        state_dir: A folder for the state of an unfinished training, saved every minute and when stopped.
        resume: Go on from the state in `state_dir`, if there is one.
        progress: Takes a `Progress`.
        stop: Takes nothing, after each chunk of steps; true stops the training.
        measured: Takes `base` and each row of the history (a `RunLogs`, say); after a resume, first the rows
            measured before.
        devices: The most devices to share each batch, evenly; by default all GPUs that JAX sees.
        record_seconds: Keep the seconds of the training, with those before an interruption, in `computed_by`.
        warn: Takes a sentence if the training is too short for the moving statistics of batch normalization.

    Raises:
        Interrupted: `stop` was true; `state_dir` holds the state.
        UsageError, TlcliError: The architecture cannot take the images, or the state is of another training.
    """
    begun = time.monotonic()
    recipe = resolve_precision(recipe or Recipe(epochs=10))
    require_seeds(seed)
    kept = None if state_dir is None else OwnedFolder(state_dir, [STATE])
    require_validation(recipe, dataset)
    require_classes(dataset)
    augment.require_size(recipe.augmentation(), dataset.image_shape)
    mean, std = _preprocessing(architecture, dataset)
    network = net.build(architecture, dataset.image_shape, dataset.classes, options, recipe.precision)
    if lag := describe_lag(network.model.layers, [len(dataset.train)], recipe):
        warn(lag)
    sharing = shared_devices(devices, min(recipe.batch_size, len(dataset.train)))
    step = Step(network.model, mean, std, trainable=network.model.trainable_variables, recipe=recipe)
    fit = _make_fit(step, make_engine(step, sharing), network, dataset, seed)
    plugin, plugin_sha256 = NETWORKS.plugin(architecture)

    def provenance() -> Provenance:
        computer = describe_computing(recipe.precision, sharing)
        seconds = {"seconds": round(time.monotonic() - begun, 3)} if record_seconds else {}
        return Provenance(computed_by=computer | seconds)

    def checkpoint(**changes: Any) -> Checkpoint:
        return Checkpoint(
            architecture=architecture,
            options=network.options,
            input_shape=network.input_shape,
            class_names=dataset.class_names,
            class_original=dataset.class_original,
            mean=mean,
            std=std,
            recipe=recipe.as_json(),
            seed=seed,
            samples_seen=fit.done * fit.batch,
            history=as_history(fit.history),
            source=dataset.source,
            notes=dataset.notes,
            train_source_index=dataset.train.source_index,
            plugin=plugin,
            plugin_sha256=plugin_sha256,
            provenance=provenance(),
            **{"weights": net.weights(network.model), **changes},
        )

    def save(state: dict[str, np.ndarray]) -> None:
        assert kept is not None
        record = checkpoint(complete=False, state=state)
        store.write(kept.file(STATE), record, parents=[dataset], force=True, follow=False)

    if resume and kept and (kept.path / STATE).exists():
        state = _matching_state(kept.path / STATE, checkpoint(), dataset)
        fit.restore(state.state)
        begun -= state.provenance.computed_by.get("seconds", 0.0)
    tell = None if measured is None else partial(measured, "base")
    watch = Watch(progress, stop, save if kept else None, tell, len(dataset.train))
    for row in rows(fit.history):
        watch.measure(row)
    fit.run(watch, architecture)
    fit.record_best(watch)
    return checkpoint(test_predictions=fit.test_logits().argmax(axis=1).astype(np.int64))


def _make_fit(step: Step, engine: Engine, network: net.Network, dataset: Dataset, seed: int) -> Fit:
    """A training of a network with the weights that the seed draws."""
    recipe = step.recipe
    fit = Fit(
        step,
        engine,
        examples(engine, dataset, recipe.mirrored),
        network.model,
        seed,
        total_samples=recipe.total_samples(len(dataset.train)),
        eval_every=recipe.eval_every or len(dataset.train),
    )
    _initialize(network, dataset, step.mean, step.std, seed)
    engine.reset()
    return fit


def _initialize(network: net.Network, dataset: Dataset, mean: np.ndarray, std: np.ndarray, seed: int) -> None:
    """Draw the weights from the seed, and fit those that the training images decide."""
    net.assign(network.model, net.initial_weights(network, seed, "base"))
    net.assign(network.model, net.adapt_weights(network.model, dataset.train.images, mean, std))
    net.reset_seed_states(network.model, seed)


def require_validation(recipe: Recipe, dataset: Dataset) -> None:
    """Require a validation part for early stopping, which chooses on it.

    Raises:
        UsageError: There is none.
    """
    if recipe.early_stopping and "validation" not in dataset.parts:
        raise UsageError(
            "`early_stopping` chooses on a validation part, and the dataset has none; make one "
            "(`validation` 0.2)."
        )


def require_classes(dataset: Dataset) -> None:
    """Require two classes, as of one there is nothing to learn.

    Raises:
        TlcliError: There is one.
    """
    if dataset.classes < 2:
        raise TlcliError(f"{dataset.provenance.name or 'The data set'} has one class; expected two or more.")


def examples(engine: Engine, dataset: Dataset, mirrored: bool = False) -> Examples:
    """A dataset's images and labels on the device; `mirrored` adds mirror images of the test part."""

    def views(images: Any) -> np.ndarray:
        return augment.both_sides(np.asarray(images[:])) if mirrored else np.asarray(images[:])

    return Examples(
        train={
            "x": engine.put(np.asarray(dataset.train.images[:])),
            "y": engine.put(dataset.train.labels),
        },
        size=len(dataset.train),
        evaluated={
            part: (engine.put(views(dataset.parts[part].images)), dataset.parts[part].labels)
            for part in ("test", "validation")
            if part in dataset.parts
        },
    )


def _matching_state(path: Path, wanted: Checkpoint, dataset: Dataset) -> Checkpoint:
    """The state file, after a check that it belongs to this training."""
    kept = store.read(path, Checkpoint)
    made = kept.provenance
    same = {
        "architecture": (kept.architecture, wanted.architecture),
        "plug-in": (f"{kept.plugin} {kept.plugin_sha256}", f"{wanted.plugin} {wanted.plugin_sha256}"),
        "seed": (kept.seed, wanted.seed),
        "data set": ([p.content_sha256 for p in made.parents], [dataset.provenance.content_sha256]),
    }
    other = [f"its {what} was {was}, now {now}" for what, (was, now) in same.items() if was != now]
    options = {**architecture_of(wanted.architecture).defaults, **kept.options}  # an older one knew fewer
    other += [f"its {what}" for what in compare_recipes(options, wanted.options)]
    other += [f"its {what}" for what in compare_recipes(kept.recipe, wanted.recipe)]
    if not other:
        difference = compare_computers(made.computed_by, wanted.provenance.computed_by)
        other = [difference] if difference else []
    if other:
        raise TlcliError(
            f"{path.name} is the state of another training: {'; '.join(other)}.\n"
            "Give the same options to resume, or remove that file (or leave out `resume`) to start anew."
        )
    return kept
