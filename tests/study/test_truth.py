"""What is known about records besides the model."""

from classtoken.study.truth import truth_of
from classtoken.values import Record


def test_labels_are_found_by_name_or_number() -> None:
    """`'²'.isdigit()` is true, and int('²') fails."""
    records = (Record("a", label="²"), Record("b", label="0"))
    found = truth_of(records, ("x", "²"), multilabel=False)
    assert found is not None
    assert found.tolist() == [[False, True], [True, False]]
    assert truth_of(records, ("x", "y"), multilabel=False) is None
