"""What stands beside a step: what each token is needed for, how alike places are, two inputs; as Python has them."""

import shlex
from typing import Any

import numpy as np
import pytest
from tests.page.conftest import Open

from classtoken.page.document import Walkthrough

pytestmark = pytest.mark.browser
Documents = dict[str, Walkthrough]


def effects(documents: Documents, name: str) -> dict[int, float]:
    """By token: how far the first answer moves without it, in points."""
    example = documents[name].examples[0]
    assert example.removals is not None
    moved = example.removals.values[:, 0] - example.answers.values[0]
    return {t: 100 * float(x) for t, x in zip(example.removals.tokens, moved, strict=True)}


def card(page: Any, selector: str, x: float, y: float) -> str:
    """What the card says of a place of a picture, in shares of its size."""
    box = page.locator(selector).bounding_box()
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    return str(page.locator(".hovercard").inner_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sentiment", "registers"])
def test_what_moves_the_answer_most_is_listed_with_pythons_points(
    open_page: Open, documents: Documents, name: str
) -> None:
    moved = effects(documents, name)
    page = open_page(name, "#step=9", width=1440)
    rows = [(row.get_attribute("data-token"), row.inner_text()) for row in page.locator("ol.needed li").all()]
    largest = sorted(moved, key=lambda t: -abs(moved[t]))[: len(rows)]
    assert rows
    assert [int(t) for t, _ in rows] == sorted(largest, key=lambda t: moved[t])
    for t, text in rows:
        points = moved[int(t)]
        assert f"{'+' if points > 0 else '−'}{abs(points):.1f} points" in text


def test_the_map_of_needs_says_each_patchs_points(open_page: Open, documents: Documents) -> None:
    example = documents["registers"].examples[0]
    moved = effects(documents, "registers")
    rows, columns = example.input.grid or (0, 0)
    page = open_page("registers", "#step=8", width=1440)
    dearest = min(moved, key=lambda t: moved[t])
    row, column = example.tokens[dearest].cell or (0, 0)
    says = card(page, ".needs .over", (column + 0.5) / columns, (row + 0.5) / rows)
    assert example.tokens[dearest].name in says
    assert f"−{-moved[dearest]:.1f} points" in says


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sentiment", "registers"])
def test_a_pair_of_places_has_pythons_cosine(open_page: Open, documents: Documents, name: str) -> None:
    example = documents[name].examples[0]
    position = np.asarray(example.embeddings.position, np.float64)
    content = [t for t, token in enumerate(example.tokens) if token.role == "content"]
    page = open_page(name, "#step=3", width=1440)
    a, b = content[1], content[2]
    if example.input.grid:
        rows, columns = example.input.grid
        size = max(1, round(14 / max(rows, columns)))
        pitch = size * columns + 1  # a column between two maps
        x, y = (1 + size * 2.5 / pitch) / columns, size * 0.5 / (size * rows + 1) / rows
    else:
        x, y = 2.5 / len(content), 1.5 / len(content)
    says = card(page, ".maps", x, y)
    cosine = position[a] @ position[b] / np.linalg.norm(position[a]) / np.linalg.norm(position[b])
    assert f"{abs(cosine):.2f}" in says
    assert ("−" in says.splitlines()[-1]) == (round(float(cosine), 2) < 0)
    page.locator(".maps").click(position={"x": x * page.locator(".maps").bounding_box()["width"], "y": 2})
    assert page.locator(".maps i").is_visible()


@pytest.mark.slow
def test_two_inputs_stand_beside_their_class_tokens(open_page: Open, documents: Documents) -> None:
    example = documents["sentiment"].examples[0]
    assert example.contrast is not None
    page = open_page("sentiment", "#step=2", width=1440)
    quoted = page.locator(".matter blockquote").all_inner_texts()
    assert quoted == [example.input.text, example.contrast.text]
    narrow = open_page("sentiment", "#step=2", width=390, height=844)
    assert not narrow.locator(".matter").is_visible()
    assert example.contrast.text in narrow.locator(".compare").inner_text()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "step"), [("mean", 9), ("sentiment", 5)])
def test_two_texts_lead_to_the_report_of_why_they_are_alike(
    open_page: Open, documents: Documents, name: str, step: int
) -> None:
    document = documents[name]
    first, second = document.examples[:2]
    page = open_page(name, f"#step={step}", width=1440)
    way = "Why this likeness?" if document.model.outcome == "cosine" else "Side by side"
    page.get_by_role("button", name=way).click()
    words = shlex.split(page.locator("#beside pre").inner_text())
    assert words[:2] == ["classtoken", "explain"]
    assert words[2:5] == [first.input.text, "--with", second.input.text]
    assert words[5:7] == ["--model", document.model.given]


def test_what_the_package_drew_has_no_such_command(open_page: Open) -> None:
    page = open_page("toy")
    page.get_by_role("button", name="Side by side").click()
    assert "no file" in page.locator("#beside .pairing").inner_text()
    assert page.locator("#beside pre").count() == 0
