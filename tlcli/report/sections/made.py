"""The provenance of a report: every command, every file with its digest, the seeds, recipes and versions."""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from tlcli import __version__
from tlcli.report.document import Block, Column, Table, Text, rows_of
from tlcli.report.registry import section
from tlcli.report.study import Study
from tlcli.report.study.entry import by
from tlcli.report.study.order import arm_order
from tlcli.report.words import at_most, clean, plural
from tlcli.store.records import Ancestor, Checkpoint, Embeddings, Results, common_parents

KINDS = {
    "tlcli-dataset": "dataset",
    "tlcli-checkpoint": "checkpoint",
    "tlcli-embeddings": "embeddings",
    "tlcli-results": "results",
}


@section("made", "How it was made", order=90, per_task=False, folded=True)
def provenance(study: Study, task: None) -> Iterable[Block]:
    """The commands in an order that can be run, then versions, files, seeds and recipes."""
    files = in_order(common_parents(study.records)[1])
    commands = list(dict.fromkeys(replay_command(f) for f in files if f.command))
    if study.options.command:
        commands.append(line(study.options.command))
    if commands:
        yield Text("Run in an empty folder, in this order, these commands make every file again:")
        yield Text("\n".join(commands), "code")
    names = [f.name for f in files if f.command]
    if twice := sorted({clean(n) for n in names if names.count(n) > 1}):
        yield Text(
            f"More than one file is called {at_most(twice, 3)}: give them names of their own first.", "note"
        )
    yield _versions(files)
    yield _files(study, files)
    yield from (Text(f"{clean(name)}: {notes}") for name, notes in _notes(study).items())
    if study.entries:
        yield _seeds(study)
    yield from _recipes(study)


def _notes(study: Study) -> dict[str, str]:
    """The warnings of `split` in the data that the files were made from, by target or file."""
    found: dict[str, str] = {}
    for record in study.records:
        if isinstance(record, Results):
            found |= {name: target.notes for name, target in record.targets.items()}
        elif isinstance(record, Checkpoint | Embeddings):
            found[record.provenance.name] = " ".join(record.notes)
    return {name: notes for name, notes in found.items() if notes}


def replay_command(f: Ancestor) -> str:
    """The command of a file, with the name of its output."""
    return line(f.command if not f.name or f.name == "stdin" else f"{f.command} -o {shlex.quote(f.name)}")


def in_order(files: Sequence[Ancestor]) -> list[Ancestor]:
    """The files in order, each after its inputs."""
    known = {f.content_sha256: f for f in files}
    done: dict[str, Ancestor] = {}
    stack = [(f, False) for f in reversed(files)]
    open_files: set[str] = set()
    while stack:
        f, finished = stack.pop()
        if finished:
            done[f.content_sha256] = f
        elif f.content_sha256 not in done and f.content_sha256 not in open_files:
            open_files.add(f.content_sha256)
            stack.append((f, True))
            stack += [(known[p], False) for p in reversed(f.parents) if p in known]
    return list(done.values())


def line(command: str) -> str:
    """A command as one printable line."""
    return "".join(c if c.isprintable() else "\ufffd" for c in command)


def _files(study: Study, files: Sequence[Ancestor]) -> Table:
    given = {r.provenance.content_sha256 for r in study.records}
    computed_by = {r.provenance.content_sha256: r.provenance.computed_by for r in reversed(study.records)}

    def computing(f: Ancestor) -> str:
        """Backend, device, precision and threads of the file's networks, if it keeps them."""
        known = computed_by.get(f.content_sha256, f.computed_by)
        return ", ".join(f"{clean(k)} {clean(v)}" for k, v in sorted(known.items()))

    columns = [
        Column("name", "file", value=lambda f: clean(f.name or "(unnamed)")),
        Column("kind", "kind", value=lambda f: KINDS.get(f.format, clean(f.format))),
        Column("given", "given to this report", value=lambda f: "yes" if f.content_sha256 in given else ""),
        Column("version", "made by", value=lambda f: clean(f.generated_by or "unknown")),
        Column("computed", "computed by", value=computing),
        Column("digest", "SHA-256 of the content", "digest", value=lambda f: clean_digest(f.content_sha256)),
    ]
    return Table("files", "Every file that this report goes back to.", columns, rows_of(columns, files))


