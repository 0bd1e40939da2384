"""The lecture's figures are the page's: a teacher reads them out beside it."""

from pathlib import Path

import numpy as np
import pytest

from classtoken.jobs.walkthrough import document_of, engine_of
from classtoken.options.verbs import WalkthroughOptions
from classtoken.page.document import Walkthrough
from classtoken.page.example import Example


@pytest.fixture(scope="module")
def page() -> Walkthrough:
    options = WalkthroughOptions()
    return document_of(engine_of("builtin:toy", (), options), options)


@pytest.fixture(scope="module")
def toy(page: Walkthrough) -> dict[str, Example]:
    """The toy's inputs, by title."""
    return {example.title: example for example in page.examples}


@pytest.fixture(scope="module")
def script(root: Path) -> str:
    """The lecture, without line breaks."""
    return " ".join((root / "docs" / "lecture.md").read_text(encoding="utf-8").split())


@pytest.mark.slow
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


def test_how_often_it_is_right(page: Walkthrough, toy: dict[str, Example], script: str) -> None:
    """Minute 8: the bin that its confidence falls into, on all that was measured."""
    sure = toy["a drawn cat"].answers.values[0]
    assert page.calibration is not None
    (found,) = (b for b in page.calibration.bins if b.low <= sure < b.high)
    assert found.accuracy is not None
    assert f"says about {100 * found.confidence:.0f} % it is right in two of three" in script
    assert round(3 * found.accuracy.mean) == 2


def test_what_the_exercises_say_of_the_toy(toy: dict[str, Example], script: str) -> None:
    """3 and 4: the donor wins only at the end, nothing moves before layer 0; a causal mask leaves no distance."""
    cat = toy["a drawn cat"]
    for swap in cat.swaps:
        followed = [int(np.argmax(values)) == int(np.argmax(swap.donor_values)) for values in swap.values]
        assert followed[-1]
        assert not any(followed[:-1])
        np.testing.assert_allclose(swap.values[0], cat.answers.values, atol=1e-5)
    assert cat.causal is not None
    assert cat.causal.change == pytest.approx(0, abs=1e-5) != cat.causal.reference
    assert cat.two is not None
    np.testing.assert_allclose(cat.two.cosine, 1, atol=1e-5)
    dearest, brightest = 5, int(np.argmax(cat.layers.weights[0].mean(0)[1:]))
    assert f"On the cat: patch {dearest}" in script
    assert f"brightest, patch {brightest} in layer 0" in script
    assert brightest != dearest


def test_what_training_gave(toy: dict[str, Example], script: str) -> None:
    """7: all ten tokens alike, a third for each class, two inputs alike; trained, the cosine that is named."""
    cat, dog = toy["a drawn cat"], toy["a drawn dog"]
    assert cat.untrained is not None
    assert cat.untrained.weights.shape[1] == 10
    assert abs(cat.untrained.weights - 0.1).max() < 0.03
    assert abs(cat.untrained.lens[-1] - 1 / 3).max() < 0.05
    assert cat.untrained.alike is not None
    trained = float(cat.final @ dog.final / np.linalg.norm(cat.final) / np.linalg.norm(dog.final))
    said = f"(cosine {cat.untrained.alike:.3f}; trained, {trained:.3f} for the cat and the dog)".replace(
        "-", "\N{MINUS SIGN}"
    )
    assert said in script
