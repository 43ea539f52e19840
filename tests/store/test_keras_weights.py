"""Weights files of Keras: they are read as arrays, and hostile ones are refused without effect."""

from __future__ import annotations

import io
import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import keras_files
import numpy as np
import pytest
from keras_files import PLACES, arrays, as_legacy, fixed, variable

from tlcli import store
from tlcli.errors import TlcliError
from tlcli.store import heap, keras_weights
from tlcli.store.keras_weights import Place, open_weights

SECRET = b"root:x:0:0:secret"


def read(path: Path | str, places: list[Place] = PLACES) -> dict[str, np.ndarray]:
    with open_weights(path) as file:
        return file.read(places, "the network")


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    return [*found] == [*expected] and all(np.array_equal(found[key], expected[key]) for key in found)


@pytest.mark.parametrize("listed", [fixed, variable])
@pytest.mark.parametrize("group", ["/", "model_weights"])
def test_the_legacy_layout(tmp_path: Path, group: str, listed: Callable[[list[str]], Any]) -> None:
    """Names of one length or of any, as h5py 2 and 3 write them; weights alone, or a whole model."""
    path = keras_files.legacy(tmp_path / "x.h5", as_legacy(arrays()), group, listed)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = b"{" + b" " * 20_000 + b"}"  # never read
        file["optimizer_weights/iterations:0"] = np.int64(7)
    assert same(read(path), arrays())


@pytest.mark.parametrize("root", ["layers", "_layer_checkpoint_dependencies"])
def test_the_layout_of_keras_3(tmp_path: Path, root: str) -> None:
    assert same(read(keras_files.keras_3(tmp_path / "x.h5", arrays(), root=root)), arrays())


def test_ten_layers_of_a_class_are_counted_and_not_spelt(tmp_path: Path) -> None:
    places = [Place(f"d{i}", "dense", {"kernel": (3, 3)}) for i in range(12)]
    assert same(read(keras_files.keras_3(tmp_path / "x.h5", arrays(places), places), places), arrays(places))


def test_from_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = keras_files.legacy(tmp_path / "x.h5", as_legacy(arrays()), listed=variable).read_bytes()
    stdin = SimpleNamespace(buffer=io.BytesIO(content), isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", stdin)
    with open_weights("-") as file:
        assert same(file.read(PLACES, "x"), arrays())
        assert len(file.sha256()) == 64


def test_other_floats_become_float32(tmp_path: Path) -> None:
    weights = {key: array.astype(np.float16) for key, array in arrays().items()}
    found = read(keras_files.legacy(tmp_path / "x.h5", as_legacy(weights)))
    assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("version", ["earliest", "v108", "v110", "latest"])
@pytest.mark.parametrize("count", [1, 40, 2000])
def test_lists_of_variable_length_in_every_version(tmp_path: Path, version: str, count: int) -> None:
    """They are read without HDF5; here against what h5py reads."""
    names = [f"layer {i} {'ö' * (i % 7)}" for i in range(count)]
    with h5py.File(tmp_path / "x.h5", "w", libver=version) as file:
        group = file.create_group("a/b")
        for i in range(6):
            group.attrs[f"other{i}"] = "y" * 50
        group.attrs["names"] = names
        assert list(group.attrs["names"]) == names
    with store.opening.open_hdf5(tmp_path / "x.h5") as opened:
        assert opened.texts("a/b", "names") == names


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda p: [*p[:2], Place("conv2", "conv2d", {"kernel": (3, 3, 4, 9), "bias": (9,)}), p[3]],
            r"has the shape \(3, 3, 4, 2\) where the network expects the shape \(3, 3, 4, 9\) "
            r"\(conv2/kernel\)",
        ),
        (
            lambda p: [*p[:3], Place("head", "dense", {"kernel": (8, 3)})],
            r"has the shape \(3,\) where the network expects no array \(head\)",
        ),
        (
            lambda p: [*p[:3], Place("head", "dense", {**p[3].shapes, "more": (1,)})],
            r"has no array where the network expects the shape \(1,\) \(head/more\)",
        ),
        (lambda p: p[:3], "4 layers with weights; the network has 3"),
    ],
)
@pytest.mark.parametrize("layout", ["legacy", "keras_3"])
def test_another_network_is_told_by_its_first_layer(
    tmp_path: Path, layout: str, change: Callable[[list[Place]], list[Place]], words: str
) -> None:
    weights = as_legacy(arrays()) if layout == "legacy" else arrays()
    path = getattr(keras_files, layout)(tmp_path / "x.h5", weights)
    with pytest.raises(TlcliError, match=words) as caught:
        read(path, change(PLACES))
    assert str(caught.value).count("\n") == 1


def test_too_few_layers(tmp_path: Path) -> None:
    more = [*PLACES, Place("last", "dense", {"kernel": (3, 3)})]
    with pytest.raises(TlcliError, match=r"4 layers .* has 5"):
        read(keras_files.legacy(tmp_path / "x.h5", as_legacy(arrays())), more)
    with pytest.raises(TlcliError, match=r"'layers/dense_1'.*last"):
        read(keras_files.keras_3(tmp_path / "x.weights.h5", arrays()), more)


