"""The process of `test_jax.py` under JAX, on two virtual devices; it writes its results as arrays by name."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np

import tlcli
from tlcli import data, store
from tlcli.training import Recipe, embed, train_base, transfer

AUGMENTED = Recipe(
    samples=300,
    batch_size=50,
    eval_every=150,
    optimizer="adamw",
    weight_decay=1e-3,
    l2=1e-3,
    label_smoothing=0.1,
    ema=0.9,
    schedule="one-cycle",
    augment=("alternating-flip", "shift:1", "rotate:10", "cutout:2", "mixup:0.2"),
)
METHODS = (
    "scratch",
    "freeze:copy=2",
    "freeze",
    "finetune:rate_decay=0.5",
    "lp-ft:probe=0",
    "l2-sp",
    "lwf",
    "replay",
    "anchored:replay=1",
    "ridge",
)


def numbers() -> dict[str, np.ndarray]:
    """A base with every augmentation, and an arm of every method: histories, weights, embeddings."""
    digits = data.load_source("digits")
    source, target = data.split(digits, range(6)), data.split(digits, range(6, 10), size=100)
    base = train_base(source, "cnn2", recipe=AUGMENTED)
    found = {f"base/{name}": values for name, values in base.weights.items()}
    found.update({f"base/{name}": values for name, values in base.history.items()})
    found["embeddings"] = embed(base, target).parts["test"].embeddings
    small = Recipe(samples=100, batch_size=20, eval_every=50)
    results = transfer(base, [target], METHODS, recipe=small, source=source)
    for run in results.runs:
        found.update({f"{run.arm}/{name}": values for name, values in run.history.items()})
    return found


class Compilations:
    """Counts what JAX compiles, by the name of the function, and what its cache does not hold."""

    def __init__(self) -> None:
        import jax

        self.by_name: Counter[str] = Counter()
        self.misses = 0
        jax.monitoring.register_event_duration_secs_listener(self._compiled)
        jax.monitoring.register_event_listener(self._happened)

    def _compiled(self, event: str, seconds: float, **about: object) -> None:
        if event.endswith("backend_compile_duration"):
            self.by_name[str(about.get("fun_name", ""))] += 1

    def _happened(self, event: str, **about: object) -> None:
        self.misses += event.endswith("cache_misses")

    def take(self, *names: str) -> int:
        """The number of compilations of these functions since the last call."""
        found = sum(self.by_name[f"jit({name})"] for name in names)
        self.by_name.clear()
        return found


def grid(eval_every: int) -> object:
    """Three arms of two shapes, four sizes, two runs."""
    digits = data.load_source("digits")
    base = train_base(data.split(digits, range(6)), "cnn2", recipe=Recipe(samples=50))
    sets = [data.split(digits, range(6, 10), size=n, seed=n) for n in (40, 60, 100, 140)]
    for number, one in enumerate(sets):
        object.__setattr__(one.provenance, "name", f"{number}.h5")
    recipe = Recipe(samples=80, batch_size=20, eval_every=eval_every)
    return transfer(base, sets, ["scratch", "freeze:copy=2", "finetune"], recipe=recipe, runs=2)


def counted() -> dict[str, object]:
    """Compilations of the loop, with chunks of several lengths and in both of the ways to run it."""
    from tlcli.training import loop
    from tlcli.training.engines import jax_engine

    compilations, found = Compilations(), {}
    for looped, every, seconds in ((False, 80, 0.7), (False, 30, 0.001), (True, 30, 0.001)):
        jax_engine.LOOPED, loop._CHUNK_SECONDS = looped, seconds
        results = grid(every)
        found[f"{looped} {every}"] = compilations.take("_steps", "_one")
        assert len(results.runs) == 24
    loop._CHUNK_SECONDS = 0.7
    jax_engine.LOOPED = None
    return found


def one_bn(inputs, classes):
    """A network with batch norm that compiles in no time."""
    import keras

    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    x = keras.layers.ReLU(name="relu")(keras.layers.BatchNormalization(name="bn")(x))
    return keras.layers.Dense(classes, name="head")(keras.layers.Flatten(name="flat")(x))


def shared(folder: Path) -> dict[str, np.ndarray]:
    """A base whose batches two devices share, by a step at a time and in a loop, and a grid on both."""
    from tlcli.errors import Interrupted
    from tlcli.training.engines import jax_engine

    tlcli.network("one-bn", "one convolution and its batch norm", input_shape=(8, 8, 1))(one_bn)
    digits = data.load_source("digits")
    store.write(folder / "source.h5", data.split(digits, range(6)))
    source = store.read(folder / "source.h5", store.Dataset)
    recipe = Recipe(
        samples=160, batch_size=20, eval_every=80, optimizer="sgd", ema=0.9, augment=("mixup:0.2",)
    )
    how = {"options": {"head_units": "8", "head_dropout": 0.2}, "recipe": recipe}
    train = partial(train_base, source, "one-bn", **how)
    found = {}
    for name, devices, looped in (("one", 1, False), ("two", 2, False), ("two looped", 2, True)):
        jax_engine.LOOPED = looped
        made = train(devices=devices)
        assert made.provenance.computed_by.get("devices", 1) == devices
        found.update({f"{name}/{key}": values for key, values in made.weights.items()})
    jax_engine.LOOPED = None
    asked = iter([False, True])
    try:
        train(devices=2, state_dir=folder / "state", stop=lambda: next(asked))
    except Interrupted:
        made = train(devices=2, state_dir=folder / "state", resume=True)
        found.update({f"resumed/{key}": values for key, values in made.weights.items()})
    target = data.split(digits, range(6, 10), size=100)
    small = Recipe(samples=200, batch_size=20)
    for at_once in (1, 2):
        results = transfer(made, [target], ["scratch", "freeze"], recipe=small, runs=2, at_once=at_once)
        for run in results.runs:
            found[f"at once {at_once}/{run.key}"] = run.history["test_loss"]
    return found


def again() -> dict[str, float]:
    """The grid a second time; and, on one processor, steps per second of it beside those of JAX alone.

    Other programs only slow down: the best of each counts, and where tlcli seems slow, more is measured.
    """
    sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
    import jax
    import jax_loop

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    compilations = Compilations()
    jax.config.update("jax_disable_most_optimizations", True)  # as in the process before
    grid(30)
    jax.config.update("jax_disable_most_optimizations", False)
    found = {"misses": compilations.misses, "programs": sum(compilations.by_name.values())}
    best = dict.fromkeys(("jax", "tlcli"), 0.0)
    for _ in range(4):
        rates = jax_loop.measure({"jax": "single"}, 4, 0.2, 64, time.process_time)
        best = {name: max(best[name], *rates[name]) for name in best}
        if best["tlcli"] > 0.85 * best["jax"]:
            break
    return found | best


def main() -> None:
    import jax

    folder = Path(sys.argv[1])
    if sys.argv[2:] == ["again"]:
        print(json.dumps(again()))
        return
    jax.config.update("jax_disable_most_optimizations", True)  # compiles in half the time
    np.savez(folder / "numbers.npz", **numbers())
    np.savez(folder / "shared.npz", **shared(folder))
    jax.clear_caches()
    print(json.dumps(counted()))


if __name__ == "__main__":
    main()
