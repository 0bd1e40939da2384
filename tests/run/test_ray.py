"""The same tasks as actors of a Ray cluster of several nodes: the same files, whoever dies."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.run.fake import FakeStage, onto
from tests.run.test_update import FIRST, alike, changed, table

from classtoken.errors import ContractError
from classtoken.run.staff import Staff
from classtoken.sink import read_quarantine, verify

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def cluster(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes of one processor each, beside a head that has none."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root / "src"), str(root)]))
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 100 << 20})
    made.nodes = [made.add_node(num_cpus=1, object_store_memory=100 << 20) for _ in range(2)]
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


@pytest.mark.slow
def test_actors_write_what_this_process_writes(tmp_path: Path, cluster: Any) -> None:
    source = table(tmp_path / "a.csv", FIRST)
    onto(source, tmp_path / "out", FakeStage(), staff=Staff(2, "ray", cluster.address))
    onto(source, tmp_path / "one", FakeStage())
    alike(tmp_path / "out", tmp_path / "one")


@dataclass(frozen=True)
class OtherModel:
    """A stage that cannot be opened where a worker is."""

    def open(self) -> FakeStage:
        raise ContractError("the model gives other vectors here; give the same files everywhere.")


class OpenedElsewhere(FakeStage):
    def specs(self, count: int, *, spread: bool) -> list[Any]:
        return [OtherModel()] * count


@pytest.mark.slow
def test_what_keeps_an_actor_from_opening_the_model_is_said(tmp_path: Path, cluster: Any) -> None:
    source = table(tmp_path / "a.csv", FIRST)
    with pytest.raises(ContractError, match="gives other vectors here"):
        onto(source, tmp_path / "out", OpenedElsewhere(), staff=Staff(2, "ray", cluster.address))


@pytest.mark.soak
def test_a_task_that_kills_its_actors_is_refused_whole(tmp_path: Path, cluster: Any) -> None:
    source = table(tmp_path / "a.csv", changed(FIRST, id_08="kill"))
    onto(source, tmp_path / "ray", FakeStage(), staff=Staff(2, "ray", cluster.address))
    refused = {entry.id: entry.reason for entry in read_quarantine(tmp_path / "ray")}
    assert "is in a task of 5 records that ended 3 workers" in refused["id-08"]
    assert verify(tmp_path / "ray").ok


@pytest.mark.soak
def test_a_node_is_killed_then_the_driver_then_the_run_goes_on_here(tmp_path: Path, root: Path, cluster: Any) -> None:
    source = table(tmp_path / "a.csv", {f"id-{i:03d}": f"text {i}" for i in range(300)})
    out = tmp_path / "out"
    code = (
        "from tests.run.fake import *; from classtoken.run.staff import Staff\n"
        f"onto({str(source)!r}, {str(out)!r}, FakeStage(0.1), staff=Staff(2, 'ray', {cluster.address!r}))"
    )
    driver = subprocess.Popen([sys.executable, "-c", code], cwd=root)

    def parts(wanted: int) -> None:
        limit = time.monotonic() + 120
        while len(list(out.glob("part-*"))) < wanted and time.monotonic() < limit and driver.poll() is None:
            time.sleep(0.05)
        assert len(list(out.glob("part-*"))) >= wanted

    parts(5)
    cluster.remove_node(cluster.nodes[0], allow_graceful=False)
    parts(15)  # the other node goes on
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    onto(source, out, FakeStage())
    verify(out, clean=True)
    onto(source, tmp_path / "one", FakeStage())
    alike(out, tmp_path / "one")


@pytest.mark.soak
def test_a_node_that_dies_costs_its_task_another_try(tmp_path: Path, cluster: Any) -> None:
    source, out = table(tmp_path / "a.csv", {f"id-{i:03d}": f"text {i}" for i in range(100)}), tmp_path / "out"

    def kill() -> None:
        limit = time.monotonic() + 120
        while len(list(out.glob("part-*"))) < 4 and time.monotonic() < limit:
            time.sleep(0.05)
        cluster.remove_node(cluster.nodes[1], allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    onto(source, out, FakeStage(0.05), staff=Staff(2, "ray", cluster.address))
    killer.join()
    onto(source, tmp_path / "one", FakeStage())
    alike(out, tmp_path / "one")
