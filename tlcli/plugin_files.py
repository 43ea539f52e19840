"""Python files of the user that register something: `tlcli --with FILE.py`, or TLCLI_WITH.

Such a file says `import keras` at its top. Every command would then wait for TensorFlow, and TensorFlow would
start before the command has chosen a device and a number of threads. The statement therefore gives a
stand-in, which imports Keras at the first use.
"""

from __future__ import annotations

import builtins
import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from tlcli.errors import TlcliError, UsageError
from tlcli.register import PLUGINS, REGISTERS, Owner, first_line, sha256_of


def load_file(path: str | Path) -> Owner:
    """Run a Python file that registers networks, methods, sources, recipes or sections; each version once.

    Entries of an earlier version of the file, or of a file that fails, are removed.

    Raises:
        UsageError: The file does not exist or is not Python, or a name is taken.
        TlcliError: The file fails, or registers nothing.
    """
    path = Path(path).expanduser()
    if path.suffix != ".py":
        raise UsageError(f"The plug-in {path}: expected a Python file (.py).")
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UsageError(f"The plug-in {path} cannot be read ({error.strerror}).") from None
    digest = sha256_of(source)
    name = f"tlcli_with_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{digest[:12]}"
    if name in PLUGINS:
        return PLUGINS[name]
    for earlier, before in list(PLUGINS.items()):
        if before.file == str(path.resolve()):  # the file was edited, say beside a notebook
            _forget(earlier, before)
    owner = PLUGINS[name] = Owner("file", path.name, str(path.resolve()), digest)
    module = sys.modules[name] = ModuleType(name)
    module.__file__ = owner.file
    module.__dict__["__builtins__"] = vars(builtins) | {"__import__": _import}
    try:
        exec(compile(source, owner.file, "exec", dont_inherit=True), module.__dict__)
        if not any(register.has_any(owner) for register in REGISTERS):
            raise TlcliError(
                f"{path.name} registers nothing: expected a function decorated with "
                "@tlcli.network, @tlcli.method, @tlcli.source, @tlcli.recipe or @tlcli.section."
            )
    except BaseException as error:
        _forget(name, owner)
        if isinstance(error, TlcliError) or not isinstance(error, Exception | SystemExit):
            raise
        raise TlcliError(_failure(path, owner.file, error)) from error
    return owner


def _forget(module: str, owner: Owner) -> None:
    for register in REGISTERS:
        register.forget(owner)
    del PLUGINS[module]
    sys.modules.pop(module, None)


def files() -> list[Owner]:
    """The files that were loaded, in that order."""
    return [owner for owner in PLUGINS.values() if owner.kind == "file"]


_LATER = ("keras", "tensorflow", "jax", "torch")
_PARTS = ("activations", "applications", "initializers", "layers", "losses", "models", "ops", "random")
"""Modules of Keras for which a stand-in gives another stand-in."""


class _Later(ModuleType):
    """A stand-in for a module, which is imported at the first use."""

    def __getattr__(self, name: str) -> Any:
        if self.__name__ == "keras" and name in _PARTS:
            return _Later(f"keras.{name}")
        return getattr(importlib.import_module(self.__name__), name)


def _import(
    name: str, globals: Any = None, locals: Any = None, fromlist: tuple[str, ...] | None = (), level: int = 0
) -> Any:
    """The import statement of a plug-in, which delays modules that take seconds to import."""
    parts = set(fromlist or ())
    if name in _LATER and name not in sys.modules and parts <= (set(_PARTS) if name == "keras" else set()):
        return _Later(name)
    return builtins.__import__(name, globals, locals, fromlist or (), level)


def _failure(path: Path, file: str, error: BaseException) -> str:
    """The place and the cause of a plug-in's failure, in one line."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    where = f", line {line}" if line else ""
    reason = error.msg if isinstance(error, SyntaxError) else first_line(error)
    return f"The plug-in {path.name} failed{where}: {type(error).__name__}: {reason}."
