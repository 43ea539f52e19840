"""`inspect`, `verify` and the lists."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from processes import ENVIRONMENT, fails

from tlcli import store
from tlcli.cli.inspect import origin
from tlcli.cli.output import format_table, printable
from tlcli.cli.progress import ProgressDisplay, duration, speed
from tlcli.cli.sheet import compose
from tlcli.store.describing import FileDescription
from tlcli.store.records import Ancestor, Dataset, Parent, Provenance, Results, Run, Target

GRID = Path(__file__).parent.parent / "store" / "fixtures" / "v1" / "grid.h5"


def test_inspect_shows_sentence_balance_tree_and_origin(call):
    call("knn", "pixels.h5", "-q")
    shown = call("inspect", "digits-0-5.h5").stdout.decode()
    assert shown.startswith("digits-0-5.h5: dataset of digits, 6 classes")
    assert "/train/images" in shown
    assert "869x8x8x1" in shown
    assert "tlcli split --dataset digits --classes 0-5" in shown
    assert shown.count("█" * 25) >= 12
    shown = call("inspect", "pixels-knn.h5").stdout.decode()
    assert shown.index("from pixels.h5 (embeddings") < shown.index("from digits-6-9.h5 (dataset")


def test_an_ancestor_of_several_is_led_back_from_once():
    """Ten files made from one another in ten ways each would otherwise fill the screen without end."""
    digests = [f"{n:064x}" for n in range(12)]
    ancestry = tuple(
        Ancestor(f"{n}.h5", "tlcli-dataset", digests[n], "", "", tuple(digests[n + 1 :])) for n in range(12)
    )
    parents = (Parent("0.h5", "tlcli-dataset", digests[0]),)
    made = Provenance("tlcli knn", parents, ancestry, "tlcli", digests[-1], "x.h5")
    lines = list(origin(FileDescription("x.h5", "tlcli-results", "", 0, (), made)))
    assert len([line for line in lines if " from " in line]) == 1 + 11 * 12 // 2


def test_bars_are_plain_where_the_terminal_is(run):
    done = run("inspect", "digits-0-5.h5", env={"PYTHONIOENCODING": "ascii"})
    assert "#" * 25 in done.stdout.decode("ascii")


def test_inspect_as_json(call):
    shown = json.loads(call("inspect", "digits-6-9.h5", "--json").stdout)
    assert (shown["kind"], shown["details"]["classes"]) == ("dataset", 4)
    assert shown["class_counts"]["train"].keys() == {"6", "7", "8", "9"}
    assert {"/train/images", "/test/labels"} <= {entry["path"] for entry in shown["tree"]}
    assert shown["provenance"]["command"] == "tlcli split --dataset digits --classes 6-9"


def test_a_sheet_of_images(call, work):
    from PIL import Image

    assert call("inspect", "digits-0-5.h5", "--images", "sheet.png").returncode == 0
    dataset = store.read(work / "digits-0-5.h5", Dataset)
    sheet = np.asarray(Image.open(work / "sheet.png"))
    np.testing.assert_array_equal(sheet, compose(dataset)[:, :, 0])
    first = dataset.train.images[int(np.flatnonzero(dataset.train.labels == 2)[0])][:, :, 0]
    enlarged = sheet[4 + 2 * 52 : 4 + 2 * 52 + 48, 4 : 4 + 48]
    np.testing.assert_array_equal(enlarged[::6, ::6], first)
    fails(call("inspect", "digits-0-5.h5", "--images", "sheet.png"), 1, "--force")
    fails(call("inspect", "digits-0-5.h5", "--images", "sheet.jpg"), 2, ".png")
    done = call("inspect", "pixels.h5", "--images", "other.png")
    assert done.returncode == 1
    assert b"expected a dataset" in done.stderr


def test_large_trees_are_cut_unless_all_is_wanted(call, work):
    labels = np.zeros(3, np.int64)
    runs = [
        Run(
            "scratch",
            "scratch",
            "d",
            10,
            i,
            i,
            1,
            1,
            history={"samples_seen": np.array([1]), "test_accuracy": np.array([0.5])},
            predictions=labels,
        )
        for i in range(60)
    ]
    target = Target("d", "", 10, ["a", "b"], labels, np.arange(3))
    store.write(work / "many.h5", Results(runs, {"d": target}))
    short = call("inspect", "many.h5").stdout.decode().splitlines()
    whole = call("inspect", "many.h5", "--all").stdout.decode().splitlines()
    assert len(short) < 80 < 300 < len(whole)
    assert any("more; --all lists them" in line for line in short)


def test_inspect_of_results_begins_with_the_accuracies(call, work):
    shutil.copy(GRID, work / "grid.h5")
    lines = call("inspect", "grid.h5").stdout.decode().splitlines()
    assert lines[0].startswith("grid.h5: results of 10 runs")
    assert lines[2].split("  ")[0] == "data set"
    assert lines[3].split() == ["target", "30", "scratch", "2", "40.5", "%", "10.1", "%"]
    assert len(json.loads(call("inspect", "grid.h5", "--json").stdout)["details"]["accuracies"]) == 5


def test_dump_writes_tables_as_csv(call, work):
    shutil.copy(GRID, work / "grid.h5")
    results = store.read(GRID, Results)
    text = call("dump", "grid.h5", "--table", "runs", "--csv", "-").stdout.decode()
    rows = list(csv.DictReader(text.splitlines()))
    assert text.isascii()
    assert len(rows) == len(results.runs) == 10
    for row, run in zip(rows, results.runs, strict=True):
        assert (row["arm"], int(row["seed"]), float(row["test_accuracy"])) == (
            run.arm,
            run.seed,
            run.test_accuracy,
        )
        assert float(row["source_accuracy_after"]) == run.source_accuracy_after
        assert (row["head_units"], row["recipe_optimizer"]) == ("", "adam")
    done = call("dump", "grid.h5", "--table", "history", "--csv", "curves.csv")
    assert done.stdout == b"curves.csv\n"
    with open(work / "curves.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(run.history["samples_seen"]) for run in results.runs)
    assert float(rows[-1]["test_loss"]) == results.runs[-1].history["test_loss"][-1]
    fails(call("dump", "grid.h5", "--csv", "curves.csv"), 1, "--force")
    chosen = call("dump", "grid.h5", "--columns", "test_accuracy,arm").stdout.decode().splitlines()
    assert (chosen[0], len(chosen)) == ("test_accuracy,arm", 11)
    fails(call("dump", "grid.h5", "--columns", "arm,test_acuracy"), 2, "'test_acuracy'", "'test_accuracy'")
    fails(call("dump", "grid.h5", "--table", "rums"), 2, "runs, history, neighbours")
    fails(call("dump", "grid.h5", "--table", "neighbours"), 1, "no rows")
    call("knn", "pixels.h5", "-q")
    (row,) = csv.DictReader(call("dump", "pixels-knn.h5").stdout.decode().splitlines())
    assert (row["arm"], row["metric"], row["mirrored"]) == ("knn", "euclidean", "0")
    images = call("dump", "digits-6-9.h5").stdout.decode().splitlines()
    assert images[0] == "part,source_index,label,class"


def test_a_wide_table_on_a_terminal_comes_with_a_word_on_columns(work):
    shutil.copy(GRID, work / "grid.h5")
    first, second = (
        on_terminal(work, "dump", "grid.h5", *choice) for choice in ([], ["--columns", "arm,seed"])
    )
    assert "--columns" in first.splitlines()[-1]
    assert second.splitlines()[0] == "arm,seed"
    assert "--columns" not in second


def on_terminal(folder, *arguments):
    """What a command writes to a terminal."""
    terminal, end = pty.openpty()
    program = [sys.executable, "-m", "tlcli.cli.main", *arguments]
    with subprocess.Popen(program, cwd=folder, env=ENVIRONMENT, stdout=end, stderr=end) as process:
        os.close(end)
        said = b""
        with contextlib.suppress(OSError):  # Linux: the other end is closed
            while block := os.read(terminal, 65536):
                said += block
        os.close(terminal)
    assert process.returncode == 0
    return said.decode().replace("\r\n", "\n")


def test_verify_follows_inputs(call, work):
    call("knn", "pixels.h5", "-q")
    done = call("verify", "pixels-knn.h5")
    assert done.returncode == 0
    assert done.stdout.decode().splitlines() == [
        "ok    pixels-knn.h5",
        "ok    pixels.h5",
        "ok    digits-6-9.h5",
    ]

    (work / "digits-6-9.h5").rename(work / "renamed.h5")
    assert b"input digits-6-9.h5: not here" in call("verify", "pixels.h5").stdout
    assert b"not here" not in call("verify", "pixels.h5", "renamed.h5").stdout

    call("split", "--dataset", "digits", "--classes", "6-8", "-o", "digits-6-9.h5", "-q")
    done = call("verify", "pixels-knn.h5", "--json")
    assert done.returncode == 1
    verdicts = {v["path"]: v for v in json.loads(done.stdout)["files"]}
    assert verdicts["pixels-knn.h5"]["ok"]
    assert not verdicts["pixels.h5"]["ok"]


def test_verify_goes_on_behind_an_input_of_an_impossible_name(call, work):
    """A recorded name is longer than any file's."""
    pixels = store.read(work / "pixels.h5", store.Embeddings)
    parent = dataclasses.replace(pixels, provenance=dataclasses.replace(pixels.provenance, name="n" * 300))
    store.write(work / "odd.h5", pixels, parents=[parent])
    done = call("verify", "odd.h5", "digits-0-5.h5")
    assert done.returncode == 0, done.stderr
    assert [line[:20] for line in done.stdout.decode().splitlines()] == [
        "ok    odd.h5",
        "      input nnnnnnnn",
        "ok    digits-0-5.h5",
    ]


