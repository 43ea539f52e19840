"""Nothing in the package runs code that a file holds."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import tlcli

FORBIDDEN = {
    "load_model",
    "clone_model",
    "model_from_json",
    "model_from_config",
    "deserialize",
    "deserialize_keras_object",
    "enable_unsafe_deserialization",
    "get_custom_objects",
    "eval",
    "exec",
    "__import__",
    "system",
    "popen",
    "Popen",
    "fromfile",
    "Unpickler",
    "loads_pickle",
    "unsafe_load",
}
ALLOWED = {"plugin_files.py": {"exec", "__import__"}}
"""Calls that run files of the user, named with `--with`."""
UNSAFE = {
    "pickle": {"load", "loads", "Unpickler"},
    "np": {"load"},
    "numpy": {"load"},
    "yaml": {"load"},
    "marshal": {"load", "loads"},
    "joblib": {"load"},
    "torch": {"load"},
    "shelve": {"open"},
}


def calls_of(source: str) -> list[tuple[str, str]]:
    """Every call in a module, as the name before the dot (or nothing) and the name."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            function: Any = node.func
            if isinstance(function, ast.Name):
                found.append(("", function.id))
            elif isinstance(function, ast.Attribute):
                owner = function.value.id if isinstance(function.value, ast.Name) else "?"
                found.append((owner, function.attr))
    return found


def test_nothing_in_the_package_loads_code():
    """Keras's loaders, pickle, eval and the like run what is in a file; none of them is called anywhere."""
    modules = list(Path(tlcli.__file__).parent.rglob("*.py"))
    assert len(modules) > 80
    for module in modules:
        if module.name == "plugin_files.py":  # runs the files that the user names, and no other
            continue
        for owner, name in calls_of(module.read_text()):
            allowed = ALLOWED.get(module.name, set())
            assert name not in FORBIDDEN - allowed, f"{module.name} calls {name}"
            assert name not in UNSAFE.get(owner, ()), f"{module.name} calls {owner}.{name}"
    assert ("np", "load") in calls_of("np.load(path)")
    assert ("", "eval") in calls_of("x = [eval(text)]")
