"""Weights files of Keras."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

from fuzzing.hdf5 import edit_hdf5
from fuzzing.kinds import KINDS, Kind
from fuzzing.sources import edit_members


def _open_weights(path: Path) -> None:
    import keras_files

    from tlcli.store.weights import open_weights

    with open_weights(path) as file:
        found = file.read(keras_files.PLACES, "the network")
    assert {key: array.shape for key, array in found.items()} == {
        key: array.shape for key, array in keras_files.arrays().items()
    }


def _legacy_weights() -> list[bytes]:
    import keras_files

    layers = keras_files.as_legacy(keras_files.arrays())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.h5")
        lists = (keras_files.fixed, keras_files.variable)
        return [keras_files.legacy(path, layers, "/", listed).read_bytes() for listed in lists]


def _keras_3_weights() -> list[bytes]:
    import keras_files

    with tempfile.TemporaryDirectory() as folder:
        return [keras_files.keras_3(Path(folder, "x.h5"), keras_files.arrays()).read_bytes()]


def _keras_archive() -> list[bytes]:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", '{"config": {"name": "a network"}}')
        archive.writestr("model.weights.h5", _keras_3_weights()[0])
    return [file.getvalue()]


KINDS[".keras"] = Kind(".keras", ".keras", _keras_archive, _open_weights)
KINDS[".keras, repacked"] = Kind(".keras, repacked", ".keras", _keras_archive, _open_weights, edit_members)
for _name, _make in (("legacy weights", _legacy_weights), ("Keras 3 weights", _keras_3_weights)):
    KINDS[_name] = Kind(_name, ".h5", _make, _open_weights)
    KINDS[f"{_name}, edited"] = Kind(f"{_name}, edited", ".h5", _make, _open_weights, edit_hdf5)
