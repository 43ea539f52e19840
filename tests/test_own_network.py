"""examples/own_network: its file through the whole chain, the messages without it, and its package."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tlcli import store
from tlcli.cli.main import run
from tlcli.plugin_files import _forget, files
from tlcli.register import PLUGINS

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "own_network"
SHORTER = {"--epochs 30": "--epochs 2", "--samples 4000": "--samples 400", "--runs 3": "--runs 2"}


def forget() -> None:
    """Unload every plug-in, as in a new process."""
    for module in [name for name, owner in PLUGINS.items() if owner.kind == "file"]:
        _forget(module, PLUGINS[module])


def recipes(target: str) -> list[list[str]]:
    """The commands that `make` runs for a target."""
    line = ["make", "-n", f"out/{target}", "TLCLI=tlcli", "OUT=out"]
    told = subprocess.run(line, capture_output=True, text=True, check=True).stdout.replace("\\\n", " ")
    for long, short in SHORTER.items():
        assert long in told
        told = told.replace(long, short)
    return [shlex.split(text)[1:] for text in told.splitlines() if text.startswith("tlcli ")]


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """A folder of its own with the example's file; no plug-in is loaded before or after."""
    shutil.copy(EXAMPLE.parent / "tlcli.mk", tmp_path)
    shutil.copytree(EXAMPLE, tmp_path / "own_network", ignore=shutil.ignore_patterns("out", "package"))
    monkeypatch.chdir(tmp_path / "own_network")
    Path("out").mkdir()
    forget()
    yield
    forget()


def test_the_makefile_of_the_example_and_what_is_said_without_its_file(fresh, monkeypatch, capsys):
    monkeypatch.setenv("TLCLI_WITH", "mine.py")
    commands = recipes("report/report.html")
    assert sorted(c[0] for c in commands) == ["report", "split", "split", "train-base", "transfer"]
    for command in commands:
        assert run([*command, "-q"]) == 0, (command, capsys.readouterr().err)
    base = store.read("out/base.h5", store.Checkpoint)
    digest = files()[0].sha256
    assert (base.architecture, base.plugin, base.plugin_sha256) == ("residual-mini", "mine.py", digest)
    assert base.provenance.command.startswith(
        "tlcli --with mine.py train-base source.h5 --arch residual-mini"
    )
    runs = store.read("out/results.h5", store.Results).runs
    assert {r.arm for r in runs} == {"scratch", "finetune", "thaw", "thaw:head=0.2"}
    assert {(r.method, r.plugin) for r in runs} >= {("thaw", "mine.py"), ("scratch", "")}
    assert "Best and worst run" in Path("out/report/report.md").read_text(encoding="utf-8")

    forget()
    monkeypatch.delenv("TLCLI_WITH")
    embed = ["embed", "out/base.h5", "out/target.h5", "-o", "embeddings.h5", "-q"]
    assert run(embed) == 2
    assert f"base.h5 was made --with mine.py ({digest[:8]}...)" in capsys.readouterr().err
    Path("mine.py").write_text(Path("mine.py").read_text() + "# changed\n")
    assert run(["--with", "mine.py", *embed]) == 2
    assert "mine.py here is another version" in capsys.readouterr().err
    assert not Path("embeddings.h5").exists()
    assert run(["inspect", "out/base.h5"]) == 0
    shutil.copy(EXAMPLE / "mine.py", ".")
    assert run(["--with", "mine.py", *embed]) == 0


def test_the_package_of_the_example_is_found_where_it_is_installed(tmp_path):
    shutil.copytree(EXAMPLE / "package", tmp_path / "package")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(tmp_path / "site"), str(tmp_path / "package")], check=True)
    paths = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "tlcli.cli.main", "plugins"],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split()[:4] for line in done.stdout.splitlines()[1:]]
    assert rows == [
        ["network", "wide-mini", "own-network", "0.1.0"],
        ["method", "gentle", "own-network", "0.1.0"],
    ]
