"""Figures are well-formed, carry their numbers, escape what comes from outside, and need nothing from elsewhere."""

import itertools
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFont

from classtoken.errors import InternalError
from classtoken.report import charts, colour, html, maps, png, svg, words
from classtoken.report.heat_table import heat_table
from classtoken.report.strip import strip
from classtoken.results.explain import KnockOut

NASTY = "<script>alert(\"x\")</script> & 'quotes'"
finite = st.floats(-1e6, 1e6, allow_nan=False)


def texts(figure: str) -> str:
    return " ".join(ElementTree.fromstring(figure).itertext())


def figures() -> dict[str, str]:
    xs = (0.0, 1.0, 2.0)
    band = charts.Series(NASTY, xs, (0.1, 0.5, 0.4), (0.0, 0.4, 0.3), (0.2, 0.6, 0.5))
    plain = charts.Series("random weights", xs, (0.9, 0.9, 0.8), control=True)
    return {
        "lines": charts.lines([band, plain], heading=NASTY, x_label="layer", y_label="share"),
        "dots": charts.dots([charts.Dot(NASTY, 0.5, 0.4, 0.6)], heading="h", x_label="x", reference=0.3),
        "matrix": charts.matrix([[0.1, 0.2], [0.3, -0.4]], heading=NASTY, diverging=True),
        "heat map": maps.heat_map([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], (2, 3), heading=NASTY, unit="share", outline=[1]),
        "grid": maps.map_grid([[[0.1, 0.2], [0.3, 0.4]]], (1, 2), heading=NASTY),
    }


@pytest.mark.parametrize("name", sorted(figures()))
def test_figures_are_well_formed_and_escaped(name: str) -> None:
    figure = figures()[name]
    root = ElementTree.fromstring(figure)
    assert root.tag.endswith("svg")
    assert "<script" not in figure
    assert root.attrib["role"] == "img"
    assert "prefers-color-scheme:dark" in figure
    assert not re.search(r"(href|src)=\"(?!data:)", figure)
    assert "nan" not in figure.lower().replace("nano", "")


def test_numbers_stand_in_the_figures() -> None:
    said = {name: texts(figure) for name, figure in figures().items()}
    assert "0.5 (95 %: 0.4 to 0.6)" in said["lines"]
    assert "0.5 [0.4, 0.6]" in said["dots"]
    assert "-0.4" in said["matrix"]
    assert "patch 5 (row 1, column 2): 0.60 patch 4 (row 1, column 1): 0.50" in said["heat map"]
    assert "patch 5 (row 1, column 2): 0.6 share" in said["heat map"]


def test_a_map_must_fill_its_grid() -> None:
    with pytest.raises(InternalError, match="4 values do not fill"):
        maps.heat_map([1.0] * 4, (2, 3), heading="h")


def test_cividis_rises_evenly_in_lightness() -> None:
    steps = [colour.luminance(colour.heat(i / 50)) for i in range(51)]
    assert all(b > a for a, b in itertools.pairwise(steps))
    assert colour.heat(-3) == colour.CIVIDIS[0]
    assert colour.heat(7) == colour.CIVIDIS[-1]
    assert colour.signed(0) == colour.DIVERGING[2]


@given(st.floats(0, 1), st.booleans())
def test_ink_can_be_read_on_every_heat(share: float, diverging: bool) -> None:
    ground = colour.signed(2 * share - 1) if diverging else colour.heat(share)
    ink = (0, 0, 0) if colour.ink_on(ground) == "#000" else (255, 255, 255)
    assert colour.contrast(ground, ink) >= 4.5


@given(st.lists(finite, min_size=1, max_size=20), st.booleans())
def test_scales_stay_in_range(values: list[float], diverging: bool) -> None:
    shares, low, high = colour.scaled(values, diverging=diverging)
    assert all(-1 <= s <= 1 for s in shares)
    assert low <= min(values)
    assert high >= max(values)
    assert diverging is False or all((s > 0) == (v > 0) for s, v in zip(shares, values, strict=True) if abs(v) > 1e-9)


