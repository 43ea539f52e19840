"""The registers: everything that a user calls by a name, with its owner.

Networks, methods, sources of images, recipes and sections of the report are each kept in a `Register`.
Names come from three places, in this order: the package itself; installed packages that announce entry points
(of the groups below); and files that the user names (`tlcli --with FILE.py`, or the environment variable
TLCLI_WITH). A name has one owner. Code is loaded only if the user names or has installed it; a data file
cannot ask for it.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tlcli.errors import UsageError
from tlcli.text import did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")

GROUPS = ("tlcli.networks", "tlcli.methods", "tlcli.sources", "tlcli.recipes", "tlcli.sections")
"""The groups of entry points. An entry point has the name of the entry and the function that registers it."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Owner:
    """Who registered a name: this package, an installed one, a file given with --with, or a program."""

    kind: str
    """`tlcli`, `package`, `file` or `program`."""
    name: str
    """`tlcli`, `own-network 0.1.0`, `mynet.py`, `__main__`."""
    file: str = ""
    """The path of the code, where there is one."""
    sha256: str = ""
    """The digest of that file."""

    def __str__(self) -> str:
        return {
            "tlcli": "tlcli itself",
            "package": f"the package {self.name}",
            "file": f"the file {self.name}",
        }.get(self.kind, f"the module {self.name}")


OURS = Owner("tlcli", "tlcli")

REGISTERS: list[Register[Any]] = []
PLUGINS: dict[str, Owner] = {}
"""The owners of loaded files and packages, by the name of their module."""


@dataclass(frozen=True)
class _Entry(Generic[T]):
    value: T
    owner: Owner
    module: str
    function: str
    """The function's name: a cell of a notebook that is run again may register it again."""


@dataclass(frozen=True)
class _Family(Generic[T]):
    names: Callable[[], Iterable[str]]
    make: Callable[[str], T]


class Register(Generic[T]):
    """The entries of one kind by name: `register[name]`, `name in register`, `for name in register`.

    Looking up a name imports the plug-in that announces it; listing imports every plug-in.
    """

    def __init__(self, noun: str, group: str, package: str, plural: str = "") -> None:
        """`noun` is what a message calls an entry, `group` that of the entry points, `package` the package
        (whose modules are imported one by one) or module that registers the entries of tlcli's own."""
        self.noun, self.plural, self.group, self.package = noun, plural or f"{noun}s", group, package
        self.problems: dict[str, str] = {}
        """Why a name that an installed package announces cannot be loaded, by name."""
        self._entries: dict[str, _Entry[T]] = {}
        self._families: dict[str, _Family[T]] = {}
        self._announced: dict[str, EntryPoint] = {}
        self._searched = False
        REGISTERS.append(self)

    def add(self, name: str, value: T, function: Any) -> None:
        """Register a value under a name. The module of `function` says who the owner is.

        Raises:
            UsageError: The name is not usable, or another owner has it.
        """
        if not _is_ours(function.__module__):
            self._search()  # tlcli's own entries have their names first
        owner, made_by = _owner(function.__module__), (function.__module__, function.__qualname__)
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"The {self.noun} {name!r} of {owner} has no usable name: "
                "expected letters, digits, dots, dashes and underscores."
            )
        there = self._entries.get(name)
        if there is not None and (there.module, there.function) != made_by:
            raise UsageError(self._conflict_message(name, there.owner, owner))
        announced = self._announced.get(name)
        if announced is not None and _package_of(announced) != owner:
            raise UsageError(self._conflict_message(name, _package_of(announced), owner))
        self._entries[name] = _Entry(value, owner, *made_by)

    def add_family(self, prefix: str, names: Callable[[], Iterable[str]], make: Callable[[str], T]) -> None:
        """Register all names that begin with a prefix such as `keras:`.

        `names` lists the full names, for completion and suggestions. `make` gives the entry of a name and
        raises UsageError if there is none. Iterating over the register leaves these names out.
        """
        self._families[prefix] = _Family(names, make)

    def __getitem__(self, name: str) -> T:
        """The entry of that name.

        Raises:
            UsageError: there is none; the message suggests one.
        """
        self._search()
        for prefix, family in self._families.items():
            if name.startswith(prefix):
                return family.make(name)
        self._load(name)
        if name in self.problems:
            raise UsageError(self.problems[name])
        if name not in self._entries:
            raise UsageError(self._unknown_message(name))
        return self._entries[name].value

    def __contains__(self, name: str) -> bool:
        self._search()
        if name in self._entries or (name in self._announced and name not in self.problems):
            return True
        return any(name in family.names() for p, family in self._families.items() if name.startswith(p))

    def __iter__(self) -> Iterator[str]:
        """Every name that can be loaded, in alphabetical order, without those of families."""
        self._search()
        for name in self._announced:
            self._load(name)
        return iter(sorted(name for name in self._entries if name not in self.problems))

    def values(self) -> list[T]:
        """Every entry, in the order of the names."""
        return [self._entries[name].value for name in self]

    def all_names(self) -> list[str]:
        """Every name, those of families last."""
        return [*self, *(name for family in self._families.values() for name in family.names())]

    def owner(self, name: str) -> Owner:
        """Who registered a name. Those of a family belong to tlcli."""
        self[name]
        return self._entries[name].owner if name in self._entries else OURS

    def plugin(self, name: str) -> tuple[str, str]:
        """The name of the plug-in that an entry comes from, and the SHA-256 of its file.

        Data files record both. Both are empty for tlcli's own entries."""
        owner = self.owner(name)
        if owner is OURS:
            return "", ""
        file = getattr(sys.modules.get(self._entries[name].module), "__file__", None)
        label = Path(file).name if owner.kind == "program" and file else owner.name
        return label, owner.sha256 or (sha256_of(Path(file).read_bytes()) if file else "")

    def require(self, name: str, plugin: str, sha256: str, path: str) -> T:
        """The entry that a file asks for.

        Args:
            name: Of the entry.
            plugin: The name of the plug-in that the file was made with, empty for none.
            sha256: The plug-in's digest then.
            path: What messages call the file.

        Raises:
            UsageError: The entry does not exist, or the plug-in has another version.
        """
        if not plugin:
            return self[name]
        made = f"{path} was made {_with(plugin)}{f' ({sha256[:8]}...)' if sha256 else ''}"
        if name not in self:
            raise UsageError(f"There is no {self.noun} {name!r}; {made}.{_how_to_get(plugin)}")
        here, digest = self.plugin(name)
        if digest != sha256:
            there = (
                f"{here} here is another version ({digest[:8]}...)" if here else f"{name!r} is tlcli's own"
            )
            raise UsageError(f"{made}; {there}. Use the version it was made with, or make the file again.")
        return self[name]

    def has_any(self, owner: Owner) -> bool:
        """Whether an owner has registered anything here."""
        return any(entry.owner == owner for entry in self._entries.values())

    def forget(self, owner: Owner) -> int:
        """Remove the entries of an owner; returns their number."""
        names = [name for name, entry in self._entries.items() if entry.owner == owner]
        for name in names:
            del self._entries[name]
        return len(names)

    def _search(self) -> None:
        """Register tlcli's own entries and note the names that installed packages announce, at the first
        call."""
        if self._searched:
            return
        self._searched = True
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(getattr(package, "__path__", [])):
            importlib.import_module(f"{package.__name__}.{module.name}")
        for point in _entry_points()[self.group]:
            there = self._entries.get(point.name)
            other = there.owner if there else None
            if point.name in self._announced:
                other = _package_of(self._announced[point.name])
            if other is None or other == _package_of(point):
                self._announced[point.name] = point
            else:
                self.problems[point.name] = self._conflict_message(point.name, other, _package_of(point))

    def _load(self, name: str) -> None:
        """Import the installed package that announces a name. A failure is noted in `problems`."""
        if name not in self._announced or name in self._entries or name in self.problems:
            return
        point, owner = self._announced[name], _package_of(self._announced[name])
        try:
            point.load()
        except (Exception, SystemExit) as error:
            reason = f"{type(error).__name__}: {first_line(error)}"
            self.problems[name] = f"The {self.noun} {name!r} of {owner} cannot be loaded ({reason})."
        else:
            if name not in self._entries:
                self.problems[name] = (
                    f"The {self.noun} {name!r} is announced by {owner}, which registers none of that name."
                )

    def _conflict_message(self, name: str, first: Owner, second: Owner) -> str:
        return (
            f"The {self.noun} {name!r} belongs to {first}; {second} registers another of that name. "
            "Rename one of them."
        )

    def _unknown_message(self, name: str) -> str:
        if name.endswith(".py"):
            return (
                f"{name!r} is a file; expected the name of a {self.noun} that it registers.\n"
                f"Load it first (`with` {name}) and give that name; `tlcli plugins` lists it."
            )
        near = did_you_mean(name, self.all_names())
        return f"There is no {self.noun} {name!r}." + (near or f" There are {', '.join(self)}.")


