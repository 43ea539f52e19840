"""MNIST: 60,000 + 10,000 handwritten digits of 28 x 28 pixels (Y. LeCun, C. Cortes, C. Burges)."""

from __future__ import annotations

from tlcli.data import idx
from tlcli.data.locate import Download, fetch_all, local_folders
from tlcli.data.safe_npz import read_npz
from tlcli.data.source import Request, Source, SourceInfo, published
from tlcli.errors import TlcliError

INFO = SourceInfo("mnist", "handwritten digits (LeCun et al.)", 60_000, 10_000, 10, (28, 28, 1))
CLASS_NAMES = [str(digit) for digit in range(10)]
FOLDERS = ("", "mnist", "MNIST/raw", "MNIST")

# The publisher's own server answers with errors since 2021; the files are byte for byte the same on these.
MIRRORS = ("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/")
CHECKSUMS = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}


@published(INFO)
def load(request: Request) -> Source:
    """From the user's folder (four idx files or `mnist.npz`), Keras's cache, or a download."""
    for folder in local_folders(request, FOLDERS, ("", "mnist")):
        if "fashion" in folder.resolve().name.lower():
            continue  # Fashion-MNIST's files carry the same names
        files = idx.find_files(folder)
        if len(files) == len(idx.FILES):
            return idx.source_from_files(INFO, files, CLASS_NAMES)
        if files:
            raise TlcliError(f"{folder.name}/ has only {', '.join(f.name for f in files)} of MNIST: expected "
                             f"{', '.join(idx.FILES)}, gzipped or not")
        archive = folder / "mnist.npz"
        if archive.is_file():
            arrays = read_npz(archive, ("x_train", "y_train", "x_test", "y_test"))
            return idx.checked_source(INFO, CLASS_NAMES, (arrays["x_train"], arrays["y_train"]),
                                      (arrays["x_test"], arrays["y_test"]))
    downloads = [Download(name, digest, 1 << 24, tuple(mirror + name for mirror in MIRRORS))
                 for name, digest in CHECKSUMS.items()]
    folder = fetch_all(INFO.name, downloads, request)
    return idx.source_from_files(INFO, idx.find_files(folder), CLASS_NAMES)
