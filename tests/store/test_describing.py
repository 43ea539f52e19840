"""`describe` and `verify`: of our files, of foreign ones, and of hostile ones without following anything."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from tlcli import store
from tlcli.errors import TlcliError


def test_sentences(
    dataset: store.Dataset,
    checkpoint: store.Checkpoint,
    embeddings: store.Embeddings,
    results: store.Results,
    tmp_path: Path,
) -> None:
    sentences = []
    for record in (dataset, checkpoint, embeddings, results):
        store.write(tmp_path / "x.h5", record, command="made", force=True)
        description = store.describe(tmp_path / "x.h5")
        assert description.kind == record.format
        assert description.problems == ()
        assert description.provenance == store.read_any(tmp_path / "x.h5").provenance
        sentences.append(description.sentence)
    told = (
        (
            "dataset",
            "mnist",
            "3 classes",
            "six, seven, été",
            "20 training",
            "5 validation",
            "7 test",
            "6x5x2",
        ),
        (
            "checkpoint",
            "lab-cnn",
            "88 parameters",
            "6x5x2",
            "six, seven, été",
            "3,000 samples",
            "interrupted",
        ),
        ("embeddings", "dense_1", "mirror", "8 wide", "six, seven, été", "30 training", "9 test"),
        ("results", "3 runs", "1 classification", "1 dataset", "freeze:copy=2", "knn:metric=cosine"),
    )
    for sentence, (kind, *facts) in zip(sentences, told, strict=True):
        assert sentence.startswith(kind)
        assert all(fact in sentence for fact in facts), sentence
    accuracies = [run.test_accuracy for run in results.runs]
    assert description.details["accuracies"] == [
        {
            "dataset": "mnist-6-9-p0.01",
            "size": 200,
            "arm": arm,
            "runs": len(found),
            "mean": np.mean(found),
            "sd": np.std(found, ddof=1) if len(found) > 1 else None,
            "seconds": None,
        }
        for arm, found in (("freeze:copy=2", accuracies), ("knn:metric=cosine", [0.75]))
    ]


def test_tree_and_counts(dataset: store.Dataset, tmp_path: Path) -> None:
    store.write(tmp_path / "x.h5", dataset)
    description = store.describe(tmp_path / "x.h5")
    entries = {entry.path: entry for entry in description.entries}
    assert list(entries)[:2] == ["/", "/ancestry"]
    images = entries["/train/images"]
    assert (images.kind, images.shape, images.dtype) == ("dataset", (20, 6, 5, 2), "uint8")
    assert (images.chunks, images.compression) == ((20, 6, 5, 2), "fletcher32")
    assert images.storage == 1204
    assert entries["/"].attributes["source"] == "mnist"
    labels = np.bincount(dataset.train.labels, minlength=3)
    assert description.class_counts["train"] == dict(zip(dataset.class_names, labels.tolist(), strict=True))
    assert description.details["options"] == dataset.options
    assert description.size == (tmp_path / "x.h5").stat().st_size


def test_images_are_not_read(dataset: store.Dataset, tmp_path: Path) -> None:
    store.write(tmp_path / "x.h5", dataset)
    image = (tmp_path / "x.h5").read_bytes()
    start = image.index(np.asarray(dataset.train.images).tobytes())
    (tmp_path / "x.h5").write_bytes(image[:start] + b"\xff" * 100 + image[start + 100 :])
    assert store.describe(tmp_path / "x.h5").problems == ()
    assert not store.verify(tmp_path / "x.h5").ok


def test_foreign_file(tmp_path: Path) -> None:
    """As h5py, Keras and MATLAB write them, with what tlcli would not follow."""
    with h5py.File(tmp_path / "k.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        file.attrs["keras_version"] = "2.0"
        file["dense/kernel:0"] = np.zeros((3, 2), np.float32)
        file.create_dataset("packed", data=np.zeros((100, 10)), compression="lzf")
        file["table"] = np.zeros(3, [("a", "<i8")])
        file["soft"] = h5py.SoftLink("/dense")
        file["out"] = h5py.ExternalLink("/etc/passwd", "/")
        file["type"] = np.dtype(np.int64)
        plan = h5py.VirtualLayout((5,), np.uint8)
        plan[:] = h5py.VirtualSource("/etc/passwd", "x", (5,))
        file.create_virtual_dataset("virtual", plan)
        file.create_dataset("outside", shape=(5,), dtype=np.uint8, external=[("/etc/passwd", 0, 5)])
    description = store.describe(tmp_path / "k.h5")
    assert description.kind == "hdf5"
    assert description.provenance is None
    assert description.sentence == (
        "an HDF5 file that tlcli did not write: 1 group, 5 datasets, 2 links (not followed)"
    )
    entries = {entry.path: entry for entry in description.entries}
    plain = ("group", "dataset")
    odd = {path: entry.kind for path, entry in entries.items() if entry.kind not in plain}
    assert odd == {
        "/soft": "soft link",
        "/out": "external link",
        "/type": "named type",
        "/virtual": "virtual dataset",
        "/outside": "external dataset",
    }
    kernel = entries["/dense/kernel:0"]
    assert (kernel.shape, kernel.dtype, kernel.problem) == ((3, 2), "float32", "")
    assert entries["/packed"].shape == (100, 10)
    assert entries["/table"].dtype == "compound"
    assert entries["/"].attributes["layer_names"] == "(an array)"
    assert entries["/"].attributes["keras_version"] == "(variable-length text)"
    assert len(description.problems) == 7


def test_a_file_that_only_claims_to_be_ours(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["format"] = np.bytes_(b"tlcli-results")
    description = store.describe(tmp_path / "x.h5")
    assert "tlcli-results" in description.sentence
    assert description.problems
    with pytest.raises(TlcliError, match="format version"):
        store.read_any(tmp_path / "x.h5")


def test_verify_looks_at_the_parents(
    dataset: store.Dataset, checkpoint: store.Checkpoint, tmp_path: Path
) -> None:
    parent = store.write(tmp_path / "d.h5", dataset)
    store.write(tmp_path / "c.h5", checkpoint, parents=[parent])

    def state() -> str:
        report = store.verify(tmp_path / "c.h5")
        assert report.ok
        return report.parents[0].state

    assert state() == "same"
    dataset.train.images[0] = 0
    store.write(tmp_path / "d.h5", dataset, force=True)
    assert state() == "other"
    (tmp_path / "d.h5").write_text("text")
    assert state() == "other"
    (tmp_path / "d.h5").unlink()
    assert state() == "absent"


def test_verify_of_what_is_no_file(tmp_path: Path) -> None:
    report = store.verify(tmp_path / "none.h5")
    assert not report.ok
    assert report.problems == (f"{tmp_path / 'none.h5'} does not exist; expected an HDF5 file.",)
