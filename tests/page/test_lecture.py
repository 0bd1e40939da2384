"""The lecture's figures are the page's: a teacher reads them out beside it."""

from pathlib import Path

import pytest

from classtoken.page.example import Example
from classtoken.walk.engine import Engine


@pytest.fixture(scope="module")
def toy() -> dict[str, Example]:
    """The toy's inputs, by title."""
    return {example.title: example for example in Engine("builtin:toy").document().examples}


@pytest.fixture(scope="module")
def script(root: Path) -> str:
    """The lecture, without line breaks."""
    return " ".join((root / "docs" / "lecture.md").read_text(encoding="utf-8").split())


def test_the_cut_that_is_read_out(toy: dict[str, Example], script: str) -> None:
    """Minute 6: by the mean over heads the answer falls further than by any of the others."""
    (knock,) = (k for k in toy["a drawn cat"].knockouts if k.layer == 0 and k.head is None)
    assert "press *mean*" in script
    assert f"further than with any of the other {'eight' if len(knock.null_values) == 8 else '?'}" in script
    assert knock.after < min(knock.null_values)
    assert knock.verdict == "too few to tell"
    assert f"below {knock.p:.2f}: too few to tell" in script


def test_what_costs_most(toy: dict[str, Example], script: str) -> None:
    for title, says in (("a drawn bird", "On the bird"), ("a drawn cat", "On the cat")):
        example = toy[title]
        assert example.removals is not None
        falls = {t: example.answers.values[0] - v[0] for t, v in zip(*_removed(example), strict=True)}
        dearest = max(falls, key=lambda t: falls[t])
        assert f"{says}: {example.tokens[dearest].name.split(' (')[0]} ({100 * falls[dearest]:.1f} points)" in script


def _removed(example: Example) -> tuple[tuple[int, ...], list[list[float]]]:
    assert example.removals is not None
    return tuple(example.removals.tokens), example.removals.values.tolist()


def test_the_answer_and_the_average(toy: dict[str, Example], script: str) -> None:
    cat = toy["a drawn cat"]
    assert f"It says {100 * cat.answers.values[0]:.0f} %" in script
    (mean,) = (pooling for pooling in cat.poolings if pooling.name == "mean")
    assert cat.answers.labels[0].text == "cat"
    assert mean.values.argmax() == 0
    assert f"with {100 * mean.values[0]:.1f} %" in script
