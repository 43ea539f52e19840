"""`tlcli rank`."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from tlcli.cli import options as o
from tlcli.cli.inputs import check_inputs
from tlcli.cli.output import Console, choose_output, count, percent, stem
from tlcli.cli.recording import recorded_command

EXAMPLES = [
    "tlcli rank base.h5 again.h5 --target digits-6-9.h5",
    "tlcli rank base.h5 --target digits-6-9.h5 -o ranking.h5 --json",
]


def rank(
    context: typer.Context,
    bases: Annotated[
        list[str],
        typer.Argument(metavar="BASE", help="Checkpoints that take images of the target's size; - is stdin."),
    ],
    target: Annotated[
        str, typer.Option("--target", metavar="DATASET", help="A file that `tlcli split` wrote; - is stdin.")
    ],
    seed: o.Seed = 0,
    device: o.Device = "auto",
    threads: o.Threads = None,
    output: o.Output = None,
    force: o.Force = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """Rank bases for a target, from embeddings alone.

    Each base computes embeddings of at most 4,000 training images of the target, at its last layer below the
    head. No layer is trained, and the test images are not used. The scores are the accuracy of a logistic
    head on held-out training images, the accuracy of the nearest neighbours, LogME (You et al. 2021), the
    H-score with shrinkage (Ibrahim et al. 2021) and, for a base with a head, LEEP (Nguyen et al. 2020).
    Higher is better. The table begins with the base whose logistic head is best.
    """
    from tlcli import store
    from tlcli.cli.backend import load
    from tlcli.cli.signals import StopSignals

    console = Console(as_json=as_json, quiet=quiet)
    check_inputs(*bases, target)
    path = choose_output(output, f"{stem(target)}-bases.h5", force=force, as_json=as_json)
    networks = [store.read(base, store.Checkpoint) for base in bases]
    images = store.read(target, store.Dataset)
    with StopSignals(console):
        load(console, device, threads)
        from tlcli.training import rank as scored

    with console.progress("embedding") as progress:
        results = scored(networks, images, seed=seed, progress=progress.report)
    written = store.write(
        path, results, command=recorded_command(context), parents=[*networks, images], force=force
    )

    best = sorted(results.rankings, key=lambda one: -one.logistic)
    console.table(
        ("base", "network", "logistic", "neighbours", "LogME", "H-score", "LEEP"),
        [
            (
                one.base or one.base_sha256[:12],
                one.architecture,
                percent(one.logistic),
                percent(one.neighbours),
                f"{one.log_me:.3f}",
                f"{one.h_score:.3f}",
                "-" if one.leep is None else f"{one.leep:.3f}",
            )
            for one in best
        ],
    )
    console.tell_output(path, f"ranks {count(len(best), 'base')} for {stem(target)}.", "tlcli report {}")
    console.result(
        path,
        "results",
        rankings=[dataclasses.asdict(one) for one in best],
        content_sha256=written.provenance.content_sha256,
    )
