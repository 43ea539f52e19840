"""The usual names of the parts of a data set, as folders, files and arrays."""

from __future__ import annotations

import re
from collections.abc import Iterable

PARTS = ("train", "validation", "test")

UNLABELLED = "unlabelled"
"""The answer of `part_of` for images that are published without labels."""

_WORDS = {
    "train": ("train", "training", "trn"),
    "validation": ("validation", "validate", "valid", "val", "dev", "development"),
    "test": ("test", "testing", "tst", "t10k", "eval", "evaluation"),
    UNLABELLED: ("pred", "predict", "prediction", "unlabeled", "unlabelled"),
}
_PART_OF = {word: part for part, words in _WORDS.items() for word in words}

_NEUTRAL = """
set sets data dataset datasets image images img imgs picture pictures photo photos pic pics split splits part
folder folders dir file files sample samples digit digits
"""
NEUTRAL = frozenset(_NEUTRAL.split())
"""Words beside the name of a part that add no meaning."""

_COMPOUND = re.compile(
    "({})({})".format(*("|".join(sorted(words, key=len, reverse=True)) for words in (_PART_OF, NEUTRAL)))
)


def words_of(name: str) -> list[str]:
    """The words of a name in lower case: `Training_set`, `trainX` and `testset` have two each.

    Numbers are left out, except within a word that is known (`t10k`).
    """
    words: list[str] = []
    for piece in re.split(r"[\W_]+", name):
        if piece.lower() in _PART_OF:
            words.append(piece.lower())
            continue
        for word in re.findall(r"[^\W\d_]+", piece):
            for step in re.sub(r"(?<=[^\WA-Z\d_])(?=[A-Z])", " ", word).split():
                lower = step.lower()
                compound = _COMPOUND.fullmatch(lower)
                words += compound.groups() if compound else [lower]
    return words


def part_of(name: str) -> tuple[str, tuple[str, ...]] | None:
    """The part in a name, and its other words without the neutral ones; None if it names no part.

    `seg_train` is ("train", ("seg",)), `test_set` is ("test", ()), `train_to_test` names no part.
    """
    words = words_of(name)
    found = [word for word in words if word in _PART_OF]
    if len(found) != 1:
        return None
    return _PART_OF[found[0]], tuple(w for w in words if w != found[0] and w not in NEUTRAL)


def assign(names: Iterable[str]) -> dict[str, list[str]]:
    """The names of the parts of one set, by part.

    Names of one set differ only in the word for the part: `seg_train` goes with `seg_test`, `train_station`
    not with `test_tube`. Of several such groups, the one with the most parts is chosen, if it has a training
    part. An evaluation part is the test part if there is no other, else the validation part.
    """
    groups: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for name in names:
        if (found := part_of(name)) is not None:
            groups.setdefault(found[1], {}).setdefault(found[0], []).append(name)
    with_training = [group for group in groups.values() if "train" in group]
    if not with_training:
        return {}
    best = max(with_training, key=len)
    evaluation = [n for n in best.get("test", ()) if {"eval", "evaluation"} & set(words_of(n))]
    if len(best.get("test", ())) > len(evaluation) > 0 and "validation" not in best:
        best["test"] = [name for name in best["test"] if name not in evaluation]
        best["validation"] = evaluation
    return best
