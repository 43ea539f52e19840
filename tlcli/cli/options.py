"""The options that several commands share. The same flag means the same thing everywhere."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_type_hints

import typer

from tlcli.cli import complete
from tlcli.cli.output import stem
from tlcli.errors import UsageError
from tlcli.text import did_you_mean

if TYPE_CHECKING:
    from tlcli.training.logs import RunLogs
    from tlcli.training.recipe import Recipe, Setting


def check_choice(option: str, allowed: tuple[str, ...]) -> Callable[[str | None], str | None]:
    """A check that the value of `option` is one of `allowed`, with a suggestion when it is not."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in allowed:
            raise UsageError(
                f"{option} takes {', '.join(allowed[:-1])} or {allowed[-1]}, not '{value}'."
                f"{did_you_mean(value, allowed)}"
            )
        return value

    return check


def check_range(option: str, low: int, high: int) -> Callable[[int | None], int | None]:
    """A check that the value of `option` is one of the numbers `low` to `high`."""

    def check(value: int | None) -> int | None:
        if value is not None and not low <= value <= high:
            raise UsageError(f"{option}: received {value}, expected a number from {low} to {high}.")
        return value

    return check


def choice_option(
    option: str, allowed: tuple[str, ...], text: str, panel: str | None = None
) -> typer.models.OptionInfo:
    """An option that takes one of a few words."""
    return typer.Option(
        option,
        metavar="|".join(allowed),
        callback=check_choice(option, allowed),
        autocompletion=complete.words(allowed),
        help=text,
        rich_help_panel=panel,
    )


# Options of every command.
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="PATH",
        help="Write here; - is stdout. [default: a name made from the inputs]",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the output if it exists.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object (path, kind, key figures) instead of the path.")
]
Quiet = Annotated[
    bool,
    typer.Option("-q", "--quiet", help="Print only errors and warnings on stderr: no progress, no tables."),
]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show the traceback of an error (as TLCLI_DEBUG=1 does).")
]
"""`main` reads this option before anything can fail; the commands only declare it."""

# Options of several commands.
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        metavar="N",
        callback=check_range("--seed", 0, 2**32 - 1),
        help="The seed of all random numbers.",
    ),
]
DataDir = Annotated[
    str | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        envvar="TLCLI_DATA_DIR",
        show_envvar=True,
        help="The folder with the files of the published data sets; downloads go there.",
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue an interrupted call of this command.")]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="NAME",
        help="Compute on cpu, gpu (all visible ones), gpu:N (one) or auto (gpu if there is any, else cpu).",
    ),
]
Deterministic = Annotated[
    bool,
    typer.Option(
        "--deterministic",
        help="Make a GPU give the same bits in every call, which may be slower. A CPU always does.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        callback=check_range("--threads", 1, 1024),
        help="CPU threads [default: one per core].",
    ),
]

ClassCount = Annotated[
    int | None,
    typer.Option(
        "--classes",
        metavar="N",
        callback=check_range("--classes", 1, 100_000),
        help="The number of classes of the head.",
    ),
]

RecordSeconds = Annotated[
    bool,
    typer.Option(
        "--record-seconds",
        help="Keep the seconds that each training takes. Two equal calls then write different bytes, with "
        "the same content digest.",
    ),
]
CsvLog = Annotated[
    str | None,
    typer.Option(
        "--csv-log", metavar="DIR", help="Write the measurements during training to DIR/OUTPUT/RUN.csv."
    ),
]
LogDir = Annotated[
    str | None,
    typer.Option(
        "--log-dir", metavar="DIR", help="Write the measurements for TensorBoard, to DIR/OUTPUT/RUN."
    ),
]

# Options of a training: train-base and transfer.
RecipeName = Annotated[
    str,
    typer.Option(
        "--recipe",
        metavar="NAME",
        autocompletion=complete.recipes,
        help="Use a named recipe; each option below overrides one of its values.",
    ),
]
Command = TypeVar("Command", bound=Callable[..., None])


