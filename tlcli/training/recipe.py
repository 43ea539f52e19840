"""How a network is trained: one value per decision, shared by `train-base` and `transfer`. No Keras here."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tlcli.errors import UsageError
from tlcli.training.recipes import RECIPES

if TYPE_CHECKING:
    import numpy as np

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "step", "cosine", "one-cycle")
PRECISIONS = ("float32", "mixed", "auto")
AUGMENTATIONS = {
    "flip": "mirror left-right, half of the images",
    "alternating-flip": "mirror each image every other time it is seen",
    "shift": "shift by up to N pixels, edges reflected (shift:4)",
    "crop": "the same as shift: pad by N, reflected, and crop (crop:4)",
    "rotate": "rotate by up to N degrees (rotate:10)",
    "resized-crop": "enlarge a part of at least this share of the area (resized-crop:0.25)",
    "color-jitter": "brightness, contrast and saturation by up to this share (color-jitter:0.4)",
    "cutout": "a grey square of N pixels (cutout:8)",
    "mixup": "mix pairs, weight from Beta(N, N) (mixup:0.2)",
    "none": "the images as they are, whatever the recipe says",
}
_LEARNING_RATES = {"adam": 1e-3, "adamw": 1e-3, "sgd": 0.05}


@dataclass(frozen=True)
class Recipe:
    """Every choice of a training. Exactly one of `epochs` and `samples` says how long."""

    optimizer: str = "adam"
    learning_rate: float | None = None
    """None: 0.001 for Adam and AdamW, 0.05 for SGD."""
    momentum: float = 0.9
    """Of SGD, Nesterov's."""
    schedule: str = "constant"
    warmup: float = 0.0
    """Share of the training over which the learning rate rises linearly (one-cycle: 0.2 when 0)."""
    weight_decay: float = 0.0
    """Decoupled (Loshchilov & Hutter 2019), on kernels only."""
    label_smoothing: float = 0.0
    batch_size: int = 100
    epochs: float | None = None
    samples: int | None = None
    eval_every: int | None = None
    """Samples between two evaluations; None: one epoch."""
    augment: tuple[str, ...] = ()
    ema: float | None = None
    """Decay of the weight average that is evaluated and kept instead of the last weights; 0: no average."""
    early_stopping: int | None = None
    """Evaluations without a better validation loss before the training ends; keeps the best weights."""
    mirrored: bool = False
    """Answers are the mean of the logits of an image and of its mirror image; training is as without."""
    precision: str = "float32"
    """`mixed`: layers compute in bfloat16, weights and logits stay float32; `auto`: so where it pays."""

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def from_options(cls, name: str | None = None, **overrides: Any) -> Recipe:
        """A named recipe with the given values (those that are not None) in place of its own."""
        values = dict(RECIPES[name].values) if name else {}
        given = {key: value for key, value in overrides.items() if value is not None}
        if given.get("samples") is not None and given.get("epochs") is not None:
            raise UsageError("received both --epochs and --samples; give one of them.")
        for one, other in (("samples", "epochs"), ("epochs", "samples")):
            if one in given:
                values.pop(other, None)
        if unknown := sorted(set(values) - set(cls.__dataclass_fields__)):
            has = ", ".join(cls.__dataclass_fields__)
            raise UsageError(f"The recipe {name!r} sets {unknown[0]!r}; a recipe has {has}.")
        values.update(given)
        if "momentum" in given and (used := values.get("optimizer", cls.optimizer)) != "sgd":
            raise UsageError(f"--momentum is of sgd; {used} has its own.")
        if "augment" in values:
            named = (a for text in values["augment"] for a in text.split(","))
            values["augment"] = tuple(a for a in named if a not in ("", "none"))
        if values.get("epochs") is None and values.get("samples") is None:
            values["epochs"] = 10
        return cls(**values)

    def as_json(self) -> dict[str, Any]:
        """Every value, with the learning rate resolved."""
        values = dataclasses.asdict(self)
        values["learning_rate"] = self.rate
        values["augment"] = list(self.augment)
        return values

    @property
    def rate(self) -> float:
        """The peak learning rate."""
        return _LEARNING_RATES[self.optimizer] if self.learning_rate is None else self.learning_rate

    def total_samples(self, size: int) -> int:
        """Samples seen in all when there are `size` training images."""
        return self.samples if self.samples is not None else max(1, round((self.epochs or 0) * size))

    def learning_rates(self, start: int, stop: int, total: int) -> np.ndarray:
        """The learning rate of the steps start...stop-1 of `total`: float32."""
        import numpy as np

        step = np.arange(start, stop, dtype=np.float64)
        progress = (step + 0.5) / total
        warmup = self.warmup or (0.2 if self.schedule == "one-cycle" else 0.0)
        after = np.clip((progress - warmup) / max(1 - warmup, 1e-9), 0, 1)
        factor = {
            "constant": np.ones_like(step),
            "step": np.where(progress < 0.5, 1.0, np.where(progress < 0.75, 0.1, 0.01)),
            "cosine": 0.5 * (1 + np.cos(math.pi * after)),
            "one-cycle": 1 - after,
        }[self.schedule]
        if warmup:
            factor = np.where(progress < warmup, progress / warmup, factor)
        return (self.rate * factor).astype(np.float32)

    def augmentation(self) -> dict[str, float]:
        """What the images go through, by name, with its strength."""
        return dict(_parse_augmentation(text) for text in self.augment)


