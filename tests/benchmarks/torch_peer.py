"""PyTorch beside plain Keras, as its users write it: images in memory, batches by index, `channels_last`,
fused optimizers, large batches in evaluation, all cores. It is no dependency: without it that is said."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tlcli.store.records import Checkpoint, Dataset

NETWORKS = ("cnn2", "cnn6-bn", "whitened-cnn")
WARM = 3


def installed() -> bool:
    """Is it there? If not, that is said."""
    there = importlib.util.find_spec("torch") is not None
    if not there:
        print("PyTorch is not installed: it is left out.", file=sys.stderr, flush=True)
    return there


def processor() -> str:
    """The processor's name, and the instructions that the libraries have been told to keep to."""
    try:
        told = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        told = None
    name = told[1] if told else platform.processor()
    limit = os.environ.get("ATEN_CPU_CAPABILITY") or os.environ.get("ONEDNN_MAX_CPU_ISA")
    return f"{name}, emulating {limit.upper()}" if limit else name


def network(arch: str, classes: int) -> Any:
    """The layers of an architecture, in PyTorch's own."""
    from torch import nn

    if arch == "cnn2":
        return nn.Sequential(
            nn.Conv2d(1, 32, 3),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            _Flatten(),
            nn.Linear(32 * 12 * 12, 128),
            nn.ReLU(),
            nn.Linear(128, classes),
        )
    if arch == "cnn6-bn":
        layers, channels = [], 3
        for width in (8, 16, 32):
            for _ in range(2):
                layers += [
                    nn.Conv2d(channels, width, 3, padding=1),
                    nn.BatchNorm2d(width, 1e-3, 0.01),
                    nn.ReLU(),
                ]
                channels = width
            layers.append(nn.MaxPool2d(2))
        return nn.Sequential(*layers, _Flatten(), nn.Linear(512, classes))
    if arch == "whitened-cnn":
        first = nn.Conv2d(3, 24, 2, bias=False).requires_grad_(False)
        blocks = [_block(*widths) for widths in ((24, 64), (64, 192), (192, 256))]
        pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return nn.Sequential(first, nn.GELU(), *blocks, pooled, nn.Linear(256, classes))
    raise ValueError(arch)


def _Flatten() -> Any:  # noqa: N802
    """Flatten in the order of Keras, channels last: in this memory format nothing is moved."""
    from torch import nn

    class Flatten(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.permute(0, 2, 3, 1).flatten(1)

    return Flatten()


def _block(channels: int, width: int) -> Any:
    from torch import nn

    def normalized(channels: int, pool: bool) -> list[Any]:
        convolution = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        return [convolution, *([nn.MaxPool2d(2)] if pool else []), nn.BatchNorm2d(width, 1e-3, 0.1)]

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Sequential(*normalized(channels, True), nn.GELU())
            self.rest = nn.Sequential(*normalized(width, False), nn.GELU(), *normalized(width, False))
            self.last = nn.GELU()

        def forward(self, x: Any) -> Any:
            x = self.first(x)
            return self.last(x + self.rest(x))

    return Block()


def _in_memory(images: Any, mean: Any, std: Any) -> Any:
    """Standardised images as a tensor in the memory format `channels_last`."""
    import torch

    x = ((np.asarray(images[:], np.float32) / 255 - mean) / std).astype(np.float32)
    return torch.from_numpy(x).permute(0, 3, 1, 2)  # a view: the channels stay last in memory


def rate(arch: str, dataset: Dataset, batch: int, seconds: float) -> float:
    """Images per second in training, by SGD with Nesterov's momentum."""
    import torch

    torch.manual_seed(0)
    model = network(arch, dataset.classes).to(memory_format=torch.channels_last)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.SGD(trained, 0.001, momentum=0.9, nesterov=True, fused=True)
    x, y = _in_memory(dataset.train.images, 0.5, 0.25), torch.from_numpy(np.asarray(dataset.train.labels))
    done, began = 0, 0.0
    while done <= WARM or time.perf_counter() - began < seconds:
        if done == WARM:
            began = time.perf_counter()
        _step(model, optimizer, x, y, torch.randint(len(x), (batch,)))
        done += 1
    return (done - WARM) * batch / (time.perf_counter() - began)


def _step(model: Any, optimizer: Any, x: Any, y: Any, index: Any) -> None:
    import torch
    from torch.nn import functional

    batch = x[index].contiguous(memory_format=torch.channels_last)
    loss = functional.cross_entropy(model(batch), y[index])
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def lab_run(arm: str, base: Checkpoint, dataset: Dataset, samples: int, seed: int) -> float:
    """A run of the lab's grid, with the test accuracy every 1000 samples; the last of them."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    model = network("cnn2", dataset.classes).to(memory_format=torch.channels_last)
    layers = [layer for layer in model if isinstance(layer, nn.Conv2d | nn.Linear)]
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    copied = {"scratch": 0, "frozen": 2, "tuned": 3}[arm]
    for layer, name in list(zip(layers, ("conv1", "conv2", "dense1"), strict=False))[:copied]:
        kernel = torch.from_numpy(base.weights[f"{name}/kernel"])
        with torch.no_grad():
            layer.weight.copy_(kernel.permute(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T)
            layer.bias.copy_(torch.from_numpy(base.weights[f"{name}/bias"]))
        layer.requires_grad_(arm != "frozen")
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(trained, fused=True)
    x, held = (_in_memory(part.images, base.mean, base.std) for part in (dataset.train, dataset.test))
    y, labels = (torch.from_numpy(np.asarray(part.labels)) for part in (dataset.train, dataset.test))
    accuracy, order = 0.0, torch.randperm(len(x))
    for seen in range(100, samples + 1, 100):
        if len(order) < 100:
            order = torch.cat([order, torch.randperm(len(x))])
        index, order = order[:100], order[100:]
        _step(model, optimizer, x, y, index)
        if seen % 1000 == 0:
            with torch.inference_mode():
                answers = torch.cat([model(some).argmax(1) for some in held.split(1000)])
                accuracy = float((answers == labels).float().mean())
    return accuracy
