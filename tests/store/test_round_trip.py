"""Reading gives the record that was written; writing gives the same bytes every time, by any route."""

from __future__ import annotations

import dataclasses
import io
import os
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from small_records import assert_same

from tlcli import store
from tlcli.errors import TlcliError, UsageError
from tlcli.store import stored_images
from tlcli.store.documentation import END, START, documentation
from tlcli.store.results import shorten_logits


def test_round_trip(record: store.Record, tmp_path: Path) -> None:
    written = store.write(tmp_path / "x.h5", record, command="make x")
    found = store.read(tmp_path / "x.h5", type(record))
    assert_same(record, found)
    assert found.provenance == written.provenance
    assert found.provenance.name == "x.h5"
    assert re.fullmatch(r"tlcli \d+\.\d+\.\d+.*", found.provenance.generated_by)
    assert store.file_format(tmp_path / "x.h5") == record.format
    assert type(store.read_any(tmp_path / "x.h5")) is type(record)


def test_many_images_stay_in_the_file(tmp_path, monkeypatch) -> None:
    """They are read as numpy reads an array, from chunks of several images and of a part of one."""
    rng = np.random.default_rng(4)
    for shape in ((53, 7, 5, 3), (9, 400, 300, 3)):
        pixels = rng.integers(0, 256, shape, np.uint8)
        part = store.Part(pixels, np.arange(shape[0]) % 3, np.arange(shape[0]))
        record = store.Dataset({"train": part, "test": part}, list("abc"), np.arange(3))
        written = store.write(tmp_path / "x.h5", record, force=True)
        monkeypatch.setattr(stored_images, "IN_MEMORY", 0)
        found = store.read(tmp_path / "x.h5", store.Dataset)
        images = found.train.images
        assert isinstance(images, stored_images.StoredImages)
        assert found.provenance == written.provenance
        for index in (
            slice(None),
            slice(1, 4),
            slice(None, None, -2),
            slice(0, 0),
            2,
            -1,
            np.array([2, 0, 1, 1]),
        ):
            assert np.array_equal(images[index], pixels[index])
        assert np.array_equal(images, pixels)
        some = images.subset(np.array([7, 2, 2, 0])).subset(np.array([1, 3]))
        assert np.array_equal(some, pixels[[2, 0]])
        assert (some.shape, len(some), some.sha256) == ((2, *shape[1:]), 2, "")
        store.write(tmp_path / "y.h5", found)
        assert (tmp_path / "y.h5").read_bytes() == (tmp_path / "x.h5").read_bytes()
        (tmp_path / "y.h5").unlink()


def test_images_that_change_while_they_are_read_are_an_error(tmp_path, monkeypatch) -> None:
    """The file is written to in place, which no command does."""
    monkeypatch.setattr(stored_images, "IN_MEMORY", 0)
    pixels = np.random.default_rng(4).integers(0, 256, (40, 40, 40, 3), np.uint8)
    part, other = (store.Part(x, np.zeros(40, np.int64), np.arange(40)) for x in (pixels, 255 - pixels))
    store.write(tmp_path / "x.h5", store.Dataset({"train": part, "test": other}, ["a"], np.arange(1)))
    content = (tmp_path / "x.h5").read_bytes()
    images = store.read(tmp_path / "x.h5", store.Dataset).train.images
    place = content.index(pixels[0].tobytes()[:64])
    with open(tmp_path / "x.h5", "r+b") as file:
        file.seek(place + 10)
        file.write(b"changed")
    with pytest.raises(TlcliError, match="train/images was changed"):
        images[:]
    with pytest.raises(TlcliError, match="does not fit its digest"):
        store.read(tmp_path / "x.h5", store.Dataset)
    with open(tmp_path / "x.h5", "r+b") as file:
        file.truncate(place + 10)
    with pytest.raises(TlcliError, match="another size than it declares"):
        images[:]


def test_order_of_weights_and_runs_is_kept(
    checkpoint: store.Checkpoint, results: store.Results, tmp_path: Path
) -> None:
    store.write(tmp_path / "c.h5", checkpoint)
    store.write(tmp_path / "r.h5", results)
    found = store.read(tmp_path / "c.h5", store.Checkpoint)
    assert list(found.weights) == list(checkpoint.weights)
    assert list(found.state) == list(checkpoint.state)
    found_runs = store.read(tmp_path / "r.h5", store.Results).runs
    assert [run.key for run in found_runs] == [run.key for run in results.runs]


