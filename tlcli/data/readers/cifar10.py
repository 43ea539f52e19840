"""CIFAR-10: 50,000 + 10,000 colour photographs of 32 x 32 pixels in ten classes (A. Krizhevsky 2009)."""

from __future__ import annotations

from tlcli.data import cifar
from tlcli.data.locate import Download
from tlcli.data.source import Request, Source, SourceInfo, published

INFO = SourceInfo("cifar10", "small colour photographs (Krizhevsky)", 50_000, 10_000, 10, (32, 32, 3))

LAYOUT = cifar.Layout(
    info=INFO,
    train=tuple((f"data_batch_{i}", 10_000) for i in range(1, 6)),
    test=("test_batch", 10_000),
    label_column=0,
    label_columns=1,
    label_key="labels",
    class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    binary_folder="cifar-10-batches-bin",
    python_folder="cifar-10-batches-py",
    binary_archive="cifar-10-binary.tar.gz",
    python_archive="cifar-10-python.tar.gz",
    download=Download(
        "cifar-10-binary.tar.gz",
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        1 << 28,
        ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    ),
)


@published(INFO, class_names=LAYOUT.class_names)
def load(request: Request) -> Source:
    """The published order: the five training batches one after the other."""
    return cifar.load(LAYOUT, request)
