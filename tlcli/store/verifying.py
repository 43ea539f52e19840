"""Check a file against its own digests, and its inputs against those it recorded."""

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

    state: `same` if a file of that name beside it has the recorded content digest, `other` if it has another
    or cannot be read, `absent` if there is none.
    """

    parent: Parent
    state: str


@dataclass(frozen=True)
class VerifyReport:
    """`ok` is true if everything in the file is readable, sound and as its digests say."""

    name: str
    kind: str
    """The file's format; empty if unknown."""
    ok: bool
    problems: tuple[str, ...]
    content_sha256: str = ""
    parents: tuple[ParentCheck, ...] = ()
    """The inputs in the folder of the file. They do not count for `ok`."""


def verify(path: str | Path) -> VerifyReport:
    """Read everything in a file, recompute both digests, and compare.

    A flipped bit anywhere in the data or the attributes shows: it changes a digest, or the file cannot be
    read. A bad file gives a report, not an error.
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
    """Compare the digest that the file beside states. `verify` that file to check its digest."""
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
