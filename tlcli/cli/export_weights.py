"""`tlcli export-weights`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tlcli.cli import options as o
from tlcli.cli.inputs import check_inputs
from tlcli.cli.output import Console, choose_output, stem
from tlcli.errors import TlcliError, UsageError

EXAMPLES = [
    "tlcli export-weights base.h5 -o base.keras",
    "tlcli export-weights base.h5 -o base.weights.h5 --json",
]
SUFFIXES = (".keras", ".weights.h5")


def export_weights(
    context: typer.Context,
    checkpoint: Annotated[
        str, typer.Argument(metavar="CHECKPOINT", help="A file with a network that tlcli wrote; - is stdin.")
    ],
    output: o.Output = None,
    force: o.Force = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """Write a network as a Keras file.

    The ending of the output chooses the form. x.keras is a network of Keras's own layers, which
    keras.models.load_model reads without tlcli; it takes pixel values of 0...255 and gives one logit per
    class. x.weights.h5 holds only the arrays, for load_weights of a model of the same layers, which takes
    standardised pixels.
    """
    from tlcli import store
    from tlcli.cli.backend import load_to_build
    from tlcli.cli.signals import StopSignals

    console = Console(as_json=as_json, quiet=quiet)
    check_inputs(checkpoint)
    name = f"{stem(checkpoint)}.keras" if output is None else output
    if not Path(name).name.endswith(SUFFIXES):
        raise UsageError(
            f"-o: received '{name}'; expected a file name that ends in .keras (the network) or .weights.h5 "
            "(its arrays)."
        )
    path = choose_output(name, "", force=force, as_json=as_json)
    record = store.read(checkpoint, store.Checkpoint)
    if not record.class_names:
        raise TlcliError(f"{checkpoint} is a base without a head; export a network that was trained from it.")
    with StopSignals(console):
        load_to_build(console, record.plugin)
        from tlcli.models.exchange import export_model
        from tlcli.training.embedding import rebuild

    network = rebuild(record)
    export_model(path, network, record.mean, record.std, record.channel_order, force=force)

    mean, std = ([round(255 * float(value), 4) for value in values] for values in (record.mean, record.std))
    whole = path.endswith(SUFFIXES[0])
    taking = "pixel values 0...255" if whole else f"(pixel values - {mean}) / {std}"
    if record.channel_order == "bgr" and not whole:
        taking += ", channels in the order blue, green, red"
    function = "keras.models.load_model" if whole else "load_weights"
    parameters = sum(array.size for array in record.weights.values())
    console.note(
        f"{path}: {network.architecture} with {parameters:,} parameters, for {function}; takes {taking}, "
        "gives logits."
    )
    console.result(
        path,
        "keras model" if whole else "keras weights",
        architecture=network.architecture,
        parameters=parameters,
        class_names=record.class_names,
        mean=mean,
        std=std,
        channel_order="rgb" if whole else record.channel_order,
    )
