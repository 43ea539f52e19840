"""The chain of commands as users run it: processes, pipes, kills, Makefiles."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import processes
import pytest

from tlcli import store
from tlcli.store.records import Checkpoint, Embeddings, Results

ROOT = Path(__file__).resolve().parent.parent
TLCLI = [sys.executable, "-m", "tlcli.cli.main"]
RECIPE = ["--batch-size", "20", "--eval-every", "500"]


def tlcli(*arguments: str, cwd: Path, code: int = 0) -> str:
    done = processes.tlcli(*arguments, cwd=cwd, timeout=800)
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr
    return done.stdout.decode().strip()


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """A source, a target and a base, made by commands with default names."""
    folder = tmp_path_factory.mktemp("chain")
    assert tlcli("split", "--dataset", "digits", "--classes", "0-5", cwd=folder) == "digits-0-5.h5"
    target = tlcli("split", "--dataset", "digits", "--classes", "6-9", "--size", "100", cwd=folder)
    assert target == "digits-6-9-n100.h5"
    base = tlcli("train-base", "digits-0-5.h5", "--arch", "cnn2", "--epochs", "5", *RECIPE, cwd=folder)
    assert base == "digits-0-5-cnn2.h5"
    return folder


def test_from_split_to_report(work):
    grid = ["--method", "scratch", "--method", "freeze:copy=2", "--method", "finetune", "--runs", "2"]
    answer = tlcli(
        "transfer",
        "digits-0-5-cnn2.h5",
        "digits-6-9-n100.h5",
        *grid,
        "--samples",
        "2000",
        *RECIPE,
        "--json",
        cwd=work,
    )
    told = json.loads(answer)
    results = store.read(work / told["path"], Results)
    assert len(results.runs) == 6
    assert [p.name for p in results.provenance.parents] == ["digits-0-5-cnn2.h5", "digits-6-9-n100.h5"]
    assert {a.name for a in results.provenance.ancestry} >= {"digits-0-5.h5"}
    for run in results.runs:
        assert list(run.history["samples_seen"]) == [500, 1000, 1500, 2000]
        right = run.predictions == results.targets[run.dataset].test_labels
        assert run.test_accuracy == right.mean() > 0.6
        assert (run.logits.argmax(axis=1) == run.predictions).all()
    computed = results.provenance.computed_by
    assert computed == {"backend": "tensorflow", "device": "cpu", "precision": "float32", "threads": 1}
    embeddings = tlcli("embed", "digits-0-5-cnn2.h5", "digits-6-9-n100.h5", cwd=work)
    knn = tlcli("knn", embeddings, "--k", "1-10", cwd=work)
    report = tlcli("report", told["path"], knn, "digits-0-5-cnn2.h5", embeddings, "-o", "report", cwd=work)
    page = (work / report / "report.html").read_text()
    assert "freeze:copy=2" in page
    digests = [p.content_sha256 for p in results.provenance.parents]
    assert all(digest[:12] in page for digest in digests)


def test_a_real_pipe_and_nested_commands(work):
    program = " ".join(TLCLI)
    piped = subprocess.run(
        f"{program} split --dataset digits --classes 6-9 -q -o - "
        f"| {program} embed digits-0-5-cnn2.h5 - -q -o - | {program} knn - --k 1-5 -q -o piped.h5",
        shell=True,
        cwd=work,
        capture_output=True,
        text=True,
        timeout=800,
        env=processes.ENVIRONMENT,
    )
    assert piped.stdout.strip() == "piped.h5", piped.stderr
    assert (store.read(work / "piped.h5", Results).neighbours[0].test_accuracy or 0) > 0.8
    nested = tlcli(
        "embed", "digits-0-5-cnn2.h5", "digits-6-9-n100.h5", "-o", "pool.h5", "--layer", "pool", cwd=work
    )
    assert store.read(work / nested, Embeddings).layer == "pool"


def test_heads_and_neighbours_on_all_layers_and_both_sides(work, tmp_path):
    base, target = "digits-0-5-cnn2.h5", "digits-6-9-n100.h5"
    path = tmp_path / "all.h5"
    tlcli("embed", base, target, "--layer", "all", "--mirrored", "-o", str(path), cwd=work)
    assert (store.read(path, Embeddings).layer, store.read(path, Embeddings).mirrored) == ("all", True)
    assert store.read(path, Embeddings).parts["test"].embeddings.shape[1] == 32 + 32 + 128
    arms = {}
    for name, more in (("plain.h5", []), ("power.h5", ["--power", "0.5"])):
        tlcli("knn", str(path), "--k", "1-5", *more, "-o", str(tmp_path / name), cwd=work)
        arms[name] = store.read(tmp_path / name, Results).neighbours[0].arm
    assert arms["plain.h5"] == "knn:layer=all,mirrored=1"
    assert arms["power.h5"] == "knn:power=0.5,layer=all,mirrored=1"
    grid = ["--method", "ridge", "--method", "ridge:all_layers=0", "--all-layers", "--mirrored"]
    tlcli("transfer", base, target, *grid, "--runs", "1", "-o", str(tmp_path / "heads.h5"), cwd=work)
    heads = store.read(tmp_path / "heads.h5", Results)
    assert [run.arm for run in heads.runs] == ["ridge:all_layers=1", "ridge:all_layers=0"]
    assert [run.trainable_parameters for run in heads.runs] == [193 * 4, 129 * 4]
    assert heads.recipe["mirrored"] is True
    page = tlcli("report", str(tmp_path / "heads.h5"), "-o", str(tmp_path / "report"), cwd=work)
    assert "mirrored" in (Path(page) / "report.html").read_text()


def test_the_same_command_gives_the_same_bytes(work, tmp_path):
    arguments = [
        "train-base",
        "digits-0-5.h5",
        "--arch",
        "cnn2",
        "--arch-option",
        "dropout=0.5",
        "--epochs",
        "2",
    ]
    first = tlcli(*arguments, "-o", str(tmp_path / "first.h5"), cwd=work)
    second = tlcli(*arguments, "-o", str(tmp_path / "second.h5"), cwd=work)
    assert Path(first).read_bytes() == Path(second).read_bytes()


def test_runs_at_once_give_the_same_bytes(work, tmp_path):
    arguments = [
        "transfer",
        "digits-0-5-cnn2.h5",
        "digits-6-9-n100.h5",
        "--method",
        "scratch",
        "--method",
        "freeze:copy=2",
        "--runs",
        "2",
        "--samples",
        "1000",
        *RECIPE,
    ]
    one = tlcli(*arguments, "--threads", "1", "-o", str(tmp_path / "one.h5"), cwd=work)
    two = tlcli(*arguments, "--threads", "2", "-o", str(tmp_path / "two.h5"), cwd=work)
    assert Path(one).read_bytes() == Path(two).read_bytes()


TRAIN = [
    "train-base",
    "digits-0-5.h5",
    "--arch",
    "cnn2",
    "--arch-option",
    "dropout=0.5",
    "--samples",
    "30000",
    "--optimizer",
    "adamw",
    "--weight-decay",
    "0.001",
    "--schedule",
    "one-cycle",
    "--ema",
    "0.99",
    "--augment",
    "shift:1,rotate:5",
    *RECIPE,
]
GRID = [
    "transfer",
    "digits-0-5-cnn2.h5",
    "digits-6-9-n100.h5",
    "--method",
    "scratch",
    "--method",
    "finetune",
    "--runs",
    "3",
    "--samples",
    "6000",
    *RECIPE,
]


@pytest.mark.parametrize("arguments", [TRAIN, GRID], ids=["train-base", "transfer"])
def test_killed_and_resumed_it_ends_in_the_same_bytes(work, tmp_path, arguments):
    """The moments are shares of the time of the whole call, so that they fit any machine."""
    started = time.monotonic()
    whole = tlcli(*arguments, "-o", str(tmp_path / "whole.h5"), cwd=work)
    took = time.monotonic() - started
    output, chance = tmp_path / "cut.h5", random.Random(0)
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
        code, said = stopped(
            [*arguments, "-o", str(output), "--resume"], work, number, chance.uniform(0.3, 0.9) * took, took
        )
        if code == 0 or (number == signal.SIGKILL and output.exists()):  # done before the signal came
            break
        assert code == {signal.SIGTERM: 143, signal.SIGINT: 130}.get(number, -number), said
        assert not output.exists()
        if number != signal.SIGKILL:
            assert "--resume" in said or "Give the command again" in said
    if not output.exists():
        tlcli(*arguments, "-o", str(output), "--resume", cwd=work)
    assert output.read_bytes() == Path(whole).read_bytes()
    assert not Path(f"{output}.resume").exists()


def stopped(
    arguments: list[str], work: Path, number: int, after: float, took: float
) -> tuple[int | None, str]:
    """Start a command and send it a signal; the exit code and what it said. It must end sooner than the whole
    call, which took so many seconds, would have."""
    command = processes.Command(tuple(arguments), work)
    time.sleep(after)
    command.send_signal(number)
    sent = time.monotonic()
    _, said = command.communicate(timeout=600)
    assert time.monotonic() - sent < 10 + took
    assert b"Traceback" not in said
    return command.returncode, said.decode()


def test_save_keeps_each_network(work, tmp_path):
    arguments = [
        "transfer",
        "digits-0-5-cnn2.h5",
        "digits-6-9-n100.h5",
        "--method",
        "freeze",
        "--samples",
        "200",
        "--runs",
        "1",
    ]
    tlcli(*arguments, "--save", str(tmp_path / "kept"), "-o", str(tmp_path / "r.h5"), cwd=work)
    (kept,) = (tmp_path / "kept").iterdir()
    base = store.read(work / "digits-0-5-cnn2.h5", Checkpoint)
    tuned = store.read(kept, Checkpoint)
    assert np.array_equal(tuned.weights["conv1/kernel"], base.weights["conv1/kernel"])
    assert len(tuned.class_names) == 4
    tlcli("embed", str(kept), "digits-6-9-n100.h5", "-o", str(tmp_path / "e.h5"), cwd=work)


def test_bad_input_to_the_training_commands(work, tmp_path):
    tlcli("split", "--dataset", "digits", "--classes", "6-9", "-o", str(tmp_path / "t.h5"), cwd=work)
    for arguments, code in [
        (["train-base", "digits-0-5.h5", "--arch", "vgg16"], 2),
        (["train-base", "digits-0-5-cnn2.h5", "--arch", "cnn2"], 1),
        (["train-base", "digits-0-5.h5", "--arch", "cnn2", "--arch-option", "depth=3"], 2),
        (["train-base", "digits-0-5.h5", "--arch", "cnn2", "--epochs", "1", "--samples", "5"], 2),
        (["transfer", "digits-0-5-cnn2.h5", str(tmp_path / "t.h5"), "--method", "freez"], 2),
        (["transfer", "digits-0-5-cnn2.h5", str(tmp_path / "t.h5"), "--method", "freeze", "--copy", "9"], 2),
        (["transfer", "digits-6-9-n100.h5", str(tmp_path / "t.h5"), "--method", "freeze"], 1),
        (["embed", "digits-0-5-cnn2.h5", str(tmp_path / "t.h5"), "--layer", "conv9"], 2),
    ]:
        assert tlcli(*arguments, "-o", str(tmp_path / "out.h5"), cwd=work, code=code) == ""
        assert not (tmp_path / "out.h5").exists()


def test_the_digits_example_is_made_in_parallel_and_not_made_twice(tmp_path):
    make = [
        "make",
        "-C",
        str(ROOT / "examples" / "digits"),
        "-j8",
        f"OUT={tmp_path / 'out'}",
        f"TLCLI={' '.join(TLCLI)}",
        "RUNS=1",
        "SIZES=20",
    ]
    done = subprocess.run(make, capture_output=True, text=True, timeout=800, env=processes.ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    page = tmp_path / "out" / "report" / "report.html"
    assert str(page) in done.stdout
    assert page.exists()
    again = subprocess.run(make, capture_output=True, text=True, timeout=600, env=processes.ENVIRONMENT)
    assert "transfer" not in again.stdout
