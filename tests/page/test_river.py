"""The river, the film and what the pointer lights: the whole way on one strip, on every screen of the page."""

from typing import Any

import numpy as np
import pytest
from tests.page.conftest import Open
from tests.page.sweep import SETTLED
from tests.page.test_browser import STEPS, place, plain

from classtoken.page.document import Walkthrough

pytestmark = pytest.mark.browser
Documents = dict[str, Walkthrough]


def shares(page: Any) -> list[list[float]]:
    """What each layer's lines and ribbons are drawn for; below the larger map of another layer there are none."""
    return page.evaluate(
        "[...document.querySelectorAll('.river .layer:not(.covered)')]"
        ".map(g => [...g.querySelectorAll('[data-share]')].map(e => Number(e.dataset.share)))"
    )


def rises(document: Walkthrough) -> np.ndarray:
    """How far the lens' first answer rises in each layer of the first example."""
    lens = document.examples[0].lens
    assert lens is not None
    return np.diff(lens.values[:, 0])


def test_the_first_screen_shows_vectors_one_class_token_layers_and_an_answer(
    open_page: Open, documents: Documents
) -> None:
    page = open_page("sentiment")
    document = documents["sentiment"]
    example = document.examples[0]
    river = page.locator(".river")
    assert river.locator(".tile").count() == len(example.tokens) - 1
    assert river.locator(".ring.empty").count() == 1
    assert river.locator(".stop .rim").count() == document.model.depth
    assert example.answers.labels[0].text in river.locator(".outcome").inner_text()
    page = open_page("photo")
    assert "196 patches" in page.locator(".river").text_content()
    assert page.locator(".river .stop .rim").count() == 12


@pytest.mark.slow
@pytest.mark.parametrize("name", ["toy", "photo", "text", "multi", "sentiment", "registers", "distilled"])
def test_what_is_drawn_of_each_layer_is_all_of_its_attention(open_page: Open, name: str) -> None:
    for layer in shares(open_page(name)):
        assert len(layer) > 2
        assert sum(layer) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_it_opens_where_the_answer_is_made(open_page: Open, documents: Documents) -> None:
    for name in ("multi", "sentiment"):
        best = int(np.argmax(rises(documents[name])))
        assert place(open_page(name, "#step=5"))["layer"] == str(best)
    example = documents["sentiment"].examples[0]
    effect = example.removals.values[:, 0] - example.answers.values[0]
    assert place(open_page("sentiment", "#step=5"))["token"] == str(example.removals.tokens[int(np.argmin(effect))])


def test_a_layer_that_is_clicked_opens_and_escape_leads_back_up(open_page: Open) -> None:
    page = open_page("photo")
    rim = page.locator(".river .stop .rim").nth(6).bounding_box()
    page.mouse.click(rim["x"] + rim["width"] / 2, rim["y"] + rim["height"] / 2)
    assert {k: place(page)[k] for k in ("step", "layer")} == {"step": "5", "layer": "6"}
    for step in ("5", "7", "1"):  # head, layer, the whole way
        page.keyboard.press("Escape")
        assert place(page)["step"] == step
    page.locator(".river [role=slider]").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert {k: place(page)[k] for k in ("step", "layer")} == {"step": "5", "layer": "1"}


@pytest.mark.slow
def test_the_film_runs_stops_and_can_be_dragged(open_page: Open) -> None:
    for motion in ("no-preference", "reduce"):
        page = open_page("photo", "#step=7&layer=11", reduced_motion=motion)
        page.keyboard.press(" ")
        for _ in range(200):
            if 2 <= int(place(page)["layer"]) < 11:
                break
            page.wait_for_timeout(100)
        page.keyboard.press(" ")
        stopped = place(page)["layer"]
        page.wait_for_timeout(300)
        assert place(page)["layer"] == stopped
    rims = page.locator(".river .stop .rim")
    first, ninth = rims.nth(0).bounding_box(), rims.nth(8).bounding_box()
    page.mouse.move(first["x"] + first["width"] / 2, first["y"] + 5)
    page.mouse.down()
    page.mouse.move(ninth["x"] + ninth["width"] / 2, ninth["y"] + 5, steps=5)
    assert "after 9 layers" in page.locator(".river .outcome").inner_text()
    page.mouse.up()
    assert place(page)["layer"] == "8"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["toy", "photo", "text", "multi", "sentiment", "registers", "query", "last", "mean"])
