"""Import Keras to build networks and copy their weights: on arrays of numpy, without TensorFlow and JAX."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, cast

from tlcli.environment import skip_extras


def import_keras_to_build() -> None:
    """Import Keras with its backend for numpy, in a process that computes no network.

    This takes a quarter of the processor time that Keras takes with TensorFlow. The backend borrows
    convolutions and Fourier transforms from JAX. Shapes, which are all that building a network needs, do
    without them, so the import finds an empty module in JAX's place, whether JAX is installed or not.
    """
    os.environ["KERAS_BACKEND"] = "numpy"
    cast("dict[str, Any]", sys.modules)["tensorflow"] = None  # Keras asks whether it is there
    with skip_extras(), _empty_modules("jax", "keras.src.backend.jax"):
        import keras  # noqa: F401


@contextmanager
def _empty_modules(*names: str) -> Iterator[None]:
    """Within the block, importing a module of these names, or one below it, gives an `_Empty` module."""
    finder = _Finder(names)
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if finder.is_meant(name)}
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in list(sys.modules):
            if finder.is_meant(name):
                del sys.modules[name]
        sys.modules.update(hidden)


class _Empty(ModuleType):
    """A module that has every name, each a function that refuses to be called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*_: Any, **__: Any) -> Any:
            raise NotImplementedError(
                f"{self.__name__}.{name} is not there in a command that only builds networks"
            )

        return refuse


class _Finder(MetaPathFinder, Loader):
    """Finds an `_Empty` module for some names, and for all names below them."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def is_meant(self, name: str) -> bool:
        return any(name == own or name.startswith(f"{own}.") for own in self._names)

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if self.is_meant(fullname) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Empty(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: an empty module has no code."""
