"""`tlcli inspect`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlcli.cli.inputs import check_inputs
from tlcli.cli.options import Debug, Force, Json, Quiet
from tlcli.cli.output import Console, count, format_table, percent, print_json, print_lines, shorten, size
from tlcli.errors import UsageError

if TYPE_CHECKING:
    from tlcli.store import Entry, FileDescription, Provenance

EXAMPLES = [
    "tlcli inspect digits-0-5.h5",
    "tlcli inspect digits-0-5.h5 --images digits.png",
    "tlcli inspect base.h5 --json",
]

_BAR = 30
_CLASSES = 24
_SIBLINGS = 6
_NAME = 200
_LONG_TREE = 150


def inspect(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Any HDF5 file; - is stdin.")],
    images: Annotated[
        str | None,
        typer.Option("--images", metavar="PNG", help="Write a sheet of sample images of a data set here."),
    ] = None,
    whole_tree: Annotated[bool, typer.Option("--all", help="List every object of a large tree.")] = False,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show what a file is, what it holds and how it was made.

    Results show their accuracies first. Then come the balance of the classes, the tree with types, shapes,
    compression and sizes, what computed a network, and the commands that made the file and its inputs. A file
    that tlcli did not write is described, too. Links out of the file are not followed.
    """
    from tlcli import store

    console = Console(as_json=as_json, quiet=quiet)
    check_inputs(file)
    if images is not None:
        _check_sheet(file, images, force)
    description = store.describe(file)
    if as_json:
        print_json(as_object(file, description))
    else:
        print_lines(
            *overview(description),
            *accuracies(description),
            *balance(description),
            "",
            *tree(description, whole_tree),
            *origin(description),
        )
    if images is not None:
        from tlcli.cli.sheet import write_sheet

        write_sheet(store.read(file, store.Dataset), images, force=force)
        console.note(f"{images} shows sample images, one row for each class.")


def _check_sheet(file: str, images: str, force: bool) -> None:
    from tlcli import store

    if file == "-":
        raise UsageError("--images needs the file by name: stdin can be read only once.")
    if not images.lower().endswith(".png"):
        raise UsageError(f"--images writes PNG; received '{images}', expected a name that ends in .png.")
    store.check_output(images, force)


def overview(description: FileDescription) -> list[str]:
    """What the file is, in a sentence, why tlcli would not read it, and its warnings."""
    problems = [f"tlcli would not read it: {problem}" for problem in description.problems[:5]]
    notes = [f"note: {note}" for note in description.details.get("notes", ())]
    return [f"{description.name}: {description.sentence}. {size(description.size)}.", *problems, *notes]


def accuracies(description: FileDescription) -> list[str]:
    """The test accuracy of each arm on each data set, and the seconds of a run if the file has them."""
    cells = description.details.get("accuracies", [])
    if not cells:
        return []
    timed = any(cell["seconds"] is not None for cell in cells)
    rows = [
        (
            cell["dataset"],
            f"{cell['size']:,}",
            cell["arm"],
            str(cell["runs"]),
            "" if cell["mean"] is None else percent(cell["mean"]),
            "" if cell["sd"] is None else percent(cell["sd"]),
            *(["" if cell["seconds"] is None else f"{cell['seconds']:,.1f}"] if timed else []),
        )
        for cell in cells
    ]
    header = ["data set", "training images", "arm", "runs", "test accuracy", "standard deviation"]
    return ["", *format_table([*header, *(["seconds a run (median)"] if timed else [])], rows)]


def balance(description: FileDescription) -> Iterator[str]:
    """Bars for the number of images of each class, part by part."""
    block = "█" if _can_print("█") else "#"
    for part, counts in description.class_counts.items():
        most = max(counts.values(), default=0) or 1
        shown = [(shorten(name, _NAME), number) for name, number in list(counts.items())[:_CLASSES]]
        width = max((len(name) for name, _ in shown), default=0)
        digits = len(f"{most:,}")
        yield ""
        yield f"{part}: {count(sum(counts.values()), 'image')}"
        for name, number in shown:
            yield f"  {name:<{width}}  {number:>{digits},}  {block * round(_BAR * number / most)}".rstrip()
        if rest := list(counts.values())[_CLASSES:]:
            yield f"  and {len(rest)} more classes of {min(rest):,} to {max(rest):,} images"


def _can_print(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def tree(description: FileDescription, whole: bool) -> list[str]:
    """Every object with its type, shape, filters and size; the first few of many alike, unless `whole`."""
    entries = [e for e in description.entries if e.path != "/"]
    hidden = 0
    if not whole and len(entries) > _LONG_TREE:
        kept = _first_of_each_group(entries)
        hidden, entries = len(entries) - len(kept), kept
    rows = [
        (
            shorten(e.path, _NAME),
            e.dtype or e.kind,
            "x".join(map(str, e.shape)) or ("scalar" if e.dtype else ""),
            e.compression or ("none" if e.chunks or e.dtype else ""),
            size(e.storage) if e.dtype else "",
        )
        for e in entries
    ]
    more = [f"and {hidden:,} more; --all lists them"] if hidden else []
    return [*format_table(("object", "type", "shape", "filters", "size"), rows), *more]


def _first_of_each_group(entries: tuple[Entry, ...] | list[Entry]) -> list[Entry]:
    """The entries without the members of a group beyond the first few, and all below those."""
    seen: dict[str, int] = {}
    left_out: set[str] = set()
    kept = []
    for entry in sorted(entries, key=lambda e: e.path.count("/")):
        above = entry.path.rpartition("/")[0]
        seen[above] = seen.get(above, 0) + 1
        if above in left_out or seen[above] > _SIBLINGS:
            left_out.add(entry.path)
        else:
            kept.append(entry)
    order = {entry.path: position for position, entry in enumerate(entries)}
    return sorted(kept, key=lambda e: order[e.path])


def origin(description: FileDescription) -> Iterator[str]:
    """The command that made the file, those that made its inputs, and so on back to the splits."""
    made = description.provenance
    if made is None:
        return
    yield ""
    yield f"made by {made.generated_by}: {made.command or 'the Python API'}"
    if made.computed_by:
        yield "computed by " + ", ".join(f"{name} {value}" for name, value in made.computed_by.items())
    yield f"content {made.content_sha256}"
    known = {a.content_sha256: a for a in made.ancestry}
    seen: set[str] = set()

    def lines_above(digests: tuple[str, ...], depth: int) -> Iterator[str]:
        for digest in digests:
            if (ancestor := known.get(digest)) is not None and depth < 20:
                indent, kind = "  " * depth, ancestor.format.removeprefix("tlcli-")
                yield f"{indent}from {ancestor.name} ({kind}, {digest[:12]})"
                yield f"{indent}     {ancestor.command or 'the Python API'}"
                if digest not in seen:  # an input of several files is shown once
                    seen.add(digest)
                    yield from lines_above(ancestor.parents, depth + 1)

    yield from lines_above(tuple(parent.content_sha256 for parent in made.parents), 1)


def as_object(path: str, description: FileDescription) -> dict[str, Any]:
    """The same for a program."""
    made: Provenance | None = description.provenance
    return {
        "path": path,
        "kind": description.kind.removeprefix("tlcli-"),
        "sentence": description.sentence,
        "size": description.size,
        "problems": description.problems,
        "details": description.details,
        "class_counts": description.class_counts,
        "tree": [asdict(entry) for entry in description.entries],
        "provenance": None if made is None else asdict(made),
    }
