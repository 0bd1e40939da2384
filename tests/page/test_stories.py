"""What stands beside the steps: a guess that the page checks, six poolings, six demonstrations, dots of a knock-out."""

import numpy as np
import pytest
from tests.page.conftest import Open
from tests.page.test_browser import place

from classtoken.page.document import Walkthrough

pytestmark = pytest.mark.browser
Documents = dict[str, Walkthrough]
DEMOS = ("windows", "cnn", "heads", "positions", "tiling", "alibi")


def test_a_guess_is_checked(open_page: Open, documents: Documents) -> None:
    example = documents["registers"].examples[0]
    assert example.removals is not None
    costs = example.removals.values[:, 0]
    order = [example.removals.tokens[i] for i in np.argsort(costs, kind="stable")]
    for token, right in ((order[0], True), (order[-1], False)):
        page = open_page("registers", f"#step=10&token={token}")
        page.locator(".exercise button").first.click()
        says = page.locator(".exercise [aria-live]").inner_text()
        assert ("Right." in says) == right
        assert f"place {1 if right else len(order)} of {len(order)}" in says


def test_nothing_shows_the_answer_before_the_guess(open_page: Open, documents: Documents) -> None:
    """A page opens on the most needed token: where it is asked for, neither the picture nor a list may name it."""
    example = documents["registers"].examples[0]
    assert example.removals is not None
    dearest = str(example.removals.tokens[int(np.argmin(example.removals.values[:, 0]))])
    page = open_page("registers")
    assert place(page)["token"] == dearest
    page.keyboard.press("End")
    page.locator(".exercise button").first.wait_for()
    assert place(page)["token"] != dearest
    assert not page.locator("ol.best").is_visible()
    page.locator(".exercise button").first.click()
    page.locator("ol.best").wait_for()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1440, 360])
@pytest.mark.parametrize("name", ["multi", "sentiment"])
def test_demonstrations_open_and_fit(open_page: Open, name: str, width: int) -> None:
    page = open_page(name, width=width, height=800)
    page.keyboard.press("c")
    for demo in DEMOS:
        page.locator(f"[data-demo={demo}] > summary").click()
        page.locator(f"[data-demo={demo}] input[type=range]").first.wait_for()
    said = page.locator("[data-demo=windows] [aria-live]")
    assert "from 16 of 144" in said.inner_text()
    page.locator("[data-demo=windows] input").first.focus()
    page.keyboard.press("ArrowRight")
    assert "After 2 layers" in said.inner_text()
    assert "from 16 of 144" not in said.inner_text()
    wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1]


def test_six_poolings_with_the_models_own_among_them(open_page: Open, documents: Documents) -> None:
    example = documents["sentiment"].examples[0]
    page = open_page("sentiment", "#step=10")
    page.get_by_role("button", name="Other pooling").click()
    rows = page.locator(".race tbody tr")
    assert rows.count() == len(example.race) == 6
    own = page.locator(".race tr.mine").inner_text()
    assert "class token" in own
    assert f"{100 * float(example.answers.values[0]):.1f}\u00a0%" in own
    for lane, row in zip(example.race, rows.all(), strict=True):
        if lane.values is None:
            assert "no head here fits" in row.inner_text()


@pytest.mark.slow
def test_a_knock_out_is_a_dot_among_others(open_page: Open, documents: Documents) -> None:
    example = documents["sentiment"].examples[0]
    for cut in [cut for cut in example.knockouts if cut.head is None]:
        page = open_page("sentiment", f"#step=5&layer={cut.layer}")
        assert page.locator(".dots circle.other").count() == len(cut.null_values)
        effect = abs(cut.after - cut.before)
        as_much = sum(abs(v - cut.before) >= effect - 1e-9 for v in cut.null_values)
        rank = page.locator(".matter .rank").inner_text()
        where = "lowest" if cut.after < cut.before else "highest"
        first = f"{where} of {1 + len(cut.null_values)}"
        assert rank.startswith(first if as_much == 0 else f"{as_much} of {len(cut.null_values)} other cuts")
        assert f"p = {cut.p:.3f}" in rank


def test_exercises_are_guessed_at_first_and_answered_from_the_document(open_page: Open, documents: Documents) -> None:
    example = documents["registers"].examples[0]
    assert example.causal is not None
    assert example.causal.change < 0.01 * example.causal.reference
    page = open_page("registers", "#step=4")
    page.keyboard.press("e")
    quiz = page.locator("#quiz")
    assert f"{float(example.causal.reference):.2f}" not in quiz.inner_text()
    asked = quiz.locator("fieldset").filter(has_text="No token may read those behind it")
    asked.get_by_role("button", name="less far").click()
    said = asked.locator("[aria-live]").inner_text()
    assert said.startswith("No.")
    assert f"without the mask by {float(example.causal.reference):.2f}" in said
    assert asked.get_by_role("button", name="not at all").evaluate("e => e.classList.contains('right')")
    first = quiz.locator("fieldset").first
    first.get_by_role("button", name="the same, to the last digit").click()
    assert quiz.get_by_role("status").inner_text() == "1 of 2 right."
    asked.get_by_role("button", name="See it in step 10").click()
    assert place(page)["try"] == "causal"


def test_what_to_look_at_is_outlined_and_a_teachers_words_come_by_key(open_page: Open) -> None:
    page = open_page("toy", "#step=8", width=1440)
    outlined = "getComputedStyle(document.querySelector('.middle .labelled.gold')).outlineStyle"
    assert page.evaluate(outlined) == "none"
    page.locator(".look").hover()
    assert page.evaluate(outlined) == "solid"
    assert page.locator(".notes").count() == 0
    page.keyboard.press("n")
    first = page.locator(".notes p").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator(".notes p").inner_text() not in ("", first)
