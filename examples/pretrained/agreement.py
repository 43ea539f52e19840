"""How well the scores of `tlcli rank` agree with what the bases turn out to be worth: Kendall's tau.

    python agreement.py FOLDER

FOLDER holds ranking-TARGET.h5 and to-TARGET-BASE.h5 for every base of the ranking that has been tried.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tlcli import store
from tlcli.analysis.transferability import kendall

SCORES = ("logistic", "neighbours", "log_me", "h_score", "leep")
METHODS = ("logistic", "finetune", "finetune:statistics=1")


def tables(folder: Path) -> Iterator[str]:
    """The lines of two tables of Markdown for each target: scores and test accuracies, and tau."""
    for ranking in sorted(folder.glob("ranking-*.h5")):
        target = ranking.stem.removeprefix("ranking-")
        rows = []
        for one in store.read(ranking, store.Results).rankings:
            path = folder / f"to-{target}-{one.base}"
            if path.exists():
                runs = store.read(path, store.Results).runs
                rows.append((one, {run.arm: run.test_accuracy for run in runs}))
        rows.sort(key=lambda row: -row[1][METHODS[-1]])
        yield f"\n| base, for {target} | {' | '.join(SCORES)} | test: `{'` | test: `'.join(METHODS)}` |"
        yield "| --- |" + " ---: |" * (len(SCORES) + len(METHODS))
        for one, found in rows:
            scores = [100 * one.logistic, 100 * one.neighbours, one.log_me, one.h_score, one.leep]
            cells = ["–" if score is None else f"{score:.2f}" for score in scores]
            cells += [f"{100 * found[method]:.2f}" for method in METHODS]
            yield f"| {one.base.removeprefix('b-').removesuffix('.h5')} | {' | '.join(cells)} |"
        yield f"\n| score, {len(rows)} bases for {target} | tau with `{'` | tau with `'.join(METHODS)}` |"
        yield "| --- |" + " ---: |" * len(METHODS)
        for score in SCORES:
            known = [(getattr(one, score), found) for one, found in rows if getattr(one, score) is not None]
            cells = []
            for method in METHODS:
                tau, low, high = kendall([s for s, _ in known], [found[method] for _, found in known])
                cells.append(f"{tau:.2f} ({low:.2f} to {high:.2f})")
            yield f"| {score} | {' | '.join(cells)} |"


if __name__ == "__main__":
    print(*tables(Path(sys.argv[1])), sep="\n")
