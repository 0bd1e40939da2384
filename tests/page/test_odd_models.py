"""Pages of what is rare: one layer and one head, many of both, names from right to left, answers that nothing moves,
a single word, class tokens on a telephone."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from PIL import Image
from tests.page.conftest import PATIENCE, Open
from tests.page.sweep import SETTLED, faults
from tests.page.tiny import drawn

from classtoken.page.document import Walkthrough
from classtoken.page.example import Example
from classtoken.page.export import write_page
from classtoken.walk.engine import Engine

pytestmark = pytest.mark.browser

ARABIC = "قرش أبيض"
ONE_OF_MANY = re.compile(r"\b1 (layers|heads|pieces|patches|times|vectors|rows)\b")


def classifier(folder: Path, labels: tuple[str, ...], *, layers: int, heads: int, sure: float = 1.0) -> Path:
    """A ViT of 4 x 4 patches with random weights; `sure` scales what its classifier reads."""
    sizes = {"num_hidden_layers": layers, "num_attention_heads": heads, "hidden_size": 8 * heads}
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = hf.ViTConfig(**sizes, **names, intermediate_size=16, image_size=32, patch_size=8)
        model = hf.ViTForImageClassification(config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape))
            model.classifier.weight.mul_(sure)
    model.save_pretrained(folder)
    size = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    processor = {"image_processor_type": "ViTImageProcessor", "do_resize": True, "do_normalize": True, **size}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), encoding="utf-8")
    return folder


@pytest.fixture
def shown(chromium: Any, tmp_path: Path) -> Callable[..., Any]:
    """The page of a model and its inputs, opened."""

    def show(model: str | Path, items: list[str], hash: str = "", *, full: bool = True, width: int = 1440) -> Any:
        write_page(Engine(model, items).document(full=full), tmp_path / "page.html")
        page = chromium.new_page(viewport={"width": width, "height": 900}, reduced_motion="reduce")
        page.set_default_timeout(PATIENCE)
        page.goto(f"{(tmp_path / 'page.html').as_uri()}{hash}")
        page.wait_for_selector("h2#step-title")
        page.evaluate(SETTLED)
        return page

    return show


@pytest.mark.slow
def test_one_layer_and_one_head_are_one(shown: Callable[..., Any], tmp_path: Path) -> None:
    model = classifier(tmp_path / "one", ("yes", "no"), layers=1, heads=1)
    page = shown(model, [str(drawn("cat", tmp_path / "cat.png"))])
    for _ in range(10):
        assert ONE_OF_MANY.findall(page.locator("body").inner_text()) == []
        page.keyboard.press("ArrowRight")


@pytest.mark.slow
def test_a_name_from_right_to_left_leaves_its_sentence_in_order(shown: Callable[..., Any], tmp_path: Path) -> None:
    """A percentage behind such a name would otherwise be drawn before it, in pieces."""
    model = classifier(tmp_path / "rtl", (ARABIC, "b"), layers=2, heads=1, sure=0.0)
    page = shown(model, [str(drawn("cat", tmp_path / "cat.png"))], "#step=1")
    left_of = """([where, name]) => {
        const nodes = document.createTreeWalker(document.querySelector(where), NodeFilter.SHOW_TEXT);
        for (let node = nodes.nextNode(); node; node = nodes.nextNode()) {
            const start = node.textContent.indexOf(name);
            if (start < 0) continue;
            const at = (from, to) => { const r = document.createRange(); r.setStart(node, from); r.setEnd(node, to);
                                       return r.getBoundingClientRect(); };
            const rest = node.textContent.slice(start + name.length).search(/\\d/) + start + name.length;
            const [first, behind] = [at(start, start + name.length), at(rest, rest + 1)];
            return behind.top > first.bottom - 4 || behind.left >= first.right - 1;
        }
        return null; }"""
    assert page.evaluate(left_of, [".intro", ARABIC]) is True
    assert f"\u2068{ARABIC}\u2069" in page.locator(".intro").inner_text()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.get_by_role("button", name=ARABIC).first.wait_for()
    table = page.locator("details.table").last
    table.locator("summary").click()
    table.locator("td, th", has_text=ARABIC).first.wait_for()  # it is filled in the turn after it opens


def test_where_nothing_moves_the_answer_a_sentence_says_so(shown: Callable[..., Any], tmp_path: Path) -> None:
    model = classifier(tmp_path / "still", ("a", "b"), layers=2, heads=1, sure=0.0)
    page = shown(model, [str(drawn("cat", tmp_path / "cat.png"))], "#step=9")
    assert "Without any one patch it stays within 0.05 points." in page.locator(".matter").inner_text()
    assert page.locator(".matter .needs").count() == 0
    page.keyboard.press("Home")
    assert "needs most" not in page.locator(".left").inner_text()


def test_of_a_single_word_it_is_said_that_nothing_is_beside_it(shown: Callable[..., Any]) -> None:
    page = shown("builtin:sentiment", ["good", "bad"], "#step=5")
    for _ in range(5):
        assert "This input is one word piece" in page.locator(".matter").inner_text()
        page.keyboard.press("ArrowRight")
        if page.locator("main.step-10").count():
            break


@pytest.mark.slow
def test_many_layers_leave_room_for_the_curves(shown: Callable[..., Any], tmp_path: Path) -> None:
    model = classifier(tmp_path / "deep", ("a", "b"), layers=24, heads=16)
    page = shown(model, [str(drawn("cat", tmp_path / "cat.png"))], "#step=7&layer=20&head=15", full=False)
    assert page.evaluate("""() => { const stage = document.querySelector('.panel.middle').getBoundingClientRect();
        return [...document.querySelectorAll('.middle svg.curve')].every(
            each => each.getBoundingClientRect().bottom <= stage.bottom); }""")
    page.set_viewport_size({"width": 360, "height": 740})
    page.evaluate(SETTLED)
    assert faults(page) == []
    seen = """() => { const row = document.querySelector('.heads').getBoundingClientRect();
        const chosen = document.querySelector('.heads [aria-pressed=true]').getBoundingClientRect();
        return chosen.left >= row.left - 1 && chosen.right <= row.right + 1; }"""
    assert page.evaluate(seen)


@pytest.mark.slow
@pytest.mark.parametrize("step", [4, 5, 6])
@pytest.mark.parametrize("name", ["toy", "multi", "sentiment", "registers"])
def test_a_telephone_shows_the_column_that_adds_up_and_every_choice(open_page: Open, name: str, step: int) -> None:
    page = open_page(name, f"#step={step}", width=360, height=740, reduced_motion="reduce")
    assert faults(page) == []


def test_the_answers_that_are_left_out_are_counted(shown: Callable[..., Any], tmp_path: Path) -> None:
    model = classifier(tmp_path / "nine", tuple("abcdefghi"), layers=1, heads=1)
    page = shown(model, [str(drawn("cat", tmp_path / "cat.png"))], "#step=9", full=False)
    listed = page.locator(".middle .bars li").count()
    assert f"and {9 - listed} more" in page.locator(".middle").inner_text()


@pytest.mark.slow
def test_no_answer_is_called_the_first_that_one_not_shown_may_be_before(
    shown: Callable[..., Any], tmp_path: Path
) -> None:
    """Of many classes a page holds the first of the input: after an experiment another class may be the first."""
    cat = str(drawn("cat", tmp_path / "cat.png"))
    few, many = (
        classifier(tmp_path / str(count), tuple(f"class {i}" for i in range(count)), layers=2, heads=1)
        for count in (4, 40)
    )
    for model, known in ((few, True), (many, False)):
        page = shown(model, [cat], "#step=10&try=pooling")
        answers = [lane.inner_text() for lane in page.locator(".race tbody tr td:nth-child(3)").all()]
        assert "class " in answers[0]  # the model's own
        assert any("not listed here" in answer for answer in answers[1:]) is not known
        page.keyboard.press("e")
        asked = page.locator("#quiz").inner_text()
        assert ("What becomes of" in asked, "Is the first answer still" in asked) == (known, known)


@pytest.mark.slow
def test_pictures_of_nothing(shown: Callable[..., Any], tmp_path: Path) -> None:
    """One colour, one pixel, nothing but transparency: pages as any other's."""
    Image.new("RGB", (64, 64), (128, 128, 128)).save(tmp_path / "grey.png")
    Image.new("RGB", (1, 1), (200, 30, 30)).save(tmp_path / "one.png")
    Image.new("RGBA", (40, 20), (0, 0, 0, 0)).save(tmp_path / "nothing <b>.png")
    page = shown("builtin:toy", [str(tmp_path / name) for name in ("grey.png", "one.png", "nothing <b>.png")])
    for step in range(1, 11):
        assert faults(page) == [], step
        page.keyboard.press("ArrowRight")


