"""`tlcli plugins`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlcli.cli.options import Debug, Json, Quiet
from tlcli.cli.output import Console, print_json, print_table

if TYPE_CHECKING:
    from tlcli.register import Register

EXAMPLES = ["tlcli plugins", "tlcli plugins --all --json"]


def plugins(
    everything: Annotated[bool, typer.Option("--all", help="List tlcli's own, too.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """List what plug-ins add, and where each was found.

    The list has networks, methods, sources of images, recipes and sections of the report of installed
    packages (their entry points) and of files given with `tlcli --with FILE.py` or TLCLI_WITH. --all adds
    tlcli's own.
    """
    from tlcli.register import OURS

    console = Console(quiet=quiet)
    rows: list[dict[str, Any]] = []
    for register in registers():
        for name in register:
            owner = register.owner(name)
            if everything or owner is not OURS:
                plugin, digest = register.plugin(name)
                rows.append(
                    {
                        "kind": register.noun,
                        "name": name,
                        "from": plugin or "tlcli",
                        "sha256": digest,
                        "summary": register[name].summary,
                    }
                )
        for problem in register.problems.values():
            console.warn(problem)
    if as_json:
        print_json({"plugins": rows})
    elif not rows:
        console.note(
            "There are no plug-ins. tlcli --with FILE.py loads one; tlcli plugins --all lists tlcli's own."
        )
    else:
        header = ("kind", "name", "from", "SHA-256", "summary")
        print_table(
            header,
            [(r["kind"], r["name"], r["from"], r["sha256"][:12] or "-", r["summary"]) for r in rows],
        )


def registers() -> list[Register[Any]]:
    """All registers, in the order in which a user meets them."""
    from tlcli.data.source import SOURCES
    from tlcli.models.registry import NETWORKS
    from tlcli.report.registry import SECTIONS
    from tlcli.training.methods import METHODS
    from tlcli.training.recipes import RECIPES

    return [NETWORKS, METHODS, SOURCES, RECIPES, SECTIONS]
