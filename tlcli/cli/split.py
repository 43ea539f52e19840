"""`tlcli split`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlcli.cli import complete
from tlcli.cli.inputs import check_inputs
from tlcli.cli.options import DataDir, Debug, Force, Json, Output, Quiet, Seed, chosen
from tlcli.cli.output import Console, choose_output, count
from tlcli.cli.recording import recorded_command

if TYPE_CHECKING:
    import numpy as np

    from tlcli.store import ImageArray, Part

EXAMPLES = [
    "tlcli split --dataset digits --classes 0-5",
    "tlcli split --dataset digits --classes 6-9 --proportion 0.1 --seed 1",
    "tlcli split --dataset digits --classes random:5 --size 100 --validation 0.2 -o half.h5",
    "tlcli split --dataset digits --classes except:half.h5 -o other-half.h5",
]


def split(
    context: typer.Context,
    dataset: Annotated[
        str,
        typer.Option(
            "--dataset",
            metavar="NAME|PATH",
            autocompletion=complete.datasets,
            help="A built-in data set (see `tlcli datasets`), a folder of images or a file.",
        ),
    ],
    classes: Annotated[
        str,
        typer.Option(
            "--classes", metavar="SPEC", help="0-5, 0,3,7-9, names (cat,dog), random:5, except:FILE, all."
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
        typer.Option("--validation", metavar="P", help="Set this share of them aside as a validation part."),
    ] = 0.0,
    sampling: Annotated[
        str,
        chosen(
            "--sampling",
            ("nested", "sklearn", "sklearn-column"),
            "Draw nested subsets, or those of scikit-learn's train_test_split (labels n or n x 1).",
        ),
    ] = "nested",
    labels: Annotated[
        str, chosen("--labels", ("fine", "coarse"), "The 100 or the 20 classes of cifar100.")
    ] = "fine",
    image_size: Annotated[
        int | None,
        typer.Option("--image-size", metavar="PIXELS", help="Scale the images of a folder to this side."),
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

    Subsets keep the shares of the classes, and with one seed the smaller is contained in the larger. Labels
    are renumbered from 0; the file keeps the original numbers, the names, and each image's position in the
    published set. An output that ends in .mat is written for MATLAB.
    """
    from tlcli import data, store

    console = Console(as_json=as_json, quiet=quiet)
    held_back = classes.removeprefix("except:") if classes.startswith("except:") else None
    check_inputs(dataset, held_back)
    how: dict[str, Any] = {
        "proportion": proportion,
        "size": size,
        "multiple_of": multiple_of,
        "validation": validation,
        "seed": seed,
        "sampling": sampling,
    }
    path = choose_output(
        output,
        data.default_name(dataset, classes, label_mode=labels, image_size=image_size, **how),
        force=force,
        as_json=as_json,
    )

    with console.progress("reading images") as progress:
        source = data.load_source(
            dataset, data_dir=data_dir, image_size=image_size, label_mode=labels, progress=progress
        )
        held_by_file = data.classes.HeldBy(source.name)
        numbers = data.classes.parse(
            classes,
            source.class_names,
            seed=seed,
            held_by_file=held_by_file,
            class_numbers=source.class_numbers,
        )
        cut = data.split(source, numbers, **how)
        watched = replace(cut, parts=watch(cut.parts, progress))
        if path.lower().endswith(".mat"):
            data.write_mat(watched, path, force=force)
            figures = {}
        else:
            parents = [*source.parents, *held_by_file.records]
            done = store.write(path, watched, command=recorded_command(context), parents=parents, force=force)
            figures = {"content_sha256": done.provenance.content_sha256}
    for warning in source.warnings:
        console.warn(warning)
    sizes = {name: len(part) for name, part in cut.parts.items()}
    console.made(
        path,
        f"{count(cut.classes, 'class', 'classes')} of {source.name}, "
        + ", ".join(f"{number:,} {name}" for name, number in sizes.items())
        + " images.",
        None
        if path.lower().endswith(".mat")  # for others to read
        else "tlcli train-base {} --arch NAME (see tlcli archs), or tlcli transfer BASE {}",
    )
    console.result(
        path,
        "dataset",
        classes=cut.classes,
        class_names=cut.class_names,
        **sizes,
        **figures,
    )


class _Watched:
    """Images that are decoded on demand, with a report of how many have been."""

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
    """The parts, reporting to `progress` as their images are read."""
    total = sum(len(part) for part in parts.values())
    done = 0

    def report(images: int) -> None:
        nonlocal done
        done = min(done + images, total)
        progress(done, total)

    return {name: replace(part, images=_Watched(part.images, report)) for name, part in parts.items()}
