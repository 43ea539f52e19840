"""Files of arrays as people have them, against plain readings with numpy, scipy and h5py."""

from __future__ import annotations

import gzip
import struct

import h5py
import numpy as np
import pytest
import scipy.io

from tlcli.data import load_source, split
from tlcli.data.array_names import read_name
from tlcli.errors import TlcliError, UsageError

RNG = np.random.default_rng(5)
X = RNG.integers(0, 256, (20, 8, 8), dtype=np.uint8)
Y = np.arange(20) % 4


def check(path, train=X, numbers=Y, test=None, **options):
    """The pixels and labels of the parts; without a test part, every fifth image of a class is in it."""
    split_held_out = {} if test is not None else {"test": "every-fifth"}
    source = load_source(str(path), **split_held_out, **options)
    for part, images in (("train", train), ("test", train if test is None else test)):
        found, wanted = source.parts[part], np.asarray(images).reshape(*np.shape(images)[:3], -1)
        assert np.array_equal(found.images, wanted[found.source_index])
        read = np.array(source.class_numbers)[found.labels]
        assert read.tolist() == np.asarray(numbers)[found.source_index].tolist()
    return source


@pytest.mark.parametrize(
    "names",
    [
        *("x y", "X y", "images labels", "image label", "data targets", "data target", "features labels"),
        *(
            "trainX trainY",
            "Xtr Ytr",
            "x_train y_train",
            "train_set_x train_set_y",
            "train_dataset train_labels",
        ),
        *("trainX trainy", "samples classes", "trainimages trainlabels"),
        *("X_trn t_trn", "XTrain YTrain", "train_images train_labels", "training_data training_target"),
    ],
)
def test_names_of_arrays(tmp_path, names):
    images, labels = names.split()
    np.savez(tmp_path / "a.npz", **{images: X, labels: Y})
    check(tmp_path / "a.npz")
    scipy.io.savemat(tmp_path / "a.mat", {images: X, labels: Y})
    check(tmp_path / "a.mat")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file[images], file[labels] = X, Y
    check(tmp_path / "a.h5")


@pytest.mark.parametrize(
    "name", ["class_weights", "x_train_mean", "t10k", "fine_labels", "train_test", "testify"]
)
def test_names_that_say_something_else(name):
    named = read_name(name)
    assert named is None or named.rest or name == "t10k"


def test_parts_and_positions_of_arrays(tmp_path):
    for names in ("trainX trainY testX testY", "trainX trainy testX testy", "Xtr Ytr Xte Yte"):
        np.savez(tmp_path / "a.npz", **dict(zip(names.split(), (X, Y, X[:7], Y[:7]), strict=True)))
        check(tmp_path / "a.npz", test=X[:7])
    for order in ((X, Y, X[:7], Y[:7]), (X, X[:7], Y, Y[:7])):
        np.savez(tmp_path / "a.npz", *order)
        check(tmp_path / "a.npz", test=X[:7])
    np.savez(tmp_path / "a.npz", X, np.eye(4)[Y])
    check(tmp_path / "a.npz")


