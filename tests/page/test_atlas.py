"""The atlas in a real browser: no request, keyboard, lasso, search, small screens, dark, and quick enough."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.nearest.made import folder_of
from tests.page.reports import violations

import classtoken as ct

pytestmark = pytest.mark.browser
Opened = Callable[..., Any]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("atlas")
    numbers = np.random.default_rng(0)
    rows = np.repeat(np.eye(16)[:4], 60, 0) + 0.2 * numbers.standard_normal((240, 16))
    texts = [f"</script><b>text</b> {['red', 'green', 'blue', 'grey'][i // 60]} {i}" for i in range(240)]
    labels = [None if i % 7 == 0 else "abcd"[i // 60] for i in range(240)]
    folder_of(place / "made", rows.astype(np.float32), carried={"text": texts}, labels=labels)
    ct.atlas(place / "made", place / "atlas.html")
    return place / "atlas.html"


@pytest.fixture
def opened(chromium: Any, page_file: Path) -> Iterator[Opened]:
    requests, problems, contexts = [], [], []

    def open_one(width: int = 1280, height: int = 800, **options: Any) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.goto(page_file.as_uri())
        page.wait_for_function("window.atlas !== undefined")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert problems == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []


@pytest.mark.slow
def test_paper_gets_the_map_in_light_colours_and_in_its_own_shape(opened: Opened) -> None:
    page = opened(color_scheme="dark")
    shape = "c => c.width / c.height"
    before = page.locator("canvas").evaluate(shape)
    corner = "c => [...c.getContext('2d').getImageData(2, 2, 1, 1).data].slice(0, 3).every(x => x > 200)"
    assert not page.locator("canvas").evaluate(corner)
    page.set_viewport_size({"width": 700, "height": 990})
    page.emulate_media(media="print", color_scheme="dark")
    box = page.locator("canvas").bounding_box()
    assert page.locator("canvas").evaluate(corner)
    assert box["width"] / box["height"] == pytest.approx(page.locator("canvas").evaluate(shape), rel=0.02)
    assert box["width"] <= 700
    assert page.locator(".dot").first.evaluate("e => getComputedStyle(e).printColorAdjust") == "exact"
    assert not page.locator(".stage .bar").is_visible()
    page.emulate_media(media="screen", color_scheme="dark")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.wait_for_function(f"() => !({corner})(document.querySelector('canvas'))")
    assert page.locator("canvas").evaluate(shape) == pytest.approx(before, rel=0.02)


def test_find_choose_and_copy(opened: Opened) -> None:
    page = opened()
    page.get_by_role("searchbox").fill("blue 13")
    heading = page.locator("section[aria-label='Points found or chosen'] h2").inner_text()
    assert heading in ("10 found", "11 found"), heading  # blue 130 to 139, and what lies in a cluster called after one
    assert "</script><b>text</b> blue 130" in page.locator(".items").first.inner_text()
    page.locator(".items button").first.click()
    assert "blue" in page.locator("#tip").inner_text()
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Show all").click()  # an item that is chosen moves the map to it
    page.get_by_role("button", name="Lasso").click()
    box = page.locator("canvas").bounding_box()
    corners = [(2, 2), (box["width"] - 2, 2), (box["width"] - 2, box["height"] - 2), (2, box["height"] - 2)]
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    for x, y in corners:
        page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.up()
    assert page.locator("section[aria-label='Points found or chosen'] h2").inner_text() == "240 chosen"
    page.get_by_label("Colour").select_option("cluster")
    page.locator("details summary").first.click()
    page.locator("details[open] .items").nth(1).wait_for()  # filled when it opens, which is told a moment later
    assert page.locator("details[open] .items").count() == 2


def test_by_keyboard_alone(opened: Opened) -> None:
    page = opened()
    page.locator("canvas").focus()
    seen = set()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
        seen.add(page.locator("#live").inner_text())
    assert len(seen) >= 3
    before = page.evaluate("atlas.state.zoom")
    page.keyboard.press("+")
    assert page.evaluate("atlas.state.zoom") > before
    page.keyboard.press("Enter")
    assert page.evaluate("atlas.state.chosen.size") == 1
    page.keyboard.press("Escape")
    page.keyboard.press("0")
    assert page.evaluate("[atlas.state.chosen.size, atlas.state.zoom]") == [0, 1]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 360])
def test_fits_and_passes_axe(opened: Opened, root: Path, width: int, scheme: str) -> None:
    page = opened(width, 800, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("details summary").first.click()
    page.get_by_role("searchbox").fill("red")
    assert violations(page, root) == []


def test_ten_thousand_points_are_drawn_in_a_frame(opened: Opened) -> None:
    """The page's own points, each drawn forty times: what a page of 9,600 costs."""
    page = opened()
    once = page.evaluate(
        "(() => { atlas.paint(); const t = performance.now(); for (let i = 0; i < 40; i++) atlas.paint();"
        " return performance.now() - t })()"
    )
    assert once < 2000  # milliseconds; 14 each on a quiet machine without a graphics card, and this one is busy


def test_a_served_page_finds_by_meaning(chromium: Any, tmp_path: Path) -> None:
    from tests import folders
    from tests.serve.test_service import RunningService

    from classtoken.jobs.atlas import drawn
    from classtoken.jobs.serve import service
    from classtoken.nearest.searcher import Searcher
    from classtoken.options import AtlasOptions, ServeOptions
    from classtoken.page.atlas import atlas_html

    bert = folders.tiny_bert(tmp_path / "bert")
    words = ("cat", "dog", "bird", "red", "house", "mat")
    (tmp_path / "texts.txt").write_text("\n".join(f"{a} {b}" for a in words for b in words if a != b))
    ct.embed(bert, tmp_path / "texts.txt", tmp_path / "vectors")
    searcher = Searcher(tmp_path / "vectors")
    page_of, _ = drawn(searcher.vectors, AtlasOptions())
    html = atlas_html(page_of, search="v1/search")
    running = RunningService(service([], ServeOptions(), searchers={"vectors": searcher}, page=html))
    context = chromium.new_context()
    try:
        page = context.new_page()
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.goto(running.url)
        page.get_by_role("searchbox").fill("red house")
        page.get_by_role("searchbox").press("Enter")
        page.get_by_text("the best first").wait_for()
        assert "red house" in page.locator(".items button").first.inner_text()
        page.get_by_role("searchbox").fill(" ")
        page.get_by_role("searchbox").press("Enter")  # nothing is asked for
        assert problems == []
    finally:
        context.close()
        running.stop()


def test_with_a_screens_own_colours_the_key_has_the_maps(opened: Opened) -> None:
    page = opened(color_scheme="dark", forced_colors="active")
    dots = page.locator(".dot").evaluate_all("all => all.map(one => getComputedStyle(one).backgroundColor)")
    assert len(set(dots)) >= 5
