"""Sources of images, and the register of those with a name."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.data.fitting import Fit
from tlcli.data.images import take
from tlcli.data.sampling import TEST_SHARE, hold_out
from tlcli.errors import TlcliError, UsageError
from tlcli.register import Register
from tlcli.store.records import Part, Record
from tlcli.store.tree import printable
from tlcli.text import short_repr

ReportCounts = Callable[[int, int], None]
"""A function that takes the numbers done and to do."""

LABEL_MODES = ("fine", "coarse")


@dataclass(frozen=True)
class SourceInfo:
    """A published set in the list of `tlcli datasets`, known without reading data."""

    name: str
    summary: str
    train: int
    test: int
    classes: int
    image_shape: tuple[int, int, int]
    """Height, width, channels."""


@dataclass
class Source:
    """A published set of images: all classes, all images.

    Labels are 0...n-1 in the order of `class_names`. `class_numbers` are the publisher's numbers of the
    classes (0...n-1 for most sets), which class expressions and `Dataset.class_original` use.
    """

    name: str
    train: Part
    test: Part
    class_names: list[str]
    warnings: list[str] = field(default_factory=list)
    """Warnings that bear on the meaning of a result, such as unreadable images; complete after `split`."""
    class_numbers: list[int] = field(default_factory=list)
    validation: Part | None = None
    """The validation part, if the source has one."""
    parents: list[Record] = field(default_factory=list)
    """The tlcli files that it was read from, for `store.write`."""
    notes: list[str] = field(default_factory=list)
    """Notes for the user on how the source was read; complete after `split`."""
    groups: dict[str, np.ndarray] = field(default_factory=dict)
    """The group of each image (int64), by part. A split never divides a group."""
    fit: Fit = field(default_factory=Fit)
    """The size and channels that `split` brings the images to."""
    sources: list[Source] = field(default_factory=list)
    """The sources that it joins, whose warnings `gather` takes over."""

    __repr__ = short_repr

    def __post_init__(self) -> None:
        self.name = printable(self.name)  # a file's name may be any bytes
        self.class_numbers = self.class_numbers or list(range(len(self.class_names)))
        check_class_names(self.class_names, self.name)

    def gather(self) -> None:
        """Take over the notes and warnings that the joined sources have made meanwhile."""
        for source in self.sources:
            source.gather()
            self.warnings += [warning for warning in source.warnings if warning not in self.warnings]
            self.notes += [notes for notes in source.notes if notes not in self.notes]

    @property
    def parts(self) -> dict[str, Part]:
        """The parts there are, by name."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}


@dataclass(frozen=True)
class Request:
    """The options of `load_source` beside the name."""

    data_dir: Path | None = None
    fit: Fit = field(default_factory=Fit)
    label_mode: str = "fine"
    download: bool = True
    progress: ReportCounts | None = None
    table: Path | None = None
    """Labels in a table (see `tables`)."""
    test_path: Path | None = None
    """The path of the test part, if it is not in the source itself."""
    test: float | str | None = None
    """The share to hold out as the test part of a source without one (see `sampling.hold_out`)."""
    seed: int = 0
    white: float | None = None
    """The value of white; None: found from the pixels (see `scale`)."""
    layout: str | None = None
    """The order of the axes of an image in an array; None: see `layout`."""
    images_key: str | None = None
    labels_key: str | None = None
    """The names of the arrays of images and labels; None: see `array_choice`."""
    hold_out: bool = True
    """False: a source without a test part has an empty one."""


@dataclass
class Raw:
    """The result of a reader: like a Source, perhaps without a test part."""

    name: str
    parts: dict[str, tuple[Any, np.ndarray]] = field(default_factory=dict)
    """Images (uint8, N x H x W x C, perhaps lazy) and labels (int64, in the order of the names), by part."""
    class_names: list[str] = field(default_factory=list)
    class_numbers: list[int] = field(default_factory=list)
    groups: dict[str, np.ndarray] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def complete(raw: Raw, request: Request) -> Source:
    """The source, with a test part: its own, else its validation part, else one held out as `request`
    asks."""
    parts = {part: class_part(images, labels) for part, (images, labels) in raw.parts.items()}
    groups = dict(raw.groups)
    if request.test is not None and "test" in parts:
        raise UsageError(f"`test`: {show(raw.name)} has a test part of its own.")
    if "test" not in parts and not request.hold_out:
        parts["test"] = take(parts["train"], np.arange(0))
    if "test" not in parts and "validation" in parts and request.test is None:
        raw.warnings.append(f"{show(raw.name)} has no test part: its validation part is used as one.")
        parts["test"] = parts.pop("validation")
        groups |= {"test": groups.pop("validation")} if "validation" in groups else {}
    if "test" not in parts:
        train, of_group = parts["train"], groups.get("train")
        kept, held = hold_out(train.labels, raw.class_numbers, request.test, request.seed, of_group)
        parts["train"], parts["test"] = take(train, kept), take(train, held)
        if of_group is not None:
            groups["train"], groups["test"] = of_group[kept], of_group[held]
        how = request.test or f"a share of {TEST_SHARE}, drawn by the seed"
        raw.notes.append(f"{show(raw.name)} has no test part: {len(held)} images are held out ({how}).")
    return Source(
        raw.name,
        parts["train"],
        parts["test"],
        raw.class_names,
        raw.warnings,
        raw.class_numbers,
        parts.get("validation"),
        notes=raw.notes,
        groups=groups,
    )


