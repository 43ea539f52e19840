"""What a GPU makes of the heavy trainings: tlcli, plain Keras `fit` and a pure JAX loop, in one run.

    python tests/benchmarks/gpu.py [--only grid,layers,mixed,float32] [--minutes 4] [--keep FOLDER]
    python tests/benchmarks/gpu.py --questions loop,deterministic,vmap

Needs JAX and Keras, no TensorFlow and no data: images are noise where the published sets are not found
(`TLCLI_DATA_DIR`). Prints a table in Markdown: for the lab's grid, a layer study of one base and
`whitened-cnn` in both precisions

- the seconds of the command, start-up included, with an empty cache of programs and in a second process;
- how many programs were compiled each time, and which;
- images per second in training, once everything is compiled, and the same of Keras's `fit` under JAX and of
  a loop over steps written in JAX alone (`pure_jax.py`), both without augmentation.

On a machine without a GPU it does the same with fewer samples and a narrower `whitened-cnn`. What does not
fit into `--minutes` is left out and said. The questions are asked in a run of their own: is a loop with an
open number of steps as fast as one over a fixed number, what does `--deterministic` cost, and do several
small networks in one step (`vmap`) train faster. Not collected by pytest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gpu_work

STARTED = time.monotonic()


@dataclass
class Machine:
    """What the children are told of where they run."""

    device: str
    gpu: bool
    folder: Path
    minutes: float

    @property
    def left(self) -> float:
        return STARTED + 60 * self.minutes - time.monotonic()

    def start(self, *words: str, cache: str = "peers", **environment: str) -> subprocess.Popen[str]:
        """Start `gpu_work.py` as a process that answers with a line of JSON."""
        told = {
            "KERAS_BACKEND": "jax",
            "TLCLI_JAX_CACHE": str(self.folder / cache),
            "BENCHMARK_BEGAN": str(time.time()),
        }
        if words[0] == "peer":  # several lie in the memory of one GPU
            told["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        size = "gpu" if self.gpu else "cpu"
        with self.errors(words).open("w") as errors:
            return subprocess.Popen(
                [sys.executable, gpu_work.__file__, str(self.folder), size, *words],
                env={**os.environ, **told, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def errors(self, words: tuple[str, ...]) -> Path:
        """Where a process writes what it says beside its answer."""
        return self.folder / f"{'-'.join(words)}.log"

    def ask(self, *words: str, **how: str) -> dict[str, Any]:
        """What a process answers in the end; empty where it failed or there was no time for it."""
        return self.answer(self.start(*words, **how), *words) if self.left > 10 else {}

    def answer(self, process: subprocess.Popen[str], *words: str) -> dict[str, Any]:
        try:
            out, _ = process.communicate("go\n", timeout=max(5, self.left))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            print(f"{' '.join(words)}: no time left", file=sys.stderr, flush=True)
            return {}
        if process.returncode:
            told = self.errors(words).read_text()[-1500:]
            print(f"{' '.join(words)} failed:\n{told}", file=sys.stderr, flush=True)
            return {}
        return json.loads(out.splitlines()[-1])


def commands(machine: Machine, case: str) -> dict[str, Any]:
    """The command with an empty cache and once more, and then the rate of a long training."""
    cold = machine.ask("command", case, cache=case)
    warm = machine.ask("command", case, "rate", cache=case) if cold else {}
    return {"cold": cold, "warm": warm}


def peers(machine: Machine, cases: list[str]) -> dict[str, dict[str, float]]:
    """Images per second of `fit` and of the pure loop. They compile at the same time, on a machine with the
    processors for it, and are measured one after the other."""
    found: dict[str, dict[str, float]] = {case: {} for case in cases}
    jobs = [(case, kind) for case in cases for kind in ("pure", "fit")]
    together = max(1, gpu_work.cores() // 2)
    for first in range(0, len(jobs), together):
        some = jobs[first : first + together]
        running = [machine.start("peer", case, kind) for case, kind in some] if machine.left > 15 else []
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()  # it has compiled
        for (case, kind), process in zip(some, running, strict=False):
            found[case][kind] = machine.answer(process, "peer", case, kind).get("rate", 0.0)
    return found


def row(case: str, made: dict[str, Any], rates: dict[str, float]) -> str:
    cold, warm = made["cold"], made["warm"]
    ours = warm.get("rate", 0.0)

    def number(value: float | None, digits: int = 0) -> str:
        return f"{value:,.{digits}f}" if value else "not measured"

    def compiled(what: dict[str, Any]) -> str:
        if not what:
            return "not measured"
        names = what["compiled"]
        return f"{sum(names.values())}: " + ", ".join(f"{n} {names[n]}" for n in sorted(names)[:8])

    pure, fit = rates.get("pure"), rates.get("fit")
    share = f"{ours / pure:.2f}" if ours and pure else "-"
    cells = [
        gpu_work.CASES[case].title,
        number(cold.get("seconds"), 1),
        number(warm.get("seconds"), 1),
        compiled(cold),
        compiled(warm),
        *map(number, (ours, fit, pure)),
        share,
    ]
    return f"| {' | '.join(cells)} |"


def table(machine: Machine, cases: list[str]) -> None:
    made = {case: commands(machine, case) for case in cases}
    rates = peers(machine, cases)
    print("| work | cold, s | warm, s | compiled cold | warm | tlcli, images/s | fit | pure JAX | share |")
    print("| --- |" + " ---: |" * 2 + " --- | --- |" + " ---: |" * 4)
    for case in cases:
        print(row(case, made[case], rates[case]), flush=True)
    print(json.dumps({"commands": made, "peers": rates}), file=sys.stderr)


def questions(machine: Machine, names: list[str]) -> None:
    for name in names:
        if name != "deterministic":
            for line in machine.ask("question", name).get("lines", [f"{name}: not measured"]):
                print(line, flush=True)
            continue
        if not machine.gpu:
            print(
                "--deterministic: a CPU computes the same bytes without it; it costs nothing there",
                flush=True,
            )
            continue
        for case in ("layers", "mixed"):
            flag = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()
            plain = machine.ask("twice", case)
            fixed = machine.ask("twice", case, XLA_FLAGS=flag)
            if not (plain and fixed):
                print(f"--deterministic, {case}: not measured", flush=True)
                continue
            same = {True: "the same bytes", False: "other bytes"}
            print(
                f"--deterministic, {gpu_work.CASES[case].title}: {plain['rate']:,.0f} images/s without it, "
                f"{same[plain['same']]} twice; {fixed['rate']:,.0f} with it, {same[fixed['same']]}; it costs "
                f"{100 * (1 - fixed['rate'] / plain['rate']):.0f} %",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default=",".join(gpu_work.CASES))
    parser.add_argument("--questions", default="", help="instead of the table")
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        machine = Machine("", False, folder, args.minutes)
        told = machine.ask("look")
        machine.device, machine.gpu = told["device"], told["gpu"]
        source = machine.ask("prepare", JAX_PLATFORMS="cpu")["images"]
        print(f"{machine.device}, JAX {told['jax']}, Keras {told['keras']}; images: {source}\n", flush=True)
        if args.questions:
            questions(machine, args.questions.split(","))
        else:
            table(machine, args.only.split(","))
        print(f"\n{time.monotonic() - STARTED:.0f} s in all", flush=True)


if __name__ == "__main__":
    main()
