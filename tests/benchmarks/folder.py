"""Measure how fast a folder of images becomes a dataset, against Pillow: `python tests/benchmarks/folder.py`.

Both sides read the same generated images in one run, in turn, several times; the ratio of the best times
counts (the goal is at most 1.5). A separate process measures the peak memory of tlcli, at two sizes, without
the pages of its temporary file, which the system drops when it needs memory.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

CASES = {"jpeg": ("jpg", (192, 256), 64), "png": ("png", (64, 64), None)}


def generate(folder: Path, suffix: str, size: tuple[int, int], n: int) -> None:
    """n photographs' worth of smooth colour and noise, in ten classes."""
    rng = np.random.default_rng(0)
    for i in range(n):
        target = folder / f"class {i % 10}" / f"{i:06d}.{suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        smooth = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(size[::-1])
        noise = rng.integers(0, 24, (*size, 3), dtype=np.uint8)
        Image.fromarray(np.asarray(smooth) // 2 + noise).save(target)


def plain(folder: Path, side: int | None) -> float:
    """The plain counterpart: open, convert, resize, into one array."""
    start = time.perf_counter()
    paths = sorted(folder.glob("*/*"))
    images = []
    for path in paths:
        with Image.open(path) as image:
            pixels = image.convert("RGB")
            resized = pixels.resize((side, side), Image.Resampling.BILINEAR) if side else pixels
            images.append(np.asarray(resized))
    np.stack(images)
    return time.perf_counter() - start


def ours(folder: Path, side: int | None) -> float:
    """tlcli: from the folder to a dataset, with every image read."""
    from tlcli import data

    start = time.perf_counter()
    source = data.load_source(str(folder), image_size=side)
    dataset = data.split(source, source.class_numbers)
    for part in dataset.parts.values():
        for i in range(0, len(part), 1000):
            part.images[i : i + 1000]
    return time.perf_counter() - start


def memory(folder: Path, side: int | None) -> int:
    """MiB at the peak of a process that does nothing else."""
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; import folder as b, pathlib; "
        f"print(b.peak(lambda: b.ours(pathlib.Path({str(folder)!r}), {side})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    return int(done.stdout)


def peak(work: Callable[[], object]) -> int:
    """MiB of its own that this process has had resident at most during the work, looked at every 5 ms."""
    highest, done = 0, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.005):
            status = Path("/proc/self/status").read_text()
            highest = max(highest, int(status.split("RssAnon:")[1].split()[0]) // 1024)

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return highest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default=",".join(CASES))
    options = parser.parse_args()
    for name in options.only.split(","):
        suffix, size, side = CASES[name]
        with tempfile.TemporaryDirectory() as scratch:
            folder, small = Path(scratch) / "all", Path(scratch) / "small"
            generate(folder, suffix, size, options.images)
            generate(small, suffix, size, options.images // 10)
            pairs = [(plain(folder, side), ours(folder, side)) for _ in range(options.repeats)]
            theirs, mine = (min(times) for times in zip(*pairs, strict=True))
            to = f" to {side} x {side}" if side else ""
            print(
                f"{name} {size[1]} x {size[0]}{to}, {options.images} images: Pillow {theirs:.2f} s, "
                f"tlcli {mine:.2f} s, ratio {mine / theirs:.2f}; "
                f"peak memory {memory(small, side)} MiB for a tenth, {memory(folder, side)} MiB for all"
            )


if __name__ == "__main__":
    main()
