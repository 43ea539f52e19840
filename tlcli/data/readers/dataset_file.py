"""A tlcli dataset file, to be split again; indices and class numbers stay those of the published set."""

from __future__ import annotations

from pathlib import Path

from tlcli.data.source import Request, Source, path_reader
from tlcli.store.records import Dataset

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def _accepts(path: Path) -> bool:
    if path == Path("-") or path.suffix.lower() == ".h5":
        return True
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE


@path_reader(_accepts)
def load(path: Path, request: Request) -> Source:
    """A validation part comes along as it is."""
    from tlcli import store

    record = store.read(path if path != Path("-") else "-", Dataset)
    name = record.source or path.stem
    numbers = [int(number) for number in record.class_original]
    return Source(
        name,
        record.train,
        record.test,
        record.class_names,
        class_numbers=numbers,
        validation=record.parts.get("validation"),
        parents=[record],
    )
