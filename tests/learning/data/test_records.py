"""Records for training: drawn from all labels."""

from collections import Counter
from collections.abc import Iterator

import pytest

from classtoken.errors import TrainingError
from classtoken.learning.data.records import drawn, with_labels
from classtoken.values import Record, Rejected


def source() -> Iterator[Record]:
    """Sorted by label, as a folder of classes is: 60 a, 30 b, 10 c."""
    labels = "a" * 60 + "b" * 30 + "c" * 10
    return (Record(str(i), text=str(i), label=label) for i, label in enumerate(labels))


def test_all_labels_are_drawn_in_proportion_and_in_order() -> None:
    found = list(drawn(source, 10, seed=0))
    assert Counter(record.label for record in found) == {"a": 6, "b": 3, "c": 1}
    assert [int(record.id) for record in found] == sorted(int(record.id) for record in found)
    assert found == list(drawn(source, 10, seed=0)) != list(drawn(source, 10, seed=1))


def test_a_rare_label_is_among_them() -> None:
    assert {record.label for record in drawn(source, 3, seed=0)} == {"a", "b", "c"}
    with pytest.raises(TrainingError, match="limit is 2, and there are 3 labels"):
        list(drawn(source, 2, seed=0))


def test_without_a_limit_all_are_taken() -> None:
    assert list(drawn(source, None, seed=0)) == list(source())


def some(*labels: object) -> list[Record]:
    return [Record(str(n), text="a", label=label) for n, label in enumerate(labels)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("labels", "kept", "left_out"),
    [
        (("a", None, "b", ""), "02", "13"),
        ((None, "", "a", None, "b"), "24", "013"),
        ((None, None), "01", ""),  # for whoever needs labels to say so
        ((None, ("a", "b"), None), "012", ""),  # none of the labels is an answer
        (("a", "b"), "01", ""),
        ((), "", ""),
    ],
)
def test_rows_with_an_empty_label_are_left_out(labels: tuple, kept: str, left_out: str) -> None:
    without: list[Rejected] = []
    assert "".join(record.id for record in with_labels(some(*labels), without, needed=True)) == kept
    assert "".join(one.id for one in without) == left_out
    assert {one.reason for one in without} <= {"has no label"}


def test_where_no_labels_are_needed_all_records_pass() -> None:
    without: list[Rejected] = []
    assert len(list(with_labels(some("a", None, "b"), without, needed=False))) == 3
    assert without == []
