"""Open zip archives that may be hostile."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tlcli.errors import TlcliError
from tlcli.store.budget import DEFLATE, OBJECT, Budget


def open_archive(path: Path, budget: Budget, what: str = "a zip archive") -> zipfile.ZipFile:
    """Open a zip, or an `.npz`, whose members are stored or deflated and unpack to what the budget allows.

    Raises TlcliError for a damaged archive, and for members that are packed otherwise: one block of bzip2 or
    LZMA may unpack to any size, and zipfile keeps all of it.
    """
    with refuse_damaged(path, what):
        archive = zipfile.ZipFile(path)
    members = archive.infolist()
    budget.take(len(members) * OBJECT, f"the {len(members):,} members")
    for member in members:
        name = f"{path.name} holds {member.filename!r:.100}"
        if member.compress_type not in _RATIOS:
            packed = _PACKED.get(member.compress_type, f"method {member.compress_type}")
            raise TlcliError(
                f"{name}, packed with {packed}; expected members that are stored or deflated. Pack it again."
            )
        if member.flag_bits & _ENCRYPTED:
            raise TlcliError(f"{name}, which is encrypted; expected members that need no password.")
        if member.file_size > member.compress_size * _RATIOS[member.compress_type]:
            raise TlcliError(
                f"{name}, which declares {member.file_size:,} bytes and has {member.compress_size:,}."
            )
    if sum(member.compress_size for member in members) > path.stat().st_size:
        raise TlcliError(f"{path.name} has members that overlap: refused.")
    total = sum(member.file_size for member in members)
    if not budget.allows(total):
        raise TlcliError(f"{path.name} is refused: {budget.refusal('what its members unpack to', total)}.")
    return archive


@contextlib.contextmanager
def refuse_damaged(path: Path, what: str = "a zip archive") -> Iterator[None]:
    """Turn the many kinds of errors that zipfile raises on a damaged file into a TlcliError."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise TlcliError(f"{path.name} cannot be read as {what}: {error!s:.200}") from None


_RATIOS = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: DEFLATE}
"""The most that a member expands, as a factor, by its kind of compression."""
_PACKED = {9: "Deflate64", zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "LZMA", 93: "Zstandard"}
_ENCRYPTED = 1
