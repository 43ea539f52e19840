"""Warnings that bear on the meaning of a result are always printed, and all files made from it keep them."""

from __future__ import annotations

import numpy as np
from processes import tlcli

from tlcli import store


def test_notes_follow_the_data_to_the_report(tmp_path):
    """From `split -q` over embeddings and neighbours to the report; and when the dataset is cut again."""

    def run(*arguments):
        done = tlcli(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done

    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (40, 4, 4), np.uint8), np.arange(40) % 2
    images[36] = images[0]
    np.savez(
        tmp_path / "a.npz", x_train=images[:30], y_train=labels[:30], x_test=images[30:], y_test=labels[30:]
    )
    note = "1 of 30 train images are in the test part, too, pixel for pixel"
    assert note in run("split", "--dataset", "a.npz", "-q", "-o", "a.h5").stderr.decode()
    assert note in run("inspect", "a.h5").stdout.decode()
    assert note in run("split", "--dataset", "a.h5", "--size", "20", "-q", "-o", "b.h5").stderr.decode()

    cut = store.read(tmp_path / "a.h5", store.Dataset)
    parts = {
        name: store.EmbeddingPart(
            np.asarray(part.images[:], np.float32).reshape(len(part), -1), part.labels, part.source_index
        )
        for name, part in cut.parts.items()
    }
    embeddings = store.Embeddings(parts, "pixels", cut.class_names, cut.class_original, notes=cut.notes)
    store.write(tmp_path / "e.h5", embeddings, command="tlcli embed", parents=[cut])
    run("knn", "e.h5", "-q", "-o", "k.h5")
    run("train-base", "a.h5", "--arch", "cnn8", "--samples", "30", "-q", "-o", "base.h5")
    for name in ("e.h5", "k.h5", "base.h5"):
        assert note in run("inspect", name).stdout.decode()
    run("report", "k.h5", "base.h5", "-q", "-o", "report")
    assert (tmp_path / "report" / "report.md").read_text().count(note) == 2
    assert note in (tmp_path / "report" / "report.html").read_text()


def test_notes_of_a_stranger_are_texts():
    for notes in (5, {"a": 1}, "text", None):
        assert store.records.notes_of({"notes": notes}) == []
    assert store.records.notes_of({"notes": [1, "b"]}) == ["1", "b"]
