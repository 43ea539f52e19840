"""A network, a method and a section of the report of one's own: `tlcli --with mine.py …`."""

import keras

import tlcli
from tlcli.report.document import Text
from tlcli.training.methods import Phase


@tlcli.network("residual-mini", "two separable convolutions around a shortcut", input_shape=(8, 8, 1))
def residual_mini(inputs, classes, *, filters=16, dropout=0.0):
    layers = keras.layers
    x = layers.Conv2D(filters, 3, padding="same", activation="relu", name="stem")(inputs)
    y = layers.SeparableConv2D(filters, 3, padding="same", activation="relu", name="separable1")(x)
    y = layers.SeparableConv2D(filters, 3, padding="same", name="separable2")(y)
    x = keras.ops.relu(x + y)
    x = layers.Dropout(dropout, name="dropout")(layers.GlobalAveragePooling2D(name="features")(x))
    return layers.Dense(classes, name="head")(x)


@tlcli.method("thaw", "the head alone, then everything at a tenth of the rate", freezes=True)
def thaw(copy, freeze, *, head=0.5):
    return [Phase(frozen=freeze, share=head), Phase(frozen=0, share=1 - head, rate=0.1)]


@tlcli.section("spread", "Best and worst run", per_task=False)
def spread(study, task):
    runs = [entry.run for entry in study.entries if entry.run.test_accuracy is not None]
    for best in (True, False) if len(runs) > 1 else ():
        run = sorted(runs, key=lambda r: r.test_accuracy)[-best]
        yield Text(
            f"The {'best' if best else 'worst'} of {len(runs)} runs, number {run.run + 1} of {run.arm} with "
            f"{run.size} images, has {100 * run.test_accuracy:.1f} % of the test images right."
        )
