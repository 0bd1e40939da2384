"""Real kills: a training process is ended at twenty random steps and must end as if nothing had happened."""

import csv
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from classtoken.learning.loop import resume

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from classtoken.learning.model import set_regularisation
from classtoken.learning.objectives.supervised import Supervised
from classtoken.learning.recipe import AugmentOptions, LoopOptions, OptimiserOptions
from tests.learning.small import loop, network, pictures
net = network()
set_regularisation(net.encoder, LoopOptions(drop_path=0.2, dropout=0.1))
options = LoopOptions(epochs=100, batch=24, ema=0.9, checkpoint_steps=7)
data = pictures(augment=AugmentOptions(pad_crop=1, flip=True, mixup=0.4, randaugment=1))
moving = OptimiserOptions(kind="muon", learning_rate=3e-3, matrix_learning_rate=5e-3)
loop(Path(sys.argv[1]), objective=Supervised(net, "single"), data=data, options=options, optimiser=moving).run()
"""


KILLS, STEPS = 20, 300


def start(folder: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), str(ROOT)], stderr=subprocess.DEVNULL)


def rows(folder: Path) -> list[dict[str, str]]:
    """The rows of the log as they are now."""
    path = folder / "log.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def reached(folder: Path) -> int:
    """The last step in the log; a row that is being written does not count."""
    return max((int(row["step"]) for row in rows(folder) if row.get("seconds")), default=0)


def killed_at(folder: Path, step: int) -> int:
    """Start, kill as soon as the log has come to a step, and say which it was; -1 if the run was over before."""
    process = start(folder)
    try:
        while reached(folder) < step:
            if process.poll() is not None:
                return -1
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    return reached(folder)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    assert start(tmp_path / "whole").wait() == 0
    rng = random.Random(0)
    wanted = sorted(rng.sample(range(2, STEPS - 20), KILLS))
    found = [killed_at(tmp_path / "killed", step) for step in wanted]
    assert all(at >= step for at, step in zip(found, wanted, strict=True)), found  # every kill met a run under way
    assert start(tmp_path / "killed").wait() == 0
    whole, killed = (torch.load(tmp_path / n / resume.NAME, weights_only=True) for n in ("whole", "killed"))
    assert whole["state"]["step"] == killed["state"]["step"] == STEPS
    for name, value in whole["objective"].items():
        assert torch.equal(value, killed["objective"][name]), name
    assert whole["state"]["evaluations"] == killed["state"]["evaluations"]
    first, second = ([row["step"] for row in rows(tmp_path / name)] for name in ("whole", "killed"))
    assert first == second
