"""A tlcli dataset file, to be split again; indices and class numbers stay those of the published set."""

from __future__ import annotations

from pathlib import Path

from tlcli.data.array_files import HDF5_SIGNATURE, is_array_file
from tlcli.data.source import Request, Source, path_reader
from tlcli.store.records import Dataset


def _accepts(path: Path) -> bool:
    if path == Path("-"):
        return True
    if not path.is_file() or is_array_file(path):
        return False
    if path.suffix.lower() == ".h5":
        return True
    with open(path, "rb") as file:
        return file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE


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
        record.notes,
        class_numbers=numbers,
        validation=record.parts.get("validation"),
        parents=[record],
    )
