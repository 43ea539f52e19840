"""Damage is found, and so are wrong values under right digests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from fuzzing.attacks import set_text

from tlcli import store
from tlcli.errors import TlcliError
from tlcli.store import digest, layout, schema_parts, tree


@pytest.fixture
def path(dataset: store.Dataset, tmp_path: Path) -> Path:
    store.write(tmp_path / "x.h5", dataset)
    return tmp_path / "x.h5"


def test_every_bit_counts(record: store.Record, tmp_path: Path) -> None:
    """Flipped one at a time: the same record is read, or the file is refused; never another one."""
    store.write(tmp_path / "x.h5", record, command="made")
    image = (tmp_path / "x.h5").read_bytes()
    known = store.read_any(tmp_path / "x.h5").provenance
    rng = np.random.default_rng(0)
    refused = 0
    for place, bit in zip(rng.integers(0, len(image), 150), rng.integers(0, 8, 150), strict=True):
        damaged = bytearray(image)
        damaged[place] ^= 1 << bit
        (tmp_path / "y.h5").write_bytes(damaged)
        report = store.verify(tmp_path / "y.h5")
        refused += not report.ok
        assert not report.ok or report.content_sha256 == known.content_sha256
    assert refused > 50


def test_every_bit_of_the_data_counts(record: store.Record, tmp_path: Path) -> None:
    """Flips in the stored bytes of every dataset of every kind are found; of the smallest, in each byte."""
    store.write(tmp_path / "x.h5", record, command="made")
    image = (tmp_path / "x.h5").read_bytes()
    rng = np.random.default_rng(0)
    for name, start, size in stored_blocks(tmp_path / "x.h5"):
        places = range(size) if size <= 4 else rng.integers(0, size, 4)
        for place in places:
            damaged = bytearray(image)
            damaged[start + int(place)] ^= 1 << int(rng.integers(8))
            (tmp_path / "y.h5").write_bytes(damaged)
            report = store.verify(tmp_path / "y.h5")
            assert not report.ok, f"{name}, byte {place} of {size}"


def stored_blocks(path: Path) -> list[tuple[str, int, int]]:
    """Name, place and size in the file of every block of data: the values, without checksums and padding."""
    blocks: list[tuple[str, int, int]] = []

    def visit(name: str, found: Any) -> None:
        if not isinstance(found, h5py.Dataset) or not found.size:
            return
        if found.chunks is None:
            blocks.append((name, found.id.get_offset(), found.nbytes))
            return
        for i in range(found.id.get_num_chunks()):
            chunk = found.id.get_chunk_info(i)
            whole = found.compression or found.shape == found.chunks
            size = chunk.size - 4 if whole else found.dtype.itemsize  # the last is sure to be no padding
            blocks.append((name, chunk.byte_offset, size))

    with h5py.File(path) as file:
        file.visititems(visit)
    assert blocks
    return blocks


@pytest.mark.parametrize(
    "edit",
    [
        lambda file: file["train/labels"].__setitem__(0, (file["train/labels"][0] + 1) % 3),
        lambda file: set_text(file, "source", b"MNIST"),
        lambda file: set_text(file, "command", b"other"),
        lambda file: set_text(file, "content_sha256", b"0" * 64),
        lambda file: set_text(file, "provenance_sha256", b"0" * 64),
        lambda file: file.move("ancestry", "train/ancestry"),
        lambda file: file.move("validation", "other"),
        lambda file: file.__delitem__("validation"),
        lambda file: file.__delitem__("validation/labels"),
    ],
)
def test_edits_are_found(edit: Callable[[h5py.File], Any], path: Path) -> None:
    with h5py.File(path, "r+") as file:
        edit(file)
    assert not store.verify(path).ok


def forge(tmp_path: Path, record: store.Record, change: Callable[[tree.Tree], None]) -> Path:
    """A file with right digests and wrong values, as an attacker would make one."""
    from tlcli.store import formats, writing

    def unchecked(forged: tree.Tree) -> None:
        change(forged)
        forged.set("", "provenance_sha256", digest.provenance_digest(forged))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, "check_tree", unchecked)
        patch.setattr(layout.checks.Rules, "array", lambda self, path: schema_parts.COMMON_ARRAYS[0])
        writing.write(tmp_path / "forged.h5", record, force=True)
    return tmp_path / "forged.h5"


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("dataset", lambda t: t.datasets["train/labels"].__setitem__(0, 10**9), "holds the label 1000000000"),
        ("dataset", lambda t: t.datasets["train/labels"].__setitem__(0, -1), "holds -1"),
        ("dataset", lambda t: t.datasets["classes/original"].__setitem__(0, -1), "classes/original holds -1"),
        ("dataset", lambda t: t.datasets.update({"classes/names": ["a", "a", "b"]}), "more than once"),
        ("dataset", lambda t: t.datasets.update({"train/labels": np.zeros(19, np.int64)}), "expected N = 20"),
        ("dataset", lambda t: t.datasets.update({"ancestry": '[{"name": 1}]'}), "another form"),
        ("dataset", lambda t: t.datasets.update({"ancestry": "{}"}), "is not a list"),
        ("dataset", lambda t: t.set("", "extra", 1), "unknown attribute 'extra'"),
        ("dataset", lambda t: t.set("train", "extra", 1), "unknown attribute 'extra'"),
        ("dataset", lambda t: t.datasets.update({"train/code": np.zeros(3)}), "unknown dataset 'train/code'"),
        (
            "embeddings",
            lambda t: t.datasets["train/embeddings"].__setitem__((0, 0), np.nan),
            "NaN or infinite",
        ),
        (
            "checkpoint",
            lambda t: t.datasets["preprocessing/std"].__setitem__(0, -1),
            "expected numbers above 0",
        ),
        ("checkpoint", lambda t: t.set("", "input_shape", "[6, 5, 10000000]"), "input_shape"),
        ("checkpoint", lambda t: t.set("", "input_shape", '["a", 5, 2]'), "input_shape"),
        ("checkpoint", lambda t: t.attributes.pop("weights/a/kernel"), "lacks the attribute 'position'"),
        ("checkpoint", lambda t: t.set("", "samples_seen", -1), "'samples_seen' of the file is -1"),
        ("checkpoint", lambda t: t.set("", "samples_seen", 2**63 - 1), "expected 0 to 1,000,000,000,000,000"),
        (
            "results",
            lambda t: t.datasets["runs/samples"].__setitem__(0, 2**63 - 1),
            "runs/samples holds 9223",
        ),
        ("checkpoint", lambda t: t.set("", "channel_order", "brg"), "expected rgb or bgr"),
        (
            "checkpoint",
            lambda t: t.set_json("", "computed_by", {"backend": {}}),
            "'computed_by' has another form",
        ),
        ("results", lambda t: t.datasets["runs/parameters"].__setitem__(0, -1), "runs/parameters holds -1"),
        ("results", lambda t: t.datasets["runs/copy"].__setitem__(0, -2), "or -1 for unknown"),
        ("results", lambda t: t.datasets["runs/base_accuracy"].__setitem__(0, 7), "outside 0...1"),
        ("results", lambda t: t.datasets["runs/arm"].__setitem__(0, "\x1b[2J"), "expected printable text"),
        ("results", lambda t: t.datasets["runs/candidates"].__setitem__(0, "[]"), "expected a JSON object"),
        ("results", lambda t: t.datasets["runs/dataset"].__setitem__(0, "none"), "names the dataset 'none'"),
        ("results", lambda t: t.datasets.pop("runs/seed"), "runs/seed is missing"),
        ("results", lambda t: t.datasets.update({"runs/seed": np.arange(2)}), "expected runs = 3"),
        ("checkpoint", lambda t: t.datasets["history/test_accuracy"].__setitem__(1, np.nan), "holds NaN or"),
        ("checkpoint", lambda t: t.datasets["history/train_loss"].__setitem__(1, np.nan), "holds NaN or"),
        ("checkpoint", lambda t: t.datasets["history/train_loss"].__setitem__(0, np.inf), "holds NaN or"),
        (
            "results",
            lambda t: t.datasets["trainings/0/history/test_accuracy"].__setitem__(0, np.nan),
            "trainings/0/history/test_accuracy holds NaN or",
        ),
        (
            "results",
            lambda t: t.datasets["trainings/0/test/logits"].__setitem__((0, 0), np.nan),
            "trainings/0/test/logits holds NaN or",
        ),
        ("results", lambda t: t.datasets["runs/test_loss"].__setitem__(0, np.inf), "holds infinite values"),
        ("checkpoint", lambda t: t.datasets["history/samples_seen"].__setitem__(-1, 2**63 - 1), "above"),
        (
            "checkpoint",
            lambda t: t.datasets["history/samples_seen"].__setitem__(0, 10**9),
            "numbers that fall",
        ),
        (
            "checkpoint",
            lambda t: t.set("", "recipe", '{"epochs": 1, "epochs": 2}'),
            "recipe is not valid JSON",
        ),
        (
            "results",
            lambda t: t.datasets["runs/candidates"].__setitem__(0, '{"a": 1, "a": 2}'),
            "not valid JSON",
        ),
        (
            "results",
            lambda t: t.datasets["runs/test_accuracy"].__setitem__(0, 0.123),
            "has test_accuracy .* and its row in the table 0.123",
        ),
        ("results", lambda t: t.datasets["neighbours/k"].__setitem__(0, 1), "its row in the table"),
        ("results", lambda t: t.datasets.pop("tests/0/labels"), "tests/0/labels is missing"),
        (
            "results",
            lambda t: t.datasets.update({"trainings/3/test/predictions": np.zeros(50, np.int64)}),
            "holds trainings/3, but the table has 3 rows",
        ),
        (
            "results",
            lambda t: t.datasets.update({"sweeps/0/predictions": np.zeros(3, np.int64)}),
            "has 3 predictions; expected 50",
        ),
        (
            "results",
            lambda t: t.datasets.update({"sweeps/0/predictions": np.full(50, 9)}),
            "holds the label 9",
        ),
        (
            "results",
            lambda t: t.datasets["trainings/0/test/logits"].__setitem__(
                slice(None), np.eye(3, dtype="f4")[0]
            ),
            "another largest class than the predictions",
        ),
        (
            "results",
            lambda t: t.datasets.update({"trainings/0/test/logits": np.zeros((50, 2), np.float32)}),
            r"expected \(50, 3\)",
        ),
    ],
)
def test_right_digests_and_wrong_values(
    kind: str, change: Callable[[tree.Tree], Any], words: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = forge(tmp_path, request.getfixturevalue(kind), change)
    with pytest.raises(TlcliError, match=words):
        store.read_any(path)
    assert not store.verify(path).ok
