"""Maps held against controls: on the same inputs, whatever either refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests import folders
from tests.folders import SENTENCES
from torch import Tensor

from classtoken.embedder import load
from classtoken.errors import OptionError
from classtoken.maps import faithfulness as faith
from classtoken.maps.table import Method, Setting
from classtoken.probe.from_embedder import subject_of
from classtoken.probe.traced import Traced
from classtoken.study.inputs import prepare_records
from classtoken.study.ranking import _both, rank_maps
from classtoken.values import Record


def random(traced: Traced, targets_B: Tensor, setting: Setting) -> Tensor:
    return faith.random_scores(traced.tokens, setting.seed)


def every_other(traced: Traced, targets_B: Tensor, setting: Setting) -> Tensor:
    """Later tokens matter more; refused on inputs of odd length."""
    if traced.tokens.roles_BL.shape[1] % 2:
        raise OptionError("odd")
    return torch.arange(traced.tokens.roles_BL.shape[1])[None].float()


def test_a_map_is_compared_on_the_inputs_that_it_was_made_of(tmp_path: Path) -> None:
    embedder = load(folders.tiny_bert(tmp_path / "bert", head=True))
    texts = [*SENTENCES, "the dog sits", "a cat runs on", "the cat far away", "a mat"]
    inputs = prepare_records(embedder, [Record(str(i), text=text) for i, text in enumerate(texts)])
    methods = (
        Method("random", "random", "", random, control=True),
        Method("other", "other", "", every_other),
    )
    subject = subject_of(embedder)
    made = rank_maps(embedder, subject, None, inputs, methods, most=8, points=3)
    by_name = {found.name: found for found in made}
    refused = by_name["other"].refused
    assert 0 < refused < len(inputs.records) - 2
    even = [record for record, tokens in inputs.single() if tokens.roles_BL.shape[1] % 2 == 0]
    assert by_name["other"].n == len(even)
    score = by_name["other"].score("deletion")
    assert score is not None
    assert score.over_random is not None
    alone = rank_maps(
        embedder,
        subject,
        None,
        prepare_records(embedder, even),
        (methods[1],),
        most=8,
        points=3,
    )
    assert score.value.estimate == pytest.approx(alone[0].score("deletion").value.estimate)  # type: ignore[union-attr]
    assert np.isfinite(score.over_random.estimate)


def test_two_measures_are_compared_on_the_inputs_that_have_both() -> None:
    both = _both({0: 1.0, 2: 3.0, 5: 4.0}, {5: 9.0, 0: 5.0, 1: 6.0})
    assert both is not None
    assert [part.tolist() for part in both] == [[1.0, 4.0], [5.0, 9.0]]
    assert _both({0: 1.0, 2: 3.0}, {1: 1.0, 2: 1.0}) is None
