"""Rows whose numbers are not finite, or all zero: every verb leaves them out and names them."""

from pathlib import Path

import numpy as np
from tests.nearest.made import folder_of

import classtoken as ct

SAID = "numbers in them are not finite, or all are zero"


def test_rows_without_a_direction_are_named_by_every_verb(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
    rows[5], rows[7, 2], rows[9] = np.nan, np.inf, 0
    made = folder_of(tmp_path / "made", rows, labels=["x", "y"] * 20)
    for found in (
        ct.search(made, id="row0"),
        ct.outliers(made),
        ct.duplicates(made),
        ct.atlas(made, tmp_path / "atlas.html"),
    ):
        assert any("3 rows without a " in note and f"{SAID} (row5, row7, row9)" in note for note in found.notes)
    some = ct.search(made, id="row0", where="label = 'y'")
    assert [note for note in some.notes if SAID in note] == [f"3 rows without a score: {SAID}"]


def test_many_are_counted_and_the_first_named(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
    rows[10:20] = np.nan
    (note,) = ct.duplicates(folder_of(tmp_path / "made", rows)).notes
    assert note.endswith("(row10, row11, row12, row13, row14 ...)")
