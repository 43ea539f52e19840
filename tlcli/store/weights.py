"""Opening a file of weights that others saved, of whatever kind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tlcli.store import keras_weights, opening
from tlcli.store.budget import Budget
from tlcli.store.keras_weights import WeightsFile
from tlcli.store.named_tensors import TensorFile, open_tensors


@contextlib.contextmanager
def open_weights(path: str | Path) -> Iterator[WeightsFile | TensorFile]:
    """Open weights of Keras, safetensors or PyTorch; stdin (`-`) is one of Keras. Nothing in it is run.

    Raises TlcliError: it is none of these, damaged, or refused for what it asks for.
    """
    if str(path) != "-" and Path(path).is_file() and not _is_hdf5(Path(path)):
        with open_tensors(Path(path), Budget(str(path), Path(path).stat().st_size)) as tensors:
            yield tensors
        return
    with keras_weights.open_weights(path) as file:
        yield file


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(len(opening.SIGNATURE))
    return start == opening.SIGNATURE or not start
