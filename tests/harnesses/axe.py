"""Ask axe-core whether pages are accessible: `python tests/harnesses/axe.py AXE.MIN.JS PAGE…`.

`npm pack axe-core` fetches the script. The harness tries each page on a phone and a desk, in the light and in
the dark, with everything unfolded, and exits with 1 where axe finds a violation.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

from browser import Browser, find

RUN = """
document.querySelectorAll('details').forEach(d => { d.open = true; });
const told = v => ({rule: v.id, help: v.help, places: v.nodes.slice(0, 3).map(n => n.failureSummary)});
axe.run(document, {resultTypes: ['violations']}).then(found => JSON.stringify(found.violations.map(told)))
"""


def violations(browser: Browser, axe: str) -> list[dict]:
    """What axe finds on the open page."""
    browser.evaluate(axe)
    found = browser.call("Runtime.evaluate", expression=RUN, awaitPromise=True, returnByValue=True)
    return json.loads(found["result"]["value"])


def main(axe: str, pages: list[str]) -> int:
    if find() is None:
        print("skipped: there is no Chromium")
        return 0
    browser, failed = Browser(), 0
    for page in pages:
        for width, dark in ((375, False), (375, True), (1280, False), (1280, True)):
            browser.open(Path(page), width, dark=dark, phone=width < 500)
            found = violations(browser, axe)
            failed += len(found)
            print(page, width, "dark" if dark else "light", json.dumps(found, indent=1) if found else "none")
    browser.close()
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]).read_text(), sys.argv[2:]))
