"""Files of format version 1: their content, and its translation to version 2. tlcli continues to read them.

In version 1 a run was a group with a name, its further values one JSON object, an arm was written
`freeze(copy=2)`, and a classification by neighbours was a run without parameters. A history could hold NaN,
but not end in it.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np

from tlcli.errors import TlcliError
from tlcli.store import results, schema
from tlcli.store.checks import MOST_SAMPLES
from tlcli.store.common import take_series
from tlcli.store.elements import Array, Attribute, Format
from tlcli.store.records import Neighbours, Results, Run, Target
from tlcli.store.schema_parts import COMMON_ARRAYS
from tlcli.store.tree import Tree

_NEW_ATTRIBUTES = {"computed_by", "channel_order", "plugin", "plugin_sha256", "mirrored", "source"}


def _old(kind: Format, arrays: tuple[Array, ...], attributes: tuple[Attribute, ...] = ()) -> Format:
    """A format of version 1: the attributes of version 2 that it had already, and these."""
    kept = tuple(rule for rule in kind.attributes if rule.name not in _NEW_ATTRIBUTES)
    return dataclasses.replace(
        kind, arrays=arrays, attributes=tuple(r for r in kept if r.path == "/") + attributes
    )


def _array(path: str, dtype: str, length: str, required: str = "no", values: str = "") -> Array:
    return Array(path, dtype, (length,), "", required, values, scope=2)


_RUN_TEXTS = ("method", "arm", "dataset")
_RUN_COUNTS = ("size", "run", "seed", "parameters", "trainable_parameters")
_MORE_TEXTS = ("architecture", "base", "base_sha256", "relation", "head_units")
_MORE_COUNTS = ("copy", "freeze", "batch_size", "samples")
_MORE_SHARES = ("train_accuracy", "base_accuracy", "source_accuracy_before", "source_accuracy_after")
_RESULTS_ARRAYS = (
    *COMMON_ARRAYS,
    _array("runs/*/history/samples_seen", "int64", "T", values="index"),
    _array("runs/*/history/*_loss", "float64", "T"),
    _array("runs/*/history/*_accuracy", "float64", "T", values="share?"),
    _array("runs/*/history/*", "number", "T"),
    _array("runs/*/curves/*", "number", "any"),
    _array("runs/*/test/predictions", "int64", "N", values="index"),
    _array("targets/*/classes/names", "string", "classes", "with its group", "names"),
    _array("targets/*/test/labels", "int64", "N", "with its group", "index"),
    _array("targets/*/test/source_index", "int64", "N", "with its group", "index"),
)
_RESULTS_ATTRIBUTES = (
    *(Attribute("/runs/*", name, "string", "") for name in _RUN_TEXTS),
    Attribute("/runs/*", "attributes", "json object", ""),
    *(Attribute("/runs/*", name, "int", "") for name in ("position", *_RUN_COUNTS)),
    *(Attribute("/targets/*", name, "int", "") for name in ("position", "train_size")),
    *(Attribute("/targets/*", name, "string", "") for name in ("content_sha256", "source")),
)
_OPTIMIZER = Array("optimizer/**", "number", None, "", "no", packed=False, ordered=True)

FORMATS = {
    kind.name: kind
    for kind in (
        dataclasses.replace(
            schema.DATASET,
            attributes=tuple(r for r in schema.DATASET.attributes if r.name != "computed_by"),
        ),
        _old(schema.CHECKPOINT, (*schema.CHECKPOINT.arrays, _OPTIMIZER)),
        _old(schema.EMBEDDINGS, schema.EMBEDDINGS.arrays),
        _old(schema.RESULTS, _RESULTS_ARRAYS, _RESULTS_ATTRIBUTES),
    )
}

_MEASURED = {"finite": "measured", "share": "measured share", "samples": "samples"}
"""The check of a history in version 1, by that of version 2."""


def _translate_rule(rule: Array) -> Array:
    if "history/" in rule.path:
        return dataclasses.replace(rule, values=_MEASURED[rule.values])
    return rule


TRANSLATED = {
    kind.name: dataclasses.replace(kind, arrays=tuple(map(_translate_rule, kind.arrays)))
    for kind in schema.FORMATS.values()
}
"""The rules for the values of a translated tree."""


def translate(tree: Tree) -> Tree:
    """Translate a tree of version 1 to version 2; one of version 2 stays as it is. Raises TlcliError.

    The tree may lack arrays, as for a summary.
    """
    if tree.get("", "format_version") != 1:
        return tree
    new = {
        schema.CHECKPOINT.name: _checkpoint,
        schema.EMBEDDINGS.name: _embeddings,
        schema.RESULTS.name: _results,
    }.get(tree.format, lambda old: Tree(old.format, dict(old.datasets), dict(old.attributes)))(tree)
    if not new.has("", "computed_by"):
        new.set_json("", "computed_by", {})
    return new


def arm_spelling(text: str) -> str:
    """The spelling of version 2, `freeze:copy=2`, of an arm of version 1, `freeze(copy=2)`."""
    found = re.fullmatch(r"([^()]+)\((.*)\)", text)
    return f"{found[1]}:{found[2]}" if found else text


def _recipe(new: Tree) -> None:
    """Write the recipe as version 2 does: every value, without what computed."""
    recipe = new.get_json("", "recipe")
    computed = {"backend": "tensorflow"} if "optimizer" in recipe else {}
    computed |= {name: recipe.pop(name) for name in ("backend", "devices") if name in recipe}
    if "optimizer" in recipe:
        recipe = {"precision": "float32", "mirrored": False} | recipe
        computed["precision"] = recipe["precision"]
    if isinstance(recipe.get("method"), str):
        recipe["method"] = arm_spelling(recipe["method"])
    new.set_json("", "recipe", recipe)
    new.set_json("", "computed_by", computed)


def _checkpoint(old: Tree) -> Tree:
    dropped = ("optimizer/", "optimizer")
    new = Tree(
        old.format,
        {path: data for path, data in old.datasets.items() if not path.startswith(dropped)},
        {path: dict(found) for path, found in old.attributes.items() if not path.startswith(dropped)},
    )
    _recipe(new)
    for name in ("plugin", "plugin_sha256", "source"):
        new.set("", name, "")
    new.set("", "channel_order", "rgb")
    return new


def _embeddings(old: Tree) -> Tree:
    new = Tree(old.format, dict(old.datasets), {path: dict(found) for path, found in old.attributes.items()})
    layer = old.get("", "layer")
    new.set("", "layer", layer.removesuffix(", mirrored"))
    new.set("", "mirrored", int(layer.endswith(", mirrored")))
    new.set("", "source", "")
    return new


def _results(old: Tree) -> Tree:
    groups = _by_group(old)
    runs, found = list[Run](), list[Neighbours]()
    for where, group in _in_order(groups, "runs"):
        values = _Values(group, where)
        if group.get("", "method") == "knn":
            found.append(_neighbours(group, values))
        else:
            runs.append(_run(group, values))
    targets = [_target(group, where) for where, group in _in_order(groups, "targets")]
    record = Results(runs, {t.name: t for t in targets}, old.get_json("", "recipe"), neighbours=found)
    new = results.build_tree(record)  # version 1 identified a run by its name
    new.datasets["ancestry"] = old.datasets["ancestry"]
    new.attributes[""] = {**old.attributes[""], **new.attributes[""]}
    if runs:
        _recipe(new)
    return new


def _by_group(old: Tree) -> dict[str, Tree]:
    """One small tree for each run and each target."""
    groups: dict[str, Tree] = {}
    for path, data in old.datasets.items():
        if path.startswith(("runs/", "targets/")):
            top, name, rest = path.split("/", 2)
            groups.setdefault(f"{top}/{name}", Tree(old.format)).datasets[rest] = data
    for path, attributes in old.attributes.items():
        if path.count("/") == 1:
            groups.setdefault(path, Tree(old.format)).attributes[""] = attributes
    return groups


def _in_order(groups: dict[str, Tree], top: str) -> list[tuple[str, Tree]]:
    found = [(where, group) for where, group in groups.items() if where.startswith(f"{top}/")]
    return sorted(found, key=lambda one: one[1].get("", "position"))


class _Values:
    """The JSON object with a run's further values, each checked for its type when it is taken."""

    def __init__(self, group: Tree, where: str) -> None:
        self._values = group.get_json("", "attributes")
        self._where = where

    def text(self, name: str) -> str:
        return str(self._take(name, lambda value: isinstance(value, str), "a text") or "")

    def count(self, name: str) -> int | None:
        fits = self._take(name, lambda value: type(value) is int and 0 <= value <= MOST_SAMPLES, "a count")
        return None if fits is None else int(fits)

    def share(self, name: str) -> float | None:
        value = self._take(name, lambda value: _is_number(value) and 0 <= value <= 1, "a number from 0 to 1")
        return None if value is None else float(value)

    def number(self, name: str, default: float) -> float:
        value = self._take(name, _is_number, "a number")
        return default if value is None else float(value)

    def object(self, name: str) -> dict[str, Any]:
        return dict(self._take(name, lambda value: isinstance(value, dict), "an object") or {})

    def _take(self, name: str, fits: Any, expected: str) -> Any:
        value = self._values.get(name)
        if value is not None and not fits(value):
            raise TlcliError(
                f"The attribute {name!r} of {self._where} is {value!r:.60}; expected {expected}."
            )
        return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _run(group: Tree, values: _Values) -> Run:
    selection = values.object("selection")
    candidates = selection.get("candidates") if isinstance(selection.get("candidates"), dict) else None
    dropout = values.number("head_dropout", 0.0)
    every = values.number("all_layers", -1)
    every = min(every, MOST_SAMPLES)
    known: dict[str, Any] = {name: group.get("", name) for name in ("method", "dataset", *_RUN_COUNTS)}
    known |= {name: values.text(name) for name in _MORE_TEXTS}
    known |= {name: values.count(name) for name in _MORE_COUNTS}
    known |= {name: values.share(name) for name in _MORE_SHARES}
    return Run(
        **known,
        arm=arm_spelling(group.get("", "arm")),
        architecture_options=values.object("architecture_options"),
        head_dropout=dropout or None,
        all_layers=None if every < 0 else int(every),
        selected=arm_spelling(str(selection.get("arm", ""))),
        selected_on=str(selection.get("on", "")),
        candidates={arm_spelling(a): scores for a, scores in candidates.items()} if candidates else {},
        chosen=values.object("chosen"),
        history=take_series(group, "history"),
        predictions=group.datasets.get("test/predictions", np.zeros(0, np.int64)),
    )


