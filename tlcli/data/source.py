"""What a source of images is, and the register of those that are built in."""

from __future__ import annotations

import importlib
import pkgutil
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.errors import TlcliError, UsageError
from tlcli.store.records import Part, Record
from tlcli.store.tree import printable

Progress = Callable[[int, int], None]
"""Called with what is done and what there is to do."""

LABEL_MODES = ("fine", "coarse")


@dataclass(frozen=True)
class SourceInfo:
    """A published set as `tlcli datasets` lists it; known without reading any data."""

    name: str
    summary: str
    train: int
    test: int
    classes: int
    image_shape: tuple[int, int, int]
    """Height, width, channels."""


@dataclass
class Source:
    """A set of images as it is published: all classes, all images.

    Labels count 0...n-1 along `class_names`; `class_numbers` are the numbers that the publisher gave the
    classes (the same 0...n-1 for most), which class expressions and `Dataset.class_original` speak of.
    """

    name: str
    train: Part
    test: Part
    class_names: list[str]
    warnings: list[str] = field(default_factory=list)
    """What a user should hear of, such as unreadable images. Complete only after `split`."""
    class_numbers: list[int] = field(default_factory=list)
    validation: Part | None = None
    """Only where the source comes with one."""
    parents: list[Record] = field(default_factory=list)
    """The tlcli files it was read from: for `store.write`."""

    def __post_init__(self) -> None:
        self.name = printable(self.name)  # a file's name may be any bytes
        self.class_numbers = self.class_numbers or list(range(len(self.class_names)))
        check_class_names(self.class_names, self.name)

    @property
    def parts(self) -> dict[str, Part]:
        """The parts there are, by name."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}


@dataclass(frozen=True)
class Request:
    """What the caller of `load_source` asks for beyond the name."""

    data_dir: Path | None = None
    image_size: tuple[int, int] | None = None
    """Height and width."""
    label_mode: str = "fine"
    download: bool = True
    progress: Progress | None = None


@dataclass(frozen=True)
class _Published:
    info: SourceInfo
    load: Callable[[Request], Source]
    options: frozenset[str]
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class _PathReader:
    accepts: Callable[[Path], bool]
    load: Callable[[Path, Request], Source]
    options: frozenset[str]


_published: dict[str, _Published] = {}
_path_readers: list[_PathReader] = []


def published(
    info: SourceInfo, *, class_names: Sequence[str], options: Sequence[str] = ()
) -> Callable[[Any], Any]:
    """Register the decorated `load(request) -> Source` under `info.name`.

    `options` names the fields of `Request` that it heeds beside the folder; the others are refused.
    """

    def register(load: Callable[[Request], Source]) -> Callable[[Request], Source]:
        _published[info.name] = _Published(info, load, frozenset(options), tuple(class_names))
        return load

    return register


def path_reader(accepts: Callable[[Path], bool], *, options: Sequence[str] = ()) -> Callable[[Any], Any]:
    """Register the decorated `load(path, request) -> Source` for the paths that `accepts` says yes to."""

    def register(load: Callable[[Path, Request], Source]) -> Callable[[Path, Request], Source]:
        _path_readers.append(_PathReader(accepts, load, frozenset(options)))
        return load

    return register


def _discover() -> None:
    """Import every module of `readers`, each of which registers itself."""
    from tlcli.data import readers

    for module in sorted(pkgutil.iter_modules(readers.__path__), key=lambda m: m.name):
        importlib.import_module(f"{readers.__name__}.{module.name}")


def sources() -> list[SourceInfo]:
    """The published sets that are built in, by name. Reads nothing."""
    _discover()
    return sorted((p.info for p in _published.values()), key=lambda info: info.name)


def published_classes(name: str) -> list[str] | None:
    """The names of a published set's classes, in its order; None when no set is called so. Reads nothing."""
    _discover()
    return list(_published[name].class_names) if name in _published else None


