"""Several processes that train together are one: the same numbers to rounding, whatever the objective."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.folders import tiny_bert
from tests.learning.objectives.test_accumulation import CASES, trained
from tests.learning.ways.test_vectors import sentences, table

import classtoken as ct
from classtoken.learning.loop.processes import ALONE, Processes, joined

ROOT = Path(__file__).parents[3]


def dropping(folder: Path, accumulate: int, processes: Processes = ALONE) -> dict[str, torch.Tensor]:
    """What is dropped depends on the step and the part, not on who computes it."""
    return trained("contrast", folder, accumulate, processes, dropout=0.2)


def work(folder: Path) -> None:
    """What each of the processes does."""
    with joined("cpu") as processes:
        found = {name: trained(name, folder / f"{processes.rank}-{name}", 1, processes) for name in CASES}
        found["dropping"] = dropping(folder / f"{processes.rank}-dropping", 1, processes)
    torch.save(found, folder / f"{processes.rank}.pt")


def started(count: int, *command: str) -> str:
    """What `torchrun` says on stdout."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}", *command],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_two_processes_are_one(tmp_path: Path) -> None:
    """Every objective, and what is dropped: that of one process that computes the batch in two parts."""
    started(2, "-m", "tests.learning.loop.test_processes", str(tmp_path))
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for name in CASES:
        alone = trained(name, tmp_path / name, 1)
        for key, value in alone.items():
            assert torch.equal(found[0][name][key], found[1][name][key])
            assert torch.allclose(found[0][name][key], value, atol=1e-5, rtol=1e-5), (name, key)
    for key, value in dropping(tmp_path / "dropping", 2).items():
        assert torch.allclose(found[0]["dropping"][key], value, atol=1e-5, rtol=1e-5), key


@pytest.mark.slow
def test_the_command_trains_with_two_processes(tmp_path: Path) -> None:
    """One answer, one folder, the vectors of one process; a run of one is gone on with by two."""
    source = table(tmp_path / "pairs.csv", ("anchor", "positive"), list(zip(sentences(40), sentences(40), strict=True)))
    bert, vectors = tiny_bert(tmp_path / "bert"), []
    settings = {"recipe": {"objective": {"kind": "pairs"}, "loop": {"batch": 8, "epochs": 1.0}}, "learning_rate": 1e-3}
    ct.train(bert, source, tmp_path / "one", **settings)
    (tmp_path / "recipe.json").write_text('{"objective": {"kind": "pairs"}, "loop": {"batch": 8, "epochs": 1.0}}')
    options = ["--model", str(bert), "--config", str(tmp_path / "recipe.json"), "--learning-rate", "1e-3", "--json"]
    said = started(2, "-m", "classtoken", "train", str(source), "--out", str(tmp_path / "two"), *options)
    assert json.loads(said)["steps"] == 4
    vectors = [ct.load(tmp_path / name).embed(sentences(6, 3)) for name in ("one", "two")]
    assert vectors[0] == pytest.approx(vectors[1], abs=1e-5)
    assert not np.allclose(vectors[0], ct.load(bert).embed(sentences(6, 3)), atol=1e-4)
    with (tmp_path / "two" / "log.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["loss"]]
    assert steps == sorted(set(steps))


if __name__ == "__main__":
    work(Path(sys.argv[1]))