def test_a_name_forges_no_line_and_fills_no_screen(call, work):
    name = "x.h5\nok    digits-0-5.h5"
    (work / name).write_bytes(b"no HDF5")
    done = call("verify", name)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 2
    assert b"\nok " not in done.stdout
    for command in (("knn", name), ("knn", "missing\ntlcli: all is well"), ("split", "--dataset", name)):
        message = call(*command).stderr.decode()
        assert not any(line.startswith(("ok", "tlcli: all")) for line in message.splitlines()), message
    with h5py.File(work / "long.h5", "w") as file:
        file["n" * 60_000] = [1]
        file.attrs["format"] = "f" * 60_000
    assert len(call("inspect", "long.h5").stdout) < 5_000
    assert len(call("knn", "long.h5").stderr) < 5_000


@pytest.mark.parametrize("where", [0.3, 0.5, 0.7])
def test_verify_finds_a_flipped_bit(call, work, where):
    with h5py.File(work / "digits-0-5.h5") as file:
        chunk = file["train/images"].id.get_chunk_info(0)
    data = bytearray((work / "digits-0-5.h5").read_bytes())
    data[int(chunk.byte_offset + where * chunk.size)] ^= 4
    (work / "digits-0-5.h5").write_bytes(data)
    done = call("verify", "digits-0-5.h5", "digits-6-9.h5")
    assert done.returncode == 1
    assert done.stdout.startswith(b"BAD   digits-0-5.h5\n")
    assert b"ok    digits-6-9.h5" in done.stdout
    assert b"tlcli: 1 of 2 files differ" in done.stderr