def first_line(error: BaseException) -> str:
    """The first line of an error's message, short and without a full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".")[:200] if lines else "no message"


@lru_cache(maxsize=1)
def _entry_points() -> dict[str, list[EntryPoint]]:
    """The entry points of installed packages, by group."""
    from importlib.metadata import entry_points

    everything = entry_points()
    found = {
        group: sorted(everything.select(group=group), key=lambda point: (point.name, point.value))
        for group in GROUPS
    }
    for point in (point for points in found.values() for point in points):
        PLUGINS.setdefault(point.module.partition(".")[0], _package_of(point))
    return found


def _package_of(point: EntryPoint) -> Owner:
    dist = point.dist
    return Owner("package", f"{dist.name} {dist.version}" if dist else point.module.partition(".")[0])


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "tlcli"


def _owner(module: str) -> Owner:
    """The owner of a module."""
    if _is_ours(module):
        return OURS
    return PLUGINS.get(module) or PLUGINS.get(module.partition(".")[0]) or Owner("program", module)


def _with(plugin: str) -> str:
    if plugin.endswith(".py"):
        return f"`with` {plugin}"
    return "in a notebook" if plugin == "__main__" else f"with the package {plugin}"


def _how_to_get(plugin: str) -> str:
    if plugin.endswith(".py"):
        return f" Load it first (`with` {plugin})."
    return "" if plugin == "__main__" else " Install it."


def sha256_of(data: bytes) -> str:
    """The digest of a file's bytes, as text."""
    import hashlib

    return hashlib.sha256(data).hexdigest()


def keyword_options(function: Any) -> dict[str, Any]:
    """The keyword-only arguments of a function and their defaults: the options of what it makes.

    Raises:
        UsageError: one has no default.
    """
    import inspect

    found = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            if parameter.default is inspect.Parameter.empty:
                raise UsageError(
                    f"{function.__name__}: the option {parameter.name!r} needs a default value "
                    f"({parameter.name}=...)."
                )
            found[parameter.name] = parameter.default
    return found