def test_no_step_says_more_than_sixty_words_at_first(open_page: Open, name: str) -> None:
    page = open_page(name)
    told = {}
    for step in STEPS:
        told[step] = page.evaluate(
            "[...document.querySelectorAll('main p:not(.formula), main dd, main aside')]"
            ".filter(e => e.checkVisibility() && !e.querySelector('p'))"
            ".filter(e => !e.closest('.arithmetic, details:not([open])'))"
            ".map(e => e.innerText).join(' ').split(/\\s+/).filter(word => /[A-Za-z]/.test(word)).length"
        )
        page.keyboard.press("ArrowRight")
    assert {step: count for step, count in told.items() if count > 60} == {}


@pytest.mark.parametrize("name", ["photo", "sentiment"])
def test_what_the_pointer_is_on_lights_up_everywhere(open_page: Open, name: str) -> None:
    page = open_page(name, "#step=5&layer=1&head=0")
    t = int(page.locator(".funnel tbody tr").nth(3).get_attribute("data-token"))
    for one in (f".left [data-token='{t}']", f".funnel tr[data-token='{t}'] th"):
        page.mouse.move(2, 2)
        page.locator(".hovercard").wait_for(state="detached")
        page.locator(one).hover()
        page.locator(".hovercard").wait_for()
        for kin in (".left .kin", ".funnel tr.kin", ".river .kin"):
            assert page.locator(kin).count() >= 1, kin
        lit = page.evaluate("[...document.querySelectorAll('.kin[data-token]')].map(e => Number(e.dataset.token))")
        assert set(lit) == {t}
    page.locator(f".left [data-token='{t}']").click()
    assert place(page)["token"] == str(t)
    assert page.locator(".funnel tr.chosen").get_attribute("data-token") == str(t)


@pytest.mark.slow
def test_the_table_of_a_head_adds_up_in_each_column(open_page: Open) -> None:
    """exp and share over all rows, share x value of the number that is marked; the rest included."""
    for name in ("toy", "sentiment", "registers"):
        page = open_page(name, "#step=6&layer=1&head=1")
        for dimension in (0, 3):
            page.locator(".funnel tfoot .mini").click(position={"x": 3 + 20 * dimension, "y": 5})
            rows = page.evaluate(
                "[...document.querySelectorAll('.funnel tbody tr, .funnel tfoot tr')]"
                ".map(r => [...r.querySelectorAll('td')].map(c => c.innerText.trim()))"
            )
            for column, digits in ((1, 6e-4), (2, 0.06), (4, 6e-4)):
                *terms, total = [plain(row[column]) for row in rows]
                assert sum(terms) == pytest.approx(total, abs=digits * (len(terms) + 1)), (name, column)
            for row in rows[:-2]:  # share = exp / sum of exp; share x value
                assert plain(row[1]) / plain(rows[-1][1]) == pytest.approx(plain(row[2]) / 100, abs=2e-3)
                assert plain(row[2]) / 100 * plain(row[3]) == pytest.approx(plain(row[4]), abs=2e-3)


@pytest.mark.slow
def test_the_middle_is_put_to_use(open_page: Open) -> None:
    used = """(() => { const panel = document.querySelector('.middle'), box = panel.getBoundingClientRect();
        let all = 0, used = 0;
        for (let x = box.left + 4; x < box.right - 4; x += 12) for (let y = box.top + 4; y < box.bottom - 4; y += 12) {
            const found = document.elementFromPoint(x, y); all++;
            if (found && found !== panel && panel.contains(found)) used++; }
        return used / all; })()"""
    for name in ("toy", "photo"):
        page = open_page(name, width=1440, height=900)
        empty = {}
        for step in STEPS:
            share = page.evaluate(used)
            if share < 0.6:
                empty[step] = share
            page.keyboard.press("ArrowRight")
            page.wait_for_timeout(100)
        assert empty == {}


@pytest.mark.parametrize("layer", [0, 11])
def test_the_frame_of_step_7_holds_every_map(open_page: Open, layer: int) -> None:
    """Whichever layer is shown, whose map is larger than the others' where these are small; and no more than them."""
    page = open_page("photo", f"#step=7&layer={layer}", width=1100, reduced_motion="reduce")
    page.evaluate(SETTLED)
    (left, right), *maps = page.evaluate(
        "[...document.querySelectorAll('.river .camera, .river .stop .edge')]"
        ".map(e => e.getBoundingClientRect()).map(r => [r.left, r.right])"
    )
    assert len({round(b - a) for a, b in maps}) == 2
    assert 0 < min(a for a, _ in maps) - left < 30
    assert 0 < right - max(b for _, b in maps) < 30
