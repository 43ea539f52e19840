"""Interrupts trainings at random moments, again and again, resumes them, and compares the bytes.

    python tests/harnesses/resume.py --trainings 12

With dropout, augmentation, a schedule, weight averaging and Adam's moments. Each training is interrupted by
SIGINT, SIGTERM, SIGHUP or SIGKILL, several times, at random times after its first step, and must end in the
very bytes of the same training left alone. The first three must end it with exit code 130, 143 or 129 and a
message that says how to go on.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import forked

RECIPE = [
    "--optimizer",
    "adamw",
    "--weight-decay",
    "0.001",
    "--schedule",
    "one-cycle",
    "--ema",
    "0.99",
    "--augment",
    "shift:1,rotate:5",
    "--batch-size",
    "20",
    "--eval-every",
    "500",
    "--threads",
    "2",
]
ARMS = ["--method", "scratch", "--method", "freeze:copy=1", "--method", "finetune", "--method", "l2-sp"]
TRAININGS = {
    "train-base": [
        "train-base",
        "source.h5",
        "--arch",
        "cnn2",
        "--arch-option",
        "dropout=0.5",
        "--samples",
        "8000",
        *RECIPE,
    ],
    "train-base, Adam and early stopping": [
        "train-base",
        "held.h5",
        "--arch",
        "cnn2",
        "--arch-option",
        "dropout=0.3",
        "--samples",
        "8000",
        "--optimizer",
        "adam",
        "--schedule",
        "cosine",
        "--augment",
        "flip,cutout:2,mixup:0.2",
        "--early-stopping",
        "30",
        "--batch-size",
        "32",
        "--eval-every",
        "640",
        "--threads",
        "2",
    ],
    "transfer": ["transfer", "base.h5", "target.h5", *ARMS, "--runs", "2", "--samples", "1500", *RECIPE],
    "transfer, replay and forgetting": [
        "transfer",
        "base.h5",
        "target.h5",
        "--method",
        "replay",
        "--method",
        "lwf",
        "--method",
        "lp-ft",
        "--source",
        "source.h5",
        "--runs",
        "1",
        "--samples",
        "1500",
        *RECIPE,
    ],
}


class Harness:
    """Inputs, what each training gives when left alone, and the counts."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.chance = root, random.Random(seed)
        self.inputs = root / "inputs"
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0

    def prepare(self) -> None:
        """Import what is needed and make the inputs."""
        self.inputs.mkdir()
        forked.warm_up(["split", "train-base", "transfer"])
        digits = ["split", "--dataset", "digits", "--classes"]
        self._made(*digits, "0-5", "-o", "source.h5")
        self._made(*digits, "0-5", "--validation", "0.2", "-o", "held.h5")
        self._made(*digits, "6-9", "--size", "100", "-o", "target.h5")
        self._made(
            "train-base",
            "source.h5",
            "--arch",
            "cnn2",
            "--arch-option",
            "dropout=0.5",
            "--samples",
            "2000",
            "-o",
            "base.h5",
        )

    def _made(self, *arguments: str) -> None:
        ended = forked.call(arguments, self.inputs)
        assert ended.code == 0, ended.stderr

    def folder(self) -> Path:
        path = Path(tempfile.mkdtemp(dir=self.root)) / "work"
        shutil.copytree(self.inputs, path, copy_function=os.link)
        return path

    def training(self, name: str) -> None:
        """One training left alone, and one interrupted until it is done."""
        arguments = [*TRAININGS[name], "--seed", str(self.chance.randint(0, 99))]
        whole, cut = self.folder(), self.folder()
        alone = forked.call([*arguments, "-o", "x.h5"], whole)
        assert alone.code == 0, alone.stderr
        interruptions = 0
        while interruptions < 5:
            interruptions += 1
            if self._interrupted([*arguments, "-o", "x.h5", "--resume"], cut, alone.seconds, name):
                break
        if not (cut / "x.h5").exists():
            ended = forked.call([*arguments, "-o", "x.h5", "--resume"], cut, often_saved)
            assert ended.code == 0, f"{name}: {ended.stderr}"
        assert (cut / "x.h5").read_bytes() == (whole / "x.h5").read_bytes(), f"{name}: other bytes"
        assert not (cut / "x.h5.resume").exists(), name
        self.counts["trainings compared"] += 1

    def _interrupted(self, arguments: list[str], folder: Path, seconds: float, name: str) -> bool:
        """One interruption; true when the training was done before it came."""
        number = self.chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
        child = forked.start(arguments, folder, often_saved)
        time.sleep(seconds * self.chance.uniform(0.3, 0.95))
        child.send(number)
        ended = child.wait()
        if ended.code == 0:
            return True
        where = f"{name} stopped by {number.name}: {ended.stderr}"
        code = -number if number == signal.SIGKILL else 128 + number
        assert ended.code == code, f"{where}: exit code {ended.code}"
        assert "Traceback" not in ended.stderr, where
        assert not (folder / "x.h5").exists(), where
        if number != signal.SIGKILL:
            assert "--resume" in ended.stderr or "Give the command again" in ended.stderr, where
            self.slowest = max(self.slowest, ended.late)
        self.counts[number.name] += 1
        self.counts["resumed from a state"] += any((folder / "x.h5.resume").glob("*.h5"))
        return False


def often_saved() -> None:
    """Save the state after every chunk of steps, so that SIGKILL leaves one too; make chunks short."""
    loop: Any = sys.modules["tlcli.training.loop"]
    loop._SAVE_SECONDS = loop._CHUNK_SECONDS = 0.1


def main() -> int:
    """Run it and print the figures as JSON; the exit code is 1 when something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trainings", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", help="Where to work: a disk in memory is quick.")
    options = parser.parse_args()
    started, broken = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="tlcli-resume-", dir=options.folder) as root:
        harness = Harness(Path(root), options.seed)
        with forked.until_cut_off():
            harness.prepare()
            for i in range(options.trainings):
                name = list(TRAININGS)[i % len(TRAININGS)]
                try:
                    harness.training(name)
                except AssertionError as error:
                    broken.append(str(error))
                    print(error, file=sys.stderr, flush=True)
                print(f"{i + 1} of {options.trainings}: {dict(harness.counts)}", file=sys.stderr, flush=True)
    figures = {
        **harness.counts,
        "slowest stop in seconds of the processor": round(harness.slowest, 1),
    }
    return forked.tell_figures(figures, broken, started)


if __name__ == "__main__":
    sys.exit(main())
