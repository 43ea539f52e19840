"""Files of the user stay: folders beside outputs, links, permissions; and unfinished outputs are named."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import pytest
from processes import fails

from tlcli import store
from tlcli.store import owned
from tlcli.training.finished import FinishedRuns

FIXTURES = Path(__file__).resolve().parent.parent / "store" / "fixtures" / "v1"
TRAIN = ("train-base", "digits-0-5.h5", "--arch", "cnn2", "-o", "o.h5")


@pytest.fixture(params=["train-base", "transfer"])
def long(request, work) -> tuple[str, ...]:
    """A command that keeps its state in `o.h5.resume`."""
    if request.param == "train-base":
        return TRAIN
    shutil.copy(FIXTURES / "checkpoint.h5", work / "base.h5")
    return ("transfer", "base.h5", "digits-0-5.h5", "-o", "o.h5")


@pytest.mark.parametrize("more", [(), ("--resume",)])
def test_a_folder_that_holds_anything_else_is_refused_at_the_start(call, work, long, more):
    (work / "o.h5.resume").mkdir()
    (work / "o.h5.resume" / "letter.txt").write_text("dear")
    fails(
        call(*long, *more), 1, "o.h5.resume holds 'letter.txt', which tlcli has not put there", "another name"
    )
    assert (work / "o.h5.resume" / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize("kind", ["link to a folder", "link", "file", "inner link"])
def test_internal_files_never_follow_a_link(call, work, kind):
    folder = work / "o.h5.resume"
    (work / "victim").mkdir()
    (work / "victim" / "mine.txt").write_text("mine")
    if kind == "link to a folder":
        folder.symlink_to("victim")
    elif kind == "link":
        folder.symlink_to("nowhere")
    elif kind == "file":
        folder.write_text("a file")
    else:
        owned.OwnedFolder(folder, ["state.h5"]).file("state.h5").symlink_to("../victim/mine.txt")
    fails(call(*TRAIN), 1, "o.h5.resume", "give another name")
    assert [p.name for p in (work / "victim").iterdir()] == ["mine.txt"]
    assert (work / "victim" / "mine.txt").read_text() == "mine"
    assert not (work / "nowhere").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to make a folder of another user")
def test_a_folder_of_another_user_is_refused(call, work):
    (work / "o.h5.resume").mkdir()
    os.chown(work / "o.h5.resume", 12345, 12345)
    fails(call(*TRAIN), 1, "o.h5.resume belongs to another user")


def test_a_state_replaces_a_link_that_came_later(work):
    """A finished run replaces a link that appeared meanwhile; the target of the link stays."""
    runs = store.read(FIXTURES / "results.h5", store.Results)
    finished = FinishedRuns(work / "o.h5.resume", [run.key for run in runs.runs], [])
    one = dataclasses.replace(runs, runs=runs.runs[:1])
    old = os.umask(0)
    try:
        finished.keep(one)
    finally:
        os.umask(old)
    (kept,) = owned.present(work / "o.h5.resume")
    assert (work / "o.h5.resume").stat().st_mode & 0o777 == 0o700
    (work / "victim.txt").write_text("mine")
    (work / "o.h5.resume" / kept).unlink()
    (work / "o.h5.resume" / kept).symlink_to("../victim.txt")
    finished.keep(one)
    assert (work / "victim.txt").read_text() == "mine"
    assert store.verify(work / "o.h5.resume" / kept).ok


def test_only_what_this_program_made_is_removed_when_the_output_is_complete(work):
    """Also: half-written files of a kill are removed, files of others stay."""
    folder = work / "o.h5.resume"
    keeper = owned.OwnedFolder(folder, ["state.h5", "b.h5"])
    keeper.file("state.h5").write_text("state")
    (folder / ".state.h5.77-0123abcd.tlcli-tmp").write_text("left by a kill")
    for name in ("letter.txt", ".state.h5.mine.tlcli-tmp", ".letter.txt.77-0123abcd.tlcli-tmp"):
        (folder / name).write_text("dear")
    owned.remove(folder)
    assert sorted(os.listdir(folder)) == [
        ".letter.txt.77-0123abcd.tlcli-tmp",
        ".state.h5.mine.tlcli-tmp",
        "letter.txt",
    ]
    shutil.rmtree(folder)
    owned.OwnedFolder(folder, ["state.h5"]).file("state.h5").write_text("state")
    owned.remove(folder)
    assert not folder.exists()


def test_a_report_replaces_and_removes_only_its_own_files(call, work):
    (work / ".rep.mydata.tlcli-tmp").mkdir()
    (work / ".rep.v2.7-00000000-old.tlcli-tmp").mkdir()
    (work / ".rep.v2.7-00000000-old.tlcli-tmp" / "report.html").write_text("the only copy")
    report = ("report", "pixels.h5", "-o", "rep")
    assert call(*report).returncode == 0
    assert call(*report, "--force").returncode == 0
    assert (work / ".rep.mydata.tlcli-tmp").is_dir()
    assert (work / ".rep.v2.7-00000000-old.tlcli-tmp" / "report.html").read_text() == "the only copy"
    (work / "rep" / "tables").mkdir(exist_ok=True)
    (work / "rep" / "tables" / "my.csv").write_text("mine")
    fails(call(*report, "--force"), 1, "'tables/my.csv', which tlcli has not put there")
    (work / "own" / "tables").mkdir(parents=True)
    (work / "own" / "tables" / "my.csv").write_text("mine")
    fails(call(*report[:-1], "own", "--force"), 1, "own holds", "which tlcli has not put there")
    assert (work / "own" / "tables" / "my.csv").read_text() == "mine"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_force_keeps_the_permissions_of_what_it_replaces(call, work, mode):
    path = work / "digits-0-5.h5"
    path.chmod(mode)
    split = ("split", "--dataset", "digits", "--classes", "0-5", "-o", path.name)
    assert call(*split, "--force").returncode == 0
    assert path.stat().st_mode & 0o777 == mode


def test_an_output_through_a_link_that_others_can_have_made_is_refused(call, work):
    (work / "victim.h5").write_text("mine")
    (work / "inside").mkdir()
    shared = work / "shared"
    shared.mkdir()
    for link, target in (("x.h5", "../victim.h5"), ("new.h5", "../new.h5"), ("folder", "../inside")):
        (shared / link).symlink_to(target)
    (work / "mine.h5").symlink_to("shared/x.h5")
    shared.chmod(0o1777)
    split = ("split", "--dataset", "digits", "--size", "20", "--force", "-o")
    for output in ("shared/x.h5", "shared/new.h5", "shared/folder/x.h5", "mine.h5", "shared/folder/../x"):
        fails(call(*split, output), 1, "leads through the link", "that others can write")
    fails(call("report", "digits-6-9.h5", "-o", "shared/folder/rep"), 1, "that others can write")
    assert (work / "victim.h5").read_text() == "mine"
    assert not any((work / "inside").iterdir())
    assert not (work / "new.h5").exists()
    shared.chmod(0o755)
    assert call(*split, "mine.h5").returncode == 0
    assert store.verify(work / "victim.h5").ok
    assert (work / "mine.h5").is_symlink()


def test_a_cache_is_not_written_through_a_link(tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "cached").symlink_to("victim")
    with store.atomic_file(tmp_path / "cached", force=True, follow=False) as temporary:
        temporary.write_text("downloaded")
    assert (tmp_path / "victim").read_text() == "mine"
    assert not (tmp_path / "cached").is_symlink()


def test_results_that_are_not_finished_are_told_of_and_reported_when_asked(call, work):
    runs = store.read(FIXTURES / "results.h5", store.Results)
    finished = FinishedRuns(work / "x.h5.resume", [run.key for run in runs.runs], [])
    total = len(runs.runs)
    assert total > 1
    finished.keep(dataclasses.replace(runs, runs=runs.runs[:1]))
    told = f"x.h5 is not finished: 1 of {total} runs are there, in x.h5.resume"
    fails(call("report", "x.h5"), 1, told, "--resume", "--partial")
    for command in (("inspect", "x.h5"), ("verify", "x.h5"), ("transfer", "x.h5", "digits-0-5.h5")):
        fails(call(*command), 1, told, "--resume")
    done = call("report", "x.h5", "--partial", "-o", "rep")
    assert done.returncode == 0, done.stderr
    assert f"x.h5 is not finished: 1 of {total} runs are there." in (work / "rep" / "report.md").read_text()
    (work / "y.h5.resume").mkdir()
    fails(call("report", "y.h5"), 1, "y.h5")
