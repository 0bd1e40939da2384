"""Whether probabilities mean what they say."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from classtoken.learning.judge import calibration_error, fit_temperature


def test_the_temperature_is_the_one_with_the_least_loss() -> None:
    """Logits that are three times too sure get T near 3."""
    rng = np.random.default_rng(0)
    true = rng.normal(size=(4000, 4))
    p = np.exp(log_softmax(true, axis=1))
    targets = torch.tensor([rng.choice(4, p=row) for row in p])
    assert fit_temperature(torch.tensor(true * 3), targets, "single") == pytest.approx(3.0, rel=0.08)
    logits = torch.tensor(true * 3)
    assert calibration_error(logits / 3.0, targets, "single") < 0.03 < calibration_error(logits, targets, "single")


def test_the_calibration_error_by_hand() -> None:
    """Two rows at confidence 0.9 with one right: |0.5 - 0.9|."""
    logits = torch.log(torch.tensor([[0.9, 0.1], [0.9, 0.1]]))
    assert calibration_error(logits, torch.tensor([0, 1]), "single") == pytest.approx(0.4, abs=1e-6)
