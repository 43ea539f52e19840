"""Class expressions."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlcli import store
from tlcli.data import load_source, split
from tlcli.data.classes import ClassExpression, HeldBy
from tlcli.errors import TlcliError, UsageError
from tlcli.store import EmbeddingPart, Embeddings


def parse(expression, names, **options):
    return ClassExpression(expression).resolve(names, **options)


DIGITS = [str(d) for d in range(10)]
NAMES = [
    "cat",
    "dog",
    "T-shirt/top",
    "red, round",
    'the "big" one',
    "it's",
    "Žluťoučký kůň",
    "random:2",
    "7",
    "a-b",
]


@pytest.mark.parametrize(
    ("expression", "numbers"),
    [
        ("0-5", [0, 1, 2, 3, 4, 5]),
        ("0,3,7-9", [0, 3, 7, 8, 9]),
        (" 9 , 3 - 4, 3", [3, 4, 9]),
        ("all", list(range(10))),
        ("random:10", list(range(10))),
    ],
)
def test_numbers(expression, numbers):
    assert parse(expression, DIGITS) == numbers


@pytest.mark.parametrize(
    ("expression", "numbers"),
    [
        ("dog,cat", [0, 1]),
        ("T-shirt/top,a-b", [2, 9]),
        ('"red, round",cat', [0, 3]),
        ('"the ""big"" one"', [4]),
        ('the "big" one', [4]),
        ("'it''s',it's", [5]),
        ("Žluťoučký kůň", [6]),
        ("'random:2'", [7]),
        ("7,'7'", [7, 8]),
        ("0-1,a-b", [0, 1, 9]),
    ],
)
def test_names(expression, numbers):
    assert parse(expression, NAMES) == numbers


@given(
    st.lists(st.text(min_size=1).filter(lambda t: t == t.strip()), min_size=1, max_size=8, unique=True),
    st.data(),
)
def test_every_name_can_be_quoted(names, data):
    chosen = data.draw(st.sets(st.sampled_from(range(len(names))), min_size=1))
    expression = ", ".join('"' + names[i].replace('"', '""') + '"' for i in chosen)
    assert parse(expression, names) == sorted(chosen)


@given(st.text(max_size=30))
def test_any_text_is_understood_or_refused(text):
    with contextlib.suppress(UsageError):
        numbers = parse(text, NAMES, held_by_file=lambda _: {1: NAMES[1]})
        assert numbers
        flat = [n for c in numbers for n in (c if isinstance(c, tuple) else (c,))]
        assert numbers == sorted(set(numbers), key=lambda c: c if isinstance(c, tuple) else (c,))
        assert set(flat) <= set(range(10))


@pytest.mark.parametrize(
    ("expression", "numbers"),
    [
        ("cat+dog,a-b", [(0, 1), 9]),
        ("a-b, dog + cat", [(0, 1), 9]),
        ("0-2+4,8", [(0, 1, 2, 4), 8]),
        ('"red, round"+cat', [(0, 3)]),
        ("1+1", [(1,)]),
        ("c++,cat", [0, 10]),
        ('cat+"c++"', [(0, 10)]),
    ],
)
def test_merged_classes(expression, numbers):
    assert parse(expression, [*NAMES, "c++"]) == numbers


def test_merged_classes_are_one_class(tiny, tmp_path):
    source = tiny([5, 5, 5, 5], names=["cat", "dog", "horse", "cow"])
    cut = split(source, parse("horse,dog+cat", source.class_names))
    assert (cut.class_names, cut.class_original.tolist()) == (["cat+dog", "horse"], [0, 2])
    assert cut.train.labels.tolist() == [0] * 10 + [1] * 5
    assert cut.train.source_index.tolist() == list(range(15))
    store.write(tmp_path / "a.h5", cut)
    rest = parse(f"except:{tmp_path / 'a.h5'}", source.class_names, held_by_file=HeldBy("tiny"))
    assert rest == [3]
    with pytest.raises(UsageError, match="class 0 is in two"):
        split(source, parse("cat+dog,cat", source.class_names))


def test_one_class_is_asked_for_by_name():
    with pytest.raises(TlcliError, match="'cat'"):
        parse("all", ["cat"])
    assert parse("cat", ["cat"]) == [0]


@given(st.integers(1, 10), st.integers(0, 2**40))
def test_random_is_drawn_from_the_seed_alone(n, seed):
    drawn = parse(f"random:{n}", DIGITS, seed=seed)
    assert len(drawn) == n
    assert drawn == parse(f"random:{n}", DIGITS, seed=seed)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("10", "no class 10"),
        ("5-12", "no class 10"),
        ("7-3", "backwards"),
        ("", "empty"),
        ("1,,2", "empty"),
        ("1,", "empty"),
        ("caat", "Did you mean 'cat'"),
        ("'cat", "no class"),
        ("'cat'x", "no class"),
        ("random:11", "1 to 10"),
        ("random:x", "1 to 10"),
        ("except:", "name of a tlcli file"),
    ],
)
def test_errors_say_what_exists(expression, words):
    with pytest.raises(UsageError, match=words):
        parse(expression, NAMES[:1] + DIGITS[1:])


def test_numbers_are_those_of_the_publisher():
    assert parse("6-8", ["six", "seven", "eight"], class_numbers=[6, 7, 8]) == [6, 7, 8]
    assert parse("eight", ["six", "seven", "eight"], class_numbers=[6, 7, 8]) == [8]
    with pytest.raises(UsageError, match="6 six, 7 seven"):
        parse("0", ["six", "seven", "eight"], class_numbers=[6, 7, 8])


def test_except_is_the_exact_complement(tmp_path, tiny):
    digits = load_source("digits")
    store.write(tmp_path / "a.h5", split(digits, parse("random:4", digits.class_names, seed=3)))
    held = HeldBy("digits")
    rest = parse(f"except:{tmp_path / 'a.h5'}", digits.class_names, held_by_file=held)
    assert sorted([*rest, *parse("random:4", DIGITS, seed=3)]) == list(range(10))
    assert [r.provenance.name for r in held.records] == ["a.h5"]
    with pytest.raises(TlcliError, match="of digits, not of mnist"):
        HeldBy("mnist")(str(tmp_path / "a.h5"))
    with pytest.raises(TlcliError, match="nothing is left"):
        parse("except:all.h5", DIGITS, held_by_file=lambda _: dict(enumerate(DIGITS)))
    with pytest.raises(TlcliError, match="class 99"):
        parse("except:other.h5", DIGITS, held_by_file=lambda _: {99: "99"})


def test_except_refuses_the_classes_of_another_set(tmp_path):
    """A checkpoint or embeddings, unlike a dataset, do not say which set they are of."""
    path = tmp_path / "base.h5"
    part = EmbeddingPart(np.zeros((2, 3), np.float32), np.arange(2), np.arange(2))
    parts = {"train": part, "test": part}
    store.write(path, Embeddings(parts, "all", ["1", "3"], np.array([1, 3])))
    assert parse(f"except:{path}", DIGITS[:5], held_by_file=HeldBy("digits")) == [0, 2, 4]
    with pytest.raises(TlcliError, match=r"'1'.*'dog'"):
        parse(f"except:{path}", NAMES, held_by_file=HeldBy("cifar10"))
