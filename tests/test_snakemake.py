"""The Snakemake example, run by the local executor: the results of `make`, by their digests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tlcli import store

EXAMPLES = Path(__file__).parents[1] / "examples"
BIN = Path(sys.executable).parent
ENVIRONMENT = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            str(BIN / "snakemake"),
            "-s",
            str(EXAMPLES / "snakemake" / "Snakefile"),
            "--directory",
            str(folder),
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=250,
        env=ENVIRONMENT,
    )


def test_a_layer_study_gives_the_results_of_make(tmp_path):
    small = ["yosinski_dataset=digits", "yosinski_splits=1", "yosinski_base_epochs=1", "yosinski_epochs=0.1"]
    done = snakemake(tmp_path, "out/yosinski/results-1a.h5", "--cores", "2", "--config", *small)
    assert done.returncode == 0, done.stderr
    assert shutil.which("make"), "make is needed"
    made = subprocess.run(
        [
            "make",
            "-C",
            str(EXAMPLES / "yosinski"),
            f"OUT={tmp_path}/make",
            "TLCLI=tlcli",
            "DATASET=digits",
            "BASE_EPOCHS=1",
            "EPOCHS=0.1",
            "THREADS=1",
            f"{tmp_path}/make/results-1a.h5",
        ],
        capture_output=True,
        text=True,
        timeout=250,
        env=ENVIRONMENT,
    )
    assert made.returncode == 0, made.stderr
    one = store.read_any(tmp_path / "out" / "yosinski" / "results-1a.h5")
    other = store.read_any(tmp_path / "make" / "results-1a.h5")
    assert len(one.runs) == 24
    assert one.provenance.content_sha256 == other.provenance.content_sha256


def test_both_studies_whole_are_planned(tmp_path):
    done = snakemake(tmp_path, "mnist", "yosinski", "--dry-run", "--cores", "2")
    assert done.returncode == 0, done.stderr
    counts = {
        line.split()[0]: int(line.split()[1])
        for line in done.stdout.splitlines()
        if line[:1].isalpha() and len(line.split()) == 2 and line.split()[1].isdigit()
    }
    assert counts["yosinski_grid"] == counts["yosinski_base"] == 10
    assert counts["mnist_grid"] == 4
    assert counts["mnist_base"] == 2
