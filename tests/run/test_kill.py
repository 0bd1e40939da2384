"""A run that is killed again and again ends with the same rows as one that nobody disturbs."""

import random
import time
from pathlib import Path

import numpy as np
import pytest
from tests.run.fake import FakeStage, embed
from tests.run.killed import kill, started

from classtoken.sink import read, verify

ROWS = 60


def kill_until_done(source: Path, out: Path, kills: int, seed: int) -> int:
    """Kill after a random number of files and a random moment more; then let it end. Says how often it was killed."""
    chance = random.Random(seed)
    killed = 0
    for _ in range(kills):
        process = started(embed, source, out, FakeStage(0.01))
        wanted = len(list(out.glob("part-*"))) + chance.randint(0, 1)
        limit = time.monotonic() + 60
        while process.is_alive() and len(list(out.glob("part-*"))) < wanted and time.monotonic() < limit:
            time.sleep(0.001)
        time.sleep(chance.random() * 0.03)
        killed += kill(process)
    embed(source, out, FakeStage())
    return killed


@pytest.mark.parametrize(
    ("kills", "seed"), [(6, 0), *(pytest.param(25, seed, marks=pytest.mark.soak) for seed in (1, 2))]
)
def test_a_killed_run_ends_like_an_undisturbed_one(tmp_path: Path, kills: int, seed: int) -> None:
    source = tmp_path / "texts.csv"
    lines = [f"id-{i},{'bad' if i % 17 == 3 else 'word ' * (i % 5) + str(i)}" for i in range(ROWS)]
    source.write_text("id,text\n" + "\n".join(lines) + "\n", encoding="utf-8")
    out = tmp_path / "killed"
    assert kill_until_done(source, out, kills, seed) >= kills // 2
    embed(source, tmp_path / "whole", FakeStage())
    killed, whole = read(out), read(tmp_path / "whole")
    assert killed.ids == whole.ids
    np.testing.assert_array_equal(killed.arrays["hash"], whole.arrays["hash"])
    assert killed.table.equals(whole.table)
    assert killed.manifest == whole.manifest
    assert (out / "_meta/quarantine.parquet").read_bytes() == (tmp_path / "whole/_meta/quarantine.parquet").read_bytes()
    assert verify(out).ok
    assert not list(out.rglob("*.unfinished"))
