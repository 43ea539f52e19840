"""Private names of Keras, and weights drawn like those of its initializers."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tlcli.models import initial, keras_private


def test_the_private_names_are_what_they_are_taken_for():
    inputs = keras.Input((4,), name="images")
    first = keras.layers.Dense(3, name="first")
    outputs = keras.layers.Dense(2, name="second")(first(inputs))
    model = keras.Model(inputs, outputs)
    assert keras_private.producer(outputs).name == "second"
    operation, number, (above,) = keras_private.call(outputs)
    assert (operation.name, number, keras_private.producer(above).name) == ("second", 0, "first")
    names = {
        layer.name: [keras_private.producer(t).name for t in below]
        for layer, below in keras_private.calls(model)
    }
    assert names == {"images": [], "first": ["images"], "second": ["first"]}
    again = keras_private.call_again(model, inputs, lambda layer: type(layer).from_config(layer.get_config()))
    assert again.shape == (None, 2)
    assert keras_private.producer(again) is not keras_private.producer(outputs)
    for made, moments in (
        (keras.optimizers.Adam(0.1), keras_private.adam_moments),
        (keras.optimizers.SGD(0.1, momentum=0.9), lambda *which: (keras_private.sgd_momentum(*which),)),
    ):
        made.build(model.trainable_variables)
        gradients = [np.ones(v.shape, np.float32) for v in model.trainable_variables]
        made.apply(gradients, model.trainable_variables)
        assert float(keras_private.rate_variable(made)) == pytest.approx(0.1)
        assert any(v is keras_private.rate_variable(made) for v in made.variables)
        for variable in model.trainable_variables:
            for moment in moments(made, variable):
                assert moment.shape == variable.shape
                assert np.abs(moment.numpy()).min() > 0


def test_variables_that_are_not_compiled_hold_the_constants_that_are_asked_for(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(keras_private, "on_device", lambda value: value)
    before = keras.Variable._initialize_with_initializer
    with keras_private.initialize_with_numpy():
        layer = keras.layers.Dense(3, bias_initializer=keras.initializers.Constant(0.5))
        layer.build((None, 4))
        with keras_private.draw_later():
            later = keras.layers.Dense(3)
            later.build((None, 4))
    assert np.array_equal(layer.bias.numpy(), [0.5] * 3)
    assert layer.kernel.numpy().any()
    assert not later.kernel.numpy().any()
    assert keras.Variable._initialize_with_initializer is before
    layer = keras.layers.Dense(3)
    layer.build((None, 4))
    assert layer.kernel.numpy().any()


@pytest.mark.parametrize("shape", [(7,), (5, 9), (3, 3, 7, 5), (101, 333)])
def test_uniform_weights_are_bit_for_bit_those_of_tensorflow(shape):
    for seed in (0, 5, 2**31 - 1):
        for kind in ("GlorotUniform", "HeUniform", "LecunUniform", "RandomUniform"):
            initializer = getattr(keras.initializers, kind)(seed=seed)
            expected = np.asarray(initializer(shape))
            assert np.array_equal(initial.draw(initializer, shape, seed), expected), kind


@pytest.mark.parametrize(
    "kind", ["GlorotNormal", "HeNormal", "LecunNormal", "RandomNormal", "TruncatedNormal"]
)
def test_normal_weights_have_the_spread_of_keras(kind):
    initializer = getattr(keras.initializers, kind)(seed=3)
    ours, theirs = initial.draw(initializer, (200, 300), 3), np.asarray(initializer((200, 300)))
    assert ours.dtype == np.float32
    assert ours.std() == pytest.approx(theirs.std(), rel=0.02)
    assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=0.2)
    assert np.array_equal(ours, initial.draw(initializer, (200, 300), 3))
    assert not np.array_equal(ours, initial.draw(initializer, (200, 300), 4))


def test_constants_and_what_numpy_does_not_draw():
    kinds = keras.initializers
    for initializer, value in ((kinds.Zeros(), 0), (kinds.Ones(), 1), (kinds.Constant(0.5), 0.5)):
        assert np.array_equal(initial.draw(initializer, (2, 3), 0), np.full((2, 3), value))
    assert np.array_equal(initial.draw(kinds.Identity(), (3, 3), 0), np.eye(3))


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (2, 2, 3, 24), (5, 1)])
def test_orthogonal_weights_are_orthonormal(shape):
    made = initial.draw(keras.initializers.Orthogonal(gain=2), shape, 1)
    assert made.dtype == np.float32
    assert made.shape == shape
    matrix = made.reshape(-1, shape[-1])
    product = matrix @ matrix.T if len(matrix) < shape[-1] else matrix.T @ matrix
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-5)
    assert not np.array_equal(made, initial.draw(keras.initializers.Orthogonal(gain=2), shape, 2))
