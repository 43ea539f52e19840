"""Every message of an error, a warning or a note, read once for its grammar."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import tlcli
from tlcli.cli import flags
from tlcli.cli.commands import SUMMARIES
from tlcli.cli.flags import with_flags
from tlcli.data.source import show

SENTENCES = {"TlcliError", "UsageError", "Interrupted", "note", "warn", "tell_output", "_say"}
"""Functions and errors that take whole sentences; so does `append` of a list in `LISTS`."""

CLAUSES = {"UnsafeError", "UnsafePickleError", "UnreadableError"}
"""Errors that take a reason, for another message after a colon: without capital and full stop."""

LISTS = {"notes", "warnings"}

VERBS = set(
    re.findall(
        r"\w+",
        """
        is are was has have had do does did can cannot could may must would belongs claims
        classifies come comes computes copies declares describes differ diverged ends exists
        expected failed fit fits flatters freezes gave given gives goes got hold holds keeps lacks
        leads lie lies loads loses measured mixes names need needs passes prints ranks reach reaches
        reads received refers registers runs says sees sends sets shows solves stays stopped
        stopping stores takes uses writes wrote check choose copy download free give go import
        install keep lower make move name pack pipe put raise read remove rename run save say see
        split take try use write
        """,
    )
)
"""Forms of verbs, one of which every sentence has: those that tell, and those that advise."""

FILLER = "Thing"

MODULES = {path: ast.parse(path.read_text()) for path in sorted(Path(tlcli.__file__).parent.rglob("*.py"))}

FUNCTIONS: dict[str, list[ast.FunctionDef]] = {}
for found in (n for module in MODULES.values() for n in ast.walk(module)):
    if isinstance(found, ast.FunctionDef) and (found.returns is None or "str" in ast.unparse(found.returns)):
        FUNCTIONS.setdefault(found.name, []).append(found)


def texts(node: ast.AST, module: ast.Module, depth: int = 3) -> Iterator[str]:
    """The texts that an expression may be, with a word in place of what is filled in.

    A call is followed to what functions of that name return, a name to what is assigned to it in the module.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield from joined(node.values, module)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from joined([node.left, node.right], module)
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body, module, depth)
        yield from texts(node.orelse, module, depth)
    elif isinstance(node, ast.Starred):
        yield from texts(node.value, module, depth)
    elif isinstance(node, ast.Tuple):
        for element in node.elts:
            yield from texts(element, module, depth)
    elif depth and isinstance(node, ast.Name | ast.Call):
        yield from found_elsewhere(node, module, depth - 1)


def joined(parts: list[ast.expr], module: ast.Module) -> Iterator[str]:
    """The parts of an f-string or a sum, with every alternative of a conditional one."""
    whole = [""]
    for part in parts:
        inner = part.value if isinstance(part, ast.FormattedValue) else part
        literal = isinstance(inner, ast.Constant | ast.JoinedStr | ast.BinOp | ast.IfExp)
        options = (list(texts(inner, module, 0)) if literal else []) or [filler(inner)]
        whole = [before + option for before in whole for option in options]
    yield from whole


def filler(node: ast.expr) -> str:
    """A word for a value, with what a call is given as text: `plural(n, "run has")` is "Thing run has"."""
    given = node.args[1:2] if isinstance(node, ast.Call) else []
    return " ".join([FILLER, *(str(a.value) for a in given if isinstance(a, ast.Constant) and a.value)])


def found_elsewhere(node: ast.Name | ast.Call, module: ast.Module, depth: int) -> Iterator[str]:
    if isinstance(node, ast.Name):
        assigned = [n for n in ast.walk(module) if isinstance(n, ast.Assign)]
        made = [n.value for n in assigned if any(node.id in names_in(t) for t in n.targets)]
    else:
        functions = FUNCTIONS.get(name_of(node.func), [])
        returns = [n for f in functions for n in ast.walk(f) if isinstance(n, ast.Return)]
        made = [n.value for n in returns if n.value is not None]
    for value in made:
        yield from texts(value, module, depth)


def names_in(target: ast.expr) -> set[str]:
    """The names that an assignment gives values to: one, or those of a tuple."""
    return {name_of(part) for part in getattr(target, "elts", [target])}


def name_of(node: ast.expr | None) -> str:
    """The last part of a dotted name."""
    return getattr(node, "attr", getattr(node, "id", ""))


