"""The page in a real browser: keyboard, mouse, small screens, no network, numbers, arithmetic, speed."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.page import reference as ref
from tests.page.conftest import PATIENCE, Open
from tests.page.fixture import TOY, picture, walkthrough
from tests.page.recompute import WALK
from tests.page.reports import violations

import classtoken as ct
from classtoken.page.export import notebook_page

pytestmark = pytest.mark.browser

STEPS = range(1, 11)


def place(page: Any) -> dict[str, str]:
    return dict(pair.split("=") for pair in page.evaluate("location.hash").lstrip("#").split("&"))


# -- journeys ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_whole_journey_by_keyboard_alone(open_page: Open) -> None:
    page = open_page("photo", "#token=0&layer=0&head=all")
    for step in STEPS:
        if step > 1:
            page.keyboard.press("ArrowRight")
            page.wait_for_function("document.activeElement.id === 'step-title'")
        assert place(page)["step"] == str(step)
        assert page.locator("nav.steps [aria-current='step']").inner_text().startswith(str(step))
        assert page.locator(".stepno").inner_text() == f"Step {step} of 10"
    page.keyboard.press("Home")
    assert place(page)["step"] == "1"
    page.keyboard.press("End")
    assert place(page)["step"] == "10"
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    for key in ("l", "l", "L", "h", "h"):
        page.keyboard.press(key)
    assert {k: place(page)[k] for k in ("step", "layer", "head")} == {"step": "5", "layer": "1", "head": "1"}

    page.locator(".picture").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert place(page)["token"] == "15"
    assert (
        page.locator(".picture [aria-selected='true']")
        .get_attribute("aria-label")
        .startswith("patch 14 (row 1, column 0): ")
    )
    page.locator(".funnel td[tabindex='0']").focus()
    for key in ("ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    assert place(page)["token"] == "0"
    page.evaluate("location.hash = location.hash.replace('token=0', 'token=14')")
    page.wait_for_function("document.querySelector('.arithmetic').dataset.of.endsWith(':14')")

    page.locator(".arithmetic .terms").focus()  # one stop; arrow keys lead to its numbers
    page.keyboard.press("ArrowRight")
    number = page.locator(".arithmetic .terms button:focus")
    address = number.get_attribute("data-address")
    page.keyboard.press("Enter")
    assert page.locator(".arithmetic").get_attribute("data-of") == address
    page.keyboard.press("Escape")
    assert page.locator(".arithmetic").get_attribute("data-of") == "weight:1:1:0:14"

    for key in ("t", "c", "d"):
        page.keyboard.press(key)
    assert page.locator("details.table table").first.is_visible()
    assert page.locator("#concepts").is_visible()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.keyboard.press("?")
    assert page.locator("dialog[open] h2").inner_text() == "Keys"
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


@pytest.mark.slow
def test_every_control_is_reached_with_tab(open_page: Open) -> None:
    page = open_page("toy", "#step=5")
    wanted = page.evaluate(
        "[...document.querySelectorAll('button:not([disabled]), input, summary, [tabindex=\"0\"]')]"
        ".filter(e => e.checkVisibility() && e.tabIndex >= 0).length"
    )
    assert wanted < 50
    seen = set()
    page.keyboard.press("Tab")
    for _ in range(wanted + 5):
        seen.add(
            page.evaluate("(e => { e.dataset.tab ??= Math.random(); return e.dataset.tab })(document.activeElement)")
        )
        page.keyboard.press("Tab")
    assert len(seen) >= wanted


@pytest.mark.slow
def test_the_whole_journey_by_mouse(open_page: Open) -> None:
    page = open_page("toy")
    for _ in range(9):
        page.get_by_role("button", name="Next").click()
    assert page.get_by_role("button", name="Next").is_disabled()
    page.locator("nav.steps button").nth(4).click()
    assert place(page)["step"] == "5"
    page.get_by_role("button", name="a bar").click()
    assert place(page)["input"] == "bar"
    page.locator(".picture [role=option]").nth(3).click()
    assert place(page)["token"] == "4"
    page.get_by_role("button", name="who reads it").click()
    page.get_by_role("button", name="Load the whole matrix").click()
    assert page.locator(".matrix canvas").is_visible()
    page.locator(".depth input").fill("1")
    assert place(page)["layer"] == "1"
    page.get_by_role("button", name="+ Your own").click()
    assert "--serve" in page.locator("dialog[open]").inner_text()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Concepts").click()
    page.locator("#concepts .cards summary").first.click()
    assert "BERT" in page.locator("#concepts details[open]").inner_text()


def test_a_deep_link_opens_what_it_names_and_nonsense_is_put_right(open_page: Open) -> None:
    page = open_page("photo", "#step=6&layer=11&head=2&token=100&input=bar")
    assert place(page) == {"step": "6", "layer": "11", "head": "2", "token": "100", "input": "bar"}
    page = open_page("photo", "#step=99&layer=-1&head=x&token=1e9&input=%3Cscript%3E")
    found = {k: v for k, v in place(page).items() if k not in ("token", "layer")}
    assert found == {"step": "10", "head": "all", "input": "disc"}
    assert 0 <= int(place(page)["layer"]) < 12


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), [(360, 740), (640, 360), (1280, 720), (3840, 2160)])
def test_nothing_hangs_over_the_edge(open_page: Open, width: int, height: int) -> None:
    """360 px, 200 % zoom of a laptop (half its pixels), a laptop, 4K: nothing scrolls sideways."""
    for name in ("photo", "multi", "sentiment"):
        page = open_page(name, width=width, height=height)
        for step in STEPS:
            wide, tall = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
            assert wide <= width, (name, step)
            if width == 1280:
                assert tall <= height, (name, step)
            assert page.get_by_role("button", name="Previous").is_visible()
            page.keyboard.press("ArrowRight")


def test_layer_and_head_are_in_reach_of_the_thumb(open_page: Open) -> None:
    """On a telephone they stay at the bottom of the screen while the picture is in view, whatever one scrolls to."""
    page = open_page("photo", "#step=5", width=360, height=740)
    for where in ("0", "document.querySelector('.picture').offsetTop", "document.body.scrollHeight"):
        page.evaluate(f"window.scrollTo(0, {where})")
        box = page.locator(".depth input").bounding_box()
        assert 740 - 160 < box["y"] < 740 - 40
    page.evaluate("document.querySelector('.picture').scrollIntoView({block: 'start'})")
    picture, bar = page.locator(".picture").bounding_box(), page.locator("footer").bounding_box()
    assert picture["y"] + picture["height"] < bar["y"]
    before = page.locator(".picture [role=option]").nth(5).get_attribute("aria-label")
    page.locator(".depth input").fill("9")
    assert place(page)["layer"] == "9"
    assert page.locator(".picture [role=option]").nth(5).get_attribute("aria-label") != before


def test_the_name_of_the_heads_stays_in_sight(open_page: Open) -> None:
    """Where the heads do not fit they scroll below it, whichever is chosen."""
    page = open_page("sentiment", "#step=5", width=360, height=740)
    heads = page.locator(".heads").first
    heads.evaluate("node => { node.scrollLeft = node.scrollWidth }")
    assert heads.evaluate("node => node.scrollLeft") > 0
    assert heads.locator("> span").bounding_box()["x"] >= heads.bounding_box()["x"] - 0.5


@pytest.mark.slow
def test_reduced_motion_moves_nothing(open_page: Open) -> None:
    still = open_page("photo", "#step=9", reduced_motion="reduce")
    moving = open_page("photo", "#step=9", reduced_motion="no-preference")
    for what, most in ((".bars .bar i", 0.3), (".river .camera", 0.5), (".river", 0.3)):
        script = f"getComputedStyle(document.querySelector('{what}')).transitionDuration.split(',')[0]"
        assert still.evaluate(script) == "0s"
        assert 0 < float(moving.evaluate(script).rstrip("s")) <= most


def test_forced_colours_keep_the_heat_and_the_place(open_page: Open) -> None:
    page = open_page("photo", "#step=5", forced_colors="active")
    colours = page.evaluate(
        "(c => { const pixels = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return Array.from({length: c.width * c.height}, (_, i) => pixels.slice(4 * i, 4 * i + 3).join()); })"
        "(document.querySelector('.picture canvas.heat'))"
    )
    assert len(colours) == 196
    assert len(set(colours)) > 20
    current = "getComputedStyle(document.querySelector('nav.steps [aria-current]')).backgroundColor"
    assert page.evaluate(current) != page.evaluate(
        "getComputedStyle(document.querySelectorAll('nav.steps button')[7]).backgroundColor"
    )


SECTION = ":is(.handout, .handout > .columns) > section"
"""a step on paper"""


def test_it_prints_all_ten_steps_without_controls(open_page: Open) -> None:
    """Whatever step is open: paper has them all, nothing of it cut off, and no bar of controls."""
    page = open_page("toy", "#step=9")
    page.emulate_media(media="print")
    page.locator(".handout").wait_for()
    *steps, last = page.locator(f"{SECTION} > h2").all_inner_texts()
    assert [title.partition(".")[0] for title in steps] == [str(step) for step in STEPS]
    assert last == "Exercises"
    assert all(section.is_visible() for section in page.locator(".handout section").all())
    for part in ("header", "nav.steps", "main", "footer"):
        assert not page.locator(part).first.is_visible()
    cut = page.evaluate(
        "[...document.querySelectorAll('.handout section')].filter(e => e.checkVisibility())"
        ".filter(e => e.scrollWidth > e.clientWidth + 2 || e.scrollHeight > e.clientHeight + 2).map(e => e.innerText)"
    )
    assert cut == []
    page.emulate_media(media="screen")
    page.locator(".handout").wait_for(state="detached")
    assert page.locator("h2#step-title").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_before_its_script_has_run_a_page_has_the_ground_that_it_will_have(
    chromium: Any, pages: dict[str, Path], open_page: Open, scheme: str
) -> None:
    """A white flash in a dark room is what it would be otherwise."""
    waiting = chromium.new_context(color_scheme=scheme, java_script_enabled=False)
    page = waiting.new_page()
    page.goto(pages["toy"].as_uri())
    seen = Image.open(io.BytesIO(page.screenshot())).convert("RGB").getpixel((2, 500))
    waiting.close()
    ground = open_page("toy", color_scheme=scheme).locator("html").evaluate("e => getComputedStyle(e).backgroundColor")
    assert ground == f"rgb{seen}"


def test_it_prints_on_five_sheets_and_none_is_empty(open_page: Open) -> None:
    page = open_page("mean", "#step=1", reduced_motion="reduce")
    sheets = re.findall(rb"/Type /Page\b", page.pdf(prefer_css_page_size=True))
    assert len(sheets) == 5
    page.emulate_media(media="print")
    page.locator(".handout").wait_for()
    sections = page.locator(SECTION)
    assert sections.evaluate_all("all => all.map(e => getComputedStyle(e).breakInside)") == ["avoid"] * 11
    assert page.evaluate("[...document.querySelectorAll('#app > .hidden')].some(e => e.checkVisibility())") is False


def test_the_button_prints_all_ten_steps(open_page: Open) -> None:
    """A page that asks to be printed is stopped by Chromium before it hears of it: it can make no element then."""
    page = open_page("toy", "#step=4")
    page.evaluate(
        "() => addEventListener('beforeprint', () => (window.papers = document.querySelectorAll('.handout h2').length))"
    )
    page.get_by_role("button", name="Print").click()
    page.wait_for_function("window.papers !== undefined")
    assert page.evaluate("papers") >= 10
    page.locator(".handout").wait_for(state="detached")
    assert page.locator("h2#step-title").is_visible()


@pytest.mark.parametrize("name", ["toy", "photo"])
def test_printed_at_once_it_has_all_pictures_and_no_patch_is_on_its_way(open_page: Open, name: str) -> None:
    """Paper waits for nothing: what is drawn a moment after it was asked for is not on it."""
    seen = """where => [...document.querySelectorAll(where)].map(canvas => {
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return data.some((part, i) => i % 4 === 3 && part > 0); })"""
    shown = f"""() => {{
        dispatchEvent(new Event('beforeprint'));
        const river = document.querySelectorAll('.river canvas')[1].toDataURL();
        const drawn = ({seen})('.handout .grey, .handout .thumb');
        dispatchEvent(new Event('afterprint'));
        return [river, drawn]; }}"""
    page = open_page(name, color_scheme="dark")
    first, drawn = page.evaluate(shown)
    assert drawn
    assert all(drawn)
    page.evaluate("() => new Promise(done => setTimeout(done, 1600))")
    assert page.evaluate(shown)[0] == first
    light = open_page(name, color_scheme="light", reduced_motion="reduce")
    assert light.evaluate(shown)[0] == first


@pytest.mark.slow
def test_paper_is_light_and_has_what_its_sentences_speak_of(open_page: Open) -> None:
    """From a dark screen and a projector's large type: light colours and ordinary type, backgrounds that carry meaning
    kept, the maps of step 3 and both strips of step 8 there; and the screen as it was afterwards."""
    page = open_page("photo", "#step=5", color_scheme="dark")
    page.keyboard.press("p")
    page.emulate_media(media="print", color_scheme="dark")
    page.locator(".handout").wait_for()
    root = page.locator("html")
    assert root.get_attribute("data-theme") == "light"
    assert "presenter" not in (root.get_attribute("class") or "")
    kept = "e => getComputedStyle(e).printColorAdjust"
    for what in (".handout .chip.content", ".handout .strip canvas", ".river .bar i", ".handout .funnel .tick"):
        assert page.locator(what).first.evaluate(kept) == "exact", what
    sections = page.locator(SECTION)
    maps = sections.nth(2).locator("[role=img]").last.bounding_box()
    assert maps["width"] > 80
    assert maps["height"] > 80
    assert sections.nth(7).locator(".strip canvas").count() == 2
    page.emulate_media(media="screen", color_scheme="dark")
    page.locator(".handout").wait_for(state="detached")
    assert root.get_attribute("data-theme") == "dark"
    assert "presenter" in root.get_attribute("class")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["toy", "sentiment", "mean", "query"])
def test_exercises_on_paper_ask_what_the_model_has(open_page: Open, name: str) -> None:
    """What lowers the answer is asked where the page can check it: where parts were taken away, and one does."""
    page = open_page(name, "#step=10")
    checked = page.locator("details.exercise").count()
    page.emulate_media(media="print")
    asked = page.locator(".handout .exercises").inner_text()
    assert ("of a class token that stands first" in asked) == (name in ("toy", "sentiment"))
    assert checked == asked.count("taken away, lowers") == (name in ("toy", "sentiment"))


@pytest.mark.slow
def test_a_link_keeps_what_was_swapped_and_how_it_is_pooled(open_page: Open) -> None:
    page = open_page("toy", "#step=10")
    page.get_by_role("button", name="Swap").click()
    page.locator("input[type=range]").first.fill("1")
    page.wait_for_function("location.hash.includes('before=1')")
    link, answers = page.evaluate("location.hash"), page.locator(".lab .bars").inner_text()
    other = open_page("toy", link)
    other.wait_for_function("(said) => document.querySelector('.lab .bars').innerText === said", arg=answers)
    other.get_by_role("button", name="Other pooling").click()
    other.get_by_role("button", name="maximum").click()
    other.wait_for_function("location.hash.includes('pooling=max')")
    third = open_page("toy", other.evaluate("location.hash"))
    assert third.get_by_role("button", name="maximum").get_attribute("aria-pressed") == "true"
    third.evaluate("location.hash = '#step=10'")  # an older link, of the first experiment
    third.locator(".modes button[aria-pressed=true]", has_text="Take away").wait_for()
    wrong = open_page("toy", "#step=10&try=swap&before=99&donor=nobody&pooling=nothing&layer=-1&token=1e9&input=<b>")
    assert wrong.locator("h2#step-title").is_visible()


@pytest.mark.slow
def test_a_link_keeps_the_donor_and_each_input_is_offered_once(chromium: Any, tmp_path: Path) -> None:
    ct.walkthrough("builtin:toy", out=tmp_path / "toy.html")
    page = chromium.new_page()
    page.goto(f"{(tmp_path / 'toy.html').as_uri()}#step=10&try=swap&before=1&donor=bird")
    chosen = page.locator(".lab select")
    chosen.wait_for()
    assert chosen.input_value() == "bird"
    assert "donor=bird" in page.evaluate("location.hash")
    assert chosen.locator("option").all_inner_texts() == ["a drawn dog", "a drawn bird"]
    page.close()


@pytest.mark.slow
def test_a_page_that_was_copied_in_part_says_so(chromium: Any, pages: dict[str, Path], tmp_path: Path) -> None:
    """Its script stands at the end: without this sentence there is an empty window."""
    text = pages["toy"].read_text(encoding="utf-8")
    (tmp_path / "part.html").write_text(text[: len(text) // 2], encoding="utf-8")
    page = chromium.new_page()
    page.goto((tmp_path / "part.html").as_uri())
    page.locator("#part").wait_for(state="visible", timeout=PATIENCE)
    page.goto(pages["toy"].as_uri())
    page.wait_for_selector("h2#step-title")
    assert page.locator("#part").count() == 0
    page.close()


def test_printed_before_it_is_drawn_it_says_so(chromium: Any, pages: dict[str, Path], tmp_path: Path) -> None:
    """An empty sheet says nothing. So does one of a page that has nothing to show."""
    text = pages["toy"].read_text(encoding="utf-8")
    begun, empty = text[: len(text) // 2], re.sub(r'(id="walkthrough">).*?(</script>)', r"\1\2", text, flags=re.DOTALL)
    page = chromium.new_page()
    page.emulate_media(media="print")
    for name, whole, where, says in (
        ("begun", begun, "#part", "Still loading"),
        ("empty", empty, "main.empty", "holds no walkthrough"),
    ):
        (tmp_path / f"{name}.html").write_text(whole, encoding="utf-8")
        page.goto((tmp_path / f"{name}.html").as_uri())
        assert page.locator(where).is_visible(), name
        assert says in page.locator(where).inner_text()
    page.close()


# -- accessibility -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("toy", {"color_scheme": "light"}),
        ("photo", {"color_scheme": "dark"}),
        ("text", {"color_scheme": "light", "width": 360, "height": 740}),
        ("multi", {"color_scheme": "light"}),
        ("sentiment", {"color_scheme": "dark", "width": 360, "height": 740}),
        ("registers", {"forced_colors": "active"}),
        ("query", {"color_scheme": "dark"}),
        ("mean", {"color_scheme": "light", "width": 360, "height": 740}),
    ],
)
def test_axe_finds_nothing_at_any_step(open_page: Open, root: Path, name: str, options: dict[str, Any]) -> None:
    page = open_page(name, **options)
    page.keyboard.press("c")
    page.evaluate("document.querySelectorAll('#concepts details').forEach(d => d.open = true)")
    found = {}
    for step in STEPS:
        found[step] = violations(page, root)
        page.keyboard.press("ArrowRight")
    assert {step: each for step, each in found.items() if each} == {}


# -- numbers -----------------------------------------------------------------------------------------------------------


def plain(text: str) -> float:
    digits, _, power = text.replace("−", "-").replace("\u00a0%", "").partition(" · 10⁻")
    return float(digits) / 10 ** int("".join(str("⁰¹²³⁴⁵⁶⁷⁸⁹".index(each)) for each in power) or 0)


@pytest.mark.slow
def test_the_numbers_shown_are_pythons(open_page: Open) -> None:
    """Scores and weights of every layer and head in the tables, answers in the bars: to the digits shown."""
    weights = ref.random_weights(TOY, 7)
    run = ref.forward(TOY, weights, picture(TOY, 1, "disc"))
    page = open_page("toy")
    for layer in range(TOY.depth):
        for head in range(TOY.heads):
            page.evaluate(f"location.hash = '#step=5&layer={layer}&head={head}&tables=open'")
            page.wait_for_selector("caption", state="attached")
            page.wait_for_function(
                f"document.querySelector('caption').textContent.includes('Layer {layer}, head {head}')"
            )
            cells = page.evaluate(
                "[...document.querySelectorAll('.middle details.table tbody tr')]"
                ".map(r => [...r.cells].slice(2, 4).map(c => c.textContent))"
            )
            shown = np.array([[plain(cell) for cell in row] for row in cells])
            truth = run.layers[layer]
            np.testing.assert_allclose(shown[:, 0], truth["scores"][head, 0], atol=5.1e-5)
            np.testing.assert_allclose(shown[:, 1], truth["weights"][head, 0], atol=5.1e-5)
    page.evaluate("location.hash = '#step=9'")
    page.wait_for_selector(".bars button.num")
    bars = [plain(text) for text in page.locator(".bars button.num").all_inner_texts()]
    np.testing.assert_allclose(bars, np.sort(run.values)[::-1] * 100, atol=0.051)


@pytest.mark.slow
def test_all_of_the_toys_arithmetic_follows_from_what_the_page_shows(open_page: Open) -> None:
    """From the answer back to pixels and weights: every number on the way is recomputed from the digits shown."""
    page = open_page("toy", "#step=9")
    found = page.evaluate(WALK)
    assert found["wrong"] == []
    assert found["count"] > 2500
    assert {"sum", "dot", "softmax", "norm", "gelu", "given"} <= set(found["kinds"])
    assert found["why"] == [
        "Learned in training: the same for every input.",
        "A pixel of your picture, as it enters the model.",
    ]


@pytest.mark.slow
def test_a_real_models_scores_softmax_heads_and_residuals_follow_too(open_page: Open) -> None:
    page = open_page("photo", "#step=6&layer=6&head=1&token=33")
    found = page.evaluate(WALK)  # state + attention (heads, bias)
    assert found["wrong"] == []
    assert {"sum", "given"} <= set(found["kinds"])
    page = open_page("photo", "#step=5&layer=6&head=1&token=33")
    found = page.evaluate(WALK)  # softmax over 197 scores, each a product of query and key
    assert found["wrong"] == []
    assert found["count"] > 197 * 8
    assert {"softmax", "dot"} <= set(found["kinds"])


def test_step_two_proves_its_sentence(open_page: Open) -> None:
    page = open_page("photo", "#step=2&token=40")
    says = page.locator(".compare .verdict").all_inner_texts()
    assert says[0] == "= identical"
    assert "differ" in says[1]


def test_the_laboratory_of_a_toy_is_free_and_right(open_page: Open) -> None:
    page = open_page("toy", "#step=10")
    for t in (1, 2):
        page.locator(".picture [role=option]").nth(t - 1).click()
    run = ref.forward(TOY, ref.random_weights(TOY, 7), picture(TOY, 1, "disc"), removed=frozenset({1, 2}))
    order = np.argsort(-ref.forward(TOY, ref.random_weights(TOY, 7), picture(TOY, 1, "disc")).values)
    bars = [plain(text) for text in page.locator(".lab .bars span.num:not(.delta)").all_inner_texts()]
    np.testing.assert_allclose(bars, run.values[order] * 100, atol=0.051)
    page.get_by_role("button", name="Put all back").click()
    page.get_by_role("button", name="Causal mask").click()
    assert "moves by 0.000" in page.locator(".lab").inner_text()
    page.get_by_role("button", name="Two class tokens").click()
    assert "1.0000" in page.locator(".lab").inner_text()
    page.get_by_role("button", name="Swap").click()
    page.locator(".lab input[type=range]").fill("3")
    assert "at the very end" in page.locator(".lab").inner_text()


def test_a_page_on_disk_takes_one_token_away_at_a_time(open_page: Open) -> None:
    page = open_page("text", "#step=10")
    words = page.locator(".sentence [role=option]")
    words.nth(1).click()
    words.nth(2).click()
    assert page.locator(".sentence .gone").count() == 1
    words.nth(0).click()  # the class token stays
    assert page.locator(".sentence .class.gone").count() == 0


def test_text_is_text_whatever_it_holds(open_page: Open) -> None:
    page = open_page("text", "#step=1")
    assert page.locator(".sentence b").count() == 0
    assert "<b>" in page.locator(".sentence").inner_text()
    assert page.locator(".sentence [role=option]").nth(7).inner_text() == "☂"


# -- speed and states --------------------------------------------------------------------------------------------------


def test_it_paints_soon_and_steps_fast(open_page: Open) -> None:
    """Bounds ten times wider than the promise (1 s, 100 ms), for busy machines; benchmarks/page.py measures."""
    page = open_page("photo")
    painted = "performance.getEntriesByName('first-contentful-paint')"
    page.wait_for_function(f"{painted}.length > 0")  # the entry comes with the frame, which may be after the load
    paint = page.evaluate(f"{painted}[0].startTime")
    assert paint < 10_000
    script = """async () => { const times = [];
        for (let i = 0; i < 9; i++) { const t = performance.now();
            window.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'}));
            await new Promise(r => setTimeout(r, 0)); document.body.offsetHeight; times.push(performance.now() - t); }
        return times; }"""
    assert float(np.median(page.evaluate(script))) < 1_000


@pytest.mark.slow
def test_a_notebook_shows_the_same_page(chromium: Any, tmp_path: Path) -> None:
    """In a sandboxed frame, which has no address to keep its place in: all steps, and nothing goes wrong inside."""
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><title>cell</title>{notebook_page(walkthrough(TOY))}", encoding="utf-8")
    page = chromium.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.goto(path.as_uri())
    frame = page.frame_locator("iframe")
    for step in STEPS:
        frame.get_by_text(f"Step {step} of 10", exact=True).wait_for()
        if step < 10:
            frame.get_by_role("button", name="Next").click()
    page.close()
    assert problems == []


def test_a_word_longer_than_a_line_is_broken_and_not_cut_off(open_page: Open) -> None:
    page = open_page("text", width=320, height=700)
    right = (
        page.locator(".sentence .piece")
        .nth(2)
        .evaluate(
            "piece => { piece.textContent = 'abcdefghij'.repeat(20); return piece.getBoundingClientRect().right; }"
        )
    )
    assert right <= page.locator(".panel.left").evaluate("panel => panel.getBoundingClientRect().right")


def test_a_page_in_a_cell_moves_only_itself_and_offers_no_link(chromium: Any, tmp_path: Path) -> None:
    path = tmp_path / "cells.html"
    cell = f"<p style='height: 500px'>cell</p>{notebook_page(walkthrough(TOY))}"
    path.write_text(f"<!doctype html><title>cells</title>{cell}{cell}<p style='height: 900px'>", encoding="utf-8")
    page = chromium.new_page(viewport={"width": 900, "height": 900})
    page.goto(path.as_uri())
    for which in (0, 1):
        frame = page.frame_locator("iframe").nth(which)
        frame.locator("h2#step-title").wait_for()
        page.evaluate(f"scrollTo(0, {300 + 1260 * which})")
        before = page.evaluate("scrollY")
        frame.locator("footer .go.primary").evaluate("button => button.click()")
        frame.get_by_text("Step 2 of 10", exact=True).wait_for()
        assert frame.locator("main").evaluate("main => main.getBoundingClientRect().top") < 200
        assert page.evaluate("scrollY") == before
        assert frame.locator("button.share").count() == 0
    page.close()


def test_where_nobody_looks_a_page_is_whole_too(chromium: Any, pages: dict[str, Path]) -> None:
    """In a cell far down in a notebook a browser draws no frame, and would never have one to begin with."""
    page = chromium.new_page()
    page.add_init_script("requestAnimationFrame = () => 0")
    page.goto(pages["toy"].as_uri())
    page.wait_for_selector("h2#step-title", timeout=PATIENCE / 6)
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "classtoken walkthrough --model"),
        ('{"format": "classtoken-walkthrough", "version": 99}', "version 99"),
        ('{"format": "else"}', "not a walkthrough"),
        ("{", "JSON"),
    ],
)
def test_an_empty_or_broken_page_says_so(
    chromium: Any, pages: dict[str, Path], tmp_path: Path, content: str, says: str
) -> None:
    before, rest = pages["toy"].read_text(encoding="utf-8").split('id="walkthrough">')
    path = tmp_path / "broken.html"
    path.write_text(f'{before}id="walkthrough">{content}</script>{rest.split("</script>", 1)[1]}', encoding="utf-8")
    page = chromium.new_page()
    page.goto(path.as_uri())
    page.locator("main.empty", has_text=says).wait_for()
    page.close()


def test_the_document_is_data_not_markup(pages: dict[str, Path]) -> None:
    text = pages["text"].read_text(encoding="utf-8")
    inside = text.split('id="walkthrough">')[1].split("</script>")[0]
    assert "<" not in inside
    assert json.loads(inside)["examples"][0]["input"]["text"].startswith("Seven small <b>")
    assert "default-src 'none'" in text


@pytest.mark.slow
def test_on_a_projector_each_step_stands_whole(open_page: Open) -> None:
    """1280 x 720, as many have: nobody scrolls in front of a room."""
    for name in ("toy", "photo", "sentiment"):
        page = open_page(name, width=1280, height=720)
        page.keyboard.press("p")
        for step in STEPS:
            page.wait_for_timeout(300)  # the strip on top has come to its height
            over = page.evaluate(
                "[...document.querySelectorAll('.panel')]"
                ".filter(e => /auto|scroll/.test(getComputedStyle(e).overflowY))"
                ".map(e => e.scrollHeight - e.clientHeight).filter(over => over > 2)"
            )
            assert over == [], (name, step)
            page.keyboard.press("ArrowRight")


@pytest.mark.slow
def test_a_link_keeps_the_number_and_the_direction_that_are_looked_at(open_page: Open) -> None:
    page = open_page("toy", "#step=5&layer=0&head=1&number=3&reads=back")
    turned = page.get_by_role("button", name="who reads it")
    assert turned.get_attribute("aria-pressed") == "true"
    assert place(page)["number"] == "3"
    page.reload()
    page.wait_for_selector("h2#step-title")
    assert turned.get_attribute("aria-pressed") == "true"
    turned.page.get_by_role("button", name="what it reads").click()
    assert "reads" not in place(page)
    page.evaluate("location.hash = '#step=2&number=5'")
    page.locator("main.step-2").wait_for()
    assert place(page)["number"] == "5"