@pytest.mark.slow
@pytest.mark.parametrize("width", [1920, 1024])
def test_on_a_projector_the_flag_leaves_the_token_its_name(
    shown: Callable[..., Any], tmp_path: Path, width: int
) -> None:
    """The layer where the answer rises most may be the first one; a text may be one word, at the very edge."""
    pages = {"scenes": [str(drawn("cat", tmp_path / "cat.png"))], "sentiment": ["good", "bad"]}
    for name, items in pages.items():
        page = shown(f"builtin:{name}", items, "#step=5", full=False, width=width)
        page.keyboard.press("p")
        assert [fault for fault in faults(page) if "words" not in fault] == [], name


def test_at_twice_the_size_the_column_that_adds_up_is_seen(open_page: Open) -> None:
    page = open_page("toy", "#step=6", width=720, height=450, reduced_motion="reduce")
    assert faults(page) == []


@pytest.fixture
def alike(chromium: Any, tmp_path: Path) -> Callable[..., tuple[Any, list[str]]]:
    """A page whose inputs and answers all have one name, and what goes wrong in it."""

    def show(document: Walkthrough, hash: str = "") -> tuple[Any, list[str]]:
        def renamed(example: Example) -> Example:
            labels = tuple(replace(label, text="the same") for label in example.answers.labels)
            contrast = replace(example.contrast, title="the same") if example.contrast else None
            answers = replace(example.answers, labels=labels)
            return replace(example, title="the same", contrast=contrast, answers=answers)

        write_page(replace(document, examples=tuple(map(renamed, document.examples))), tmp_path / "alike.html")
        page, problems = chromium.new_page(viewport={"width": 1440, "height": 900}), list[str]()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{(tmp_path / 'alike.html').as_uri()}{hash}")
        page.wait_for_selector("h2#step-title")
        return page, problems

    return show


