"""The Snakemake example, run by the local executor: the results of `make`, by their digests."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import processes
import pytest

from tlcli import store

EXAMPLES = Path(__file__).parents[1] / "examples"
BIN = Path(sys.executable).parent
ENVIRONMENT = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


SMALL = ["yosinski_dataset=digits", "yosinski_splits=1", "yosinski_base_epochs=1", "yosinski_epochs=0.1"]


def snakemake(folder: Path, *arguments: str, under: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run the workflow in `folder`; `under` is a command that starts it, such as one that makes a cluster."""
    return subprocess.run(
        [
            *under,
            str(BIN / "snakemake"),
            "-s",
            str(EXAMPLES / "snakemake" / "Snakefile"),
            "--directory",
            str(folder),
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=800,
        env=ENVIRONMENT,
    )


def test_a_layer_study_gives_the_results_of_make(tmp_path):
    done = snakemake(tmp_path, "out/yosinski/results-1a.h5", "--cores", "2", "--config", *SMALL)
    assert done.returncode == 0, done.stderr
    assert shutil.which("make"), "make is needed"
    (tmp_path / "make").mkdir()
    planned = subprocess.run(
        [
            "make",
            "-n",
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
        timeout=800,
        env=ENVIRONMENT,
    )
    assert planned.returncode == 0, planned.stderr
    for line in planned.stdout.replace("\\\n", " ").splitlines():
        words = shlex.split(line)
        if words[0] == "tlcli":  # a process forked from one that has TensorFlow, for the sake of time
            done = processes.tlcli(*words[1:], cwd=EXAMPLES / "yosinski")
            assert done.returncode == 0, done.stderr
    one = store.read_any(tmp_path / "out" / "yosinski" / "results-1a.h5")
    other = store.read_any(tmp_path / "make" / "results-1a.h5")
    assert len(one.runs) == 26
    assert one.provenance.content_sha256 == other.provenance.content_sha256


def test_all_studies_are_planned_whole(tmp_path):
    done = snakemake(tmp_path, "--dry-run", "--cores", "2")
    assert done.returncode == 0, done.stderr
    counts = {
        line.split()[0]: int(line.split()[1])
        for line in done.stdout.splitlines()
        if line[:1].isalpha() and len(line.split()) == 2 and line.split()[1].isdigit()
    }
    assert counts["yosinski_grid"] == counts["yosinski_base"] == 10
    assert counts["mnist_grid"] == 4
    assert counts["mnist_base"] == 2
    assert counts["practical2_networks"] == 1
    assert counts["cifar_methods"] == 6 * 11
    assert counts["cifar_neighbours"] == 11


def test_the_lines_on_gpus_name_every_rule_that_trains():
    folder = EXAMPLES / "snakemake"
    profile = (folder / "profiles" / "slurm" / "config.yaml").read_text()
    uncommented = re.sub(r"^# (set-resources:|  \w+: {)", r"\1", profile, flags=re.MULTILINE)
    resources = pytest.importorskip("yaml").safe_load(uncommented)["set-resources"]
    assert {tuple(each.items()) for each in resources.values()} == {(("gres", "gpu:1"),)}
    rules = "\n\n".join(path.read_text() for path in folder.glob("*.smk")).split("\n\nrule ")[1:]
    on_nodes = {rule.partition(":")[0] for rule in rules if "localrule: True" not in rule}
    assert set(resources) == on_nodes - {"mnist", "yosinski", "practical2", "cifar", "cifar_neighbours"}


SLURM = all(map(shutil.which, ("slurmctld", "slurmd", "munged", "unshare"))) and os.geteuid() == 0


@pytest.mark.skipif(not SLURM, reason="Slurm (slurmctld, slurmd, munge) or root is missing")
def test_a_slurm_cluster_runs_the_workflow_to_its_end(tmp_path):
    pytest.importorskip("snakemake_executor_plugin_slurm")
    profile = str(EXAMPLES / "snakemake" / "profiles" / "slurm")
    done = snakemake(
        tmp_path,
        *["out/yosinski/results-1a.h5", "--profile", profile, "--config", *SMALL],
        *["--latency-wait", "5", "--slurm-init-seconds-before-status-checks", "2"],
        under=[str(Path(__file__).with_name("one_node_slurm.sh")), str(tmp_path / "cluster")],
    )
    assert done.returncode == 0, done.stderr
    made = sorted((tmp_path / "out" / "yosinski").glob("*.h5"))
    assert [file.stem for file in made] == ["base-1a", "half-1a", "half-1b", "results-1a"]
    command = [sys.executable, "-m", "tlcli.cli.main", "verify", *map(str, made)]
    assert subprocess.run(command, capture_output=True).returncode == 0
