"""What is written beside a picture is what it shows: one quantity a table, sums that add up, nothing unsaid."""

from typing import Any

import pytest
from tests.page.conftest import Open
from tests.page.test_browser import plain

from classtoken.page.document import Walkthrough

pytestmark = pytest.mark.browser
Documents = dict[str, Walkthrough]


def columns(page: Any) -> list[str]:
    """The headings of the table in the middle."""
    return [text.strip() for text in page.locator(".middle details.table thead th").all_inner_texts()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hash", "has", "lacks"),
    [
        ("head=0", {"score", "weight", "share of what was added"}, set()),
        ("head=all", {"weight", "share of what was added"}, {"score"}),  # a mean over heads has no score
    ],
)
def test_a_table_never_mixes_one_head_with_all(open_page: Open, hash: str, has: set[str], lacks: set[str]) -> None:
    page = open_page("photo", f"#step=5&layer=1&{hash}")
    page.keyboard.press("t")
    page.locator(".middle details.table thead").wait_for()
    found = {name.lower() for name in columns(page)}
    assert has <= found
    assert not lacks & found


def test_who_reads_it_shows_only_what_is_of_that_direction(open_page: Open) -> None:
    page = open_page("photo", "#step=5&layer=1&head=0")
    page.get_by_role("button", name="who reads it").click()
    page.keyboard.press("t")
    page.locator(".middle details.table thead").wait_for()
    assert {name.lower() for name in columns(page)} == {"token", "role", "weight"}
    assert page.locator(".arithmetic").count() == 0
    assert page.locator(".matter .verdict").count() == 0
    assert "nothing is known here" in page.locator(".matter").inner_text()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "depth"), [("photo", 12), ("multi", 4), ("registers", 3)])
@pytest.mark.parametrize("head", ["all", "1"])
def test_what_is_added_adds_up_to_the_digits_shown(
    open_page: Open, documents: Documents, name: str, depth: int, head: str
) -> None:
    """Step 6 of a pre-norm model, on every layer: state + lines = after attention, + feed-forward = new state."""
    page = open_page(name, "#step=6")
    for layer in range(depth):
        page.evaluate(f"location.hash = '#step=6&layer={layer}&head={head}'")
        page.wait_for_function(f"document.querySelector('.depth input').value === '{layer}'")
        lines = page.evaluate(
            "[...document.querySelectorAll('.ledger .pair')].map("
            "p => [p.querySelector('b').textContent, p.querySelector('output').textContent])"
        )
        total, digits = 0.0, 0.0
        for sign, text in lines:
            if sign == "=":
                assert total == pytest.approx(plain(text), abs=digits + 6e-4)
                total, digits = plain(text), 0.0
            else:
                total, digits = total + plain(text), digits + 6e-4


def test_a_token_that_looks_mostly_at_itself_is_said_to(open_page: Open) -> None:
    """In layer 0 of this page 70 % of the attention stays at the class token; in layer 1 it does not."""
    assert "Mostly at itself (70.0\u00a0%)" in open_page("itself", "#step=5&layer=0").locator(".beware").inner_text()
    assert "at itself" not in open_page("itself", "#step=5&layer=1").locator(".beware").inner_text()


def test_what_lies_beyond_the_scale_is_named(open_page: Open) -> None:
    """Special tokens are left out of the scale, or they would leave all else dark; the legend names them."""
    legend = open_page("itself", "#step=5&layer=0").locator(".legend").inner_text()
    assert "70.00\u00a0%" in legend
    assert "≥" in legend
    assert "≥" not in open_page("itself", "#step=5&layer=1").locator(".legend").inner_text()


@pytest.mark.slow
def test_on_a_telephone_the_picture_comes_before_the_text(open_page: Open) -> None:
    page = open_page("photo", "#step=4", width=390, height=844)
    for step in range(5, 8):
        page.get_by_role("button", name="Next").click()
        page.wait_for_function(f"location.hash.includes('step={step}')")
        place = {
            name: page.evaluate(f"document.querySelector('{selector}').getBoundingClientRect().top")
            for name, selector in {
                "steps": "nav.steps", "title": "#step-title", "picture": ".left", "stage": ".middle",
                "text": ".right .text", "bar": "footer",
            }.items()
        }  # fmt: skip
        assert 0 <= place["steps"] < place["title"] < place["picture"] < place["stage"] < place["text"]
        assert place["picture"] < place["bar"] / 3  # it is seen without scrolling
        current = page.locator("nav.steps [aria-current='step']").bounding_box()
        assert 0 <= current["x"] <= 390 - current["width"] / 2  # the bar of steps follows
    linked = (
        open_page("photo", "#step=9", width=390, height=844).locator("nav.steps [aria-current='step']").bounding_box()
    )
    assert 0 <= linked["x"] <= 390 - linked["width"] / 2


@pytest.mark.slow
def test_an_input_that_looks_like_none_of_the_classes_is_called_so(open_page: Open) -> None:
    page = open_page("strange")
    assert "looks like none of its classes" in page.locator(".intro").inner_text()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    assert "It looks like none of its classes." in page.locator(".typical").inner_text()
    assert "1.0\u00a0% of held-out inputs look less so" in page.locator(".typical").inner_text()
    usual = open_page("usual", "#step=9").locator(".typical").inner_text()
    assert usual.startswith("It looks like its classes.")
    assert open_page("toy", "#step=9").locator(".typical").count() == 0
