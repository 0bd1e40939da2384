"""The report of a comparison in a browser: offline, at the width of a telephone, in both schemes, by axe."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.page.reports import check_report

from classtoken.report.compare import comparison_page
from classtoken.results.compare import CompareResult, Neighbour, NeighbourRow, PositionBias, read_result
from classtoken.values import Rejected

pytestmark = pytest.mark.browser


def with_texts(found: CompareResult) -> CompareResult:
    """The same comparison, as if of texts with long names of classes: neighbours, a matrix, places in a text."""
    named = {
        label: f"balance_not_updated_after_{label}_was_received_or_charged_twice" for label in found.confusion.labels
    }
    text = "When I got my card I wanted to know whether theunusuallylongwordofthiscustomer stands in the way ..."

    def item(label: str, right: bool) -> Neighbour:
        return Neighbour(f"id-{label}", named[label], right, 0.5, None, text)

    first, second = found.confusion.labels[:2]
    near = {name: (item(first, True), item(second, False)) for name in ("cls", "mean")}
    places = PositionBias("cls", (0.0, 50.0, 100.0), (0.9, 0.8, 0.7), (0.8, 0.7, 0.6), (1.0, 0.9, 0.8), 9, 0.1, 0, 0.2)
    return replace(
        found,
        neighbours=(NeighbourRow(item(first, True), near),),
        confusion=replace(found.confusion, labels=tuple(named.values())),
        position=(places, replace(places, candidate="mean")),
        refused=tuple(Rejected(f"{named[first]}-{n}", f"is the only one of its class '{n}'") for n in range(3)),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "scheme", "texts"),
    [(1440, "light", False), (1440, "dark", True), (360, "light", False), (390, "light", True), (360, "dark", True)],
)
def test_a_report_needs_nothing_else_fits_and_passes_axe(
    chromium: Any, root: Path, tmp_path: Path, width: int, scheme: str, texts: bool
) -> None:
    found = read_result(root / "docs" / "studies" / "compare" / "clothing-classification.json")
    found = with_texts(found) if texts else found
    (tmp_path / "report.html").write_text(comparison_page(found), encoding="utf-8")

    def advised(page: Any) -> None:
        assert page.locator("h1").inner_text() == found.advice

    check_report(chromium, root, tmp_path / "report.html", width, scheme, advised)


def test_on_paper_nothing_is_cut_off_and_nothing_waits_to_be_opened(chromium: Any, root: Path, tmp_path: Path) -> None:
    """At the width of a sheet, from a dark screen: on white, no line wider than the sheet, what is folded is named."""
    found = read_result(root / "docs" / "studies" / "compare" / "clothing-classification.json")
    (tmp_path / "report.html").write_text(comparison_page(found), encoding="utf-8")
    context = chromium.new_context(viewport={"width": 700, "height": 990}, color_scheme="dark", offline=True)
    page = context.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    seen = "[...document.querySelectorAll('pre, .wide, figure')].filter(e => e.checkVisibility())"
    cut = f"{seen}.filter(e => e.scrollWidth > innerWidth).length"
    assert page.evaluate(cut) == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("details").count() > 0
    inside = "[...document.querySelectorAll('details')].filter(d => d.children[1].checkVisibility()).length"
    assert page.evaluate(inside) == 0
    said = "[...document.querySelectorAll('details > summary')].map(e => getComputedStyle(e, '::after').content)"
    assert set(page.evaluate(said)) == {'": to be opened on the page"'}  # no section is a heading with nothing below
    context.close()