def clean_digest(digest: str) -> str:
    return "".join(c for c in digest if c in "0123456789abcdef") or "unknown"


def _seeds(study: Study) -> Table:
    """A row for the runs that share arm, variant, seeds and size of network, over all their training sets."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    entries = sorted(study.entries, key=lambda e: arm_order(e.method, e.arm))
    for group in by(entries, lambda e: (e.variant, e.method, e.arm, e.dataset)).values():
        e = group[0]
        known = sorted({e.seed for e in group if e.seed is not None})
        seeds = at_most([str(s) for s in known], 12) or "none"
        row = rows.setdefault(
            (e.variant, e.arm, seeds, e.parameters, e.training.trainable_parameters),
            {
                "arm": e.arm,
                "variant": e.variant,
                "datasets": [],
                "runs": 0,
                "seeds": seeds,
                "parameters": e.parameters or None,
                "trainable": e.training.trainable_parameters or None,
            },
        )
        row["datasets"].append(clean(e.target.name))
        row["runs"] += len(group)
    for row in rows.values():
        row["datasets"] = at_most(list(dict.fromkeys(row["datasets"])), 12)
    columns = [
        Column("arm", "arm"),
        Column("variant", "variant", shown=any(r["variant"] for r in rows.values())),
        Column("runs", "runs", "count"),
        Column("seeds", "seeds"),
        Column("datasets", "training sets"),
        Column("parameters", "parameters", "count"),
        Column("trainable", "trained parameters", "count"),
    ]
    caption = f"Seeds and size of the networks: {plural(len(study.entries), 'run')} in all."
    return Table("seeds", caption, columns, list(rows.values()))


def _recipes(study: Study) -> Iterable[Block]:
    """A sentence with the shared values of the recipes, and a table of the others, without seeds."""
    recipes: dict[str, tuple[dict[str, Any], list[str], list[Any]]] = {}
    sources = [(r.provenance.name, r.recipe) for r in study.records if isinstance(r, Results)]
    sources += [
        (c.provenance.name, {"architecture": c.architecture, **c.options, **c.recipe, "seed": c.seed})
        for c in study.checkpoints
    ]
    for name, recipe in sources:
        if recipe:
            key = json.dumps({k: v for k, v in recipe.items() if k != "seed"}, sort_keys=True, default=str)
            _, names, seeds = recipes.setdefault(key, (recipe, [], []))
            names.append(clean(name or "results"))
            if recipe.get("seed") not in seeds:
                seeds.append(recipe.get("seed"))
    if not recipes:
        return
    keys = list(dict.fromkeys(k for recipe, _, _ in recipes.values() for k in recipe))
    columns, rows = [Column("value", "value")], {k: {"value": clean(k)} for k in keys}
    for i, (recipe, names, seeds) in enumerate(recipes.values()):
        columns.append(Column(str(i), at_most(names, 1)))
        for k, value in recipe.items():
            rows[k][str(i)] = clean(at_most([_text(s) for s in seeds]) if k == "seed" else _text(value))
    numbers = [str(i) for i in range(len(recipes))]
    alike = [k for k in keys if len({rows[k].get(i) for i in numbers}) == 1]
    shared = [f"{clean(k)} {rows[k]['0']}" for k in alike]
    whose = "The recipe" if len(recipes) == 1 else "What all recipes share"
    yield Text(f"{whose}: {', '.join(shared)}.", "note")
    caption = "Where the recipes differ: a column per recipe, headed by its first file."
    differing = [rows[k] for k in keys if k not in alike]
    if differing:
        yield Table("recipes", caption, columns, differing)


def _text(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _versions(files: Sequence[Ancestor]) -> Text:
    import matplotlib
    import numpy
    import scipy

    made = sorted({clean(f.generated_by) for f in files if f.generated_by})
    return Text(
        f"Files made by {at_most(made) or 'unknown'}. Report made by tlcli {__version__} with Python "
        f"{platform.python_version()}, numpy {numpy.__version__}, scipy {scipy.__version__}, matplotlib "
        f"{matplotlib.__version__}.",
        "note",
    )
