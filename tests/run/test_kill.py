"""A run that is killed again and again ends with the same rows as one that nobody disturbs."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.run.fake import FakeStage, embed

from classtoken.sink import read, verify

ROWS = 60


def start(root: Path, source: Path, out: Path, seconds: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.run.fake", str(source), str(out), str(seconds)]
    path = os.pathsep.join([str(root / "src"), str(root)])  # this package, whichever is installed
    return subprocess.Popen(command, cwd=root, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": path})


def kill_until_done(root: Path, source: Path, out: Path, kills: int, seed: int) -> int:
    """Kill after a random number of files and a random moment more; then let it end. Says how often it was killed."""
    chance = random.Random(seed)
    killed = 0
    for _ in range(kills):
        process = start(root, source, out, 0.01)
        wanted = len(list(out.glob("part-*"))) + chance.randint(0, 3)
        limit = time.monotonic() + 60
        while process.poll() is None and len(list(out.glob("part-*"))) < wanted and time.monotonic() < limit:
            time.sleep(0.001)
        time.sleep(chance.random() * 0.03)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert start(root, source, out, 0.0).wait() == 0
    return killed


@pytest.mark.parametrize(
    ("kills", "seed"),
    [(3, 0), pytest.param(40, 1, marks=pytest.mark.soak), pytest.param(40, 2, marks=pytest.mark.soak)],
)
def test_a_killed_run_ends_like_an_undisturbed_one(tmp_path: Path, root: Path, kills: int, seed: int) -> None:
    source = tmp_path / "texts.csv"
    lines = [f"id-{i},{'bad' if i % 17 == 3 else 'word ' * (i % 5) + str(i)}" for i in range(ROWS)]
    source.write_text("id,text\n" + "\n".join(lines) + "\n", encoding="utf-8")
    out = tmp_path / "killed"
    assert kill_until_done(root, source, out, kills, seed) >= 1
    embed(source, tmp_path / "whole", FakeStage())
    killed, whole = read(out), read(tmp_path / "whole")
    assert killed.ids == whole.ids
    np.testing.assert_array_equal(killed.arrays["hash"], whole.arrays["hash"])
    assert killed.table.equals(whole.table)
    assert killed.manifest == whole.manifest
    assert (out / "_meta/quarantine.parquet").read_bytes() == (tmp_path / "whole/_meta/quarantine.parquet").read_bytes()
    assert verify(out).ok
    assert not list(out.rglob("*.unfinished"))
