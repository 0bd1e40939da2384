"""One task in another process gives the same part as in this one."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from tests.run.fake import FakeStageSpec, embed, manifest_of

from classtoken.errors import BadRecord
from classtoken.run import StageSpec, do_task
from classtoken.sink import ParquetSink, PartWriter, Receipt, read, read_manifest, verify
from classtoken.source import Source, make_plan, open_source
from classtoken.testing.json_sink import JsonSink, read_json_sink
from classtoken.values import Task

ROWS = [f"text {i}" for i in range(17)] + ["bad", "nan"]


def elsewhere(source: Source, task: Task, spec: StageSpec, writer: PartWriter) -> Receipt:
    """What a worker of any engine does."""
    return do_task(source, task, spec.open(), writer)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(ROWS) + "\n", encoding="utf-8")
    return path


def test_processes_write_what_a_local_run_writes(tmp_path: Path, source: Path) -> None:
    spec = FakeStageSpec()
    embed(source, tmp_path / "local", spec.open())
    opened = open_source(source)
    plan = make_plan(opened, task_rows=5)
    with (
        ParquetSink(tmp_path / "pool", manifest_of(plan, opened.name, opened.kind)) as sink,
        ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        done = sink.begin()
        assert not done
        jobs = [pool.submit(elsewhere, opened, task, spec, sink.writer()) for task in reversed(plan.tasks)]
        assert sorted(job.result().part.task for job in jobs) == [0, 1, 2, 3]
        sink.finish()
    folders = tmp_path / "local", tmp_path / "pool"
    files = [
        {
            path.relative_to(folder): path.read_bytes().replace(read_manifest(folder).lineage.encode(), b"")
            for path in folder.rglob("*")
            if path.is_file()
        }
        for folder in folders
    ]
    assert files[0] == files[1]
    assert verify(tmp_path / "pool").ok


def test_a_task_into_any_sink(tmp_path: Path, source: Path) -> None:
    opened = open_source(source)
    plan = make_plan(opened, task_rows=8)
    with JsonSink(tmp_path / "json", manifest_of(plan, opened.name, opened.kind)) as sink:
        sink.begin()
        receipts = [do_task(opened, task, FakeStageSpec().open(), sink.writer()) for task in plan.tasks]
        sink.finish()
    assert [refused.reason for receipt in receipts for refused in receipt.refused] == [
        "is bad",
        "has a vector that is not finite",
    ]
    ids, arrays = read_json_sink(tmp_path / "json")
    embed(source, tmp_path / "parquet", FakeStageSpec().open())
    found = read(tmp_path / "parquet")
    assert tuple(ids) == found.ids
    assert (arrays["hash"] == found.arrays["hash"]).all()


def test_a_strict_task_writes_nothing(tmp_path: Path, source: Path) -> None:
    opened = open_source(source)
    plan = make_plan(opened)
    with JsonSink(tmp_path / "json", manifest_of(plan, opened.name, opened.kind)) as sink:
        sink.begin()
        with pytest.raises(BadRecord, match=r"record '17' of .* without strict"):
            do_task(opened, plan.tasks[0], FakeStageSpec().open(), sink.writer(), strict=True)
    assert [path.name for path in (tmp_path / "json").iterdir()] == ["manifest.json"]
