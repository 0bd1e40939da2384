"""What every page of results must pass, in any window: offline, no wider than the window, by axe, without an error."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

UNFOLD = "document.querySelectorAll('details').forEach(one => one.open = true)"
BROKEN = "[...document.images].filter(one => one.complete && !one.naturalWidth).length"
AXE = """axe.run(document, {resultTypes: ['violations'], preload: false}).then(
    found => found.violations.map(each => `${each.id}: ${each.nodes[0].html.slice(0, 160)}`))"""


def violations(page: Any, root: Path) -> list[str]:
    """What axe-core, from the page's own development packages, finds; the test is skipped, saying so, without it."""
    if not page.evaluate("'axe' in window"):
        path = root / "web" / "node_modules" / "axe-core" / "axe.min.js"
        if not path.is_file():
            pytest.skip("axe-core is not installed in web/ (npm ci)")
        page.evaluate(path.read_text(encoding="utf-8"))
    found: list[str] = page.evaluate(AXE)
    return found


def check_report(
    chromium: Any, root: Path, file: Path, width: int, scheme: str, more: Callable[[Any], None] | None = None
) -> None:
    """Open a page of results in a window that wide, everything unfolded; `more` asks what is particular to it."""
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    try:
        page, errors, asked = context.new_page(), [], []
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        page.evaluate(UNFOLD)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(BROKEN) == 0
        if more is not None:
            more(page)
        assert violations(page, root) == []
        assert [url for url in asked if not url.startswith(("data:", file.as_uri()))] == []
        assert errors == []
    finally:
        context.close()
