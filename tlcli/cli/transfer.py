"""`tlcli transfer`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlcli.cli import complete
from tlcli.cli import options as o
from tlcli.cli.inputs import check_inputs
from tlcli.cli.output import Console, choose_output, count, percent, stem
from tlcli.cli.recording import recorded_command

if TYPE_CHECKING:
    from tlcli.store import Results

RECOMMENDED = "anchored"
"""The default method."""

EXAMPLES = [
    "tlcli transfer base.h5 digits-6-9.h5 --method scratch --method freeze --method finetune --runs 3",
    "tlcli transfer base.h5 digits-6-9.h5 --method freeze --copy 1-2 --samples 2000 -o sweep.h5",
    "tlcli transfer base.h5 digits-6-9.h5 --method freeze:copy=2 --save networks --force --resume",
]


def more_help() -> list[tuple[str, list[str]]]:
    """The methods, recipes and augmentations, for the end of the help."""
    from tlcli.training.methods import METHODS

    listed = [(m.name, o.as_flags(m.summary)) for m in METHODS.values()]
    width = max(len(name) for name, _ in listed)
    return [("Methods:", [f"{name:<{width}}  {summary}" for name, summary in listed]), *o.recipe_help()]


@o.with_recipe(after="runs")
def transfer(
    context: typer.Context,
    base: Annotated[
        str, typer.Argument(metavar="BASE", help="A checkpoint that `tlcli train-base` wrote; - is stdin.")
    ],
    datasets: Annotated[list[str], typer.Argument(metavar="DATASET", help="Target data sets.")],
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME[:KEY=VALUE,...]",
            autocompletion=complete.methods,
            help="An arm of the study: a method with its options, such as scratch or freeze:copy=2; "
            f"repeatable. [default: {RECOMMENDED}]",
        ),
    ] = None,
    copy: Annotated[
        str | None,
        typer.Option(
            "--copy",
            metavar="LAYERS",
            help="Copy the layers of the base up to this one: a name, a count, or a range to sweep (1-6). "
            "[default: all below the head]",
        ),
    ] = None,
    freeze: Annotated[
        str | None,
        typer.Option(
            "--freeze",
            metavar="LAYERS",
            help="Freeze the layers up to this one. [default: all copied]",
        ),
    ] = None,
    runs: Annotated[
        int,
        typer.Option(
            "--runs",
            metavar="R",
            callback=o.check_range("--runs", 1, 10_000),
            help="Repeat each training with R seeds.",
        ),
    ] = 3,
    bn_statistics: Annotated[
        str,
        o.choice_option(
            "--bn-statistics",
            ("frozen", "moving"),
            "Batch norm in frozen layers: use the base's stored mean and variance (frozen) or those of each "
            "batch (moving).",
        ),
    ] = "frozen",
    head_units: Annotated[
        str | None,
        typer.Option(
            "--head-units",
            metavar="N[,N]",
            help="Give the new head hidden layers; it then reads the flattened convolutional features.",
        ),
    ] = None,
    head_dropout: Annotated[
        float | None,
        typer.Option(
            "--head-dropout", metavar="P", help="Drop inputs of each layer of a head with hidden layers."
        ),
    ] = None,
    all_layers: Annotated[
        bool,
        typer.Option(
            "--all-layers", help="Let the new head read the outputs of all layers, not only the last."
        ),
    ] = False,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="DATASET",
            help="The data set of the source task: measure what each run forgets.",
        ),
    ] = None,
    refit_source: Annotated[
        bool,
        typer.Option(
            "--refit-source",
            help="With --source, also fit a new head to the source task and measure it. What this head loses "
            "is lost from the features.",
        ),
    ] = False,
    save: Annotated[
        str | None,
        typer.Option(
            "--save", metavar="DIR", help="Keep each run's network in this folder, as a checkpoint."
        ),
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
    """Train on target data sets from a base, by one or more methods, several times each.

    The base is a trained network; its head is the last, classifying layer. One process runs the whole grid of
    data sets, methods and runs. A CPU trains as many runs at once as it has threads, one thread each. If the
    command is interrupted, the same command with --resume does only the missing runs.
    """
    from tlcli import store
    from tlcli.cli.backend import load
    from tlcli.cli.resume import Resumable
    from tlcli.cli.signals import StopSignals
    from tlcli.training.arms import count_arms

    console = Console(as_json=as_json, quiet=quiet)
    check_inputs(base, *datasets, source)
    method = method or [RECOMMENDED]
    tasks = count_arms(method, copy, freeze) * len(datasets) * runs
    how = o.read_recipe(context)
    path = choose_output(output, default_name(base, datasets), force=force, as_json=as_json)
    checkpoint = store.read(base, store.Checkpoint)
    targets = [store.read(name, store.Dataset) for name in datasets]
    source_task = None if source is None else store.read(source, store.Dataset)
    kept = Resumable(path, resume=resume, console=console)
    logs = o.run_logs(context, path)

    with StopSignals(console, kept) as stop:
        at_once = load(console, device, threads, tasks, deterministic)
        from tlcli.training import transfer as run_grid

        with console.progress("training") as progress, logs:
            results = run_grid(
                checkpoint,
                targets,
                method,
                copy=copy,
                freeze=freeze,
                recipe=how,
                runs=runs,
                seed=seed,
                bn_statistics=bn_statistics,
                head_units=head_units,
                head_dropout=head_dropout,
                all_layers=all_layers,
                source=source_task,
                refit_source=refit_source,
                record_seconds=record_seconds,
                state_dir=kept.folder,
                resume=resume,
                save_dir=None if save is None else Path(save),
                replace=force,
                at_once=at_once,
                progress=progress.report,
                stop=stop,
                measured=logs,
                note=console.note,
                warn=console.warn,
            )
        parents: list[store.Record] = [checkpoint, *targets, *([] if source_task is None else [source_task])]
        written = store.write(path, results, command=recorded_command(context), parents=parents, force=force)
        kept.discard()
        stop.complete()

        _tell(console, path, results, written.provenance.content_sha256)


def _tell(console: Console, path: str, results: Results, digest: str) -> None:
    """Show the mean accuracy of each arm, and say what was written."""
    arms = summarise(results)
    console.table(
        ("data set", "training images", "method", "runs", "test accuracy"),
        [
            (a["dataset"], f"{a['size']:,}", a["arm"], str(a["runs"]), percent(a["test_accuracy"]))
            for a in arms
        ],
    )
    console.tell_output(path, f"holds {count(len(results.runs), 'run')}.", "tlcli report {}")
    console.result(path, "results", runs=len(results.runs), arms=arms, content_sha256=digest)


def default_name(base: str, datasets: list[str]) -> str:
    """`base-to-a.h5`; several data sets give the beginning that they share: `base-to-digits-6-9-x3.h5`."""
    words = [stem(name).split("-") for name in datasets]
    shared = []
    for together in zip(*words, strict=False):
        if len(set(together)) > 1:
            break
        shared.append(together[0])
    several = f"-x{len(words)}" if len(words) > 1 else ""
    return f"{stem(base)}-to-{'-'.join(shared or words[0])}{several}.h5"


def summarise(results: Results) -> list[dict[str, Any]]:
    """Mean test accuracy per data set and arm, in the order of the runs."""
    cells: dict[tuple[str, int, str], list[float]] = {}
    for run in results.runs:
        cells.setdefault((run.dataset, run.size, run.arm), []).append(run.test_accuracy)
    return [
        {
            "dataset": dataset,
            "size": size,
            "arm": arm,
            "runs": len(found),
            "test_accuracy": sum(found) / len(found),
        }
        for (dataset, size, arm), found in cells.items()
    ]