KERNEL = "conv2d_1/conv2d_1/kernel:0"


def replaced(file: h5py.File, **options: Any) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, **options)


def external_link(file: h5py.File) -> None:
    del file[KERNEL]
    file[KERNEL] = h5py.ExternalLink("other.h5", "/x")


def unused_external_link(file: h5py.File) -> None:
    file["optimizer_weights/x"] = h5py.ExternalLink("other.h5", "/x")


def soft_link(file: h5py.File) -> None:
    del file[KERNEL]
    file[KERNEL] = h5py.SoftLink("/conv2d_3/conv2d_3/kernel:0")


def layer_elsewhere(file: h5py.File) -> None:
    del file["conv2d_1"]
    file["conv2d_1"] = h5py.ExternalLink("other.h5", "/")


def external_storage(file: h5py.File) -> None:
    replaced(file, shape=(3, 3, 1, 4), dtype="f4", external=[("secret", 0, 144)])


def virtual_dataset(file: h5py.File) -> None:
    plan = h5py.VirtualLayout((3, 3, 1, 4), "f4")
    plan[...] = h5py.VirtualSource("other.h5", "x", (3, 3, 1, 4))
    del file[KERNEL]
    file.create_virtual_dataset(KERNEL, plan)


def terabytes(file: h5py.File) -> None:
    replaced(file, shape=(10**6, 10**6), dtype="f4", chunks=(100, 100))


def empty_gigabytes(file: h5py.File) -> None:
    replaced(file, shape=(2 * 10**8,), dtype="f4")


def other_shape(file: h5py.File) -> None:
    """Three hundred megabytes that the file does hold, packed: it is the shape that does not fit."""
    replaced(file, data=np.zeros((1000, 20_000), "f4"), chunks=(1000, 1000), compression="gzip")


def nan_weights(file: h5py.File) -> None:
    file[KERNEL][0] = np.nan


def too_large_for_float32(file: h5py.File) -> None:
    replaced(file, data=np.full((3, 3, 1, 4), 1e300))


def whole_numbers(file: h5py.File) -> None:
    replaced(file, data=np.ones((3, 3, 1, 4), np.int32))


def object_references(file: h5py.File) -> None:
    replaced(file, data=np.array([file["dense_4"].ref] * 36, h5py.ref_dtype).reshape(3, 3, 1, 4))


def pickled(file: h5py.File) -> None:
    replaced(file, data=np.void(pickle.dumps(print)))


def texts_for_weights(file: h5py.File) -> None:
    replaced(file, shape=(3, 3, 1, 4), dtype=h5py.string_dtype())


def references_for_names(file: h5py.File) -> None:
    file.attrs["layer_names"] = np.array([file["dense_4"].ref] * 3, h5py.ref_dtype)


def numbers_for_names(file: h5py.File) -> None:
    file.attrs["layer_names"] = np.arange(4)


def one_name(file: h5py.File) -> None:
    file.attrs["layer_names"] = "conv2d_1"


def many_names(file: h5py.File) -> None:
    file.attrs["layer_names"] = np.zeros(60, "S1000")
    file["dense_4"].attrs.create("weight_names", np.zeros(65_000, "S1"))


def a_name_twice(file: h5py.File) -> None:
    file.attrs["layer_names"] = fixed(["conv2d_1"] * 100)


def names_that_lead_elsewhere(file: h5py.File) -> None:
    file.attrs["layer_names"] = fixed(["../../etc/passwd", "/dev/zero"])


def arrays_that_lead_elsewhere(file: h5py.File) -> None:
    file["conv2d_1"].attrs["weight_names"] = fixed(["../dense_4/dense_4/kernel:0", "conv2d_1/bias:0"])


def control_characters(file: h5py.File) -> None:
    file.attrs["layer_names"] = fixed(["\x1b[2J"])


def not_utf8(file: h5py.File) -> None:
    file.attrs["layer_names"] = np.array([b"\xff\xfe"], "S")


def a_group_called_dots(file: h5py.File) -> None:
    h5py.h5g.create(file["conv2d_1"].id, b"..")


def unlisted_arrays(file: h5py.File) -> None:
    del file["conv2d_1"].attrs["weight_names"]


def a_cycle(file: h5py.File) -> None:
    file["conv2d_1/again"] = file["/"]


def a_dataset_for_a_layer(file: h5py.File) -> None:
    del file["conv2d_1"]
    file["conv2d_1"] = np.zeros(3)


