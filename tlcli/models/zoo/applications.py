"""The networks of Keras Applications as `keras:ResNet50V2`, each with a linear head on its pooled output.

Listing them needs no Keras.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tlcli.errors import UsageError
from tlcli.models.registry import NETWORKS, Architecture, Pretrained
from tlcli.text import did_you_mean

PREFIX = "keras:"

_TORCH = Pretrained((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CAFFE = Pretrained((103.939 / 255, 116.779 / 255, 123.68 / 255), (1 / 255,), "bgr")
_SYMMETRIC = Pretrained((0.5,), (0.5,))
_NONE = Pretrained((0.0,), (1 / 255,), rescales=True)


@dataclass(frozen=True)
class _Family:
    """The networks of one article, with the side of the training images of each."""

    article: str
    pretrained: Pretrained
    sides: dict[str, int]
    smallest: int = 32
    own_top: bool = True
    """Its published classifier is one linear layer on the pooled output, so that it can be imported."""


def _of_side(names: str, side: int = 224) -> dict[str, int]:
    return dict.fromkeys(names.split(), side)


_FAMILIES = (
    _Family(
        "Liu et al. 2022",
        _NONE,
        _of_side("ConvNeXtTiny ConvNeXtSmall ConvNeXtBase ConvNeXtLarge ConvNeXtXLarge"),
    ),
    _Family("Huang et al. 2017", _TORCH, _of_side("DenseNet121 DenseNet169 DenseNet201")),
    _Family(
        "Tan & Le 2019",
        _NONE,
        {f"EfficientNetB{n}": side for n, side in enumerate((224, 240, 260, 300, 380, 456, 528, 600))},
    ),
    _Family(
        "Tan & Le 2021",
        _NONE,
        dict(
            zip(
                (f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")),
                (224, 240, 260, 300, 384, 480, 480),
                strict=True,
            )
        ),
    ),
    _Family("Szegedy et al. 2016", _SYMMETRIC, _of_side("InceptionV3 InceptionResNetV2", 299), smallest=75),
    _Family("Howard et al. 2017", _SYMMETRIC, _of_side("MobileNet")),
    _Family("Sandler et al. 2018", _SYMMETRIC, _of_side("MobileNetV2")),
    _Family("Howard et al. 2019", _NONE, _of_side("MobileNetV3Small MobileNetV3Large"), own_top=False),
    _Family("Zoph et al. 2018", _SYMMETRIC, {"NASNetMobile": 224, "NASNetLarge": 331}),
    _Family("He et al. 2016", _CAFFE, _of_side("ResNet50 ResNet101 ResNet152")),
    _Family("He et al. 2016", _SYMMETRIC, _of_side("ResNet50V2 ResNet101V2 ResNet152V2")),
    _Family("Simonyan & Zisserman 2015", _CAFFE, _of_side("VGG16 VGG19"), own_top=False),
    _Family("Chollet 2017", _SYMMETRIC, _of_side("Xception", 299), smallest=71),
)
_BY_NAME = {PREFIX + name: family for family in _FAMILIES for name in family.sides}


def names() -> Iterator[str]:
    """Every network, as `--arch` takes it."""
    return iter(sorted(_BY_NAME))


def application(name: str) -> Architecture:
    """A network by its name (`keras:ResNet50V2`).

    Raises:
        UsageError: Keras has no network of that name.
    """
    family = _BY_NAME.get(name)
    if family is None:
        hint = did_you_mean(name, list(_BY_NAME)) or " `tlcli archs 'keras:*'` lists them."
        raise UsageError(f"Keras Applications has no network {name!r}.{hint}")
    short = name.removeprefix(PREFIX)
    side = family.sides[short]

    def build(inputs: Any, classes: int) -> Any:
        import keras

        height, width, channels = inputs.shape[1:]
        if min(height, width) < family.smallest:
            raise UsageError(
                f"{name} cannot take images of {height}x{width}x{channels}; smallest: "
                f"{family.smallest}x{family.smallest}.\n"
                f"Use larger images, or enlarge them in the network with `arch_option` resize={side}."
            )
        make = getattr(keras.applications, short)
        model = make(include_top=False, weights=None, input_tensor=inputs, pooling="avg")
        return keras.layers.Dense(classes, name="head")(model.output)

    return Architecture(
        name,
        f"{short} ({family.article}), from Keras Applications",
        build,
        {},
        (side, side, 3),
        1000,
        family.pretrained,
    )


def has_linear_top(name: str) -> bool:
    """Whether the published classifier of a network is one linear layer on its pooled output."""
    return _BY_NAME[name].own_top


NETWORKS.add_family(PREFIX, names, application)
