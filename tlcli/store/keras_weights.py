"""Read the arrays of weights files of Keras through the gate.

There are two layouts. The legacy one (Keras 2, `cifar100vgg.h5`; in a whole model under `model_weights`): an
attribute `layer_names` in the network's order, for each layer a group with an attribute `weight_names`, and
the arrays below it. The one of Keras 3 (`.weights.h5`): `layers/<class>_<number>/vars/0...`, layers counted
within their class; TensorFlow 2.13 says `_layer_checkpoint_dependencies` for `layers`.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tlcli.errors import TlcliError
from tlcli.store import elements
from tlcli.store.gate import Item
from tlcli.store.opening import OpenFile, open_hdf5
from tlcli.store.tree import base_name

LEGACY, KERAS_3 = "legacy Keras weights", "Keras 3 weights"
_NUMBERED = re.compile("(.+?)(?:_([0-9]+))?")
_ROOTS = ("layers", "_layer_checkpoint_dependencies")
_Stored = list[tuple[str, list[Item]]]
"""Layers by name, each with its arrays in order."""


@dataclass(frozen=True)
class Place:
    """A layer of a network that takes arrays."""

    layer: str
    kind: str
    """Its class as Keras's files name it: `conv2d`, `batch_normalization`."""
    shapes: dict[str, tuple[int, ...]]
    """By variable, in the order in which Keras stores them."""
    pytorch: str | None = None
    """The layer's name in files of PyTorch; None if the network does not say it."""
    parts: tuple[str, ...] = ("",)
    """The places where Keras 3 keeps the arrays of a layer made of layers: `/layers/conv2d`, in order."""


