"""Rows of published checkpoints: what a page on disk may hold, and where a forward can begin in the middle."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.walk.conftest import SENTENCES, Made
from tests.walk.statements import what_is_read_most_has_its_keys_and_values as check_kept

from classtoken.embedder import load
from classtoken.page.document import Walkthrough
from classtoken.page.export import write_page
from classtoken.probe.run_on import run_on
from classtoken.values import Role


@pytest.mark.parametrize(("name", "photographs"), [("deit", 1), ("deit_two", 2)])
def test_photographs_fit_into_a_page_with_the_keys_of_what_is_read(
    made: Callable[[str], Made], tmp_path: Path, name: str, photographs: int
) -> None:
    """14x14 patches, 12 layers, 3 heads: under 5 MB, each head with at least the 20 tokens that it reads most."""
    engine, page = made(name)
    assert len(page.examples) == photographs
    assert write_page(page, tmp_path / "page.html") < 4_950_000
    for example in page.examples:
        check_kept(page, example)
        whole = engine.walked[example.id].example.layers
        assert whole.values is not None
        assert example.layers.kept is not None
        kept = np.take_along_axis(whole.values, example.layers.kept[..., None], axis=2)
        np.testing.assert_array_equal(example.layers.values, kept)


def test_its_answer_is_the_models(made: Callable[[str], Made]) -> None:
    engine, page = made("deit")
    logits = load(engine.embedder.folder).logits([engine.given[0].content])[0]
    assert page.examples[0].answers.labels[0].index == int(logits.argmax())


def test_a_forward_goes_on_from_what_was_kept(made: Callable[[str], Made]) -> None:
    engine, page = made("deit")
    walked = engine.walked[page.examples[0].id]
    for layer in (0, 5, 11):
        again = run_on(engine.subject, walked.traced.entering(layer), walked.traced.roles_BL, layer, grid=(14, 14))
        assert again.roles_BL.tolist() == [[Role.CLASS]]  # no other row of the last block was computed
        torch.testing.assert_close(again.last_BLD, walked.traced.states.last_BLD[:, :1], atol=1e-4, rtol=1e-4)


def test_a_cosine_is_the_embedders(made: Callable[[str], Made], minilm: Path) -> None:
    e = made("minilm")[1].examples[0]
    theirs = load(minilm).embed([SENTENCES[0], "The cat sat on the window sill and watched the birds."])
    place = next(i for i, label in enumerate(e.answers.labels) if label.text.startswith("The cat sat"))
    assert float(e.answers.values[place]) == pytest.approx(float(theirs[0] @ theirs[1]), abs=1e-4)


def test_ones_own_inputs_are_compared_first_and_none_with_itself(made: Callable[[str], Made]) -> None:
    page = made("minilm")[1]
    for e, other in zip(page.examples, (SENTENCES[1], SENTENCES[0]), strict=True):
        assert e.answers.labels[0].text == other
        assert e.input.text not in [label.text for label in e.answers.labels]
        rest = e.answers.values[1:].tolist()
        assert rest == sorted(rest, reverse=True)
    head = page.model.shared.head
    assert head is not None
    for e in page.examples:
        unit = e.vector / np.linalg.norm(e.vector)
        rows = head.weight[[head.classes.index(label.index) for label in e.answers.labels]]
        np.testing.assert_allclose(rows @ unit, e.answers.values, atol=1e-5)


def test_the_sets_that_a_cut_is_compared_with_stand_beside_their_values(document: Walkthrough) -> None:
    for cut in document.examples[0].knockouts:
        assert cut.null_sets is not None
        assert cut.null_sets.shape == (len(cut.null_values), len(cut.tokens))
        assert cut.tokens not in {tuple(row) for row in cut.null_sets.tolist()}
