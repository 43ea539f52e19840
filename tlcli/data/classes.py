"""Class expressions: `0-5`, `0,3,7-9`, `cat,dog`, `random:5`, `except:FILE`, `all`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence

from tlcli.data.sampling import generator
from tlcli.errors import TlcliError, UsageError
from tlcli.store.records import Checkpoint, Dataset, Embeddings, Record

_RANDOM_STREAM = 3
_NUMBER = re.compile(r"[0-9]{1,9}")
_RANGE = re.compile(r"([0-9]{1,9})\s*-\s*([0-9]{1,9})")
_ITEM = re.compile(r"""\s*(?:"((?:[^"]|"")*)"|'((?:[^']|'')*)'|([^,]*?))\s*(?:,|$)""")

HeldByFile = Callable[[str], Mapping[int, str]]


def parse(
    expression: str,
    class_names: Sequence[str],
    *,
    seed: int = 0,
    held_by_file: HeldByFile | None = None,
    class_numbers: Sequence[int] | None = None,
) -> list[int]:
    """The published numbers of the classes that the expression names, ascending, each once.

    Items are separated by commas: a number, a range of numbers, or a name. A name with a comma, a name that
    looks like a number or begins like `random:` stands in quotes, a quote in it doubled; any class can be
    had by its number. `all` is every class; `random:N` draws N of them from the seed; `except:FILE` is
    every class that FILE does not hold, so that the two are exact complements. `class_numbers` defaults to
    0...n-1; `held_by_file` gives the classes that a file holds, names by number. Raises UsageError saying
    what there is, TlcliError for a file whose classes are others.
    """
    numbers = list(class_numbers) if class_numbers is not None else list(range(len(class_names)))
    text = expression.strip()
    if text == "all":
        return sorted(numbers)
    if text.startswith("random:"):
        return _draw(text.removeprefix("random:"), numbers, seed)
    if text.startswith("except:"):
        names = dict(zip(numbers, class_names, strict=True))
        return _complement(text.removeprefix("except:").strip(), names, held_by_file or HeldBy())
    chosen: set[int] = set()
    for item, quoted in _items(text):
        chosen.update(_resolve(item, quoted, class_names, numbers))
    return sorted(chosen)


class HeldBy:
    """Reads which classes a file holds, for `parse`; keeps what it read in `records`, for provenance."""

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
                f"expected a file cut from {self.source}"
            )
        self.records.append(record)
        return dict(zip(record.class_original.tolist(), record.class_names, strict=True))


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """` (did you mean ...?)`, or nothing where no name is close."""
    folded = {n.casefold(): n for n in names}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return f" (did you mean {folded[close[0]]!r}?)" if close else ""


def _draw(text: str, numbers: list[int], seed: int) -> list[int]:
    if not _NUMBER.fullmatch(text.strip()) or not 1 <= int(text) <= len(numbers):
        raise UsageError(f"random:{text}: expected a number of classes from 1 to {len(numbers)}")
    drawn = generator(seed, _RANDOM_STREAM).choice(len(numbers), int(text), replace=False)
    return sorted(sorted(numbers)[i] for i in drawn)


def _complement(path: str, names: Mapping[int, str], held_by_file: HeldByFile) -> list[int]:
    if not path:
        raise UsageError("except: expected the name of a tlcli file after it, for example except:a.h5")
    held = held_by_file(path)
    for number, name in sorted(held.items()):
        if number not in names:
            raise TlcliError(
                f"{path} holds class {number}, which this dataset does not have: "
                "expected a file cut from the same dataset"
            )
        if name != names[number]:  # all that tells of which set the classes of a checkpoint are
            raise TlcliError(
                f"{path} holds class {number} as {name!r:.100}, which is {names[number]!r:.100} "
                "in this dataset: expected a file cut from the same dataset"
            )
    rest = sorted(names.keys() - held.keys())
    if not rest:
        raise TlcliError(f"{path} holds all {len(names)} classes: nothing is left")
    return rest


def _items(text: str) -> list[tuple[str, bool]]:
    """The items of a list, and whether each was quoted."""
    items: list[tuple[str, bool]] = []
    position, more = 0, True
    while more:
        match = _ITEM.match(text, position)
        assert match is not None  # the last alternative takes anything
        double, single, plain = match.groups()
        item = (double or "").replace('""', '"') or (single or "").replace("''", "'") or plain
        if not item:
            raise UsageError(
                f"classes {text!r}: an item is empty; expected for example 0-5 or 0,3,7-9 or cat,dog"
            )
        items.append((item, plain is None))
        position, more = match.end(), match[0].endswith(",")
    return items


def _resolve(item: str, quoted: bool, names: Sequence[str], numbers: list[int]) -> list[int]:
    """A bare number or range goes by number, unless only a name fits; all else goes by name."""
    by_name = [numbers[names.index(item)]] if item in names else []
    span = _RANGE.fullmatch(item)
    if quoted or not (span or _NUMBER.fullmatch(item)):
        if not by_name:
            raise UsageError(
                f"there is no class {item!r}{did_you_mean(item, names)}: {_what_exists(names, numbers)}"
            )
        return by_name
    first, last = (int(span[1]), int(span[2])) if span else (int(item), int(item))
    if first > last:
        raise UsageError(f"the range {item} runs backwards: expected {last}-{first}")
    found = [number for number in numbers if first <= number <= last]
    if by_name and not found:
        return by_name
    if len(found) != last - first + 1:
        missing = next(n for n in range(first, last + 1) if n not in set(found))
        raise UsageError(f"there is no class {missing}: {_what_exists(names, numbers)}")
    return found


def _what_exists(names: Sequence[str], numbers: Sequence[int], shown: int = 12) -> str:
    pairs = sorted(zip(numbers, names, strict=True))
    listed = ", ".join(name if name == str(number) else f"{number} {name}" for number, name in pairs[:shown])
    more = f", ... {len(pairs)} in all (to {pairs[-1][0]} {pairs[-1][1]})" if len(pairs) > shown else ""
    return f"the classes are {listed}{more}"
