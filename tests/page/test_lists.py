"""The pages of search, duplicates, outliers and predict in a browser: offline, on a telephone, in both schemes, by
keyboard and by axe."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.folders import pictures, tiny_bert, tiny_vit

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


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1440, "dark"), (360, "light")])
def test_a_list_needs_nothing_else_fits_and_passes_axe(
    chromium: Any, root: Path, written: Path, width: int, scheme: str
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    page, errors, asked = context.new_page(), [], []
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(written.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [url for url in asked if not url.startswith(("data:", written.as_uri()))] == []
    broken = "[...document.images].filter(one => one.complete && !one.naturalWidth).length"
    assert page.evaluate(broken) == 0
    folded = page.locator("summary")
    for one in folded.all():  # what can be opened can be reached and opened by keyboard
        one.focus()
        before = one.evaluate("s => s.parentElement.open")
        page.keyboard.press("Enter")
        assert one.evaluate("s => s.parentElement.open") != before
        page.keyboard.press("Enter")
    axe = root / "web" / "node_modules" / "axe-core" / "axe.min.js"
    if not axe.is_file():
        pytest.skip("axe-core is not installed in web/ (npm ci)")
    page.evaluate(axe.read_text(encoding="utf-8"))
    assert page.evaluate("axe.run().then(r => r.violations.map(v => v.id + ': ' + v.nodes[0].html))") == []
    assert errors == []
    context.close()
