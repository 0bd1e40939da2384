"""Where the keyboard is: in what was opened, back where it came from, and never under a bar."""

from typing import Any

import pytest
from tests.page.conftest import Open

pytestmark = pytest.mark.browser

FOCUSED = "document.activeElement === document.body ? '' : document.activeElement.textContent.trim()"


def focused(page: Any) -> str:
    return str(page.evaluate(FOCUSED))


def open_drawers(page: Any) -> list[str]:
    return [str(drawer.get_attribute("id")) for drawer in page.locator(".drawer:visible").all()]


@pytest.mark.parametrize("way", ["key", "button"])
def test_a_drawer_gives_the_focus_back(open_page: Open, way: str) -> None:
    page = open_page("toy", "#step=5", reduced_motion="reduce")
    for opens, key in (("Measured", None), ("Concepts", "c"), ("Side by side", None), ("who reads it", "e")):
        page.get_by_role("button", name=opens, exact=True).focus()
        page.keyboard.press(key or "Enter")
        page.wait_for_function("document.activeElement.tagName === 'H2'")
        assert len(open_drawers(page)) == 1
        if way == "key":
            page.keyboard.press("Escape")
        else:
            page.locator(".drawer:visible .top button").focus()
            page.keyboard.press("Enter")
        page.wait_for_function("document.activeElement !== document.body")
        assert (open_drawers(page), focused(page)) == ([], opens)


def test_drawers_do_not_lie_over_each_other(open_page: Open) -> None:
    """They have one place: one that opened beneath another took the focus where nobody saw it."""
    page = open_page("toy", "#step=5", reduced_motion="reduce")
    page.get_by_role("button", name="Side by side").focus()
    page.keyboard.press("Enter")
    for key, drawer in (("c", "concepts"), ("e", "quiz")):
        page.keyboard.press(key)
        page.wait_for_function(f"document.querySelector('#{drawer}').contains(document.activeElement)")
        assert open_drawers(page) == [drawer]
    page.keyboard.press("Escape")
    page.wait_for_function("document.activeElement !== document.body")
    assert (open_drawers(page), focused(page)) == ([], "Side by side")


def test_a_guess_keeps_the_focus(open_page: Open) -> None:
    page = open_page("toy", "#step=10", reduced_motion="reduce")
    page.keyboard.press("e")
    choice = page.locator("#quiz fieldset").first.locator("button").first
    choice.focus()
    page.keyboard.press("Enter")
    assert focused(page) == choice.inner_text()
    other = page.locator("#quiz fieldset").first.locator("button").nth(1)
    other.click(force=True)  # the first guess counts
    assert other.get_attribute("aria-pressed") == "false"


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 6, 9])
def test_no_bar_lies_over_what_has_the_focus(open_page: Open, step: int) -> None:
    page = open_page("toy", f"#step={step}", width=320, height=740, reduced_motion="reduce")
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    under = """() => {
        const e = document.activeElement, r = e.getBoundingClientRect();
        if (e === document.body || e.closest('footer, nav.steps')) return '';
        const [foot, steps] = ['footer', 'nav.steps'].map((bar) => document.querySelector(bar).getBoundingClientRect());
        const hidden = r.top >= foot.top - 2 || (scrollY > 0 && r.bottom <= steps.bottom + 2 && r.top >= steps.top);
        return hidden ? (e.getAttribute('aria-label') ?? e.textContent).trim() : ''; }"""
    for _ in range(60):
        page.keyboard.press("Tab")
        assert page.evaluate(under) == ""
