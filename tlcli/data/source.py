"""What a source of images is, and the register of those that have a name."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.errors import TlcliError, UsageError
from tlcli.register import Register
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
class Published:
    """A published set: what is known of it, and how it is read."""

    info: SourceInfo
    load: Callable[[Request], Source]
    options: frozenset[str]
    class_names: tuple[str, ...]

    @property
    def summary(self) -> str:
        """One line for a list."""
        return self.info.summary


@dataclass(frozen=True)
class _PathReader:
    accepts: Callable[[Path], bool]
    load: Callable[[Path, Request], Source]
    options: frozenset[str]


SOURCES: Register[Published] = Register("data set", "tlcli.sources", "tlcli.data.readers")
_path_readers: list[_PathReader] = []


def source(
    name: str,
    summary: str,
    *,
    train: int,
    test: int,
    image_shape: tuple[int, int, int],
    class_names: Sequence[str],
    options: Sequence[str] = (),
) -> Callable[[Any], Any]:
    """Register a source of images: a function that gives all images and labels of a set.

    Args:
        name: What `split --dataset` takes: letters, digits, dots, dashes, underscores.
        summary: One line for `tlcli datasets`.
        train: The number of training images, for `tlcli datasets`.
        test: The number of test images.
        image_shape: Height, width, channels.
        class_names: In the order of the labels.
        options: The fields of `Request` that the function heeds beside the folder; others are refused.

    The decorated function is called as `load(request)`, where `request.data_dir` is the folder of
    `--data-dir` or None, and gives a `tlcli.data.Source`: images are uint8, N x height x width x channels,
    labels int64 along the class names.

        import numpy as np
        import tlcli
        from tlcli.data import Source, class_part

        NAMES = ["dark", "light"]

        @tlcli.source("noise", "noise", train=80, test=20, image_shape=(8, 8, 1), class_names=NAMES)
        def noise(request):
            labels = np.arange(100) % 2
            images = np.random.default_rng(0).integers(0, 128, (100, 8, 8, 1), np.uint8)
            images[labels == 1] += 127
            train, test = class_part(images[:80], labels[:80]), class_part(images[80:], labels[80:])
            return Source("noise", train, test, NAMES)

    Raises:
        UsageError: the name has an owner.
    """
    info = SourceInfo(name, summary, train, test, len(class_names), image_shape)
    return published(info, class_names=class_names, options=options)


def published(
    info: SourceInfo, *, class_names: Sequence[str], options: Sequence[str] = ()
) -> Callable[[Any], Any]:
    """Register the decorated `load(request) -> Source` under `info.name`.

    `options` names the fields of `Request` that it heeds beside the folder; the others are refused.
    """

    def register(load: Callable[[Request], Source]) -> Callable[[Request], Source]:
        SOURCES.add(info.name, Published(info, load, frozenset(options), tuple(class_names)), load)
        return load

    return register


def path_reader(accepts: Callable[[Path], bool], *, options: Sequence[str] = ()) -> Callable[[Any], Any]:
    """Register the decorated `load(path, request) -> Source` for the paths that `accepts` says yes to."""

    def register(load: Callable[[Path, Request], Source]) -> Callable[[Path, Request], Source]:
        _path_readers.append(_PathReader(accepts, load, frozenset(options)))
        return load

    return register


def sources() -> list[SourceInfo]:
    """The published sets that have a name, in the order of the names. Reads nothing."""
    return [entry.info for entry in SOURCES.values()]


def published_classes(name: str) -> list[str] | None:
    """The names of a published set's classes, in its order; None when no set is called so. Reads nothing."""
    return list(SOURCES[name].class_names) if name in SOURCES else None


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
    request = Request(_data_dir(data_dir), _size(image_size), label_mode, download, progress)
    if label_mode not in LABEL_MODES:
        raise UsageError(f"unknown labels {label_mode!r}: expected fine or coarse")
    if name_or_path in SOURCES:
        entry = SOURCES[name_or_path]
        _refuse_unused(request, entry.options, name_or_path)
        loaded = entry.load(request)
        if not isinstance(loaded, Source):
            raise TlcliError(
                f"The data set {name_or_path!r} of {SOURCES.owner(name_or_path)} gave "
                f"{type(loaded).__name__}; expected tlcli.data.Source."
            )
        return loaded
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

    names = SOURCES.all_names()
    return (
        f"no dataset and no file is called {name!r}{did_you_mean(name, names)}: "
        f"built in are {', '.join(names)}; anything else is a path"
    )
