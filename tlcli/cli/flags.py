"""Parameters that messages of the library name, `ema`, as options of the command line: --ema."""

from __future__ import annotations

import re
from typing import Any

from tlcli.cli.commands import RUNNING, SUMMARIES, load

_PARAMETER = re.compile(r"`([a-z]\w*)`")


def with_flags(text: str) -> str:
    """The text with `ema` as --ema, an option of the command that runs.

    An option that only other commands have is written with the first of these: `tlcli split --image-size`. A
    name that no command has as an option is left as it is.
    """
    return _PARAMETER.sub(lambda found: _flag(found[1]) or found[0], text)


def _flag(parameter: str) -> str:
    if parameter == "with":
        return "--with"
    for name in (*RUNNING, *SUMMARIES):
        if flag := options_of(name).get(parameter):
            return flag if name in RUNNING else f"tlcli {name} {flag}"
    return ""


def options_of(command: str) -> dict[str, str]:
    """The longest flag of each option, by the name of its parameter in Python."""
    options: list[Any] = load(command).params if command in SUMMARIES else []
    flags = [max(option.opts, key=len) for option in options if option.opts]
    return {flag[2:].replace("-", "_"): flag for flag in flags if flag.startswith("--")}
