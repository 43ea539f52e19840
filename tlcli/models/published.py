"""Find the weights that Keras publishes for its applications: the file, its place and its checksum."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.errors import TlcliError, UsageError
from tlcli.models.zoo.applications import PREFIX, has_linear_top

_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


@dataclass(frozen=True)
class PublishedWeights:
    """A file of weights: its name, its address, and its MD5 or SHA-256 if Keras has one."""

    name: str
    url: str
    digest: str


class _DownloadRequest(Exception):
    """Carries the download that Keras was about to begin."""


def published_file(architecture: str, head: bool) -> PublishedWeights:
    """The file that Keras would load for a network, with its ImageNet head or without.

    Raises:
        UsageError: The network is not one of Keras Applications, or its published head is not a linear
            layer on its pooled output.
    """
    if not architecture.startswith(PREFIX):
        raise UsageError(
            f"`pretrained` imagenet: weights are published by Keras for the networks {PREFIX}..., not for "
            f"{architecture}; name a file of weights instead."
        )
    if head and not has_linear_top(architecture):
        raise UsageError(
            f"{architecture}: the published head has hidden layers, which a linear head on the pooled output "
            "cannot be given. Import it with `headless`."
        )
    import keras
    from keras.src.utils import file_utils

    def ask(fname: str, origin: str, *_: Any, file_hash: str | None = None, **__: Any) -> str:
        raise _DownloadRequest(PublishedWeights(fname, origin, file_hash or ""))

    before, file_utils.get_file = file_utils.get_file, ask
    try:
        make = getattr(keras.applications, architecture.removeprefix(PREFIX))
        make(include_top=head, weights="imagenet", **({} if head else {"pooling": "avg"}))
    except _DownloadRequest as request:
        found: PublishedWeights = request.args[0]
        return found
    finally:
        file_utils.get_file = before
    raise TlcliError(f"This version of Keras does not say where the weights of {architecture} are.")


def find(file: PublishedWeights, folder: Path | None) -> Path:
    """The path of the file: in the user's folder, else in Keras's cache, else downloaded there by Keras.

    Raises:
        TlcliError: The folder lacks the file, the download fails, or the checksum is another.
    """
    if folder is not None:
        path = folder / file.name
        if not path.is_file():
            raise TlcliError(f"`data_dir`: {folder} holds no {file.name}; expected the file from {file.url}.")
    else:
        home = os.environ.get("KERAS_HOME")
        path = (Path(home) if home else Path.home() / ".keras") / "models" / file.name
        if not path.is_file():
            _download(file)
    if file.digest and _digest(path, len(file.digest)) != file.digest:
        raise TlcliError(
            f"{path} is not the file that Keras published: its checksum is another.\n"
            f"Download it again from {file.url}."
        )
    return path


def correct(architecture: str, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Correct published weights for the network that is built with random weights.

    With `weights="imagenet"` Keras divides the input of EfficientNet once more, by the root of ImageNet's
    deviation. The correction puts this into the variance that normalizes the input.
    """
    key = "normalization/variance"
    if architecture.startswith(f"{PREFIX}EfficientNetB") and key in weights:
        return {**weights, key: weights[key] * _DEVIATION.reshape(weights[key].shape)}
    return dict(weights)


def _download(file: PublishedWeights) -> None:
    from keras.utils import get_file

    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras shows its progress on stdout
            get_file(file.name, file.url, cache_subdir="models", file_hash=file.digest or None)
    except Exception as error:
        raise TlcliError(
            f"{file.name} could not be downloaded ({str(error).splitlines()[0]:.200}).\n"
            f"Download {file.url} elsewhere, and name its folder with `data_dir`."
        ) from None


def _digest(path: Path, length: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5" if length == 32 else "sha256").hexdigest()
