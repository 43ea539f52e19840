"""Find the layers that an expression means, without Keras."""

from __future__ import annotations

import re

from tlcli.errors import UsageError
from tlcli.ranges import parse_range


def count_layers(expression: str | None, parameter: str) -> int:
    """The number of arms of a sweep over layers, without knowing the network.

    Raises:
        UsageError: A range runs backwards.
    """
    spans = [parse_range(part, parameter) for part in (expression or "all").split(",")]
    return sum(span[1] - span[0] + 1 if span else 1 for span in spans)


def resolve_layers(expression: str | int | None, groups: list[tuple[str, ...]], parameter: str) -> list[int]:
    """Numbers of weighted layers, counted from the input, that an expression means.

    An expression is `all` (all below the head), `none`, a count `3`, a range to sweep `1-6`, a list `2,4`, or
    the name of a layer or of a block of layers, `block_12` (that and everything before it).

    Raises:
        UsageError: The expression has another form, or the network has fewer layers below its head.
    """
    below = len(groups) - 1
    found: list[int] = []
    for part in str("all" if expression is None else expression).split(","):
        part = part.strip()
        owner = [n for n, group in enumerate(groups, start=1) if part in group]
        owner = owner or _last_of_block(part, groups)
        if part == "all":
            found.append(below)
        elif part == "none":
            found.append(0)
        elif owner:
            found.append(owner[0])
        elif span := parse_range(part, parameter):
            first, last = (min(number, below + 1) for number in span)  # a range may be as long as memory
            found.extend(range(first, last + 1))
        else:
            names = ", ".join(group[0] for group in groups[:-1])
            raise UsageError(
                f"`{parameter}`: received {part!r}; expected a count, a range such as 1-{below}, 'all', "
                f"'none', or a layer or a block: {names}."
            )
    if not found or min(found) < 0 or max(found) > below:
        raise UsageError(
            f"`{parameter}`: received {expression!r}, but the network has {below} weighted layers below its "
            f"head ({', '.join(group[0] for group in groups[:-1])})."
        )
    return list(dict.fromkeys(found))


def _last_of_block(name: str, groups: list[tuple[str, ...]]) -> list[int]:
    """The number of the last layer below the head whose name contains the whole name of a block.

    `block_1` is in `block_1_expand`, not in `block_12_expand`; `block1` is in `block1a_bn` too.
    """
    if not re.fullmatch("[A-Za-z]+_?[A-Za-z0-9_]*", name):
        return []
    whole = re.compile(f"(?:^|_){re.escape(name)}(?![0-9])(?:$|_|(?<=[0-9])[a-z]_)")
    found = [n for n, group in enumerate(groups[:-1], start=1) if any(map(whole.search, group))]
    return found[-1:]