def _parse_augmentation(text: str) -> tuple[str, float]:
    name, _, strength = text.partition(":")
    default = {
        "flip": 0.5,
        "alternating-flip": 1,
        "shift": 4,
        "crop": 4,
        "rotate": 10,
        "resized-crop": 0.25,
        "color-jitter": 0.4,
        "cutout": 8,
        "mixup": 0.2,
    }
    if name not in default:
        raise UsageError(f"there is no augmentation {name!r}. They are: {', '.join(default)}.")
    try:
        value = float(strength) if strength else float(default[name])
    except ValueError:
        raise UsageError(f"augmentation {text!r}: expected a number after the colon.") from None
    whole = name in ("shift", "crop", "cutout")
    share = name in ("flip", "resized-crop", "color-jitter")
    if not 0 < value < 1000 or (share and value > 1) or (whole and value != int(value)):
        raise UsageError(f"augmentation {text!r}: the number is out of range.")
    if name == "alternating-flip" and strength:
        raise UsageError(f"augmentation {text!r}: it takes no number.")
    return name, value


def _check(recipe: Recipe) -> None:
    def expect(holds: bool, what: str) -> None:
        if not holds:
            raise UsageError(what)

    def number(name: str, low: float, high: float, *, open_low: bool = False) -> None:
        value = getattr(recipe, name)
        if value is None:
            return
        inside = (low < value if open_low else low <= value) and value <= high
        option = "--" + name.replace("_", "-")
        expect(
            math.isfinite(value) and inside,
            f"{option}: received {value}, expected a number {'above' if open_low else 'from'} {low} "
            f"to {high}.",
        )

    expect(
        recipe.optimizer in OPTIMIZERS,
        f"--optimizer: received {recipe.optimizer!r}, expected one of {', '.join(OPTIMIZERS)}.",
    )
    expect(
        recipe.schedule in SCHEDULES,
        f"--schedule: received {recipe.schedule!r}, expected one of {', '.join(SCHEDULES)}.",
    )
    expect(
        recipe.precision in PRECISIONS,
        f"--precision: received {recipe.precision!r}, expected one of {', '.join(PRECISIONS)}.",
    )
    number("learning_rate", 0, 1000, open_low=True)
    number("momentum", 0, 0.9999)
    number("warmup", 0, 0.9)
    number("weight_decay", 0, 10)
    number("label_smoothing", 0, 0.99)
    number("batch_size", 1, 1_000_000)
    number("epochs", 0, 1_000_000, open_low=True)
    number("samples", 1, 10**12)
    number("eval_every", 1, 10**12)
    number("ema", 0, 0.999999)
    number("early_stopping", 1, 1_000_000)
    expect((recipe.epochs is None) != (recipe.samples is None), "give either --epochs or --samples.")
    named = list(recipe.augmentation())
    expect(len(named) == len(recipe.augment), "--augment: the same is there twice.")
    for one, other in (("flip", "alternating-flip"), ("shift", "crop")):
        expect(not {one, other} <= set(named), f"--augment: {one} and {other} are two ways to do the same.")
