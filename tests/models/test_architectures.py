"""The architectures: exact parameter counts, options, inputs they cannot take, where they can be cut."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from tlcli.errors import TlcliError, UsageError
from tlcli.models import architectures, parameter_counts, parse_options
from tlcli.models.layerspec import resolve_layers
from tlcli.models.registry import Architecture


@pytest.mark.parametrize(
    ("name", "shape", "classes", "options", "total", "trainable"),
    [
        ("plain-cnn", (32, 32, 3), 10, {}, 49_268, 49_268),
        ("densenet", (32, 32, 3), 10, {}, 45_634, 44_410),
        ("vgg16", (32, 32, 3), 10, {}, 15_001_418, None),
        ("vgg16", (32, 32, 3), 100, {}, 15_047_588, None),
        ("cnn6-bn", (32, 32, 3), 10, {"filters": "8-8-8"}, 4_626, None),
        ("cnn6-bn", (32, 32, 3), 10, {}, 23_762, 23_762 - 2 * 112),
        # whitening 2x2x3x24 and the moving statistics are not trained; per block gamma, beta and they
        ("whitened-cnn", (32, 32, 3), 100, {}, 2_515_844, 2_515_844 - 288 - 3 * 2 * (64 + 192 + 256)),
        ("whitened-cnn", (32, 32, 3), 100, {"filters": "64-256-256", "depth": 2}, 1_998_212, 1_995_620),
        ("small-cnn", (32, 32, 3), 10, {}, 49_146, 47_162),
        # conv 3x3x1x32, conv 3x3x32x32, dense 12*12*32 x 128, head 128 x 4, each with biases
        ("cnn2", (28, 28, 1), 4, {}, 320 + 9_248 + 589_952 + 516, 320 + 9_248 + 589_952 + 516),
    ],
)
def test_parameter_counts(name, shape, classes, options, total, trainable):
    counted = parameter_counts(name, shape, classes, options)
    assert total in (None, counted[0])
    assert trainable in (None, counted[1])


def test_the_small_network_has_fewer_than_50_000_parameters():
    assert parameter_counts("small-cnn")[0] < 50_000


def test_vgg_head_has_5130_parameters():
    assert 512 * 10 + 10 == 5_130
    assert parameter_counts("vgg16", None, 100)[0] - parameter_counts("vgg16", None, 10)[0] == 90 * 513


def test_every_architecture_builds_as_made_and_ends_in_a_head_of_logits():
    from tlcli.models.network import HEAD, build, counts

    for name, arch in architectures().items():
        network = build(name, arch.input_shape, arch.classes)
        head = network.model.get_layer(HEAD)
        assert network.groups[-1] == (HEAD,)
        assert network.model.output.shape[1] == arch.classes
        assert head.activation.__name__ == "linear"
        assert arch.parameters == counts(network.model)


STRUCTURES = {
    "cnn2": "4f22662d0143f0e6",
    "cnn4": "728d29e344454fee",
    "cnn6-bn": "080978c04759467c",
    "cnn8": "58986ad11228d78e",
    "densenet": "3d1b44500ec955d0",
    "efficientnet-lite0": "71515abb092ee4c4",
    "plain-cnn": "a8409d4f0d96e455",
    "small-cnn": "0746b8aeb2fed8a2",
    "vgg16": "708cd26c2672f02a",
    "whitened-cnn": "d610620a7a2cc26d",
}


def test_a_name_stands_for_one_network_for_ever():
    """Files hold an architecture's name, its options and arrays: a network that computes otherwise from
    them would give other answers without a word. Such a change needs another name, not another digest here.
    """
    assert {name: structure(arch) for name, arch in architectures().items()} == STRUCTURES


def structure(arch: Architecture) -> str:
    """A digest of the layers: names, kinds, what each takes its input from, what it computes, variables."""
    from tlcli.models.graph import parent_layers
    from tlcli.models.network import build

    model = build(arch.name, arch.input_shape, arch.classes).model
    parents = parent_layers(model)
    settings = (
        "kernel_size",
        "strides",
        "padding",
        "activation",
        "pool_size",
        "rate",
        "epsilon",
        "momentum",
        "size",
        "scale",
    )
    layers = []
    for layer in model.layers:
        config = layer.get_config()
        computes = {key: str(config[key]) for key in settings if key in config}
        shapes = [tuple(v.shape) for v in layer.weights if "seed" not in v.path]
        kind = type(layer).__name__.replace("FusedGelu", "Activation")  # which is the same function
        layers.append((layer.name, kind, parents[layer.name], computes, shapes))
    return hashlib.sha256(repr(layers).encode()).hexdigest()[:16]


def test_options_are_checked():
    assert parse_options("cnn2", {"dropout": "0.5"})["dropout"] == 0.5
    assert parse_options("cnn6-bn", {"filters": "8-8-8"})["filters"] == "8-8-8"
    for name, option in [
        ("cnn2", {"dropout": "1.5"}),
        ("cnn2", {"filters": "-3"}),
        ("cnn2", {"depth": "3"}),
        ("cnn6-bn", {"filters": "8-8"}),
        ("vgg16", {"dropout": "perhaps"}),
    ]:
        with pytest.raises(UsageError):
            parse_options(name, option)
    with pytest.raises(UsageError, match="Did you mean 'cnn2'"):
        parse_options("cnn22", {})


def test_images_that_are_too_small_are_refused_in_words():
    with pytest.raises(TlcliError, match=r"vgg16 cannot take images of 8x8x1"):
        parameter_counts("vgg16", (8, 8, 1), 10)


def test_layer_expressions():
    groups = [("conv1", "conv1_bn"), ("conv2",), ("dense1",), ("head",)]
    assert resolve_layers(None, groups, "copy") == [3]
    assert resolve_layers("1-3", groups, "copy") == [1, 2, 3]
    assert resolve_layers("conv2", groups, "copy") == [2]
    assert resolve_layers("conv1_bn", groups, "copy") == [1]
    assert resolve_layers("none,2", groups, "copy") == [0, 2]
    for wrong in ("4", "0-9", "conv9", "2-1", "head", "-1", "1e3", ""):
        with pytest.raises(UsageError):
            resolve_layers(wrong, groups, "copy")


@pytest.mark.parametrize(
    ("name", "options"),
    [("cnn2", {"dropout": 0.5}), ("cnn6-bn", {}), ("densenet", {}), ("whitened-cnn", {"filters": "4-4-4"})],
)
def test_a_cut_network_gives_the_same_answers(name, options):
    from tlcli.models import graph
    from tlcli.models import network as net

    shape = architectures()[name].input_shape
    network = net.build(name, shape, 3, options)
    net.assign(network.model, net.initial_weights(network, 7, "run"))
    images = np.random.default_rng(0).normal(size=(4, *shape)).astype("float32")
    whole = np.asarray(network.model(images, training=False))
    for count in range(1, network.below_head + 1):
        cut = graph.cut(network.model, network.groups[:count])
        features = cut.below(images, training=False)
        np.testing.assert_allclose(np.asarray(cut.above(features, training=False)), whole, atol=1e-5)
        held = {layer.name for layer in cut.above.layers}
        frozen_above = held.intersection(*[{n for g in network.groups[:count] for n in g}])
        if name not in ("densenet", "whitened-cnn"):  # can only be cut where all paths meet
            assert not frozen_above


def test_a_dropout_above_the_frozen_layers_stays_active_and_one_below_does_not():
    from tlcli.models import graph
    from tlcli.models import network as net

    network = net.build("cnn2", (28, 28, 1), 3, {"dropout": 0.5})
    above = {layer.name for layer in graph.cut(network.model, network.groups[:2]).above.layers}
    assert {"dropout1", "dropout2"} <= above
    above = {layer.name for layer in graph.cut(network.model, network.groups[:3]).above.layers}
    assert "dropout1" not in above
    assert "dropout2" in above


def test_initial_weights_depend_on_the_seed_alone():
    from tlcli.models import network as net

    network = net.build("cnn6-bn", (32, 32, 3), 5)
    first, again, other = (net.initial_weights(network, seed, "run") for seed in (1, 1, 2))
    base = net.initial_weights(network, 1, "base")
    assert not np.array_equal(first["conv1/kernel"], base["conv1/kernel"])
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert not np.array_equal(first["conv1/kernel"], other["conv1/kernel"])
    assert not np.array_equal(first["conv3/kernel"][..., :8, :8], first["conv2/kernel"])


def test_the_fused_layers_equal_kerass_own():
    import keras

    from tlcli.models.layers import FusedBatchNormalization, FusedConv2D

    rng = np.random.default_rng(0)
    x = rng.normal(2, 3, (16, 9, 9, 5)).astype("float32")
    ours, plain = FusedBatchNormalization(), keras.layers.BatchNormalization()
    for _ in range(3):
        np.testing.assert_allclose(
            np.asarray(ours(x, training=True)), np.asarray(plain(x, training=True)), atol=1e-4
        )
    for a, b in zip(ours.weights, plain.weights, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4)
    np.testing.assert_allclose(np.asarray(ours(x)), np.asarray(plain(x)), atol=1e-4)
    conv, same = FusedConv2D(4, 3, activation="relu"), keras.layers.Conv2D(4, 3, activation="relu")
    conv.build(x.shape), same.build(x.shape)
    same.set_weights([w + 0.1 for w in conv.get_weights()])
    conv.set_weights(same.get_weights())
    np.testing.assert_allclose(np.asarray(conv(x)), np.asarray(same(x)), atol=1e-5)


def test_patch_whitening_decorrelates_the_images_it_was_made_from():
    import keras

    from tlcli.models.network import adapt_weights, assign, build

    rng = np.random.default_rng(0)
    smooth = rng.normal(size=(60, 5, 5, 3)).cumsum(axis=1).cumsum(axis=2)  # neighbours resemble each other
    images = np.clip(128 + 20 * smooth, 0, 255).astype(np.uint8)
    mean, std = np.float32([0.5, 0.5, 0.5]), np.float32([0.2, 0.2, 0.2])
    network = build("whitened-cnn", (32, 32, 3), 10, {"filters": "4-4-4"})
    made = adapt_weights(network.model, images, mean, std)
    assert list(made) == ["whiten/kernel"]
    assign(network.model, made)
    kernel = made["whiten/kernel"]
    responses = keras.ops.conv((images / 255.0 - mean).astype("float32") / std, kernel, padding="valid")
    responses = keras.ops.convert_to_numpy(responses).reshape(-1, 24)
    assert np.array_equal(kernel[..., :12], -kernel[..., 12:])
    assert np.allclose(np.cov(responses[:, :12], rowvar=False), np.eye(12), atol=0.05)
    assert not network.model.get_layer("whiten").trainable_variables
    network.model.trainable = False
    network.model.trainable = True
    assert not network.model.get_layer("whiten").trainable_variables