@given(finite, st.floats(1e-3, 1e6))
def test_ticks_are_within_and_even(low: float, span: float) -> None:
    found = charts.ticks(low, low + span)
    assert 1 <= len(found) <= 12
    gaps = [b - a for a, b in itertools.pairwise(found)]
    assert not gaps or max(gaps) - min(gaps) <= 1e-6 * max(1.0, abs(low), span)


@pytest.mark.parametrize(
    ("value", "said"), [(0, "0"), (0.12345, "0.123"), (1234.5, "1.2e+03"), (-0.0002, "-2.0e-04"), (999, "999")]
)
def test_numbers_for_readers(value: float, said: str) -> None:
    assert svg.shown(value) == said


@pytest.mark.parametrize(
    ("value", "largest", "said"),
    [
        (0.0354, 0.81, "0.04"),
        (-0.001, 0.81, "0.00"),
        (0.81, 0.81, "0.81"),
        (12.34, 56.0, "12"),
        (0.0122, 0.0364, "0.012"),
        (7.5e-6, 2e-5, "7.5e-06"),
        (0.0, 0.0, "0"),
    ],
)
def test_numbers_of_one_picture_have_equal_decimals(value: float, largest: float, said: str) -> None:
    assert svg.evenly(value, largest) == said


def cut(null: tuple[float, ...], after: float = 0.5) -> KnockOut:
    return KnockOut("x", "removed", (1,), 0.9, after, null, 100)


@pytest.mark.parametrize("null", [(), (0.5,), (0.9,) * 179, tuple(i / 100 for i in range(100))])
@pytest.mark.parametrize("after", [0.5, 0.9, 0.899999, 0.0])
def test_a_cut_stands_beside_all_its_controls(null: tuple[float, ...], after: float) -> None:
    """A dot for each, inside the picture, and the three numbers in words."""
    drawn = strip(cut(null, after), "{:.3f}".format, whole="whole", without=NASTY, others="others", percent=True)
    root = ElementTree.fromstring(drawn)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    dots = [node for node in root.iter() if node.tag.endswith("circle")]
    assert len(dots) == len(null) + 1 + bool(null)  # and one as the key
    assert all(0 < float(d.attrib["cx"]) < width and 0 < float(d.attrib["cy"]) < height for d in dots)
    assert "whole: 0.900" in texts(drawn)
    assert f"{NASTY}: {after:.3f}" in texts(drawn)


def test_names_of_a_cut_and_of_the_whole_do_not_stand_on_the_line() -> None:
    drawn = strip(cut((0.2,), 0.905), "{:.3f}".format, whole="whole", without="without", others="others")
    root = ElementTree.fromstring(drawn)
    line = next(float(n.attrib["x1"]) for n in root.iter() if n.tag.endswith("line") and "stroke-dasharray" in n.attrib)
    name = next(n for n in root.iter() if n.tag.endswith("text") and (n.text or "").startswith("without:"))
    assert abs(float(name.attrib["x"]) - line) > measured(name.text or "", 12) / 2


def test_lines_that_end_in_one_place_are_named_in_a_list() -> None:
    names = ["direct", "rollout", NASTY]
    series = [charts.Series(name, (0.0, 1.0), (1.0 - i / 10, 0.2)) for i, name in enumerate(names)]
    plain = charts.lines(series, heading="h", x_label="x", y_label="y")
    listed = charts.lines(series, heading="h", x_label="x", y_label="y", key=True)
    tall = [float(ElementTree.fromstring(figure).attrib["viewBox"].split()[3]) for figure in (plain, listed)]
    assert tall[1] - tall[0] >= 3 * 14
    assert all(name in texts(listed) for name in names)


def test_a_table_of_numbers_for_and_against() -> None:
    cells = [[("-0.81", 1.0), ("+0.04", -0.05)], [None, ("0.00", 0.0)]]
    drawn = heat_table(["a", "b"], [NASTY, "d"], cells, diverging=True)
    assert colour.hexed(colour.DIVERGING[-1]) in drawn
    assert colour.hexed(colour.DIVERGING[2]) in drawn
    assert "<script" not in drawn


def test_words_carry_numbers_and_mark_special_tokens() -> None:
    drawn = words.shaded_words(["[CLS]", NASTY, "cat"], [0.9, 0.1, 0.3], special=[True, False, False])
    assert "<script" not in drawn
    assert drawn.count('class="word special"') == 1
    assert "<small>0.30</small>" in drawn
    assert "scale 0.10 to 0.30" in drawn  # special tokens are not on the words' scale


