"""A share of many slow cases in every run of the tests, the same everywhere; all of them by `make soak`."""

import os
from collections.abc import Sequence
from typing import Any

import pytest


def rotation() -> int:
    """Which share: `CLASSTOKEN_ROTATION`, the same on every machine and day, so that each run says the same."""
    return int(os.environ["CLASSTOKEN_ROTATION"])


def shared_out(cases: Sequence[Any], of: int, names: Sequence[str]) -> list[Any]:
    """The cases as pytest's parameters: one of `of` runs, the others are marked `soak`."""
    mine = rotation() % of
    return [
        pytest.param(case, id=name, marks=[] if number % of == mine else [pytest.mark.soak])
        for number, (case, name) in enumerate(zip(cases, names, strict=True))
    ]
