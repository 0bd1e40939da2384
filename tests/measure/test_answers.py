"""Answers beside labels: every figure counted again with scikit-learn, and the errors that a person should look at."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from classtoken.measure.answers import MISTAKES, AnsweredRecord, JudgedAnswers

NAMES = ("ant", "bee", "cat")


def filled(n: int = 300, seed: int = 0) -> tuple[JudgedAnswers, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    p = random.dirichlet([1, 1, 1], n)
    truth = np.where(random.random(n) < 0.6, p.argmax(1), random.integers(0, 3, n))
    answers = JudgedAnswers(NAMES)
    for i in range(n):
        answers.count(AnsweredRecord(str(i), NAMES[truth[i]], p[i]))
    return answers, truth, p


def test_figures_are_scikit_learns() -> None:
    answers, truth, p = filled()
    precision, recall, f1, records = precision_recall_fscore_support(truth, p.argmax(1), labels=[0, 1, 2])
    rows = list(answers.label_figures())
    assert [row.records for row in rows] == records.tolist()
    for got, expected in (("precision", precision), ("recall", recall), ("f1", f1)):
        assert [getattr(row, got) for row in rows] == pytest.approx(expected.tolist())
    counted = confusion_matrix(truth, p.argmax(1))
    pairs = {(c.label, c.prediction): c.records for c in answers.confusions}
    assert pairs == {(NAMES[i], NAMES[j]): counted[i, j] for i in range(3) for j in range(3) if i != j}
    assert [c.records for c in answers.confusions] == sorted(pairs.values(), reverse=True)
    assert answers.accuracy == np.mean(truth == p.argmax(1))
    assert sum(at.count for at in answers.sureness) == 300
    assert sum(at.count * at.accuracy for at in answers.sureness) == pytest.approx(answers.right)


def test_the_surest_errors_are_kept_surest_first() -> None:
    answers, truth, p = filled()
    wrong = [i for i in range(300) if truth[i] != p[i].argmax()]
    surest = sorted(wrong, key=lambda i: -p[i].max())[:MISTAKES]
    assert [m.id for m in answers.mistakes] == [str(i) for i in surest]
    first = answers.mistakes[0]
    assert (first.label, first.prediction) == (NAMES[truth[surest[0]]], NAMES[p[surest[0]].argmax()])
    assert first.of_label == pytest.approx(p[surest[0], truth[surest[0]]], abs=1e-6)


def test_labels_that_the_model_lacks_count_and_are_named() -> None:
    answers = JudgedAnswers(NAMES)
    answers.count(AnsweredRecord("0", "dog", np.array([0.1, 0.2, 0.7])))
    answers.count(AnsweredRecord("1", None, np.array([0.1, 0.2, 0.7])))
    assert (answers.judged, answers.accuracy, answers.unknown) == (1, 0.0, ("dog",))
    assert answers.mistakes[0].of_label is None
    assert [row.label for row in answers.label_figures()] == [*NAMES, "dog"]


def test_several_labels_a_record() -> None:
    answers = JudgedAnswers(NAMES, multilabel=True)
    answers.count(AnsweredRecord("0", "ant|bee", np.array([0.9, 0.8, 0.1])))
    answers.count(AnsweredRecord("1", "ant", np.array([0.9, 0.8, 0.1])))
    answers.count(AnsweredRecord("2", "", np.array([0.1, 0.2, 0.1])))
    assert (answers.right, answers.judged) == (2, 3)
    assert answers.label_accuracy == pytest.approx(8 / 9)
    assert answers.confusions == ()
    assert [(m.id, m.label, m.prediction, m.probability) for m in answers.mistakes] == [("1", "ant", "ant|bee", 0.8)]


def test_groups_give_no_interval() -> None:
    alone, grouped = JudgedAnswers(NAMES), JudgedAnswers(NAMES)
    for i in range(20):
        alone.count(AnsweredRecord(str(i), "ant", np.array([0.6, 0.3, 0.1])))
        grouped.count(AnsweredRecord(str(i), "ant", np.array([0.6, 0.3, 0.1]), group="g"))
    assert alone.interval is not None
    assert alone.interval.low == pytest.approx(0.8316, abs=1e-4)
    assert grouped.interval is None


def test_labels_that_the_model_lacks_make_no_decision_of_its_own_wrong() -> None:
    answers = JudgedAnswers(NAMES, multilabel=True)
    answers.count(AnsweredRecord("0", "dog|fox|owl|emu|ant", np.array([0.9, 0.2, 0.1])))
    assert (answers.right, answers.unknown) == (0, ("dog", "emu", "fox", "owl"))
    assert answers.label_accuracy == 1
