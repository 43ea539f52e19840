"""A folder of files appears whole or not at all, even in place of an older one; files of others stay."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from tlcli.errors import TlcliError
from tlcli.store import atomic, atomic_folder, owned

NEW = {"report.html": "new", "figures/a.png": b"new"}


def content(folder: Path) -> dict[str, str]:
    found = {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}
    found.pop(owned.LIST)
    return found


def make(folder: Path, text: str) -> None:
    (folder / "tables").mkdir(parents=True)
    (folder / "report.html").write_text(text)
    (folder / "tables" / "a.csv").write_text(text)
    (folder / owned.LIST).write_text(owned.text(["report.html", "tables/a.csv"]))


@pytest.mark.parametrize("swaps", [True, False])
def test_an_older_report_is_there_until_the_new_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swaps: bool
) -> None:
    """Interrupted at any of the steps in between, or done."""
    if not swaps:
        monkeypatch.setattr(atomic_folder, "_exchange", lambda *_: False)
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
        atomic_folder.write_folder(tmp_path / "r", NEW, force=True)  # needs no rename
        assert content(tmp_path / "r") == {"report.html": "new", "figures/a.png": "new"}
    else:
        with pytest.raises(KeyboardInterrupt):
            atomic_folder.write_folder(tmp_path / "r", NEW, force=True)
        assert content(tmp_path / "r") == {"report.html": "old", "tables/a.csv": "old"}
    assert os.listdir(tmp_path) == ["r"]


def test_an_older_report_that_a_kill_left_aside_comes_back(tmp_path: Path) -> None:
    make(tmp_path / ".r.123-abcdef01-old.tlcli-tmp", "old")
    with pytest.raises(TlcliError, match="is there already"):
        atomic_folder.write_folder(tmp_path / "r", NEW)
    assert content(tmp_path / "r") == {"report.html": "old", "tables/a.csv": "old"}
    atomic_folder.write_folder(tmp_path / "r", NEW, force=True)
    assert content(tmp_path / "r") == {"report.html": "new", "figures/a.png": "new"}
    assert os.listdir(tmp_path) == ["r"]


@pytest.mark.parametrize("theirs", ["mine.csv", "tables/my.csv", "tables/mine/a.csv", "figures"])
def test_what_tlcli_has_not_put_there_is_never_removed(tmp_path: Path, theirs: str) -> None:
    """Beside the files of a report, with or without one."""
    for folder in (tmp_path / "r", tmp_path / "plain"):
        if folder.name == "r":
            atomic_folder.write_folder(folder, {**NEW, "tables/a.csv": "old"})
        (folder / theirs).parent.mkdir(parents=True, exist_ok=True)
        if theirs == "figures":
            (folder / theirs).rename(tmp_path / "away") if folder.name == "r" else None
            (folder / theirs).symlink_to(tmp_path / "away")
        else:
            (folder / theirs).write_text("my only copy")
        before = sorted(str(p) for p in tmp_path.rglob("*"))
        with pytest.raises(TlcliError, match="which tlcli has not put there"):
            atomic_folder.write_folder(folder, NEW, force=True)
        assert sorted(str(p) for p in tmp_path.rglob("*")) == before


def test_only_left_overs_of_this_very_folder_are_removed(tmp_path: Path) -> None:
    """Names that are nearly those of temporary folders are a user's, or another report's."""
    theirs = [
        ".r.mydata.tlcli-tmp",
        ".r.v2.123-abcdef01.tlcli-tmp",
        ".r.123-abcdef01-old.tlcli-tmp.keep",
        ".r.1-ABCDEF01.tlcli-tmp",
        ".r.v2.123-abcdef01-old.tlcli-tmp",
    ]
    for name in theirs:
        make(tmp_path / name, "mine")
    (tmp_path / ".r.7-00000000.tlcli-tmp").mkdir()
    (tmp_path / ".r.7-00000000.tlcli-tmp" / "letter.txt").write_text("not of the list")
    make(tmp_path / ".r.8-00000000.tlcli-tmp", "left by a kill")
    (tmp_path / ".r.9-00000000.tlcli-tmp").mkdir()
    (tmp_path / ".r.9-00000000.tlcli-tmp" / owned.LIST).write_text(owned.text(["a"])[:9])
    atomic_folder.write_folder(tmp_path / "r", NEW)
    assert sorted(os.listdir(tmp_path)) == sorted(["r", ".r.7-00000000.tlcli-tmp", *theirs])


def test_a_list_names_only_what_is_inside(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    folder = tmp_path / "r"
    folder.mkdir()
    (folder / owned.LIST).write_text(owned.text(["../victim", "/etc/hostname", "a/../../victim", "link"]))
    (folder / "link").symlink_to("../victim")
    assert owned.list_files(folder) == {"link"}
    with pytest.raises(TlcliError, match="'link', which tlcli has not put there"):
        atomic_folder.write_folder(folder, NEW, force=True)
    owned.remove(folder)
    assert (tmp_path / "victim").read_text() == "mine"
    assert os.listdir(folder) == ["link"]


def test_permissions_are_passed_on(tmp_path: Path) -> None:
    atomic_folder.write_folder(tmp_path / "r", NEW)
    (tmp_path / "r").chmod(0o700)
    (tmp_path / "r" / "report.html").chmod(0o640)
    atomic_folder.write_folder(tmp_path / "r", NEW, force=True)
    assert (tmp_path / "r").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "r" / "report.html").stat().st_mode & 0o777 == 0o640


def test_the_one_that_comes_late_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = os.rename

    def late(source: Any, target: Any) -> None:
        make(tmp_path / "r", "first")
        plain(source, target)

    monkeypatch.setattr("os.rename", late)
    with pytest.raises(TlcliError, match="made by another program meanwhile"):
        atomic_folder.write_folder(tmp_path / "r", NEW)
    assert content(tmp_path / "r")["report.html"] == "first"
    assert os.listdir(tmp_path) == ["r"]


@pytest.mark.parametrize("failing", ["_read", "_remove"])
def test_a_list_goes_only_with_the_last_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Without the list the remaining files would count as files of others, and the next call would fail."""
    folder = tmp_path / "o.h5.resume"
    owned.OwnedFolder(folder, ["state.h5"]).file("state.h5").touch()
    calls, plain = [], getattr(owned, failing)

    def fail_once(path: Path) -> object:
        calls.append(path)
        if len(calls) > 1:
            return plain(path)
        if failing == "_read":
            raise OSError(errno.EMFILE, "Too many open files")
        return None

    monkeypatch.setattr(owned, failing, fail_once)
    owned.remove(folder)
    assert owned.strangers(folder) == []
    assert owned.present(folder) == ["state.h5"]
    owned.remove(folder)
    assert not folder.exists()


def test_a_kill_before_there_is_a_list_hinders_nothing(tmp_path: Path) -> None:
    """It leaves the temporary file of the list alone."""
    folder = tmp_path / "o.h5.resume"
    folder.mkdir()
    atomic.temporary_name(folder / owned.LIST).write_text("# Made")
    owned.OwnedFolder(folder, ["state.h5"]).file("state.h5").touch()
    assert sorted(os.listdir(folder)) == [owned.LIST, "state.h5"]
    atomic.temporary_name(folder / owned.LIST).write_text("# Made")
    owned.remove(folder)
    assert not folder.exists()


def test_a_list_that_cannot_be_read_is_not_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "o.h5.resume"
    owned.OwnedFolder(folder, ["0.h5"]).file("0.h5").touch()
    more = owned.OwnedFolder(folder, ["0.h5", "1.h5"])

    def fail(path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(owned, "_read", fail)
        with pytest.raises(TlcliError, match="input/output error"):
            more.file("1.h5")
        with pytest.raises(TlcliError, match="input/output error"):
            owned.check(folder)
    assert owned.list_files(folder) == {"0.h5"}