@pytest.mark.slow
def test_inputs_and_answers_may_all_have_one_name(alike: Callable[..., tuple[Any, list[str]]], tmp_path: Path) -> None:
    """No list of the page may tell its lines apart by what they say."""
    items = [str(drawn(name, tmp_path / f"{name}.png")) for name in ("cat", "dog", "bird")]
    page, problems = alike(Engine("builtin:scenes", items).document())
    for step in range(1, 11):
        assert page.locator(f"main.step-{step}").count() == 1, problems
        assert step != 2 or page.locator(".apart .two img").count() == 2
        page.keyboard.press("ArrowRight")
    for key in "ec":
        page.keyboard.press(key)
        page.keyboard.press("Escape")
    page.get_by_role("button", name="Side by side").click()
    assert problems == []


@pytest.mark.slow
def test_what_was_taken_away_stays_with_its_input(open_page: Open) -> None:
    """By whatever way another input is reached."""
    page = open_page("toy", "#step=10&without=3.4")
    assert "2 patches" in page.locator(".lab").inner_text()
    page.get_by_role("button", name="Side by side").click()
    page.locator("#beside button[aria-pressed=false]").first.click()
    page.keyboard.press("Escape")
    assert page.locator(".lab").get_by_text("as it is", exact=True).first.is_visible()
    assert "without" not in page.evaluate("location.hash")
