"""Pages of real models in a browser: each token drawn as what it is, Python's numbers, arithmetic that follows."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.folders import tiny_clip
from tests.page.conftest import Open
from tests.page.recompute import WALK
from tests.page.test_browser import STEPS, place, plain
from tests.page.tiny import drawn

from classtoken.page.document import Walkthrough
from classtoken.page.example import Example
from classtoken.page.export import write_page
from classtoken.walk.engine import Engine

pytestmark = pytest.mark.browser
Documents = dict[str, Walkthrough]
MOST = 500
"""numbers that are followed in a page of thousands"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["multi", "sentiment", "registers"])
def test_the_journey_by_keyboard_alone(open_page: Open, documents: Documents, name: str) -> None:
    page = open_page(name, "#layer=0&head=all", reduced_motion="reduce")
    titles = set()
    for step in STEPS:
        if step > 1:
            page.keyboard.press("ArrowRight")
            page.wait_for_function("document.activeElement.id === 'step-title'")
        assert page.locator("nav.steps [aria-current='step']").inner_text().startswith(str(step))
        titles.add(page.locator("h2#step-title").inner_text())
    assert len(titles) == 10
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    for key in ("l", "h", "h"):
        page.keyboard.press(key)
    assert (place(page)["layer"], place(page)["head"]) == ("1", "1")
    page.locator(".left [role=listbox]").focus()
    before = place(page)["token"]
    page.keyboard.press("ArrowRight")
    assert place(page)["token"] != before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["multi", "sentiment", "registers", "distilled"])
def test_each_token_is_drawn_as_what_it_is(open_page: Open, documents: Documents, name: str) -> None:
    example = documents[name].examples[0]
    page = open_page(name, "#step=2&token=0")
    drawn = page.evaluate("[...document.querySelectorAll('.sequence .chip')].map(e => e.classList[1])")
    assert drawn == [token.role for token in example.tokens]
    letters = page.evaluate("[...document.querySelectorAll('.sequence .chip')].map(e => e.textContent.trim())")
    for token, letter in zip(example.tokens, letters, strict=True):
        if token.role in ("class", "register", "distillation"):
            assert letter == (token.text or token.role[0].upper())
    names = page.locator(".sequence [role=option]").evaluate_all("all => all.map(e => e.getAttribute('aria-label'))")
    counts = Counter(token.role for token in example.tokens)
    assert sum(each.startswith("register") for each in names) == counts["register"]
    assert sum(each.startswith("distillation token") for each in names) == counts["distillation"]
    colours = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('.sequence .chip')]"
        ".map(e => [e.classList[1], getComputedStyle(e).backgroundColor]))"
    )
    special = [colours[role] for role in counts if role in ("class", "register", "distillation")]
    assert len(set(special)) == len(special)


@pytest.mark.slow
def test_what_the_readout_reads_is_said_rightly(open_page: Open) -> None:
    for name, says in (
        ("multi", "the answer is read from all of them"),
        ("sentiment", "read from this one token alone"),
        ("distilled", "read from it together with the distillation token"),
        ("registers", "read from it together with all patches"),
    ):
        assert says in open_page(name, "#step=2").locator(".right").inner_text()


@pytest.mark.slow
def test_stems_are_described_as_what_they_are(open_page: Open, documents: Documents) -> None:
    says = {"convolutions": "(convolutions)", "linear": "weighted sum of that patch's pixels", "table": "word pieces"}
    for name in ("multi", "registers", "sentiment"):
        page = open_page(name)
        page.locator(".right details.more summary").click()
        assert says[documents[name].model.stem] in page.locator(".right").inner_text()


@pytest.mark.slow
def test_every_class_token_can_be_watched(open_page: Open, documents: Documents) -> None:
    document = documents["multi"]
    example = document.examples[0]
    last = document.model.depth - 1
    page = open_page("multi", f"#step=5&layer={last}&head=0")
    page.keyboard.press("t")
    rows = {example.watched: example.layers, **{other.position: other.layers for other in example.others}}
    for watched, layers in rows.items():
        name = example.tokens[watched].name
        page.get_by_role("group", name="Class token").get_by_role("button", name=name).click()
        page.locator(".middle details.table tbody tr").first.wait_for()
        shown = cells(page)
        np.testing.assert_allclose(shown[:, 0], layers.scores[last, 0], atol=5.1e-5)
        np.testing.assert_allclose(shown[:, 1], layers.weights[last, 0], atol=5.1e-5)
    watched = place(page)["class"]
    again = open_page("multi", f"#step=8&class={watched}")  # a deep link holds it
    pressed = again.get_by_role("group", name="Class token").locator("[aria-pressed=true]")
    assert pressed.get_attribute("aria-label") == example.tokens[int(watched)].name


