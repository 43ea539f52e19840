"""The page in a real browser: no complaint, no request, no scrolling sideways, a text for every figure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, find
from studies import make_size_study

from tlcli.report import build

pytestmark = pytest.mark.skipif(find() is None, reason="needs Chromium")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser") / "report"
    return build(make_size_study((100, 2300), 2, 300), folder, title="x" * 60).page


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


def test_it_prints(page: Path, browser: Browser, tmp_path: Path) -> None:
    browser.open(page, 1280)
    browser.pdf(tmp_path / "r.pdf")
    assert (tmp_path / "r.pdf").stat().st_size > 20_000