class WeightsFile:
    """An open weights file, whose outline has passed the gate."""

    def __init__(
        self, file: OpenFile, name: str, model: str = "", digest: Callable[[], str] | None = None
    ) -> None:
        self._file = file
        self.sha256 = digest or file.sha256
        """A function that gives the digest of the file's bytes."""
        self.model = model
        """The name of the model in a `.keras` archive."""
        self.name = name
        """Without folder, or `stdin`."""
        self._items = file.items(strict=False)  # attributes that are not read may be of any type
        for item in self._items.values():
            if item.problem:
                raise TlcliError(f"{file.name} is refused: {item.problem}.")
        legacy = self._legacy_layers()
        self.layout = KERAS_3 if legacy is None else LEGACY
        self._stored = self._keras_3_layers() if legacy is None else legacy
        if not self._stored:
            raise TlcliError(f"{file.name} holds no layers with weights.")
        self.left_out: list[str] = []
        """The layers of the file that `read` left out, by name."""

    def read(self, places: Sequence[Place], network: str, headless: bool = False) -> dict[str, np.ndarray]:
        """The arrays (float32) by `layer/variable`, after every layer's shapes have been compared.

        Args:
            places: The network's layers with weights, in its order.
            network: Its name in messages.
            headless: Accept layers beyond these in the file, its own head; they become `left_out`.

        Raises:
            TlcliError: The file is of another network (the message has the first layer that differs), or
            holds
                numbers that are not finite.
        """
        stored = self._stored if self.layout == LEGACY else self._in_order(places, network)
        for number, (place, (name, items)) in enumerate(zip(places, stored, strict=False), start=1):
            self._compare(place, name, items, f"layer {number} of {len(stored)}", network)
        self.left_out = [name.rpartition("/")[2] for name, _ in stored[len(places) :]]
        if len(stored) < len(places) or (self.left_out and not headless):
            raise self._of_another_length(len(stored), places, network)
        return {
            f"{place.layer}/{variable}": self._array(item)
            for place, (_, items) in zip(places, stored, strict=False)
            for variable, item in zip(place.shapes, items, strict=True)
        }

    def _of_another_length(self, held: int, places: Sequence[Place], network: str) -> TlcliError:
        counted = f"{self._file.name} holds {held} layers with weights; {network} has {len(places)}"
        if not self.left_out:
            lacking = ", ".join(place.layer for place in places[held:][:5])
            return TlcliError(
                f"{counted}: it lacks {lacking:.200}.\nFor weights without a head give `headless`. {ADVICE}"
            )
        surplus = ", ".join(self.left_out[:5]) + (", ..." if len(self.left_out) > 5 else "")
        return TlcliError(f"{counted}: beyond these it has {surplus:.200}.\n{ADVICE}")

    def _legacy_layers(self) -> _Stored | None:
        """The layers with weights in the file's order; None if it has another layout."""
        for root in ("", "model_weights/"):
            group = self._items.get(root.rstrip("/"))
            names = self._names(group.path, "layer_names") if group and group.kind == "group" else None
            if names is not None:
                return [layer for name in names for layer in self._legacy_layer(root, name)]
        return None

    def _names(self, path: str, attribute: str) -> list[str] | None:
        names = self._file.texts(path, attribute)
        if names is not None and len(set(names)) < len(names):
            raise TlcliError(
                f"{self._file.name}: {attribute} of {path or 'the root'!r:.80} lists a name twice."
            )
        return names

    def _legacy_layer(self, root: str, layer: str) -> _Stored:
        """A layer with arrays, or each such layer of a network within the network.

        The file lists the trainable arrays of a network within first, so that the arrays of one layer are not
        together.
        """
        path = root + layer
        if path not in self._items or self._items[path].kind != "group":
            raise TlcliError(f"{self._file.name} lists the layer {path!r:.80}, which is not there.")
        names = self._names(path, "weight_names")
        if names is None:
            raise TlcliError(f"{self._file.name}: the layer {path!r:.80} lacks the attribute 'weight_names'.")
        inner: dict[str, list[Item]] = {}
        for name in names:
            item = self._items.get(f"{path}/{name}")
            if item is None or item.kind != "dataset":
                raise TlcliError(f"{self._file.name}: {path!r:.80} lists {name!r:.80}, which is not there.")
            inner.setdefault(name.rpartition("/")[0], []).append(item)
        if len(inner) < 2:
            return [(layer, items) for items in inner.values()]
        return [(f"{layer}/{name.removeprefix(layer + '/')}", items) for name, items in inner.items()]

    def _keras_3_layers(self) -> _Stored:
        """The layers in the order of their names. Raises TlcliError for arrays elsewhere below `layers`."""
        below: dict[str, list[tuple[int, Item]]] = {}
        for item in self._items.values():
            root, *rest = item.path.split("/")
            if item.kind != "dataset" or root not in _ROOTS or "seed_generator" in rest:
                continue  # the optimizer; the random state of dropout
            if len(rest) < 3 or rest[-2] != "vars" or not re.fullmatch("[0-9]{1,3}", rest[-1]):
                raise TlcliError(
                    f"{self._file.name} holds {item.path!r:.80}, which is not an array of a layer; expected "
                    "'layers/.../vars/0'."
                )
            below.setdefault("/".join([root, *rest[:-2]]), []).append((int(rest[-1]), item))
        if not below:
            raise TlcliError(
                f"{self._file.name} is not a weights file of Keras: expected an attribute 'layer_names', or "
                "groups 'layers/.../vars'."
            )
        ordered = {path: sorted(found, key=lambda numbered: numbered[0]) for path, found in below.items()}
        return [(path, [item for _, item in found]) for path, found in sorted(ordered.items())]

    def _in_order(self, places: Sequence[Place], network: str) -> _Stored:
        """The layers of a Keras 3 file, which counts them within their class, in the network's order.

        Layers of a network within the network come before those around it, of which the head is one. Layers
        within a layer that has a place of its own, such as a `Sequential`, are found through that layer.
        """
        held = dict(self._stored)
        whole = {(place.kind, place.parts) for place in places if place.parts != ("",)}
        numbered: dict[str, set[tuple[int, int, str]]] = {}  # by class: depth, number in its network, path
        for path in held:
            for part in _parts(path):
                kind, number = _NUMBERED.fullmatch(part.rpartition("/")[2]).groups()  # type: ignore[union-attr]
                numbered.setdefault(kind, set()).add((-part.count("/"), int(number or 0), part))
                if any(kind == k and all(f"{part}{p}" in held for p in parts) for k, parts in whole):
                    break
        queues = {kind: iter(sorted(entries)) for kind, entries in numbered.items()}
        seen: Counter[str] = Counter()
        ordered: _Stored = []
        for place in places:
            found = next(queues.get(place.kind, iter(())), None)
            number, seen[place.kind] = seen[place.kind], seen[place.kind] + 1
            wanted = [f"{found[2]}{part}" for part in place.parts] if found else []
            if (
                found and wanted == [found[2]] and found[2] not in held
            ):  # a layer made of layers, such as attention
                wanted = sorted(path for path in held if path.startswith(f"{found[2]}/"))
            if not wanted or any(path not in held for path in wanted):
                path = f"{self._stored[0][0].split('/')[0]}/{place.kind}" + (f"_{number}" if number else "")
                raise TlcliError(
                    f"{self._file.name} lacks {path!r}, which would be {place.layer} of {network}.\n{ADVICE}"
                )
            ordered.append((wanted[0], [item for path in wanted for item in held.pop(path)]))
        return [*ordered, *held.items()]

    def _compare(self, place: Place, name: str, items: list[Item], which: str, network: str) -> None:
        received = [item.shape for item in items]
        if received == list(place.shapes.values()):
            return
        pairs = itertools.zip_longest(place.shapes.items(), received)
        variable, expected, found = next(
            ((p[0], p[1], s) if p else ("", None, s)) for p, s in pairs if not p or p[1] != s
        )
        raise TlcliError(
            f"{self._file.name}: {which}, {name!r:.80}, has {_shape(found)} where {network} expects "
            f"{_shape(expected)} ({place.layer}{'/' + variable if variable else ''}).\n{ADVICE}"
        )

    def _array(self, item: Item) -> np.ndarray:
        counter = not item.shape and item.dtype in ("int32", "int64")
        if item.dtype not in elements.FLOATS and not counter:
            raise TlcliError(f"{self._file.name}: {item.path!r:.100} holds {item.dtype}; expected floats.")
        with np.errstate(over="ignore"):
            array = np.asarray(self._file.load(item)).astype(np.float32)
        if not np.isfinite(array).all():
            raise TlcliError(f"{self._file.name}: {item.path!r:.100} holds NaN or infinite values.")
        return array


EXPECTED = "weights of Keras (.h5, .weights.h5, .keras), safetensors or PyTorch (.pt, .pth)"
ADVICE = "Give the very network that the weights were saved from (`arch`, `arch_option`), and its classes."


def _parts(path: str) -> list[str]:
    """The layers that an array belongs to: `layers/a/layers/b` is in `layers/a` and in itself."""
    steps = path.split("/")
    return ["/".join(steps[: end + 1]) for end in range(1, len(steps)) if steps[end - 1] in _ROOTS]


def _shape(shape: tuple[int, ...] | None) -> str:
    return "no array" if shape is None else f"the shape {shape}"


@contextlib.contextmanager
def open_weights(path: str | Path) -> Iterator[WeightsFile]:
    """Open a weights file of Keras, or stdin for `-`. Nothing in it is run, and nothing outside it read.

    Raises TlcliError: the gate refuses it, or it has neither of the two layouts.
    """
    with open_hdf5(path, expected=EXPECTED) as file:
        yield WeightsFile(file, base_name(path))
