"""The form in which files record the command line."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import typer

NOT_RECORDED = {
    "output",
    "force",
    "as_json",
    "quiet",
    "debug",
    "resume",
    "data_dir",
    "threads",
    "deterministic",
    "save",
    "images",
    "csv_log",
    "log_dir",
    "record_seconds",
}
"""Parameters that are no part of the recorded command: they do not change the content of a file, or, like
`threads`, whose last bits do, they stand in `computed_by`."""

PATHS = {"dataset", "source", "target", "test_dataset", "like"}
"""Options whose value can be a path; all arguments are paths."""


def recorded_command(context: typer.Context) -> str:
    """The command line as files record it: only options that bear on the content, paths without folders.

    The order of the options and the current folder do not change the text.
    """
    from tlcli.plugin_files import files

    program = ["tlcli", *(word for file in files() for word in ("--with", file.name))]
    words: list[str] = [str(context.info_name)]
    arguments: list[str] = []
    for param in context.command.params:
        name = param.name or ""
        source = context.get_parameter_source(name)
        if name in NOT_RECORDED or source is None or source.name != "COMMANDLINE":
            continue
        value = context.params[name]
        values = list(value) if isinstance(value, list | tuple) else [value]
        if param.param_type_name == "argument":
            arguments += [_without_folder(str(v)) for v in values]
            continue
        for v in values:
            flags = param.secondary_opts if v is False else param.opts
            words += _option(max(flags, key=len), name, v)
    return shlex.join([*program, words[0], *arguments, *words[1:]])


def _option(flag: str, name: str, value: Any) -> list[str]:
    from tlcli.data import ClassExpression

    if isinstance(value, bool):
        return [flag]
    text = str(value).removesuffix(".0") if isinstance(value, float) else str(value)
    if name in PATHS or (name == "labels" and Path(text).is_file()):
        text = _without_folder(text)
    if name == "classes":
        text = ClassExpression(text).recorded_text
    return [flag, text]


def _without_folder(path: str) -> str:
    return Path(path).name or path
