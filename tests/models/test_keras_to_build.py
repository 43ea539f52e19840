"""Networks for copying weights: the same as with TensorFlow, in a process without TensorFlow and JAX."""

from __future__ import annotations

import subprocess
import sys

from processes import ENVIRONMENT

from tlcli.models.exchange import places
from tlcli.models.network import build
from tlcli.models.registry import architecture

NAMES = ("cnn2", "small-cnn", "keras:MobileNetV3Small")

PROGRAM = """
import sys
sys.modules["jax"] = sys.modules["tensorflow"] = None  # as if not installed
from tlcli.models.keras_to_build import import_keras_to_build
import_keras_to_build()
from test_keras_to_build import layers
print(layers())
assert sys.modules["jax"] is None
assert not [name for name in sys.modules if name.startswith("keras.src.backend.jax")]
"""


def layers() -> str:
    """The layers with weights of some networks: their kinds and shapes in files."""
    found = []
    for name in NAMES:
        network = build(name, architecture(name).input_shape, 7, {"head_units": "8"})
        found.append((name, network.groups, places(network.model)))
    return repr(found)


def test_networks_to_copy_have_the_layers_of_those_that_train():
    environment = {**ENVIRONMENT, "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == layers()