def cells(page: object) -> np.ndarray:
    found = page.evaluate(  # type: ignore[attr-defined]
        "[...document.querySelectorAll('.middle details.table tbody tr')]"
        ".map(r => [...r.cells].slice(2, 4).map(c => c.textContent))"
    )
    return np.array([[plain(cell) for cell in row] for row in found])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["multi", "sentiment"])
def test_the_numbers_shown_are_pythons(open_page: Open, documents: Documents, name: str) -> None:
    model, example = documents[name].model, documents[name].examples[0]
    page = open_page(name)
    for layer in range(model.depth):
        page.evaluate(f"location.hash = '#step=5&layer={layer}&head=0&tables=open'")
        page.locator("caption", has_text=f"Layer {layer}, head 0").first.wait_for(state="attached")
        shown = cells(page)
        np.testing.assert_allclose(shown[:, 0], example.layers.scores[layer, 0], atol=5.1e-5)
        np.testing.assert_allclose(shown[:, 1], example.layers.weights[layer, 0], atol=5.1e-5)
    page.evaluate("location.hash = '#step=9'")
    page.wait_for_selector(".bars button.num")
    bars = [plain(text) for text in page.locator(".bars button.num").all_inner_texts()]
    np.testing.assert_allclose(bars, example.answers.values[:6] * 100, atol=0.051)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "hash", "kinds"),
    [
        ("multi", "#step=5&layer=2&head=all&token=20", {"mean", "softmax", "dot"}),  # mean over heads, softmax, q . k
        ("multi", "#step=6&layer=2", {"sum"}),  # state + attention; heads + bias
        ("multi", "#step=8", {"norm", "sum"}),
        ("sentiment", "#step=5&layer=1&head=2&token=2", {"softmax", "dot"}),
        ("sentiment", "#step=7&layer=1", {"norm", "sum"}),  # post-norm: norm(middle + feed-forward), down to embeddings
        ("sentiment", "#step=9", {"softmax", "dot", "norm", "sum"}),  # from the answer to the embeddings
        ("registers", "#step=9", {"softmax", "dot"}),  # class token and mean of patches, side by side
    ],
)
def test_the_arithmetic_follows_from_what_is_shown(open_page: Open, name: str, hash: str, kinds: set[str]) -> None:
    found = open_page(name, hash).evaluate(WALK, MOST)
    assert found["wrong"] == []
    assert kinds <= set(found["kinds"])


def test_an_answer_from_several_class_tokens_adds_up(open_page: Open, documents: Documents) -> None:
    """A logit is the row of its class times the state of its own class token, and that part of the vector alone."""
    example: Example = documents["multi"].examples[0]
    page = open_page("multi", "#step=9")
    page.locator(".arithmetic .terms button").first.click()  # the logit
    page.locator("[data-all]").click()
    assert page.locator(".arithmetic").get_attribute("data-op") == "dot"
    addresses = page.locator(".arithmetic .terms button[data-address^='vector:']").evaluate_all(
        "all => all.map(e => Number(e.dataset.address.split(':')[1]))"
    )
    start = example.answers.labels[0].index * documents["multi"].model.hidden
    assert addresses == list(range(start, start + documents["multi"].model.hidden))
    assert "equal" in page.locator(".arithmetic .check").inner_text()


@pytest.mark.slow
def test_it_begins_and_ends_in_plain_words(open_page: Open, documents: Documents) -> None:
    """The first screen says what this is; the last one what it was, what it looked at, and what not to conclude."""
    for name in ("multi", "sentiment"):
        example = documents[name].examples[0]
        page = open_page(name)
        assert f"its answer is \u201c{example.answers.labels[0].text}\u201d" in page.locator(".intro").inner_text()
        page.keyboard.press("End")
        page.locator(".matter summary").click()
        says = page.locator(".matter").inner_text()
        for part in ("What it is.", "What it looked at.", "What you must not conclude."):
            assert part in says
    cuts = [cut for cut in example.knockouts if cut.head is None]
    counts = Counter(cut.verdict for cut in cuts)
    if counts["too few to tell"] == len(cuts):
        assert f"it cannot be told in any of the {len(cuts)} layers" in says
    else:
        assert f"of {len(cuts)} layers, what it looked at was needed in {counts['needed']}" in says
        for verdict in ("in its way", "no more than chance", "too few to tell"):
            assert (f"{verdict} in {counts[verdict]}" in says) == (counts[verdict] > 0)
    page = open_page("multi", "#step=10")
    page.locator(".matter summary").click()
    assert "was not tested" in page.locator(".matter").inner_text()


