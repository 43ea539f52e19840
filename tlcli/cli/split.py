"""`tlcli split`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlcli.cli import complete
from tlcli.cli.inputs import check_inputs
from tlcli.cli.options import DataDir, Debug, Force, Json, Output, Quiet, Seed, choice_option
from tlcli.cli.output import Console, choose_output, count
from tlcli.cli.recording import recorded_command
from tlcli.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from tlcli.data import Source
    from tlcli.store import Dataset, ImageArray, Part, Record

EXAMPLES = [
    "tlcli split --dataset digits --classes 0-5",
    "tlcli split --dataset digits --classes 6-9 --proportion 0.1 --seed 1",
    "tlcli split --dataset digits --classes random:5 --size 100 --validation 0.2 -o half.h5",
    "tlcli split --dataset digits --classes except:half.h5 -o other-half.h5",
    "tlcli split --dataset digits --image-size 32 --channels 3 --classes 0+2+4,1+3+5 -o even-odd.h5",
]


def split(
    context: typer.Context,
    dataset: Annotated[
        list[str],
        typer.Option(
            "--dataset",
            metavar="NAME|PATH",
            autocompletion=complete.datasets,
            help="A built-in data set (see `tlcli datasets`), a folder of images or a file; several join.",
        ),
    ],
    classes: Annotated[
        str,
        typer.Option(
            "--classes",
            metavar="SPEC",
            help="Take these classes: 0-5, 0,3,7-9, names (cat,dog), merged (cat+dog,horse), random:5, "
            "except:FILE, all.",
        ),
    ] = "all",
    proportion: Annotated[
        float | None,
        typer.Option("--proportion", metavar="P", help="Take this share of the training images."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option("--size", metavar="N", help="Take this many training images, instead of a share."),
    ] = None,
    multiple_of: Annotated[
        int,
        typer.Option(
            "--multiple-of", metavar="M", help="Round the number of training images down to a multiple."
        ),
    ] = 1,
    validation: Annotated[
        float,
        typer.Option(
            "--validation",
            metavar="P",
            help="Set this share of the training images aside as a validation part.",
        ),
    ] = 0.0,
    sampling: Annotated[
        str,
        choice_option(
            "--sampling",
            ("nested", "sklearn", "sklearn-column"),
            "Draw nested subsets, or those of scikit-learn's train_test_split with labels of shape n "
            "(sklearn) or n x 1 (sklearn-column).",
        ),
    ] = "nested",
    test_dataset: Annotated[
        str | None,
        typer.Option(
            "--test-dataset",
            metavar="NAME|PATH",
            help="Take the test part from this data set, for sets that come in two files or folders.",
        ),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(
            "--test",
            metavar="P",
            help="If there is no test part, hold out this share of the images, or every fifth file "
            "(`every-fifth`). [default: 0.2]",
        ),
    ] = None,
    no_duplicates: Annotated[
        bool,
        typer.Option("--no-duplicates", help="Leave out training images that are also in the test part."),
    ] = False,
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            metavar="fine|coarse|FILE|KEY",
            help="Use the 100 (fine) or 20 (coarse) classes of cifar100; or a table with the columns file "
            "and label, and perhaps part and group; or this array of labels in a file.",
        ),
    ] = "fine",
    images_key: Annotated[
        str | None,
        typer.Option(
            "--images", metavar="KEY", help="Name the array of images, if the command does not find it."
        ),
    ] = None,
    layout: Annotated[
        str | None,
        choice_option(
            "--layout", ("hwc", "chw", "whc", "cwh"), "The order of the axes of an image in a file of arrays."
        ),
    ] = None,
    white: Annotated[
        float | None,
        typer.Option(
            "--white",
            metavar="VALUE",
            help="The pixel value that is white, if the range of the pixels does not show it.",
        ),
    ] = None,
    image_size: Annotated[
        str | None,
        typer.Option("--image-size", metavar="N|HxW", help="Bring all images to this size."),
    ] = None,
    fit: Annotated[
        str,
        choice_option(
            "--fit", ("stretch", "crop", "pad"), "How to bring images of other proportions to --image-size."
        ),
    ] = "stretch",
    channels: Annotated[
        int | None,
        typer.Option("--channels", metavar="1|3", help="Make all images grey (1) or colour (3)."),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            "--like", metavar="FILE", help="Take size and channels from a base or another data set."
        ),
    ] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    output: Output = None,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Cut a data set into training and test images of chosen classes.

    Subsets keep the shares of the classes. Subsets of one seed are nested: the larger contains the smaller.
    Labels count from 0; the file also holds the original numbers, the names, and each image's position in the
    published set. An output whose name ends in .mat is a file for MATLAB.
    """
    from tlcli import data

    console = Console(as_json=as_json, quiet=quiet)
    asked = data.ClassExpression(classes)
    check_inputs(*dataset, test_dataset, asked.file, like)
    if like is not None:
        image_size, channels = shape_like(like, image_size, channels)
    shape: dict[str, Any] = {"image_size": image_size, "fit": fit, "channels": channels}
    how: dict[str, Any] = {
        "proportion": proportion,
        "size": size,
        "multiple_of": multiple_of,
        "validation": validation,
        "seed": seed,
        "sampling": sampling,
    }
    name = data.default_name(dataset, classes, labels=labels, **shape, **how)
    path = choose_output(output, name, force=force, as_json=as_json)
    reading = {
        "test_dataset": test_dataset,
        "data_dir": data_dir,
        "labels": labels,
        "images": images_key,
        "layout": layout,
        "white": white,
        "test": _share(test),
        "seed": seed,
        **shape,
    }
    with console.progress("reading images") as progress:
        source = open_sources(dataset, progress=progress, **reading)
        held_by_file = data.classes.HeldBy(source.name)
        chosen = asked.resolve(
            source.class_names, seed=seed, held_by_file=held_by_file, class_numbers=source.class_numbers
        )
        cut = data.split(source, chosen, no_duplicates=no_duplicates, **how)
        watched = replace(cut, parts=watch(cut.parts, progress))
        parents = [*source.parents, *held_by_file.records]
        figures = _write(path, watched, recorded_command(context), parents, force)
    console.note(*source.notes)
    for warning in source.warnings:
        console.warn(warning)
    _tell(console, path, cut, figures)


