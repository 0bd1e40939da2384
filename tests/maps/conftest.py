"""The three models that every invariant is tested on."""

import pytest
from tests.probe.subjects import CASES, Case


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]()
