"""The commands by name. Each is imported when it is called, so that `tlcli --help` is quick."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import typer
import typer.main
from typer.core import TyperArgument, TyperGroup

from tlcli.errors import UsageError
from tlcli.text import did_you_mean

SUMMARIES = {
    "split": "Cut a data set into training and test images of chosen classes.",
    "train-base": "Train a network on a data set: the base of a transfer.",
    "import-weights": "Make a base from weights that others trained and saved.",
    "transfer": "Train on target data sets from a base, by one or more methods, several times each.",
    "embed": "Compute the output of a layer for every image: its embedding.",
    "knn": "Classify embeddings by their nearest neighbours, for many k at once.",
    "rank": "Rank bases for a target, from embeddings alone.",
    "report": "Turn results into a page with tables, figures and a discussion.",
    "export-weights": "Write a network as a Keras file.",
    "inspect": "Show what a file is, what it holds and how it was made.",
    "dump": "Write a table of a file as CSV, for a spreadsheet, R or pandas.",
    "verify": "Check that files and their inputs are intact.",
    "datasets": "List the data sets that are built in.",
    "archs": "List the networks, with their numbers of parameters.",
    "plugins": "List what plug-ins add, and where each was found.",
}
"""The first line of each command's help. A test compares it with the command."""

RUNNING: list[str] = []
"""The name of the command that runs, once it is known."""

OWN_PROCESS = False
"""Whether the process ends with the command, as at a shell."""


def module(name: str) -> ModuleType:
    """The module of a command."""
    return importlib.import_module(f"tlcli.cli.{name.replace('-', '_')}")


def load(name: str) -> Any:
    """The click command called `name`: the function of that name in the module of that name."""
    source = module(name)
    single = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    more = source.more_help() if hasattr(source, "more_help") else []
    function = getattr(source, name.replace("-", "_"))
    single.command(name, epilog=_epilog([("Examples:", source.EXAMPLES), *more]))(function)
    command = typer.main.get_command(single)
    for param in command.params:
        if param.param_type_name == "argument":
            param.__class__ = Argument
    return command


class Argument(TyperArgument):
    """An argument that help shows as it is written: no braces, no type in Python's words."""

    def usage_name(self) -> str:
        """`FILE...`; in brackets where it may be left out."""
        name = f"{self.metavar}{'...' if self.nargs == -1 else ''}"
        return name if self.required else f"[{name}]"

    def get_usage_pieces(self, ctx: Any) -> list[str]:
        return [self.usage_name()]

    def get_help_record(self, ctx: Any) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        return record and (str(self.metavar), record[1].replace("  [required]", ""))


def _epilog(sections: list[tuple[str, list[str]]]) -> str:
    r"""Headings with lines below them; \b keeps Click from joining the lines."""
    return (
        "\n\n".join("\b\n" + "\n".join([head, *(f"  {line}" for line in lines)]) for head, lines in sections)
        + "\n"
    )


class CommandGroup(TyperGroup):
    """A group that imports only the command that is called, and lists the others by their summaries."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(SUMMARIES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return load(cmd_name) if cmd_name in SUMMARIES else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] == "help":  # `tlcli help split` is `tlcli split --help`
            if len(args) == 1:
                typer.echo(ctx.get_help())
                ctx.exit()
            args = [*args[1:], "--help"]
        name = args[0]
        if name not in SUMMARIES and not name.startswith("-") and not ctx.resilient_parsing:
            raise UsageError(
                f"There is no command {name}.{did_you_mean(name, SUMMARIES)}\nSee `tlcli --help`."
            )
        RUNNING[:] = [name]
        return super().resolve_command(ctx, args)