@dataclass(frozen=True)
class PublishedSet:
    """A published set: its description and its reader."""

    info: SourceInfo
    load: Callable[[Request], Source]
    options: frozenset[str]
    class_names: tuple[str, ...]

    @property
    def summary(self) -> str:
        """One line for a list."""
        return self.info.summary


@dataclass(frozen=True)
class PathReader:
    """A reader of files or folders of one kind."""

    accepts: Callable[[Path], bool]
    load: Callable[[Path, Request], Source]
    options: frozenset[str]


SOURCES: Register[PublishedSet] = Register("data set", "tlcli.sources", "tlcli.data.readers")
PATH_READERS: list[PathReader] = []


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
        options: The fields of `Request` that the function takes beside the folder; others are refused.

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
        UsageError: The name has another owner.
    """
    info = SourceInfo(name, summary, train, test, len(class_names), image_shape)
    return published(info, class_names=class_names, options=options)


def published(
    info: SourceInfo, *, class_names: Sequence[str], options: Sequence[str] = ()
) -> Callable[[Any], Any]:
    """Register the decorated `load(request) -> Source` under `info.name`.

    `options` names the fields of `Request` that it takes beside the folder; the others are refused.
    """

    def register(load: Callable[[Request], Source]) -> Callable[[Request], Source]:
        SOURCES.add(info.name, PublishedSet(info, load, frozenset(options), tuple(class_names)), load)
        return load

    return register


def path_reader(accepts: Callable[[Path], bool], *, options: Sequence[str] = ()) -> Callable[[Any], Any]:
    """Register the decorated `load(path, request) -> Source` for the paths for which `accepts` is true."""

    def register(load: Callable[[Path, Request], Source]) -> Callable[[Path, Request], Source]:
        PATH_READERS.append(PathReader(accepts, load, frozenset(options)))
        return load

    return register


def sources() -> list[SourceInfo]:
    """The published sets that have a name, in the order of the names. Reads nothing."""
    return [entry.info for entry in SOURCES.values()]


def published_classes(name: str) -> list[str] | None:
    """The names of a published set's classes, in its order; None for an unknown name. Reads nothing."""
    return list(SOURCES[name].class_names) if name in SOURCES else None


def check_class_names(names: Sequence[str], source: str) -> None:
    """Raise TlcliError if two classes share a name, or a name is empty or has control characters."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise TlcliError(f"{source} has two classes named {name!r:.100}: class names must differ.")
        if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in name):
            raise TlcliError(f"{source} has a class named {name!r:.100}: expected no control characters.")
        seen.add(name)
    if not names:
        raise TlcliError(f"{source} has no classes.")
    if "" in seen:
        raise TlcliError(f"{source} has a class without a name.")


def show(name: str, longest: int = 80) -> str:
    """A name from a file for a message: on one line and not too long; `.` for an empty one."""
    text = printable(name) or "."
    return text if len(text) <= longest else text[:longest] + "..."


def list_names(names: Iterable[str], most: int = 8) -> str:
    """The first of some names, in order."""
    ranked = sorted(names)
    more = [f"and {len(ranked) - most} more"] if len(ranked) > most else []
    return ", ".join([*map(show, ranked[:most]), *more]) or "nothing"


def class_part(images: Any, labels: np.ndarray, source_index: np.ndarray | None = None) -> Part:
    """A part with int64 labels and, unless given, the index 0...N-1."""
    if source_index is None:
        source_index = np.arange(len(labels), dtype=np.int64)
    return Part(images, np.asarray(labels, np.int64), np.asarray(source_index, np.int64))
