"""The pages of `explain` in a browser: offline, at the width of a telephone, in both schemes, by axe, on paper."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.page.reports import check_report

import classtoken as ct

pytestmark = pytest.mark.browser
WORDS = "A wonderful film with a slow start, but the actors are unbelievably great."


def _picture(out: Path) -> None:
    donor = Image.radial_gradient("L").convert("RGB")
    given = Image.linear_gradient("L").convert("RGB")
    ct.explain("builtin:toy", given, out, donors=[donor], mode="all", cuts=["tokens:p3,p4", "heads:1.0"])


def _text(out: Path) -> None:
    ct.explain("builtin:sentiment", WORDS, out, quick=True)


def _pair(out: Path) -> None:
    ct.explain_pair("builtin:sentiment", [WORDS, "The acting is good, the story is not."], out)


def _pictures(out: Path) -> None:
    both = [Image.linear_gradient("L").convert("RGB"), Image.radial_gradient("L").convert("RGB")]
    ct.explain_pair("builtin:toy", both, out)


PAGES: dict[str, Callable[[Path], None]] = {"picture": _picture, "text": _text, "pair": _pair, "pictures": _pictures}


@pytest.fixture(scope="module", params=PAGES)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("explained") / f"{request.param}.html"
    PAGES[request.param](out)
    return out


def readable(page: Any) -> None:
    """No writing in a picture is smaller than 9 px as it is drawn."""
    smallest = """Math.min(...[...document.querySelectorAll('svg text')].map(t => {
        const svg = t.ownerSVGElement
        return parseFloat(getComputedStyle(t).fontSize) * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width
    }))"""
    assert page.evaluate(smallest) >= 9


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1440, "dark"), (390, "dark"), (360, "light")])
def test_a_report_needs_nothing_else_fits_and_passes_axe(
    chromium: Any, root: Path, written: Path, width: int, scheme: str
) -> None:
    check_report(chromium, root, written, width, scheme, readable)


def test_on_paper_every_section_is_open(chromium: Any, written: Path) -> None:
    context = chromium.new_context(viewport={"width": 700, "height": 990}, color_scheme="dark", offline=True)
    page = context.new_page()
    page.goto(written.as_uri())
    inside = "[...document.querySelectorAll('details.section')].map(d => d.children[1].getBoundingClientRect().height)"
    page.emulate_media(media="print", color_scheme="dark")
    assert all(height > 0 for height in page.evaluate(inside))
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    cut = "[...document.querySelectorAll('figure, svg')].filter(e => e.getBoundingClientRect().right > 701).length"
    assert page.evaluate(cut) == 0
    context.close()


def test_on_paper_a_word_keeps_the_colour_that_says_how_strong_it_is(chromium: Any, tmp_path: Path) -> None:
    """Without it the strongest words, white on dark, are the faintest on the sheet."""
    _pair(tmp_path / "pair.html")
    page = chromium.new_page(color_scheme="dark")
    page.goto((tmp_path / "pair.html").as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    kept = "[...document.querySelectorAll('.word')].map(e => getComputedStyle(e).printColorAdjust)"
    assert set(page.evaluate(kept)) == {"exact"}
    page.close()


@pytest.mark.slow
def test_a_line_between_words_stands_out_under_the_pointer(chromium: Any, tmp_path: Path) -> None:
    _pair(tmp_path / "pair.html")
    page = chromium.new_page()
    page.goto((tmp_path / "pair.html").as_uri())
    met = page.locator(".met").last  # the strongest, on top
    line = met.locator("line").last
    before = line.evaluate("l => getComputedStyle(l).stroke")
    met.locator("line.hit").hover(force=True)
    assert line.evaluate("l => getComputedStyle(l).stroke") != before
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["picture", "pictures"])
def test_a_picture_stands_as_it_was_given_beside_what_the_model_gets(chromium: Any, tmp_path: Path, kind: str) -> None:
    wide = Image.linear_gradient("L").convert("RGB").resize((300, 150))
    if kind == "picture":
        ct.explain("builtin:toy", wide, tmp_path / "a.html", quick=True)
    else:
        ct.explain_pair("builtin:toy", [wide, wide.rotate(180)], tmp_path / "a.html")
    page = chromium.new_page()
    page.goto((tmp_path / "a.html").as_uri())
    shapes = """[...document.querySelectorAll('.given')].map(
        given => [...given.querySelectorAll('img')].map(i => i.naturalWidth / i.naturalHeight))"""
    sizes = page.evaluate(shapes)
    assert len(sizes) == (1 if kind == "picture" else 2)
    assert all(given == pytest.approx(2) and got == pytest.approx(1) for given, got in sizes)
    page.close()
