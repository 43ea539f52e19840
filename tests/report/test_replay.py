"""The commands under "How it was made" make every file again."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tlcli import store
from tlcli.cli import main

GIVEN = """
split --dataset digits --classes 0-5 -o source.h5
split --dataset digits --classes 6-9 --size 40 -o "the target.h5"
train-base source.h5 --arch cnn2 --samples 300 -o base.h5
transfer base.h5 "the target.h5" --method scratch --method freeze:copy=2 --samples 200 --runs 2 --threads 1
embed base.h5 "the target.h5" -o e.h5
knn e.h5 --k 1-3 -o neighbours.h5
report "base-to-the target.h5" neighbours.h5 base.h5 -o page
"""


def run(command: str) -> None:
    assert main.run([*shlex.split(command), "--quiet"]) == 0, command


def digests(folder: Path) -> dict[str, str]:
    return {p.name: store.read_any(str(p)).provenance.content_sha256 for p in folder.glob("*.h5")}


def test_the_commands_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder, in their order, they give files of the same names and digests."""
    first, again = tmp_path / "first", tmp_path / "again"
    first.mkdir()
    monkeypatch.chdir(first)
    for command in GIVEN.strip().splitlines():
        run(command)
    listing = re.search(r"```sh\n(.*?)\n```", Path("page/report.md").read_text(), re.DOTALL)
    assert listing is not None
    again.mkdir()
    monkeypatch.chdir(again)
    for command in listing.group(1).splitlines():
        run(command.removeprefix("tlcli "))
    assert digests(again) == digests(first)
    assert len(digests(again)) == 6
