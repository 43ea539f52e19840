"""Weights of PyTorch and safetensors: read as arrays, in Keras's order of axes; hostile ones are refused."""

from __future__ import annotations

import pickle
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tlcli.errors import TlcliError
from tlcli.store.keras_weights import Place
from tlcli.store.weights import open_weights

FIXTURES = Path(__file__).parent / "fixtures" / "pytorch"
PLACES = [
    Place("a", "conv2d", {"kernel": (2, 3, 3, 4)}, "conv"),
    Place("b", "depthwise_conv2d", {"kernel": (3, 3, 4, 2), "bias": (8,)}, "depthwise"),
    Place(
        "c",
        "batch_normalization",
        dict.fromkeys(["gamma", "beta", "moving_mean", "moving_variance"], (8,)),
        "bn",
    ),
    Place("head", "dense", {"kernel": (8, 5), "bias": (5,)}, "fc"),
]


def read(path: Path, places: list[Place] = PLACES, **options: bool) -> dict[str, np.ndarray]:
    with open_weights(path) as file:
        return file.read(places, "the network", **options)


def logits(weights: dict[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """The logits of a network of Keras's conventions for images x channels x height x width, in plain
    numpy."""

    def windows(x: np.ndarray, height: int, width: int) -> np.ndarray:
        return np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(1, 2))

    x = images.transpose(0, 2, 3, 1)
    x = np.einsum("nhwcij,ijco->nhwo", windows(x, 2, 3), weights["a/kernel"])
    x = np.einsum("nhwcij,ijcm->nhwcm", windows(x, 3, 3), weights["b/kernel"])
    x = x.reshape(*x.shape[:3], 8) + weights["b/bias"]
    x = (x - weights["c/moving_mean"]) / np.sqrt(weights["c/moving_variance"] + 1e-5)
    x = x * weights["c/gamma"] + weights["c/beta"]
    return x.mean(axis=(1, 2)) @ weights["head/kernel"] + weights["head/bias"]


@pytest.mark.parametrize(
    ("name", "layout", "tolerance"),
    [
        ("zip.pth", "PyTorch weights", 1e-5),
        ("legacy.pt", "legacy PyTorch weights", 1e-5),
        ("nested.pth", "PyTorch weights", 2e-2),  # bfloat16
        ("made.safetensors", "safetensors", 1e-5),
    ],
)
def test_the_network_computes_what_pytorch_computed(
    tmp_path: Path, name: str, layout: str, tolerance: float
) -> None:
    reference = np.load(FIXTURES / "reference.npz")
    path = FIXTURES / name
    if layout == "safetensors":
        save = pytest.importorskip("safetensors.numpy").save_file
        path = tmp_path / name
        save({key: reference[key] for key in reference if "." in key}, path)
    with open_weights(path) as file:
        assert file.layout == layout
        assert len(file.sha256()) == 64
        weights = file.read(PLACES, "the network")
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}
    np.testing.assert_allclose(logits(weights, reference["images"]), reference["logits"], atol=tolerance)


def test_weights_of_another_network_are_named() -> None:
    path = FIXTURES / "zip.pth"
    with pytest.raises(TlcliError, match=r"lacks 'other\.kernel'|lacks 'other\.weight'"):
        read(path, [Place("a", "conv2d", {"kernel": (2, 3, 3, 4)}, "other")])
    with pytest.raises(TlcliError, match=r"'fc\.weight' has the shape \(5, 8\).*expects \(8, 6\)"):
        read(path, [*PLACES[:3], Place("head", "dense", {"kernel": (8, 6)}, "fc")])
    with pytest.raises(TlcliError, match=r"2 tensors .* no place for: fc\.bias, fc\.weight"):
        read(path, PLACES[:3])
    assert len(read(path, PLACES[:3], headless=True)) == 7
    with pytest.raises(TlcliError, match="does not say"):
        read(path, [Place("a", "conv2d", {"kernel": (2, 3, 3, 4)})])


class Runs:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.path,))


