"""The memory that tuning needs, printed before it starts."""

from __future__ import annotations

import dataclasses
import re

import numpy as np

from tlcli.store.records import Dataset, Part
from tlcli.training import Recipe, embed, inference, transfer
from tlcli.training.arms import parse_arms
from tlcli.training.embedding import rebuild
from tlcli.training.needs import describe_memory


def photographs(n: int) -> Dataset:
    """So many images of 224 x 224 in colour, which take no memory here."""
    pixels = np.broadcast_to(np.uint8(0), (n, 224, 224, 3))
    part = Part(pixels, np.zeros(n, np.int64), np.arange(n))
    return Dataset(
        {"train": part, "test": Part(pixels[:500], part.labels[:500], part.source_index[:500])},
        ["a"],
        np.arange(1),
    )


def test_tuning_says_what_it_needs(base):
    """1.6 GB of images; eight layers of 8 x 8 images and their weights are nothing beside them."""
    network = rebuild(base)
    below_head = len(network.groups) - 1

    def told(arms, images):
        found = parse_arms(arms, network.groups)
        return describe_memory(network.model, below_head, [photographs(images)], found, Recipe(epochs=1))

    needs = told(["ridge", "finetune"], 10_000)
    assert needs.startswith("finetune ")
    assert re.findall(r"([0-9.]+) GB", needs)[:2] == ["3.1", "1.6"]  # in all, and for the images
    assert " 100 " in told(["scratch"], 10_000)  # images of a batch
    assert told(["finetune"], 1000) == ""  # 0.2 GB
    assert told(["freeze", "ridge", "logistic"], 10_000) == ""  # they read the file as they go


def test_frozen_layers_read_images_as_they_go(base, source_set, target_set, monkeypatch):
    """No call asks for more images than a block has, however many there are."""
    asked = []

    class Watched:
        def __init__(self, images):
            self.images, self.shape, self.dtype = np.asarray(images[:]), images.shape, images.dtype

        def __len__(self):
            return len(self.images)

        def __getitem__(self, index):
            asked.append(len(self.images[index]))
            return self.images[index]

    def watched(dataset):
        parts = {
            name: dataclasses.replace(part, images=Watched(part.images))
            for name, part in dataset.parts.items()
        }
        return dataclasses.replace(dataset, parts=parts)

    plain = embed(base, target_set)
    monkeypatch.setattr(inference, "_BLOCK", 16 * 64)  # sixteen images of 8 x 8 pixels
    source, target = watched(source_set), watched(target_set)
    found = embed(base, target)
    transfer(base, [target], ["ridge", "logistic", "freeze"], recipe=Recipe(epochs=1), source=source)
    assert max(asked) == 16
    for name, part in plain.parts.items():
        assert np.allclose(part.embeddings, found.parts[name].embeddings, atol=1e-6)
