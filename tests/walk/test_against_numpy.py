"""Every experiment against another way of doing it: the numpy reference with the toy's own weights."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from tests.page import reference as ref

from classtoken.page.document import Walkthrough
from classtoken.page.example import CutEffect, Example

SIZE = {"grid": 3, "patch": 8, "channels": 3, "hidden": 8, "heads": 2, "depth": 2, "feedforward": 16, "classes": 3}


class Again:
    """One example of the toy, done again in float64; answers in the order in which the page shows them."""

    def __init__(self, page: Walkthrough, e: Example):
        self.weights = _float64(asdict(page.toy)) if page.toy else {}
        self.size = ref.Size(**SIZE, eps=self.weights["eps"])
        self.pixels = np.asarray(e.input.pixels, dtype=np.float64)
        self.rows = [label.index for label in e.answers.labels]

    def run(self, **changes: Any) -> ref.Trace:
        return ref.forward(self.size, self.weights, self.pixels, **changes)

    def answers(self, **changes: Any) -> np.ndarray:
        return self.run(**changes).values[self.rows]

    def without(self, cut: CutEffect) -> np.ndarray:
        def mask(scores: np.ndarray) -> np.ndarray:
            scores = scores.copy()
            for head in range(self.size.heads) if cut.head is None else [cut.head]:
                scores[head, 0, list(cut.tokens)] = -np.inf
            return scores

        return self.answers(cut={cut.layer: mask})


def _float64(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.astype(np.float64)
    if isinstance(value, dict):
        return {key: _float64(each) for key, each in value.items()}
    return [_float64(each) for each in value] if isinstance(value, tuple) else value


@pytest.fixture
def e(document: Walkthrough) -> Example:
    return document.examples[0]


@pytest.fixture
def again(document: Walkthrough, e: Example) -> Again:
    return Again(document, e)


def test_the_trace(e: Example, again: Again) -> None:
    run = again.run()
    np.testing.assert_allclose(e.answers.values, run.values[again.rows], atol=1e-5)
    np.testing.assert_allclose(e.layers.scores, np.stack([layer["scores"][:, 0] for layer in run.layers]), atol=1e-4)
    np.testing.assert_allclose(e.layers.used, np.stack([layer["used"][:, 0] for layer in run.layers]), atol=1e-4)


def test_removals(e: Example, again: Again) -> None:
    assert e.removals is not None
    for token, values in zip(e.removals.tokens, e.removals.values, strict=True):
        np.testing.assert_allclose(values, again.answers(removed=frozenset({token})), atol=1e-5)


def test_swaps(e: Example, again: Again) -> None:
    assert e.contrast is not None
    for layer, values in enumerate(e.swaps[0].values):
        state = e.contrast.states[layer].astype(float)
        np.testing.assert_allclose(values, again.answers(swap=(layer, state)), atol=1e-5)


def test_poolings(e: Example, again: Again) -> None:
    assert [pooling.name for pooling in e.poolings] == ["cls", "mean", "max"]
    for pooling in e.poolings:
        np.testing.assert_allclose(pooling.values, again.answers(pooling=pooling.name), atol=1e-5)


def test_the_causal_mask(e: Example, again: Again) -> None:
    assert e.causal is not None
    np.testing.assert_allclose(e.causal.values, again.answers(causal=True), atol=1e-5)
    assert e.causal.change < 1e-5 < e.causal.reference


def test_a_second_class_token(e: Example, again: Again) -> None:
    assert e.two is not None
    second = again.run(second=True)
    np.testing.assert_allclose(e.two.values, second.values[again.rows], atol=1e-5)
    np.testing.assert_allclose(second.states[:, 0], second.states[:, 1], atol=1e-12)


def test_knock_outs(e: Example, again: Again) -> None:
    assert {(cut.layer, cut.head) for cut in e.knockouts} == {(i, h) for i in range(2) for h in (None, 0, 1)}
    for cut in e.knockouts:
        assert cut.after == pytest.approx(again.without(cut)[0], abs=1e-5)
        assert len(cut.null_values) == cut.possible == 8  # every other patch, once
        assert cut.together == (2 if cut.head is None else 4)
        assert cut.verdict == "too few to tell"
