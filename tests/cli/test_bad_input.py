"""Bad files and requests give an exit code, a line or two, and no file with the final name."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
from failing_writes import without_powers
from processes import ENVIRONMENT, fails

READERS = {
    "split": ["split", "--dataset", "{}", "-o", "out.h5"],
    "train-base": ["train-base", "{}", "--arch", "cnn2", "-o", "out.h5"],
    "transfer": ["transfer", "{}", "digits-6-9.h5", "--method", "scratch", "-o", "out.h5"],
    "embed": ["embed", "{}", "digits-6-9.h5", "-o", "out.h5"],
    "knn": ["knn", "{}", "-o", "out.h5"],
    "report": ["report", "{}", "-o", "out"],
    "inspect": ["inspect", "{}"],
}


def _truncated(path, whole):
    path.write_bytes(whole.read_bytes()[:3000])


def _flipped(path, whole):
    data = bytearray(whole.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(data)


def _foreign(path, whole):
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(5)


BAD = {
    "missing": (lambda path, whole: None, "does not exist"),
    "empty": (lambda path, whole: path.write_bytes(b""), "empty"),
    "text": (lambda path, whole: path.write_text("hello"), "HDF5"),
    "truncated": (_truncated, "bad.h5"),
    "flipped": (_flipped, "bad.h5"),
    "foreign": (_foreign, "tlcli"),
    "folder": (lambda path, whole: path.mkdir(), "bad.h5"),
}


@pytest.mark.parametrize("command", [c for c in READERS if c != "inspect"])
@pytest.mark.parametrize("kind", BAD)
def test_bad_files(call, work, command, kind):
    """`split --dataset` takes a path or a name, so that a missing file is a wrong name (2)."""
    make, word = BAD[kind]
    make(work / "bad.h5", work / "digits-0-5.h5")
    missing_source = command == "split" and kind == "missing"
    arguments = [a.format("bad.h5") for a in READERS[command]]
    message = fails(call(*arguments), 2 if missing_source else 1, "bad.h5")
    assert command == "split" or word in message
    assert not (work / "out.h5").exists()
    assert not (work / "out").exists()


@pytest.mark.parametrize("command", ["train-base", "transfer", "embed", "knn"])
def test_wrong_kinds(call, work, command):
    wrong = "digits-0-5.h5" if command in ("transfer", "embed", "knn") else "pixels.h5"
    arguments = [a.format(wrong) for a in READERS[command]]
    fails(
        call(*arguments), 1, wrong, "expected", "tlcli-dataset" if "digits" in wrong else "tlcli-embeddings"
    )
    assert not (work / "out.h5").exists()


def test_inspect_says_what_it_sees_and_fails_only_where_there_is_nothing_to_see(call, work):
    for kind in ("missing", "empty", "text", "folder"):
        BAD[kind][0](work / "bad.h5", work / "digits-0-5.h5")
        fails(call("inspect", "bad.h5"), 1, "bad.h5")
        (work / "bad.h5").unlink(missing_ok=True) if not (work / "bad.h5").is_dir() else os.rmdir(
            work / "bad.h5"
        )
    _foreign(work / "bad.h5", None)
    done = call("inspect", "bad.h5")
    assert done.returncode == 0
    assert b"/x" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--classes", "0-11"], 2, "no class 10"),
        (["--classes", "cat"], 2, "'cat'"),
        (["--classes", "5-2"], 2, "backwards"),
        (["--classes", "random:11"], 2, "1 to 10"),
        (["--classes", "except:none.h5"], 1, "none.h5"),
        (["--classes", ""], 2, "classes"),
        (["--proportion", "0"], 2, "Proportion 0.0"),
        (["--proportion", "1.5"], 2, "Proportion 1.5"),
        (["--proportion", "nan"], 2, "Proportion nan"),
        (["--proportion", "-1"], 2, "Proportion -1.0"),
        (["--proportion", "0.0001"], 2, "Nothing is left"),
        (["--size", "4"], 2, "would be empty"),
        (["--size", "99999"], 2, "only"),
        (["--size", "0"], 2, "Size 0"),
        (["--multiple-of", "0"], 2, "Multiple of 0"),
        (["--validation", "1"], 2, "Validation 1.0"),
        (["--seed", "-1"], 2, "--seed"),
        (["--data-dir", "nowhere"], 2, "nowhere"),
        (["--image-size", "0"], 2, "size"),
    ],
)
def test_impossible_splits(call, work, arguments, code, word):
    fails(call("split", "--dataset", "digits", "-o", "out.h5", *arguments), code, word)
    assert not (work / "out.h5").exists()


@pytest.mark.parametrize(
    ("output", "word"),
    [
        ("no/such/folder/out.h5", "folder"),
        (".", "folder"),
        ("", "name"),
        ("x" * 300 + ".h5", "long"),
        ("sub/", "folder"),
    ],
)
def test_impossible_outputs(call, output, word):
    done = call("knn", "pixels.h5", "-o", output)
    fails(done, 2 if output in ("", "sub/") else 1, word)


def _restricted(arguments, work, restrict):
    return subprocess.run(
        [sys.executable, "-m", "tlcli.cli.main", *arguments],
        cwd=work,
        capture_output=True,
        env=ENVIRONMENT,
        preexec_fn=restrict,
        timeout=600,
    )


def _with_file_size_limit(arguments, work, limit):
    return _restricted(arguments, work, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))


def test_a_folder_without_permission(work):
    (work / "closed").mkdir(mode=0o555)
    done = _restricted(["knn", "pixels.h5", "-o", "closed/out.h5"], work, without_powers)
    fails(done, 1, "closed is not writable; choose another.")


@pytest.mark.parametrize("limit", [0, 100, 5_000, 30_000])
def test_a_disk_that_fills_up(work, limit):
    before = (work / "digits-0-5.h5").read_bytes()
    for output, extra in (("out.h5", []), ("digits-0-5.h5", ["--force"])):
        done = _with_file_size_limit(["split", "--dataset", "digits", "-o", output, *extra], work, limit)
        fails(done, 1)
    assert sorted(p.name for p in work.iterdir()) == ["digits-0-5.h5", "digits-6-9.h5", "pixels.h5"]
    assert (work / "digits-0-5.h5").read_bytes() == before


def test_too_few_images_for_neighbours(call, work):
    with h5py.File(work / "pixels.h5") as file:
        images = len(file["train/labels"])
    fails(call("knn", "pixels.h5", "--k", f"1-{images}"), 2, f"at most {images - 1}")


def test_images_of_another_size_than_the_base(call, work):
    """Also: options are checked before TensorFlow is loaded."""
    fails(
        call("train-base", "digits-0-5.h5", "--arch", "cnn2", "--learning-rate", "-1"), 2, "--learning-rate"
    )
    fails(call("train-base", "digits-0-5.h5", "--arch", "cnn2", "--device", "tpu"), 2, "tpu", "gpu")
    fails(call("transfer", "pixels.h5", "digits-6-9.h5", "--method", "freeze", "--runs", "0"), 2, "--runs")
    shutil.rmtree(work / "out.h5.resume", ignore_errors=True)
    assert not list(work.glob("*.resume"))
