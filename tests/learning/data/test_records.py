"""Records for training: drawn from all labels."""

from collections import Counter
from collections.abc import Iterator

import pytest

from classtoken.errors import TrainingError
from classtoken.learning.data.records import drawn
from classtoken.values import Record


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
