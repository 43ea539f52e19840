"""Mixed precision: the layers that compute in bfloat16, and the devices on which `auto` chooses it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tlcli.models import kernels
from tlcli.training import Recipe, embed, precision, train_base, transfer
from tlcli.training.precision import resolve_precision


@pytest.mark.parametrize(
    ("arch", "options"),
    [
        ("cnn2", {"dropout": 0.2}),
        ("whitened-cnn", {"filters": "8-8-16", "depth": 2}),
        ("small-cnn", {"filters": "8-8", "blocks": "1-1"}),
    ],
)
def test_a_mixed_training_is_close_to_one_in_float32(source_set, padded, arch, options):
    how = {"batch_size": 50, "optimizer": "sgd", "learning_rate": 0.01, "ema": 0.9}
    made = {}
    for kind in ("float32", "mixed"):
        recipe = Recipe(epochs=2, precision=kind, **how)
        made[kind] = train_base(padded(source_set), arch, options=options, recipe=recipe, seed=2)
    full, mixed = made["float32"], made["mixed"]
    assert mixed.recipe == {**full.recipe, "precision": "mixed"}
    assert all(value.dtype == np.float32 for value in mixed.weights.values())
    losses = full.history["train_loss"], mixed.history["train_loss"]
    assert not np.array_equal(*losses)
    np.testing.assert_allclose(*losses, rtol=0.1)
    np.testing.assert_allclose(full.history["test_loss"], mixed.history["test_loss"], rtol=0.1)
    made = embed(mixed, padded(source_set))
    wide = embed(dataclasses.replace(mixed, recipe=full.recipe), padded(source_set))
    assert [e.provenance.computed_by["precision"] for e in (made, wide)] == ["mixed", "float32"]
    ours, theirs = (e.parts["test"].embeddings for e in (made, wide))
    assert ours.dtype == np.float32
    assert 0 < np.abs(ours - theirs).max() < 0.1 * np.abs(theirs).max()


def test_what_computes_in_bfloat16_and_what_in_float32():
    from tlcli.models import network as net

    def dtypes(arch, size, options, precision="mixed"):
        model = net.build(arch, (size, size, 3), 5, options, precision).model
        assert {v.dtype for v in model.variables if v.dtype != "int64"} == {"float32"}
        assert model(np.zeros((2, size, size, 3), "float32")).dtype == "float32"
        return {layer.name: layer.compute_dtype for layer in model.layers[1:]}

    narrow = dtypes("cnn6-bn", 32, {"filters": "8-16-32"})
    inner = {name: kind for name, kind in narrow.items() if name != "head"}
    slow = {name for name in inner if name in ("pool1", "conv2", "conv1") or name[:6] in ("conv1_", "conv2_")}
    assert narrow["head"] == "float32"
    assert {inner[name] for name in slow} == {"float32"}
    assert {inner[name] for name in inner.keys() - slow} == {"bfloat16"}
    wide = dtypes("whitened-cnn", 32, {"filters": "16-32-32", "depth": 1})
    assert wide.pop("head") == "float32"
    assert set(wide.values()) == {"bfloat16"}
    assert set(dtypes("cnn6-bn", 32, {}, "float32").values()) == {"float32"}


def test_transfer_in_mixed_precision(base, source_set, target_set):
    recipe = Recipe(samples=1500, batch_size=20, precision="mixed")
    arms = ["freeze", "finetune:rate_decay=0.5", "lwf", "ridge"]
    results = transfer(base, [target_set], arms, recipe=recipe, source=source_set)
    assert results.recipe["precision"] == "mixed"
    for run in results.runs:
        assert run.test_accuracy > 0.75, run.arm
    for run in results.runs[:1] + results.runs[3:]:  # a head alone forgets nothing, in any precision
        before, after = (getattr(run, f"source_accuracy_{when}") for when in ("before", "after"))
        assert before == after, run.arm


def test_auto_is_mixed_on_a_cpu_with_tiles_for_it(monkeypatch, tmp_path):
    for flags, chosen in (("fpu avx512f avx512_bf16", "float32"), ("fpu amx_bf16 amx_tile", "mixed")):
        cpuinfo = tmp_path / "cpuinfo"
        cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\n\n")
        monkeypatch.setattr(precision, "CPUINFO", cpuinfo)
        monkeypatch.setattr(precision, "_compute_capabilities", list)
        assert resolve_precision(Recipe(epochs=1, precision="auto")).precision == chosen
    cpuinfo.unlink()
    assert resolve_precision(Recipe(epochs=1, precision="auto")).precision == "float32"


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (2, 5)])
def test_a_convolution_of_small_images_is_as_exact_as_tensorflows(size):
    """Held against float64: within bfloat16's rounding, or nearer than TensorFlow's own kernel, which on
    processors without AVX-512 is off by several roundings."""
    import tensorflow as tf

    rng = np.random.default_rng(1)
    arrays = [
        tf.cast(rng.normal(size=shape), "bfloat16") for shape in ((6, 7, 4, 5), (*size, 5, 8), (6, 7, 4, 8))
    ]

    def made(function, kind):
        x, kernel, above = (tf.cast(array, kind) for array in arrays)
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = function(x, kernel, (1, 1), "SAME")
        found = [y, *tape.gradient(y, [x, kernel], output_gradients=above)]
        return [np.asarray(tf.cast(v, "float64")) for v in found]

    ours, theirs = made(kernels.conv2d, "bfloat16"), made(tf.nn.conv2d, "bfloat16")
    for our, their, exact in zip(ours, theirs, made(tf.nn.conv2d, "float64"), strict=True):
        off, allowed = (np.abs(found - exact).max() / np.abs(exact).max() for found in (our, their))
        assert off <= max(allowed, 2**-8)


def test_a_bias_has_the_gradient_of_float32():
    """A sum of ones in bfloat16 would stop at 256."""
    import tensorflow as tf

    x, bias = tf.zeros((20, 8, 8, 3), "bfloat16"), tf.zeros(3, "bfloat16")
    with tf.GradientTape() as tape:
        tape.watch(bias)
        y = kernels.bias_add(x, bias)
    np.testing.assert_array_equal(tf.cast(tape.gradient(y, bias), "float32"), 20 * 8 * 8)


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_gelu_and_its_gradient_are_those_of_keras(kind):
    import keras
    import tensorflow as tf

    x = tf.cast(np.linspace(-6, 6, 1001), kind)
    made = {}
    for name, function in (("ours", kernels.gelu), ("exact", lambda x: keras.ops.gelu(x, approximate=False))):
        wide = x if name == "ours" else tf.cast(x, "float64")
        with tf.GradientTape() as tape:
            tape.watch(wide)
            y = function(wide)
        made[name] = [np.asarray(tf.cast(v, "float64")) for v in (y, tape.gradient(y, wide))]
    for ours, exact in zip(made["ours"], made["exact"], strict=True):
        np.testing.assert_allclose(ours, exact, atol=2e-6, rtol={"float32": 0, "bfloat16": 2**-8}[kind])


@pytest.mark.parametrize(
    ("capabilities", "chosen"),
    [
        ([], "float32"),
        ([(7, 5)], "float32"),
        ([(8, 0)], "mixed"),
        ([(9, 0), (7, 0)], "float32"),
        ([None], "float32"),
    ],
)
def test_auto_is_mixed_where_every_gpu_has_the_cores_for_it(monkeypatch, capabilities, chosen):
    import tensorflow as tf

    def details(gpu):
        return {"compute_capability": gpu} if gpu else {}

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: capabilities)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details)
    monkeypatch.setattr(precision, "_tiles", lambda: False)
    assert resolve_precision(Recipe(epochs=1, precision="auto")).precision == chosen
    assert resolve_precision(Recipe(epochs=1, precision="mixed")).precision == "mixed"
