"""A share of many slow cases in every run of the tests, another one each day; all of them by `make soak`."""

import os
from collections.abc import Sequence
from typing import Any

import pytest


def rotation() -> int:
    """A number that is another one each day, the same in all processes of a run (`CLASSTOKEN_ROTATION`)."""
    return int(os.environ["CLASSTOKEN_ROTATION"])


def shared_out(cases: Sequence[Any], of: int, names: Sequence[str]) -> list[Any]:
    """The cases as pytest's parameters: one of `of` runs today, the others are marked `soak`."""
    today = rotation() % of
    return [
        pytest.param(case, id=name, marks=[] if number % of == today else [pytest.mark.soak])
        for number, (case, name) in enumerate(zip(cases, names, strict=True))
    ]