def messages(wanted: set[str], lists: set[str]) -> Iterator[tuple[str, str]]:
    """Each message of the package and where it stands."""
    for path, module in MODULES.items():
        for node in (n for n in ast.walk(module) if isinstance(n, ast.Call)):
            name = name_of(node.func)
            listed = name == "append" and name_of(getattr(node.func, "value", None)) in lists
            if listed or name in wanted:
                before = f"{FILLER} " if name == "tell_output" else ""
                for argument in node.args[:2]:
                    for text in texts(argument, module):
                        if text.strip() and text[0] != " ":  # not what is added to a message
                            yield f"{path.name}:{node.lineno}", before + text


def faults(text: str) -> Iterator[str]:
    """The faults of grammar in a message or a part of one."""
    slips = {
        "a before a vowel": r"\ba (?!one|uni|us[eu]|eu)[aeiou]",
        "an before a consonant": r"\ban (?![aeiouAEIOU]|hour|HDF5|npz|\.|MNIST|L2|[A-Z]{2,})(?!Thing)",
        "a doubled word": r"\b(?!Thing)(\w+) \1\b",
        "a doubled stop or blank": r"(?<!\.)\.\.(?!\.)|  |,,|\?\.|:\.",
        "a blank before a stop": r" [.,;:?!](?![\w/.])",
        "`is no` for `is not`": r"(?<![Tt]here )\b(is|are) no\b",
    }
    for what, slip in slips.items():
        if re.search(slip, text):
            yield what


def faults_of_sentence(text: str) -> Iterator[str]:
    yield from faults(text)
    if not re.match(rf"{FILLER}|[A-Z'`]|--|-o|scikit-learn|tlcli|[a-z_]+ ?[:=]|stdin|stdout|\w+\.\w+", text):
        yield "no capital"
    if not re.search(rf"(\.|\?|{FILLER})$|^Next: |\n  {FILLER}$", text):
        yield "no full stop"
    for sentence in re.split(r"(?<=[.?])\s+", text.replace("...", "")):
        words = re.findall(r"[A-Za-z']+", sentence.replace(FILLER, " "))
        if len(words) > 2 and not {w.lower() for w in words} & VERBS:
            yield f"no verb in {sentence!r}"


def test_messages_are_sentences():
    found = dict.fromkeys(messages(SENTENCES, LISTS))
    assert len(found) > 500
    wrong = [f"{place}: {fault}: {text}" for place, text in found for fault in faults_of_sentence(text)]
    assert not wrong, "\n".join(wrong)


def test_reasons_go_on_behind_a_colon():
    found = dict.fromkeys(messages(CLAUSES, set()))
    assert len(found) > 40
    wrong = [f"{place}: {fault}: {text}" for place, text in found for fault in faults(text)]
    wrong += [f"{p}: a full stop: {t}" for p, t in found if t.endswith(".")]
    wrong += [f"{p}: a capital: {t}" for p, t in found if re.match(rf"(?!{FILLER}|HDF5)[A-Z]", t)]
    assert not wrong, "\n".join(wrong)


def test_the_library_names_no_options():
    """A program that calls the library has parameters, `ema`; the command line shows them as --ema."""
    package = Path(tlcli.__file__).parent

    allowed = {
        "page_style.py",
        "headline.py",
    }  # style sheets have variables; recorded commands are taken apart
    wrong = []
    for path, module in MODULES.items():
        if path.is_relative_to(package / "cli") or path.name in allowed:
            continue
        docstrings = {id(n.value) for n in ast.walk(module) if isinstance(n, ast.Expr)}
        literals = (n for n in ast.walk(module) if isinstance(n, ast.Constant) and isinstance(n.value, str))
        wrong += [
            f"{path.relative_to(package)}:{n.lineno}: {n.value}"
            for n in literals
            if id(n) not in docstrings and re.search(r"(?<![\w-])--[a-z]|\b(give|another) -o\b", n.value)
        ]
    assert not wrong, "\n".join(wrong)


def test_the_command_line_shows_options(monkeypatch):
    monkeypatch.setattr(flags, "RUNNING", ["transfer"])
    text = "`batch_size` 8 with `image_size` 32 and `weights` of `with`."
    assert (
        with_flags(text)
        == "--batch-size 8 with tlcli split --image-size 32 and tlcli knn --weights of --with."
    )


def test_parameters_in_messages_exist():
    """Each name in back quotes is an option of some command, which a user can give."""
    every = {name for command in SUMMARIES for name in flags.options_of(command)} | {"with"}
    named = {name for place, text in messages(SENTENCES, LISTS) for name in re.findall(r"`([a-z]\w*)`", text)}
    assert len(named) > 30
    others = {"file", "label", "group", "probe", "to_dataframe"}  # columns, a method's option, a function
    assert not named - every - others


def test_a_name_is_never_empty():
    assert show("") == "."  # as of the folders `/` and `.`