def test_datasets_and_their_json(call):
    done = call("datasets")
    assert done.stdout.decode().splitlines()[0].split() == [
        "name",
        "train",
        "test",
        "classes",
        "image",
        "summary",
    ]
    listed = {d["name"]: d for d in json.loads(call("datasets", "--json").stdout)["datasets"]}
    assert listed["mnist"]["train"] == 60000
    assert {"digits", "cifar10", "cifar100"} <= listed.keys()


def test_tables_align_numbers_to_the_right():
    assert format_table(("name", "n"), [("a", "1,000"), ("bcdef", "20")]) == [
        "name       n",
        "a      1,000",
        "bcdef     20",
    ]


def test_control_characters_are_escaped():
    assert printable("a\x1b[0m\nb – é\u202e") == "a\\x1b[0m\\nb – é\\u202e"


def test_progress_waits_and_tells_rate_and_time_to_go(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with ProgressDisplay("training", unit="images") as progress:
        for second in range(200):
            now[0] = float(second)
            progress(10 * second, 10_000, "run 1")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3  # one a minute: this is no terminal
    assert lines[0] == "training (run 1): 6 %, 10 images/s, 16 min to go"


def test_durations_and_speeds():
    assert [speed(r) for r in (0.25, 9.96, 1234.5)] == ["0.2", "10.0", "1,234"]
    assert [duration(s) for s in (0.4, 89, 600, 12_000)] == ["0 s", "89 s", "10 min", "3 h 20 min"]
