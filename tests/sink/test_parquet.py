"""Vectors on the disk: whole or absent, never mixed, checked."""

import dataclasses
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import duckdb
import lancedb
import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.dataset import dataset

from classtoken.errors import ManifestMismatch, OptionError, OutputError
from classtoken.fingerprint import Fingerprint
from classtoken.places import LocalPlace, place_of
from classtoken.sink import (
    Manifest,
    ParquetSink,
    TaskRows,
    carried_columns,
    read,
    read_manifest,
    read_quarantine,
    verify,
)
from classtoken.sink.ledger import KnownPart, RowLedger
from classtoken.sink.rows import table_in
from classtoken.values import Record, Rejected, Task

MADE_BY = Fingerprint("w", "c", "p", "text", ("cls", "mean@-2"), None, "fp32")
MANIFEST = Manifest(
    model="m",
    revision=None,
    source="s",
    kind="csv",
    columns={"cls": 4, "mean@-2": 3},
    fingerprint=MADE_BY,
    plan="plan",
    tasks=2,
    total=5,
)
FIRST = Record("a", text="x", meta={"n": 1, "x": 2.0, "t": "t"})
CARRIED = carried_columns(FIRST, {"n": pa.int64(), "x": pa.float64(), "t": pa.string()}, MANIFEST.columns)
TASKS = (Task(0, "f", 0, 3, 0, 0), Task(1, "f", 3, 5, 3, 3))


def vectors(rows: int, seed: int) -> dict[str, np.ndarray]:
    numbers = np.random.default_rng(seed)
    return {name: numbers.standard_normal((rows, size), dtype=np.float32) for name, size in MANIFEST.columns.items()}


def put(sink: ParquetSink, number: int) -> dict[str, np.ndarray]:
    if number == 0:
        records = [
            Record("a", text="x", label=("p", "q"), group="g", meta={"n": 1, "x": 2, "t": {"k": [1]}}),
            Record("b", text="y", label="p", meta={"n": None, "x": None, "t": "ü"}),
        ]
        refused = [Rejected("c", "is empty")]
    else:
        records, refused = [Record("d", text="z"), Record("e", text="z")], []
    made = vectors(len(records), number)
    sink.writer().write(TaskRows(TASKS[number], records, made, refused))
    return made


def part(folder: Path, number: int) -> Path:
    """The file of one task; its name has a hash of its bytes."""
    (found,) = folder.glob(f"part-{number:05d}-*.parquet")
    return found


def finished(folder: Path) -> Path:
    with ParquetSink(folder, MANIFEST, CARRIED) as sink:
        assert not sink.begin()
        for number in (1, 0):
            put(sink, number)
        sink.finish()
    return folder


@pytest.mark.parametrize("name", [b"out", b"x\xff"])  # the second is no UTF-8, which a name need not be
def test_what_was_put_is_read_back(tmp_path: Path, name: bytes) -> None:
    found = read(finished(tmp_path / os.fsdecode(name)))
    assert found.ids == ("a", "b", "d", "e")
    for name in ("cls", "mean@-2"):
        expected = np.concatenate([vectors(2, 0)[name], vectors(2, 1)[name]])
        np.testing.assert_array_equal(found.arrays[name], expected)
        np.testing.assert_array_equal(np.concatenate(list(found.blocks(name))), expected)
    assert list(found.arrays) == ["cls", "mean@-2"]
    assert len(found) == len(found.table) == 4
    assert found.table.schema.names == ["id", "cls", "mean@-2", "label", "group", "text", "n", "x", "t"]
    assert found.table.schema.field("cls").type == pa.list_(pa.float32(), 4)
    assert found.column("label") == ["p|q", "p", None, None]
    assert found.column("t") == ['{"k": [1]}', "ü", None, None]
    assert found.column("x") == [2.0, None, None, None]
    with pytest.raises(KeyError, match="it has cls, mean@-2"):
        found.arrays["max"]


