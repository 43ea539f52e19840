"""Numbers and ranges of numbers in the expressions for classes, layers and neighbours."""

from __future__ import annotations

import re

from tlcli.errors import UsageError

_RANGE = re.compile(r"\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?")


def parse_range(text: str, parameter: str) -> tuple[int, int] | None:
    """The first and the last number of a range such as `1-6`, or of the number `3`; None for other text.

    Raises:
        UsageError: The range runs backwards. The message names the parameter.
    """
    match = _RANGE.fullmatch(text)
    if not match:
        return None
    first, last = int(match[1]), int(match[2] or match[1])
    if first > last:
        raise UsageError(f"`{parameter}`: the range {text.strip()} runs backwards; expected {last}-{first}.")
    return first, last
