"""A report's folder appears whole or not at all, also in the place of an older one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tlcli.errors import TlcliError
from tlcli.report import files

NEW = {"report.html": "new", "figures/a.png": b"new"}


def content(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


def make(folder: Path, text: str) -> None:
    (folder / "tables").mkdir(parents=True)
    (folder / "report.html").write_text(text)
    (folder / "tables" / "a.csv").write_text(text)


@pytest.mark.parametrize("swaps", [True, False])
def test_an_older_report_is_there_until_the_new_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swaps: bool
) -> None:
    """Interrupted at any of the steps in between, or done."""
    if not swaps:
        monkeypatch.setattr(files, "_exchange", lambda *_: False)
    make(tmp_path / "r", "old")
    plain = os.rename

    def interrupted(source: Any, target: Any) -> None:
        if swaps or not str(source).endswith("/r"):
            raise KeyboardInterrupt
        plain(source, target)
        monkeypatch.setattr("os.rename", broken)

    def broken(source: Any, target: Any) -> None:
        monkeypatch.setattr("os.rename", plain)
        raise KeyboardInterrupt

    monkeypatch.setattr("os.rename", interrupted)
    if swaps:
        files.write_folder(tmp_path / "r", NEW, force=True)  # needs no rename
        assert content(tmp_path / "r") == {"report.html": "new", "figures/a.png": "new"}
    else:
        with pytest.raises(KeyboardInterrupt):
            files.write_folder(tmp_path / "r", NEW, force=True)
        assert content(tmp_path / "r") == {"report.html": "old", "tables/a.csv": "old"}
    assert os.listdir(tmp_path) == ["r"]


def test_an_older_report_that_a_kill_left_aside_comes_back(tmp_path: Path) -> None:
    make(tmp_path / ".r.123-abcdef01-old.tlcli-tmp", "old")
    with pytest.raises(TlcliError, match="is there already"):
        files.write_folder(tmp_path / "r", NEW)
    assert content(tmp_path / "r") == {"report.html": "old", "tables/a.csv": "old"}
    files.write_folder(tmp_path / "r", NEW, force=True)
    assert content(tmp_path / "r") == {"report.html": "new", "figures/a.png": "new"}
    assert os.listdir(tmp_path) == ["r"]


def test_the_one_that_comes_late_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = os.rename

    def late(source: Any, target: Any) -> None:
        make(tmp_path / "r", "first")
        plain(source, target)

    monkeypatch.setattr("os.rename", late)
    with pytest.raises(TlcliError, match="made by another program meanwhile"):
        files.write_folder(tmp_path / "r", NEW)
    assert content(tmp_path / "r")["report.html"] == "first"
    assert os.listdir(tmp_path) == ["r"]
