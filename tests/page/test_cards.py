"""Every mark of every picture says what it is: under the pointer, by the arrow keys, and aloud."""

import csv
import io
from typing import Any

import numpy as np
import pytest
from tests.page.conftest import Open
from tests.page.test_browser import STEPS, place

from classtoken.page.document import Walkthrough

pytestmark = pytest.mark.browser
Documents = dict[str, Walkthrough]

SEEN = "e => e.checkVisibility() && e.getBoundingClientRect().width > 0"


def card(page: Any) -> str:
    """What the card says, or nothing."""
    found = page.locator(".hovercard")
    return str(found.inner_text()) if found.count() else ""


def spoken(page: Any) -> str:
    return str(page.locator("#app > [role=status]").inner_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["toy", "sentiment"])
def test_every_mark_has_a_card(open_page: Open, name: str) -> None:
    page = open_page(name, width=1440)
    kinds = set()
    for step in STEPS:
        page.evaluate(f"location.hash = '#step={step}'")
        page.wait_for_function(f"document.querySelector('main').classList.contains('step-{step}')")
        marks = page.evaluate(
            f"""() => [...document.querySelectorAll('main [data-mark], .river [data-mark]')].filter({SEEN}).map(e => {{
                const box = e.getBoundingClientRect();
                return [e.tagName + ' ' + e.parentNode.className, box.left + box.width / 2, box.top + box.height / 2];
            }}).filter(([, x, y]) => {{
                const there = document.elementFromPoint(x, y);
                return there && there.closest('[data-marks]');
            }})"""
        )
        for kind, x, y in marks[:40]:
            page.mouse.move(x, y)
            assert card(page).strip(), (step, kind)
            kinds.add(str(kind).split()[0])
    assert {"LI", "SPAN", "BUTTON", "circle", "rect"} <= {kind.removeprefix("svg:") for kind in kinds}


def test_every_chart_is_led_through_by_keys(open_page: Open) -> None:
    page = open_page("toy", width=1440)
    charts = 0
    for step in (5, 7, 8, 10):
        page.evaluate(f"location.hash = '#step={step}'")
        page.wait_for_function(f"document.querySelector('main').classList.contains('step-{step}')")
        page.keyboard.press("Tab")  # from here on the focus is a keyboard's
        for chart in page.locator("main [data-marks][tabindex='0']:not([role=slider])").all():
            chart.focus()
            first = spoken(page)
            assert first
            assert page.locator(".hovercard").is_visible()
            page.keyboard.press("Home")
            least = spoken(page)
            page.keyboard.press("ArrowRight")
            assert spoken(page) != least
            page.keyboard.press("End")
            assert spoken(page)
            assert place(page)["step"] == str(step)
            charts += 1
        page.locator("h2#step-title").focus()
        assert spoken(page) == ""
        assert not card(page)
    assert charts >= 5


def test_a_dot_names_what_it_cuts_and_lights_it_up(open_page: Open, documents: Documents) -> None:
    example = documents["sentiment"].examples[0]
    cut = next(k for k in example.knockouts if k.head is None and k.null_sets is not None)
    assert cut.null_sets is not None
    page = open_page("sentiment", f"#step=5&layer={cut.layer}&head=all", width=1440)
    page.keyboard.press("Tab")
    page.locator(".dots svg").focus()
    page.keyboard.press("Home")
    lowest = int(np.argmin(cut.null_values))
    for t in cut.null_sets[lowest]:
        assert example.tokens[t].name in card(page)
    lit = page.locator(".sentence .kin").evaluate_all("all => all.map(e => Number(e.dataset.token))")
    assert sorted(lit) == sorted(int(t) for t in cut.null_sets[lowest])


def test_a_ring_says_what_the_lens_reads_there(open_page: Open, documents: Documents) -> None:
    example = documents["sentiment"].examples[0]
    assert example.lens is not None
    page = open_page("sentiment", "#step=7&layer=0", width=1440)
    page.keyboard.press("Tab")
    page.locator(".water").focus()
    page.keyboard.press("ArrowRight")
    before, after = (f"{100 * float(example.lens.values[i][0]):.1f}\u00a0%" for i in (1, 2))
    assert f"{before} → {after}" in spoken(page)


def test_the_river_answers_while_something_is_taken_away(open_page: Open) -> None:
    page = open_page("toy", "#step=10&without=6", width=1440)
    assert page.locator(".outcome .what").inner_text() == "the answer now"
    now = page.locator(".lab .bars li .num").first.inner_text()
    assert round(float(now.removesuffix("\u00a0%"))) == int(page.locator(".outcome .num").first.inner_text().split()[0])


def test_a_table_is_copied_with_all_its_digits(open_page: Open, documents: Documents) -> None:
    example = documents["sentiment"].examples[0]
    page = open_page("sentiment", "#step=5&layer=0&head=1", permissions=["clipboard-read", "clipboard-write"])
    page.keyboard.press("t")
    page.locator("details.table").first.get_by_role("button", name="Copy as CSV").click()
    page.get_by_role("button", name="Copied").wait_for()
    rows = list(csv.DictReader(io.StringIO(page.evaluate("navigator.clipboard.readText()"))))
    assert [float(row["weight"]) for row in rows] == pytest.approx(example.layers.weights[0, 1].tolist(), abs=1e-7)
    assert {"word piece", "class token", "end token"} == {row["Role"] for row in rows}
