"""One numbering: what the page calls tokens, layers and heads is what `explain`, its JSON and its cuts call them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.page.tiny import drawn

from classtoken.page.document import Walkthrough
from classtoken.page.export import write_page
from classtoken.study.cuts import parse_cut
from classtoken.study.inputs import prepare_item, token_views
from classtoken.values import Role
from classtoken.walk.engine import Engine

pytestmark = pytest.mark.browser

Made = tuple[Engine, Walkthrough, str]
SENTENCE = "A wonderful film, funny and warm from beginning to end."


@pytest.fixture
def walked(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Made]:
    """An engine of a model with one input, and its document."""

    def make(name: str, *, full: bool = False) -> Made:
        model: Any = f"builtin:{name}"
        item = SENTENCE if name in ("sentiment", "minilm") else str(drawn("cat", tmp_path / "cat.png"))
        if name == "deit":
            model = request.getfixturevalue("shared") / "models" / "deit-tiny-patch16-224"
        if name == "minilm":
            model = request.getfixturevalue("minilm")
        engine = Engine(model, [item])
        return engine, engine.document(full=full), item

    return make


def opened(chromium: Any, document: Walkthrough, place: Path, hash: str) -> Any:
    write_page(document, place)
    page = chromium.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{place.as_uri()}{hash}")
    page.wait_for_selector("h2#step-title")
    return page


@pytest.mark.slow
@pytest.mark.parametrize("name", ["toy", "scenes", "scenes-multi", "deit", "minilm"])
def test_tokens_layers_and_heads_are_called_as_python_calls_them(
    chromium: Any, walked: Callable[..., Made], tmp_path: Path, name: str
) -> None:
    engine, document, item = walked(name)
    classifier = engine.embedder.tower().reading.classifier
    views = token_views(prepare_item(engine.embedder, item).view, classifier)
    depth, heads = document.model.depth, document.model.heads
    page = opened(chromium, document, tmp_path / "page.html", f"#step=2&layer={depth - 1}")

    said = page.locator(".sequence [role=option]").evaluate_all("all => all.map(e => e.getAttribute('aria-label'))")
    assert [each.strip("“”") if v.role == Role.CONTENT else each for each, v in zip(said, views, strict=True)] == [
        view.text for view in views
    ]
    page.evaluate(f"location.hash = '#step=5&layer={depth - 1}&head=0'")
    page.wait_for_selector(".depth input")
    title = page.locator("table.funnel").get_attribute("aria-label")
    assert title == f"Layer {depth - 1}, head 0: from scores to what is added"
    assert page.locator(".depth output").first.inner_text() == str(depth - 1)
    buttons = page.locator(".depth .heads:not(.watched) button.num").all_inner_texts()
    assert buttons == [str(head) for head in range(heads)]
    stops = page.locator(".river .stop text.number").all_text_contents()
    assert set(stops) <= {str(layer) for layer in range(depth)}
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["toy", "sentiment"])
def test_the_cut_that_the_page_names_is_the_cut_that_it_shows(
    chromium: Any, walked: Callable[..., Made], tmp_path: Path, name: str
) -> None:
    engine, document, item = walked(name, full=True)
    roles = prepare_item(engine.embedder, item).view.roles
    page = opened(chromium, document, tmp_path / "page.html", "")
    for cut in (k for k in document.examples[0].knockouts if k.head is None):
        page.evaluate(f"location.hash = '#step=5&layer={cut.layer}&head=all'")
        assert f"in layer {cut.layer}" in page.locator(".matter p").first.inner_text()
        page.locator(".matter details summary").click()
        written = re.search(r'--cut "([^"]+)" --mode (\w+)', page.locator(".matter code").inner_text())
        page.locator(".matter details summary").click()
        assert written is not None
        found = parse_cut(written[1], roles, document.model.depth, document.model.heads)
        assert (found.kind, found.keys, found.layers) == ("edges", cut.tokens, (cut.layer,))
        assert found.readers == (document.examples[0].watched,)
        assert written[2] == cut.mode
    page.close()


@pytest.mark.slow
def test_the_name_of_a_patch_cuts_that_patch(walked: Callable[..., Made]) -> None:
    """`patch 86` is `p86`, whatever stands before the patches."""
    engine, document, item = walked("scenes-multi")
    views = token_views(prepare_item(engine.embedder, item).view)
    roles = [view.role for view in views]
    for place, token in enumerate(document.examples[0].tokens):
        if token.cell is not None:
            number = token.name.removeprefix("patch ").split(" ")[0]
            found = parse_cut(f"tokens:p{number}@0", roles, document.model.depth, document.model.heads)
            assert found.keys == (place,)
            assert views[place].text == token.name
