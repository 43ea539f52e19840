"""The recipe of a training: one value per decision, for `train-base` and `transfer`, without Keras."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tlcli.errors import UsageError
from tlcli.text import did_you_mean
from tlcli.training.recipes import RECIPES

if TYPE_CHECKING:
    import numpy as np

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "step", "cosine", "one-cycle")
PRECISIONS = ("float32", "mixed", "auto")
AUGMENTATIONS = {
    "flip": "mirror half of the images left to right",
    "alternating-flip": "mirror each image every other time it is seen",
    "shift": "shift by up to N pixels, edges reflected (shift:4)",
    "crop": "another name of shift: pad by N, reflected, and cut out (crop:4)",
    "rotate": "rotate by up to N degrees (rotate:10)",
    "resized-crop": "enlarge a part of at least this share of the area (resized-crop:0.25)",
    "color-jitter": "brightness, contrast and saturation by up to this share (color-jitter:0.4)",
    "cutout": "a grey square of N pixels (cutout:8)",
    "mixup": "mix pairs, weight from Beta(N, N) (mixup:0.2)",
    "none": "no augmentation, whatever the recipe says",
}
_LEARNING_RATES = {"adam": 1e-3, "adamw": 1e-3, "sgd": 0.05}


@dataclass(frozen=True)
class Setting:
    """The help of a field of `Recipe`, and the values that it takes.

    The options of the command line, their help, their completion and the reference come from it.
    """

    help: str
    metavar: str = "N"
    default: str = ""
    """The default in help texts, if it is not the field's own."""
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    above: bool = False
    """Whether `low` itself is too little."""

    def check(self, name: str, value: Any) -> None:
        """Refuse values that the field does not take. Raises UsageError."""
        if value is None:
            return
        if self.choices and value not in self.choices:
            raise UsageError(
                f"`{name}` takes {', '.join(self.choices[:-1])} or {self.choices[-1]}, not {value!r}."
                f"{did_you_mean(str(value), self.choices)}"
            )
        if self.low is None or self.high is None:
            return
        enough = self.low < value if self.above else self.low <= value
        if not (math.isfinite(value) and enough and value <= self.high):
            least = f"above {self.low:g}" if self.above else f"from {self.low:g}"
            raise UsageError(f"`{name}`: received {value}, expected a number {least} to {self.high:.12g}.")


def _setting(value: Any, help: str, **more: Any) -> Any:
    return field(default=value, metadata={"setting": Setting(help, **more)})


