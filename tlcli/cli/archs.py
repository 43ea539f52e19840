"""`tlcli archs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlcli.cli import complete
from tlcli.cli import options as o
from tlcli.cli.output import Console, print_json, print_table
from tlcli.errors import UsageError

if TYPE_CHECKING:
    from tlcli.models import Architecture

EXAMPLES = [
    "tlcli archs",
    "tlcli archs 'keras:MobileNetV3*'",
    "tlcli archs cnn2 --input 8x8x1 --classes 6 --arch-option dropout=0.5 --json",
]


def archs(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            autocompletion=complete.architectures,
            help="List only these networks; keras:* are those of Keras Applications.",
        ),
    ] = None,
    input_shape: Annotated[
        str | None,
        typer.Option("--input", metavar="HxWxC", help="Count for images of this size."),
    ] = None,
    classes: o.ClassCount = None,
    arch_option: Annotated[
        list[str] | None,
        typer.Option("--arch-option", metavar="NAME=VALUE", help="An option of the network; repeatable."),
    ] = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """List the networks, with their numbers of parameters.

    The table gives all parameters and the trainable ones, for the images and classes that each network was
    made for, or for those given here. --arch-option sets options, here and in `tlcli train-base`.
    """
    from tlcli.cli.backend import load_to_build
    from tlcli.models import architecture, architectures, parse_options
    from tlcli.models.registry import NETWORKS

    chosen = [name for pattern in names or [] for name in match_names(pattern)]
    wanted = [architecture(name) for name in chosen] if names else list(architectures().values())
    shape = None if input_shape is None else parse_shape(input_shape)
    given = o.pairs("--arch-option", arch_option)
    if given and len(wanted) > 1:
        raise UsageError("--arch-option needs the network it is for: tlcli archs NAME --arch-option ...")
    for arch in wanted:
        parse_options(arch.name, given)
    console = Console(quiet=quiet)
    if given or any(_registered_counts(arch, shape, classes) is None for arch in wanted):
        load_to_build(console, *(NETWORKS.plugin(arch.name)[0] for arch in wanted))
    rows: list[dict[str, Any]] = []
    with console.progress("counting", "networks") as progress:
        for arch in wanted:
            progress(len(rows), len(wanted), arch.name)
            rows.append(count_parameters(arch, shape or arch.input_shape, classes or arch.classes, given))
    if as_json:
        print_json({"architectures": rows})
        return
    print_table(
        ("name", "parameters", "trainable", "image", "classes", "options", "summary"),
        [
            (
                r["name"],
                f"{r['parameters']:,}",
                f"{r['trainable_parameters']:,}",
                "x".join(map(str, r["input_shape"])),
                str(r["classes"]),
                " ".join(f"{k}={v}" for k, v in r["options"].items()) or "-",
                r["summary"],
            )
            for r in rows
        ],
    )


def match_names(pattern: str) -> list[str]:
    """The names of networks that a pattern such as `keras:Mobile*` means; a plain name is itself.

    Raises:
        UsageError: No network's name fits the pattern.
    """
    from fnmatch import fnmatchcase

    from tlcli.models.registry import NETWORKS

    if not set(pattern) & set("*?["):
        return [pattern]
    found = [name for name in NETWORKS.all_names() if fnmatchcase(name.casefold(), pattern.casefold())]
    if not found:
        raise UsageError(f"No network's name fits {pattern!r}. There are {', '.join(NETWORKS.all_names())}.")
    return found


def count_parameters(
    arch: Architecture, shape: tuple[int, int, int], classes: int, given: dict[str, str]
) -> dict[str, Any]:
    """A network's name, summary, image shape, classes, options and numbers of parameters."""
    from tlcli.models import parameter_counts, parse_options

    options = parse_options(arch.name, given)
    known = None if given else _registered_counts(arch, shape, classes)
    in_all, trainable = known or parameter_counts(arch.name, shape, classes, options)
    return {
        "name": arch.name,
        "summary": arch.summary,
        "input_shape": shape,
        "classes": classes,
        "parameters": in_all,
        "trainable_parameters": trainable,
        "options": options,
    }


def _registered_counts(
    arch: Architecture, shape: tuple[int, int, int] | None, classes: int | None
) -> tuple[int, int] | None:
    """The registered numbers of parameters, if they are for these images and classes."""
    as_made = shape in (None, arch.input_shape) and classes in (None, arch.classes)
    return arch.parameters if as_made else None


def parse_shape(text: str) -> tuple[int, int, int]:
    """`28x28x1` as height, width and channels. Raises UsageError."""
    sides = text.lower().split("x")
    if len(sides) != 3 or not all(s.isdecimal() and 1 <= int(s) <= 4096 for s in sides):
        raise UsageError(f"--input: received '{text}', expected height, width and channels like 32x32x3.")
    height, width, channels = map(int, sides)
    return height, width, channels
