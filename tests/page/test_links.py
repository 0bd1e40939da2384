"""A link shows what was seen; buttons that stand together are one stop; what an experiment did is read aloud."""

from typing import Any

import pytest
from tests.page.conftest import Open

pytestmark = pytest.mark.browser

SEEN = """() => ({
  legend: document.querySelector('.left .legend, .left canvas.heat') !== null,
  checked: [...document.querySelectorAll('.toggles input')].map((one) => one.checked),
  drawer: [...document.querySelectorAll('.drawer')].filter((one) => !one.hidden).map((one) => one.id),
  sum: document.querySelector('.arithmetic')?.dataset.of ?? null,
  back: document.querySelectorAll('.arithmetic .head button').length,
  tables: document.querySelectorAll('details.table[open]').length,
  answer: [...document.querySelectorAll('.middle .bars .label button')].map((one) => one.ariaPressed),
})"""
STOPS = """() => [...document.querySelectorAll('button, a[href], input, select, summary, [tabindex]')]
  .filter((one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility()).length"""


def again(open_page: Open, page: Any, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    page.wait_for_timeout(100)
    other = open_page(name, page.evaluate("location.hash"), reduced_motion="reduce")
    return page.evaluate(SEEN), other.evaluate(SEEN)


def test_a_link_shows_the_colours_the_drawer_and_the_sum_that_is_followed(open_page: Open) -> None:
    page = open_page("photo", "#step=5&head=0", reduced_motion="reduce")
    page.locator(".toggles summary").click()
    for box in page.locator(".toggles input").all():
        box.click()
    page.locator(".middle details.table summary").first.focus()
    page.keyboard.press("t")
    first = page.locator(".arithmetic .terms button[data-address]").nth(2)
    first.click()
    page.get_by_role("button", name="Side by side").click()
    seen, there = again(open_page, page, "photo")
    assert not seen["checked"][0]  # the colours were switched off
    assert (seen["drawer"], seen["back"]) == (["beside"], 1)
    assert seen["tables"] >= 1
    assert there == seen
    page.evaluate("location.hash = '#step=5&head=0'")  # a link from before says nothing of them: all as at first
    page.wait_for_timeout(100)
    plain = page.evaluate(SEEN)
    assert plain["checked"][0]
    assert (plain["drawer"], plain["back"], plain["tables"]) == ([], 0, 0)


def test_a_link_keeps_the_answer_that_is_looked_at_and_no_address_that_is_not_there(open_page: Open) -> None:
    page = open_page("toy", "#step=9&follows=nothing:1+state:0:0:99999", reduced_motion="reduce")
    page.locator(".middle .bars .label button").nth(1).click()
    seen, there = again(open_page, page, "toy")
    assert seen["answer"][:2] == ["false", "true"]
    assert seen["back"] == 0
    assert there == seen


def test_buttons_that_stand_together_are_one_stop(open_page: Open) -> None:
    """And the arrow keys go from one to the next, not to the next step."""
    for name, step in (("photo", 9), ("photo", 7), ("toy", 9)):
        page = open_page(name, f"#step={step}", reduced_motion="reduce")
        groups = page.locator(".bars, .film, ol.needed, .heads, header .inputs").all()
        assert all(one.locator("button[tabindex='0'], button:not([tabindex])").count() <= 1 for one in groups)
        assert page.evaluate(STOPS) <= 45
    page.locator(".middle .bars button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    values = page.locator(".middle .bars button.num")
    assert values.nth(1).evaluate("one => one === document.activeElement")
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")  # back to the one that had the focus
    assert values.nth(1).evaluate("one => one === document.activeElement")
    assert "step=9" in page.evaluate("location.hash")


def test_what_an_experiment_did_is_read_aloud_as_one_sentence(open_page: Open) -> None:
    page = open_page("toy", "#step=10", reduced_motion="reduce")
    said = page.locator(".lab [role=status]")
    before = said.inner_text()
    page.locator(".left [role=option]").nth(4).click()
    page.wait_for_function("(old) => document.querySelector('.lab [role=status]').textContent !== old", arg=before)
    label, value = (page.locator(f".lab .bars {part}").first.inner_text() for part in (".label", "span.num"))
    assert f"{label.strip()} {value}" in said.inner_text()
    assert page.locator(".lab .delta").first.inner_text() in said.inner_text()


def test_all_tables_open_and_close_together(open_page: Open) -> None:
    page = open_page("toy", "#step=8", reduced_motion="reduce")
    tables = page.locator(".middle details.table")
    tables.first.locator("summary").focus()
    for one in ("t", "t", "Enter", "t", "t"):  # the last: what its reader opened is closed with all others
        page.keyboard.press(one)
        page.wait_for_timeout(100)
        assert bool(tables.first.evaluate("one => one.open")) == (page.locator(".middle table").count() > 0)
    assert page.locator(".middle details.table[open]").count() == 0


def test_a_place_beyond_the_model_is_said_and_not_put_right_in_silence(open_page: Open) -> None:
    page = open_page("toy", "#step=5&layer=7&head=0&token=99", reduced_motion="reduce")
    said = page.locator(".openingbar [role=status]").inner_text()
    assert said == (
        "The address names layer 7 and token 99, beyond what is here (layers 0 to 1, tokens 0 to 9); "
        "this is layer 1, token 9."
    )
    page.locator(".openingbar button").click()
    assert page.locator(".openingbar").count() == 0
    assert open_page("toy", "#step=5&layer=1&head=0&token=9").locator(".openingbar").count() == 0
