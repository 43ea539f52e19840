"""CIFAR-100: 50,000 + 10,000 colour photographs of 32 x 32 pixels in 100 classes (A. Krizhevsky 2009)."""

from __future__ import annotations

from dataclasses import replace

from tlcli.data import cifar
from tlcli.data.locate import Download
from tlcli.data.source import Request, Source, SourceInfo, published

INFO = SourceInfo(
    "cifar100", "small colour photographs; 20 classes with coarse labels", 50_000, 10_000, 100, (32, 32, 3)
)

FINE = (
    "apple",
    "aquarium_fish",
    "baby",
    "bear",
    "beaver",
    "bed",
    "bee",
    "beetle",
    "bicycle",
    "bottle",
    "bowl",
    "boy",
    "bridge",
    "bus",
    "butterfly",
    "camel",
    "can",
    "castle",
    "caterpillar",
    "cattle",
    "chair",
    "chimpanzee",
    "clock",
    "cloud",
    "cockroach",
    "couch",
    "crab",
    "crocodile",
    "cup",
    "dinosaur",
    "dolphin",
    "elephant",
    "flatfish",
    "forest",
    "fox",
    "girl",
    "hamster",
    "house",
    "kangaroo",
    "keyboard",
    "lamp",
    "lawn_mower",
    "leopard",
    "lion",
    "lizard",
    "lobster",
    "man",
    "maple_tree",
    "motorcycle",
    "mountain",
    "mouse",
    "mushroom",
    "oak_tree",
    "orange",
    "orchid",
    "otter",
    "palm_tree",
    "pear",
    "pickup_truck",
    "pine_tree",
    "plain",
    "plate",
    "poppy",
    "porcupine",
    "possum",
    "rabbit",
    "raccoon",
    "ray",
    "road",
    "rocket",
    "rose",
    "sea",
    "seal",
    "shark",
    "shrew",
    "skunk",
    "skyscraper",
    "snail",
    "snake",
    "spider",
    "squirrel",
    "streetcar",
    "sunflower",
    "sweet_pepper",
    "table",
    "tank",
    "telephone",
    "television",
    "tiger",
    "tractor",
    "train",
    "trout",
    "tulip",
    "turtle",
    "wardrobe",
    "whale",
    "willow_tree",
    "wolf",
    "woman",
    "worm",
)

COARSE = (
    "aquatic_mammals",
    "fish",
    "flowers",
    "food_containers",
    "fruit_and_vegetables",
    "household_electrical_devices",
    "household_furniture",
    "insects",
    "large_carnivores",
    "large_man-made_outdoor_things",
    "large_natural_outdoor_scenes",
    "large_omnivores_and_herbivores",
    "medium_mammals",
    "non-insect_invertebrates",
    "people",
    "reptiles",
    "small_mammals",
    "trees",
    "vehicles_1",
    "vehicles_2",
)

LAYOUT = cifar.Layout(
    info=INFO,
    train=(("train", 50_000),),
    test=("test", 10_000),
    label_column=1,
    label_columns=2,
    label_key="fine_labels",
    class_names=FINE,
    binary_folder="cifar-100-binary",
    python_folder="cifar-100-python",
    binary_archive="cifar-100-binary.tar.gz",
    python_archive="cifar-100-python.tar.gz",
    download=Download(
        "cifar-100-binary.tar.gz",
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        1 << 28,
        ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
    ),
)


@published(INFO, class_names=FINE, options=("label_mode",))
def load(request: Request) -> Source:
    """With `label_mode` "coarse", the 20 groups of five classes, as the source `cifar100-coarse`.

    The images and their order are the same.
    """
    if request.label_mode == "coarse":
        layout = replace(LAYOUT, label_column=0, label_key="coarse_labels", class_names=COARSE)
        source = cifar.load(layout, request)
        source.name = "cifar100-coarse"  # its classes are not those of cifar100, whatever their numbers
        return source
    return cifar.load(LAYOUT, request)
