"""The program `tlcli`: runs a command and explains every failure in one or two plain lines."""
# ruff: noqa: E402

from __future__ import annotations

import contextlib
import errno
import gc
import os
import re
import signal
import sys
from typing import Annotated, Any, NoReturn

_on_interrupt = signal.getsignal(signal.SIGINT)
if _on_interrupt is signal.default_int_handler:
    with contextlib.suppress(ValueError):  # signals arrive only in the main thread
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while importing just ends the program

import typer
import typer.main

from tlcli import __version__
from tlcli.cli import commands
from tlcli.cli.commands import RUNNING, CommandGroup
from tlcli.cli.flags import with_flags
from tlcli.cli.output import GIVEN_WITH, print_to, printable
from tlcli.cli.signals import NAMES, Terminated, exit_code, ignore_signals, raise_on_signals
from tlcli.errors import TlcliError

with contextlib.suppress(ValueError):
    signal.signal(signal.SIGINT, _on_interrupt)

app = typer.Typer(
    name="tlcli",
    cls=CommandGroup,
    rich_markup_mode=None,  # plain help: it starts three times faster and reads well in a pipe
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=False,
)

USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]
"""Click's UsageError; Typer carries its own copy of Click from version 0.26 on."""


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"tlcli {__version__}")
        raise typer.Exit


def load_plugins(named: list[str] | None) -> list[str] | None:
    """Run the files of TLCLI_WITH and of --with, in this order."""
    files = [path for path in os.environ.get("TLCLI_WITH", "").split(os.pathsep) if path] + (named or [])
    if files:
        from tlcli.plugin_files import load_file

        for path in files:
            load_file(path)
    GIVEN_WITH[:] = named or []
    return named