def with_recipe(after: str) -> Callable[[Command], Command]:
    """Give a command the options of a training: `--recipe`, and one for each field of `Recipe`.

    They follow the parameter `after`. The command takes them as `**recipe` and calls `read_recipe`.
    """

    def decorate(command: Command) -> Command:
        from tlcli.training.recipe import Recipe, settings

        own = list(inspect.signature(command, eval_str=True).parameters.values())[:-1]
        place = 1 + next(i for i, parameter in enumerate(own) if parameter.name == after)
        types, kind = get_type_hints(Recipe), inspect.Parameter.POSITIONAL_OR_KEYWORD
        named = inspect.Parameter("recipe", kind, default="default", annotation=RecipeName)
        made = [
            inspect.Parameter(name, kind, default=None, annotation=_annotation(name, setting, types[name]))
            for name, setting in settings().items()
        ]
        every = [*own[:place], named, *made, *own[place:]]
        command.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
        return command

    return decorate


def as_flags(text: str) -> str:
    """The text with each parameter in it, `epochs`, as its option: --epochs."""
    return re.sub(r"`(\w+)`", lambda found: f"--{found[1].replace('_', '-')}", text)


def _annotation(name: str, setting: Setting, kind: Any) -> Any:
    """The option of one field of `Recipe`. Its value is None if the user does not give it."""
    flag = f"--{name.replace('_', '-')}"
    text = as_flags(setting.help)
    default = setting.default or _default(name)
    text += f" [default: {default}]" if default else ""
    if setting.choices:
        return Annotated[str | None, choice_option(flag, setting.choices, text)]
    if kind is bool:
        return Annotated[bool | None, typer.Option(f"{flag}/--no-{flag[2:]}", help=text)]
    if name == "augment":
        completer = complete.augmentations
        return Annotated[
            list[str] | None,
            typer.Option(flag, metavar=setting.metavar, autocompletion=completer, help=text),
        ]
    number = next(t for t in (float, int) if t in (kind, *get_args(kind)))
    flags = [flag, *(["--lr"] if name == "learning_rate" else [])]
    return Annotated[number | None, typer.Option(*flags, metavar=setting.metavar, help=text)]


def _default(name: str) -> str:
    from tlcli.training.recipe import Recipe

    value = Recipe.__dataclass_fields__[name].default
    return "" if value is None or value is False or value == () else f"{value}".removesuffix(".0")


def read_recipe(context: typer.Context) -> Recipe:
    """The recipe of this call: the named one, with the values of the options given."""
    from tlcli.training.recipe import Recipe, settings

    given = {name: context.params[name] for name in settings()}
    given["augment"] = given["augment"] or None  # Typer gives an empty list for an option without a value
    return Recipe.from_options(context.params["recipe"], **given)


def run_logs(context: typer.Context, output: str) -> RunLogs:
    """The logs that this call asks for, named after its output."""
    from tlcli.training.logs import RunLogs

    given = context.params
    return RunLogs(
        "stdout" if output == "-" else stem(output),
        csv=given["csv_log"],
        tensorboard=given["log_dir"],
        replace=given["force"] or given["resume"],
    )


def recipe_help() -> list[tuple[str, list[str]]]:
    """The named recipes and the augmentations, for the end of a help text."""
    from tlcli.training.recipe import AUGMENTATIONS
    from tlcli.training.recipes import RECIPES

    def option(name: str, value: Any) -> str:
        written = ",".join(value) if isinstance(value, tuple) else value
        return f"--{name.replace('_', '-')}" + (f" {written}" if value is not True else "")

    def options_text(values: Mapping[str, Any]) -> str:
        return " ".join(option(name, value) for name, value in values.items())

    recipes = [
        f"{r.name}: {r.summary}{f' ({w})' if (w := options_text(r.values)) else ''}" for r in RECIPES.values()
    ]
    return [
        ("Recipes:", recipes),
        ("Augmentations:", [f"{name}: {text}" for name, text in AUGMENTATIONS.items()]),
    ]


def pairs(option: str, given: list[str] | None) -> dict[str, str]:
    """A dictionary of `name=value` texts; one text may hold several, `a=1,b=2`. Raises UsageError."""
    found: dict[str, str] = {}
    for text in given or []:
        for part in re.split(r",(?=[^,=]*=)", text):  # a value may have commas: head_units=512,256
            name, equals, value = part.partition("=")
            if not equals or not name.strip():
                raise UsageError(f"{option}: received '{text}', expected NAME=VALUE.")
            found[name.strip()] = value.strip()
    return found