def test_keys_and_shapes(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["scan/pixels_raw"], file["scan/kind"], file["scan/other"] = X, Y, X[:, :4]
    check(tmp_path / "a.h5", images="scan/pixels_raw", labels="scan/kind")
    with pytest.raises(UsageError, match="`images` nothing: a.h5 has no such array".replace(".", "[.]")):
        load_source(str(tmp_path / "a.h5"), images="nothing")
    with pytest.raises(TlcliError, match="holds scan/kind, scan/other, scan/pixels_raw: expected x_train"):
        load_source(str(tmp_path / "a.h5"))
    np.savez(tmp_path / "b.npz", bild=X, art=Y, weight=RNG.random(3))
    source = check(tmp_path / "b.npz")
    assert [name for name in ("bild", "art", "weight") if name in " ".join(source.notes)] == ["bild", "art"]
    np.savez(tmp_path / "c.npz", images=np.uint8(5), kind=Y)
    with pytest.raises(TlcliError, match="holds images, kind: expected x_train"):
        load_source(str(tmp_path / "c.npz"))


def test_a_table_gives_arrays_their_labels(tmp_path):
    np.save(tmp_path / "stack.npy", X)
    (tmp_path / "t.csv").write_text("label,patient\n" + "".join(f"{y},{i // 2}\n" for i, y in enumerate(Y)))
    source = load_source(str(tmp_path / "stack.npy"), labels=tmp_path / "t.csv", test=0.4)
    for part in source.parts.values():
        assert np.array_equal(part.images[..., 0], X[part.source_index])
        assert part.labels.tolist() == Y[part.source_index].tolist()
    (tmp_path / "t.txt").write_text("\n".join("abcd"[y] for y in Y))
    assert check(tmp_path / "stack.npy", labels=tmp_path / "t.txt").class_names == list("abcd")
    both = [set((part.source_index // 2).tolist()) for part in source.parts.values()]
    assert not both[0] & both[1]


def test_the_only_array_of_a_file(tmp_path):
    """A file beside with a like name has the labels; none or several such files are refused."""
    np.save(tmp_path / "trainX.npy", X)
    np.save(tmp_path / "trainy.npy", Y)
    check(tmp_path / "trainX.npy")
    np.save(tmp_path / "train_labels.npy", Y)
    with pytest.raises(
        TlcliError, match="expected its labels in just one file beside it with a similar name, or in `labels`"
    ):
        load_source(str(tmp_path / "trainX.npy"))
    check(tmp_path / "trainX.npy", labels=tmp_path / "trainy.npy")


def test_svhn_in_two_files(tmp_path):
    images, labels = RNG.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8), np.arange(30) % 10 + 1
    for part, n in (("train", 20), ("test", 30)):
        at = slice(n - 20 if part == "train" else 20, n)
        content = {"X": images[at].transpose(1, 2, 3, 0), "y": labels[at, None]}
        scipy.io.savemat(tmp_path / f"{part}_32x32.mat", content)
    path = tmp_path / "train_32x32.mat"
    source = check(path, images[:20], labels[:20] % 10, images[20:], test_dataset=tmp_path / "test_32x32.mat")
    assert source.class_names == [str(digit) for digit in range(10)]
    assert len(split(source, [0, 1, 2, 3, 4, 5]).test) == 6
    beside = load_source(str(path)).warnings
    assert "test_32x32.mat" in beside[0]


def test_images_and_labels_in_files_of_their_own(tmp_path):
    for part, x, y in (("train", X, Y), ("test", X[:7], Y[:7])):
        np.savez(tmp_path / f"kmnist-{part}-imgs.npz", x)
        np.savez(tmp_path / f"kmnist-{part}-labels.npz", y)
        np.save(tmp_path / f"x_{part}.npy", x)
        np.save(tmp_path / f"y_{part}.npy", y)
        with h5py.File(tmp_path / f"{part}_signs.h5", "w") as file:
            file[f"{part}_set_x"], file[f"{part}_set_y"] = x, y
        for letter, array in (("x", x), ("y", y.reshape(-1, 1, 1, 1))):
            with h5py.File(tmp_path / f"pcam_split_{part}_{letter}.h5", "w") as file:
                file[letter] = array
        for what, array in (("images-idx3", x), ("labels-idx1", y.astype(np.uint8))):
            head = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (tmp_path / f"yale-{part}-{what}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes()))
    for name in (
        "kmnist-{}-imgs.npz",
        "x_{}.npy",
        "{}_signs.h5",
        "pcam_split_{}_x.h5",
        "yale-{}-images-idx3-ubyte.gz",
    ):
        check(tmp_path / name.format("train"), test=X[:7], test_dataset=tmp_path / name.format("test"))


def test_idx_of_other_types(tmp_path):
    for code, dtype in ((9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")):
        values = (X % 128).astype(dtype)
        values[0, 0, 0] = 127
        head = struct.pack(">4B3I", 0, 0, code, 3, *X.shape)
        (tmp_path / "a-images.idx").write_bytes(head + values.tobytes())
        (tmp_path / "a-labels.idx").write_bytes(
            struct.pack(">4BI", 0, 0, 8, 1, 20) + Y.astype(np.uint8).tobytes()
        )
        check(tmp_path / "a-images.idx", values.astype(np.uint8), white=255)


def test_emnist(tmp_path):
    """The idx files are stored transposed; the structure of the MATLAB file has rows column by column."""
    for part, x, y in (("train", X, Y), ("test", X[:7], Y[:7])):
        for what, array in (("images-idx3", x.transpose(0, 2, 1)), ("labels-idx1", y.astype(np.uint8) + 1)):
            head = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (tmp_path / f"emnist-letters-{part}-{what}-ubyte").write_bytes(head + array.tobytes())
    mapping = "".join(f"{i} {64 + i} {96 + i}\n" for i in range(1, 27))
    (tmp_path / "emnist-letters-mapping.txt").write_text(mapping)
    path = tmp_path / "emnist-letters-train-images-idx3-ubyte"
    source = check(path, X, Y + 1, X[:7], test_dataset=str(path).replace("train", "test"))
    assert source.class_names == ["A", "B", "C", "D"]
    fields = {
        part: {
            "images": x.transpose(0, 2, 1).reshape(len(x), -1),
            "labels": y[:, None] + 1.0,
            "writers": y[:, None],
        }
        for part, x, y in (("train", X, Y), ("test", X[:7], Y[:7]))
    }
    table = np.array([[i, 64 + i, 96 + i] for i in range(1, 27)])
    for packed in (False, True):
        scipy.io.savemat(
            tmp_path / "letters.mat", {"dataset": {**fields, "mapping": table}}, do_compression=packed
        )
        source = check(tmp_path / "letters.mat", X, Y + 1, X[:7])
        assert source.class_names == ["A", "B", "C", "D"]


def test_structures_of_version_73(tmp_path):
    """HDF5 with every array transposed, a structure being a group."""
    fields = {
        f"{part}/{name}": array
        for part, x, y in (("train", X, Y), ("test", X[:7], Y[:7]))
        for name, array in (
            ("images", x.transpose(0, 2, 1).reshape(len(x), -1)),
            ("labels", y[:, None] + 1.0),
        )
    }
    mapping = np.array([[i, 64 + i, 96 + i] for i in range(1, 27)], float)
    for name, content in (
        ("letters", {f"dataset/{k}": v for k, v in fields.items()} | {"dataset/mapping": mapping}),
        ("stacks", {"train/X": X, "train/y": Y[:, None], "test/X": X[:7], "test/y": Y[None, :7]}),
        ("last", {"data/X": np.moveaxis(X, 0, -1), "data/y": Y[:, None]}),
    ):
        with h5py.File(tmp_path / f"{name}.mat", "w", userblock_size=512) as file:
            for key, array in content.items():
                file[key] = array.T
        with open(tmp_path / f"{name}.mat", "r+b") as raw:
            raw.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM")
    assert check(tmp_path / "letters.mat", X, Y + 1, X[:7]).class_names == ["A", "B", "C", "D"]
    check(tmp_path / "stacks.mat", test=X[:7])
    check(tmp_path / "last.mat")


def test_stl10(tmp_path):
    images = RNG.integers(0, 256, (4, 96, 96, 3), dtype=np.uint8)
    for part, at in (("train", slice(0, 3)), ("test", slice(2, 4))):
        (tmp_path / f"{part}_X.bin").write_bytes(images[at].transpose(0, 3, 2, 1).tobytes())
        (tmp_path / f"{part}_y.bin").write_bytes(bytes((np.arange(4)[at] % 3 + 1).tolist()))
    (tmp_path / "class_names.txt").write_text("airplane\nbird\ncar\n")
    source = load_source(str(tmp_path / "train_X.bin"), test_dataset=tmp_path / "test_X.bin")
    assert np.array_equal(source.train.images, images[:3])
    assert np.array_equal(source.test.images, images[2:])
    assert source.class_names == ["airplane", "bird", "car"]
    assert source.class_numbers == [1, 2, 3]
    assert source.test.labels.tolist() == [2, 0]


def test_what_a_file_skips_is_named(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"faces": np.array([[1, "x"]], object), "info": {"name": "x"}})
    with pytest.raises(TlcliError, match=r"holds nothing.*Not read are faces \(cell\), info \(struct\)"):
        load_source(str(tmp_path / "a.mat"))
    with pytest.raises(UsageError, match="name of the data set is empty"):
        load_source("")


def test_the_same_images_in_train_and_test(tmp_path):
    other = RNG.integers(0, 256, (7, 8, 8), dtype=np.uint8)
    other[[1, 5]] = X[[3, 7]]
    np.savez(tmp_path / "a.npz", x_train=X, y_train=Y, x_test=other, y_test=Y[:7])
    source = load_source(str(tmp_path / "a.npz"))
    cut = split(source, [0, 1, 2, 3])
    assert "2 of 20 train images" in cut.options["notes"][0]
    kept = split(load_source(str(tmp_path / "a.npz")), [0, 1, 2, 3], no_duplicates=True)
    assert kept.train.source_index.tolist() == [i for i in range(20) if i not in (3, 7)]
    assert "notes" not in kept.options
