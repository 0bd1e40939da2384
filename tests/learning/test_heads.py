"""Heads on frozen vectors, calibration, and the split that chooses."""

import numpy as np
import pytest
import threadpoolctl
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from classtoken.errors import TrainingError
from classtoken.learning.data.batches import split
from classtoken.learning.data.labels import check, classes_of, targets_of
from classtoken.learning.ways.calibrate import calibration_error, fit_temperature
from classtoken.learning.ways.logistic import GRID, Regressions, fit_logistic
from classtoken.values import Record


def blobs(count: int = 120, classes: int = 3, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    targets = np.arange(count) % classes
    centres = rng.normal(size=(classes, 5)) * 2 + 7
    return centres[targets] + spread * rng.normal(size=(count, 5)) * np.array([1, 10, 1, 0.1, 1]), targets


def test_logistic_regression_is_scikit_learns_on_standardised_vectors() -> None:
    """The standardisation is folded into the head: it reads raw vectors and gives the same probabilities."""
    x, y = blobs()
    head, _ = fit_logistic(x, y, several=False, balanced=False, seed=0, grid=(0.5,))
    scaler = StandardScaler().fit(x)
    reference = LogisticRegression(C=0.5, max_iter=2000, tol=1e-5).fit(scaler.transform(x), y)
    raw = LogisticRegression(C=0.5, max_iter=2000, tol=1e-5).fit(x, y)
    with torch.no_grad():
        found = head(torch.from_numpy(x).float()).softmax(-1).numpy()
    closest = min(
        np.abs(found - reference.predict_proba(scaler.transform(x))).max(), np.abs(found - raw.predict_proba(x)).max()
    )
    assert closest < 1e-4


def penalised_loss(weight: np.ndarray, bias: np.ndarray, z: np.ndarray, y: np.ndarray, c: float) -> float:
    """C sum of cross-entropies + |W|^2 / 2: what scikit-learn minimises."""
    logs = log_softmax(z @ weight.T + bias, axis=1)
    return float(-c * logs[np.arange(len(y)), y].sum() + (weight**2).sum() / 2)


@pytest.mark.parametrize("standardised", [True, False])
def test_a_path_of_c_is_at_the_optimum_everywhere(standardised: bool) -> None:
    """Beginning where the last C ended changes the way, not the end: never above the tight optimum by 1e-3 of it."""
    x, y = blobs(90, 3, 4.0)
    path = Regressions(x, y, standardised, several=False, balanced=False, classes=3)
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
    fit_logistic(*blobs(30), several=False, balanced=False, seed=0, grid=(1.0,))
    assert set(found) == {1}
    assert threadpoolctl.threadpool_info() == before


def test_the_grid_is_chosen_on_rows_that_were_not_learned_from() -> None:
    """Pure noise: no C may look better than chance, which choosing on the learned rows would."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(90, 60)), np.arange(90) % 3
    _, tried = fit_logistic(x, y, several=False, balanced=False, seed=0, grid=(1e-2, 1.0, 1e2))
    assert max(t.score for t in tried) < 0.55


def test_two_classes_and_several_labels() -> None:
    x, y = blobs(80, 2, 0.3)
    head, _ = fit_logistic(x, y, several=False, balanced=True, seed=0, grid=(1.0,))
    with torch.no_grad():
        assert float((head(torch.from_numpy(x).float()).argmax(-1).numpy() == y).mean()) > 0.95
    labels = np.stack([y, 1 - y, np.zeros_like(y)], axis=1)
    head, _ = fit_logistic(x, labels, several=True, balanced=False, seed=0, grid=(1.0,))
    with torch.no_grad():
        found = head(torch.from_numpy(x).float()).numpy() > 0
    assert (found[:, 0] == (y == 1)).mean() > 0.95
    assert not found[:, 2].any()  # a label that no row has


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


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=60), st.floats(0.05, 0.5), st.integers(0, 5))
def test_a_split_keeps_every_label_and_loses_no_row(labels: list[str], part: float, seed: int) -> None:
    learned, held = split(labels, part, seed)
    assert sorted([*learned.tolist(), *held.tolist()]) == list(range(len(labels)))
    assert {labels[i] for i in learned.tolist()} == set(labels)
    for label in set(labels):
        if labels.count(label) > 1:
            assert sum(labels[i] == label for i in held.tolist()) >= 1
    assert torch.equal(split(labels, part, seed)[1], held)


def test_labels_that_cannot_be_learned_from_are_refused() -> None:
    with pytest.raises(TrainingError, match="two or more"):
        check([Record("1", label="a"), Record("2", label="a")], ("a",))
    with pytest.raises(TrainingError, match="'2' has no label"):
        check([Record("1", label="a"), Record("2")], ("a",))
    with pytest.raises(TrainingError, match="no record"):
        check([], ())


def test_numbers_as_labels_are_in_order_of_value() -> None:
    records = [Record(str(i), label=label) for i, label in enumerate(("10", "9", "b", "a"))]
    assert classes_of(records) == (("9", "10", "a", "b"), False)
    several = [Record("0", label=("b",)), Record("1", label=())]
    assert targets_of(several, ("a", "b"), True).tolist() == [[0.0, 1.0], [0.0, 0.0]]
