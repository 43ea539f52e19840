"""`tlcli embed`."""

from __future__ import annotations

from typing import Annotated

import typer

from tlcli.cli import options as o
from tlcli.cli.inputs import check_inputs
from tlcli.cli.output import Console, choose_output, count, stem
from tlcli.cli.recording import recorded_command

EXAMPLES = [
    "tlcli embed base.h5 digits-6-9.h5",
    "tlcli embed base.h5 digits-6-9.h5 --layer flatten -o flatten.h5",
    "tlcli split --dataset digits --classes 6-9 -o - | tlcli embed base.h5 - -o piped.h5",
]


def embed(
    context: typer.Context,
    checkpoint: Annotated[
        str, typer.Argument(metavar="CHECKPOINT", help="A file that `tlcli train-base` wrote; - is stdin.")
    ],
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="A file that `tlcli split` wrote; - is stdin.")
    ],
    layer: Annotated[
        str | None,
        typer.Option(
            "--layer",
            metavar="NAME",
            help="The layer, or `all`: each layer's mean over positions. An unknown name lists the layers. "
            "[default: the one below the head]",
        ),
    ] = None,
    mirrored: Annotated[
        bool,
        typer.Option("--mirrored", help="Average the embeddings of each image and its mirror image."),
    ] = False,
    device: o.Device = "auto",
    threads: o.Threads = None,
    output: o.Output = None,
    force: o.Force = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """Compute the output of a layer for every image: its embedding.

    One file holds the embeddings of all parts: vectors (float32), labels and each image's position in the
    published set.
    """
    from tlcli import store
    from tlcli.cli.backend import load
    from tlcli.cli.signals import StopSignals

    console = Console(as_json=as_json, quiet=quiet)
    check_inputs(checkpoint, dataset)
    path = choose_output(output, f"{stem(dataset)}-by-{stem(checkpoint)}.h5", force=force, as_json=as_json)
    network = store.read(checkpoint, store.Checkpoint)
    images = store.read(dataset, store.Dataset)
    with StopSignals(console):
        load(console, device, threads)
        from tlcli.training import embed as compute

    with console.progress("embedding") as progress:
        embeddings = compute(network, images, layer, mirrored=mirrored, progress=progress.report)
    written = store.write(
        path, embeddings, command=recorded_command(context), parents=[network, images], force=force
    )

    sizes = {name: len(part) for name, part in embeddings.parts.items()}
    width = embeddings.parts["train"].embeddings.shape[1]
    console.tell_output(
        path,
        f"holds the layer {embeddings.layer} of {network.architecture}: {width:,} numbers for each of "
        f"{count(sum(sizes.values()), 'image')}.",
        "tlcli knn {}",
    )
    console.result(
        path,
        "embeddings",
        layer=embeddings.layer,
        width=width,
        **sizes,
        content_sha256=written.provenance.content_sha256,
    )