def test_a_page_is_self_contained() -> None:
    section = html.Section(NASTY, NASTY, html.table((NASTY,), [(NASTY,)]), NASTY)
    page = html.page(NASTY, NASTY, [section])
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=\"(?!#|data:)", page)
    assert page.count("<h1>") == 1
    assert 'lang="en"' in page


def test_png_sheets(tmp_path: Path) -> None:
    panels = [png.Panel("attention", (0.1, 0.9, 0.2, 0.4)), png.Panel("signed", (-1.0, 0.5, 0.0, 1.0), True)]
    uri = maps.png_uri([0.0, 1.0, 0.5, 0.2], (2, 2))
    (tmp_path / "a.png").write_bytes(png.maps_png("heading", panels, (2, 2), uri))
    (tmp_path / "b.png").write_bytes(png.words_png("heading", panels, ["one", "two", "three", "four"], width=200))
    for name in ("a.png", "b.png"):
        with Image.open(tmp_path / name) as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 20


def test_no_text_is_wider_than_its_figure() -> None:
    """Measured with the widest of the usual fonts, where it is here; else with the measure that figures are made by."""
    long = "a heading that says very much, as headings of figures over many methods do, and WWWWWWWWWWWWWWWW says more"
    xs = (0.0, 1.0)
    drawn = {
        **figures(),
        "long lines": charts.lines([charts.Series(long, xs, xs)], heading=long, x_label="layer", y_label="share"),
        "long dots": charts.dots([charts.Dot(long, 0.5, 0.4, 0.6)], heading=long, x_label="x"),
        "long matrix": charts.matrix([[0.1, 0.2]], heading=long, row_names=[long], column_names=[long, "b"]),
        "long map": maps.heat_map([0.1, 0.2, 0.3, 0.4], (2, 2), heading=long),
        "narrow map": maps.heat_map([0.1, 0.2, 0.3], (3, 1), heading=long),
        "cut": strip(cut((0.2, 0.9)), "{:.6f}".format, whole="nothing taken away", without="cut", others=long),
        "key": charts.lines([charts.Series(long, xs, xs)], heading=long, x_label="x", y_label="y", key=True),
        "long grid": maps.map_grid([[[0.1, 0.2], [0.3, 0.4]]], (1, 2), heading=long),
    }
    for name, figure in drawn.items():
        root = ElementTree.fromstring(figure)
        width = float(root.attrib["viewBox"].split()[2])
        for node in root.iter():
            if node.tag.endswith("text") and "transform" not in node.attrib and node.text:
                size = float(node.attrib.get("font-size", 13 if node.attrib.get("class") == "title" else 12))
                wide, x = measured(node.text, size), float(node.attrib["x"])
                left = {"end": x - wide, "middle": x - wide / 2}.get(node.attrib.get("text-anchor", ""), x)
                assert left >= -1, (name, node.text)
                assert left + wide <= width + 1, (name, node.text)


def test_on_a_telephone_the_line_to_be_compared_with_strikes_out_no_number() -> None:
    rows = [charts.Dot(f"a name that is long, {i}", 0.1 * i, 0.1 * i - 0.4, 1.0) for i in range(9)]
    figure = charts.dots(rows, heading="h", x_label="x", width=360, reference=0.6)
    nodes = list(ElementTree.fromstring(figure).iter())
    path = next(node.attrib["d"] for node in nodes if node.attrib.get("stroke-dasharray"))
    pieces = [(float(start), float(end)) for start, end in re.findall(r"M \S+ (\S+) V (\S+)", path)]
    foots = [float(node.attrib["y"]) for node in nodes if "over" in node.attrib.get("class", "").split()]
    assert (len(pieces), len(foots)) == (9, 18)
    assert [(foot, piece) for foot in foots for piece in pieces if foot - 10 < piece[1] and foot + 3 > piece[0]] == []


def measured(words: str, size: float) -> float:
    try:
        return float(ImageFont.truetype("DejaVuSans.ttf", 100).getlength(words)) * size / 100
    except OSError:
        return svg.width_of(words, size)
