"""How complex functions are, and how many arguments they take: never more than was agreed."""

import json

import pytest
from tests.house.ratchets import AGREED, RULES, counted

COUNTED = counted()


@pytest.mark.parametrize("rule", RULES)
def test_there_are_no_more_of_them(rule: str) -> None:
    agreed, found = json.loads(AGREED.read_text(encoding="utf-8"))[rule], COUNTED[rule]
    shown = "\n".join(found)
    assert len(found) <= agreed, f"{len(found)} {RULES[rule]}, {agreed} were agreed: take one apart.\n{shown}"


def test_it_counts_something() -> None:
    assert all(COUNTED.values()) or not json.loads(AGREED.read_text(encoding="utf-8"))
