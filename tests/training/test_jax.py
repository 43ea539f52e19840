"""JAX against TensorFlow, one device against two, and the number of compilations."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from jax_process import numbers

pytestmark = pytest.mark.timeout(900)
PROCESS = Path(__file__).with_name("jax_process.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("jax")


@pytest.fixture(scope="module")
def under_jax(folder):
    """Run the process under JAX; programs are kept in the same folder each time."""

    def run(*words: str) -> dict:
        environment = {
            **os.environ,
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
            "TLCLI_JAX_CACHE": str(folder / "programs"),
        }
        done = subprocess.run(
            [sys.executable, PROCESS, folder, *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=800,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.fixture(scope="module")
def compilations(under_jax) -> dict:
    return under_jax()


def test_every_method_gives_what_it_gives_under_tensorflow(compilations, folder):
    with np.load(folder / "numbers.npz") as found:
        for name, expected in numbers().items():
            np.testing.assert_allclose(found[name], expected, rtol=2e-3, atol=2e-4, err_msg=name)


def test_two_devices_give_what_one_gives(compilations, folder):
    with np.load(folder / "shared.npz") as found:
        for name in found.files:
            kind, key = name.split("/", 1)
            expected = found[f"at once 1/{key}" if kind.startswith("at") else f"one/{key}"]
            np.testing.assert_allclose(found[name], expected, rtol=1e-3, atol=1e-4, err_msg=name)
        assert {name.split("/")[0] for name in found.files} >= {"two", "two looped", "resumed", "at once 2"}


def test_the_loop_is_compiled_once_for_each_shape(compilations):
    """A base and arms of two shapes, whatever the sizes, the evaluations and the lengths of the chunks."""
    assert compilations == {"False 80": 3, "False 30": 3, "True 30": 3}


@pytest.fixture(scope="module")
def again(compilations, under_jax) -> dict:
    return under_jax("again")


def test_another_process_compiles_nothing(again):
    assert again["misses"] == 0
    assert again["programs"] > 0, "it was counted"


def test_steps_take_little_more_than_in_jax_alone(again):
    """The smallest network, where what is around a step weighs most, in steps per second of a processor."""
    assert again["tlcli"] >= 0.8 * again["jax"]


def test_a_network_is_counted_in_three_seconds_of_a_processor(folder):
    """Keras's initializers would take ninety, and the packages that it only offers wrappers for two more."""
    environment = {**os.environ, "KERAS_BACKEND": "jax", "TLCLI_JAX_CACHE": "off"}
    call = [sys.executable, "-m", "tlcli.cli.main", "archs", "cnn2", "--input", "8x8x1"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(call, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert "26,854" in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime <= 3
