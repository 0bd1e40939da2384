"""A run: every record once, in order; what is done is not done again; what is bad is said."""

from pathlib import Path

import numpy as np
import pytest
from tests.run.fake import FakeStage, embed, fake_vector

from classtoken.errors import BadRecord, ManifestMismatch, SourceError
from classtoken.sink import read, verify
from classtoken.source import tables
from classtoken.values import Progress


def texts(tmp_path: Path, rows: list[str]) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


ROWS = [f"{'long ' * (i % 4)}text {i}" for i in range(23)]


def test_every_record_gets_its_own_vector(tmp_path: Path) -> None:
    embed(texts(tmp_path, ROWS), tmp_path / "out", FakeStage())
    found = read(tmp_path / "out")
    assert found.ids == tuple(str(i) for i in range(23))
    np.testing.assert_array_equal(found.arrays["hash"], np.stack([fake_vector(row) for row in ROWS]))
    assert len(found.files) == 5
    assert found.manifest.cut == sum(len(row) > 9 for row in ROWS)
    assert verify(tmp_path / "out").ok


def test_bad_records_go_into_quarantine_in_their_order(tmp_path: Path) -> None:
    source = texts(tmp_path, ["a", "bad", "", "b", "nan", "bad", "c"])
    manifest, progress = embed(source, tmp_path / "out", FakeStage())
    assert read(tmp_path / "out").ids == ("0", "3", "6")
    np.testing.assert_array_equal(read(tmp_path / "out").arrays["hash"], np.stack([fake_vector(t) for t in "abc"]))
    quarantine = tables_of(tmp_path / "out")
    assert [row["id"] for row in quarantine] == ["1", "2", "4", "5"]
    assert [row["reason"] for row in quarantine] == [
        "is bad",
        "is an empty line (line 3)",
        "has a vector that is not finite",
        "is bad",
    ]
    assert (manifest.rows, manifest.refused, progress.refused) == (3, 4, 4)
    assert verify(tmp_path / "out").ok


def tables_of(out: Path) -> list[dict]:
    import pyarrow.parquet as pq

    return pq.read_table(out / "_meta" / "quarantine.parquet").to_pylist()


def test_a_task_of_bad_records_only(tmp_path: Path) -> None:
    embed(texts(tmp_path, ["bad", "bad", "a"]), tmp_path / "out", FakeStage(), part_rows=2)
    assert read(tmp_path / "out").arrays["hash"].shape == (1, 4)
    assert verify(tmp_path / "out").ok


@pytest.mark.parametrize("bad", ["bad", "", "nan"])
def test_strict_stops_at_the_first_bad_record(tmp_path: Path, bad: str) -> None:
    source = texts(tmp_path, ["a", "b", bad])
    with pytest.raises(BadRecord, match=r"record '2' of .* run without strict"):
        embed(source, tmp_path / "out", FakeStage(), part_rows=2, strict=True)
    embed(source, tmp_path / "out", FakeStage(), part_rows=2)
    with pytest.raises(BadRecord, match="1 records were rejected by an earlier run"):
        embed(source, tmp_path / "out", FakeStage(), part_rows=2, strict=True)


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    source, out = texts(tmp_path, ROWS), tmp_path / "out"
    embed(source, out, FakeStage())
    before = {path.name: path.read_bytes() for path in out.glob("part-*")}
    next(out.glob("part-00002-*")).unlink()
    stage = FakeStage()
    _, progress = embed(source, out, stage)
    assert sorted(stage.computed) == sorted(ROWS[10:15])
    assert (progress.before, progress.done) == (18, 23)
    assert {path.name: path.read_bytes() for path in out.glob("part-*")} == before
    again = FakeStage()
    embed(source, out, again)
    assert again.computed == []


def test_another_source_is_another_plan(tmp_path: Path) -> None:
    embed(texts(tmp_path, ROWS), tmp_path / "out", FakeStage())
    with pytest.raises(ManifestMismatch, match="other contents, labels or columns"):
        embed(texts(tmp_path, [*ROWS[:-1], "other"]), tmp_path / "out", FakeStage())


def test_progress_grows_to_the_end(tmp_path: Path) -> None:
    seen: list[Progress] = []
    embed(texts(tmp_path, ROWS), tmp_path / "out", FakeStage(), report=seen.append)
    done = [progress.done for progress in seen]
    assert done == sorted(done)
    assert done[-1] == seen[-1].total == 23
    assert seen[-1].left == 0


def test_a_source_that_shrinks_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tables.TextLines.rows
    monkeypatch.setattr(tables.TextLines, "rows", lambda *args: (e for e in whole(*args) if e.id != "7"))
    with pytest.raises(SourceError, match="changed while it was being read"):
        embed(texts(tmp_path, ROWS), tmp_path / "out", FakeStage())


def test_an_error_of_the_model_stops_the_run_and_what_was_done_stays(tmp_path: Path) -> None:
    class Failing(FakeStage):
        def vectors(self, batch):  # type: ignore[no-untyped-def]
            if "text 12" in batch.tokens[-1]:
                raise RuntimeError("out of memory")
            return super().vectors(batch)

    source, out = texts(tmp_path, ROWS), tmp_path / "out"
    with pytest.raises(RuntimeError, match="out of memory"):
        embed(source, out, Failing())
    stage = FakeStage()
    embed(source, out, stage)
    assert "text 0" not in stage.computed
    assert read(out).ids == tuple(str(i) for i in range(23))
