"""Outputs of frozen layers, computed once, from the outputs of a shallower cut if possible."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import partial
from typing import Any

import keras
import numpy as np

from tlcli.models import graph
from tlcli.store.records import Checkpoint, Dataset
from tlcli.training.augment import both_sides
from tlcli.training.engines import Engine
from tlcli.training.inference import Inference, block_size
from tlcli.training.parallel import TRACING


class FrozenLayers:
    """The layers of a network below a cut, which run once over the data, from the images or from the stored
    outputs of a shallower cut. Both use the same batches and give the same bits, if the outputs of a layer do
    not depend on what else one call computes.
    """

    def __init__(self, model: keras.Model, base: Checkpoint) -> None:
        self._model, self._base = model, base
        self._whole = Inference(model, base.mean, base.std, base.channel_order)
        self._from: dict[str | None, Inference] = {None: self._whole}
        self.layers = graph.layers_on_every_path(model)
        """The layers on every path, from the cut down to the first."""

    @property
    def cut(self) -> str:
        """The layer at the cut."""
        return self.layers[0]

    def outputs(self, x: Any, behind: str | None = None) -> Any:
        """The activations at the cut, from images or from the activations of a layer on every path."""
        if behind == self.cut:
            return x
        base = self._base
        if behind not in self._from:
            with TRACING:
                model = keras.Model(self._model.get_layer(behind).output, self._model.output, name="between")
                self._from[behind] = Inference(
                    model, base.mean, base.std, base.channel_order, largest=self._whole.largest
                )
        return self._from[behind].outputs(x)[0]


class FeatureStore:
    """Images on the device, and the outputs of frozen layers, computed once per part and cut.

    Their content identifies parts, so that targets of several sizes share one test part. Runs in several
    threads share one store. A thread that needs what another is computing waits.

    Args:
        mirrored: Add the mirror images of every part except the training part, behind its images.
    """

    def __init__(self, mirrored: bool = False) -> None:
        self._mirrored = mirrored
        self._kept: dict[tuple[str, str | None], Any] = {}
        self._digests: dict[int, dict[str, str]] = {}
        self._teachers: dict[int, np.ndarray] = {}
        self._wanted: dict[int, tuple[set[str], set[str | None]]] = {}
        self._lock = threading.Lock()
        self._locks: dict[Hashable, threading.Lock] = {}

    def inputs(self, dataset: Dataset, frozen: FrozenLayers | None, engine: Engine) -> dict[str, Any]:
        """The images of each part, or the activations at the cut of the frozen layers."""

        def compute(part: str, digest: str) -> Any:
            layer, kept = self._nearest(digest, frozen.layers) if frozen else (None, None)
            if frozen and kept is None:
                return engine.put(np.concatenate(list(self._stream(dataset, part, frozen, engine))))
            x = engine.put(self._images(dataset, part)) if kept is None else kept
            return frozen.outputs(x, layer) if frozen else x

        cut = frozen.cut if frozen else None
        found = {
            part: self._compute_once(self._kept, (digest, cut), partial(compute, part, digest))
            for part, digest in self._parts(dataset).items()
        }
        self._drop()
        return found

    def _stream(
        self, dataset: Dataset, part: str, frozen: FrozenLayers, engine: Engine
    ) -> Iterator[np.ndarray]:
        """The activations at the cut, one block of images at a time."""
        images = dataset.parts[part].images
        block = block_size(images)
        for mirrored in (False, True) if self._is_mirrored(part) else (False,):
            for start in range(0, len(images), block):
                some = np.asarray(images[start : start + block])
                some = np.ascontiguousarray(some[:, :, ::-1]) if mirrored else some
                yield np.asarray(frozen.outputs(engine.put(some)))

    def _is_mirrored(self, part: str) -> bool:
        return self._mirrored and part != "train"

    def _images(self, dataset: Dataset, part: str) -> np.ndarray:
        images = np.asarray(dataset.parts[part].images[:])
        return both_sides(images) if self._is_mirrored(part) else images

    def keep_for(self, worker: int, datasets: Iterable[Dataset | None], layers: set[str | None]) -> None:
        """Note what a worker needs from now on: images of these datasets and their activations at these cuts.

        Datasets that no worker needs are dropped. Other activations stay until those at the new cuts, which
        may start from them, are computed."""
        parts = {digest for d in datasets if d is not None for digest in self._parts(d).values()}
        with self._lock:
            self._wanted[worker] = parts, {None, *layers}
            needed = set().union(*(digests for digests, _ in self._wanted.values()))
            for key in [key for key in self._kept if key[0] not in needed]:
                del self._kept[key]

    def forget(self, datasets: Iterable[Dataset]) -> None:
        """Forget datasets that will be deleted, because their identity is the key."""
        for dataset in datasets:
            self._digests.pop(id(dataset), None)
            self._teachers.pop(id(dataset), None)

    def teacher(self, base: Checkpoint, dataset: Dataset) -> np.ndarray:
        """The base's own logits of the training images."""

        def compute() -> np.ndarray:
            from tlcli.training.embedding import rebuild

            with TRACING:
                infer = Inference(rebuild(base).model, base.mean, base.std, base.channel_order)
            return infer(dataset.train.images)[0]

        return self._compute_once(self._teachers, id(dataset), compute)

    def _nearest(self, digest: str, layers: Iterable[str]) -> tuple[str | None, Any]:
        """The first of these layers whose activations of a part are stored, and the activations."""
        with self._lock:
            for layer in layers:
                if (digest, layer) in self._kept:
                    return layer, self._kept[digest, layer]
        return None, None

    def _drop(self) -> None:
        """Drop images and activations that no worker needs."""
        with self._lock:
            for key in list(self._kept):
                if not any(key[0] in digests and key[1] in cuts for digests, cuts in self._wanted.values()):
                    del self._kept[key]

    def _parts(self, dataset: Dataset) -> dict[str, str]:
        def compute() -> dict[str, str]:
            return {name: self._digest(dataset, name) for name in dataset.parts}

        return self._compute_once(self._digests, id(dataset), compute)

    def _digest(self, dataset: Dataset, part: str) -> str:
        images = dataset.parts[part].images
        known = getattr(images, "sha256", "")  # of those that stay in their file
        digest = hashlib.sha256(f"{images.shape} {self._is_mirrored(part)} {known}".encode())
        if known:
            return digest.hexdigest()
        block = block_size(images)
        for start in range(0, len(images), block):
            digest.update(np.ascontiguousarray(images[start : start + block]).data)
        return digest.hexdigest()

    def _compute_once(self, table: dict[Any, Any], key: Hashable, compute: Callable[[], Any]) -> Any:
        with self._lock:
            lock = self._locks.setdefault((id(table), key), threading.Lock())
        with lock:
            if key not in table:
                value = compute()
                with self._lock:  # other threads may be reading the table
                    table[key] = value
            return table[key]
