"""Open a file of weights that others saved, of any supported kind."""

from __future__ import annotations

import contextlib
import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tlcli.errors import TlcliError
from tlcli.store import keras_weights, opening
from tlcli.store.budget import TEXT_RATIO, Budget
from tlcli.store.keras_weights import EXPECTED, WeightsFile
from tlcli.store.named_tensors import Safetensors, TensorFile, file_digest
from tlcli.store.pytorch import open_pytorch
from tlcli.store.zips import open_archive, refuse_damaged

_WEIGHTS, _CONFIG = "model.weights.h5", "config.json"


@contextlib.contextmanager
def open_weights(path: str | Path) -> Iterator[WeightsFile | TensorFile]:
    """Open weights of Keras, safetensors or PyTorch without running code in them; stdin (`-`) is of Keras.

    Raises TlcliError if the file is none of these, is damaged, or asks for something unsafe.
    """
    if str(path) == "-" or not Path(path).is_file() or _is_hdf5(Path(path)):
        with keras_weights.open_weights(path) as file:
            yield file
        return
    path = Path(path)
    budget = Budget(str(path), path.stat().st_size)
    if _is_keras_archive(path):
        with open_archive(path, budget) as archive, _unpack(archive, path, budget) as file:
            yield file
    elif Safetensors.begins(path):
        yield Safetensors(path, budget)
    else:
        with open_pytorch(path, budget) as tensors:
            yield tensors


@contextlib.contextmanager
def _unpack(archive: zipfile.ZipFile, path: Path, budget: Budget) -> Iterator[WeightsFile]:
    """Open the weights in a `.keras` archive, by way of a temporary file."""
    with tempfile.TemporaryDirectory() as folder:
        with refuse_damaged(path):
            inner = Path(archive.extract(_WEIGHTS, folder))
        budget.grow(inner.stat().st_size)
        with opening.open_hdf5(inner, expected=EXPECTED, budget=budget, called=str(path)) as file:
            yield WeightsFile(file, path.name, _model_name(archive, path, budget), lambda: file_digest(path))


def _model_name(archive: zipfile.ZipFile, path: Path, budget: Budget) -> str:
    """The model's name in the configuration, which is read as data."""
    if _CONFIG not in archive.namelist():
        return ""
    budget.take(archive.getinfo(_CONFIG).file_size * TEXT_RATIO, _CONFIG)
    with refuse_damaged(path):
        config = archive.read(_CONFIG)
    try:
        name = json.loads(config)["config"]["name"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise TlcliError(f"{path} has a damaged {_CONFIG}: expected that of a model of Keras.") from None
    return name if isinstance(name, str) else ""


def _is_keras_archive(path: Path) -> bool:
    with contextlib.suppress(Exception), zipfile.ZipFile(path) as archive:  # of many kinds, on a damaged file
        return _WEIGHTS in archive.namelist()
    return False


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(len(opening.SIGNATURE))
    return start == opening.SIGNATURE or not start
