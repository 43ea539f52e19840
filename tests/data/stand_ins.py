"""Small stand-ins for the files of MNIST's and CIFAR's publishers."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import shutil
import struct
import tarfile
from dataclasses import replace

import numpy as np

from tlcli.data import idx
from tlcli.data.readers import cifar10, cifar100

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (30, 28, 28), dtype=np.uint8)
DIGITS = (np.arange(30) % 10).astype(np.uint8)
COLOUR = RNG.integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)


def idx_bytes(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def idx_files(folder, *, zipped=True, names=idx.FILES):
    """Twenty training and ten test images; returns the files' names and SHA-256."""
    folder.mkdir(parents=True, exist_ok=True)
    digests = []
    for name, array in zip(names, (GREY[:20], DIGITS[:20], GREY[20:], DIGITS[20:]), strict=True):
        content = gzip.compress(idx_bytes(array), mtime=0) if zipped else idx_bytes(array)
        (folder / (name + ".gz" if zipped else name)).write_bytes(content)
        digests.append(hashlib.sha256(content).hexdigest())
    return tuple(digests)


def check_grey(source):
    assert np.array_equal(source.train.images[..., 0], GREY[:20])
    assert np.array_equal(source.test.images[..., 0], GREY[20:])
    assert source.test.labels.tolist() == DIGITS[20:].tolist()


def damage(folder, name, change):
    """Rewrite an unzipped idx file."""
    path = folder / name
    path.write_bytes(change(path.read_bytes()))


SMALL10 = replace(
    cifar10.LAYOUT, train=tuple((f"data_batch_{i}", 10) for i in range(1, 6)), test=("test_batch", 10)
)
SMALL100 = replace(cifar100.LAYOUT, train=(("train", 50),), test=("test", 10))
FINE, COARSE = (np.arange(60) % 100).astype(np.uint8), (np.arange(60) % 20).astype(np.uint8)


def planes(images):
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


def cifar_files(layout, folder, *, binary, protocol=2):
    folder.mkdir(parents=True, exist_ok=True)
    start = 0
    for name, n in layout.files:
        here = slice(start, start + n)
        start += n
        labels = (
            [DIGITS[np.arange(60) % 10][here]] if layout.label_columns == 1 else [COARSE[here], FINE[here]]
        )
        if binary:
            records = np.concatenate([*(c[:, None] for c in labels), planes(COLOUR[here])], axis=1)
            (folder / f"{name}.bin").write_bytes(records.tobytes())
        else:
            keys = ["labels"] if layout.label_columns == 1 else ["coarse_labels", "fine_labels"]
            batch = {
                "data": planes(COLOUR[here]),
                "batch_label": "a batch",
                "filenames": ["a.png"] * n,
                **dict(zip(keys, (c.tolist() for c in labels), strict=True)),
            }
            (folder / name).write_bytes(pickle.dumps(batch, protocol))
    return folder


def packed(folder, archive):
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    shutil.rmtree(folder)


def check_cifar(source, labels):
    assert np.array_equal(source.train.images, COLOUR[:50])
    assert np.array_equal(source.test.images, COLOUR[50:])
    assert source.test.labels.tolist() == labels[50:].tolist()
