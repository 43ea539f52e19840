"""Class expressions: `0-5`, `0,3,7-9`, `cat,dog`, `cat+dog,horse`, `random:5`, `except:FILE`, `all`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tlcli.data.sampling import generator
from tlcli.errors import TlcliError, UsageError
from tlcli.ranges import parse_range
from tlcli.store.records import Checkpoint, Dataset, Embeddings, Record
from tlcli.text import did_you_mean

_RANDOM_STREAM = 3
_NUMBER = re.compile(r"[0-9]{1,9}")
_PIECE = re.compile(r"""\s*(?:"((?:[^"]|"")*)"|'((?:[^']|'')*)'|([^,+]*?))\s*(?:[,+]|$)""")
_PLAIN = re.compile(r"\s*([^,]*?)\s*(?:,|$)")

HeldByFile = Callable[[str], Mapping[int, str]]
"""A function that gives the names of the classes in a file, by number."""

ClassNumbers = int | tuple[int, ...]
"""The published number of a class, or those of several that are merged into one."""


@dataclass(frozen=True)
class ClassExpression:
    """The classes that `--classes` asks for.

    An item is a number, a range of numbers, or a name; commas separate items, and a + merges several into one
    class. Quotes surround a name with a comma or a plus, one that looks like a number or begins like
    `random:`; a quote in it is doubled. Every class has a number. `all` means every class; `random:N` draws
    N of them from the seed; `except:FILE` means every class that FILE does not hold, its exact complement.
    """

    text: str

    @property
    def file(self) -> str | None:
        """The file after `except:`."""
        text = self.text.strip()
        return text.removeprefix("except:").strip() if text.startswith("except:") else None

    @property
    def random_part(self) -> str | None:
        """The text after `random:`."""
        text = self.text.strip()
        return text.removeprefix("random:") if text.startswith("random:") else None

    @property
    def recorded_text(self) -> str:
        """The form that files record: the path of a file without its folder."""
        return self.text if not self.file else f"except:{Path(self.file).name or self.file}"

    def resolve(
        self,
        class_names: Sequence[str],
        *,
        seed: int = 0,
        held_by_file: HeldByFile | None = None,
        class_numbers: Sequence[int] | None = None,
    ) -> list[ClassNumbers]:
        """The published numbers of the classes, ascending, each once; merged ones as a tuple.

        `class_numbers` defaults to 0...n-1. Raises UsageError, which says what there is, for unknown classes;
        TlcliError for a file with other classes, and for `all` if there is only one class.
        """
        numbers = list(class_numbers) if class_numbers is not None else list(range(len(class_names)))
        if self.text.strip() == "all":
            if len(numbers) < 2:
                raise TlcliError(
                    f"There is only one class, {class_names[0]!r:.100}: expected two or more. To take it "
                    "alone, name it with `classes`."
                )
            return [*sorted(numbers)]
        if self.random_part is not None:
            return [*_draw(self.random_part, numbers, seed)]
        if self.file is not None:
            names = dict(zip(numbers, class_names, strict=True))
            return [*_complement(self.file, names, held_by_file or HeldBy())]
        chosen: set[ClassNumbers] = set()
        for pieces in _items(self.text.strip(), class_names):
            found = [n for piece, quoted in pieces for n in _resolve(piece, quoted, class_names, numbers)]
            chosen |= {tuple(sorted(set(found)))} if len(pieces) > 1 else set(found)
        return sorted(chosen, key=lambda c: c if isinstance(c, tuple) else (c,))


class HeldBy:
    """Read the classes that a file holds, for `resolve`; keep the records read, for provenance."""

    def __init__(self, source: str = "") -> None:
        """`source`: the published set being cut; a dataset of another one is refused."""
        self.source = source
        self.records: list[Record] = []

    def __call__(self, path: str) -> dict[int, str]:
        from tlcli import store

        record = store.read_any(path, (Dataset, Checkpoint, Embeddings))
        assert isinstance(record, Dataset | Checkpoint | Embeddings)
        other = getattr(record, "source", "")
        if self.source and other and other != self.source:
            raise TlcliError(
                f"{path} holds classes of {other}, not of {self.source}: "
                f"expected a file cut from {self.source}."
            )
        self.records.append(record)
        return dict(zip(record.class_original.tolist(), record.class_names, strict=True))


