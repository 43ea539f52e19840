"""The provenance of a report: every command, every file with its digest, the seeds, recipes and versions."""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from tlcli import __version__
from tlcli.report.document import Block, Column, Table, Text, rows_of
from tlcli.report.registry import section
from tlcli.report.study import Study
from tlcli.report.study.entry import Entry, by
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
    commands = list(dict.fromkeys(replay_command(f) for f in files if _is_command(f.command)))
    if study.options.command:
        commands.append(line(study.options.command))
    if commands:
        yield Text("Run in an empty folder, in this order, these commands make every file again:")
        yield Text("\n".join(commands), "code")
    if lacking := [clean(f.name) for f in files if not _is_command(f.command)]:
        yield Text(f"Made otherwise than by a command of tlcli: {at_most(lacking)}.", "note")
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


def _is_command(text: str) -> bool:
    """Whether a recorded text is one command of tlcli, quoted so that a shell takes every word as it is."""
    try:
        words = shlex.split(text)
    except ValueError:
        return False
    return words[:1] == ["tlcli"] and shlex.join(words) == text


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
    entries = sorted(study.entries, key=lambda e: arm_order(e.method, e.arm))
    sets = by(entries, lambda e: (e.variant, e.method, e.arm, e.dataset)).values()

    def seeds(runs: Sequence[Entry]) -> str:
        return at_most([str(s) for s in sorted({e.seed for e in runs if e.seed is not None})], 12) or "none"

    def trained(e: Entry) -> int:
        return e.training.trainable_parameters

    alike = by(sets, lambda g: (g[0].variant, g[0].arm, seeds(g), g[0].parameters, trained(g[0]))).values()
    items = [(group[0][0], group) for group in alike]
    columns = [
        Column("arm", "arm", value=lambda item: item[0].arm),
        Column("variant", "variant", value=lambda item: item[0].variant),
        Column("runs", "runs", "count", value=lambda item: sum(map(len, item[1]))),
        Column("seeds", "seeds", value=lambda item: seeds(item[1][0])),
        Column("datasets", "training sets", value=lambda item: _sets(item[1])),
        Column("parameters", "parameters", "count", value=lambda item: item[0].parameters or None),
        Column("trainable", "trained parameters", "count", value=lambda item: trained(item[0]) or None),
    ]
    caption = f"Seeds and size of the networks: {plural(len(study.entries), 'run')} in all."
    return Table("seeds", caption, columns, rows_of(columns, items))


def _sets(groups: Sequence[Sequence[Entry]]) -> str:
    return at_most(list(dict.fromkeys(clean(runs[0].target.name) for runs in groups)), 12)


def _recipes(study: Study) -> Iterable[Block]:
    """A sentence with the shared values of the recipes, and a table of the others, without seeds."""
    sources = [(r.provenance.name, r.recipe) for r in study.records if isinstance(r, Results)]
    sources += [
        (c.provenance.name, {"architecture": c.architecture, **c.options, **c.recipe, "seed": c.seed})
        for c in study.checkpoints
    ]
    groups = by([s for s in sources if s[1]], lambda s: _text({k: v for k, v in s[1].items() if k != "seed"}))
    if not groups:
        return
    recipes = list(groups.values())
    keys = list(dict.fromkeys(k for (_, recipe), *_ in recipes for k in recipe))

    def value(group: Sequence[tuple[str, dict[str, Any]]], key: str) -> str | None:
        """What the recipes of a group, which differ in their seeds alone, have for a key."""
        texts = dict.fromkeys(_text(recipe.get(key)) for _, recipe in group)
        return clean(at_most(list(texts))) if key in group[0][1] else None

    alike = [k for k in keys if len({value(group, k) for group in recipes}) == 1]
    whose = "The recipe" if len(recipes) == 1 else "What all recipes share"
    yield Text(f"{whose}: {', '.join(f'{clean(k)} {value(recipes[0], k)}' for k in alike)}.", "note")
    if len(alike) < len(keys):
        columns = [Column("value", "value", value=clean)]
        for i, group in enumerate(recipes):
            names = at_most([clean(name or "results") for name, _ in group], 1)
            columns.append(Column(str(i), names, value=partial(value, group)))
        caption = "Where the recipes differ: a column per recipe, headed by its first file."
        yield Table("recipes", caption, columns, rows_of(columns, (k for k in keys if k not in alike)))


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
