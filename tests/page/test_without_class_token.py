"""Models without a class token have a story of their own: who is read at the end, what each gives, sums that add up."""

import numpy as np
import pytest
from tests.page.conftest import Open
from tests.page.recompute import WALK
from tests.page.test_browser import STEPS, plain

from classtoken.page.document import Walkthrough

pytestmark = pytest.mark.browser
Documents = dict[str, Walkthrough]
SAYS = {
    "query": "a learned query reads all 16 patches",
    "last": "it alone has seen all the others",
    "mean": "all 11 word pieces are averaged",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SAYS)
def test_no_step_speaks_of_a_class_token_that_is_not_there(open_page: Open, name: str) -> None:
    page = open_page(name, reduced_motion="reduce")
    assert SAYS[name] in page.locator(".intro").inner_text()
    assert page.locator(".river .drop").count() == 0
    for step in STEPS:
        if step > 1:
            page.keyboard.press("ArrowRight")
            page.locator(f"main.step-{step}").wait_for()
        title = page.locator("h2#step-title").inner_text()
        says = " ".join(page.locator(".right .text > p, .middle h3, .beware").all_inner_texts())
        spoken = (title + says).lower().replace("no class token", "").replace("a class token that comes late", "")
        assert "class token" not in spoken.replace("without a class token", ""), (step, says)
        if step == 2:
            assert title == "Nobody is put in front"
    page.keyboard.press("e")
    asked = page.locator(".drawer:visible").first.inner_text()
    assert "Guess first" in asked
    assert "class token" not in asked
    page.keyboard.press("Escape")
    marks = page.evaluate(
        "[...document.querySelectorAll('main [aria-label], main [title], .river [aria-label], footer [aria-label]')]"
        ".map(e => (e.getAttribute('aria-label') ?? '') + ' ' + (e.getAttribute('title') ?? '')).join('; ')"
    )
    assert "class token" not in marks


def test_what_the_vector_is_stands_in_a_sentence(open_page: Open) -> None:
    """Of what a family's own pooler does there is a formula; sentences begin with "The vector is" before it."""
    page = open_page("query", "#step=9", reduced_motion="reduce")
    assert "The vector is what a learned query reads from the patches" in (page.locator(".right").text_content() or "")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["query", "mean"])
def test_what_each_token_gives_is_pythons_and_adds_up(open_page: Open, documents: Documents, name: str) -> None:
    example = documents[name].examples[0]
    assert example.pooled is not None
    assert example.pooled.without is not None
    page = open_page(name, "#step=8")
    rows = page.evaluate(
        "[...document.querySelectorAll('.pooled tbody tr')]"
        ".map(r => [r.dataset.token ?? '', ...[...r.cells].slice(1).map(c => c.textContent)])"
    )
    assert int(rows[0][0]) == example.watched
    for token, weight, *more in rows:
        if token:
            assert plain(weight) == pytest.approx(100 * example.pooled.weights[int(token)], abs=0.051)
            assert plain(more[-1]) == pytest.approx(example.pooled.without[int(token)], abs=5.1e-4)
    assert sum(plain(row[1]) for row in rows) == pytest.approx(100, abs=0.5)
    if name == "mean":
        assert example.pooled.pooled is not None
        given = sum(plain(row[3]) for row in rows)
        shown = page.locator(".pooled tfoot button").inner_text()
        assert given == pytest.approx(plain(shown), abs=6e-4 * len(rows))
        assert plain(shown) == pytest.approx(example.pooled.pooled[0], abs=5.1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "hash", "kinds"),
    [
        ("last", "#step=5&layer=1&head=0&token=3", {"softmax", "dot"}),
        ("last", "#step=9", {"given"}),
        ("mean", "#step=4&layer=1&head=0&token=2", {"dot"}),  # and what the distance adds
        ("mean", "#step=7&layer=1", {"sum"}),
    ],
)
def test_the_arithmetic_follows(open_page: Open, name: str, hash: str, kinds: set[str]) -> None:
    found = open_page(name, hash).evaluate(WALK, 200)
    assert found["wrong"] == []
    assert kinds <= set(found["kinds"])


def test_the_vector_is_the_sum_of_what_the_tokens_give(open_page: Open, documents: Documents) -> None:
    page = open_page("mean", "#step=8")
    page.locator(".pooled tfoot button").click()
    assert page.locator(".arithmetic").get_attribute("data-op") == "dot"
    assert "equal" in page.locator(".arithmetic .check").inner_text()
    pooled = documents["mean"].examples[0].pooled
    assert pooled is not None
    products = page.locator(".arithmetic .terms button").all_inner_texts()
    assert len(products) == 2 * np.count_nonzero(pooled.weights)


def test_another_token_can_be_followed(open_page: Open, documents: Documents) -> None:
    example = documents["query"].examples[0]
    assert example.watched is not None
    page = open_page("query", "#step=5")
    for other in (example.watched, *(each.position for each in example.others)):
        name = f"patch {example.tokens[other].text}"
        page.get_by_role("group", name="Followed").get_by_role("button", name=name, exact=True).click()
        assert page.locator("h2#step-title").is_visible()
        assert name in page.locator(".left .legend").inner_text()
