"""Pairs are brute force's pairs; who goes is near somebody who stays; another threshold needs no new run."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.nearest.made import folder_of

from classtoken.errors import OptionError
from classtoken.nearest import pairs as pairs_module
from classtoken.nearest.duplicates import duplicates_between, duplicates_in
from classtoken.nearest.keeping import equals, kept_rows
from classtoken.nearest.pair_table import pair_table
from classtoken.nearest.pairs import near_pairs
from classtoken.sink import Vectors, read
from classtoken.values import writable, written_path


def on_circle(*degrees: float) -> np.ndarray:
    angles = np.radians(np.array(degrees))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def unit(rows: int, size: int = 6, seed: int = 0) -> np.ndarray:
    numbers = np.random.default_rng(seed).standard_normal((rows, size)).astype(np.float32)
    return numbers / np.linalg.norm(numbers, axis=1, keepdims=True)


def cos(degrees: float) -> float:
    return float(np.cos(np.radians(degrees)))


def test_pairs_are_those_of_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs_module, "BLOCK", 64)
    rows, others = unit(300), unit(150, seed=1)
    full = rows @ rows.T
    np.fill_diagonal(full, -1)
    found = near_pairs(torch.from_numpy(rows), None, 0.9, 0.95)
    expected = {(a, b) for a, b in np.argwhere(full >= 0.9).tolist() if a < b}
    assert set(zip(found.first.tolist(), found.second.tolist(), strict=True)) == expected
    assert (np.diff(found.scores) <= 0).all()
    np.testing.assert_allclose(found.nearest, full.max(1), atol=1e-6)
    between = near_pairs(torch.from_numpy(rows), torch.from_numpy(others), 0.9, 0.95)
    across = rows @ others.T
    assert set(zip(between.first.tolist(), between.second.tolist(), strict=True)) == set(
        map(tuple, np.argwhere(across >= 0.9).tolist())
    )
    np.testing.assert_allclose(between.nearest, across.max(1), atol=1e-6)


def test_equal_vectors_have_a_cosine_of_1(tmp_path: Path) -> None:
    """Sums of 32 bits come out on either side of it: of 300 pairs `above` = 1 found 178."""
    rows = np.repeat(np.random.default_rng(0).standard_normal((100, 384)), 2, axis=0).astype(np.float32)
    vectors = read(folder_of(tmp_path / "v", rows))
    found = duplicates_in(vectors, "cls", 1.0, "longest")
    assert [pair[2] for pair in found.pairs] == [1.0] * 100
    assert len(found.gone) == 100
    assert len(duplicates_between(vectors, "cls", 1.0, (vectors, "cls")).pairs) == 400


def test_too_many_pairs_raise_the_floor_then_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.from_numpy(unit(200))
    many = len(near_pairs(rows, None, 0.5, 0.9).scores)
    monkeypatch.setattr(pairs_module, "MOST_PAIRS", many // 2)
    assert near_pairs(rows, None, 0.5, 0.9).floor == 0.9
    with pytest.raises(OptionError, match=r"more than .* pairs are as similar as 0.5"):
        near_pairs(rows, None, 0.4, 0.5)


def test_of_a_chain_both_ends_stay(tmp_path: Path) -> None:
    """A and B are alike, B and C are, A and C are not: B goes, for it is near A; C is near nobody who stays."""
    vectors = read(folder_of(tmp_path / "made", on_circle(0, 8, 16, 90)))
    found = duplicates_in(vectors, "cls", cos(10), "first")
    assert [(a, b) for a, b, _, _ in found.pairs] == [(0, 1), (1, 2)]
    assert {row: reason.kept for row, reason in found.gone.items()} == {1: 0}


@given(st.integers(0, 10**6), st.floats(0.3, 0.99), st.booleans())
@settings(max_examples=60)
def test_who_goes_is_within_the_threshold_of_one_who_stays(seed: int, above: float, rated: bool) -> None:
    numbers = np.random.default_rng(seed)
    rows = unit(40, 3, seed)
    contents = [str(numbers.integers(30)) if numbers.random() < 0.5 else None for _ in rows]
    same = equals(contents)
    rows = rows[same.first]  # equal inputs have equal vectors
    goodness = numbers.integers(0, 4, len(rows)).astype(float) if rated else np.zeros(len(rows))
    every = near_pairs(torch.from_numpy(rows[same.representatives]), None, above, above)
    back = same.representatives
    pairs = pairs_module.Pairs(back[every.first], back[every.second], every.scores, every.nearest, above)
    gone = kept_rows(pairs, same, goodness)
    stay = [row for row in range(len(rows)) if row not in gone]
    similar = rows @ rows.T
    for row, reason in gone.items():
        assert reason.kept in stay
        assert similar[row, reason.kept] >= above - 1e-5
        assert (goodness[reason.kept], -reason.kept) >= (goodness[row], -row)
        assert reason.equal == (contents[row] is not None and contents[row] == contents[reason.kept])
    left = similar[np.ix_(stay, stay)] - 2 * np.eye(len(stay))
    assert (left < above + 1e-5).all()


@pytest.mark.parametrize(
    ("keep", "stays"), [("first", "row0"), ("longest", "row2"), ("labelled", "row1"), ("largest", "row0")]
)
def test_which_row_stays(tmp_path: Path, keep: str, stays: str) -> None:
    made = folder_of(
        tmp_path / "made",
        on_circle(0, 1, 2, 90),
        carried={"text": ["a b", "a c", "a longer text", "other"]},
        labels=[None, "x", None, None],
    )
    vectors = read(made)
    found = duplicates_in(vectors, "cls", 0.99, keep)  # type: ignore[arg-type]
    assert {vectors.ids[reason.kept] for reason in found.gone.values()} == {stays}
    assert len(found.gone) == 2


def test_equal_texts_come_first_and_cost_no_pairs(tmp_path: Path) -> None:
    texts = ["a", "b", "a", "a", "c"]
    rows = on_circle(0, 90, 0, 0, 1)
    found = duplicates_in(read(folder_of(tmp_path / "made", rows, carried={"text": texts})), "cls", 0.99, "first")
    assert found.pairs[:2] == [(0, 2, 1.0, True), (0, 3, 1.0, True)]
    assert [(a, b) for a, b, _, _ in found.pairs[2:]] == [(0, 4)]
    assert {row: (r.kept, r.equal) for row, r in found.gone.items()} == {2: (0, True), 3: (0, True), 4: (0, False)}


def test_another_threshold_needs_no_new_run_and_a_bad_cache_is_none(tmp_path: Path) -> None:
    made = folder_of(tmp_path / "made", unit(120, 4))
    vectors, same = read(made), equals([None] * 120)

    def table(above: float, of: Vectors = vectors) -> tuple[bool, set]:
        found = pair_table(of, "cls", same, above, None)
        chosen = found.pairs.above(above)
        return found.reused, set(zip(chosen.first.tolist(), chosen.second.tolist(), strict=True))

    first = table(0.9)
    assert not first[0]
    assert table(0.9) == (True, first[1])
    assert table(0.95)[0]
    assert not table(0.8)[0]
    assert table(0.9) == (True, first[1])
    (made / "_meta" / "pairs.parquet").write_bytes(b"nonsense")
    assert table(0.9) == (False, first[1])
    other = read(folder_of(tmp_path / "other", unit(120, 4, seed=5)))
    (tmp_path / "other" / "_meta" / "pairs.parquet").write_bytes((made / "_meta" / "pairs.parquet").read_bytes())
    assert not table(0.9, other)[0]


def test_what_is_just_below_does_not_hang_on_what_was_asked_before(tmp_path: Path) -> None:
    vectors = read(folder_of(tmp_path, unit(120, 4)))
    fresh = duplicates_in(vectors, "cls", 0.9, "first")
    assert fresh.below
    for before in (0.6, 0.95):
        (tmp_path / "_meta" / "pairs.parquet").unlink()
        duplicates_in(vectors, "cls", before, "first")
        again = duplicates_in(vectors, "cls", 0.9, "first")
        assert [pair[:2] for pair in again.below] == [pair[:2] for pair in fresh.below]
        assert again.table.reused == (before < 0.9)


def test_what_leaks_from_one_folder_into_another(tmp_path: Path) -> None:
    train = read(folder_of(tmp_path / "train", on_circle(0, 40, 80), carried={"text": ["a", "b", "c"]}))
    test = read(folder_of(tmp_path / "test", on_circle(41, 200, 0), carried={"text": ["bb", "x", "a"]}))
    found = duplicates_between(train, "cls", cos(3), (test, "cls"))
    assert [(a, b, equal) for a, b, _, equal in found.pairs] == [(0, 2, True), (1, 0, False)]
    assert {row: reason.kept for row, reason in found.gone.items()} == {0: 2, 1: 0}


def test_rows_without_a_vector_are_nobodys_duplicates(tmp_path: Path) -> None:
    rows = on_circle(0, 0, 90, 180)
    rows[0], rows[1] = 0, np.nan
    found = duplicates_in(read(folder_of(tmp_path / "made", rows)), "cls", 0.5, "first")
    assert (found.pairs, dict(found.gone), found.table.without) == ([], {}, 2)


def test_equal_rows_have_another_one(tmp_path: Path) -> None:
    texts = ["same", "same", "same", "odd", "far"]
    vectors = read(folder_of(tmp_path, on_circle(0, 0, 0, 60, 90), carried={"text": texts}))
    for _ in range(2):  # found, and out of the cache
        table = duplicates_in(vectors, "cls", 0.9, "first").table
        assert table.share_below(0.9) == 2 / 5
        assert table.share_below(0.6) == 0
        assert table.quantiles[[0, 400, 401, 1000]] == pytest.approx([cos(30), cos(30), 1, 1], abs=1e-6)
    assert table.reused
    copies = read(folder_of(tmp_path / "copies", on_circle(0, 0), carried={"text": ["same", "same"]}))
    assert duplicates_in(copies, "cls", 0.9, "first").table.share_below(0.9) == 0


@pytest.mark.parametrize("rows", [2, 3, 6, 7, 300])
def test_the_share_of_few_rows_is_so_many_of_them(tmp_path: Path, rows: int) -> None:
    numbers = unit(rows)
    full = numbers @ numbers.T
    np.fill_diagonal(full, -1)
    table = duplicates_in(read(folder_of(tmp_path, numbers)), "cls", 0.9, "first").table
    for score in (-1.0, 0.5, 0.8, 1.0):
        assert table.share_below(score) == pytest.approx((full.max(1) < score).mean(), abs=1e-12)


def test_pictures_with_the_same_words_beside_them_are_not_equal(tmp_path: Path) -> None:
    """A caption is no picture: the rows would go as copies of each other."""
    files = [tmp_path / name for name in ("0", "1", "2")]
    for file, content in zip(files, (b"one", b"two", b"one"), strict=True):
        file.write_bytes(content)
    beside = {"text": ["a cat"] * 3, "path": [str(file) for file in files]}
    pictures = read(folder_of(tmp_path / "pictures", on_circle(0, 45, 0), carried=beside, modality="image"))
    assert [pair for pair in duplicates_in(pictures, "cls", 0.9, "first").pairs if pair[3]] == [(0, 2, 1.0, True)]
    texts = read(folder_of(tmp_path / "texts", on_circle(0, 45, 90), carried={"path": [str(files[0])] * 3}))
    assert not duplicates_in(texts, "cls", 0.9, "first").pairs  # rows about one file are not that file


def test_a_column_called_path_may_hold_anything(tmp_path: Path) -> None:
    numbers = {"path": [1, 2, 3]}
    folder = read(folder_of(tmp_path / "numbers", on_circle(0, 45, 0), carried=numbers, modality="image"))
    for keep in ("first", "largest"):
        assert len(duplicates_in(folder, "cls", 0.9, keep).pairs) == 1  # type: ignore[arg-type]


def test_a_file_whose_name_is_not_utf8_is_equal_to_its_copy(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    for there in (name, "copy.png", "\\udce9"):
        (tmp_path / there).write_bytes(b"picture")
    paths = [writable(str(tmp_path / there)) for there in (name, "copy.png", "\\udce9")]
    folder = read(folder_of(tmp_path / "out", on_circle(0, 45, 90), carried={"path": paths}, modality="image"))
    assert sorted(pair[:2] for pair in duplicates_in(folder, "cls", 0.99, "first").pairs) == [(0, 1), (0, 2)]
    assert written_path(paths[2]).is_file()
