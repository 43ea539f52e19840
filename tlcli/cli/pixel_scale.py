"""How a training scaled the pixels, out of the options of `import-weights`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from tlcli.cli.output import Console
from tlcli.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from tlcli.models import Architecture


class Scale(NamedTuple):
    """How training scaled the pixels, 0...255: the mean and the standard deviation of each channel (float32),
    the order of the channels, and a note for the user on what is assumed."""

    mean: np.ndarray
    std: np.ndarray
    channel_order: str
    note: str


def read_scale(
    console: Console, arch: Architecture, mean: str | None, std: str | None, order: str | None, channels: int
) -> Scale:
    """The scale of the pixels. Values that are not given are those that published weights of the network
    expect."""

    def channel_text(values: tuple[float, ...]) -> str:
        return ",".join(f"{255 * value:g}" for value in values)

    published = arch.pretrained
    given_mean = mean or (channel_text(published.mean) if published else "0")
    given_std = std or (channel_text(published.std) if published else "255")
    means = per_channel("--mean", given_mean, channels)
    stds = per_channel("--std", given_std, channels)
    order = order or (published.channel_order if published else "rgb")
    if min(stds) < 1:
        console.warn(
            f"--std {std} seems to be for pixels of 0...1; give 255 times that, for pixels of 0...255."
        )
    if mean is not None and std is not None:
        return Scale(means, stds, order, "")
    whose = f"as published weights of {arch.name} expect" if published else "pixels of 0...1"
    note = f"Assumed: (pixel - {given_mean}) / {given_std}, {whose}. Set it with --mean and --std."
    return Scale(means, stds, order, note + (" The channels are blue, green, red." if order == "bgr" else ""))


def per_channel(option: str, text: str, channels: int) -> np.ndarray:
    """`121.9` or `125.3,123.0,113.9` as one float32 per channel. Raises UsageError."""
    import numpy as np

    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    positive = option != "--std" or all(value > 0 for value in values)
    if len(values) not in (1, channels) or not all(map(math.isfinite, values)) or not positive:
        above = " above 0" if option == "--std" else ""
        raise UsageError(f"{option}: received '{text}', expected a number{above}, or {channels} with commas.")
    return np.broadcast_to(np.array(values, np.float64), channels).astype(np.float32)
