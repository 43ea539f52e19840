"""Files and functions stay short enough to be read."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = {
    path.relative_to(ROOT): path.read_text(encoding="utf-8")
    for folder in ("tlcli", "tests", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def test_files_are_under_400_lines():
    assert not {str(name): n for name, text in FILES.items() if (n := text.count("\n")) >= 400}


def test_functions_are_under_60_lines():
    """Of statements: signatures of commands list their options, and docstrings their arguments."""
    assert not {
        f"{name}: {function.name}": lines
        for name, text in FILES.items()
        for function in ast.walk(ast.parse(text))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        if (lines := statement_lines(function)) >= 60
    }


def statement_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0