def as_zip(path: Path, pickled: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", pickled)
    return path


def test_nothing_that_a_pickle_asks_for_is_run(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    evil = pickle.dumps({"conv.weight": Runs(victim)}, 2)
    header = b"".join(pickle.dumps(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    (tmp_path / "legacy.pt").write_bytes(header + evil)
    for path in (as_zip(tmp_path / "zip.pth", evil), tmp_path / "legacy.pt", FIXTURES / "model.pth"):
        with pytest.raises(TlcliError, match="could run code"):
            read(path)
    assert not victim.exists()


def test_damaged_files_say_so(tmp_path: Path) -> None:
    for name in ("zip.pth", "legacy.pt"):
        whole = (FIXTURES / name).read_bytes()
        for length in (3, 100, len(whole) // 2, len(whole) - 3):
            (tmp_path / name).write_bytes(whole[:length])
            with pytest.raises(TlcliError, match=r"damaged|no weights file|cannot be read"):
                read(tmp_path / name)
    (tmp_path / "x.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{garbage")
    with pytest.raises(TlcliError, match="damaged"):
        read(tmp_path / "x.safetensors")


def test_a_tensor_reaches_no_further_than_its_storage(tmp_path: Path) -> None:
    """A huge or negative view of a small storage, and one that repeats its numbers without end."""
    folder = tmp_path / "members"
    with zipfile.ZipFile(FIXTURES / "zip.pth") as archive:
        archive.extractall(folder)
    pickled = (folder / "zip" / "data.pkl").read_bytes()
    five = b"K\x05K\x08\x86"  # the size (5, 8) of fc.weight
    assert five in pickled
    for size in (b"K\x05K\x09\x86", b"J\xff\xff\xff\x7fK\x08\x86", b"J\xff\xff\xff\xffK\x08\x86"):
        (folder / "zip" / "data.pkl").write_bytes(pickled.replace(five, size))
        shutil.make_archive(str(tmp_path / "evil"), "zip", folder)
        with pytest.raises(TlcliError, match="tensor"):
            read(tmp_path / "evil.zip")


def one_tensor(numbers: int, kind: bytes = b"storage") -> bytes:
    """The pickle of a dictionary with one tensor, of a storage of so many numbers."""
    length, size = struct.pack("<i", numbers), struct.pack("<i", max(numbers, 0))
    storage = (
        b"(X" + struct.pack("<I", len(kind)) + kind + b"ctorch\nFloatStorage\nX\1\0\0\0" + b"0X\3\0\0\0cpu"
    )
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + b"J"
        + length
        + b"tQK\0(J"
        + size
        + b"t(K\1t\x89}tR"
    )
    return b"\x80\2}X\6\0\0\0weight" + tensor + b"s."


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"plain text", "is not a weights file"),
        (pickle.dumps(1, 2) * 3, "is a pickle, but no weights file"),
        ({"x/readme": b""}, "a zip archive without weights"),
        ({"x/data.pkl": b".", "x/byteorder": b"big"}, "machine of another byte order"),
        ({"x/data.pkl": pickle.dumps({"epoch": 1}, 2)}, "holds no dictionary of tensors"),
        (
            {"x/data.pkl": one_tensor(4, b"module")},
            "is refused: it refers to something that is not a storage",
        ),
        ({"x/data.pkl": one_tensor(-1)}, "is refused: it has a storage of no valid length"),
        ({"x/data.pkl": one_tensor(4), "x/data/0": bytes(12)}, "is cut short or damaged at 'weight'"),
        ({"x/data.pkl": one_tensor(4)}, "is damaged or no weights file"),
    ],
)
def test_what_is_no_file_of_weights_is_told(tmp_path: Path, content: Any, words: str) -> None:
    path = tmp_path / "x.pth"
    if isinstance(content, dict):
        with zipfile.ZipFile(path, "w") as archive:
            for name, member in content.items():
                archive.writestr(name, member)
    else:
        path.write_bytes(content)
    with pytest.raises(TlcliError, match=words), open_weights(path) as file:
        assert file.array("weight").shape == (4,)  # type: ignore[union-attr]


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    save = pytest.importorskip("safetensors.numpy").save_file
    reference = np.load(FIXTURES / "reference.npz")
    tensors = {key: reference[key] for key in reference if "." in key}
    tensors["bn.bias"] = np.full(8, np.nan, np.float32)
    save(tensors, tmp_path / "nan.safetensors")
    with pytest.raises(TlcliError, match=r"'bn\.bias' holds NaN"):
        read(tmp_path / "nan.safetensors")


@pytest.mark.parametrize("limit", [1000, 4000])
def test_bytes_are_taken_from_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """The list of tensors and each tensor take their bytes from the budget."""
    save = pytest.importorskip("safetensors.numpy").save_file
    save({"conv.weight": np.zeros((100, 100), np.float16)}, tmp_path / "x.safetensors")
    monkeypatch.setenv("TLCLI_MAX_BYTES", str(limit))
    what = "list of its tensors" if limit == 1000 else "tensor 'conv.weight'"
    with (
        pytest.raises(TlcliError, match=f"the {what} would take more than the {limit:,} bytes"),
        open_weights(tmp_path / "x.safetensors") as file,
    ):
        file.array("conv.weight")  # type: ignore[union-attr]
