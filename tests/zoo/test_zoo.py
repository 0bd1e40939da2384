"""Every model type of transformers: right, refused for a true reason with advice that works, and never wrong."""

import pytest
import transformers
from tests.shares import shared_out
from tests.zoo.golden import GOLDEN, read
from tests.zoo.outcomes import Outcome, outcome_of
from tests.zoo.tiny import types

#: Types whose vectors are the reference's own; the table may only grow.
RIGHT_AT_LEAST = 326
SHARE = 60

TABLE = read()
written_for = pytest.mark.skipif(
    f'"{transformers.__version__}"' not in GOLDEN.read_text(encoding="utf-8")[:80],
    reason="the table was written with another transformers: make zoo",
)


@written_for
def test_the_table_has_every_type_and_nothing_bad() -> None:
    assert set(TABLE) == set(types())
    assert {kind: outcome.says for kind, outcome in TABLE.items() if outcome.bad} == {}
    assert sum(outcome.right for outcome in TABLE.values()) >= RIGHT_AT_LEAST


def test_every_refusal_is_one_line_that_ends_with_what_to_do() -> None:
    refused = [outcome.says for outcome in TABLE.values() if outcome.kind in ("refused", "part", "named")]
    assert refused
    assert [says for says in refused if "\n" in says or not says.endswith((".", "?", "!"))] == []


@pytest.mark.slow
@written_for
@pytest.mark.parametrize("kind", shared_out(types(), SHARE, types()))
def test_a_type_ends_as_the_table_says(kind: str) -> None:
    found: Outcome = outcome_of(kind)
    same = found.kind == TABLE[kind].kind or (found.right and TABLE[kind].right)  # a new row makes a type native
    assert same, f"{found.kind} instead of {TABLE[kind].kind}: {found.says}"
