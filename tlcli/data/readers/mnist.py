"""MNIST: 60,000 + 10,000 handwritten digits of 28 x 28 pixels (Y. LeCun, C. Cortes, C. Burges)."""

from __future__ import annotations

from tlcli.data import idx
from tlcli.data.source import Request, Source, SourceInfo, published

INFO = SourceInfo("mnist", "handwritten digits (LeCun et al.)", 60_000, 10_000, 10, (28, 28, 1))

SET = idx.IdxSet(
    info=INFO,
    class_names=tuple(str(digit) for digit in range(10)),
    folders=("", "mnist", "MNIST/raw", "MNIST"),
    keras=("", "mnist"),
    archive="mnist.npz",
    # The publisher's own server has refused downloads for years; these carry the same bytes.
    mirrors=(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    checksums=(
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)


@published(INFO, class_names=SET.class_names)
def load(request: Request) -> Source:
    """From the user's folder (four idx files or `mnist.npz`), Keras's cache, or a download."""
    return idx.load(SET, request)
