"""Which labelled records a temperature is fitted to."""

from collections import Counter
from pathlib import Path

import pytest

from classtoken.learning import temperature
from classtoken.source import open_source


@pytest.mark.parametrize("most", [200, 2000])
def test_records_are_taken_from_the_whole_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """A source is often sorted by label: its beginning knows nothing of the others."""
    monkeypatch.setattr(temperature, "MOST", most)
    lines = [f"text {label} {n},{label}" for label in "abcd" for n in range(250)]
    (tmp_path / "sorted.csv").write_text("text,label\n" + "\n".join(lines) + "\n")
    found = list(temperature._records(open_source(tmp_path / "sorted.csv")))
    assert len({record.text for record in found}) == len(found) == min(most, 1000)
    assert Counter(record.label for record in found).keys() == set("abcd")
