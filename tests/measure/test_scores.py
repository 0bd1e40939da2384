"""Metrics as one number an item, against scikit-learn, scipy and hand-written loops."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from classtoken.errors import OptionError
from classtoken.measure import scores


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(3)


def leaving_out(metric, *arrays) -> list[float]:  # type: ignore[no-untyped-def]
    """The metric without each item, by the plainest loop."""
    return [metric(*(np.delete(a, i, 0) for a in arrays)) for i in range(len(arrays[0]))]


def test_pearson_and_spearman_are_scipys_and_their_items_the_jackknifes(generator: np.random.Generator) -> None:
    x = generator.normal(size=60).round(1)  # with ties
    y = (x + generator.normal(size=60)).round(1)
    for ours, theirs in ((scores.pearson, stats.pearsonr), (scores.spearman_items, stats.spearmanr)):
        value, items = ours(x, y)
        assert value == pytest.approx(theirs(x, y).statistic, abs=1e-12)
        assert items == pytest.approx(
            scores.pseudo_values(value, leaving_out(lambda a, b, f=theirs: f(a, b).statistic, x, y)), abs=1e-9
        )
        assert items.mean() == pytest.approx(value, abs=1e-12)


def test_a_correlation_of_a_constant_is_refused() -> None:
    with pytest.raises(OptionError, match="all numbers of one side are 2"):
        scores.spearman_items([1, 2, 3, 4], [2, 2, 2, 2])


def test_average_precision_is_scikit_learns_and_its_items_the_jackknifes(generator: np.random.Generator) -> None:
    s, t = generator.normal(size=50), generator.random(50) < 0.3
    value, items = scores.precision_items(s, t)
    assert value == pytest.approx(metrics.average_precision_score(t, s), abs=1e-12)
    expected = scores.pseudo_values(value, leaving_out(lambda a, b: metrics.average_precision_score(b, a), s, t))
    assert items == pytest.approx(expected, abs=1e-9)
    tied = scores.precision_items(s.round(0), t)
    assert tied[0] == pytest.approx(metrics.average_precision_score(t, s.round(0)), abs=1e-12)
    assert tied[1].mean() == pytest.approx(tied[0], abs=1e-12)


def test_f1_and_intersection_over_union_are_scikit_learns(generator: np.random.Generator) -> None:
    truth, predicted = generator.random((40, 5)) < 0.3, generator.random((40, 5)) < 0.4
    counted = scores.f1_counts(predicted, truth)
    for ours, average in ((scores.micro_f1, "micro"), (scores.macro_f1, "macro")):
        value, items = scores.of_counts(counted, ours)
        assert value == pytest.approx(metrics.f1_score(truth, predicted, average=average, zero_division=0), abs=1e-12)
        assert items.mean() == pytest.approx(value, abs=1e-12)
    value, _ = scores.of_counts(counted, scores.mean_iou)
    assert value == pytest.approx(metrics.jaccard_score(truth, predicted, average="macro"), abs=1e-12)


def test_a_label_that_is_nowhere_does_not_count(generator: np.random.Generator) -> None:
    truth, predicted = generator.integers(0, 3, 40), generator.integers(0, 4, 40)
    one_hot = np.eye(7, dtype=bool)
    for given in (predicted, truth):
        value, items = scores.of_counts(scores.f1_counts(one_hot[given], one_hot[truth]), scores.macro_f1)
        assert value == pytest.approx(metrics.f1_score(truth, given, average="macro", zero_division=0), abs=1e-12)
        assert items.mean() == pytest.approx(value, abs=1e-12)


def test_v_measure_is_scikit_learns_and_its_items_the_jackknifes(generator: np.random.Generator) -> None:
    truth = generator.integers(0, 4, 60)
    found = np.where(generator.random(60) < 0.6, truth, generator.integers(0, 5, 60))
    value, items = scores.v_measure_items(truth, found)
    assert value == pytest.approx(metrics.v_measure_score(truth, found), abs=1e-12)
    expected = scores.pseudo_values(value, leaving_out(metrics.v_measure_score, truth, found))
    assert items == pytest.approx(expected, abs=1e-9)


def test_rankings_against_hand_written_loops(generator: np.random.Generator) -> None:
    relevance = (generator.random((12, 30)) < 0.15) * generator.integers(1, 4, (12, 30))
    relevance[0] = 0  # a query with nothing relevant
    ideal = -np.sort(-relevance, axis=1)
    found = scores.ranking_items(relevance, (relevance > 0).sum(1), ideal)
    for q, row in enumerate(relevance):
        gain = sum(r / np.log2(i + 2) for i, r in enumerate(row[:10]))
        best = sum(r / np.log2(i + 2) for i, r in enumerate(sorted(row, reverse=True)[:10]))
        assert found["ndcg@10"][q] == pytest.approx(gain / best if best else 0, abs=1e-12)
        hits = [i for i, r in enumerate(row) if r > 0]
        assert found["mrr@10"][q] == pytest.approx(1 / (hits[0] + 1) if hits and hits[0] < 10 else 0, abs=1e-12)
        assert found["recall@10"][q] == pytest.approx(sum(i < 10 for i in hits) / len(hits) if hits else 0, abs=1e-12)
        precision = sum((n + 1) / (i + 1) for n, i in enumerate(hits)) / len(hits) if hits else 0
        assert found["map"][q] == pytest.approx(precision, abs=1e-12)
    assert found["ndcg@10"][1:].mean() == pytest.approx(
        metrics.ndcg_score(relevance[1:], np.tile(-np.arange(30), (11, 1)), k=10), abs=1e-12
    )
