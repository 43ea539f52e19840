"""The page in a real browser: no errors, no requests, no sideways scrolling, a text for every figure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, find
from studies import make_size_study

from tlcli.report import build
from tlcli.store.records import Dataset, EmbeddingPart, Embeddings, Part

pytestmark = pytest.mark.skipif(find() is None, reason="needs Chromium")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser") / "report"
    records = make_size_study((100, 2300), 2, 300, (0.0,))
    target = next(iter(records[0].targets.values()))
    images = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 1)).astype(np.uint8)
    images[:, 0, 0] = target.test_labels[:, None] * 60
    part = Part(images, target.test_labels, target.test_source_index)
    points = images.reshape(300, -1).astype(np.float32)
    embedded = EmbeddingPart(points, target.test_labels, target.test_source_index)
    records.append(Dataset({"train": part, "test": part}, target.class_names, np.arange(4)))
    records.append(Embeddings({"test": embedded}, "dense", target.class_names, np.arange(4)))
    return build(records, folder, title="x" * 60).page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    b = Browser()
    yield b
    b.close()


@pytest.mark.parametrize(("width", "dark"), [(375, False), (1280, True)])
def test_page(page: Path, browser: Browser, width: int, dark: bool) -> None:
    browser.open(page, width, dark=dark, phone=width < 500)
    assert browser.complaints() == []
    assert [r for r in browser.requests() if not r.startswith(("data:", page.as_uri()))] == []
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    figures = "[...document.querySelectorAll('svg')].filter(x => x.getBoundingClientRect().width > 0)"
    assert browser.evaluate(f"{figures}.every(x => x.getAttribute('aria-label').length > 20)")
    assert browser.evaluate(f"{figures}.length") == browser.evaluate(
        "document.querySelectorAll('figure').length"
    )
    small = (
        f"{figures}.flatMap(x => [...x.querySelectorAll('text')].map(t => t.getBoundingClientRect().height))"
    )
    assert browser.evaluate(f"Math.min(...{small})") > 9  # of a line, so letters of seven pixels and more
    ids = "[...document.querySelectorAll('[id]')].map(x => x.id)"
    assert browser.evaluate(f"{ids}.length === new Set({ids}).size")
    ground = browser.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")
    assert (min(ground) > 240) != dark


def test_tables_are_sorted_filtered_and_copied(page: Path, browser: Browser) -> None:
    browser.open(page, 1280)
    table = "document.querySelector('table[aria-labelledby=table-accuracy]')"
    rows = f"[...{table}.tBodies[0].rows].filter(r => r.getBoundingClientRect().height)"
    unfold = "document.querySelectorAll('details').forEach(d => d.open = true)"
    browser.evaluate(unfold)
    order = f"{rows}.map(r => r.innerText)"
    as_made = browser.evaluate(order)
    head = f"[...{table}.tHead.rows[0].cells].find(c => c.innerText.startsWith('test accuracy'))"
    values = f"{rows}.map(r => parseFloat(r.cells[{head}.cellIndex].innerText))"
    for ordered in (sorted, lambda x: sorted(x, reverse=True)):
        browser.evaluate(f"{head}.querySelector('button').click()")
        assert browser.evaluate(values) == ordered(browser.evaluate(values))
    browser.evaluate(f"{head}.querySelector('button').click()")
    assert browser.evaluate(order) == as_made

    box = "document.querySelector('#table-accuracy input')"
    browser.evaluate(f"{box}.value = 'FINETUNE 2,300'; {box}.dispatchEvent(new Event('input'))")
    kept = browser.evaluate(order)
    assert 0 < len(kept) == len([r for r in as_made if "finetune" in r and "2,300" in r]) < len(as_made)

    against = "[...document.querySelectorAll('#table-against button')].find(b => b.innerText === 'Copy')"
    browser.evaluate(
        "navigator.clipboard.writeText = text => { window.copied = text; return Promise.resolve(); }"
    )
    browser.evaluate(f"{against}.click()")
    copied = browser.evaluate("window.copied")
    assert copied.count("\t") > 15
    assert "\u2212" not in copied
    assert "2,300" not in copied
    assert "\t2300\t" in copied or "\n2300\t" in copied


def test_arms_are_hidden_and_marks_tell_their_values(page: Path, browser: Browser) -> None:
    browser.open(page, 1280)
    hidden = (
        "[...document.querySelectorAll('[data-arm=\"2\"]')].filter(x => x.getBoundingClientRect().height)"
    )
    assert browser.evaluate(f"{hidden}.some(x => x.tagName === 'TR')")
    assert browser.evaluate(f"{hidden}.some(x => x.tagName === 'g')")
    browser.evaluate("document.querySelector('#arms input[value=\"2\"]').click()")
    assert browser.evaluate(f"{hidden}.length") == 0

    for figure, text in (("accuracy", "scratch"), ("map-1", "")):
        marks = f"[...document.querySelectorAll('#figure-{figure} use')].filter(u => u.tip)"
        mark = f"{marks}.filter(u => u.getBoundingClientRect().width)[0]"
        browser.evaluate(f"{mark}.scrollIntoView({{block: 'center'}})")
        place = f"(r => [r.x + r.width / 2, r.y + r.height / 2])({mark}.getBoundingClientRect())"
        x, y = browser.evaluate(place)
        browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        assert browser.evaluate("document.querySelector('.tip').hidden") is False
        assert text in browser.evaluate("document.querySelector('.tip').innerText")
    assert browser.evaluate("document.querySelectorAll('.tip canvas').length") == 1


def test_images_for_any_two_arms(page: Path, browser: Browser) -> None:
    browser.open(page, 1280)
    lists = "[...document.querySelectorAll('.pairs select')]"
    assert browser.evaluate(f"{lists}.length") == 3
    browser.evaluate(
        f"{lists}[1].value = 1; {lists}[2].value = 0; {lists}[2].dispatchEvent(new Event('change'))"
    )
    told = browser.evaluate("document.querySelector('.pairs + .note').innerText")
    assert told.index("freeze:copy=2") < told.index("scratch")
    assert browser.evaluate("document.querySelectorAll('.tiles canvas').length") > 0
    assert browser.complaints() == []


def test_it_prints(page: Path, browser: Browser, tmp_path: Path) -> None:
    browser.open(page, 1280)
    browser.pdf(tmp_path / "r.pdf")
    assert (tmp_path / "r.pdf").stat().st_size > 20_000
