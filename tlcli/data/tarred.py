"""The folders in a tar archive, as `zipped` gives those of a zip. Nothing is unpacked to a named file."""

from __future__ import annotations

import io
import tempfile
import threading
from pathlib import Path
from typing import IO, NamedTuple

from tlcli.data.archives import FILES, FOLDERS, UnpackedBytes, check_member, members, tar_stream
from tlcli.data.zipped import ZipEntry, grow
from tlcli.store.budget import Budget

SUFFIXES = (".tar", ".tar.gz", ".tgz")

_STEP = 1 << 20


class _Place(NamedTuple):
    start: int
    file_size: int


class _TarFiles:
    """Gives the members of an archive by name, to several threads at once."""

    def __init__(self, filename: str, file: IO[bytes], places: dict[str, _Place]) -> None:
        self.filename, self._file, self._places = filename, file, places
        self._lock = threading.Lock()

    def getinfo(self, name: str) -> _Place:
        return self._places[name]

    def open(self, name: str) -> IO[bytes]:
        place = self._places[name]
        with self._lock:
            self._file.seek(place.start)
            return io.BytesIO(self._file.read(place.file_size))


def open_tar(path: Path, budget: Budget) -> ZipEntry:
    """The root of an archive, gzipped or not; its contents are kept in a temporary file without a name.

    Raises TlcliError for an archive that is damaged, unpacks to more than the budget allows, or has names
    that lead elsewhere.
    """
    spool = tempfile.TemporaryFile(prefix="tlcli-")  # noqa: SIM115 - lives as long as what is read from it
    places: dict[str, _Place] = {}
    names = []
    with tar_stream(path, budget) as stream:
        for member in members(stream):
            check_member(path.name, member.name)
            name = member.name.removeprefix("./").rstrip("/")
            if member.kind in FOLDERS and name and name != ".":
                names.append(name + "/")
            if member.kind not in FILES:
                stream.skip(member.padded_size)
                continue
            names.append(name)
            places[name] = _Place(spool.tell(), member.size)
            _copy(stream, spool, member.padded_size)
    spool.flush()
    return grow(_TarFiles(str(path), spool, places), path.name, names, budget)


def _copy(stream: UnpackedBytes, spool: IO[bytes], size: int) -> None:
    while size:
        step = min(size, _STEP)
        spool.write(stream.take(step))
        stream.give_back(step)
        size -= step