def test_the_folder_holds_what_it_says(tmp_path: Path) -> None:
    folder = finished(tmp_path / "out")
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert names == {part(folder, 0).name, part(folder, 1).name, "_meta"}
    below = {path.name for path in (folder / "_meta").iterdir()}
    assert below == {"quarantine.parquet", "manifest.json", "receipts", "records", ".lock"}
    assert pq.read_table(folder / "_meta/quarantine.parquet").to_pylist() == [{"id": "c", "reason": "is empty"}]
    manifest = read_manifest(folder)
    assert (manifest.complete, manifest.rows, manifest.refused, manifest.total) == (True, 4, 1, 5)
    metadata = pq.read_schema(part(folder, 0)).metadata
    assert json.loads(metadata[b"classtoken.fingerprint"])["poolings"] == ["cls", "mean@-2"]


def test_verify_finds_nothing_wrong(tmp_path: Path) -> None:
    result = verify(finished(tmp_path / "out"))
    assert result.ok, result.problems
    assert (result.rows, result.refused, result.files) == (4, 1, 2)
    lengths = np.linalg.norm(np.concatenate([vectors(2, 0)["cls"], vectors(2, 1)["cls"]]), axis=1)
    assert result.norms["cls"].largest == pytest.approx(lengths.max(), rel=1e-6)
    assert "everything is there" in str(result)


def _cut(folder: Path) -> None:
    path = part(folder, 1)
    path.write_bytes(path.read_bytes()[:-9])


def _flip(folder: Path) -> None:
    path = part(folder, 0)
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)


def _replace(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    """Write a part anew, with a manifest that believes it."""

    def damage(folder: Path) -> None:
        from classtoken.fingerprint import hash_file

        path = part(folder, 1)
        pq.write_table(change(pq.read_table(path)), path)
        manifest = read_manifest(folder)
        believed = dataclasses.replace(manifest.parts[1], checksum=hash_file(path), bytes=path.stat().st_size)
        changed = dataclasses.replace(manifest, parts=(manifest.parts[0], believed))
        (folder / "_meta/manifest.json").write_text(changed.to_json())

    return damage


def _ids(table: pa.Table) -> pa.Table:
    return table.set_column(0, table.schema.field("id"), pa.array(["a", "e"]))


def _nan(table: pa.Table) -> pa.Table:
    values = pa.array([float("nan")] * 8, pa.float32())
    return table.set_column(1, table.schema.field("cls"), pa.FixedSizeListArray.from_arrays(values, 4))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: part(folder, 0).unlink(), r"part-00000-\w+\.parquet is missing"),
        (_cut, r"part-00001-\w+\.parquet has changed since it was written"),
        (_flip, r"part-00000-\w+\.parquet has changed since it was written"),
        (lambda folder: (folder / "_meta/quarantine.parquet").unlink(), "quarantine.parquet is missing"),
        (lambda folder: (folder / "part-9.parquet").write_bytes(b""), r"does not list: part-9\.parquet"),
        (_replace(_ids), "ids that are not unique: 'a'"),
        (_replace(_nan), "has vectors 'cls' that are not finite"),
        (_replace(lambda table: table.slice(1)), "has 1 rows instead of 2"),
        (_replace(lambda table: table.drop_columns(["cls"])), "has no column 'cls' of 4 float32"),
    ],
)
def test_verify_finds_damage(tmp_path: Path, damage: Callable[[Path], None], words: str) -> None:
    folder = finished(tmp_path / "out")
    damage(folder)
    result = verify(folder)
    assert not result.ok
    assert re.search(words, " ".join(result.problems))


