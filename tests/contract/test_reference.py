"""Asking transformers about the same weights: what it refuses is said, and nothing of its settings stays changed."""

from pathlib import Path
from typing import Any

import pytest
from tests.encoder.cases import CASES
from tests.encoder.parity import Case, set_up
from tests.folders import pictures, tiny_vit
from transformers.utils import logging

import classtoken as ct
from classtoken.contract import reference
from classtoken.contract.model import read_model
from classtoken.contract.reference import against_reference
from classtoken.encoder.foreign.quietly import quietly
from classtoken.results.inspect import Verdict

NAMES = ("bert", "t5 encoder", "clip text", "siglip2 vision", "vit", "dinov2 with registers")


@pytest.mark.parametrize("case", [case for case in CASES if case.name in NAMES], ids=lambda case: case.name)
def test_states_are_compared_for_every_kind_of_model(case: Case, tmp_path: Path) -> None:
    bench = set_up(case, tmp_path)
    modality = "image" if bench.inputs.tokens.ids_BL is None else "text"
    reading = next(reading for reading in read_model(tmp_path) if reading.modality == modality)
    claims = {claim.subject: claim for claim in against_reference(tmp_path, reading, bench.inputs.tokens)}
    assert claims["same states as transformers"].verdict == Verdict.PROVED


def test_a_mistake_in_what_the_reference_is_given_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = ct.load(tiny_vit(tmp_path / "model"))

    def wrong(model: Any, tokens: Any) -> Any:
        return model, {"pixels": tokens.pixels}

    monkeypatch.setattr(reference, "_side", wrong)
    tower = embedder.tower()
    (claim,) = against_reference(tower.reading.folder, tower.reading, embedder.tokens(pictures(1)))
    assert (claim.value, claim.verdict) == ("not compared", Verdict.ASSUMED)
    assert "ViTModel refuses the input (AttributeError" in claim.evidence[0].says


def test_verbosity_and_progress_bars_are_as_before(tmp_path: Path) -> None:
    folder = tiny_vit(tmp_path / "model")
    before = (logging.get_verbosity(), logging.is_progress_bar_enabled())
    with quietly():
        assert not logging.is_progress_bar_enabled()
    ct.inspect(folder)
    after = (logging.get_verbosity(), logging.is_progress_bar_enabled())
    assert before == after
