"""`tlcli import-weights`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tlcli.cli import complete
from tlcli.cli import options as o
from tlcli.cli.archs import parse_shape
from tlcli.cli.inputs import check_inputs
from tlcli.cli.output import Console, choose_output, count, percent, stem
from tlcli.cli.pixel_scale import Scale, read_scale
from tlcli.cli.recording import recorded_command
from tlcli.errors import TlcliError, UsageError
from tlcli.text import did_you_mean

if TYPE_CHECKING:
    import numpy as np

    from tlcli.models import Architecture
    from tlcli.store import Checkpoint, Dataset
    from tlcli.store.keras_weights import WeightsFile
    from tlcli.store.named_tensors import TensorFile

EXAMPLES = [
    "tlcli import-weights cifar100vgg.h5 --arch vgg16 --dataset cifar100 --mean 121.936 --std 68.389",
    "tlcli import-weights base.weights.h5 --arch cnn2 --dataset digits-0-5.h5 --mean 74.2 --std 91.8",
    "tlcli import-weights base.weights.h5 --arch cnn2 --classes 6 --input 8x8x1 -o again.h5",
    "tlcli import-weights --arch keras:ResNet50V2 --pretrained imagenet --headless -o imagenet.h5",
]


def import_weights(
    context: typer.Context,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="Weights of Keras (.h5, .weights.h5, .keras), safetensors or PyTorch (.pt, .pth); "
            "- is stdin, for Keras's.",
        ),
    ] = None,
    arch: Annotated[
        str | None,
        typer.Option(
            "--arch",
            metavar="NAME",
            autocompletion=complete.architectures,
            help="The network that the weights are for; see `tlcli archs`. "
            "[default: the one that a .keras file names]",
        ),
    ] = None,
    pretrained: Annotated[
        str | None,
        o.choice_option(
            "--pretrained", ("imagenet",), "Take the weights that Keras publishes, instead of FILE."
        ),
    ] = None,
    data_dir: Annotated[
        str | None,
        typer.Option(
            "--data-dir",
            metavar="DIR",
            help="The folder with the published weights. [default: Keras's cache; else downloaded]",
        ),
    ] = None,
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
            help="The training data of the weights, for the classes and the size of the images: a built-in "
            "data set or a file that `tlcli split` wrote.",
        ),
    ] = None,
    classes: o.ClassCount = None,
    headless: Annotated[
        bool,
        typer.Option(
            "--headless", help="Leave the head (the last, classifying layer) out: a base without classes."
        ),
    ] = False,
    input_shape: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="HxWxC",
            help="The size of the images, without --dataset. [default: the network's own size]",
        ),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(
            "--mean",
            metavar="M[,M,M]",
            help="The mean that training subtracted from pixel values of 0...255: one number or one per "
            "channel. [default: that of the network's published weights, else 0]",
        ),
    ] = None,
    std: Annotated[
        str | None,
        typer.Option(
            "--std",
            metavar="S[,S,S]",
            help="The number that training then divided by; 1 for raw pixel values. [default: that of the "
            "network's published weights, else 255]",
        ),
    ] = None,
    channel_order: Annotated[
        str | None,
        o.choice_option(
            "--channel-order",
            ("rgb", "bgr"),
            "The order of the channels that the network takes. [default: that of its published weights, "
            "else rgb]",
        ),
    ] = None,
    output: o.Output = None,
    force: o.Force = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """Make a base from weights that others trained and saved.

    The command reads files of Keras (the layouts of Keras 2 and 3, whole models, .keras), safetensors and
    PyTorch (for networks that have PyTorch's names of their layers), and the weights that Keras publishes for
    its applications. It matches the arrays with the layers of the network; if the shapes of a layer
    differ, it names the layer and writes nothing. It never runs code from the file. The checkpoint records
    the file's name and SHA-256. With --dataset the command prints the accuracy on the test part, which shows
    wrong preprocessing; it downloads no images for that.
    """
    from tlcli import store
    from tlcli.cli.signals import StopSignals
    from tlcli.models import parse_options
    from tlcli.store.weights import open_weights

    console = Console(as_json=as_json, quiet=quiet)
    check_inputs(file, dataset)
    _check_usage(file, arch, pretrained, data_dir)
    if pretrained and dataset is None and classes is None and not headless:
        classes = IMAGENET
    with StopSignals(console):
        if pretrained:
            _load(console, str(arch), computes=dataset is not None)
            file = _published_path(str(arch), not headless, data_dir)
        with open_weights(str(file)) as weights:
            known = _architecture(arch, weights, str(file))
            name = f"{_stem(str(file))}-{known.name.replace(':', '-')}.h5"
            path = choose_output(output, name, force=force, as_json=as_json)
            task = Task(known, dataset, classes, input_shape, headless)
            options = o.pairs("--arch-option", arch_option)
            parse_options(known.name, options)
            scale = read_scale(console, known, mean, std, channel_order, task.input_shape[2])
            _load(console, known.name, computes=task.test is not None)
            checkpoint = _import_checkpoint(weights, known, options, task, scale, bool(pretrained))
    accuracy = None if task.test is None else _accuracy(checkpoint, task.test)
    written = store.write(
        path, checkpoint, command=recorded_command(context), parents=task.parents, force=force
    )

    console.note(*filter(None, [scale.note]))
    if weights.left_out:
        console.note(f"Arrays of {weights.name} are left out: {', '.join(weights.left_out[:5])}.")
    if accuracy is not None:
        console.note(f"The test accuracy on {dataset} is {percent(accuracy)}.")
    elif dataset is not None:
        console.note(f"The test accuracy on {dataset} is not known. {task.untested}")
    _tell(console, path, written, weights.layout, accuracy)


def _tell(console: Console, path: str, written: Checkpoint, layout: str, accuracy: float | None) -> None:
    parameters = sum(array.size for array in written.weights.values())
    named = count(len(written.class_names), "class", "classes") if written.class_names else "no head"
    console.tell_output(
        path,
        f"holds {written.architecture} with {parameters:,} parameters and {named}, out of {layout}.",
        "tlcli transfer {} DATASET",
    )
    console.result(
        path,
        "checkpoint",
        architecture=written.architecture,
        parameters=parameters,
        classes=len(written.class_names),
        imported_sha256=written.recipe["imported_sha256"],
        content_sha256=written.provenance.content_sha256,
        **({} if accuracy is None else {"test_accuracy": accuracy}),
    )


def _load(console: Console, arch: str, *, computes: bool) -> None:
    """Import Keras; with a framework that computes only if the accuracy is measured."""
    from tlcli.cli.backend import load, load_to_build
    from tlcli.models.registry import NETWORKS

    if computes:
        load(console, "cpu", tell=False)
    else:
        load_to_build(console, NETWORKS.plugin(arch)[0])


IMAGENET = 1000
"""The number of classes of ImageNet."""


def _check_usage(file: str | None, arch: str | None, pretrained: str | None, data_dir: str | None) -> None:
    if (file is None) == (pretrained is None):
        raise UsageError("Name either a FILE of weights or --pretrained imagenet.")
    if pretrained and arch is None:
        raise UsageError("--pretrained: name the network with --arch, such as keras:ResNet50V2.")
    if data_dir is not None and not pretrained:
        raise UsageError("--data-dir says where published weights are; it needs --pretrained imagenet.")


def _published_path(arch: str, head: bool, data_dir: str | None) -> str:
    """The path of the file that Keras publishes for a network."""
    from tlcli.models.published import find, published_file

    return str(find(published_file(arch, head), None if data_dir is None else Path(data_dir)))


def _architecture(arch: str | None, weights: WeightsFile | TensorFile, file: str) -> Architecture:
    """The network that the user names, or else the file."""
    from tlcli.models import architecture
    from tlcli.models.registry import NETWORKS

    if arch is not None:
        return architecture(arch)
    named = weights.model.casefold()
    for name in NETWORKS.all_names():
        short = name.casefold()
        if named in (short, short.replace(":", "-"), short.removeprefix("keras:")):
            return architecture(name)
    said = (
        f"names a model {weights.model!r:.60}, which tlcli does not have"
        if named
        else "does not name its network"
    )
    raise UsageError(f"{file} {said}; give it with --arch (see tlcli archs).")


def _import_checkpoint(
    weights: WeightsFile | TensorFile,
    arch: Architecture,
    options: dict[str, str],
    task: Task,
    scale: Scale,
    published: bool,
) -> Checkpoint:
    from tlcli.models import network as net
    from tlcli.models import parse_options
    from tlcli.models.exchange import import_weights as imported
    from tlcli.models.published import correct

    own = parse_options(arch.name, options)
    network = net.build(arch.name, task.input_shape, max(1, len(task.class_names)), own)
    checkpoint = imported(
        weights, network, task.class_names, task.class_original, scale.mean / 255, scale.std / 255
    )
    checkpoint.channel_order = scale.channel_order
    if published:
        checkpoint.weights = correct(arch.name, checkpoint.weights)
    return checkpoint


def _accuracy(checkpoint: Checkpoint, test: Dataset) -> float:
    """The share of a test part that the imported network classifies right."""
    from tlcli.training import embed

    logits = embed(checkpoint, test, "head").parts["train"].embeddings
    return float((logits.argmax(axis=1) == test.train.labels).mean())


class Task:
    """The classes and the image shape that a network was trained for, as the user gives them."""

    class_names: list[str]
    class_original: np.ndarray
    input_shape: tuple[int, int, int]
    parents: list[Dataset]
    test: Dataset | None
    """A dataset of the test part alone, if its images are on this machine."""
    untested: str
    """The reason why there is no test part of a published set."""

    def __init__(
        self,
        arch: Architecture,
        dataset: str | None,
        classes: int | None,
        input_shape: str | None,
        headless: bool,
    ) -> None:
        import numpy as np

        from tlcli import data, store
        from tlcli.data.locate import MissingData

        if [dataset is not None, classes is not None, headless].count(True) != 1:
            raise UsageError(
                "The classes are not clear; give one of --dataset NAME|FILE, --classes N and --headless."
            )
        if dataset is not None and input_shape is not None:
            raise UsageError("--input and --dataset both say how large the images are; take one of them.")
        self.parents, self.test, self.untested = [], None, ""
        if headless:
            self.class_names = []
            self.input_shape = parse_shape(input_shape) if input_shape else arch.input_shape
        elif classes is not None:
            self.class_names = [str(number) for number in range(classes)]
            self.input_shape = parse_shape(input_shape) if input_shape else arch.input_shape
        elif (published := data.published_classes(str(dataset))) is not None:
            self.class_names = published
            self.input_shape = next(s.image_shape for s in data.sources() if s.name == dataset)
            try:
                self.test = _published_test(str(dataset), published)
            except MissingData:
                self.untested = "Its images are not on this machine."
            except TlcliError as error:
                self.untested = f"Its images cannot be read: {error}"
        else:
            self._check_there(str(dataset), [s.name for s in data.sources()])
            record = store.read(str(dataset), store.Dataset)
            self.class_names, self.input_shape = record.class_names, record.image_shape
            self.parents = [record]
            self.test = store.Dataset({"train": record.test}, record.class_names, record.class_original)
        self.class_original = np.arange(len(self.class_names))
        if self.parents:
            self.class_original = self.parents[0].class_original

    def _check_there(self, dataset: str, published: list[str]) -> None:
        if dataset != "-" and not os.path.exists(dataset):
            hint = did_you_mean(dataset, published) or f" Built in are {', '.join(published)}."
            raise UsageError(f"--dataset: no data set and no file is called '{dataset}'.{hint}")


def _published_test(name: str, class_names: list[str]) -> Dataset:
    """The test part of a published set, from this machine: nothing is downloaded. Raises TlcliError."""
    import numpy as np

    from tlcli import data, store

    test = data.load_source(name, download=False).test
    return store.Dataset({"train": test}, class_names, np.arange(len(class_names)))


def _stem(path: str) -> str:
    return stem(path).removesuffix(".weights")
