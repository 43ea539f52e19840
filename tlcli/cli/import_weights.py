"""`tlcli import-weights`."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Annotated

import typer

from tlcli.cli import complete
from tlcli.cli import options as o
from tlcli.cli.archs import parse_shape
from tlcli.cli.inputs import check_inputs
from tlcli.cli.output import Console, choose_output, count, stem
from tlcli.cli.recording import recorded_command
from tlcli.errors import UsageError
from tlcli.text import did_you_mean

if TYPE_CHECKING:
    import numpy as np

    from tlcli.models import Architecture
    from tlcli.store import Dataset

EXAMPLES = [
    "tlcli import-weights cifar100vgg.h5 --arch vgg16 --dataset cifar100 --mean 121.936 --std 68.389",
    "tlcli import-weights base.weights.h5 --arch cnn2 --dataset digits-0-5.h5 --mean 74.2 --std 91.8",
    "tlcli import-weights base.weights.h5 --arch cnn2 --classes 6 --input 8x8x1 -o again.h5",
]


def import_weights(
    context: typer.Context,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Weights of Keras (.h5, .weights.h5), safetensors or PyTorch (.pt, .pth); - is stdin.",
        ),
    ],
    arch: Annotated[
        str,
        typer.Option(
            "--arch",
            metavar="NAME",
            autocompletion=complete.architectures,
            help="The network that the weights are for; see `tlcli archs`.",
        ),
    ],
    arch_option: Annotated[
        list[str] | None,
        typer.Option("--arch-option", metavar="NAME=VALUE", help="An option of the network; repeatable."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            metavar="NAME|FILE",
            autocompletion=complete.datasets,
            help="What it was trained on, for the classes and the size of the images: a built-in data set or "
            "a file that `tlcli split` wrote.",
        ),
    ] = None,
    classes: Annotated[
        int | None,
        typer.Option("--classes", metavar="N", help="The number of classes, instead of --dataset."),
    ] = None,
    input_shape: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="HxWxC",
            help="The size of the images, with --classes [default: what the network was made for].",
        ),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(
            "--mean",
            metavar="M[,M,M]",
            help="What was subtracted from pixel values of 0...255: one number, or one per channel. "
            "[default: what published weights of the network expect, else 0]",
        ),
    ] = None,
    std: Annotated[
        str | None,
        typer.Option(
            "--std",
            metavar="S[,S,S]",
            help="What they were divided by then; 1 for raw pixel values. [default: likewise, else 255]",
        ),
    ] = None,
    output: o.Output = None,
    force: o.Force = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """Make a base of weights that others trained and saved.

    Two layouts are read: the legacy one (cifar100vgg.h5, or a whole model in one .h5) and that of Keras 3.
    The arrays are matched layer by layer, in order, to those of the network named here; a layer of another
    shape is named and nothing is written. Nothing in the file is run. The checkpoint records the file's name
    and SHA-256.
    """
    from tlcli import store
    from tlcli.cli.backend import load
    from tlcli.cli.signals import StopSignals
    from tlcli.models import architecture, parse_options
    from tlcli.store.weights import open_weights

    console = Console(as_json=as_json, quiet=quiet)
    check_inputs(file, dataset)
    known = architecture(arch)
    options = parse_options(arch, o.pairs("--arch-option", arch_option))
    path = choose_output(output, f"{_stem(file)}-{arch}.h5", force=force, as_json=as_json)
    task = Task(known, dataset, classes, input_shape)
    channels = task.input_shape[2]
    means, stds, assumed = preprocessing(known, mean, std, channels)
    if min(stds) < 1:
        console.warn(f"--std {std}: pixel values are 0...255 here; multiply by 255 what is meant for 0...1.")
    with open_weights(file) as weights:
        with StopSignals(console):
            load(console, "cpu")
            from tlcli.models import network as net
            from tlcli.models.exchange import import_weights as imported

        network = net.build(arch, task.input_shape, len(task.class_names), options)
        checkpoint = imported(
            weights, network, task.class_names, task.class_original, means / 255, stds / 255
        )
    written = store.write(
        path, checkpoint, command=recorded_command(context), parents=task.parents, force=force
    )

    parameters = sum(array.size for array in checkpoint.weights.values())
    if assumed:
        console.note(assumed)
    console.made(
        path,
        f"{arch} with {parameters:,} parameters and {count(len(task.class_names), 'class', 'classes')}, "
        f"out of {weights.layout}.",
        "tlcli transfer {} DATASET",
    )
    console.result(
        path,
        "checkpoint",
        architecture=arch,
        parameters=parameters,
        classes=len(task.class_names),
        imported_sha256=checkpoint.recipe["imported_sha256"],
        content_sha256=written.provenance.content_sha256,
    )


class Task:
    """What a network was trained for, as the user says it: its classes and the shape of its images."""

    class_names: list[str]
    class_original: np.ndarray
    input_shape: tuple[int, int, int]
    parents: list[Dataset]

    def __init__(
        self, arch: Architecture, dataset: str | None, classes: int | None, input_shape: str | None
    ) -> None:
        import numpy as np

        from tlcli import data, store

        if (dataset is None) == (classes is None):
            raise UsageError("what are the classes? Give either --dataset NAME|FILE or --classes N.")
        if dataset is not None and input_shape is not None:
            raise UsageError("--input and --dataset both say how large the images are; take one of them.")
        self.parents = []
        if classes is not None:
            if not 1 <= classes <= 100_000:
                raise UsageError(f"--classes: received {classes}, expected a number from 1.")
            self.class_names = [str(number) for number in range(classes)]
            self.input_shape = parse_shape(input_shape) if input_shape else arch.input_shape
        elif (published := data.published_classes(str(dataset))) is not None:
            self.class_names = published
            self.input_shape = next(s.image_shape for s in data.sources() if s.name == dataset)
        else:
            self._check_there(str(dataset), [s.name for s in data.sources()])
            record = store.read(str(dataset), store.Dataset)
            self.class_names, self.input_shape = record.class_names, record.image_shape
            self.parents = [record]
        self.class_original = np.arange(len(self.class_names))
        if self.parents:
            self.class_original = self.parents[0].class_original

    def _check_there(self, dataset: str, published: list[str]) -> None:
        if dataset != "-" and not os.path.exists(dataset):
            hint = did_you_mean(dataset, published) or f" Built in are {', '.join(published)}."
            raise UsageError(f"--dataset: no data set and no file is called '{dataset}'.{hint}")


def preprocessing(
    arch: Architecture, mean: str | None, std: str | None, channels: int
) -> tuple[np.ndarray, np.ndarray, str]:
    """What is subtracted from pixels of 0...255 and what they are divided by: one float32 for each channel.

    What is not given is what published weights of the network expect; the third value tells the user.
    """

    def told(values: tuple[float, ...]) -> str:
        return ",".join(f"{255 * value:g}" for value in values)

    published = arch.pretrained
    given_mean = mean or (told(published.mean) if published else "0")
    given_std = std or (told(published.std) if published else "255")
    means = per_channel("--mean", given_mean, channels)
    stds = per_channel("--std", given_std, channels)
    if mean is not None and std is not None:
        return means, stds, ""
    whose = f"as published weights of {arch.name} expect" if published else "pixels of 0...1"
    return (
        means,
        stds,
        f"Assumed: (pixel - {given_mean}) / {given_std}, {whose}. Set it with --mean and --std.",
    )


def per_channel(option: str, text: str, channels: int) -> np.ndarray:
    """`121.9` or `125.3,123.0,113.9` as one float32 per channel. Raises UsageError."""
    import numpy as np

    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    positive = option != "--std" or all(value > 0 for value in values)
    if len(values) not in (1, channels) or not all(map(math.isfinite, values)) or not positive:
        above = " above 0" if option == "--std" else ""
        raise UsageError(f"{option}: received '{text}', expected a number{above}, or {channels} with commas.")
    return np.broadcast_to(np.array(values, np.float64), channels).astype(np.float32)


def _stem(path: str) -> str:
    return stem(path).removesuffix(".weights")
