"""How it was made: every command, every file with its digest, the seeds, the recipes, the versions."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from typing import Any

from tlcli import __version__
from tlcli.report.document import Column, Section, Table, Text
from tlcli.report.gather import Study, arm_order, by
from tlcli.report.words import at_most, clean, plural
from tlcli.store.records import Ancestor, Record, Results, Target, common_parents

KINDS = {
    "tlcli-dataset": "dataset",
    "tlcli-checkpoint": "checkpoint",
    "tlcli-embeddings": "embeddings",
    "tlcli-results": "results",
}


def section(study: Study, command: str) -> Section:
    """The commands in an order in which they can be run, then files, seeds, recipes and versions."""
    part = Section("made", "How it was made")
    files = in_order(common_parents(study.records)[1])
    commands = list(dict.fromkeys(line(f.command) for f in files if f.command))
    if command:
        commands.append(line(command))
    if commands:
        part.blocks += [
            Text("The commands, each after those whose files it reads:"),
            Text("\n".join(commands), "code"),
        ]
    part.blocks.append(_files(study, files))
    targets = {name: target for record in study.records for name, target in _targets(record)}
    part.blocks += [Text(f"{name}: {target.notes}") for name, target in targets.items() if target.notes]
    if study.entries:
        part.blocks.append(_seeds(study))
    if recipes := _recipes(study):
        part.blocks.append(recipes)
    part.blocks.append(_versions(files))
    return part


def _targets(record: Record) -> list[tuple[str, Target]]:
    return list(record.targets.items()) if isinstance(record, Results) else []


def in_order(files: Sequence[Ancestor]) -> list[Ancestor]:
    """Inputs before what is made from them; otherwise as they come."""
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
    rows = [
        {
            "name": clean(f.name or "(unnamed)"),
            "kind": KINDS.get(f.format, clean(f.format)),
            "given": "yes" if f.content_sha256 in given else "",
            "digest": clean_digest(f.content_sha256),
            "version": clean(f.generated_by or "unknown"),
        }
        for f in files
    ]
    columns = [
        Column("name", "file"),
        Column("kind", "kind"),
        Column("given", "given to this report"),
        Column("version", "made by"),
        Column("digest", "SHA-256 of the content", "digest"),
    ]
    return Table("files", "Every file that this report goes back to.", columns, rows)


def clean_digest(digest: str) -> str:
    return "".join(c for c in digest if c in "0123456789abcdef") or "unknown"


def _seeds(study: Study) -> Table:
    """A row for the runs that share arm, variant, seeds and size of network, over all their training sets."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for (variant, method, arm, _), group in by(
        sorted(study.entries, key=lambda e: arm_order(e.method, e.arm)),
        lambda e: (e.variant, e.method, e.arm, e.dataset),
    ).items():
        seeds = at_most([str(s) for s in sorted({e.run.seed for e in group})], 12)
        run = group[0].run
        key = (variant, arm, seeds, run.parameters, run.trainable_parameters)
        row = rows.setdefault(
            key,
            {
                "arm": arm,
                "variant": variant,
                "datasets": [],
                "runs": 0,
                "seeds": seeds if method != "knn" else "none",
                "parameters": run.parameters or None,
                "trainable": run.trainable_parameters,
            },
        )
        row["datasets"].append(clean(group[0].target.name))
        row["runs"] += len(group)
    for row in rows.values():
        row["datasets"] = at_most(list(dict.fromkeys(row["datasets"])), 12)
    columns = [Column("arm", "arm")]
    columns += [Column("variant", "variant")] if any(r["variant"] for r in rows.values()) else []
    columns += [
        Column("runs", "runs", "count"),
        Column("seeds", "seeds"),
        Column("datasets", "training sets"),
        Column("parameters", "parameters", "count"),
        Column("trainable", "trained parameters", "count"),
    ]
    caption = f"Seeds and size of the networks: {plural(len(study.entries), 'run')} in all."
    return Table("seeds", caption, columns, list(rows.values()))


def _recipes(study: Study) -> Table | None:
    """Every value of every recipe; files whose recipes differ in the seed alone share a column."""
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
        return None
    keys = list(dict.fromkeys(k for recipe, _, _ in recipes.values() for k in recipe))
    caption = "How the networks were trained: a column per recipe, headed by its first file."
    columns, rows = [Column("value", "value")], {k: {"value": clean(k)} for k in keys}
    for i, (recipe, names, seeds) in enumerate(recipes.values()):
        columns.append(Column(str(i), at_most(names, 1)))
        for k, value in recipe.items():
            rows[k][str(i)] = clean(at_most([_text(s) for s in seeds]) if k == "seed" else _text(value))
    return Table("recipes", caption, columns, list(rows.values()))


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
