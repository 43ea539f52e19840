"""The usual names of arrays of images and labels, and of files that hold one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tlcli.data.parts import NEUTRAL, UNLABELLED, part_of, words_of

IMAGES, LABELS = "images", "labels"

_ROLES = {
    IMAGES: ("images", "image", "imgs", "img", "x", "data", "features", "pixels", "inputs"),
    LABELS: ("labels", "label", "y", "t", "targets", "target"),
}
"""Words for a role, the preferred first: scikit-learn's `images` before its `data`."""

CLASS_NAMES = ("class_names", "classes", "label_names", "names", "target_names", "list_classes")

_SHORT = {"tr": "train", "te": "test", "va": "validation"}
"""Names of parts in names of arrays only (`Xtr`)."""
_STUCK = re.compile(
    "(?:([xyt])({0})|({0})([xyt]|{1}))".format(
        "train|test|valid|val|trn|tst|tr|te|va", "|".join(word for role in _ROLES.values() for word in role)
    )
)
"""`xtrain`, `trainy`, `trainlabels`."""
_POSITIONAL = re.compile(r"arr_(\d{1,3})")
_UNKNOWN = len(_ROLES[IMAGES])


@dataclass(frozen=True)
class ArrayName:
    """The meaning of the name of an array."""

    role: str
    part: str
    """Empty if it names none."""
    rank: int
    rest: tuple[str, ...]
    """Its other words."""


def read_name(name: str) -> ArrayName | None:
    """The meaning of a name such as `x_train`, `trainX`, `Xtr`, `train_set_y`, `dataset/test/images`; or
    None."""
    words: list[str] = []
    for word in words_of(name):
        stuck = _STUCK.fullmatch(word)
        words += [piece for piece in stuck.groups() if piece] if stuck else [word]
    parts = [(word, _SHORT.get(word) or (part_of(word) or ("",))[0]) for word in words]
    known = {part for _, part in parts if part}
    rest = [word for word, part in parts if not part]
    if len(known) > 1 or known == {UNLABELLED}:
        return None
    for role in (LABELS, IMAGES):
        ranks = [_ROLES[role].index(word) for word in rest if word in _ROLES[role]]
        if ranks:
            other = tuple(w for w in rest if w not in _ROLES[role] and w not in NEUTRAL)
            return ArrayName(role, "".join(known), min(ranks), other)
    if known and all(word in NEUTRAL for word in rest):  # `train_dataset` beside `train_labels`
        return ArrayName(IMAGES, "".join(known), _UNKNOWN, ())
    return None


@dataclass
class NamedArrays:
    """The arrays of each part (empty: the whole), and notes on the choice for the user."""

    images: dict[str, str]
    labels: dict[str, str]
    notes: list[str]


def choose_by_name(held: Iterable[str]) -> NamedArrays:
    """The images and labels of each part among some arrays, as far as their names say it."""
    chosen = NamedArrays({}, {}, [])
    found: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for key in held:
        named = read_name(key) if key.lower() not in CLASS_NAMES else None
        if named is not None and not named.rest:
            found.setdefault((named.role, named.part), []).append((named.rank, key))
    for (role, part), ranked in sorted(found.items()):
        ranked.sort()
        by_part = chosen.images if role == IMAGES else chosen.labels
        if len(ranked) > 1 and ranked[0][0] == ranked[1][0]:
            continue  # two fit equally: take neither
        by_part[part] = ranked[0][1]
        if len(ranked) > 1:
            others = ", ".join(key for _, key in ranked[1:])
            chosen.notes.append(f"The {part + ' ' if part else ''}{role} are {ranked[0][1]} (not {others}).")
    return chosen


def positional_names(held: Sequence[str]) -> list[str]:
    """The names `arr_0`, `arr_1`, ... in order, if all have this form; else none."""
    numbers = {int(match[1]): key for key in held if (match := _POSITIONAL.fullmatch(key))}
    return [numbers[n] for n in sorted(numbers)] if numbers and len(numbers) == len(held) else []
