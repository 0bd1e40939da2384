"""Each row of the reference table: ours is theirs, to the tolerance that stands in docs/trust.md."""

import math

import pytest
import torch
from tests.references.models import pairs
from tests.references.row import Row, far, size
from tests.references.table import PAGE, ROWS, TOOL, page
from tools.generated import into


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
def test_ours_is_theirs(row: Row) -> None:
    theirs = row.theirs()
    assert all(size(part) > 0 for part in theirs)  # a row of zeros would compare nothing
    assert far(row.ours(), theirs) <= row.tolerance


def test_no_two_rows_are_one() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS if row.room == "knock-outs"])
def test_what_is_taken_away_matters(row: Row) -> None:
    """Else a cut that does nothing would pass."""
    pair = pairs()["BERT" in row.on]
    with torch.no_grad():
        whole = pair.reference.run().logits
    (theirs,) = row.theirs()
    assert isinstance(theirs, torch.Tensor)
    assert far([whole[:, None].expand_as(theirs) if theirs.dim() == 3 else whole], [theirs]) > 1e-4


def test_a_difference_is_seen() -> None:
    assert far([1.0, 2.0], [1.0, 2.002]) == pytest.approx(0.001, rel=0.01)
    with pytest.raises(AssertionError):
        far([math.nan], [1.0])
    with pytest.raises(AssertionError):
        far([torch.zeros(2)], [torch.zeros(3)])
    with pytest.raises(ValueError, match="zip"):
        far([1.0], [1.0, 2.0])


def test_the_page_lists_them() -> None:
    """Write it anew with `python -m tests.references.table`."""
    text = PAGE.read_text("utf-8")
    assert into(text, TOOL, page()) == text