ATTACKS: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    attack.__name__: (attack, words)
    for attack, words in (
        (external_link, "is an external link"),
        (unused_external_link, "is an external link"),
        (soft_link, "is a soft link"),
        (layer_elsewhere, "is an external link"),
        (external_storage, "keeps its data in another file"),
        (virtual_dataset, "is a virtual dataset"),
        (terabytes, "and stores 0"),
        (empty_gigabytes, "declares 800,000,000 bytes and stores 0"),
        (other_shape, r"has the shape \(1000, 20000\) where"),
        (nan_weights, "holds NaN or infinite"),
        (too_large_for_float32, "holds NaN or infinite"),
        (whole_numbers, "holds int32; expected floats"),
        (object_references, "the type reference"),
        (pickled, "the type opaque"),
        (texts_for_weights, "variable-length text"),
        (references_for_names, "reference of the shape"),
        (numbers_for_names, "int64 of the shape"),
        (one_name, r"variable-length text of the shape \(\)"),
        (many_names, "lists a name twice"),
        (a_name_twice, "lists a name twice"),
        (names_that_lead_elsewhere, "'../../etc/passwd', which is not there"),
        (arrays_that_lead_elsewhere, "'../dense_4/dense_4/kernel:0', which is not there"),
        (control_characters, r"'\\x1b\[2J', which is not there"),
        (not_utf8, "text that is not UTF-8"),
        (a_group_called_dots, "is a path or holds markup"),
        (unlisted_arrays, "lacks the attribute"),
        (a_cycle, "another name leads to"),
        (a_dataset_for_a_layer, "which is not there"),
    )
}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound legacy file, and beside it what an attack would like to read: to open that would block."""
    for other in ("secret", "other.h5"):
        os.mkfifo(tmp_path / other)
    monkeypatch.chdir(tmp_path)
    return keras_files.legacy(tmp_path / "x.h5", as_legacy(arrays()))


@pytest.mark.timeout(200)
@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_refused(name: str, path: Path) -> None:
    attack, words = ATTACKS[name]
    with h5py.File(path, "r+") as file:
        attack(file)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TlcliError, match=words) as caught:
        read(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # KiB
    message = str(caught.value)
    assert str(path) in message
    assert message.count("\n") <= 1
    assert len(message) < 600
    assert "\x1b" not in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pickle.dumps({"a": print}), "is not an HDF5 file; expected weights of Keras"),
        (b"PK\x03\x04 x.keras", "is not an HDF5 file"),
        (b"", "is empty"),
        (b"\x89HDF\r\n\x1a\n" + bytes(900), "cut short or damaged"),
    ],
)
def test_no_hdf5_at_all(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "x.h5").write_bytes(content)
    with pytest.raises(TlcliError, match=words):
        read(tmp_path / "x.h5")


def test_neither_layout(tmp_path: Path, checkpoint: store.Checkpoint) -> None:
    store.write(tmp_path / "base.h5", checkpoint)
    with pytest.raises(TlcliError, match="is not a weights file of Keras"):
        read(tmp_path / "base.h5")
    keras_files.legacy(tmp_path / "none.h5", {"activation_1": {}})
    with pytest.raises(TlcliError, match="holds no layers with weights"):
        read(tmp_path / "none.h5")
    nested = keras_files.keras_3(tmp_path / "x.weights.h5", arrays())
    with h5py.File(nested, "r+") as file:
        file["layers/functional/layers/conv2d/vars/0"] = np.zeros(3)
    with pytest.raises(TlcliError, match="layers/functional/layers/conv2d"):
        read(nested)


@pytest.mark.parametrize(
    ("offset", "value", "words"),
    [
        (0, (2**32 - 1).to_bytes(4, "little"), "a name of 4,294,967,295 bytes"),  # HDF5 would fill 4 GiB
        (0, (2).to_bytes(4, "little"), "which is not there"),  # and here write over the end of its room
        (4, (2**63).to_bytes(8, "little"), "inconsistently"),
        (4, (0).to_bytes(8, "little"), "inconsistently"),
        (12, (60_000).to_bytes(4, "little"), "inconsistently"),
    ],
)
def test_texts_of_variable_length_that_lie(tmp_path: Path, offset: int, value: bytes, words: str) -> None:
    path = keras_files.legacy(tmp_path / "x.h5", as_legacy(arrays()), listed=variable)
    content = bytearray(path.read_bytes())
    first = (8).to_bytes(4, "little") + content.index(b"GCOL").to_bytes(8, "little")  # `conv2d_1`
    place = content.index(first, content.index(b"layer_names"))
    content[place + offset : place + offset + len(value)] = value
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TlcliError, match=words):
        read(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000


def test_heaps_that_repeat_themselves_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = keras_files.legacy(tmp_path / "x.h5", as_legacy(arrays()), listed=variable)
    monkeypatch.setattr(heap, "ROOM", 5_000 - 2 * path.stat().st_size)
    with pytest.raises(TlcliError, match="inconsistently"):
        read(path)


def test_nothing_of_keras_is_imported() -> None:
    code = "import sys, tlcli.store.keras_weights\nassert not {'keras', 'tensorflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert keras_weights.LEGACY != keras_weights.KERAS_3
