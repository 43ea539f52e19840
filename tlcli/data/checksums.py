"""Checksums of the files of published sets, because idx files of several sets have the same names."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tlcli.data.source import list_names, show
from tlcli.errors import TlcliError

# SHA-256 of the unpacked files. MNIST: of the files whose gzipped form has the publisher's checksum.
# Fashion-MNIST: of the files that Debian packs (dataset-fashion-mnist); the labels have the checksums of
# those in the publisher's repository (zalandoresearch/fashion-mnist, data/fashion).
_CONTENT = {
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db": ("mnist", "train-images-idx3-ubyte"),
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5": ("mnist", "train-labels-idx1-ubyte"),
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7": ("mnist", "t10k-images-idx3-ubyte"),
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2": ("mnist", "t10k-labels-idx1-ubyte"),
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888": (
        "fashion-mnist",
        "train-images-idx3-ubyte",
    ),
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b": (
        "fashion-mnist",
        "t10k-images-idx3-ubyte",
    ),
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9": (
        "fashion-mnist",
        "train-labels-idx1-ubyte",
    ),
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34": (
        "fashion-mnist",
        "t10k-labels-idx1-ubyte",
    ),
}

# MD5 of the gzipped files as their publishers give them out, after torchvision/datasets/mnist.py. EMNIST is
# published as one archive, so that its files are known by their names alone.
_GZIPPED = {
    "f68b3c2dcbeaaa9fbdd348bbdeb94873": ("mnist", "train-images-idx3-ubyte"),
    "d53e105ee54ea40749a09fcbcd1e9432": ("mnist", "train-labels-idx1-ubyte"),
    "9fb629c4189551a2d022fa330f9573f3": ("mnist", "t10k-images-idx3-ubyte"),
    "ec29112dd5afa0611ce80d1b7f02629c": ("mnist", "t10k-labels-idx1-ubyte"),
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d": ("fashion-mnist", "train-images-idx3-ubyte"),
    "25c81989df183df01b3e8a0aad5dffbe": ("fashion-mnist", "train-labels-idx1-ubyte"),
    "bef4ecab320f06d8554ea6380940ec79": ("fashion-mnist", "t10k-images-idx3-ubyte"),
    "bb300cfdad3c16e7a12a480ee83cd310": ("fashion-mnist", "t10k-labels-idx1-ubyte"),
    "bdb82020997e1d708af4cf47b453dcf7": ("kmnist", "train-images-idx3-ubyte"),
    "e144d726b3acfaa3e44228e80efcd344": ("kmnist", "train-labels-idx1-ubyte"),
    "5c965bf0a639b31b8f53240b1b52f4d7": ("kmnist", "t10k-images-idx3-ubyte"),
    "7320c461ea6c1c855c0b718fb2a4b134": ("kmnist", "t10k-labels-idx1-ubyte"),
    "ed72d4157d28c017586c42bc6afe6370": ("qmnist", "qmnist-train-images-idx3-ubyte"),
    "1394631089c404de565df7b7aeaf9412": ("qmnist", "qmnist-test-images-idx3-ubyte"),
}

_NAMES = {
    "fashion": "fashion-mnist",
    "kmnist": "kmnist",
    "kuzushiji": "kmnist",
    "emnist": "emnist",
    "qmnist": "qmnist",
    "notmnist": "notmnist",
}
"""The set in a folder, by the folder's name."""
_SAY_NOTHING = {"raw", "gzip", "processed"}


def check_set(
    wanted: str, folder: Path, arrays: Mapping[str, np.ndarray], files: Mapping[str, Path]
) -> tuple[str, str]:
    """The set that the files belong to, if another, and a warning.

    `arrays` are those of the four idx files, by file name; `files` are the paths of those that are separate
    files. The answer is ("", "") for the files of the wanted set, (other set, "") for those of another,
    and ("", warning) if the checksums are unknown.
    """
    found = {name: _identify(array, files.get(name)) for name, array in arrays.items()}
    sets = {known[0] for known in found.values() if known}
    if other := sorted(sets - {wanted}):
        return other[0], ""
    if not sets and (named := _set_of_folder(folder)) not in ("", wanted):
        return named, ""
    changed = [
        name for name, known in found.items() if known is None and _is_known(wanted, name, files.get(name))
    ]
    if changed:
        return "", (
            f"{list_names(changed)} in {show(folder.name or str(folder))} are not the files that the "
            f"publisher of {wanted} gives out: their checksums are unknown."
        )
    return "", ""


def refuse_other(wanted: str, folder: Path, other: str, built_in: bool) -> TlcliError:
    """The error about a folder with the files of another set."""
    name = show(folder.name or str(folder.resolve().name))
    instead = (
        f"name the data set {other}"
        if built_in
        else "name its file of the training images, and that of the test images with `test_dataset`"
    )
    return TlcliError(
        f"The folder {name!r} holds the files of {other}, which have the names of {wanted}'s: {instead}, "
        f"or give the folder of {wanted} with `data_dir`."
    )


def _identify(array: np.ndarray, file: Path | None) -> tuple[str, str] | None:
    if array.dtype == np.uint8:
        digest = hashlib.sha256(struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape))
        digest.update(np.ascontiguousarray(array).data)
        if known := _CONTENT.get(digest.hexdigest()):
            return known
    if file is None or not file.name.endswith(".gz"):
        return None
    with open(file, "rb") as opened:
        return _GZIPPED.get(
            hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        )


def _is_known(wanted: str, name: str, file: Path | None) -> bool:
    """Whether the checksums of the set's files are known."""
    return (wanted, name) in _CONTENT.values() or (
        file is not None and file.name.endswith(".gz") and (wanted, name) in _GZIPPED.values()
    )


def _set_of_folder(folder: Path) -> str:
    """The set that a folder's name, or that of the folder above `raw`, says; or empty."""
    resolved = folder.resolve()
    name = (resolved.parent if resolved.name.lower() in _SAY_NOTHING else resolved).name.lower()
    return next((known for word, known in _NAMES.items() if word in name), "")
