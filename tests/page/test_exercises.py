"""The answers that the page holds for right, worked out again from the document: every exercise of every input."""

from typing import Any

import numpy as np
import pytest
from tests.page.conftest import Open

from classtoken.page.document import Walkthrough
from classtoken.page.example import Example

pytestmark = pytest.mark.browser

Documents = dict[str, Walkthrough]
RARE = 0.05


def first_of(document: Walkthrough, e: Example, values: np.ndarray) -> int | None:
    """The first answer, where none that is not shown can be before it."""
    best = int(values.argmax())
    hidden = document.model.outcome != "cosine" and len(e.answers.labels) < (document.model.classes or 0)
    return None if hidden and values[best] < 1 - values.sum() else best


def swapped(document: Walkthrough, e: Example) -> str | None:
    if not e.swaps or document.model.outcome == "cosine":
        return None
    now, before = e.swaps[0].values[document.model.depth - 1], e.answers.values[0]
    best = first_of(document, e, now)
    if best is None:
        return None
    return "another answer comes first" if best else f"stays first, and {'rises' if now[0] > before else 'falls'}"


def averaged(document: Walkthrough, e: Example) -> str | None:
    lane = next((one for one in e.race if one.name == "mean" and not one.own and one.values is not None), None)
    best = first_of(document, e, lane.values) if lane is not None and lane.values is not None else None
    return None if best is None or document.model.outcome == "cosine" else ("no" if best else "yes")


def cut(document: Walkthrough, e: Example) -> str | None:
    tested = [k for k in e.knockouts if k.head is None and k.null_values]
    if not tested:
        return None
    most = max(tested, key=lambda k: abs(k.after - k.before))
    if most.verdict == "no more than chance" and (most.p or 1) <= RARE:
        return "it cannot be told"
    says = {"needed": "yes, it falls", "in its way": "yes, it rises", "no more than chance": "no more than by chance"}
    return says.get(most.verdict, "it cannot be told")


def untrained(document: Walkthrough, e: Example) -> str | None:
    if e.untrained is None:
        return None
    weights = e.untrained.weights[0].astype(np.float64)
    weights = weights[weights > 0] / weights.sum()
    spread = np.exp(-(weights * np.log(weights)).sum()) / len(e.tokens)
    return "nearly all" if spread > 0.75 else "about half" if spread > 0.3 else "a few"


EXPECTED = {
    "put in before the last": swapped,
    "average of all": averaged,
    "is cut off from": cut,
    "before train": untrained,
}


@pytest.mark.parametrize("name", ["sentiment", "registers", "multi"])
def test_every_question_has_the_answer_that_the_numbers_give(open_page: Open, documents: Documents, name: str) -> None:
    document, asked = documents[name], set[str]()
    for e in document.examples:
        page = open_page(name, f"#step=10&input={e.id}&open=quiz", reduced_motion="reduce")
        for question in page.locator("#quiz fieldset").all():
            question.locator("button").first.click()
            right = question.locator("button.right")
            assert right.count() == 1
            says = question.locator("p[aria-hidden]").inner_text()
            for part, work_out in EXPECTED.items():
                if part in says:
                    asked.add(part)
                    assert right.inner_text() == work_out(document, e), says
        for part, work_out in EXPECTED.items():
            assert (part in page.locator("#quiz").inner_text()) == (work_out(document, e) is not None), part
    assert "before train" in asked


@pytest.mark.parametrize("name", ["toy", "sentiment", "registers"])
def test_the_token_that_costs_most_is_the_right_guess(open_page: Open, name: str) -> None:
    page = open_page(name, "#step=10", reduced_motion="reduce")
    rows = page.locator("details.table").last
    rows.locator("summary").click()
    rows.locator("tbody tr").first.wait_for()
    cells = rows.locator("tbody tr").all_inner_texts()
    change = {row.split("\t")[0]: float(row.split("\t")[1].replace("−", "-").split()[0]) for row in cells}
    order = sorted(change, key=lambda token: change[token])
    for place in (0, len(order) - 1):
        token = page.locator(".left [role=option]").nth(list(change).index(order[place]) + special(page))
        token.click()
        check = page.locator(".exercise button").first
        assert order[place].split(" (")[0] in check.inner_text()
        check.click()
        said = page.locator(".exercise [aria-live]").inner_text()
        assert ("Right." in said) == (place == 0)
        assert f"place {place + 1} of {len(order)}" in said


def special(page: Any) -> int:
    """Tokens of a sentence that stand before its first word."""
    return int(page.locator(".left .piece.class, .left .piece.prompt").count() > 0)