class TestResume:
    def test_only_what_has_a_receipt_is_done(self, tmp_path: Path) -> None:
        with ParquetSink(tmp_path, MANIFEST, CARRIED) as sink:
            sink.begin()
            put(sink, 0)
        with ParquetSink(tmp_path, MANIFEST, CARRIED) as sink:
            assert set(sink.begin()) == {0}
            with pytest.raises(OutputError, match="1 of 2 tasks are not done"):
                sink.finish()
            put(sink, 1)
            sink.finish()
        assert verify(tmp_path).ok

    def test_a_file_without_a_receipt_and_a_receipt_without_a_file_are_not_done(self, tmp_path: Path) -> None:
        finished(tmp_path)
        (tmp_path / "_meta/receipts" / "00000.json").unlink()
        part(tmp_path, 1).unlink()
        with ParquetSink(tmp_path, MANIFEST, CARRIED) as sink:
            assert not sink.begin()
            put(sink, 0)
            put(sink, 1)
            sink.finish()
        assert verify(tmp_path).ok

    def test_a_part_whose_file_was_cut_short_is_not_done(self, tmp_path: Path) -> None:
        finished(tmp_path)
        _cut(tmp_path)
        with ParquetSink(tmp_path, MANIFEST, CARRIED) as sink:
            assert set(sink.begin()) == {0}

    @pytest.mark.parametrize("content", [b"", b"{", b'{"part": 1}', b"\xff\x00"])
    def test_a_receipt_that_cannot_be_read_is_none(self, tmp_path: Path, content: bytes) -> None:
        finished(tmp_path)
        (tmp_path / "_meta/receipts" / "00001.json").write_bytes(content)
        with ParquetSink(tmp_path, MANIFEST, CARRIED) as sink:
            assert set(sink.begin()) == {0}
            put(sink, 1)
            sink.finish()
        assert verify(tmp_path).ok

    def test_what_a_stopped_run_left_is_removed(self, tmp_path: Path) -> None:
        finished(tmp_path)
        left = tmp_path / ".part-00001.parquet.unfinished"
        left.write_bytes(b"half")
        with ParquetSink(tmp_path, MANIFEST, CARRIED) as sink:
            assert set(sink.begin()) == {0, 1}
            assert sink.finish() == read_manifest(tmp_path)
        assert not left.exists()

    def test_a_run_that_is_not_finished_is_not_read(self, tmp_path: Path) -> None:
        with ParquetSink(tmp_path, MANIFEST, CARRIED) as sink:
            sink.begin()
            put(sink, 0)
        with pytest.raises(OutputError, match="not finished"):
            read(tmp_path)
        assert "the run is not finished" in verify(tmp_path).problems[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"plan": "other"}, "records of the same number and other contents"),
        ({"fingerprint": dataclasses.replace(MADE_BY, precision="bf16")}, "precision 'fp32' instead of 'bf16'"),
        (
            {"fingerprint": dataclasses.replace(MADE_BY, poolings=("cls",)), "columns": {"cls": 4}},
            "poolings 'cls,mean@-2' instead of 'cls'",
        ),
        (
            {"fingerprint": dataclasses.replace(MADE_BY, weights="v", contract="d")},
            "weights that differ; contract 'c' instead",
        ),
    ],
)
def test_vectors_made_in_another_way_are_not_mixed(tmp_path: Path, change: dict, words: str) -> None:
    before = {path: path.read_bytes() for path in finished(tmp_path).rglob("*") if path.is_file()}
    with (
        ParquetSink(tmp_path, dataclasses.replace(MANIFEST, **change), CARRIED) as sink,
        pytest.raises(ManifestMismatch, match=words),
    ):
        sink.begin()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with ParquetSink(tmp_path, MANIFEST, CARRIED) as sink, pytest.raises(OutputError, match=r"'thesis\.tex'"):
        sink.begin()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with ParquetSink(tmp_path / "thesis.tex", MANIFEST, CARRIED) as sink, pytest.raises(OutputError, match="is a file"):
        sink.begin()


