"""Logistic regression over a grid of C, and the split that chooses."""

import numpy as np
import pytest
import threadpoolctl
import torch
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from classtoken.errors import TrainingError
from classtoken.learning.ways.logistic import GRID, FitTask, Regressions, fit_logistic


def blobs(count: int = 120, classes: int = 3, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    targets = np.arange(count) % classes
    centres = rng.normal(size=(classes, 5)) * 2 + 7
    return centres[targets] + spread * rng.normal(size=(count, 5)) * np.array([1, 10, 1, 0.1, 1]), targets


def test_logistic_regression_is_scikit_learns_on_standardised_vectors() -> None:
    """The standardisation is folded into the head: it reads raw vectors and gives the same probabilities."""
    x, y = blobs()
    head, _, _ = fit_logistic(x, y, FitTask(False, False, 0, int(y.max()) + 1, "accuracy"), grid=(0.5,))
    scaler = StandardScaler().fit(x)
    reference = LogisticRegression(C=0.5, max_iter=2000, tol=1e-8).fit(scaler.transform(x), y)
    raw = LogisticRegression(C=0.5, max_iter=2000, tol=1e-8).fit(x, y)
    with torch.no_grad():
        found = head(torch.from_numpy(x).float()).softmax(-1).numpy()
    closest = min(
        np.abs(found - reference.predict_proba(scaler.transform(x))).max(), np.abs(found - raw.predict_proba(x)).max()
    )
    assert closest < 1e-5


def penalised_loss(weight: np.ndarray, bias: np.ndarray, z: np.ndarray, y: np.ndarray, c: float) -> float:
    """C sum of cross-entropies + |W|^2 / 2: what scikit-learn minimises."""
    logs = log_softmax(z @ weight.T + bias, axis=1)
    return float(-c * logs[np.arange(len(y)), y].sum() + (weight**2).sum() / 2)


@pytest.mark.parametrize("standardised", [True, False])
def test_a_path_of_c_is_at_the_optimum_everywhere(standardised: bool) -> None:
    """Beginning where the last C ended changes the way, not the end: never above the tight optimum by 1e-3 of it."""
    x, y = blobs(90, 3, 4.0)
    path = Regressions(x, y, standardised, FitTask(False, False, 0, 3))
    z = (x - path.mean) / path.scale
    for c in GRID[::2]:
        weight, bias = path.at(c)
        raw = penalised_loss(weight * path.scale, bias + weight @ path.mean, z, y, c)
        tight = LogisticRegression(C=c, tol=1e-10, max_iter=100_000).fit(z, y)
        assert raw <= penalised_loss(tight.coef_, tight.intercept_, z, y, c) * (1 + 1e-3)


def test_one_thread_computes_and_the_setting_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several threads on matrices this small took more than ten times as long on a busy machine."""
    found: list[int] = []
    at = Regressions.at

    def watched(self: Regressions, c: float) -> tuple[np.ndarray, np.ndarray]:
        found.extend(pool["num_threads"] for pool in threadpoolctl.threadpool_info())
        return at(self, c)

    monkeypatch.setattr(Regressions, "at", watched)
    before = threadpoolctl.threadpool_info()
    fit_logistic(*blobs(30), FitTask(False, False, 0, 3), grid=(1.0,))
    assert set(found) == {1}
    assert threadpoolctl.threadpool_info() == before


def test_the_grid_is_chosen_on_rows_that_were_not_learned_from() -> None:
    """Pure noise: no C may look better than chance, which choosing on the learned rows would."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(90, 60)), np.arange(90) % 3
    _, _, trials = fit_logistic(x, y, FitTask(False, False, 0, int(y.max()) + 1, "accuracy"), grid=(1e-2, 1.0, 1e2))
    assert max(trial.score for trial in trials) < 0.55


def test_of_equal_settings_the_one_of_least_loss_is_taken() -> None:
    """Classes far apart: every C is always right, and the smallest gives probabilities that hardly differ."""
    y = np.arange(60) % 3
    x = np.eye(3)[y] + 0.01 * np.random.default_rng(0).normal(size=(60, 3))
    head, setting, trials = fit_logistic(x, y, FitTask(False, False, 0, 3, "accuracy"), grid=(1e-4, 1e-2, 1.0))
    assert {trial.score for trial in trials} == {1.0}
    assert setting.c == 1.0
    with torch.no_grad():
        assert float(head(torch.from_numpy(x).float()).softmax(-1).max(-1).values.min()) > 0.8


def test_two_classes_and_several_labels() -> None:
    x, y = blobs(80, 2, 0.3)
    head, _, _ = fit_logistic(x, y, FitTask(False, True, 0, int(y.max()) + 1), grid=(1.0,))
    with torch.no_grad():
        assert float((head(torch.from_numpy(x).float()).argmax(-1).numpy() == y).mean()) > 0.95
    labels = np.stack([y, 1 - y, np.zeros_like(y)], axis=1)
    head, _, _ = fit_logistic(x, labels, FitTask(True, False, 0, 3), grid=(1.0,))
    with torch.no_grad():
        found = head(torch.from_numpy(x).float()).numpy() > 0
    assert (found[:, 0] == (y == 1)).mean() > 0.95
    assert not found[:, 2].any()  # a label that no row has


def test_too_few_records_are_counted_as_the_user_gave_them() -> None:
    """Not those of a fold within a fold."""
    task = FitTask(several=False, balanced=False, seed=0, classes=3, rows=6)
    with pytest.raises(TrainingError, match="6 records are too few"):
        fit_logistic(np.eye(3), np.arange(3), task)


def test_what_cannot_be_divided_is_said_for_what_it_is() -> None:
    """Forty records that hold the same are one: no class is too small, and groups need not have been given."""
    task = FitTask(False, False, 0, 2, "accuracy")
    with pytest.raises(TrainingError, match="40 records, and all are in one group, or hold the same: nothing can"):
        task.folds(np.arange(40) % 2, np.zeros(40, int))
    with pytest.raises(TrainingError, match="2 records, and no class has two: nothing can be held out"):
        task.folds(np.arange(2))


def test_a_rare_class_does_not_make_parts_fewer_for_all() -> None:
    targets = np.array([0] * 30 + [1] * 30 + [2])
    parts = FitTask(several=False, balanced=False, seed=0, classes=3).folds(targets)
    assert len(parts) == 5
    assert sorted(np.concatenate([judged for _, judged in parts]).tolist()) == list(range(61))
    assert all((targets[learned] == 0).sum() == 24 for learned, _ in parts)
