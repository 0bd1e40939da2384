"""A sink of somebody else's: vectors into SQLite, one transaction a task. No file of the package knows it."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import classtoken as ct
from classtoken.run import run
from classtoken.run.embedding import EmbedStage
from classtoken.sink import Manifest, Part, Receipt, TaskRows
from classtoken.sink.manifest import summed
from classtoken.source import make_plan, open_source


@dataclass(frozen=True)
class RowWriter:
    file: Path

    def write(self, rows: TaskRows) -> Receipt:
        number = rows.task.number
        part = Part(number, str(number), len(rows.records), 0, "", len(rows.refused), rows.cut)
        receipt = Receipt(part, tuple(rows.refused))
        (block,) = rows.vectors.values()
        pairs = zip(rows.records, block, strict=True)
        with closing(sqlite3.connect(self.file)) as base, base:  # rows and receipt at once, or neither
            base.executemany("INSERT INTO rows VALUES (?, ?)", [(record.id, v.tobytes()) for record, v in pairs])
            base.execute("INSERT INTO receipts VALUES (?, ?)", (number, receipt.to_json()))
        return receipt


class SqliteSink:
    def __init__(self, file: Path, manifest: Manifest):
        self.file, self.manifest = file, manifest

    @property
    def place(self) -> str:
        return self.file.as_posix()

    def begin(self) -> Mapping[int, Part]:
        with closing(sqlite3.connect(self.file)) as base, base:
            base.execute("CREATE TABLE IF NOT EXISTS rows (id TEXT PRIMARY KEY, vector BLOB)")
            base.execute("CREATE TABLE IF NOT EXISTS receipts (task INTEGER PRIMARY KEY, receipt TEXT)")
            found = base.execute("SELECT receipt FROM receipts ORDER BY task").fetchall()
        parts = [Receipt.from_json(text).part for (text,) in found]
        return {part.task: part for part in parts}

    def writer(self) -> RowWriter:
        return RowWriter(self.file)

    def finish(self) -> Manifest:
        return summed(self.manifest, tuple(self.begin().values()))

    def close(self) -> None:
        """Nothing is held open."""


def test_a_real_model_writes_into_it_and_goes_on(tmp_path: Path) -> None:
    source = open_source("builtin:tiny?count=10")
    plan = make_plan(source, task_rows=4)
    stage = EmbedStage(ct.load("builtin:toy"), "image")
    sink = SqliteSink(tmp_path / "vectors.db", stage.manifest(source, plan, carried=()))
    finished, _ = run(source, plan, stage, sink)
    again, progress = run(source, plan, stage, sink)
    assert (finished.rows, again.rows, progress.before) == (10, 10, 10)
    with closing(sqlite3.connect(tmp_path / "vectors.db")) as base:
        there = dict(base.execute("SELECT id, vector FROM rows").fetchall())
    ct.embed("builtin:toy", "builtin:tiny?count=10", tmp_path / "parquet", part_rows=4)
    ours = ct.read(tmp_path / "parquet")
    (vectors,) = ours.arrays.values()
    assert [np.frombuffer(there[name], np.float32).tolist() for name in ours.ids] == vectors.tolist()
