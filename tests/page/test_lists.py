"""The pages of search, duplicates, outliers and predict in a browser: offline, on a telephone, in both schemes, by
keyboard and by axe."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.folders import pictures, tiny_bert, tiny_vit
from tests.page.reports import check_report

import classtoken as ct

pytestmark = pytest.mark.browser

WORDS = "the cat sits on a mat and a dog runs under the red house"
PAGES: dict[str, Callable[[Path, Path], object]] = {
    "search": lambda root, out: ct.search(root / "vectors", "a red cat", out=out, k=5),
    "searches": lambda root, out: ct.search(root / "vectors", ["a red cat", "a dog"], out=out, k=3),
    "search by picture": lambda root, out: ct.search(root / "seen", id="a b/0.png", out=out, k=4),
    "duplicates": lambda root, out: ct.duplicates(root / "vectors", out, above=0.9),
    "duplicate pictures": lambda root, out: ct.duplicates(root / "seen", out, above=0.5),
    "outliers": lambda root, out: ct.outliers(root / "vectors", out, k=3),
    "odd pictures": lambda root, out: ct.outliers(root / "seen", out, k=3),
    "predictions": lambda root, out: out.write_bytes((root / "labelled" / "report.html").read_bytes()),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vectors of texts, one of them long and in one word, and of pictures under names with spaces; a labelled table."""
    root = tmp_path_factory.mktemp("lists")
    tiny_bert(root / "bert", head=True)
    tiny_vit(root / "vit")
    texts = [*(" ".join(WORDS.split()[i : i + 4]) for i in range(8)), WORDS * 20, "x" * 600, "the cat sits on", "a dog"]
    rows = "".join(f"t{i},{text},LABEL_{i % 2}\n" for i, text in enumerate(texts))
    (root / "texts.csv").write_text(f"id,text,label\n{rows}")
    for i, picture in enumerate([*pictures(4), *pictures(4)]):
        path = root / "photos" / ("a b", "c")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    ct.embed(root / "bert", root / "texts.csv", root / "vectors")
    ct.embed(root / "vit", root / "photos", root / "seen")
    ct.predict(root / "bert", root / "texts.csv", root / "labelled")
    return root


@pytest.fixture(scope="module", params=PAGES)
def written(request: pytest.FixtureRequest, place: Path) -> Path:
    out = place / f"{request.param}.html"
    PAGES[request.param](place, out)
    return out


def by_keyboard(page: Any) -> None:
    """What can be opened can be reached and opened by keyboard."""
    for one in page.locator("summary").all():
        one.focus()
        before = one.evaluate("s => s.parentElement.open")
        page.keyboard.press("Enter")
        assert one.evaluate("s => s.parentElement.open") != before
        page.keyboard.press("Enter")


@pytest.mark.slow
def test_what_would_go_stands_on_a_line_of_its_own(chromium: Any, place: Path) -> None:
    """Right behind a row's id it would be read as a part of it."""
    out = place / "going.html"
    ct.duplicates(place / "vectors", out, above=0.9)
    page = chromium.new_page(viewport={"width": 1440, "height": 900})
    page.goto(out.as_uri())
    lines = {line for each in page.locator("figcaption").all() for line in each.inner_text().split("\n")}
    going = {line for line in lines if "would go" in line}
    assert going
    assert all(line.startswith("would go") for line in going)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1440, "dark"), (360, "light")])
def test_a_list_needs_nothing_else_fits_and_passes_axe(
    chromium: Any, root: Path, written: Path, width: int, scheme: str
) -> None:
    check_report(chromium, root, written, width, scheme, by_keyboard)
