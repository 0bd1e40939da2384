"""Exact search is brute force in another order: same rows, same scores, whatever the blocks and the files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.nearest.made import folder_of

from classtoken.nearest import scan
from classtoken.nearest.coded import CodedRows
from classtoken.nearest.rows import ChosenRows, FileRows, ResidentRows, Rows, Similarity, unit
from classtoken.sink import read


def clustered(rows: int, size: int = 24, seed: int = 0) -> np.ndarray:
    numbers = np.random.default_rng(seed)
    centres = numbers.standard_normal((7, size))
    return (centres[numbers.integers(7, size=rows)] + 0.5 * numbers.standard_normal((rows, size))).astype(np.float32)


def brute(matrix: np.ndarray, queries: np.ndarray, k: int, similarity: str) -> tuple[np.ndarray, np.ndarray]:
    rows, asked = matrix.astype(np.float64), queries.astype(np.float64)
    if similarity == "cosine":
        rows, asked = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (rows, asked))
    scores = asked @ rows.T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(scores, order, 1)


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("k", [1, 10, 70])
@pytest.mark.parametrize("queries", [1, 5, 300])
def test_the_best_rows_in_order(
    similarity: scan.Similarity, k: int, queries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "FEWEST", 320)
    monkeypatch.setattr(scan, "MOST", 640)  # several blocks, the last of them short
    matrix, asked = clustered(3333), clustered(queries, seed=1)
    found = scan.search(ResidentRows(matrix), torch.from_numpy(asked), k, similarity=similarity)
    places, scores = brute(matrix, asked, k, similarity)
    np.testing.assert_allclose(found.scores.numpy(), scores, rtol=1e-4, atol=1e-5)
    assert (found.places.numpy() == places).mean() > 0.999  # two rows may be as good as each other in 32 bits


def test_files_and_memory_give_the_same(tmp_path: Path) -> None:
    matrix, asked = clustered(530), torch.from_numpy(clustered(4, seed=1))
    vectors = read(folder_of(tmp_path / "made", matrix))
    of_files, of_memory = (scan.search(rows, asked, 9) for rows in (FileRows(vectors, "cls"), ResidentRows(matrix)))
    assert torch.equal(of_files.places, of_memory.places)
    torch.testing.assert_close(of_files.scores, of_memory.scores)
    some = torch.tensor([529, 0, 104, 100, 99])
    np.testing.assert_array_equal(FileRows(vectors, "cls").take(some).numpy(), matrix[some])


@pytest.mark.parametrize("share", [0.001, 0.05, 0.6])
def test_a_condition_leaves_brute_force_on_what_it_leaves(tmp_path: Path, share: float) -> None:
    matrix, asked = clustered(5000), clustered(3, seed=1)
    chosen = np.flatnonzero(np.random.default_rng(2).random(5000) < share)
    assert len(chosen)
    vectors = read(folder_of(tmp_path / "made", matrix, part_rows=777))
    places, scores = brute(matrix[chosen], asked, 10, "cosine")
    every: tuple[Rows, ...] = (ResidentRows(matrix), FileRows(vectors, "cls"))
    for rows in every:
        found = scan.search(ChosenRows(rows, chosen), torch.from_numpy(asked), 10)
        wanted = min(10, len(chosen))
        np.testing.assert_array_equal(found.places.numpy()[:, :wanted], chosen[places])
        assert (found.places.numpy()[:, wanted:] == -1).all()
        np.testing.assert_allclose(found.scores.numpy()[:, :wanted], scores, atol=1e-5)


def test_fewer_rows_than_are_wanted(tmp_path: Path) -> None:
    found = scan.search(ResidentRows(clustered(3)), torch.from_numpy(clustered(2, seed=1)), 10)
    assert found.places.shape == (2, 3)
    assert sorted(found.places[0].tolist()) == [0, 1, 2]
    nothing = scan.search(ChosenRows(ResidentRows(clustered(3)), np.array([], int)), torch.zeros(1, 24), 5)
    assert nothing.places.tolist() == [[-1]]


def test_rows_that_have_no_score_are_counted_and_never_found() -> None:
    matrix = clustered(200)
    matrix[7, 3], matrix[8, 0], matrix[9] = np.nan, np.inf, 0
    found = scan.search(ResidentRows(matrix), torch.from_numpy(matrix[:2]), 200)
    assert found.without == 3
    assert not {7, 8, 9} & set(found.places.flatten().tolist())
    assert found.places[0, -3:].tolist() == [-1, -1, -1]
    assert scan.search(ResidentRows(matrix), torch.from_numpy(matrix[:2]), 3, similarity="dot").without == 2


def test_of_equal_rows_the_first_come_first() -> None:
    matrix = np.repeat(clustered(4), 50, axis=0)
    found = scan.search(ResidentRows(matrix), torch.from_numpy(matrix[60:61]), 50)
    assert found.places[0].tolist() == list(range(50, 100))


def test_memory_is_bounded_by_the_block() -> None:
    class Watched(ResidentRows):
        largest = 0

        def blocks(self, most: int, similarity: Similarity = "cosine"):
            for block in super().blocks(most, similarity):
                self.largest = max(self.largest, block.vectors.numel())
                yield block

    rows = Watched(clustered(20000))
    scan.search(rows, torch.from_numpy(clustered(256, seed=1)), 5)
    assert rows.largest <= 24 * 4096


@pytest.mark.parametrize("exponents", [(-29, -15), (15, 29), (-29, 29)])
def test_lengths_whose_squares_no_32_bit_number_holds(exponents: tuple[int, int]) -> None:
    """In every way in which rows are compared: the cosines are those of 64-bit numbers."""
    rng = np.random.default_rng(0)
    plain = rng.standard_normal((3000, 8))
    scaled = (plain * 10.0 ** rng.integers(*exponents, (3000, 1))).astype(np.float32)
    queries = torch.from_numpy((rng.standard_normal((5, 8)) * 10.0 ** exponents[0]).astype(np.float32))
    rows = ResidentRows(scaled)
    whole = scaled.astype(np.float64)
    whole /= np.linalg.norm(whole, axis=1, keepdims=True)
    asked = queries.double().numpy()
    true = whole @ (asked / np.linalg.norm(asked, axis=1, keepdims=True)).T
    for found in (scan.search(rows, queries, 10), CodedRows(rows).search(queries, 10)):
        assert found.without == 0
        np.testing.assert_allclose(found.scores.numpy(), np.sort(true, axis=0)[::-1][:10].T, atol=1e-6)
    np.testing.assert_allclose(unit(torch.from_numpy(scaled)).numpy(), whole, atol=1e-6)


def test_products_of_short_rows_are_searched_from_codes() -> None:
    """No row is found twice where the squares of what the codes lose are zero in 32 bits."""
    rng = np.random.default_rng(0)
    rows = ResidentRows((rng.standard_normal((40, 3)) * 1e-25).astype(np.float32))
    queries = torch.from_numpy(rng.standard_normal((60, 3)).astype(np.float32))
    found, wanted = CodedRows(rows, "dot").search(queries, 40), scan.search(rows, queries, 40, similarity="dot")
    torch.testing.assert_close(found.places, wanted.places)
