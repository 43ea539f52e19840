"""Networks of a user: every layer of Keras works, and a builder of something else is refused in plain
words."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from tlcli import store
from tlcli.errors import TlcliError
from tlcli.models.registry import NETWORKS, network
from tlcli.register import Owner

HERE = Owner("program", __name__)

ARGUMENTS = {  # of those that need some: a layer, from Keras
    "Bidirectional": lambda layers: layers.Bidirectional(layers.LSTM(3)),
    "Conv1D": lambda layers: layers.Conv1D(3, 2),
    "ConvLSTM1D": lambda layers: layers.ConvLSTM1D(2, 2),
    "ConvLSTM2D": lambda layers: layers.ConvLSTM2D(2, 2),
    "ConvLSTM3D": lambda layers: layers.ConvLSTM3D(2, 2),
    "EinsumDense": lambda layers: layers.EinsumDense("abc,cd->abd", (16, 4), bias_axes="d"),
    "Embedding": lambda layers: layers.Embedding(7, 3),
    "GroupNormalization": lambda layers: layers.GroupNormalization(2),
    "GroupQueryAttention": lambda layers: layers.GroupQueryAttention(2, 2, 1),
    "MultiHeadAttention": lambda layers: layers.MultiHeadAttention(2, 3),
    "RNN": lambda layers: layers.RNN([layers.GRUCell(3), layers.GRUCell(2)]),
    "ReversibleEmbedding": lambda layers: layers.ReversibleEmbedding(7, 3, tie_weights=False),
    "SpectralNormalization": lambda layers: layers.SpectralNormalization(layers.Dense(3)),
    "TimeDistributed": lambda layers: layers.TimeDistributed(layers.Dense(3)),
    "Attention": lambda layers: layers.Attention(use_scale=True, score_mode="concat"),
}
RANKS = {"1D": 3, "2D": 4, "3D": 5, "Embedding": 2, "ReversibleEmbedding": 2, "TimeDistributed": 3, "RNN": 3}
RANKS |= {"ConvLSTM1D": 4, "ConvLSTM2D": 5, "ConvLSTM3D": 6, "Bidirectional": 3, "GRU": 3, "LSTM": 3}
RANKS |= {"SimpleRNN": 3, "EinsumDense": 3, "MultiHeadAttention": 3, "GroupQueryAttention": 3}
RANKS |= {"Attention": 3, "AdditiveAttention": 3}


def kinds() -> list[str]:
    """The layers that Keras has, each under its first name, but for cells, wrappers of other libraries, and
    those that only hold others."""
    from keras import layers

    found: dict[type, str] = {}
    for name, kind in inspect.getmembers(layers, inspect.isclass):
        if issubclass(kind, layers.Layer):
            found.setdefault(kind, name)
    others = {"FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper", "Layer", "Wrapper", "InputLayer"}
    return sorted(n for n in found.values() if n not in others and not n.endswith(("Cell", "Cells")))


def made(name: str):
    """A layer of that kind."""
    from keras import layers

    if name in ARGUMENTS:
        return ARGUMENTS[name](layers)
    kind = getattr(layers, name)
    given = {"filters": 3, "kernel_size": 2, "units": 3, "rate": 0.2, "stddev": 0.1, "activation": "relu"}
    wanted = inspect.signature(kind.__init__).parameters
    needed = [p.name for p in wanted.values() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    return kind(**{key: given[key] for key in needed if key != "self"})


def called(layer, name: str, images):
    """The output of a layer for images of 8 x 8 with two channels, in the shape that it takes."""
    from keras import layers, ops

    by_dimension = (rank for part, rank in RANKS.items() if part[0].isdigit() and part in name)
    rank = RANKS.get(name, next(by_dimension, 4))
    x = layers.Conv2D(2, 1)(images)
    if rank == 2:
        x = ops.cast(ops.mod(ops.abs(layers.Flatten()(x)) * 10, 7), "int32")
    elif rank != 4:
        x = layers.Reshape({3: (16, 8), 5: (4, 4, 4, 2), 6: (2, 4, 4, 2, 2)}[rank])(x)
    calls = inspect.signature(layer.call).parameters
    if "value" in calls:
        return layer(x, x)
    if name in ("Attention", "AdditiveAttention"):
        return layer([x, x])
    return layer(x)


def weighted() -> list[str]:
    """The layers with weights; Keras itself tests the others."""
    import keras

    found = []
    for name in kinds():
        try:
            layer = made(name)
            called(layer, name, keras.Input((8, 8, 2)))
        except (TypeError, ValueError, AttributeError, ImportError, KeyError):  # for text, or of two images
            continue
        if layer.weights:
            found.append(name)
    return found


@pytest.fixture
def registered():
    """Registers a builder for this test."""

    def register(build, name="mine"):
        build.__module__ = __name__
        return network(name, "a test", input_shape=(8, 8, 2), classes=3)(build)

    yield register
    NETWORKS.forget(HERE)


def test_weight_decay_touches_every_kind_of_kernel(registered):
    """Also those of separable layers and of attention, whose names are longer."""
    import keras

    from tlcli.models import network as net
    from tlcli.training import Recipe
    from tlcli.training.step import Step

    def build(inputs, classes):
        x = keras.layers.SeparableConv2D(4, 3, name="separable")(inputs)
        x = keras.layers.Reshape((36, 4))(x)
        x = keras.layers.MultiHeadAttention(2, 2, name="attention")(x, x)
        return keras.layers.Dense(classes, name="head")(keras.layers.Flatten()(x))

    registered(build)
    model = net.build("mine", (8, 8, 2), 3).model
    scale = {"mean": np.zeros(2), "std": np.ones(2)}
    step = Step(model=model, trainable=model.trainable_variables, recipe=Recipe(samples=10), **scale)
    vectors = [v for v in model.trainable_variables if "bias" in v.name]
    assert len(step.kernels) == len(model.trainable_variables) - len(vectors) == 7


def test_every_layer_of_keras_with_weights_can_be_trained_kept_and_frozen(registered, tmp_path):
    import keras

    from tlcli.models import graph
    from tlcli.models import network as net

    names = weighted()
    assert {"DepthwiseConv2D", "SeparableConv2D", "Normalization", "MultiHeadAttention", "LSTM"} <= set(names)
    assert {"BatchNormalization", "Bidirectional", "SpectralNormalization", "PReLU", "RNN"} <= set(names)
    assert len(names) >= 30
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 2)).astype("float32")
    for name in names:

        def build(inputs, classes, *, layer=name):
            x = called(made(layer), layer, inputs)
            return keras.layers.Dense(classes)(keras.layers.Flatten()(x))

        registered(build)
        one, two = (net.build("mine", (8, 8, 2), 3) for _ in range(2))
        starts = [net.initial_weights(n, seed, "run") for n, seed in ((one, 1), (two, 1), (one, 2))]
        assert list(starts[0]) == list(net.weights(one.model)), name
        for key, value in starts[0].items():
            np.testing.assert_array_equal(value, starts[1][key], err_msg=f"{name} {key}")
            assert value.dtype == net.variables(one.model)[key].dtype, (name, key)
        assert any(not np.array_equal(starts[0][k], starts[2][k]) for k in starts[0]), name
        checkpoint = store.Checkpoint(
            "mine",
            one.options,
            (8, 8, 2),
            ["a", "b", "c"],
            np.arange(3),
            *np.ones((2, 2), "float32"),
            starts[0],
        )
        store.write(tmp_path / "kept.h5", checkpoint, force=True)
        kept = store.read(tmp_path / "kept.h5", store.Checkpoint).weights
        net.assign(two.model, kept)
        net.assign(one.model, starts[0])
        answers = [np.asarray(n.model(images, training=False)) for n in (one, two)]
        np.testing.assert_array_equal(answers[0], answers[1], err_msg=name)
        cut = graph.cut(one.model, one.groups[:-1])
        features = cut.below(images, training=False)
        np.testing.assert_allclose(np.asarray(cut.above(features)), answers[0], atol=1e-5, err_msg=name)


BAD = {
    "None": "gave NoneType; expected the logits, a tensor of shape (None, 3)",
    "layers.Dense(4)(flat)": "gave a tensor of shape (None, 4); expected the logits, a tensor of shape (None",
    "layers.Dense(classes)(inputs)": "gave a tensor of shape (None, 8, 8, 3)",
    "layers.Dense(classes, activation='softmax')(flat)": "ends in Dense with softmax; expected a Dense layer",
    "layers.Softmax()(layers.Dense(classes)(flat))": "ends in Softmax; expected a Dense layer without",
    "1 / 0": "'mine' of the module test_any_layer failed on images of 8x8x2: ZeroDivisionError: division by",
    "layers.Conv2D(0, 3)(inputs)": "failed on images of 8x8x2: ValueError: Invalid value for argument",
    "layers.Dense(classes, name='head')(layers.Dense(3, name='head')(flat))": "failed on images of 8x8x2",
}


@pytest.mark.parametrize(("gives", "words"), BAD.items(), ids=list(BAD))
def test_a_builder_that_gives_no_network_is_told_so(registered, gives, words):
    from tlcli.models import network as net

    def build(inputs, classes):
        from keras import layers

        return eval(
            gives,
            {},
            {"layers": layers, "inputs": inputs, "classes": classes, "flat": layers.Flatten()(inputs)},
        )

    registered(build)
    with pytest.raises(TlcliError) as caught:
        net.build("mine", (8, 8, 2), 3)
    assert words in str(caught.value)


def test_the_smallest_image_that_a_network_takes_is_told():
    from tlcli.models import network as net

    for name, shape, smallest in (
        ("vgg16", (8, 40, 1), 32),
        ("plain-cnn", (10, 10, 3), 22),
        ("cnn2", (5, 5, 1), 6),
    ):
        with pytest.raises(TlcliError, match=f"smallest: {smallest}x{smallest}"):
            net.build(name, shape, 3)
        assert net.build(name, (smallest, smallest, shape[2]), 3).classes == 3


def test_unnamed_layers_and_operations_have_the_same_names_in_every_process(registered, tmp_path):
    import keras

    from tlcli.models import exchange, graph
    from tlcli.models import network as net

    def build(inputs, classes):
        layers = keras.layers
        x = layers.Conv2D(4, 3, padding="same")(inputs)
        twice = layers.Dense(4, name="dense_1")
        x = keras.ops.relu(x) + twice(layers.GaussianNoise(0.1)(x)) * 2.0
        return layers.Dense(classes)(layers.Dense(5)(layers.Flatten()(twice(x))))

    registered(build)
    keys = [list(net.variables(net.build("mine", (8, 8, 2), 3).model)) for _ in range(2)]
    assert keys[0] == keys[1]
    assert [key for key in keys[0] if key.endswith("kernel")] == [
        f"{layer}/kernel" for layer in ("conv2d", "dense_1", "dense", "head")
    ]
    one = net.build("mine", (8, 8, 2), 3)
    model = one.model
    assert (
        graph.cut(model, [("conv2d",)]).layer == "conv2d"
    )  # noise that no frozen layer follows stays active
    images = np.ones((2, 8, 8, 2), "float32")
    below = graph.cut(model, [("conv2d",), ("dense_1",)])
    np.testing.assert_allclose(
        np.asarray(below.above(below.below(images, training=False))), np.asarray(model(images)), atol=1e-5
    )
    exchange.export_model(tmp_path / "x.keras", one, np.zeros(2), np.full(2, 1 / 255))
    exported = keras.models.load_model(tmp_path / "x.keras")
    np.testing.assert_allclose(np.asarray(exported(images)), np.asarray(model(images)), atol=1e-5)


def test_weights_of_layers_made_of_layers_and_of_variables_without_names(registered, tmp_path):
    """ConvNeXt has both: blocks that are `Sequential`, and scales whose variables Keras numbers."""
    import keras
    from keras.src.applications.convnext import LayerScale

    from tlcli.models import exchange
    from tlcli.models import network as net
    from tlcli.store.weights import open_weights

    def build(inputs, classes):
        layers = keras.layers
        x = keras.Sequential([layers.Conv2D(4, 3), layers.LayerNormalization()])(inputs)
        x = LayerScale(0.1, 5)(layers.Conv2D(5, 3)(x))
        x = keras.Sequential([layers.LayerNormalization(), layers.Conv2D(6, 2)])(x)
        x = LayerScale(0.1, 3)(layers.Conv2D(3, 1)(x))
        return layers.Dense(classes, name="head")(layers.Flatten()(x))

    inputs = keras.Input((8, 8, 2))
    plain = keras.Model(inputs, build(inputs, 3))
    rng = np.random.default_rng(0)
    plain.set_weights([rng.normal(size=w.shape) for w in plain.get_weights()])
    plain.save_weights(tmp_path / "x.weights.h5")
    registered(build)
    one, two = (net.build("mine", (8, 8, 2), 3) for _ in range(2))
    with open_weights(tmp_path / "x.weights.h5") as file:
        base = exchange.import_weights(file, one, list("abc"), np.arange(3), *np.ones((2, 2), "float32"))
    net.assign(two.model, base.weights)
    images = rng.normal(size=(4, 8, 8, 2)).astype("float32")
    np.testing.assert_allclose(two.model(images), plain(images), rtol=1e-4, atol=1e-5)
