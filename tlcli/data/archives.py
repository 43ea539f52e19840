"""Files out of a folder or a tar archive. Nothing is ever unpacked to disk, so nothing can leave a folder."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from tlcli.errors import TlcliError

_LARGEST = 1 << 30
"""Bytes that an archive may unpack to, all members together."""


def read_files(container: Path, sizes: Mapping[str, int]) -> dict[str, bytes]:
    """The content of the named files of a folder or of a tar archive (gzipped or not).

    `sizes` gives the most bytes that each may have; in an archive they may lie in any folder. A file that
    is missing is missing in the answer. Raises TlcliError for one that is larger, an archive
    that cannot be read, and one with a member that points outside.
    """
    return _from_folder(container, sizes) if container.is_dir() else _from_tar(container, sizes)


def _from_folder(folder: Path, sizes: Mapping[str, int]) -> dict[str, bytes]:
    found = {}
    for name, limit in sizes.items():
        path = folder / name
        if not path.is_file():
            continue
        if path.stat().st_size > limit:
            raise TlcliError(f"{name} has {path.stat().st_size} bytes: expected {limit} at most")
        try:
            found[name] = path.read_bytes()
        except OSError as error:
            raise TlcliError(f"cannot read {name}: {error.strerror}") from None
    return found


def _from_tar(path: Path, sizes: Mapping[str, int]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with open(path, "rb") as raw:
            gzipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = gzip.GzipFile(fileobj=raw) if gzipped else raw
            limited = cast(BinaryIO, _Limited(stream, path))
            with tarfile.open(fileobj=limited, mode="r|") as archive:
                for member in archive:
                    check_member(path.name, member.name)
                    if member.size > _LARGEST:  # before it is passed by, which takes as long as it is large
                        raise TlcliError(
                            f"{member.name!r:.100} in {path.name} declares {member.size:.3g} "
                            f"bytes: expected {_LARGEST} at most"
                        )
                    if not (member.isfile() or member.isdir()):
                        raise TlcliError(f"{path.name} holds {member.name!r:.100}, a link or device: refused")
                    name = PurePosixPath(member.name).name
                    if name in sizes and member.isfile() and name not in found:
                        if member.size > sizes[name]:
                            raise TlcliError(
                                f"{member.name!r:.100} in {path.name} has {member.size} bytes: "
                                f"expected {sizes[name]} at most"
                            )
                        content = archive.extractfile(member)
                        found[name] = content.read() if content else b""
    except TlcliError:
        raise
    except Exception as error:  # tarfile raises nearly anything on a damaged file
        raise TlcliError(f"{path.name} cannot be read as a tar archive: {error}") from None
    return found


def check_member(archive: str, name: str) -> None:
    """Raise TlcliError for a member of an archive whose name leaves the folder it is unpacked in."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or name.startswith(("/", "\\")) or (parts and parts[0].endswith(":")):
        raise TlcliError(f"{archive} holds {name!r:.100}, which points outside the archive: refused")


class _Limited:
    """A stream that ends in an error after `_LARGEST` bytes, so that no archive can expand without end.

    At its end it gives nothing once, as tarfile expects, and is an error from then on: tarfile would go on
    reading up to wherever a header says that the next one is.
    """

    def __init__(self, stream: BinaryIO | gzip.GzipFile, path: Path) -> None:
        self._stream, self._path, self._left = stream, path, _LARGEST
        self._ended = False

    def read(self, size: int) -> bytes:
        block = self._stream.read(min(size, self._left + 1))
        self._left -= len(block)
        if self._left < 0:
            raise TlcliError(f"{self._path.name} unpacks to more than {_LARGEST} bytes: refused")
        if not block and size:
            if self._ended:
                raise EOFError("unexpected end of data")
            self._ended = True
        return block
