"""`tlcli knn`."""

from __future__ import annotations

from typing import Annotated

import typer

from tlcli.cli.inputs import check_inputs
from tlcli.cli.options import Debug, Force, Json, Output, Quiet, choice_option
from tlcli.cli.output import Console, choose_output, count, percent, stem
from tlcli.cli.recording import recorded_command

EXAMPLES = [
    "tlcli knn digits-6-9-by-base.h5",
    "tlcli knn digits-6-9-by-base.h5 --k 1,3,5 --metric cosine --weights distance -o cosine.h5",
    "tlcli embed base.h5 digits-6-9.h5 -o - | tlcli knn - --k 1-20 -o piped-knn.h5",
]


def knn(
    context: typer.Context,
    embeddings: Annotated[
        str, typer.Argument(metavar="EMBEDDINGS", help="A file that `tlcli embed` wrote; - is stdin.")
    ],
    k: Annotated[
        str | None,
        typer.Option(
            "--k",
            metavar="NUMBERS",
            help="Numbers of neighbours: 5, 1-40 or 1,3,5. [default: 1-40, or as many as there are]",
        ),
    ] = None,
    metric: Annotated[
        str, choice_option("--metric", ("euclidean", "cosine"), "How distance is measured.")
    ] = "euclidean",
    weights: Annotated[
        str, choice_option("--weights", ("uniform", "distance"), "Each neighbour one vote, or 1/distance.")
    ] = "uniform",
    power: Annotated[
        float,
        typer.Option(
            "--power",
            metavar="P",
            help="Replace each number x by sign(x)|x|^P; 0.5 keeps a few large numbers from dominating.",
        ),
    ] = 1.0,
    select_on_test: Annotated[
        bool,
        typer.Option(
            "--select-on-test", help="Choose k on the test part, as some papers did; the report says so."
        ),
    ] = False,
    output: Output = None,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Classify embeddings by their nearest neighbours, for many k at once.

    One search serves all k. Leave-one-out cross-validation on the training part chooses k. The file also
    holds the test accuracy for every k.
    """
    from tlcli import store
    from tlcli.analysis.knn import evaluate, parse_ks

    console = Console(as_json=as_json, quiet=quiet)
    check_inputs(embeddings)
    path = choose_output(output, f"{stem(embeddings)}-knn.h5", force=force, as_json=as_json)
    ks = None if k is None else parse_ks(k)

    record = store.read(embeddings, store.Embeddings)
    with console.progress("searching neighbours") as progress:
        results = evaluate(
            record,
            ks,
            metric=metric,
            weights=weights,
            power=power,
            select_on="test" if select_on_test else "cross-validation",
            progress=progress,
        )
    written = store.write(path, results, command=recorded_command(context), parents=[record], force=force)

    found = results.neighbours[0]
    accuracy = found.test_accuracy or 0.0
    how = "on the test part itself" if select_on_test else "by leave-one-out on the training part"
    console.tell_output(
        path,
        f"holds the test accuracy for {count(len(found.ks), 'value')} of k. "
        f"With k = {found.k} (chosen {how}), {percent(accuracy)} of "
        f"{count(len(found.predictions), 'test image')} are classified right.",
        "tlcli report {}",
    )
    console.result(
        path,
        "results",
        k=found.k,
        selected_on=found.selected_on,
        test_accuracy=accuracy,
        cv_accuracy=found.cv_accuracy,
        content_sha256=written.provenance.content_sha256,
    )