@app.callback()
def _program(
    plugins: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="FILE.py",
            callback=load_plugins,
            help="Load networks, methods, data sets, recipes or sections of the report from a Python file; "
            "repeatable. Give it before the command. tlcli also loads the files of TLCLI_WITH, separated by "
            "colons. `tlcli plugins` lists all that is loaded.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Measure whether a network trained on one image task helps on another, how much, and by which method."""


def main() -> NoReturn:
    """The console script."""
    if any(name.endswith("_COMPLETE") and name.startswith("_TLCLI") for name in os.environ):
        app()  # the shell asks for completions: Typer answers and exits
    commands.OWN_PROCESS = True
    code = run(sys.argv[1:])
    gc.freeze()  # else the interpreter looks for garbage in all modules before it ends, for half a second
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command line; returns the exit code."""
    debug = "--debug" in arguments or os.environ.get("TLCLI_DEBUG") == "1"
    if not debug and not sys.warnoptions:
        import warnings

        warnings.simplefilter("ignore")  # warnings of libraries; tlcli's own go through Console.warn
    try:
        _prepare_terminal()
        RUNNING.clear()
        try:
            code = _invoke(arguments)
            if sys.stdout is not None:
                sys.stdout.flush()  # a full disk must show here, not when the interpreter exits
        finally:
            ignore_signals()
        return code
    except BaseException as error:
        ignore_signals()  # again: a signal may have interrupted the call above
        if debug:
            import traceback

            traceback.print_exc()
        code, message = explain(error, arguments)
        message = message and _with_plain_names(message, arguments)
        if message and sys.stderr is not None:
            _say(message)
        _abandon_stdout(error)
        return code


def _invoke(arguments: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        with command.make_context("tlcli", list(arguments)) as context:
            command.invoke(context)
    except typer.Exit as ended:
        return ended.exit_code
    return 0


def _prepare_terminal() -> None:
    """Turn signals into exceptions, and escape characters that the terminal cannot show."""
    raise_on_signals()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _say(message: str) -> None:
    with contextlib.suppress(OSError):  # stderr is closed
        print_to(sys.stderr, *f"tlcli: {message}".split("\n"))


def _abandon_stdout(error: BaseException) -> None:
    """Keep the interpreter from flushing a broken stdout, which would print another error."""
    if isinstance(error, OSError) and sys.stdout is not None:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def explain(error: BaseException, arguments: list[str]) -> tuple[int, str | None]:
    """The exit code and the message for the user; None if nothing needs to be said."""
    if isinstance(error, TlcliError):
        return error.exit_code, with_flags(str(error))
    if isinstance(error, USAGE_ERROR):
        return 2, _usage_message(error, arguments)
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return 130, "Interrupted: incomplete output is not written."
    if isinstance(error, Terminated):
        stopped = f"Stopped by {NAMES[error.number]}: incomplete output is not written."
        return exit_code(error.number), stopped
    if isinstance(error, BrokenPipeError):
        return 1, None  # the program that reads, say `head`, has ended
    if isinstance(error, MemoryError) or any(word in repr(error) for word in _OUT_OF_MEMORY):
        return 1, "There is not enough memory. Take fewer images, or a machine with more memory."
    if isinstance(error, OSError):
        return 1, _system_message(error)
    if isinstance(error, SystemExit):
        return (error.code if isinstance(error.code, int) else 1), None
    return 1, (
        f"The program failed ({type(error).__name__}: {_first_line(error)}). "
        "This is a fault in tlcli: run again with --debug and report what it prints."
    )


def _with_plain_names(message: str, arguments: list[str]) -> str:
    """Escape line breaks in names of files: a name must not look like a line of the message."""
    names = {name for argument in arguments for name in re.split("[/=]", argument) if "\n" in name}
    for name in sorted(names, key=len, reverse=True):
        message = message.replace(name, printable(name))
    return message


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else "no message"


_OUT_OF_MEMORY = (
    "can't start new thread",
    "ResourceExhaustedError",
    "RESOURCE_EXHAUSTED",
    "OOM when allocating",
)
"""How TensorFlow and JAX say that memory is exhausted, in the name or text of an error."""

_ADVICE = {
    errno.ENOSPC: "the disk is full. Free some space or write elsewhere with -o.",
    errno.EDQUOT: "your disk quota is used up. Free some space or write elsewhere with -o.",
    errno.EFBIG: "the file would be larger than the system allows. Raise the limit or write elsewhere.",
    errno.EACCES: "permission is denied. Check the permissions or write elsewhere with -o.",
    errno.EPERM: "permission is denied. Check the permissions or write elsewhere with -o.",
    errno.EROFS: "the file system is read-only. Write elsewhere with -o.",
    errno.ENOENT: "a file or folder does not exist. Check the names.",
    errno.EISDIR: "this is a folder; a file was expected.",
    errno.ENAMETOOLONG: "the name is too long. Choose a shorter one with -o.",
    errno.EMFILE: "too many files are open. Give fewer at once.",
}


def _system_message(error: OSError) -> str:
    advice = _ADVICE.get(error.errno or 0) or f"the system says: {error.strerror or _first_line(error)}."
    return f"'{error.filename}': {advice}" if error.filename else advice[0].upper() + advice[1:]


def _usage_message(error: Any, arguments: list[str]) -> str:
    """The message of a usage error of Click, with the nearest option and the command for help."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "tlcli"
    option = getattr(error, "option_name", None)
    possibilities = getattr(error, "possibilities", None)
    if option and possibilities is not None:
        from tlcli.text import did_you_mean

        message = f"There is no option {option}.{did_you_mean(option, possibilities)}"
        if place := _place_of(option, context, arguments):
            message = f"There is no option {option}. {place}"
        elif option == "--with":
            message = "--with comes before the command: tlcli --with FILE.py COMMAND ..."
    elif option and type(error).__name__ == "NoSuchOption":
        message = f"There is no option {option}."
    else:
        message = " ".join(error.format_message().split())
        message = re.sub(r"Input should be ([^,]*),.*", r"expected \1", message)
        message = re.sub(r"^Missing (argument|option) ('.*')\.?$", r"The \1 \2 is missing", message)
        message = (
            message.rstrip(".") + _received_text(getattr(error, "param", None), arguments, message) + "."
        )
    return f"{message}\nSee `{path} --help`."


def _place_of(option: str, context: Any, arguments: list[str]) -> str:
    """Where `--dropout 0.3` is given instead, if a network or a method has an option of this name."""
    from tlcli.models.registry import NETWORKS
    from tlcli.training.arms import COMMON
    from tlcli.training.methods import METHODS

    takes = {parameter.name for parameter in context.command.params} if context is not None else set()
    name = option.lstrip("-").replace("-", "_")
    given = f"{name}={_value_of(option, arguments) or 'VALUE'}"
    of_network = any(name in arch.defaults for arch in NETWORKS.values())
    methods = [method.name for method in METHODS.values() if name in (COMMON | dict(method.defaults))]
    if of_network and "arch_option" in takes:
        return f"It is one of the network: --arch-option {given}."
    if methods and "method" in takes:
        named = {argument.partition(":")[0] for argument in arguments}
        method = next((name for name in methods if name in named), methods[0])
        return f"It is one of a method: --method {method}:{given}."
    if of_network:
        return f"It is one of the network: tlcli train-base --arch-option {given}."
    return ""


def _received_text(param: Any, arguments: list[str], message: str) -> str:
    """` (received 'x')`, if the message about an option lacks it."""
    received = next(filter(None, (_value_of(option, arguments) for option in getattr(param, "opts", []))), "")
    return "" if not received or repr(received) in message else f" (received {received!r})"


def _value_of(option: str, arguments: list[str]) -> str:
    """The text given as the value of an option, `--seed 1` or `--seed=1`; empty if there is none."""
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, attached = word.partition("=")
        if name == option:
            return attached if equals else following
    return ""


if __name__ == "__main__":
    main()
