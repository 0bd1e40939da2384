"""No sentence of the page without n, an interval and a control."""

from collections.abc import Callable

import pytest
from tests.walk.conftest import Made

from classtoken.page.evidence import SurveyFindings
from classtoken.walk.engine import Engine
from classtoken.walk.surveys import default_survey, surveyed


@pytest.fixture(scope="module")
def findings(made: Callable[[str], Made]) -> SurveyFindings:
    engine: Engine = made("toy")[0]
    return surveyed(engine.embedder, engine.subject, default_survey(engine.embedder))


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


def test_every_answer_is_in_a_bin(findings: SurveyFindings) -> None:
    assert findings.calibration is not None
    assert sum(b.n for b in findings.calibration.bins) == findings.calibration.n == 40
