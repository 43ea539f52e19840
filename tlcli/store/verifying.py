"""Checking a file against its own digests, and its inputs against those it recorded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tlcli.errors import TlcliError
from tlcli.store import formats, reading
from tlcli.store.opening import open_hdf5
from tlcli.store.records import Parent
from tlcli.store.tree import base_name


@dataclass(frozen=True)
class ParentCheck:
    """One recorded input.

    state: `same` when a file of that name lies beside and has the recorded content digest, `other` when it
    has another one or cannot be read, `absent` when there is none.
    """

    parent: Parent
    state: str


@dataclass(frozen=True)
class VerifyReport:
    """`ok` is true when everything in the file is readable, sound and as its digests say."""

    name: str
    kind: str
    """Empty when it could not be found out."""
    ok: bool
    problems: tuple[str, ...]
    content_sha256: str = ""
    parents: tuple[ParentCheck, ...] = ()
    """The inputs, looked for in the folder of the file. They do not count into `ok`."""


def verify(path: str | Path) -> VerifyReport:
    """Read everything in a file, recompute both digests, and compare.

    A bit that flipped anywhere in the data or the attributes is found: it changes a digest, or the file
    cannot be read. Never raises TlcliError for a bad file: that is what the report is for.
    """
    name = base_name(path)
    kind = ""
    try:
        with open_hdf5(path) as file:
            found = reading.check_kind(file, formats.KINDS)
            kind = found.name
            tree = reading.load_tree(file, found)
        record = reading.build(tree, name)
    except TlcliError as error:
        return VerifyReport(name, kind, False, (str(error),))
    above = record.provenance.parents
    beside = () if str(path) == "-" else tuple(_check_parent(Path(path).parent, parent) for parent in above)
    return VerifyReport(name, kind, True, (), record.provenance.content_sha256, beside)


def _check_parent(folder: Path, parent: Parent) -> ParentCheck:
    """Compare the digest that the file beside states; `verify` that file to know that it is true."""
    path = folder / Path(parent.name).name
    try:
        there = parent.name == path.name and path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        there = False
    if not there:
        return ParentCheck(parent, "absent")
    try:
        with open_hdf5(path) as file:
            same = (
                file.root_attribute("content_sha256") == parent.content_sha256
                and file.root_attribute("format") == parent.format
            )
    except TlcliError:
        same = False
    return ParentCheck(parent, "same" if same else "other")
