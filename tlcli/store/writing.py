"""Write a record, checked against the schema, with its provenance, whole or not at all."""

from __future__ import annotations

import dataclasses
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from tlcli import __version__
from tlcli.errors import TlcliError
from tlcli.store import digest, formats
from tlcli.store.atomic import atomic_file, check_output, write_error
from tlcli.store.layout import write_tree
from tlcli.store.records import Checkpoint, Dataset, Embeddings, Provenance, Record, Results, common_parents
from tlcli.store.schema_parts import VERSION
from tlcli.store.tree import Tree, base_name, printable, to_json

R = TypeVar("R", Dataset, Checkpoint, Embeddings, Results)


def write(
    path: str | Path,
    record: R,
    *,
    command: str = "",
    parents: Sequence[Record] = (),
    force: bool = False,
    follow: bool = True,
) -> R:
    """Write a record and return it with its provenance filled in.

    The path `-` writes the bytes of the file to stdout. The file records `command` as its origin and
    `parents`, the records it was made from, and keeps `computed_by` of the record's own provenance. It
    appears whole or not at all. A link is written through; without `follow` it is replaced. Raises
    TlcliError if the file exists and `force` is not given, if it cannot be written, and if the record breaks
    the schema.
    """
    known = [parent for parent in parents if parent.provenance.content_sha256]
    above, ancestry = common_parents(known)
    origin = Provenance(
        printable(command),
        above,
        ancestry,
        f"tlcli {__version__}",
        name=base_name(path),
        computed_by=record.provenance.computed_by,
    )
    check_output(path, force, follow=follow)
    tree = _tree(record, origin)
    content = _write_stdout(tree) if str(path) == "-" else _write_file(tree, Path(path), force, follow)
    return dataclasses.replace(record, provenance=dataclasses.replace(origin, content_sha256=content))


def _tree(record: Record, origin: Provenance) -> Tree:
    """The record as a tree, with its origin, checked against the schema."""
    tree = formats.to_tree(record)
    tree.set("", "format", tree.format)
    tree.set("", "format_version", VERSION)
    tree.set("", "generated_by", origin.generated_by)
    tree.set("", "command", origin.command)
    tree.set_json("", "parents", [dataclasses.asdict(parent) for parent in origin.parents])
    tree.datasets["ancestry"] = to_json([dataclasses.asdict(ancestor) for ancestor in origin.ancestry])
    tree.set_json("", "computed_by", origin.computed_by)
    tree.set("", "content_sha256", "")
    tree.set("", "provenance_sha256", digest.provenance_digest(tree))
    formats.check_tree(tree)
    return tree


def _write_file(tree: Tree, path: Path, force: bool, follow: bool) -> str:
    with atomic_file(path, force, follow=follow) as temporary:
        try:
            with open(temporary, "r+b", buffering=0) as raw:
                return write_tree(raw, tree)
        except OSError as error:
            raise write_error(path, error) from error


def _write_stdout(tree: Tree) -> str:
    image = io.BytesIO()
    content = write_tree(image, tree)
    try:
        sys.stdout.buffer.write(image.getbuffer())
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        raise TlcliError("stdout could not be written: the program that reads it has stopped.") from error
    except OSError as error:
        raise write_error("stdout", error) from error
    return content
