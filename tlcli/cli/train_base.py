"""`tlcli train-base`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tlcli.cli import complete
from tlcli.cli import options as o
from tlcli.cli.inputs import check_inputs
from tlcli.cli.output import Console, choose_output, percent, stem
from tlcli.cli.recording import recorded_command

EXAMPLES = [
    "tlcli train-base digits-0-5.h5 --arch cnn2 --epochs 5",
    "tlcli train-base digits-0-5.h5 --arch cnn2 --arch-option dropout=0.5 --samples 10000 -o base.h5",
    "tlcli train-base digits-0-5.h5 --arch cnn2 --schedule cosine --augment shift:1 --seed 1 --resume",
]


def more_help() -> list[tuple[str, list[str]]]:
    """The recipes and augmentations, for the end of the help."""
    return o.recipe_help()


@o.with_recipe(after="arch_option")
def train_base(
    context: typer.Context,
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="A file that `tlcli split` wrote; - is stdin.")
    ],
    arch: Annotated[
        str,
        typer.Option(
            "--arch",
            metavar="NAME",
            autocompletion=complete.architectures,
            help="The network; see `tlcli archs`.",
        ),
    ],
    arch_option: Annotated[
        list[str] | None,
        typer.Option("--arch-option", metavar="NAME=VALUE", help="An option of the network; repeatable."),
    ] = None,
    record_seconds: o.RecordSeconds = False,
    csv_log: o.CsvLog = None,
    log_dir: o.LogDir = None,
    seed: o.Seed = 0,
    resume: o.Resume = False,
    device: o.Device = "auto",
    deterministic: o.Deterministic = False,
    threads: o.Threads = None,
    output: o.Output = None,
    force: o.Force = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
    **recipe: Any,
) -> None:
    """Train a network on a data set: the base of a transfer.

    The checkpoint holds the weights, the curves of loss and accuracy and every value of the recipe. If the
    command is interrupted (Ctrl-C, SIGTERM, a closed terminal, a crash), the same command with --resume goes
    on and gives the same bytes.
    """
    from tlcli import store
    from tlcli.cli.backend import load
    from tlcli.cli.resume import Resumable
    from tlcli.cli.signals import StopSignals
    from tlcli.models import parse_options

    console = Console(as_json=as_json, quiet=quiet)
    check_inputs(dataset)
    how = o.read_recipe(context)
    options = parse_options(arch, o.pairs("--arch-option", arch_option))
    name = f"{stem(dataset)}-{arch}{f'-s{seed}' if seed else ''}.h5"
    path = choose_output(output, name, force=force, as_json=as_json)
    record = store.read(dataset, store.Dataset)
    kept = Resumable(path, resume=resume, console=console)
    logs = o.run_logs(context, path)

    with StopSignals(console, kept) as stop:
        load(console, device, threads, deterministic=deterministic)
        from tlcli.training import train_base as train

        with console.progress("training") as progress, logs:
            checkpoint = train(
                record,
                arch,
                options=options,
                recipe=how,
                seed=seed,
                state_dir=kept.folder,
                resume=resume,
                progress=progress.report,
                stop=stop,
                measured=logs,
                record_seconds=record_seconds,
                warn=console.warn,
            )
        command = recorded_command(context)
        written = store.write(path, checkpoint, command=command, parents=[record], force=force)
        kept.discard()
        stop.complete()

        accuracy = float(checkpoint.history["test_accuracy"][-1])
        parameters = sum(array.size for array in checkpoint.weights.values())
        console.tell_output(
            path,
            f"holds {arch} with {parameters:,} parameters, trained on {checkpoint.samples_seen:,} samples. "
            f"It classifies {percent(accuracy)} of the test images right.",
            "tlcli transfer {} DATASET --method scratch --method freeze --method finetune",
        )
        console.result(
            path,
            "checkpoint",
            architecture=arch,
            parameters=parameters,
            samples=checkpoint.samples_seen,
            test_accuracy=accuracy,
            train_accuracy=float(checkpoint.history["train_accuracy"][-1]),
            content_sha256=written.provenance.content_sha256,
        )
