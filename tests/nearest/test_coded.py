"""Search on 8-bit codes gives what search on the vectors gives, on whatever vectors."""

import numpy as np
import pytest
import torch
from tests.nearest.test_scan import clustered

from classtoken.nearest import coded, scan
from classtoken.nearest.coded import CodedRows
from classtoken.nearest.rows import ResidentRows, Similarity


def outlying(rows: int) -> np.ndarray:
    """A column that is far from the others in all rows, as text models have it."""
    matrix = clustered(rows)
    matrix[:, 3] += 40
    return matrix


def of_many_lengths(rows: int) -> np.ndarray:
    return clustered(rows) * np.random.default_rng(5).lognormal(0, 2, (rows, 1)).astype(np.float32)


def with_rows_that_have_no_score(rows: int) -> np.ndarray:
    matrix = clustered(rows)
    matrix[5], matrix[77, 2], matrix[rows - 1, 0] = 0, np.nan, np.inf
    return matrix


def all_alike(rows: int) -> np.ndarray:
    return np.repeat(clustered(1), rows, axis=0)


def constant_columns(rows: int) -> np.ndarray:
    matrix = clustered(rows)
    matrix[:, :20] = 0.25
    return matrix


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize(
    "made", [clustered, outlying, of_many_lengths, with_rows_that_have_no_score, all_alike, constant_columns]
)
@pytest.mark.parametrize("rows", [9001, 33])
def test_the_same_answers(made: object, similarity: Similarity, rows: int) -> None:
    matrix = made(rows) if rows > 77 or made is not with_rows_that_have_no_score else clustered(rows)  # type: ignore[operator]
    queries = torch.from_numpy(np.concatenate([matrix[:3], clustered(4, seed=1), np.zeros((1, 24), np.float32)]))
    queries[~torch.isfinite(queries)] = 0
    resident = ResidentRows(matrix)
    for k in (1, 10):
        plain = scan.search(resident, queries, k, similarity=similarity)
        found = CodedRows(resident, similarity).search(queries, k)
        tolerance = 1e-5 * max(1.0, float(plain.scores[torch.isfinite(plain.scores)].abs().max()))
        torch.testing.assert_close(found.scores, plain.scores, rtol=0, atol=tolerance)
        assert found.without == plain.without
        for theirs, ours, scores in zip(plain.places, found.places, plain.scores, strict=True):
            sure = scores > scores[-1] + 4 * tolerance  # of rows as good as each other any may be the k-th
            assert set(theirs[sure].tolist()) <= set(ours.tolist())


def test_few_rows_are_scored_in_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = clustered(20_000, size=64)
    codes = CodedRows(ResidentRows(matrix))
    scored: list[int] = []
    exact = codes._exact
    monkeypatch.setattr(codes, "_exact", lambda places, query: (scored.append(len(places)), exact(places, query))[1])
    monkeypatch.setattr(scan, "search", None)  # nothing is left to it
    codes.search(torch.from_numpy(clustered(20, size=64, seed=1)), 10)
    assert max(scored) < 1000


def test_more_rows_than_there_are_and_many_queries() -> None:
    matrix = clustered(70)
    assert sorted(CodedRows(ResidentRows(matrix)).search(torch.from_numpy(matrix[:1]), 100).places[0].tolist()) == list(
        range(70)
    )
    assert CodedRows(ResidentRows(matrix)).search(torch.from_numpy(clustered(600)), 3).places.shape == (600, 3)


def test_whether_it_is_quicker_here_is_found_once() -> None:
    assert coded.quick() in (True, False)
    assert coded.quick.cache_info().currsize == 1
