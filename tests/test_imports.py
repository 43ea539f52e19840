"""How the package's files depend on each other: in one direction, without circles."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "tlcli"
FILES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}
LATER = {
    (
        "tlcli.store.result_records",
        "tlcli.store.tabular",
    ): "`Results.to_dataframe` is a method of the record; the columns of its tables are made from the record",
}
"""Imports within a function that would close a circle, each with its reason."""

ABOVE = {
    "cli": {"report", "training", "analysis", "data", "models", "store"},
    "report": {"analysis", "store"},
    "training": {"analysis", "models", "store"},
    "analysis": {"store"},
    "data": {"store"},
    "models": {"store"},
    "store": set(),
}
"""What each folder may import of the others; what lies at the package's top is for all."""

ONLY_IN = {
    "h5py": {"store"},
    "keras": {"models", "training"},
    "tensorflow": {"models", "training"},
    "jax": {"models", "training"},
    "matplotlib": {"report"},
    "typer": {"cli"},
}
"""Libraries and the folders that import them."""

STARTS = {"tlcli.cli.backend", "tlcli.quiet", "tlcli.environment"}
"""Files that start the frameworks, for the commands that need them."""


def imports(name: str, *, within_functions: bool) -> set[str]:
    """The modules that a file imports, all of them or those that it imports at its top."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            if typing_only or (inside and not within_functions):
                continue
            if isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                names = (f"{child.module}.{alias.name}" for alias in child.names)
                found.update(full if full in FILES else child.module for full in names)
            visit(child)

    visit(ast.parse(FILES[name].read_text(encoding="utf-8")))
    return found - {name}


@pytest.mark.parametrize("within_functions", [False, True])
def test_there_is_no_circle_between_files(within_functions):
    graph = {name: imports(name, within_functions=within_functions) & FILES.keys() for name in FILES}
    for name, other in LATER:
        assert other in imports(name, within_functions=True), "no such import any more"
        graph[name].discard(other)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_imports_run_one_way():
    wrong = []
    for name in FILES:
        folder = name.split(".")[1] if name.count(".") > 1 or name.removeprefix("tlcli.") in ABOVE else ""
        for other in imports(name, within_functions=True):
            top, _, rest = other.partition(".")
            allowed = ABOVE.get(folder, set(ABOVE)) | {folder}
            upwards = top == "tlcli" and rest.split(".")[0] in ABOVE.keys() - allowed
            elsewhere = folder not in ONLY_IN.get(top, {folder}) and name not in STARTS
            if upwards or elsewhere:
                wrong.append(f"{name} imports {other}")
    assert not wrong
