"""The layers that an expression means: any text gives layers of the network or a plain refusal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlcli.errors import UsageError
from tlcli.models.layerspec import resolve_layers

GROUPS = [("conv1", "bn1"), ("conv2",), ("conv3", "bn3", "pool"), ("dense",), ("head",)]
BELOW = len(GROUPS) - 1

counts = st.integers(0, BELOW)
names = st.sampled_from([name for group in GROUPS[:-1] for name in group])
ranges = st.tuples(counts, counts).map(lambda pair: f"{min(pair)}-{max(pair)}")
parts = st.one_of(counts.map(str), names, ranges, st.sampled_from(["all", "none"]))


@given(st.lists(parts, min_size=1, max_size=5))
def test_a_list_means_what_its_parts_mean(given_parts: list[str]) -> None:
    """In their order, each number once, white space or not."""
    each = [n for part in given_parts for n in resolve_layers(part, GROUPS, "copy")]
    assert resolve_layers(",".join(given_parts), GROUPS, "copy") == list(dict.fromkeys(each))
    assert resolve_layers(" , ".join(given_parts), GROUPS, "copy") == list(dict.fromkeys(each))


@given(counts, counts)
def test_counts_ranges_and_names(first: int, last: int) -> None:
    assert resolve_layers(first, GROUPS, "copy") == resolve_layers(str(first), GROUPS, "copy") == [first]
    if first <= last:
        assert resolve_layers(f"{first}-{last}", GROUPS, "copy") == list(range(first, last + 1))
    for number, group in enumerate(GROUPS[:-1], start=1):
        assert {tuple(resolve_layers(name, GROUPS, "copy")) for name in group} == {(number,)}
    assert resolve_layers(None, GROUPS, "copy") == resolve_layers("all", GROUPS, "copy") == [BELOW]


@given(st.one_of(st.text(max_size=20), st.text("0123456789-,; alnoe+.", max_size=12)))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        found = resolve_layers(text, GROUPS, "copy")
    except UsageError:
        return
    assert found
    assert len(set(found)) == len(found)
    assert all(0 <= n <= BELOW for n in found)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        ",",
        "1,",
        "5",
        "0-5",
        "-1",
        "3-1",
        "1,3-1",
        "head",
        "convolution",
        "1.5",
        "all-2",
        "٣-٤",
        "9-999999999",
    ],
)
def test_what_means_no_layer(expression: str) -> None:
    """Also: a backward range is refused, and the head can be neither copied nor frozen."""
    with pytest.raises(UsageError, match="`freeze`"):
        resolve_layers(expression, GROUPS, "freeze")