def open_sources(names: list[str], **reading: Any) -> Source:
    """The source of that name, or several joined."""
    from tlcli import data

    if len(names) > 1 and reading["test_dataset"] is not None:
        raise UsageError(
            "--test-dataset goes with one --dataset: give each of several its own test part first."
        )
    found = [data.load_source(name, **reading) for name in names]
    return found[0] if len(found) == 1 else data.join(found, found[0].fit)


def _write(path: str, cut: Dataset, command: str, parents: list[Record], force: bool) -> dict[str, str]:
    """Write the file; returns its digest, if the format has one."""
    from tlcli import data, store

    if path.lower().endswith(".mat"):
        data.write_mat(cut, path, force=force)
        return {}
    done = store.write(path, cut, command=command, parents=parents, force=force)
    return {"content_sha256": done.provenance.content_sha256}


def _tell(console: Console, path: str, cut: Dataset, figures: dict[str, str]) -> None:
    sizes = {name: len(part) for name, part in cut.parts.items()}
    console.tell_output(
        path,
        f"holds {count(cut.classes, 'class', 'classes')} of {cut.source}: "
        + ", ".join(f"{number:,} {name}" for name, number in sizes.items())
        + " images.",
        None
        if path.lower().endswith(".mat")  # no command of tlcli reads it
        else "tlcli train-base {} --arch NAME (see tlcli archs), or tlcli transfer BASE {}",
    )
    console.result(path, "dataset", classes=cut.classes, class_names=cut.class_names, **sizes, **figures)


def _share(text: str | None) -> float | str | None:
    """The share as a number, or the word, which `load_source` checks."""
    try:
        return float(text) if text is not None else None
    except ValueError:
        return text


def shape_like(path: str, image_size: str | None, channels: int | None) -> tuple[str, int]:
    """The size and channels given, or else those of the images of a base or a data set."""
    from tlcli import store

    record = store.read_any(path, (store.Checkpoint, store.Dataset))
    assert isinstance(record, store.Checkpoint | store.Dataset)
    height, width, of_file = (
        record.input_shape if isinstance(record, store.Checkpoint) else record.image_shape
    )
    return image_size or f"{height}x{width}", channels or of_file


class _ReportingImages:
    """Images that are decoded on demand; reports the number decoded."""

    def __init__(self, images: ImageArray, report: Callable[[int], None]) -> None:
        self.images, self.report = images, report
        self.shape, self.dtype = images.shape, images.dtype

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> np.ndarray:
        found = self.images[index]
        self.report(len(found) if found.ndim == len(self.shape) else 1)
        return found


def watch(parts: dict[str, Part], progress: Callable[[int, int], None]) -> dict[str, Part]:
    """The parts, which report to `progress` as their images are read."""
    total = sum(len(part) for part in parts.values())
    done = 0

    def report(images: int) -> None:
        nonlocal done
        done = min(done + images, total)
        progress(done, total)

    return {name: replace(part, images=_ReportingImages(part.images, report)) for name, part in parts.items()}
