"""A cosine taken apart by pairs of parts: Shapley's values, exactly; orders that are drawn agree with all of them."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from tests import folders
from torch.nn.functional import normalize

import classtoken as ct
from classtoken.errors import OptionError
from classtoken.maps import pairs
from classtoken.maps.pairs import error_of, pairs_of, parts_of
from classtoken.probe.from_embedder import giving_vectors
from classtoken.probe.removal import masks, remove
from classtoken.probe.traced import Traced, content_of, trace
from classtoken.study.inputs import prepare_item


def traced_text(folder: Path, text: str, pooling: str = "mean") -> Traced:
    embedder = ct.load(folder)
    return trace(giving_vectors(embedder, pooling=pooling), prepare_item(embedder, text).tokens)


def alone(places: list[int]) -> list[list[int]]:
    return [[place] for place in places]


def test_parts_are_shapleys_values(tmp_path: Path) -> None:
    """Against the definition: the mean over every order, written out."""
    traced = traced_text(folders.tiny_bert(tmp_path / "bert"), "a cat and a dog")
    regions = alone(content_of(traced.tokens))[:4]
    expected = torch.zeros(4, traced.outcome_BC.shape[1])
    for order in permutations(range(4)):
        left: list[int] = []
        before = normalize(remove(traced, masks([[p for r in regions for p in r]], traced.roles_BL)), dim=-1)[0]
        for region in order:
            left.append(region)
            gone = [p for i in range(4) if i not in left for p in regions[i]]
            after = normalize(remove(traced, masks([gone], traced.roles_BL)), dim=-1)[0]
            expected[region] += (after - before) / 24
            before = after
    found = parts_of(traced, regions)
    assert found.exact
    torch.testing.assert_close(found.parts_RD, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("most", [10, 2])  # every set; orders drawn
def test_pairs_add_up_exactly(tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "ALL_SETS", most)
    folder = folders.tiny_bert(tmp_path / "bert")
    one, two = (
        parts_of(traced, alone(content_of(traced.tokens)))
        for traced in (traced_text(folder, text) for text in ("a cat sits", "the dog and a cat"))
    )
    assert one.exact == (most == 10)
    due = (one.vector_D - one.empty_D) @ (two.vector_D - two.empty_D)
    assert pairs_of(one, two).sum() == pytest.approx(float(due), abs=1e-6)


def test_drawn_orders_agree_with_every_set_within_their_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    traced = traced_text(folders.tiny_bert(tmp_path / "bert"), "a cat and a dog")
    regions = alone(content_of(traced.tokens))
    exact = parts_of(traced, regions)
    assert not error_of(exact, exact).any()
    monkeypatch.setattr(pairs, "ALL_SETS", 2)
    drawn = parts_of(traced, regions, orders=60)
    gap = np.abs(pairs_of(drawn, exact) - pairs_of(exact, exact))
    assert (gap <= 5 * error_of(drawn, exact) + 1e-6).all()
    assert gap.any()


def test_nothing_left_to_read_is_no_vector(tmp_path: Path) -> None:
    """The mean of the patches has nothing to read where all are gone; the pairs then add up to the cosine itself."""
    embedder = ct.load(folders.tiny_vit(tmp_path / "vit"))
    tokens = prepare_item(embedder, folders.pictures(1)[0]).tokens
    traced = trace(giving_vectors(embedder, pooling="mean"), tokens)
    content = content_of(tokens)
    found = parts_of(traced, [content[:5], content[5:9], content[9:]])
    assert not found.empty_D.any()
    assert pairs_of(found, found).sum() == pytest.approx(1.0, abs=1e-6)


def test_regions_that_overlap_are_refused(tmp_path: Path) -> None:
    traced = traced_text(folders.tiny_bert(tmp_path / "bert"), "a cat")
    for regions in ([], [[1, 2], [2]]):
        with pytest.raises(OptionError, match="none of them twice"):
            parts_of(traced, regions)
