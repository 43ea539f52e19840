"""Read HDF5 files as records, through the gate, and check every digest."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, TypeVar, cast

from tlcli.errors import TlcliError
from tlcli.store import checks, digest, formats, schema, version_1
from tlcli.store.elements import Format
from tlcli.store.opening import OpenFile, open_hdf5
from tlcli.store.records import (
    Ancestor,
    Checkpoint,
    Dataset,
    Embeddings,
    Parent,
    Provenance,
    Record,
    Results,
)
from tlcli.store.schema_parts import VERSION
from tlcli.store.tree import Tree, base_name, from_json

R = TypeVar("R", Dataset, Checkpoint, Embeddings, Results)


def read(path: str | Path, kind: type[R]) -> R:
    """Read a file of one kind; `-` is stdin. Raises TlcliError if it is missing, damaged or of another
    kind."""
    return cast(R, read_any(path, (kind,)))


def read_any(path: str | Path, kinds: tuple[type, ...] | None = None) -> Record:
    """Read a file of any of the given kinds (all four by default). Raises TlcliError."""
    with open_hdf5(path) as file:
        found = check_kind(file, kinds or formats.KINDS)
        tree = load_tree(file, found)
        name = file.name
    try:
        return build(tree, base_name(path))
    except TlcliError as error:
        raise TlcliError(f"{name} is not a sound {found.noun} file. {error}") from error


def file_format(path: str | Path) -> str:
    """The format of a file, for example `tlcli-dataset`; `hdf5` for one that tlcli did not write."""
    with open_hdf5(path) as file:
        found = file.root_attribute("format")
    return found if isinstance(found, str) and found in schema.FORMATS else "hdf5"


def check_kind(file: OpenFile, kinds: tuple[type, ...]) -> Format:
    """The format of an open file, in its version. Raises TlcliError if it is not among `kinds`."""
    expected = [schema.FORMATS[kind.format] for kind in kinds]  # type: ignore[attr-defined]
    wanted = " or ".join(f"{a_noun(f.noun)} (written by `{f.command}`)" for f in expected)
    found = file.root_attribute("format")
    if not isinstance(found, str) or found not in schema.FORMATS:
        raise TlcliError(f"{file.name} is an HDF5 file, but none that tlcli wrote; expected {wanted}.")
    kind = schema.FORMATS[found]
    if kind not in expected:
        raise TlcliError(f"{file.name} holds {a_noun(kind.noun)} ({kind.name}); expected {wanted}.")
    version = file.root_attribute("format_version")
    if type(version) is int and version > VERSION:
        raise TlcliError(
            f"{file.name} has format version {version}; this tlcli reads 1...{VERSION}.\n"
            "Install a newer tlcli to read it."
        )
    if type(version) is not int or version < 1:
        raise TlcliError(f"{file.name} has the format version {version!r:.40}; expected {VERSION}.")
    return version_1.FORMATS[found] if version == 1 else kind


def a_noun(noun: str) -> str:
    return noun if noun.endswith("s") else f"a {noun}"


def load_tree(file: OpenFile, kind: Format) -> Tree:
    """Everything in the file, after the gate and the schema have checked its outline."""
    items = file.items()
    stored = {path: item for path, item in items.items() if item.kind == "dataset"}
    outline = {path: (item.dtype, item.shape) for path, item in stored.items()}
    attributes = {path: item.attributes for path, item in items.items() if item.attributes}
    groups = [path for path, item in items.items() if item.kind == "group"]
    try:
        checks.check_outline(kind, outline, attributes, groups)
    except TlcliError as error:
        raise TlcliError(f"{file.name} is not a sound {kind.noun} file. {error}") from error
    loaded = {
        path: file.load_images(item) if path.endswith("/images") else file.load(item)
        for path, item in stored.items()
    }
    return Tree(kind.name, loaded, attributes)


def build(tree: Tree, name: str) -> Record:
    """The record of a tree that was read, with its digests and values checked. Raises TlcliError."""
    check_digests(tree)
    tree = version_1.translate(tree)
    return dataclasses.replace(formats.from_tree(tree), provenance=take_provenance(tree, name))


def check_digests(tree: Tree) -> None:
    """Recompute both digests. Raises TlcliError if one does not fit."""
    data = {path: digest.data_digest(values) for path, values in tree.datasets.items()}
    if digest.content_digest(tree, data) != tree.get("", "content_sha256"):
        raise TlcliError("Its content does not fit its digest: it was changed or damaged. Make it again.")
    if digest.provenance_digest(tree) != tree.get("", "provenance_sha256"):
        raise TlcliError("Its provenance does not fit its digest: it was changed or damaged. Make it again.")


def take_provenance(tree: Tree, name: str) -> Provenance:
    """The provenance that a tree holds. Raises TlcliError if it has another form."""
    return Provenance(
        command=tree.get("", "command"),
        parents=tuple(_parent(value) for value in tree.get_json("", "parents")),
        ancestry=tuple(_ancestor(value) for value in _list(from_json(tree.datasets["ancestry"], "ancestry"))),
        generated_by=tree.get("", "generated_by"),
        content_sha256=tree.get("", "content_sha256"),
        name=name,
        computed_by=_computed_by(tree.get_json("", "computed_by")),
    )


def _computed_by(value: Any) -> dict[str, Any]:
    plain = isinstance(value, dict) and all(isinstance(v, str | int | float) for v in value.values())
    if not plain:
        raise TlcliError("'computed_by' has another form; expected names with texts or numbers.")
    return value


_PARENT = {"name", "format", "content_sha256"}
_ANCESTOR = _PARENT | {"command", "generated_by"}


def _parent(value: Any) -> Parent:
    _check_texts(value, _PARENT, "parents")
    return Parent(**value)


def _ancestor(value: Any) -> Ancestor:
    more = ("parents", "computed_by")
    texts = {k: v for k, v in value.items() if k not in more} if isinstance(value, dict) else value
    _check_texts(texts, _ANCESTOR, "ancestry")
    above = _list(value.get("parents"))
    if not all(isinstance(text, str) for text in above):
        raise TlcliError("'ancestry' has an entry of another form than expected.")
    return Ancestor(**texts, parents=tuple(above), computed_by=_computed_by(value.get("computed_by", {})))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TlcliError("'ancestry' is not a list.")
    return value


def _check_texts(value: Any, names: set[str], where: str) -> None:
    fine = isinstance(value, dict) and set(value) == names
    if not fine or not all(isinstance(text, str) for text in value.values()):
        raise TlcliError(f"'{where}' has an entry of another form than expected.")
    if not re.fullmatch("[0-9a-f]{64}", value["content_sha256"]):
        raise TlcliError(f"'{where}' has an entry without a SHA-256.")