def test_same_bytes_in_file_again_and_in_memory(
    record: store.Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a second later: no time stamps."""
    monkeypatch.chdir(tmp_path)
    stdout = types.SimpleNamespace(buffer=io.BytesIO(), isatty=lambda: False)
    store.write("a.h5", record, command="make")
    first = Path("a.h5").read_bytes()
    monkeypatch.setattr(sys, "stdout", stdout)
    store.write("-", record, command="make")
    assert stdout.buffer.getvalue() == first
    with h5py.File("a.h5") as file:
        for group in [file, *(o for o in (file[name] for name in file) if isinstance(o, h5py.Group))]:
            assert h5py.h5g.get_objinfo(group.id).mtime == 0
    store.write("a.h5", record, command="make", force=True)
    assert Path("a.h5").read_bytes() == first


def test_content_digest_knows_the_content_only(
    dataset: store.Dataset, checkpoint: store.Checkpoint, tmp_path: Path
) -> None:
    a = store.write(tmp_path / "a.h5", dataset, command="split --size 20")
    b = store.write(tmp_path / "b.h5", dataset, command="split --proportion 0.01")
    assert a.provenance.content_sha256 == b.provenance.content_sha256
    made_from_a = store.write(tmp_path / "ca.h5", checkpoint, command="train a.h5", parents=[a])
    elsewhere = store.Provenance(computed_by={"backend": "jax", "device": "gpu"})
    moved = dataclasses.replace(checkpoint, provenance=elsewhere)
    made_from_b = store.write(tmp_path / "cb.h5", moved, command="train b.h5", parents=[b])
    assert store.read(tmp_path / "cb.h5", store.Checkpoint).provenance.computed_by["backend"] == "jax"
    assert made_from_a.provenance.content_sha256 == made_from_b.provenance.content_sha256
    orphan = store.write(tmp_path / "c.h5", checkpoint)
    assert orphan.provenance.content_sha256 != made_from_a.provenance.content_sha256
    dataset.train.images[0, 0, 0, 0] ^= 1
    other = store.write(tmp_path / "d.h5", dataset)
    assert other.provenance.content_sha256 != a.provenance.content_sha256


def test_seconds_are_no_content_but_cannot_be_changed(results: store.Results, tmp_path: Path) -> None:
    plain = store.write(tmp_path / "plain.h5", results)
    with h5py.File(tmp_path / "plain.h5") as file:
        assert "seconds" not in file["runs"]
    results.runs[0].seconds = 1.5
    timed = store.write(tmp_path / "timed.h5", results)
    assert timed.provenance.content_sha256 == plain.provenance.content_sha256
    found = store.read(tmp_path / "timed.h5", store.Results)
    assert [run.seconds for run in found.runs] == [1.5, None, None]
    with h5py.File(tmp_path / "timed.h5", "r+") as file:
        file["runs/seconds"][0] = 1.25
    with pytest.raises(TlcliError, match="provenance"):
        store.read(tmp_path / "timed.h5", store.Results)


def test_provenance_reaches_back_to_the_first_file(
    dataset: store.Dataset, checkpoint: store.Checkpoint, embeddings: store.Embeddings, tmp_path: Path
) -> None:
    a = store.write(tmp_path / "a.h5", dataset, command="split")
    b = store.write(tmp_path / "b.h5", checkpoint, command="train-base a.h5", parents=[a])
    store.write(tmp_path / "e.h5", embeddings, command="embed b.h5 a.h5", parents=[b, a])
    found = store.read(tmp_path / "e.h5", store.Embeddings).provenance
    assert [parent.name for parent in found.parents] == ["b.h5", "a.h5"]
    assert [(x.name, x.command) for x in found.ancestry] == [("b.h5", "train-base a.h5"), ("a.h5", "split")]
    assert found.ancestry[0].parents == (a.provenance.content_sha256,)
    assert found.ancestry[0].computed_by == checkpoint.provenance.computed_by


def test_lazy_images_are_decoded_in_blocks(
    dataset: store.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tlcli.store.layout.CHUNK_BYTES", 120)
    monkeypatch.setattr("tlcli.store.layout.BLOCK_BYTES", 400)
    images = np.asarray(dataset.train.images)
    asked: list[int] = []

    class Lazy:
        shape, dtype = images.shape, images.dtype

        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, index: Any) -> np.ndarray:
            asked.append(len(images[index]))
            return images[index]

    dataset.parts["train"] = dataclasses.replace(dataset.train, images=Lazy())
    store.write(tmp_path / "x.h5", dataset)
    assert max(asked) <= 6
    np.testing.assert_array_equal(store.read(tmp_path / "x.h5", store.Dataset).train.images, images)


def test_compressible_images_are_compressed(dataset: store.Dataset, tmp_path: Path) -> None:
    flat = np.zeros((20, 6, 5, 2), np.uint8)
    dataset.parts["train"] = dataclasses.replace(dataset.train, images=flat)
    store.write(tmp_path / "x.h5", dataset)
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["train/images"].compression == "gzip"
        assert file["test/images"].compression is None
        assert file["test/images"].fletcher32
    np.testing.assert_array_equal(store.read(tmp_path / "x.h5", store.Dataset).train.images, flat)


def test_long_json_goes_to_a_dataset(dataset: store.Dataset, results: store.Results, tmp_path: Path) -> None:
    dataset.options = {"classes": ["x" * 100] * 1000}
    results.recipe = {"names": ["y" * 100] * 1000}
    for record in (dataset, results):
        store.write(tmp_path / "x.h5", record, force=True)
        assert_same(record, store.read(tmp_path / "x.h5", type(record)))


def test_plain_h5py_reads_it(dataset: store.Dataset, tmp_path: Path) -> None:
    store.write(tmp_path / "x.h5", dataset)
    with h5py.File(tmp_path / "x.h5") as file:
        assert file.attrs["format"] == b"tlcli-dataset" or file.attrs["format"] == "tlcli-dataset"
        assert [name.decode() for name in file["classes/names"]] == dataset.class_names
        np.testing.assert_array_equal(file["train/images"][:], dataset.train.images)


def test_pipe(embeddings: store.Embeddings, tmp_path: Path) -> None:
    """A real pipe: one process writes `-`, the next reads `-`."""
    code = "from tlcli import store; store.write('-', store.read('-', store.Embeddings), command='again')"
    store.write(tmp_path / "x.h5", embeddings, command="again")
    image = (tmp_path / "x.h5").read_bytes()
    again = subprocess.run([sys.executable, "-c", code], input=image, capture_output=True, check=True)
    assert again.stdout == image
    assert again.stderr == b""
    empty = subprocess.run([sys.executable, "-c", code], input=b"", capture_output=True, check=False)
    cut = subprocess.run([sys.executable, "-c", code], input=image[:-100], capture_output=True, check=False)
    told = [done.stderr.splitlines()[-1] for done in (empty, cut)]
    assert all(b"stdin" in line for line in told)
    assert told[0] != told[1]


def test_results_are_tables(results: store.Results, tmp_path: Path) -> None:
    """Read the tables with plain h5py, as in MATLAB or R."""
    store.write(tmp_path / "x.h5", results)
    with h5py.File(tmp_path / "x.h5") as file:
        runs = file["runs"]
        assert {column.shape for column in runs.values()} == {(3,)}
        assert [arm.decode() for arm in runs["arm"]] == ["freeze:copy=2"] * 3
        assert runs["copy"][:].tolist() == [2, 2, 2]
        assert np.isnan(runs["base_accuracy"][:]).all()
        assert runs["freeze"][:].tolist() == [-1, -1, -1]
        for i, accuracy in enumerate(runs["test_accuracy"]):
            assert file[f"trainings/{i}/history/test_accuracy"][-1] == accuracy
            logits = file[f"trainings/{i}/test/logits"]
            assert logits.dtype == np.float32
            assert (logits[:].argmax(axis=1) == file[f"trainings/{i}/test/predictions"]).all()
        assert file["neighbours/k"][0] == 2
        assert file["neighbours/test_accuracy"][0] == file["sweeps/0/test_accuracy"][1] == 0.75
        assert file["targets/name"][0].decode() == "mnist-6-9-p0.01"
        names: list[str] = []
        file.visit(names.append)
        assert not [name for name in names if "|" in name]


def test_results_as_a_data_frame(results: store.Results) -> None:
    pytest.importorskip("pandas")
    runs = results.to_dataframe()
    assert runs["run"].tolist() == [2, 1, 0]
    assert runs["test_accuracy"].tolist() == [run.test_accuracy for run in results.runs]
    assert runs["base_accuracy"].isna().all()
    assert runs["recipe_epochs"].tolist() == [3, 3, 3]
    assert len(results.to_dataframe("history")) == 15
    sweeps = results.to_dataframe("sweeps")
    assert sweeps["k"].tolist() == [1, 2, 3]
    assert sweeps["test_accuracy"].isna().tolist() == [False, False, True]
    predictions = results.to_dataframe("predictions")
    right = predictions.groupby("run")["right"].mean()
    labels = results.targets["mnist-6-9-p0.01"].test_labels
    assert right[0] == (results.runs[-1].predictions == labels).mean()
    softmax = np.exp(results.runs[0].logits)
    sure = (softmax / softmax.sum(axis=1, keepdims=True)).max(axis=1)
    np.testing.assert_allclose(predictions["confidence"][:50], sure, rtol=1e-6)
    with pytest.raises(UsageError, match="has the tables runs, history"):
        results.to_dataframe("rums")


def test_shortened_logits_keep_the_softmax_and_the_answer() -> None:
    rng = np.random.default_rng(0)
    logits = np.float32(5 * rng.normal(size=(1000, 10)) + 30 * rng.normal(size=(1000, 1)))
    logits[0] = [1e-9, 0, *[-1] * 8]  # the two largest cannot be told apart in 12 bits
    kept = shorten_logits(logits)
    assert (kept.argmax(axis=1) == logits.argmax(axis=1)).all()
    exact = (logits - logits.max(axis=1, keepdims=True)).astype(np.float64)
    assert np.abs(kept - exact).max() <= np.abs(exact).max() * 2**-12
    assert (np.abs(kept - exact) <= np.abs(exact) * 2**-12).all()
    np.testing.assert_array_equal(shorten_logits(kept), kept)
    assert not (kept.view(np.uint32) & 0xFFF).any()


def test_page_is_up_to_date() -> None:
    page = (Path(store.__file__).parent / "README.md").read_text()
    assert page[page.index(START) : page.index(END) + len(END)] == documentation()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.train.labels.__setitem__(0, 3), "holds the label 3; expected 0...2"),
        (lambda d: d.train.labels.__setitem__(0, -1), "train/labels holds -1"),
        (lambda d: d.class_names.__setitem__(1, "six"), "'six' more than once"),
        (lambda d: d.class_names.__setitem__(1, "a\nb"), "expected printable names"),
        (lambda d: d.class_names.pop(), "expected n = 2"),
        (lambda d: d.parts.pop("test"), "test/images is missing"),
        (lambda d: setattr(d.train, "labels", d.train.labels[1:]), "expected N = 20"),
        (
            lambda d: setattr(d.train, "images", d.train.images.astype(np.float32)),
            "train/images holds float32",
        ),
        (lambda d: d.options.__setitem__("p", float("nan")), "options cannot be stored as JSON"),
        (lambda d: d.options.__setitem__("p", object()), "options cannot be stored as JSON"),
        (lambda d: d.options.__setitem__("p", "\udce9"), "options cannot be stored as JSON"),
        (lambda d: d.options.__setitem__("p", "\x1b[2J"), "options holds control characters"),
        (lambda d: setattr(d, "source", "a\nb"), "holds control characters"),
    ],
)
def test_a_record_that_breaks_the_schema_is_not_written(
    dataset: store.Dataset, tmp_path: Path, change: Any, words: str
) -> None:
    change(dataset)
    with pytest.raises(TlcliError, match=re.escape(words)):
        store.write(tmp_path / "x.h5", dataset)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.std.__setitem__(0, 0), "std holds 0; expected numbers above 0"),
        (lambda c: c.mean.__setitem__(0, np.nan), "mean holds NaN"),
        (lambda c: c.history.__setitem__("train_loss", np.zeros(3)), "expected T = 4"),
        (lambda c: c.history["test_accuracy"].__setitem__(0, 98.5), "outside 0...1"),
        (
            lambda c: c.weights.__setitem__("x/y/z", np.zeros(1, np.float32)),
            "unknown dataset 'weights/x/y/z'",
        ),
        (lambda c: c.weights.__setitem__("x/..", np.zeros(1, np.float32)), "the name '..'"),
        (lambda c: c.weights.__setitem__("x/y", np.zeros(1, complex)), "complex128"),
        (lambda c: setattr(c, "input_shape", (6, 5, 3)), "expected height, width and 2 channels"),
    ],
)
def test_a_checkpoint_that_breaks_the_schema_is_not_written(
    checkpoint: store.Checkpoint, tmp_path: Path, change: Any, words: str
) -> None:
    change(checkpoint)
    with pytest.raises(TlcliError, match=re.escape(words)):
        store.write(tmp_path / "x.h5", checkpoint)
    assert os.listdir(tmp_path) == []


def test_any_file_name_and_argument_can_be_recorded(
    dataset: store.Dataset, checkpoint: store.Checkpoint, tmp_path: Path
) -> None:
    """Names of files are bytes, not text."""
    name = os.fsdecode(b"caf\xe9 <b>\n.h5")
    parent = store.write(tmp_path / name, dataset, command=f"split\t-o {name}")
    store.write(tmp_path / "c.h5", checkpoint, parents=[parent])
    found = store.read(tmp_path / "c.h5", store.Checkpoint).provenance
    assert found.parents[0].name == "caf\\udce9 <b>\\n.h5"
    assert found.ancestry[0].command == "split\\t-o caf\\udce9 <b>\\n.h5"
    assert store.read(tmp_path / name, store.Dataset).provenance.name == found.parents[0].name
