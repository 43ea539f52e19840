"""Read weights that were saved as tensors with names, and files of safetensors."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tlcli.errors import TlcliError
from tlcli.store.budget import TEXT_RATIO, Budget
from tlcli.store.keras_weights import ADVICE, Place

SAFETENSORS = "safetensors"
_SUFFIXES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
"""The name of a variable in PyTorch, by its name in Keras."""
_UNUSED = ".num_batches_tracked"


class TensorFile(ABC):
    """An open file of named tensors."""

    model = ""
    """Such files do not name their model."""

    def __init__(self, name: str, layout: str, digest: Callable[[], str]) -> None:
        self.name, self.layout, self.sha256 = name, layout, digest
        self.left_out: list[str] = []
        """The tensors that `read` left out, by name."""

    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor, by name."""

    @abstractmethod
    def array(self, name: str) -> np.ndarray:
        """One tensor, as an array of floats."""

    def read(self, places: Sequence[Place], network: str, headless: bool = False) -> dict[str, np.ndarray]:
        """The arrays (float32) by `layer/variable`, in Keras's order of axes.

        Args:
            places: The network's layers with weights.
            network: Its name in messages.
            headless: Accept more tensors in the file than the places take: its own head.

        Raises:
            TlcliError: The file is of another network (the message has the first tensor that differs), or
            holds
                numbers that are not finite.
        """
        held = {name: shape for name, shape in self.shapes().items() if not name.endswith(_UNUSED)}
        found: dict[str, np.ndarray] = {}
        for place in places:
            if place.pytorch is None:
                raise TlcliError(
                    f"{network} does not say what its layers are called in PyTorch, so {self.name} cannot be "
                    "matched with it.\nGive a file that Keras wrote, or a network with such names."
                )
            for variable, shape in place.shapes.items():
                name = f"{place.pytorch}.{_SUFFIXES.get(variable, variable)}"
                if name not in held:
                    raise TlcliError(
                        f"{self.name} lacks {name!r}, which would be {place.layer}/{variable} of {network}.\n"
                        f"{ADVICE}"
                    )
                if self._axis_order(place.kind, held.pop(name), shape) is None:
                    raise TlcliError(
                        f"{self.name}: {name!r} has the shape {self.shapes()[name]} where {network} expects "
                        f"{shape} ({place.layer}/{variable}), axes in Keras's order.\n{ADVICE}"
                    )
                found[f"{place.layer}/{variable}"] = self._float32(name, place.kind, shape)
        self.left_out = list(held)
        if held and not headless:
            some = ", ".join(sorted(held)[:5]) + (", ..." if len(held) > 5 else "")
            raise TlcliError(
                f"{self.name} holds {len(held)} tensors that {network} has no place for: {some}.\n{ADVICE}"
            )
        return found

    def _float32(self, name: str, kind: str, shape: tuple[int, ...]) -> np.ndarray:
        array = self.array(name)
        if array.dtype.kind != "f":
            raise TlcliError(f"{self.name}: {name!r} holds {array.dtype}; expected floats.")
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise TlcliError(f"{self.name}: {name!r} holds NaN or infinite values.")
        axes = self._axis_order(kind, array.shape, shape)
        assert axes is not None
        return np.ascontiguousarray(_with_axes(array, kind, axes, shape))

    @staticmethod
    def _axis_order(kind: str, stored: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...] | None:
        """The order of axes that turns PyTorch's into Keras's; None if the shapes do not fit."""
        axes = {2: (1, 0), 4: (2, 3, 1, 0), 3: (2, 1, 0)}.get(len(stored), tuple(range(len(stored))))
        if kind == "depthwise_conv2d" and len(stored) == 4:  # filters x 1 x height x width
            fits = len(wanted) == 4 and stored == (wanted[2] * wanted[3], 1, *wanted[:2])
            return (2, 3, 0, 1) if fits else None
        return axes if tuple(stored[axis] for axis in axes) == wanted else None


def _with_axes(array: np.ndarray, kind: str, axes: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """`array` with its axes in Keras's order. PyTorch keeps the depthwise filters of a channel together."""
    if kind == "depthwise_conv2d" and array.ndim == 4:
        array = array.reshape(shape[2], shape[3], *shape[:2])
    return array.transpose(axes)


_FLOATS = {"F16": 2, "F32": 4, "F64": 8}
"""Bytes of a number, by its type in safetensors."""


class Safetensors(TensorFile):
    """An open file of safetensors. Raises TlcliError if it is damaged or its list is beyond the budget."""

    @staticmethod
    def begins(path: Path) -> bool:
        """Whether the first bytes of a file are those of safetensors: a length, and JSON."""
        with path.open("rb") as file:
            return file.read(9)[8:] == b"{"

    def __init__(self, path: Path, budget: Budget) -> None:
        try:
            from safetensors import SafetensorError, safe_open
        except ImportError:
            raise TlcliError(
                f"{path} holds safetensors; reading them needs a library: pip install safetensors."
            ) from None

        super().__init__(path.name, SAFETENSORS, lambda: file_digest(path))
        self._budget = budget
        with path.open("rb") as file:
            described = int.from_bytes(file.read(8), "little")
        budget.take(min(described, path.stat().st_size) * TEXT_RATIO, "the list of its tensors")
        try:
            self._file = safe_open(path, framework="numpy")
        except (SafetensorError, OSError, ValueError) as error:
            raise TlcliError(f"{path} is damaged or no safetensors file: {error}.") from None

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(self._file.get_slice(name).get_shape()) for name in self._file.keys()}  # noqa: SIM118

    def array(self, name: str) -> np.ndarray:
        stored = self._file.get_slice(name)
        kind = str(stored.get_dtype())
        if kind not in _FLOATS:
            raise TlcliError(f"{self.name}: {name!r} holds {kind}; expected F16, F32 or F64.")
        self._budget.take(_FLOATS[kind] * math.prod(stored.get_shape()), f"the tensor {name!r:.100}")
        return np.asarray(self._file.get_tensor(name))


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
