"""What the processes of `gpu.py` do; each prints a line of JSON."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pure_jax import Loop

    from tlcli.store.records import Dataset


@dataclass(frozen=True)
class Case:
    """A piece of work: by size of machine, the command, and the network whose rate is measured."""

    title: str
    arch: str
    data: str
    """The file that the rate is measured on."""
    batch: dict[str, int]
    command: dict[str, str]
    precision: str = "float32"
    filters: dict[str, str] = field(default_factory=lambda: {"gpu": "8-16-32", "cpu": "8-16-32"})
    recipe: str = ""
    options: dict[str, dict[str, str]] = field(default_factory=lambda: {"gpu": {}, "cpu": {}})


SECONDS = {"gpu": 3.0, "cpu": 1.5}
"""How long a rate is measured, by size of machine."""
WIDTHS = {"gpu": "64-192-256", "cpu": "8-16-16"}
GRID = "transfer --method scratch --method freeze:copy=2 --method finetune cnn2.h5 d100.h5 d200.h5 d2300.h5"
LAYERS = "transfer cnn6-bn.h5 a.h5 b.h5 --method freeze --method finetune --copy 2,5 --batch-size 50"


def _whitened(precision: str) -> Case:
    command = (
        "train-base photos.h5 --arch whitened-cnn --recipe fast --precision {} --arch-option filters={} {}"
    )
    return Case(
        f"`whitened-cnn`, {precision}, recipe `fast`",
        "whitened-cnn",
        "photos.h5",
        {"gpu": 200, "cpu": 50},
        {
            "gpu": command.format(precision, WIDTHS["gpu"], "--samples 50000"),
            "cpu": command.format(precision, WIDTHS["cpu"], "--samples 600 --batch-size 50"),
        },
        precision,
        WIDTHS,
        "fast",
        {size: {"filters": width} for size, width in WIDTHS.items()},
    )


CASES = {
    "grid": Case(
        "the lab's grid: 4 sizes × 3 arms of `cnn2`",
        "cnn2",
        "d2300.h5",
        {"gpu": 100, "cpu": 100},
        {
            "gpu": f"{GRID} d23900.h5 --samples 24000 --eval-every 1000",
            "cpu": f"{GRID} d2400.h5 --samples 300 --eval-every 300",
        },
    ),
    "layers": Case(
        "layer study: 8 networks of `cnn6-bn`",
        "cnn6-bn",
        "a.h5",
        {"gpu": 50, "cpu": 50},
        {"gpu": f"{LAYERS} --samples 25000", "cpu": f"{LAYERS} --samples 300"},
    ),
    "mixed": _whitened("mixed"),
    "float32": _whitened("float32"),
}


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Compilations:
    """Counts what JAX compiles and does not find in its cache, by the name of the function."""

    def __init__(self) -> None:
        import jax

        self.by_name: Counter[str] = Counter()
        self._missed = False
        jax.monitoring.register_event_listener(self._happened)
        jax.monitoring.register_event_duration_secs_listener(self._compiled)

    def _happened(self, event: str, **about: object) -> None:
        self._missed = self._missed or event.endswith("cache_misses")

    def _compiled(self, event: str, seconds: float, **about: object) -> None:
        if event.endswith("backend_compile_duration"):
            name = str(about.get("fun_name", "")).removeprefix("jit(").removesuffix(")").strip("_")
            self.by_name[name] += self._missed
            self._missed = False

    @property
    def found(self) -> dict[str, int]:
        return {name: count for name, count in self.by_name.items() if count}


def look() -> dict[str, Any]:
    import jax
    import keras

    device = jax.devices()[0]
    gpu = device.platform != "cpu"
    name = device.device_kind if gpu else f"{cores()} CPU cores"
    return {"device": name, "gpu": gpu, "jax": jax.__version__, "keras": keras.__version__}


def source(
    name: str, classes: range, shape: tuple[int, int, int], sizes: tuple[int, int]
) -> tuple[Dataset, bool]:
    """So many images of a published set, where it is found, and whether it is; else noise of that shape."""
    import numpy as np

    from tlcli import data
    from tlcli.errors import TlcliError
    from tlcli.store.records import Dataset, Part

    with contextlib.suppress(TlcliError):
        return data.split(data.load_source(name, download=False), classes, size=sizes[0]), True
    rng = np.random.default_rng([classes.start, *sizes])
    parts = {
        part: Part(
            rng.integers(0, 256, (size, *shape), np.uint8), np.arange(size) % len(classes), np.arange(size)
        )
        for part, size in zip(("train", "test"), sizes, strict=True)
    }
    return Dataset(parts, list(map(str, classes)), np.array(classes), name), False


def prepare(folder: Path, size: str) -> dict[str, Any]:
    """Write data sets, and bases with random weights: how long a transfer takes does not depend on them."""
    from tlcli import store

    small, found = size == "cpu", True
    sets = {
        f"d{count}": ("mnist", range(6, 10), (28, 28, 1), (count, 200 if small else 3_969))
        for count in (100, 200, 2_300, 2_400 if small else 23_900)
    }
    half = (1_000, 200) if small else (25_000, 5_000)
    sets |= {"a": ("cifar10", range(5), (32, 32, 3), half), "b": ("cifar10", range(5, 10), (32, 32, 3), half)}
    whole = (1_000, 200) if small else (50_000, 10_000)
    sets["photos"] = ("cifar100", range(100), (32, 32, 3), whole)
    for name, how in sets.items():
        made, published = source(*how)
        found = found and published
        store.write(folder / f"{name}.h5", made, force=True)
    for arch, shape, classes in (("cnn2", (28, 28, 1), 6), ("cnn6-bn", (32, 32, 3), 5)):
        store.write(folder / f"{arch}.h5", base(arch, shape, classes), force=True)
    return {"images": "of the published sets" if found else "noise"}


def base(arch: str, shape: tuple[int, int, int], classes: int) -> Any:
    import numpy as np

    from tlcli.models import network as net
    from tlcli.store.records import Checkpoint

    made = net.build(arch, shape, classes)
    return Checkpoint(
        architecture=arch,
        options=made.options,
        input_shape=shape,
        class_names=[str(number) for number in range(classes)],
        class_original=np.arange(classes),
        mean=np.full(shape[2], 0.5, np.float32),
        std=np.full(shape[2], 0.25, np.float32),
        weights=net.initial_weights(made, 0, "base"),
    )


def command(folder: Path, size: str, name: str, rate: bool) -> dict[str, Any]:
    """Run the command in this process, as it would run in its own."""
    began, counted = float(os.environ["BENCHMARK_BEGAN"]), Compilations()
    from tlcli.cli.main import main

    os.chdir(folder)
    sys.argv = ["tlcli", *CASES[name].command[size].split(), "-q", "--force", "-o", f"{name}-made.h5"]
    with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(SystemExit):
        main()
    assert Path(f"{name}-made.h5").exists(), "the command failed"
    found = {"seconds": time.time() - began, "compiled": counted.found}
    return found | ({"rate": ours(folder, size, name)} if rate else {})


def ours(folder: Path, size: str, name: str) -> float:
    """Images per second in a long training, augmented where the recipe says so."""
    import training

    case = CASES[name]
    return training.ours(
        case.arch,
        dataset(folder, case),
        SECONDS[size],
        precision=case.precision,
        recipe=case.recipe or None,
        options=case.options[size],
        batch_size=case.batch[size],
    )


def dataset(folder: Path, case: Case) -> Dataset:
    from tlcli import store

    return store.read(folder / case.data, store.Dataset)


def pure_loop(record: Dataset, case: Case, size: str, batch: int | None = None, **how: Any) -> Loop:
    """The training of a case in JAX alone, with a batch of its own or that of the case."""
    import numpy as np
    from pure_jax import Loop

    return Loop(
        case.arch,
        np.asarray(record.train.images[:]),
        np.asarray(record.train.labels),
        batch or case.batch[size],
        filters=case.filters[size],
        mixed=case.precision == "mixed",
        **how,
    )


def peer(folder: Path, size: str, name: str, kind: str) -> dict[str, Any]:
    """Compile, say so, wait to be told to go on, and measure."""
    case = CASES[name]
    record = dataset(folder, case)
    if kind == "pure":
        loop = pure_loop(record, case, size, how="scan" if size == "gpu" else "single")
        steps = 256 if size == "gpu" else 4
        loop.steps(steps)
        ready()
        return {"rate": loop.rate(SECONDS[size], steps)}
    import training

    return {
        "rate": training.plain(
            case.arch,
            record,
            SECONDS[size],
            case.batch[size],
            precision=case.precision,
            options=case.options[size],
            adam=not case.recipe,
            ready=ready,
        )
    }


def ready() -> None:
    """Say that all is compiled, and wait."""
    print("ready", flush=True)
    sys.stdin.readline()


def twice(folder: Path, size: str, name: str) -> dict[str, Any]:
    """Are two trainings the same bytes, and how fast is one?"""
    from tlcli.training import Recipe, train_base

    case, record = CASES[name], dataset(folder, CASES[name])
    recipe = Recipe.from_options(
        case.recipe or None,
        samples=(100 if size == "gpu" else 4) * case.batch[size],
        batch_size=case.batch[size],
        precision=case.precision,
    )
    made = [train_base(record, case.arch, options=case.options[size], recipe=recipe) for _ in range(2)]
    same = all(made[0].weights[key].tobytes() == value.tobytes() for key, value in made[1].weights.items())
    return {"same": same, "rate": ours(folder, size, name)}


def question(folder: Path, size: str, name: str) -> dict[str, Any]:
    """Compare loops in JAX alone. A CPU, slow at convolutions in a loop, does few small steps."""

    def rate(case: Case, **how: Any) -> float:
        loop = pure_loop(dataset(folder, case), case, size, None if size == "gpu" else 8, **how)
        return loop.rate(SECONDS[size], 256 if size == "gpu" else 2)

    lines = []
    if name == "loop":
        for key in ("grid", "layers", "mixed"):
            scan, fori = (rate(CASES[key], how=how) for how in ("scan", "fori"))
            lines.append(
                f"loop, {CASES[key].arch}: {scan:,.0f} images/s over a fixed number of steps, {fori:,.0f} "
                f"over an open one: {fori / scan:.2f} times"
            )
    if name == "vmap":
        kind = "scan" if size == "gpu" else "single"
        for key in ("grid", "layers"):
            alone = rate(CASES[key], how=kind)
            for models in (8, 24) if size == "gpu" else (4,):
                several = rate(CASES[key], how=kind, models=models)
                lines.append(
                    f"vmap, {CASES[key].arch}: {alone:,.0f} images/s with one network, {several:,.0f} with "
                    f"{models} in one step: {several / alone:.2f} times"
                )
    return {"lines": lines}


def main() -> None:
    folder, size, what, *words = sys.argv[1:]
    place = Path(folder)
    found = {
        "look": lambda: look(),
        "prepare": lambda: prepare(place, size),
        "command": lambda: command(place, size, words[0], words[1:] == ["rate"]),
        "peer": lambda: peer(place, size, *words),
        "twice": lambda: twice(place, size, words[0]),
        "question": lambda: question(place, size, words[0]),
    }[what]()
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
