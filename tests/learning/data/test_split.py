"""The split into rows that are learned from and rows that are held out."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classtoken.learning.data.split import divide, units_of
from classtoken.values import Content, Record


def split(records: Sequence[Record], part: float, seed: int) -> tuple:
    found = divide(records, part, seed)
    return found.learned, found.held_out


def labelled(labels: Sequence, groups: Sequence[str | None] | None = None) -> list[Record]:
    groups = groups or [None] * len(labels)
    return [
        Record(str(i), label=label, group=group) for i, (label, group) in enumerate(zip(labels, groups, strict=True))
    ]


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=60), st.floats(0.05, 0.5), st.integers(0, 5))
def test_a_split_keeps_every_label_and_loses_no_row(labels: list[str], part: float, seed: int) -> None:
    learned, held = (rows.tolist() for rows in split(labelled(labels), part, seed))
    assert sorted([*learned, *held]) == list(range(len(labels)))
    assert {labels[i] for i in learned} == set(labels)
    for label in set(labels):
        if labels.count(label) > 1:
            assert sum(labels[i] == label for i in held) >= 1
    assert split(labelled(labels), part, seed)[1].tolist() == held


@given(st.lists(st.sets(st.sampled_from("abcdef")), min_size=4, max_size=60), st.floats(0.1, 0.5), st.integers(0, 5))
def test_several_labels_lose_no_row_and_hold_something_out(labels: list[set], part: float, seed: int) -> None:
    records = labelled([tuple(sorted(names)) for names in labels])
    learned, held = (rows.tolist() for rows in split(records, part, seed))
    assert sorted([*learned, *held]) == list(range(len(labels)))
    assert learned
    assert len(held) <= round(part * len(labels)) + len("abcdef") + 1


def test_label_sets_that_are_all_different_are_held_out_by_label() -> None:
    """Stratified by the whole set nothing at all would be held out, or 0.03 to 0.09 of a label for 0.10."""
    drawn = random.Random(0)
    sets = sorted({tuple(sorted(drawn.sample("abcdefghijkl", drawn.randint(2, 5)))) for _ in range(900)})
    assert len(sets) > 400
    _, held = split(labelled(sets), 0.1, 0)
    assert len(held) / len(sets) == pytest.approx(0.1, abs=0.01)
    for name in "abcdefghijkl":
        of_label = [i for i, names in enumerate(sets) if name in names]
        assert len(set(of_label) & set(held.tolist())) / len(of_label) == pytest.approx(0.1, abs=0.012)


@pytest.mark.parametrize("several", [False, True])
def test_groups_stay_whole_and_labels_keep_their_share(several: bool) -> None:
    drawn = random.Random(1)
    labels = [drawn.choice("ab") for _ in range(600)]
    groups = [f"person {drawn.randrange(80)}" for _ in labels]
    records = labelled([tuple(label) for label in labels] if several else labels, groups)
    learned, held = (set(rows.tolist()) for rows in split(records, 0.2, 0))
    assert not {groups[i] for i in learned} & {groups[i] for i in held}
    for name in "ab":
        share = sum(labels[i] == name for i in held) / labels.count(name)
        assert share == pytest.approx(0.2, abs=0.04)


def test_one_group_alone_is_learned_from() -> None:
    learned, held = split(labelled(["a", "b"], ["x", "x"]), 0.5, 0)
    assert (learned.tolist(), held.tolist()) == ([0, 1], [])


@pytest.mark.parametrize("several", [False, True])
def test_copies_are_never_divided_and_count_once(several: bool) -> None:
    """A text that stands in the data twice would be learned and judged: of random labels half would be known."""
    names = ["ab"[i % 2] for i in range(100)]
    records = [
        replace(record, content=Content(str(i // 2).encode()))
        for i, record in enumerate(labelled([(name,) for name in names] if several else names))
    ]
    found = divide(records, 0.2, 0)
    assert not {i // 2 for i in found.learned.tolist()} & {i // 2 for i in found.held_out.tolist()}
    assert len(found.held_out) == 20
    assert found.independent == pytest.approx(0.5)
    assert found.copies == 50
    assert [(copy.id, first.id) for copy, first in found.disputed] == [
        (records[2 * i + 1].id, records[2 * i].id) for i in range(50)
    ]


def test_what_a_group_and_a_copy_have_in_common_is_one_unit() -> None:
    groups, contents = ["x", "x", None, None, None], "abbcd"
    records = [
        replace(record, content=Content(content.encode()))
        for record, content in zip(labelled(["a"] * 5, groups), contents, strict=True)
    ]
    assert units_of(records) == [[0, 1, 2], [3], [4]]
    assert divide(records, 0.2, 0).independent == 0.0  # groups: no interval
