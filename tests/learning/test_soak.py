"""Real kills: a training process is ended at twenty random moments and must end as if nothing had happened."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from classtoken.learning import resume

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from classtoken.learning.model import set_regularisation
from classtoken.learning.objectives.supervised import Supervised
from classtoken.learning.recipe import AugmentOptions, LoopOptions, OptimiserOptions
from tests.learning.small import loop, network, pictures
net = network()
set_regularisation(net.encoder, 0.2, 0.1)
options = LoopOptions(epochs=100, batch=24, ema=0.9, checkpoint_steps=7)
data = pictures(augment=AugmentOptions(pad_crop=1, flip=True, mixup=0.4, randaugment=1))
moving = OptimiserOptions(kind="muon", learning_rate=3e-3, matrix_learning_rate=5e-3)
loop(Path(sys.argv[1]), objective=Supervised(net, "single"), data=data, options=options, optimiser=moving).run()
"""


def start(folder: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), str(ROOT)], stderr=subprocess.DEVNULL)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    assert start(tmp_path / "whole").wait() == 0
    rng, kills = random.Random(0), 0
    while kills < 20:
        process = start(tmp_path / "killed")
        try:
            process.wait(timeout=rng.uniform(3.0, 9.0))
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            time.sleep(0.05)
    assert start(tmp_path / "killed").wait() == 0
    whole, killed = (torch.load(tmp_path / n / resume.NAME, weights_only=True) for n in ("whole", "killed"))
    assert kills > 0
    for name, value in whole["objective"].items():
        assert torch.equal(value, killed["objective"][name]), name
    assert whole["progress"]["looks"] == killed["progress"]["looks"]