def _split_merged(held: Mapping[int, str], names: Mapping[int, str]) -> dict[int, str]:
    """The classes that a file holds, with each merged class split into its classes."""
    number_of = {name: number for number, name in names.items()}
    found: dict[int, str] = {}
    for number, name in held.items():
        pieces = name.split("+")
        if name not in number_of and len(pieces) > 1 and all(piece in number_of for piece in pieces):
            found |= {number_of[piece]: piece for piece in pieces}
        else:
            found[number] = name
    return found


def _draw(text: str, numbers: list[int], seed: int) -> list[int]:
    if not _NUMBER.fullmatch(text.strip()) or not 1 <= int(text) <= len(numbers):
        raise UsageError(f"`classes` random:{text}: expected a number of classes from 1 to {len(numbers)}.")
    drawn = generator(seed, _RANDOM_STREAM).choice(len(numbers), int(text), replace=False)
    return sorted(sorted(numbers)[i] for i in drawn)


def _complement(path: str, names: Mapping[int, str], held_by_file: HeldByFile) -> list[int]:
    if not path:
        raise UsageError(
            "`classes` except: expected the name of a tlcli file after it, for example except:a.h5."
        )
    held = _split_merged(held_by_file(path), names)
    for number, name in sorted(held.items()):
        if number not in names:
            raise TlcliError(
                f"{path} holds class {number}, which this dataset does not have: "
                "expected a file cut from the same dataset."
            )
        if name != names[number]:  # only the name says which set a checkpoint's classes are from
            raise TlcliError(
                f"{path} holds class {number} as {name!r:.100}, which is {names[number]!r:.100} "
                "in this dataset: expected a file cut from the same dataset."
            )
    rest = sorted(names.keys() - held.keys())
    if not rest:
        raise TlcliError(f"{path} holds all {len(names)} classes: nothing is left.")
    return rest


def _items(text: str, names: Sequence[str]) -> list[list[tuple[str, bool]]]:
    """The pieces of each item of a list, and whether each was quoted. A name may have a plus of its own."""
    items: list[list[tuple[str, bool]]] = []
    position, more = 0, True
    while more:
        whole = _PLAIN.match(text, position)
        assert whole is not None  # it takes anything up to a comma
        if "+" in whole[1] and whole[1] in names:
            items.append([(whole[1], True)])
            position, more = whole.end(), whole[0].endswith(",")
            continue
        pieces: list[tuple[str, bool]] = []
        end = "+"
        while end == "+":
            match = _PIECE.match(text, position)
            assert match is not None  # the last alternative takes anything
            double, single, plain = match.groups()
            piece = (double or "").replace('""', '"') or (single or "").replace("''", "'") or plain
            if not piece:
                raise UsageError(
                    f"`classes` {text!r}: an item is empty; expected for example 0-5, 0,3,7-9, cat,dog or "
                    "cat+dog."
                )
            pieces.append((piece, plain is None))
            position, end = match.end(), match[0][-1:]
        items.append(pieces)
        more = end == ","
    return items


def _resolve(item: str, quoted: bool, names: Sequence[str], numbers: list[int]) -> list[int]:
    """Read an unquoted number or range as numbers, unless only a name fits; read all else as a name."""
    by_name = [numbers[names.index(item)]] if item in names else []
    span = None if quoted else parse_range(item, "classes")
    if not span:
        if not by_name:
            raise UsageError(
                f"There is no class {item!r}: {_what_exists(names, numbers)}.{did_you_mean(item, names)}"
            )
        return by_name
    first, last = span
    found = [number for number in numbers if first <= number <= last]
    if by_name and not found:
        return by_name
    if len(found) != last - first + 1:
        missing = next(n for n in range(first, last + 1) if n not in set(found))
        raise UsageError(f"There is no class {missing}: {_what_exists(names, numbers)}.")
    return found


def _what_exists(names: Sequence[str], numbers: Sequence[int], shown: int = 12) -> str:
    pairs = sorted(zip(numbers, names, strict=True))
    listed = ", ".join(name if name == str(number) else f"{number} {name}" for number, name in pairs[:shown])
    more = f", ... {len(pairs)} in all (to {pairs[-1][0]} {pairs[-1][1]})" if len(pairs) > shown else ""
    return f"the classes are {listed}{more}"
