"""On random labels every way of training reports chance, within its interval."""

from pathlib import Path

import pytest
from tests.learning.chance import WAYS, draw


def misses(way: str, folder: Path, count: int) -> int:
    """Simulations in which chance is outside the interval of the score."""
    return sum(not draw(way, folder / str(seed), seed)["holds"] for seed in range(count))


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_random_labels_are_chance_within_the_interval(tmp_path: Path, way: str) -> None:
    assert misses(way, tmp_path, 3) <= 1  # of 3 at 5 %: 2 or more in 7 of 1,000 runs


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("way", WAYS)
def test_random_labels_are_chance_in_95_of_100(tmp_path: Path, way: str) -> None:
    assert misses(way, tmp_path, WAYS[way].draws) <= WAYS[way].missed