def _neighbours(group: Tree, values: _Values) -> Neighbours:
    curves = group.below("curves")
    ks = curves.get("k", np.zeros(0, np.int64))
    if ks.dtype.kind != "i":
        raise TlcliError(f"{values._where}/curves/k has the type {ks.dtype}; expected int64.")
    cv, test = (np.asarray(curves.get(f"{name}_accuracy", ()), np.float64) for name in ("cv", "test"))
    k = values.count("k")
    if k is None:  # as in files made through the Python API
        k = int(ks[np.argmax(cv)]) if len(cv) == len(ks) > 0 else 0
    measured = group.datasets.get("history/test_accuracy", np.zeros(0))
    if not len(ks) and len(measured):
        ks, test = np.array([k], np.int64), np.asarray(measured[-1:], np.float64)
    elif not len(test) and len(measured):
        test = np.where(ks == k, measured[-1], np.nan)
    layer = values.text("layer")
    return Neighbours(
        dataset=group.get("", "dataset"),
        size=group.get("", "size"),
        k=k,
        layer=layer.removesuffix(", mirrored"),
        mirrored=layer.endswith(", mirrored"),
        metric=values.text("metric") or "euclidean",
        weights=values.text("weights") or "uniform",
        power=values.number("power", 1.0),
        selected_on=values.text("selected_on"),
        left_out=values.count("left_out"),
        base=values.text("base"),
        base_sha256=values.text("base_sha256"),
        ks=ks,
        cv_accuracies=cv,
        test_accuracies=test,
        predictions=group.datasets.get("test/predictions", np.zeros(0, np.int64)),
    )


def _target(group: Tree, where: str) -> Target:
    nothing = np.zeros(0, np.int64)
    return Target(
        where.partition("/")[2],
        group.get("", "content_sha256"),
        group.get("", "train_size"),
        group.datasets["classes/names"],
        group.datasets["test/labels"],
        group.datasets.get("test/source_index", nothing),
        group.get("", "source"),
    )