def load_source(
    name_or_path: str,
    *,
    data_dir: str | Path | None = None,
    image_size: int | tuple[int, int] | None = None,
    label_mode: str = "fine",
    download: bool = True,
    progress: Progress | None = None,
) -> Source:
    """Open a published set by name, or a file or folder of images by path.

    `data_dir` (default: the environment variable TLCLI_DATA_DIR) is where the publisher's files are looked
    for first. `image_size`, one side or (height, width) in pixels, is for a folder of images; `label_mode`,
    "fine" or "coarse", for cifar100. `download=False` never touches the network. A path `-` is a dataset
    file on stdin. Raises UsageError for an unknown name, TlcliError for data that cannot be used.
    """
    _discover()
    request = Request(_data_dir(data_dir), _size(image_size), label_mode, download, progress)
    if label_mode not in LABEL_MODES:
        raise UsageError(f"unknown labels {label_mode!r}: expected fine or coarse")
    if name_or_path in _published:
        entry = _published[name_or_path]
        _refuse_unused(request, entry.options, name_or_path)
        return entry.load(request)
    path = Path(name_or_path)
    if name_or_path != "-" and not path.exists():
        raise UsageError(_unknown(name_or_path))
    for reader in _path_readers:
        if reader.accepts(path):
            _refuse_unused(request, reader.options, path.name)
            return reader.load(path, request)
    raise TlcliError(
        f"{path.name} is no source of images: expected a folder with a folder of images per "
        "class, or an .npz, .mat or tlcli dataset file"
    )


def check_class_names(names: Sequence[str], source: str) -> None:
    """Raise TlcliError where two classes share a name, one has none, or one with control characters."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise TlcliError(f"{source} has two classes named {name!r:.100}: class names must differ")
        if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in name):
            raise TlcliError(f"{source} has a class named {name!r:.100}: expected no control characters")
        seen.add(name)
    if not names:
        raise TlcliError(f"{source} has no classes")
    if "" in seen:
        raise TlcliError(f"{source} has a class without a name")


def shown(name: str, longest: int = 80) -> str:
    """A name out of somebody's file as a message may have it: on one line, and not of any length."""
    text = printable(name)
    return text if len(text) <= longest else text[:longest] + "..."


def listed(names: Iterable[str], most: int = 8) -> str:
    """The first of some names, in order."""
    ranked = sorted(names)
    more = [f"and {len(ranked) - most} more"] if len(ranked) > most else []
    return ", ".join([*map(shown, ranked[:most]), *more]) or "nothing"


def class_part(images: Any, labels: np.ndarray, source_index: np.ndarray | None = None) -> Part:
    """A part with int64 labels and, unless given, the index 0...N-1."""
    if source_index is None:
        source_index = np.arange(len(labels), dtype=np.int64)
    return Part(images, np.asarray(labels, np.int64), np.asarray(source_index, np.int64))


def _data_dir(given: str | Path | None) -> Path | None:
    import os

    text = given or os.environ.get("TLCLI_DATA_DIR")
    if not text:
        return None
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise UsageError(f"the data folder {str(text)!r} does not exist: check --data-dir or TLCLI_DATA_DIR")
    return folder


def _size(image_size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if image_size is None:
        return None
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(size) != 2 or not all(1 <= side <= 4096 for side in size):
        raise UsageError(f"image size {image_size!r}: expected one or two sides from 1 to 4096 pixels")
    return int(size[0]), int(size[1])


def _refuse_unused(request: Request, options: frozenset[str], name: str) -> None:
    if request.image_size is not None and "image_size" not in options:
        raise UsageError(f"{name} has images of one size: an image size is for a folder of images only")
    if request.label_mode != "fine" and "label_mode" not in options:
        raise UsageError(f"{name} has one kind of labels: coarse labels are for cifar100 only")


def _unknown(name: str) -> str:
    from tlcli.data.classes import did_you_mean

    names = [info.name for info in sources()]
    return (
        f"no dataset and no file is called {name!r}{did_you_mean(name, names)}: "
        f"built in are {', '.join(names)}; anything else is a path"
    )
