"""Several workers, slices and their end: the same tasks, the same files."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tests.run.fake import FakeStage, onto
from tests.run.killed import children, kill, kill_child, started
from tests.run.test_update import FIRST, alike, changed, table

import classtoken as ct
from classtoken.errors import BadRecord, ContractError, OptionError
from classtoken.run.onto import slice_of
from classtoken.run.staff import Staff
from classtoken.sink import read, read_quarantine, verify

TWO = Staff(workers=2)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return table(tmp_path / "a.csv", FIRST)


def test_two_workers_write_what_one_writes(tmp_path: Path, source: Path) -> None:
    onto(source, tmp_path / "one", FakeStage())
    stage, seen = FakeStage(), []
    onto(source, tmp_path / "two", stage, staff=TWO, report=seen.append)
    alike(tmp_path / "two", tmp_path / "one")
    assert stage.computed == []  # nothing is computed here
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)
    assert seen[-1].done == 23
    source.write_text(source.read_text() + "id-23,one more,n\n")
    onto(source, tmp_path / "two", FakeStage(), staff=TWO, update=True)
    onto(source, tmp_path / "fresh", FakeStage())
    alike(tmp_path / "two", tmp_path / "fresh")


def test_a_task_that_kills_its_workers_is_refused_whole_and_the_others_are_done(tmp_path: Path) -> None:
    source = table(tmp_path / "a.csv", changed(FIRST, id_08="kill"))
    onto(source, tmp_path / "out", FakeStage(), staff=TWO)
    assert verify(tmp_path / "out").ok
    refused = {entry.id: entry.reason for entry in read_quarantine(tmp_path / "out")}
    assert set(refused) == {"id-05", "id-06", "id-07", "id-08", "id-09", "id-13"}
    assert "is in a task of 5 records that ended 3 workers (killed by SIGKILL" in refused["id-08"]
    assert set(read(tmp_path / "out").ids) == set(FIRST) - set(refused)


def test_a_worker_that_is_killed_costs_nothing(tmp_path: Path, source: Path) -> None:
    ended = threading.Event()

    def kill_one() -> None:
        """Kill a worker whenever a part has come, three times."""
        seen = 0
        while not ended.wait(0.005) and seen < 3:
            if len(list((tmp_path / "out").glob("part-*"))) > seen:
                seen += kill_child(os.getpid())

    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        onto(source, tmp_path / "out", FakeStage(0.05), staff=TWO)
    finally:
        ended.set()
        killer.join()
    onto(source, tmp_path / "one", FakeStage())
    alike(tmp_path / "out", tmp_path / "one")


@pytest.mark.soak
def test_kills_of_workers_and_of_their_owner_cost_nothing(tmp_path: Path) -> None:
    chance, killed = random.Random(0), 0
    source, out = table(tmp_path / "a.csv", {f"id-{i:03d}": f"text {i}" for i in range(150)}), tmp_path / "out"
    for _ in range(10):
        owner = started(onto, source, out, FakeStage(0.05), staff=TWO)
        before, limit = len(list(out.glob("part-*"))), time.monotonic() + 60
        while owner.is_alive() and len(list(out.glob("part-*"))) <= before and time.monotonic() < limit:
            time.sleep(0.005)
        time.sleep(chance.random() * 0.2)
        killed += kill_child(owner.pid, chance.randrange(2))
        time.sleep(chance.random() * 0.2)
        killed += kill(owner)
    assert killed >= 10
    onto(source, out, FakeStage(), staff=TWO)
    onto(source, tmp_path / "one", FakeStage())
    assert verify(out, clean=True).ok
    alike(out, tmp_path / "one")


def test_an_error_of_a_worker_is_the_run_s(tmp_path: Path, source: Path) -> None:
    from tests.run.fake import manifest_of

    from classtoken.run.onto import Onto, run_onto
    from classtoken.sink import ParquetSink
    from classtoken.source import make_plan, open_source

    opened = open_source(source)
    plan = make_plan(opened, task_rows=5)
    with (
        ParquetSink(tmp_path / "out", manifest_of(plan, "a", "csv")) as sink,
        pytest.raises(BadRecord, match=r"record 'id-13' of .* run without strict"),
    ):
        run_onto(sink, opened, plan, FakeStage(), Onto("text", strict=True, staff=TWO))


def test_a_worker_that_opens_another_model_is_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    from tests.folders import tiny_bert

    from classtoken.run.embedding import EmbedStage, EmbedStageSpec

    stage = EmbedStage(ct.load(tiny_bert(tmp_path / "bert"), pooling="mean"), "text")
    (spec,) = stage.specs(1, spread=False)
    assert isinstance(spec, EmbedStageSpec)
    assert spec.open().fingerprint() == stage.fingerprint()
    with pytest.raises(ContractError, match="gives other vectors where this worker opens it"):
        replace(spec, made="of another day").open()


@pytest.mark.slow
def test_a_worker_whose_owner_dies_ends_too(tmp_path: Path, root: Path) -> None:
    source = table(tmp_path / "a.csv", {f"id-{i}": f"text {i}" for i in range(200)})
    code = (
        "from tests.run.fake import *; from classtoken.run.staff import Staff\n"
        f"if __name__ == '__main__': onto({str(source)!r}, {str(tmp_path / 'out')!r}, FakeStage(0.05), staff=Staff(2))"
    )
    (tmp_path / "program.py").write_text(code)
    path = os.pathsep.join([str(root / "src"), str(root)])
    owner = subprocess.Popen([sys.executable, tmp_path / "program.py"], env={**os.environ, "PYTHONPATH": path})
    limit = time.monotonic() + 60
    while not list((tmp_path / "out").glob("part-*")) and time.monotonic() < limit:
        time.sleep(0.01)
    workers = children(owner.pid)
    assert workers
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < limit:
        time.sleep(0.01)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    onto(source, tmp_path / "out", FakeStage())
    assert verify(tmp_path / "out").ok or "does not list" in verify(tmp_path / "out").problems[0]
    assert verify(tmp_path / "out", clean=True).ok


@pytest.mark.parametrize("from_stdin", [False, True])
def test_a_script_that_its_own_workers_would_run_again_is_told(from_stdin: bool, tmp_path: Path, root: Path) -> None:
    """Python reads the script in each of them; the error was that another run is writing, and to give fewer workers."""
    source = table(tmp_path / "a.csv", FIRST)
    code = (
        "from tests.run.fake import *; from classtoken.run.staff import Staff\n"
        f"onto({str(source)!r}, {str(tmp_path / 'out')!r}, FakeStage(), staff=Staff(2))"
    )
    (tmp_path / "program.py").write_text(code)
    ran = subprocess.run(
        [sys.executable, "-" if from_stdin else tmp_path / "program.py"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])},
        input=code,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 1
    said = ran.stderr.splitlines()
    assert said[-1].startswith("classtoken.errors.OptionError: none of the `workers` can begin")
    assert said[-1].endswith("below if __name__ == '__main__':")
    assert from_stdin or any("must not run it; put what calls it below" in line for line in said[:-1])
    assert "OutputError" not in ran.stderr


class TestSlices:
    def test_slices_in_any_order_then_the_end(self, tmp_path: Path) -> None:
        lines = tmp_path / "a.txt"
        lines.write_text("".join(f"text {i}\n" for i in range(23)))
        out = tmp_path / "out"

        def go(**more):  # type: ignore[no-untyped-def]
            return ct.embed("builtin:sentiment", lines, out, part_rows=5, **more)

        result = go(tasks="2-3")
        assert (result.complete, result.parts, result.tasks, result.rows) == (False, 2, 5, 10)
        assert "2 of 5 tasks done" in str(result)
        with pytest.raises(ct.errors.OutputError, match="3 of 5 tasks are not done"):
            go(finish=True)
        go(tasks="0-1")
        go(tasks="4")
        whole = go(finish=True)
        assert (whole.complete, whole.rows, whole.parts) == (True, 23, 5)
        ct.embed("builtin:sentiment", lines, tmp_path / "whole", part_rows=5)
        alike(out, tmp_path / "whole")

    def test_files_that_change_between_two_slices_are_told_at_the_end(self, tmp_path: Path) -> None:
        texts, out = tmp_path / "texts", tmp_path / "out"
        texts.mkdir()
        for i in range(6):
            (texts / f"{i}.md").write_text(f"text {i}")
            os.utime(texts / f"{i}.md", ns=(1, 1))

        def go(**more):  # type: ignore[no-untyped-def]
            return ct.embed("builtin:sentiment", texts, out, part_rows=3, **more)

        go(tasks="0")
        (texts / "1.md").write_text("text z")
        go(tasks="1")
        assert "that were changed meanwhile" in go(finish=True).notes[-1]
        with pytest.raises(ct.errors.ManifestMismatch, match="1 changed"):
            go()
        assert go(update=True).computed == 1
        assert go().notes == ()

    def test_an_update_in_slices(self, tmp_path: Path) -> None:
        lines, out = tmp_path / "a.txt", tmp_path / "out"

        def go(**more):  # type: ignore[no-untyped-def]
            return ct.embed("builtin:sentiment", lines, out, part_rows=5, **more)

        rows = [f"text {i}\n" for i in range(23)]
        lines.write_text("".join(rows))
        go()
        rows[7], rows[20:] = "another\n", [f"new {i}\n" for i in range(9)]
        lines.write_text("".join(rows))
        first = go(update=True, tasks="0-3")
        assert (first.complete, first.tasks, first.parts) == (False, 6, 4)
        assert len(ct.read(out)) == 23  # until the end readers see what was there
        with pytest.raises(ct.errors.OutputError, match="2 of 6 tasks are not done"):
            go(finish=True)
        go(update=True, tasks="4-5")
        assert go(finish=True).rows == 29
        assert go(finish=True).rows == 29
        ct.embed("builtin:sentiment", lines, tmp_path / "whole", part_rows=5)
        found, fresh = ct.read(out), ct.read(tmp_path / "whole")
        assert found.table.drop_columns("cls").equals(fresh.table.drop_columns("cls"))
        np.testing.assert_allclose(found.arrays["cls"], fresh.arrays["cls"], atol=2e-6)  # other batches
        assert verify(out).ok

    @pytest.mark.parametrize("tasks", ["", "x", "3-1", "5", "-2", "1-x"])
    def test_what_is_no_slice(self, tasks: str) -> None:
        with pytest.raises(OptionError, match="give a number or two as 0-4: there are 5 tasks"):
            slice_of(tasks, 5)

    def test_a_slice_may_end_behind_the_last_task(self) -> None:
        assert list(slice_of("3-99", 5))[:2] == [3, 4]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tasks": "0", "overwrite": True}, "`overwrite` needs all of it"),
        ({"update": True, "overwrite": True}, "`overwrite` replaces it; give one of them"),
        ({"gone": "keep"}, "set `update`, too"),
        ({"address": "auto"}, "set `engine` to ray"),
    ],
)
def test_options_that_do_not_go_together(tmp_path: Path, options: dict, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        ct.embed("builtin:sentiment", ["a"], tmp_path, **options)


def test_the_plan_is_said_and_nothing_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    from classtoken.cli import main

    (tmp_path / "a.txt").write_text("a\nb\nc\n")
    command = ["embed", str(tmp_path / "a.txt"), "--model", "builtin:sentiment", "--out", str(tmp_path / "out")]
    assert main([*command, "--plan", "--part-rows", "2"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [(task["start"], task["stop"]) for task in plan["tasks"]] == [(0, 2), (2, 3)]
    assert plan["total"] == 3
    assert plan["done"] == []
    assert not (tmp_path / "out").exists()
