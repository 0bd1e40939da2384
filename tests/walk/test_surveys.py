"""No sentence of the page without n, an interval and a control."""

from collections.abc import Callable

import pytest
from tests.walk.conftest import Made

from classtoken.embedder import load
from classtoken.page.evidence import SurveyFindings
from classtoken.walk.engine import Engine
from classtoken.walk.surveys import default_survey, own_kind, surveyed


@pytest.fixture(scope="module")
def findings(made: Callable[[str], Made]) -> SurveyFindings:
    engine: Engine = made("toy")[0]
    survey = default_survey(engine.embedder)
    assert survey is not None
    return surveyed(engine.embedder, engine.subject, survey)


def test_every_claim_has_its_statistic_and_a_control(findings: SurveyFindings) -> None:
    assert {claim.id for claim in findings.claims} == {"swap-half", "object-share", "cut-last"}
    for claim in findings.claims:
        assert claim.n >= 5
        assert claim.control is not None
        assert claim.value.low <= claim.value.mean <= claim.value.high


def test_a_band_has_a_value_and_a_control_for_every_layer(findings: SurveyFindings) -> None:
    (band,) = findings.bands
    assert band.control is not None
    assert len(band.values) == len(band.control.values) == 2


def test_every_answer_is_in_a_bin_and_a_share_of_few_is_not_given(findings: SurveyFindings) -> None:
    chart = findings.calibration
    assert chart is not None
    assert sum(b.n for b in chart.bins) == chart.n == 440
    for b in chart.bins:
        assert b.low < b.confidence <= b.high
        assert (b.accuracy is None) == (b.n < 20)
        if b.accuracy is not None:
            assert b.accuracy.low < b.accuracy.mean < b.accuracy.high  # never of width 0, all right or not
    assert {b.accuracy is None for b in chart.bins} == {True, False}


@pytest.mark.parametrize(
    ("name", "kind"),
    [("toy", "tiny"), ("multi", "scenes"), ("sentiment", "films"), ("photos", None), ("registers", None)],
)
def test_statistics_are_of_inputs_of_the_models_own_kind_or_left_out(
    made: Callable[[str], Made], name: str, kind: str | None
) -> None:
    embedder = load("builtin:scenes-multi") if name == "multi" else made(name)[0].embedder
    assert own_kind(embedder) == kind
    if kind is None:
        assert default_survey(embedder) is None


def test_no_share_of_fewer_than_twenty(made: Callable[[str], Made]) -> None:
    engine = made("toy")[0]
    few = default_survey(engine.embedder, 19)
    assert few is not None
    found = surveyed(engine.embedder, engine.subject, few)
    assert {claim.id for claim in found.claims} == {"object-share", "cut-last"}
