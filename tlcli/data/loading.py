"""Open a source of images by its name or its path."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tlcli.data.fitting import FITS, Fit, parse_size
from tlcli.data.layout import LAYOUTS
from tlcli.data.sampling import check_test
from tlcli.data.scale import check_white
from tlcli.data.source import (
    LABEL_MODES,
    PATH_READERS,
    SOURCES,
    PathReader,
    ReportCounts,
    Request,
    Source,
    show,
)
from tlcli.errors import TlcliError, UsageError
from tlcli.text import did_you_mean


def load_source(
    name_or_path: str,
    *,
    test_dataset: str | Path | None = None,
    data_dir: str | Path | None = None,
    image_size: int | str | tuple[int, int] | None = None,
    fit: str = "stretch",
    channels: int | None = None,
    labels: str | Path = "fine",
    images: str | None = None,
    layout: str | None = None,
    white: float | None = None,
    test: float | str | None = None,
    seed: int = 0,
    download: bool = True,
    progress: ReportCounts | None = None,
) -> Source:
    """Open a published set by name, or a file or folder of images by path.

    Args:
        name_or_path: A path `-` is a dataset file on stdin.
        test_dataset: The path of the test part, a source of the same kind.
        data_dir: The folder to search first for the publisher's files (default: the environment variable
            TLCLI_DATA_DIR).
        image_size: One side, `"HxW"` or (height, width) in pixels; `split` brings all images to it.
        fit: "stretch", "crop" or "pad": how to bring images of other proportions to the size.
        channels: 1 or 3: make images grey or colour.
        labels: "fine" or "coarse" for cifar100; the name of the array of labels, or a file with it; or a
            table with the columns file and label, and perhaps part and group.
        images: The name of the array of images.
        layout: The order of the axes of one image in an array: "hwc", "chw", "whc" or "cwh".
        white: The value of white, if the pixels do not show it; black is 0.
        test: For a source without a test part: the share to hold out, or "every-fifth".
        seed: The seed of the images to hold out.
        download: False never uses the network.

    Raises:
        UsageError: The name is unknown, or the source does not take an option.
        TlcliError: The data cannot be used.
    """
    for option, value, allowed in (
        ("`fit`", fit, FITS),
        ("`layout`", layout, (None, *LAYOUTS)),
        ("`channels`", channels, (None, 1, 3)),
    ):
        if value not in allowed:
            raise UsageError(
                f"{option} {value}: expected {', '.join(str(a) for a in allowed if a is not None)}."
            )
    check_white(white)
    check_test(test)
    mode, table, key = _labels(str(labels))
    request = Request(
        _data_dir(data_dir),
        Fit(parse_size(image_size), fit, channels),
        mode,
        download,
        progress,
        table,
        None,
        test,
        seed,
        white,
        layout,
        images,
        key,
    )
    if test is not None and test_dataset is not None:
        raise UsageError(f"`test` {test}: the test part is that of `test_dataset`; give one of the two.")
    if test_dataset is None:
        source = _load(name_or_path, request)
    else:
        source = _load_both(name_or_path, str(test_dataset), request)
    source.fit = request.fit
    return source


def _labels(text: str) -> tuple[str, Path | None, str | None]:
    """The meaning of `labels`: a mode, a table, or the name of an array."""
    if text in LABEL_MODES:
        return text, None, None
    path = Path(text)
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        if not path.is_file():
            raise UsageError(f"`labels` {text}: there is no such table.")
        return "fine", path, None
    return "fine", None, text


def _load(name_or_path: str, request: Request) -> Source:
    if name_or_path in SOURCES or name_or_path.endswith(".py"):  # its message says what to type
        entry = SOURCES[name_or_path]
        _refuse_unused(request, entry.options, name_or_path)
        loaded = entry.load(request)
        if not isinstance(loaded, Source):
            raise TlcliError(
                f"The data set {name_or_path!r} of {SOURCES.owner(name_or_path)} gave "
                f"{type(loaded).__name__}; expected tlcli.data.Source."
            )
        return loaded
    path = _require_path(name_or_path)
    reader = _reader(path)
    _refuse_unused(request, reader.options, show(path.name or path.resolve().name))
    return reader.load(path, request)


def _load_both(train: str, test: str, request: Request) -> Source:
    """Read two paths of one kind as one source, or else join the test part of the second to the first."""
    if train not in SOURCES and test not in SOURCES:
        first, second = _reader(_require_path(train)), _reader(_require_path(test))
        if first is second and "test_path" in first.options:
            return _load(train, replace(request, test_path=_require_path(test)))
    from tlcli.data.joining import with_test_of

    request = replace(request, hold_out=False)
    return with_test_of(_load(train, request), _load(test, request))


def _require_path(name: str) -> Path:
    """The path of a source of images. Raises UsageError if there is nothing."""
    if not name:
        raise UsageError("The name of the data set is empty: expected one of `tlcli datasets`, or a path.")
    path = Path(name)
    if name != "-" and not path.exists():
        raise UsageError(_unknown_message(name))
    return path


def _reader(path: Path) -> PathReader:
    for reader in PATH_READERS:
        if reader.accepts(path):
            return reader
    raise TlcliError(
        f"{show(path.name)} is not a source of images: expected a folder with a folder of images per class, "
        "an archive of one, an .npz, .npy, .mat, .h5 or idx file, or a tlcli dataset file."
    )


def _data_dir(given: str | Path | None) -> Path | None:
    import os

    text = given or os.environ.get("TLCLI_DATA_DIR")
    if not text:
        return None
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise UsageError(f"The data folder {str(text)!r} does not exist: check `data_dir` or TLCLI_DATA_DIR.")
    return folder


_USES = {
    "label_mode": ("`labels` coarse", "cifar100 alone has coarse labels"),
    "table": ("`labels` FILE", "a table gives labels to folders and arrays"),
    "test": ("`test`", "it has a test part of its own"),
    "test_path": ("`test_dataset`", "it has a test part of its own"),
    "white": ("`white`", "its pixels are of 0 to 255"),
    "layout": ("`layout`", "it is for files of arrays"),
    "images_key": ("`images`", "it is for files of arrays"),
    "labels_key": ("`labels` KEY", "it is for files of arrays"),
}
"""Fields of a request that some sources do not take: their options, and why they are refused."""


def _refuse_unused(request: Request, options: frozenset[str], name: str) -> None:
    unset = Request()
    for field_name, (option, why) in _USES.items():
        if field_name not in options and getattr(request, field_name) != getattr(unset, field_name):
            raise UsageError(f"{option} does not go with {name}: {why}.")


def _unknown_message(name: str) -> str:
    names = SOURCES.all_names()
    return (
        f"No data set and no file is called {name!r}: built in are {', '.join(names)}; else give a path."
        f"{did_you_mean(name, names)}"
    )