def test_a_kill_while_old_results_go_leaves_a_folder_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = dataclasses.replace(MANIFEST, fingerprint=dataclasses.replace(MADE_BY, weights="v"))
    delete, left, said = LocalPlace.delete, 0, list[str]()

    def cut(place: LocalPlace, name: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        delete(place, name)

    for deleted in range(20):
        left, folder = deleted, finished(tmp_path / str(deleted))
        with monkeypatch.context() as patch, ParquetSink(folder, other, CARRIED, overwrite=True) as sink:
            patch.setattr(LocalPlace, "delete", cut)
            try:
                sink.begin()
            except KeyboardInterrupt as stopped:
                said.append(str(stopped))
                with pytest.raises(OutputError, match="is not finished"):
                    read(folder)
            else:
                break
        with ParquetSink(folder, other, CARRIED, overwrite=True) as sink:
            assert not sink.begin()
    assert deleted > 6
    assert all("was being removed; the same command begins anew" in words for words in said)  # and not kept


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with ParquetSink(tmp_path, MANIFEST, CARRIED) as first:
        first.begin()
        with (
            ParquetSink(tmp_path, MANIFEST, CARRIED) as second,
            pytest.raises(OutputError, match="another run is writing"),
        ):
            second.begin()
    with ParquetSink(tmp_path, MANIFEST, CARRIED) as third:
        third.begin()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": 2}', "\x00"])
def test_a_manifest_that_cannot_be_read(tmp_path: Path, content: str) -> None:
    (tmp_path / "_meta").mkdir()
    (tmp_path / "_meta/manifest.json").write_text(content)
    for use in (read, verify):
        with pytest.raises(OutputError, match=r"manifest\.json cannot be read"):
            use(tmp_path)


@pytest.mark.parametrize("content", ['{"format": 1}', '{"format": 3, "unknown": 1}'])
def test_a_manifest_of_another_format(tmp_path: Path, content: str) -> None:
    (tmp_path / "_meta").mkdir()
    (tmp_path / "_meta/manifest.json").write_text(content)
    for use in (read, verify):
        with pytest.raises(OutputError, match=r"has format \d, and this version reads 2"):
            use(tmp_path)


def test_a_folder_of_the_first_format_is_named(tmp_path: Path) -> None:
    """Bookkeeping on top and columns `meta.NAME`: neither read nor written into."""
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "part-00000.parquet").write_bytes(b"")
    for use in (read, verify, lambda folder: ParquetSink(folder, MANIFEST, CARRIED).begin()):
        with pytest.raises(OutputError, match="was written by an older classtoken"):
            use(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_without_vectors(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="holds no vectors"):
        read(tmp_path)


def test_a_part_of_another_making_is_refused_when_it_is_read(tmp_path: Path) -> None:
    finished(tmp_path / "out")
    other = dataclasses.replace(MANIFEST, fingerprint=dataclasses.replace(MADE_BY, weights="v"))
    with ParquetSink(tmp_path / "other", other, CARRIED) as sink:
        sink.begin()
        put(sink, 1)
    part(tmp_path / "out", 1).write_bytes(part(tmp_path / "other", 1).read_bytes())
    with pytest.raises(ManifestMismatch, match="made with weights that differ"):
        read(tmp_path / "out").arrays["cls"]
    _replace(lambda table: table)(tmp_path / "out")  # believed by checksum and size
    problems = " ".join(verify(tmp_path / "out").problems)
    assert re.search(r"part-00001-\w+\.parquet holds vectors made with weights that differ", problems)


def test_no_thread_of_arrow_holds_what_is_pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that lets go of it while the interpreter ends aborts the process, after its answer. `pq.read_table` has them
    open the file even where it is told to use none."""
    read_table, opened, seen = pq.read_table, pq.ParquetFile, []

    def watched(source: Any, **how: Any) -> pa.Table:
        assert isinstance(source, str | Path | pa.NativeFile)
        return read_table(source, **how)

    class Watched(opened):  # type: ignore[misc]
        def __init__(self, source: Any, **how: Any):
            super().__init__(source, **how)
            self.kept = how.get("pre_buffer", False)

        def read(self, **how: Any) -> pa.Table:
            seen.append((how.get("use_threads", True), self.kept))
            return super().read(**how)

    monkeypatch.setattr(pq, "read_table", watched)
    monkeypatch.setattr(pq, "ParquetFile", Watched)
    folder = finished(tmp_path / "out")
    assert verify(folder).ok
    assert [one.id for one in read_quarantine(folder)] == ["c"]
    whole = read_manifest(folder)
    ledger = RowLedger([KnownPart(place_of(folder), one) for one in whole.parts])
    assert len(ledger.vectors(range(2), whole.columns)["cls"]) == 2
    with place_of(folder).open(whole.parts[0].file) as file:
        assert table_in(file, ["id"]).num_columns == 1
    assert len(seen) > 3
    assert not any(map(any, seen))


def test_every_reader_of_parquet_folders_opens_it(tmp_path: Path) -> None:
    folder = finished(tmp_path / "out")
    found = dataset(folder, format="parquet").to_table()
    assert found.column("id").to_pylist() == ["a", "b", "d", "e"]
    assert not [name for name in found.schema.names if "." in name]


def by_pandas(folder: Path, column: str) -> dict[str, Any]:
    table = pandas.read_parquet(folder)
    return dict(zip(table["id"], table[column], strict=True))


def by_polars(folder: Path, column: str) -> dict[str, Any]:
    table = polars.read_parquet(folder / "*.parquet")
    return dict(zip(table["id"].to_list(), table[column].to_list(), strict=True))


def by_duckdb(folder: Path, column: str) -> dict[str, Any]:
    return dict(duckdb.sql(f"select id, \"{column}\" from '{folder}/*.parquet'").fetchall())


def by_datasets(folder: Path, column: str) -> dict[str, Any]:
    files = str(folder / "*.parquet")
    rows = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(folder.parent / "cache"))
    return {row["id"]: row[column] for row in rows}


def by_lancedb(folder: Path, column: str) -> dict[str, Any]:
    base = lancedb.connect((folder.parent / "base").as_posix())
    table = base.create_table("vectors", dataset(folder, format="parquet").to_table())
    nearest = table.search(read(folder).arrays[column][0].tolist(), vector_column_name=column).limit(1).to_list()
    assert nearest[0]["id"] == read(folder).ids[0]
    return {row["id"]: row[column] for row in table.to_arrow().to_pylist()}


@pytest.mark.parametrize("reader", [by_pandas, by_polars, by_duckdb, by_datasets, by_lancedb])
def test_it_opens_in(tmp_path: Path, reader: Callable[[Path, str], dict[str, Any]]) -> None:
    """Every id with its vector, as it is, in the tools that people have."""
    folder = finished(tmp_path / "out")
    stored = read(folder)
    found = reader(folder, "cls")
    assert list(found) == list(stored.ids)
    np.testing.assert_array_equal(np.array([list(v) for v in found.values()], np.float32), stored.arrays["cls"])


class TestCarried:
    def test_text_path_and_every_other_column(self) -> None:
        first = Record("a", text="x", image=Path("pictures/a.png"), meta={"price": 1})
        found = carried_columns(first, {"price": pa.int64()}, ["cls"])
        assert [(column.name, column.read) for column in found] == [
            ("text", "text"),
            ("path", "path"),
            ("price", "column"),
        ]
        assert [column.of(first) for column in found] == ["x", (Path.cwd() / "pictures/a.png").as_posix(), 1]
        assert [column.of(Record("b", image=b"PNG")) for column in found] == [None, None, None]

    def test_a_taken_name_gets_a_suffix_and_a_dot_goes(self) -> None:
        columns = dict.fromkeys(["text", "cls", "label", "a.b", "a_b", "text_source"], pa.string())
        found = carried_columns(Record("a", text="x"), columns, ["cls"])
        assert [column.name for column in found] == [
            "text",
            "text_source",
            "cls_source",
            "label_source",
            "a_b",
            "a_b_source",
            "text_source_source",
        ]

    def test_only_what_is_asked_for(self) -> None:
        first, columns = Record("a", text="x"), dict.fromkeys(["b", "c"], pa.string())
        assert [column.name for column in carried_columns(first, columns, [], ["c", "text"])] == ["text", "c"]
        assert carried_columns(first, columns, [], []) == ()
        with pytest.raises(OptionError, match="no column 'path' to carry; there are: text, b, c"):
            carried_columns(first, columns, [], ["path"])
