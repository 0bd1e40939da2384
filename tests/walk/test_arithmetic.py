"""Every statement about a page's numbers holds for every kind of model."""

from collections.abc import Callable

import pytest
from tests.page.tiny import PICTURES, TEXTS
from tests.walk.conftest import Made
from tests.walk.statements import STATEMENTS, Statement

MODELS = ("toy", "scenes-multi", "sentiment", *PICTURES, *TEXTS, "deit", "minilm")


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda each: each.__name__)
def test_it_holds(made: Callable[[str], Made], statement: Statement, name: str) -> None:
    page = made(name)[1]
    for example in page.examples:
        statement(page, example)
