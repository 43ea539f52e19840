"""A network and a method that tlcli finds by the entry points of this package."""

import keras

import tlcli
from tlcli.training.methods import Phase


@tlcli.network("wide-mini", "one wide convolution and the head", input_shape=(8, 8, 1))
def wide_mini(inputs, classes, *, filters=32):
    x = keras.layers.Conv2D(filters, 3, activation="relu", name="conv1")(inputs)
    return keras.layers.Dense(classes, name="head")(keras.layers.GlobalAveragePooling2D(name="features")(x))


@tlcli.method("gentle", "fine-tuning at a part of the learning rate")
def gentle(copy, freeze, *, rate=0.1):
    return [Phase(frozen=0, rate=rate)]
