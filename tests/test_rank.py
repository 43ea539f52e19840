"""A base without a head, and bases ranked for a target, in the file and in the report."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import tlcli
from tlcli import store
from tlcli.errors import TlcliError, UsageError
from tlcli.training import Recipe, embed, rank, train_base, transfer


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """A base, the same without its head, one that has learned nothing, and a target, as read from files."""
    folder = tmp_path_factory.mktemp("rank")
    digits = tlcli.data.load_source("digits")
    source = tlcli.data.split(digits, range(6))
    base = train_base(source, "cnn2", recipe=Recipe(samples=2000))
    weights = {key: value for key, value in base.weights.items() if not key.startswith("head/")}
    headless = dataclasses.replace(
        base,
        weights=weights,
        class_names=[],
        class_original=np.zeros(0, np.int64),
        history={},
        test_predictions=None,
    )
    random = train_base(source, "cnn2", recipe=Recipe(samples=1, learning_rate=1e-9))
    made = {"base": base, "headless": headless, "random": random}
    made["target"] = tlcli.data.split(digits, range(6, 10), size=80)
    for name, record in made.items():
        store.write(folder / f"{name}.h5", record)
    return {name: store.read(folder / f"{name}.h5", type(record)) for name, record in made.items()}


def test_bases_are_ranked_by_what_they_make_of_the_training_images(records, tmp_path: Path) -> None:
    bases = [records[name] for name in ("random", "base", "headless")]
    results = rank(bases, records["target"])
    store.write(tmp_path / "ranking.h5", results, parents=[*bases, records["target"]])
    again = store.read(tmp_path / "ranking.h5", store.Results)
    assert again.rankings == results.rankings
    random, base, headless = again.rankings
    assert (base.base, base.dataset, base.size, base.width) == ("base.h5", "target", 80, 128)
    assert base.log_me > random.log_me
    assert base.h_score > random.h_score
    assert base.leep > random.leep
    for name in ("logistic", "neighbours", "h_score"):
        assert getattr(headless, name) == pytest.approx(getattr(base, name), abs=1e-6)
    assert headless.leep is None
    assert base.leep is not None
    other = dataclasses.replace(records["target"], parts={**records["target"].parts})
    other.parts["test"] = dataclasses.replace(other.parts["test"], images=0 * other.parts["test"].images[:])
    assert rank([records["base"]], other).rankings == [base]  # the test images are not looked at

    tlcli.report.build([again], tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Which base?" in page
    assert f"{100 * base.logistic:.1f}" in page
    with pytest.raises(UsageError, match=r"Two bases are called 'base\.h5'"):
        rank([records["base"], records["base"]], records["target"])


def test_a_base_without_a_head_serves_where_none_is_needed(records) -> None:
    base, headless, target = records["base"], records["headless"], records["target"]
    found = embed(headless, target).parts["test"].embeddings
    assert np.array_equal(found, embed(base, target).parts["test"].embeddings)
    arms = ["logistic", "finetune"]
    runs = [transfer(b, [target], arms, recipe=Recipe(samples=100)).runs for b in (base, headless)]
    for with_head, without in zip(*runs, strict=True):
        assert np.array_equal(with_head.predictions, without.predictions)
    with pytest.raises(UsageError, match="needs the base's own head"):
        transfer(headless, [target], ["lwf"], recipe=Recipe(samples=100))
    with pytest.raises(UsageError, match="has no head"):
        transfer(headless, [target], ["freeze"], recipe=Recipe(samples=100), source=target)
    weights = {key: value for key, value in headless.weights.items() if key != "dense1/kernel"}
    with pytest.raises(TlcliError, match="dense1"):
        embed(dataclasses.replace(headless, weights=weights), target)
