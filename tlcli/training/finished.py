"""The finished runs of an unfinished grid, one file each, until all are done."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from tlcli import store
from tlcli.errors import TlcliError
from tlcli.store.owned import OwnedFolder
from tlcli.store.records import Record, Results, Run
from tlcli.training.computing import compare_computers, compare_recipes
from tlcli.training.methods import METHODS


class FinishedRuns:
    """A folder of results of one run each.

    Args:
        folder: The folder, made with the first run; None keeps nothing.
        keys: The keys of all runs of the grid.
        parents: The inputs of the grid, which its files name as their parents.
    """

    def __init__(self, folder: Path | None, keys: Iterable[str], parents: Sequence[Record]) -> None:
        self._folder = None if folder is None else OwnedFolder(folder, map(_file_name, keys))
        self._parents = parents

    def keep(self, results: Results) -> None:
        """Write the results of one run."""
        if self._folder is None:
            return
        path = self._folder.file(_file_name(results.runs[0].key))
        store.write(path, results, parents=self._parents, force=True, follow=False)

    def load(self, keys: Iterable[str], wanted: Results) -> dict[str, Run]:
        """The finished runs by their keys; `wanted` has the recipe and what computes.

        Raises:
            TlcliError: A run was made with another recipe or from other files.
        """
        if self._folder is None:
            return {}
        paths = {key: self._folder.path / _file_name(key) for key in keys}
        found = {key: store.read(path, Results) for key, path in paths.items() if path.exists()}
        for kept in found.values():
            self._require_same(kept, wanted)
        return {key: kept.runs[0] for key, kept in found.items()}

    def _require_same(self, kept: Results, wanted: Results) -> None:
        assert self._folder is not None
        other = compare_recipes(kept.recipe, wanted.recipe)
        parents = {record.provenance.content_sha256 for record in self._parents}
        if {parent.content_sha256 for parent in kept.provenance.parents} != parents:
            other.append("other files")
        if difference := compare_computers(kept.provenance.computed_by, wanted.provenance.computed_by):
            other.append(difference)
        for run in kept.runs:
            if METHODS.plugin(run.method) != (run.plugin, run.plugin_sha256):
                other.append(f"the method {run.method} is another version")
        if other:
            raise TlcliError(
                f"{self._folder.path.name} holds runs of another grid ({'; '.join(other)}).\n"
                "Give the same options to resume, or remove that folder to start anew."
            )


def _file_name(key: str) -> str:
    return f"{safe_name(key)}.h5"


def safe_name(key: str) -> str:
    """A key as a file name; a changed or shortened key has a digest, so that names differ."""
    plain = key.replace("|", "--").replace(":", "-")  # make, scp and Windows give a colon a meaning
    safe = "".join(c if (c.isascii() and c.isalnum()) or c in "-_.=(),+" else "_" for c in plain)
    if safe == plain and len(safe) <= 200:
        return safe
    return f"{safe[:100]}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