@dataclass(frozen=True)
class Recipe:
    """Every choice of a training. Exactly one of `epochs` and `samples` sets its length.

    `settings` describes each field and its values.
    """

    epochs: float | None = _setting(
        None, "Passes over the training images.", default="10", low=0, high=1_000_000, above=True
    )
    samples: int | None = _setting(
        None, "Training images to see in all, instead of `epochs`.", low=1, high=10**12
    )
    eval_every: int | None = _setting(
        None,
        "Measure test loss and accuracy after every N training images.",
        default="each epoch",
        low=1,
        high=10**12,
    )
    optimizer: str = _setting("adam", "The optimizer.", choices=OPTIMIZERS)
    learning_rate: float | None = _setting(
        None,
        "Highest learning rate.",
        metavar="RATE",
        default="0.001; 0.05 with sgd",
        low=0,
        high=1000,
        above=True,
    )
    momentum: float = _setting(0.9, "Nesterov momentum of sgd.", metavar="M", low=0, high=0.9999)
    schedule: str = _setting(
        "constant", "How the learning rate changes during the training.", choices=SCHEDULES
    )
    warmup: float = _setting(
        0.0,
        "Share of the training in which the learning rate rises from 0.",
        metavar="SHARE",
        default="0; 0.2 with one-cycle",
        low=0,
        high=0.9,
    )
    weight_decay: float = _setting(
        0.0,
        "Weight decay of kernels, apart from the gradient (Loshchilov & Hutter 2019).",
        metavar="W",
        low=0,
        high=10,
    )
    l2: float = _setting(
        0.0,
        "Add N times the sum of the squared weights of all trained kernels to the loss, as Keras's "
        "regularizers.l2 does. Recorded losses are without it.",
        low=0,
        high=10,
    )
    label_smoothing: float = _setting(
        0.0, "Share of each label that is spread over all classes.", metavar="SHARE", low=0, high=0.99
    )
    batch_size: int = _setting(100, "Images in each step.", low=1, high=1_000_000)
    augment: tuple[str, ...] = _setting(
        (),
        "Change training images at random: flip, alternating-flip, shift:PIXELS, crop:PIXELS, "
        "rotate:DEGREES, cutout:PIXELS, mixup:ALPHA, none; repeatable.",
        metavar="SPEC",
    )
    ema: float | None = _setting(
        None,
        "Keep and test an average of the weights over the steps, with this decay; 0 keeps the last weights.",
        metavar="DECAY",
        low=0,
        high=0.999999,
    )
    early_stopping: int | None = _setting(
        None,
        "Stop after N measurements without a lower loss on the validation part, and keep the best weights.",
        low=1,
        high=1_000_000,
    )
    mirrored: bool = _setting(
        False,
        "Average the logits of each test image and its mirror image. This does not change the training or "
        "the accuracy on the source task.",
    )
    precision: str = _setting(
        "float32",
        "float32; mixed: layers compute in bfloat16, weights and logits stay float32; auto: mixed on GPUs "
        "from NVIDIA Ampere on and, with TensorFlow, on CPUs with AMX, else float32.",
        choices=PRECISIONS,
    )

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def from_options(cls, name: str | None = None, **overrides: Any) -> Recipe:
        """A named recipe with the given values, except None, in place of its own."""
        values = dict(RECIPES[name].values) if name else {}
        given = {key: value for key, value in overrides.items() if value is not None}
        if given.get("samples") is not None and given.get("epochs") is not None:
            raise UsageError("Received both `epochs` and `samples`; give one of them.")
        for one, other in (("samples", "epochs"), ("epochs", "samples")):
            if one in given:
                values.pop(other, None)
        if unknown := sorted(set(values) - set(cls.__dataclass_fields__)):
            has = ", ".join(cls.__dataclass_fields__)
            raise UsageError(f"The recipe {name!r} sets {unknown[0]!r}; a recipe has {has}.")
        values.update(given)
        if "momentum" in given and (used := values.get("optimizer", cls.optimizer)) != "sgd":
            raise UsageError(f"`momentum` is of sgd; {used} has its own.")
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
        """The samples to see in all with `size` training images."""
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
        """The strength of each augmentation, by name."""
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
        raise UsageError(f"There is no augmentation {name!r}; there are {', '.join(default)}.")
    try:
        value = float(strength) if strength else float(default[name])
    except ValueError:
        raise UsageError(f"`augment`: received {text}, expected a number after the colon.") from None
    whole = name in ("shift", "crop", "cutout")
    share = name in ("flip", "resized-crop", "color-jitter")
    if not 0 < value < 1000 or (share and value > 1) or (whole and value != int(value)):
        pixels = "a whole number of pixels from 1 to 999" if whole else "a number above 0 and below 1000"
        expected = "a share above 0, at most 1" if share else pixels
        raise UsageError(f"`augment`: received {text}, expected {expected} after the colon.")
    if name == "alternating-flip" and strength:
        raise UsageError(f"`augment`: received {text}, but alternating-flip takes no number.")
    return name, value


def settings() -> dict[str, Setting]:
    """The `Setting` of each field of `Recipe`, by its name."""
    return {one.name: one.metadata["setting"] for one in dataclasses.fields(Recipe)}


def _check(recipe: Recipe) -> None:
    for name, setting in settings().items():
        setting.check(name, getattr(recipe, name))
    if (recipe.epochs is None) == (recipe.samples is None):
        raise UsageError("Give either `epochs` or `samples`.")
    named = list(recipe.augmentation())
    if len(named) < len(recipe.augment):
        raise UsageError("`augment`: one augmentation is given twice.")
    for one, other in (("flip", "alternating-flip"), ("shift", "crop")):
        if {one, other} <= set(named):
            raise UsageError(f"`augment`: {one} and {other} exclude each other; give one of them.")
