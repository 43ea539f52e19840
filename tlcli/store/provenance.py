"""The origin of a file: its command, its inputs, their inputs, and what computed it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tlcli.text import short_repr


@dataclass(frozen=True)
class Parent:
    """One input of a file: its name (no path), its format and its content digest."""

    name: str
    format: str
    content_sha256: str


@dataclass(frozen=True)
class Ancestor:
    """A file somewhere up the chain of inputs, as the `ancestry` of a file lists it."""

    name: str
    format: str
    content_sha256: str
    command: str
    generated_by: str
    parents: tuple[str, ...] = ()
    """The content digests of its own inputs."""
    computed_by: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Provenance:
    """The origin of a file. `content_sha256` is empty until the file has been written or read."""

    command: str = ""
    parents: tuple[Parent, ...] = ()
    ancestry: tuple[Ancestor, ...] = ()
    """Every file up the chain, nearest first, each once."""
    generated_by: str = ""
    content_sha256: str = ""
    name: str = ""
    """The file's own name without folder, or `stdin`."""
    computed_by: dict[str, Any] = field(default_factory=dict)
    """What computed a network: `backend`, `device`, `precision`, `threads`, as texts and numbers; empty
    without a network. The training sets it and `write` keeps it; the content digest leaves it out."""

    __repr__ = short_repr
