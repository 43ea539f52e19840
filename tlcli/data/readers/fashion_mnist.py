"""Fashion-MNIST: 60,000 + 10,000 images of clothing, 28 x 28 pixels (H. Xiao, K. Rasul, R. Vollgraf 2017)."""

from __future__ import annotations

from tlcli.data import idx
from tlcli.data.source import Request, Source, SourceInfo, published

INFO = SourceInfo("fashion-mnist", "clothing (Zalando Research)", 60_000, 10_000, 10, (28, 28, 1))

SET = idx.IdxSet(
    info=INFO,
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    folders=("fashion-mnist", "fashion_mnist", "FashionMNIST/raw", "FashionMNIST", "fashion", ""),
    keras=("fashion-mnist",),
    archive="fashion-mnist.npz",
    mirrors=(
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
    checksums=(
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
)


@published(INFO, class_names=SET.class_names)
def load(request: Request) -> Source:
    """From the user's folder, Keras's cache, or a download.

    The files carry the very names of MNIST's: they are told apart by their checksums.
    """
    return idx.load(SET, request)
