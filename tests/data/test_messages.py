"""Every message of an error in the data package: a capital or a name first, a full stop last."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tlcli import data

RAISED = {"TlcliError", "UsageError"}
"""Messages of these are read as they stand in the source; `{}` stands for a value."""


def text_of(node: ast.expr) -> str | None:
    """The text of a message, with {} for what is filled in; None where it is made elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)
    return None


def test_messages_are_sentences():
    found = {}
    for module in sorted(Path(data.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RAISED:
                found[f"{module.name}:{node.lineno}"] = text_of(node.args[0])
    messages = {place: text for place, text in found.items() if text is not None}
    assert len(messages) > 100
    for place, text in messages.items():
        assert re.match(r"[A-Z{]|--|scikit-learn", text), f"{place}: {text}"
        assert re.search(r"[.}]$", text), f"{place}: {text}"
        assert not re.search(r"\bis no a\b|\bis no an\b", text), f"{place}: {text}"
