"""How typical a record is: a share a of new ones comes out at a or below, and others are told apart."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.spatial.distance import cdist

from classtoken.errors import WeightsError
from classtoken.readout.saved import SavedReadout, read_saved, write_saved
from classtoken.readout.typical import Typical

MEANS = torch.tensor([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0]])
SPREAD = np.array([[1.0, 0.5, 0.0], [0.5, 2.0, 0.0], [0.0, 0.0, 0.25]])
WHITENING = torch.from_numpy(np.linalg.cholesky(np.linalg.inv(SPREAD))).float()


def drawn(count: int, seed: int) -> torch.Tensor:
    """Vectors of the two labels."""
    rng = np.random.default_rng(seed)
    noise = rng.multivariate_normal(np.zeros(3), SPREAD, count)
    return torch.from_numpy(MEANS.numpy()[rng.integers(0, 2, count)] + noise).float()


def typical(held_out: torch.Tensor) -> Typical:
    bare = Typical(MEANS @ WHITENING, WHITENING, torch.empty(0))
    return Typical(bare.centres_CV, WHITENING, bare.distances(held_out))


def test_the_distance_is_mahalanobis_to_the_nearest_label() -> None:
    vectors = drawn(50, 1)
    expected = cdist(vectors.numpy(), MEANS.numpy(), "mahalanobis", VI=np.linalg.inv(SPREAD)).min(1)
    torch.testing.assert_close(
        typical(vectors).distances(vectors).double(), torch.from_numpy(expected), rtol=1e-4, atol=1e-4
    )


def test_it_is_a_rank_among_the_held_out_records() -> None:
    held_out = drawn(99, 2)
    model = typical(held_out)
    found = model(held_out)
    order = model.distances(held_out).argsort(descending=True)
    torch.testing.assert_close(found[order], torch.arange(2, 101) / 100)  # each counts itself as one at least as far
    assert float(model(torch.tensor([[50.0, 50.0, 50.0]]))) == pytest.approx(1 / 100)
    assert float(model(MEANS[:1])) == 1.0


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_of_new_records_a_share_a_comes_out_at_a_or_below(share: float) -> None:
    """Averaged over what was held out; within five standard errors."""
    below = [float((typical(drawn(100, 2 * i))(drawn(200, 2 * i + 1)) <= share).float().mean()) for i in range(60)]
    assert np.mean(below) == pytest.approx(share, abs=5 * np.std(below) / len(below) ** 0.5 + 0.01)
    assert np.mean(below) <= share + 5 * np.std(below) / len(below) ** 0.5


def test_it_is_kept_to_the_last_digit(tmp_path: Path) -> None:
    kept = typical(drawn(60, 3))
    write_saved(tmp_path, SavedReadout("cls", typical=kept))
    again = read_saved(tmp_path)
    assert again is not None
    assert again.typical is not None
    assert torch.equal(again.typical(drawn(20, 4)), kept(drawn(20, 4)))


def test_one_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    write_saved(tmp_path, SavedReadout("cls", typical=typical(drawn(60, 3))))
    weights = load_file(tmp_path / "classtoken.safetensors")
    del weights["typical.distances_N"]
    save_file(weights, tmp_path / "classtoken.safetensors")
    with pytest.raises(WeightsError, match="belong together"):
        read_saved(tmp_path)
