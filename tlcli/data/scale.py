"""Find the value of white of a data set from the type and the range of all its pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tlcli.errors import TlcliError, UsageError

KNOWN = (255, 1023, 4095, 16383, 65535)
"""White of 8, 10, 12, 14 and 16 bits."""

_SMALL = (1, 15, 16)
"""White of black-and-white images, of 4 bits, and of scikit-learn's digits, if a pixel reaches it."""
_TOLERANCE = 1e-3
"""Share by which pixels may exceed white: resizing overshoots by rounding errors."""
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Range:
    """The least and the greatest value of some pixels, and whether all are whole numbers."""

    low: float
    high: float
    whole: bool

    def join(self, other: Range) -> Range:
        """The range of both."""
        return Range(min(self.low, other.low), max(self.high, other.high), self.whole and other.whole)


def range_of(pixels: np.ndarray, where: str) -> Range:
    """The range of an array. Raises TlcliError for one that is empty or holds no finite numbers."""
    if pixels.dtype.kind not in "buif":
        raise TlcliError(f"{where} are of type {pixels.dtype}: expected numbers.")
    if not pixels.size:
        raise TlcliError(f"{where} are empty: expected at least one.")
    low, high = float(pixels.min()), float(pixels.max())
    if pixels.dtype.kind != "f":
        return Range(low, high, True)
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = pixels.size - int(np.isfinite(pixels).sum())
        raise TlcliError(f"{where} hold {bad} pixels that are not numbers (NaN or infinite).")
    flat = pixels.reshape(-1) if pixels.flags.c_contiguous else pixels.ravel(order="K")
    whole = all(
        bool((block == np.floor(block)).all())
        for block in (flat[start : start + _BLOCK] for start in range(0, len(flat), _BLOCK))
    )
    return Range(low, high, whole)


def find_white(found: Range, where: str) -> tuple[int, str]:
    """White for a range, and a warning if it is doubtful.

    Fractions up to 1 have white 1, up to 255 white 255. Whole numbers have 1, 15 or 16 if that is the
    greatest, else the smallest of 255, 1023, 4095, 16383 and 65535 that none exceeds. Raises TlcliError,
    which asks for --white, if none of these is likely.
    """
    low, high, reach = found.low, found.high, f"reach from {found.low:g} to {found.high:g}"
    ask = (
        f"{where} {reach}, which is not a known scale of pixels: say with `white` which value is white "
        "(black is 0)."
    )
    if low < -_TOLERANCE * max(1.0, high):
        raise TlcliError(
            f"{where} {reach}: expected pixels from 0 (black) up, such as 0 to 1 or 0 to 255; shift them "
            "first."
        )
    if not found.whole:
        if 0.02 < high <= 1 + _TOLERANCE:
            return 1, ""
        if KNOWN[0] / 2 < high <= KNOWN[0] * (1 + _TOLERANCE):
            return KNOWN[0], ""
        raise TlcliError(ask)
    if high in _SMALL:
        return int(high), ""
    if high == 0:
        return KNOWN[0], ""
    white = next((white for white in KNOWN if high <= white), None)
    if white is None or high < max(_SMALL) or KNOWN[0] < high <= KNOWN[1] / 2:
        raise TlcliError(ask)
    doubt = f"{where} {reach}; white is taken to be {white} (`white` says otherwise)."
    return white, doubt if high <= white / 2 else ""


def find_whites(
    arrays: Mapping[str, np.ndarray], name: str, given: float | None, warnings: list[str], notes: list[str]
) -> dict[str, float]:
    """White for each array of one data set: one for all whole numbers, one for all fractions.

    The result is added to `notes`, or to `warnings` if it is doubtful. Raises TlcliError if the parts have
    different scales, and the errors of `find_white`.
    """
    ranges = {where: range_of(array, where) for where, array in arrays.items()}
    if given is not None:
        highest = max(found.high for found in ranges.values())
        if highest > given * (1 + _TOLERANCE) or min(found.low for found in ranges.values()) < 0:
            raise UsageError(f"`white` {given:g}: the pixels of {name} reach to {highest:g}, beyond white.")
        return dict.fromkeys(arrays, given)
    whites: dict[str, float] = {}
    for whole in (True, False):
        same = {where: found for where, found in ranges.items() if found.whole == whole}
        if not same:
            continue
        joined = Range(min(r.low for r in same.values()), max(r.high for r in same.values()), whole)
        white, doubt = find_white(joined, next(iter(same)) if len(same) == 1 else f"The images of {name}")
        _refuse_unlike(same, white, name)
        if doubt:
            warnings.append(doubt)
        elif white not in (1, 255) or (white == 1 and whole):
            notes.append(f"The pixels of {name} reach to {joined.high:g}: white is {white}.")
        whites |= dict.fromkeys(same, white)
    return whites


def _refuse_unlike(ranges: Mapping[str, Range], white: float, name: str) -> None:
    """Refuse parts of unlike ranges, such as one that was divided by 255."""
    for where, found in ranges.items():
        if white >= KNOWN[0] and 0 < found.high <= max(_SMALL):
            reach = ", ".join(f"{where} to {found.high:g}" for where, found in ranges.items())
            raise TlcliError(
                f"The parts of {name} have different scales ({reach}): bring them to one, or say with "
                "`white` "
                "which value is white in all of them."
            )


def check_white(white: float | None) -> None:
    """Raise UsageError for an impossible white."""
    if white is not None and not 0 < white <= 2**32:
        raise UsageError(f"`white` {white:g}: expected a value above 0, such as 1, 16, 255 or 4095.")


def to_bytes(pixels: np.ndarray, white: float) -> np.ndarray:
    """uint8 pixels, `white` becoming 255; rounded to the nearest, the scale kept monotone."""
    if pixels.dtype == np.uint8 and white == 255:
        return pixels
    if pixels.dtype.kind == "b":
        return pixels * np.uint8(255)
    scaled = np.empty(pixels.shape, np.uint8)
    step = max(1, _BLOCK // math.prod(pixels.shape[1:]))
    for start in range(0, len(pixels), step):  # in blocks: fractions take eight times the memory
        block = pixels[start : start + step]
        scaled[start : start + step] = np.rint(np.clip(block * (255 / white), 0, 255))
    return scaled
