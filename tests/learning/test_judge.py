"""Whether probabilities mean what they say."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from classtoken.learning.judge import calibration_error, fit_temperature, judge
from classtoken.learning.objectives.supervised import classification_loss
from classtoken.measure.statistics import independence


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


def test_a_temperature_that_does_not_help_is_1() -> None:
    """Logits that are right as they are, few of them: a fitted T follows chance, and makes fresh rows worse."""
    rng = np.random.default_rng(0)
    kept, gained = 0, []
    for _ in range(40):
        logits = rng.normal(size=(2040, 3)) * 1.5
        targets = torch.tensor([rng.choice(3, p=row) for row in np.exp(log_softmax(logits, axis=1))])
        t = fit_temperature(torch.tensor(logits[:40]), targets[:40], "single")
        kept += t == 1.0
        fresh = torch.tensor(logits[40:])
        losses = [float(classification_loss(fresh / used, targets[40:], "single")) for used in (t, 1.0)]
        gained.append(losses[1] - losses[0])
    assert kept >= 20
    assert np.mean(gained) > -0.013  # fitted each time: -0.017
    assert fit_temperature(torch.tensor(logits[:9]), targets[:9], "single") == 1.0


def test_nothing_is_fitted_to_fewer_than_ten_rows() -> None:
    """All wrong, and very sure: T would go to its limit."""
    logits, targets = torch.tensor([[8.0, 0.0]] * 10), torch.ones(10, dtype=torch.long)
    assert fit_temperature(logits, targets, "single") > 5
    assert fit_temperature(logits[:9], targets[:9], "single") == 1.0


@pytest.mark.parametrize("task", ["single", "multi"])
def test_a_few_rows_that_are_all_right_are_no_reason_to_be_sure_of_everything(task: str) -> None:
    """20 rows, each right by a little: without doubt T goes to its limit of 0.05, and every answer to 100 %."""
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0]] * 10) - (0.5 if task == "multi" else 0.0)
    targets = torch.tensor([0, 1] * 10) if task == "single" else torch.tensor([[1.0, 0.0], [0.0, 1.0]] * 10)
    temperature = fit_temperature(logits, targets, task)
    assert 0.15 < temperature < 1.0
    sure = (logits / temperature).softmax(-1).max() if task == "single" else (logits / temperature).sigmoid().max()
    assert float(sure) == pytest.approx(21 / 22, abs=0.01)


def test_the_temperature_belongs_to_what_is_shipped() -> None:
    """Scores of one classifier, calibration of the other."""
    rng = np.random.default_rng(1)
    true = rng.normal(size=(600, 3)) * 2
    targets = torch.tensor([rng.choice(3, p=row) for row in np.exp(log_softmax(true, axis=1))])
    found = judge(torch.tensor(true), targets, "single", torch.tensor(true * 4))
    assert found.temperature == pytest.approx(4.0, rel=0.2)
    assert found.error < found.error_before
    assert found.scores["loss"] == pytest.approx(float(classification_loss(torch.tensor(true), targets, "single")))


def test_intervals_count_only_rows_that_are_independent() -> None:
    """Five folds: their variance is 2.25 times that of as many independent rows; groups: nothing is known."""
    logits, targets = torch.tensor([[1.0, 0.0]] * 90), torch.tensor([0] * 60 + [1] * 30)
    whole, folds, groups = (judge(logits, targets, "single", None, x).intervals for x in (1.0, independence(5), 0.0))
    assert whole["accuracy"].n == 90
    assert folds["accuracy"].n == 40
    assert folds["accuracy"].low < whole["accuracy"].low < whole["accuracy"].estimate == folds["accuracy"].estimate
    assert groups == {}