def test_what_was_not_looked_at_can_be_hatched(open_page: Open, documents: Documents) -> None:
    layers = documents["registers"].examples[0].layers
    page = open_page("registers", "#step=5&layer=1&head=0")
    page.locator(".toggles summary").click()
    page.get_by_label("Hatch what it looked at least").check()
    hatched = page.evaluate(
        "[...document.querySelectorAll('.picture [role=option]')].map((e, i) => e.classList.contains('dim') ? i : -1)"
        ".filter(i => i >= 0)"
    )
    patches = layers.weights[1, 0][4:]
    assert sorted(hatched) == sorted(np.argsort(patches, kind="stable")[:8].tolist())


def test_registers_are_said_to_have_no_place_and_stand_in_the_order(open_page: Open) -> None:
    page = open_page("registers", "#step=2", reduced_motion="reduce")
    assert page.locator(".right .formula").inner_text() == "tokens = [class, register 0, …, patch 0, patch 1, …]"
    page.keyboard.press("ArrowRight")
    assert page.locator("h2#step-title").inner_text() == "Every patch is told where it stands"
    assert "added to each but the registers" in page.locator(".right").inner_text()
    page.locator(".sequence [role=option]").nth(2).click()
    strips = page.locator(".middle .labelled").nth(1)
    assert "no position vector is added" in strips.inner_text()
    assert "with position" not in page.locator(".arithmetic").inner_text()


def test_a_model_that_adds_no_positions_promises_no_bright_places(open_page: Open) -> None:
    for name in ("last", "mean"):
        says = open_page(name, "#step=3", reduced_motion="reduce")
        assert "before and after are equal" in says.locator(".right").inner_text()
        assert "Bright" not in says.locator(".right").inner_text()
        assert "as it goes into layer 0" in says.locator(".arithmetic").inner_text()


def test_words_that_stand_in_a_sentence_twice_are_told_apart(open_page: Open) -> None:
    page = open_page("mean", "#step=5&head=0&layer=0", reduced_motion="reduce")
    page.keyboard.press("t")
    rows = page.locator(".middle details.table tbody tr").evaluate_all("all => all.map(r => r.cells[0].textContent)")
    assert rows[:11].count("“the” (0)") == 1
    assert rows[:11].count("“the” (4)") == 1
    assert len(set(rows[:11])) == 11
    title = open_page("mean", "#step=3&token=4").locator(".middle h3").last.inner_text()
    assert title == "position 4: “the”"


def test_either_side_of_two_towers_is_told_as_what_it_is(chromium: Any, tmp_path: Path) -> None:
    """The vector after a projection holds other numbers than the class token: each leads to its own. A text is read
    from the mark at its end, which is no piece of it, and was learned."""
    clip, cat = tiny_clip(tmp_path / "clip"), drawn("cat", tmp_path / "cat.png")
    texts = ["the red cat", "a dog"]
    write_page(Engine(clip, [str(cat)], "image").document(full=False), tmp_path / "image.html")
    write_page(Engine(clip, texts, "text").document(full=False), tmp_path / "text.html")
    page = chromium.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{(tmp_path / 'image.html').as_uri()}#step=9")
    strip = page.locator(".middle .strip").first
    assert "brought to length 1 where it is compared" in page.locator(".middle h3").first.inner_text()
    strip.locator("[role=slider]").press("Enter")
    value = page.locator(".arithmetic [data-value]").inner_text()
    assert plain(value) == pytest.approx(plain(strip.locator("output").inner_text()), abs=6e-4)
    page.goto(f"{(tmp_path / 'image.html').as_uri()}#step=2")
    page.reload()
    assert page.locator("h2#step-title").inner_text() == "One more token is put in front"
    page.goto(f"{(tmp_path / 'text.html').as_uri()}#step=2")
    assert page.locator("h2#step-title").inner_text() == "A mark at the end is read"
    assert "not a learned one" not in page.locator("body").inner_text()
    page.close()


def test_no_strip_is_promised_where_two_classifiers_answer_together(open_page: Open) -> None:
    """DeiT's answers are the mean of what its two tokens say: no row times the vector gives a logit."""
    page = open_page("distilled", "#step=9", reduced_motion="reduce")
    assert page.locator(".middle .pair").count() == 0
    says = page.locator(".right .text").inner_text()
    assert "product strip" not in says
    assert "row" not in says.lower()
    assert "logits = classifier(vector)" in says


def test_in_a_narrow_column_class_tokens_are_called_by_what_differs(open_page: Open) -> None:
    page = open_page("multi", "#step=5&layer=0&head=1", width=1280, height=720, reduced_motion="reduce")
    rows = page.locator(".funnel tr.class th .text")
    assert {"“cat”"} <= set(rows.all_inner_texts()) <= {"“bird”", "“cat”", "“dog”"}
    assert rows.evaluate_all("all => all.every(e => e.scrollWidth <= e.clientWidth)")
