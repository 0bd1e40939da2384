"""Every task on vectors of known making, against scikit-learn, scipy and sentence-transformers."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from classtoken.comparison.classification import Classification
from classtoken.comparison.clustering import Clustering
from classtoken.comparison.multilabel import MultiLabel
from classtoken.comparison.probes import nearest_neighbours
from classtoken.comparison.retrieval import RetrievalByClass, RetrievalByJudgements
from classtoken.comparison.similarity import Similarity
from classtoken.comparison.task import Choices
from classtoken.comparison.transform import whitened
from classtoken.errors import OptionError
from classtoken.source.judged import Pair
from classtoken.values import Record

CHOICES = Choices(draws=3, shots=3)


def labelled(n: int = 60, classes: int = 3, *, seed: int = 0, scale: float = 1.0) -> tuple[list[Record], np.ndarray]:
    """Records of classes in turn, and vectors about a centre a class."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(classes, 8)) * scale
    records = [Record(f"r{i}", text=f"text {i}", label=f"c{i % classes}") for i in range(n)]
    return records, centres[np.arange(n) % classes] + generator.normal(size=(n, 8))


def test_every_record_is_judged_once_by_what_was_learned_without_it() -> None:
    records, x = labelled()
    task = Classification(records, None, CHOICES)
    assert sorted(task.split.judged.tolist()) == list(range(60))
    assert all(not set(learned) & set(judged) for learned, judged in task.split.parts)
    judged = task.judge(x)
    assert set(judged.values) == {"accuracy", "macro_f1", "knn_accuracy", "few_shot_accuracy"}
    assert all(len(values) == 60 for values in judged.values.values())
    predicted = judged.predicted
    assert predicted is not None
    assert judged.values["accuracy"].mean() == pytest.approx(metrics.accuracy_score(task.truth, predicted))
    assert judged.values["macro_f1"].mean() == pytest.approx(metrics.f1_score(task.truth, predicted, average="macro"))
    assert judged.values["accuracy"].mean() > 0.6


def test_a_given_test_part_is_judged_by_a_regression_that_is_scikit_learns() -> None:
    learned, x = labelled(90)
    test, y = labelled(40, seed=1)
    task = Classification(learned, test, CHOICES)
    judged = task.judge(np.concatenate([x, y]))
    scaler = StandardScaler().fit(x)
    c = float(judged.setting.removeprefix("C = "))
    model = LogisticRegression(C=c, max_iter=5000, tol=1e-8).fit(scaler.transform(x), task.targets[:90])
    assert judged.values["accuracy"].mean() == pytest.approx(model.score(scaler.transform(y), task.truth), abs=1e-6)


def test_what_is_judged_never_chooses_a_setting() -> None:
    """Labels of judged items may be anything: the settings and the fitted classes stay what they were."""
    learned, x = labelled(90)
    test, y = labelled(40, seed=1)
    wrong = [Record(r.id, text=r.text, label=f"c{(i + 1) % 3}") for i, r in enumerate(test)]
    both = np.concatenate([x, y])
    right, turned = (Classification(learned, part, CHOICES).judge(both) for part in (test, wrong))
    assert right.setting == turned.setting
    assert np.array_equal(right.predicted, turned.predicted)  # type: ignore[arg-type]


def test_nearest_neighbours_are_dinos() -> None:
    _, x = labelled(50)
    targets = np.arange(50) % 3
    query = np.random.default_rng(5).normal(size=(7, 8))
    votes = nearest_neighbours(x, targets, query, 3)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    for q, row in zip(query, votes, strict=True):
        cosine = unit @ (q / np.linalg.norm(q))
        nearest = np.argsort(-cosine)[:20]
        by_hand = [np.exp(cosine[[i for i in nearest if targets[i] == c]] / 0.07).sum() for c in range(3)]
        assert row == pytest.approx(by_hand, rel=1e-9)


def test_clusters_stay_whole() -> None:
    records, x = labelled(60)
    grouped = [Record(r.id, text=r.text, label=r.label, group=f"g{i // 6}") for i, r in enumerate(records)]
    task = Classification(grouped, None, CHOICES)
    assert task.units.count == 10
    assert "group" in task.clusters
    for learned, judged in task.split.parts:
        assert not {i // 6 for i in learned} & {i // 6 for i in judged}
    assert len(task.judge(x).values["accuracy"]) == 60
    with pytest.raises(OptionError, match="no record has anything in the column 'product'"):
        Classification(records, None, Choices(cluster="product"))


def test_what_does_not_count_is_named() -> None:
    records, _ = labelled(30)
    odd = [*records, Record("alone", text="x", label="rare"), Record("none", text="y"), Record("two", label=("a", "b"))]
    task = Classification(odd, None, CHOICES)
    assert {entry.id: entry.reason for entry in task.refused} == {
        "alone": "is the only one of its class 'rare': it cannot be learned and judged",
        "none": "has no label",
        "two": "has several labels",
    }
    with pytest.raises(OptionError, match=r"0 records with 0 labels .*are left"):
        Classification([records[0], Record("none")], None, CHOICES)
    with pytest.raises(OptionError, match="no labelled record of the test part"):
        Classification(records, [Record("none")], CHOICES)


def test_several_labels_are_judged_label_by_label() -> None:
    generator = np.random.default_rng(0)
    truth = generator.random((80, 4)) < [0.5, 0.4, 0.3, 0.03]
    x = truth @ generator.normal(size=(4, 8)) * 2 + generator.normal(size=(80, 8))
    records = [Record(f"r{i}", label=tuple(f"l{c}" for c in np.flatnonzero(row))) for i, row in enumerate(truth)]
    task = MultiLabel(records, None, CHOICES)
    assert [task.labels[c] for c in task.counted] == ["l0", "l1", "l2"]
    judged = task.judge(x)
    assert judged.values["map"].mean() == pytest.approx(np.mean(list(judged.per_class.values())))
    assert judged.values["map"].mean() > 0.6
    scores = generator.normal(size=(80, 3))
    values, per_class = task.of_scores(scores)
    ranked = task.aligned(scores)
    expected = metrics.average_precision_score(task.truth[:, :3], ranked, average="macro")
    assert values["map"].mean() == pytest.approx(expected, abs=1e-9)
    assert per_class["l0"] == pytest.approx(metrics.average_precision_score(task.truth[:, 0], ranked[:, 0]))
    assert values["micro_f1"].mean() == pytest.approx(
        metrics.f1_score(task.truth[:, :3], scores > 0, average="micro", zero_division=0), abs=1e-9
    )
    with pytest.raises(OptionError, match="no label is on 10 judged items"):
        MultiLabel(records[:12], None, CHOICES)


def pairs(n: int = 40) -> tuple[list[Pair], np.ndarray]:
    generator = np.random.default_rng(0)
    made = [Pair(str(i), f"left {i}", f"right {i}", float(generator.integers(0, 6))) for i in range(n)]
    left, noise = generator.normal(size=(n, 16)), generator.normal(size=(n, 16))
    weight = np.array([p.score for p in made])[:, None] / 5
    x = np.empty((2 * n, 16))
    x[0::2], x[1::2] = left, weight * left + (1.1 - weight) * noise
    return made, x


def test_similarity_is_scipys_and_sentence_transformers() -> None:
    made, x = pairs()
    task = Similarity(made, CHOICES)
    assert task.units.alone
    judged = task.judge(x)
    cosines = [np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(x[0::2], x[1::2], strict=True)]
    assert judged.values["spearman"].mean() == pytest.approx(stats.spearmanr(cosines, task.scores).statistic, abs=1e-9)
    assert judged.values["pearson"].mean() == pytest.approx(stats.pearsonr(cosines, task.scores).statistic, abs=1e-9)
    white = whitened(x, np.arange(len(x)))
    assert np.cov(white.T) == pytest.approx(np.eye(16), abs=0.15)
    sharing = [*made, Pair("again", "left 0", "left 1", 2.0)]
    clustered = Similarity(sharing, CHOICES)
    assert clustered.units.count == 39  # pairs 0 and 1 and the new one hang together
    assert clustered.clusters == "pairs that share a text"


def test_pairs_that_cannot_be_judged_are_refused() -> None:
    made, _ = pairs()
    with pytest.raises(OptionError, match="4 pairs or more"):
        Similarity(made[:2], CHOICES)
    with pytest.raises(OptionError, match="all pairs have the score 1"):
        Similarity([Pair(p.id, p.left, p.right, 1.0) for p in made], CHOICES)
    with pytest.raises(OptionError, match="the score of pair 'n' is nan"):
        Similarity([*made, Pair("n", "a", "b", float("nan"))], CHOICES)


def test_retrieval_by_class_does_not_find_the_query_itself() -> None:
    records, x = labelled(40, 4)
    task = RetrievalByClass(records, CHOICES)
    judged = task.judge(x)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosine = unit @ unit.T
    for q in range(40):
        others = [i for i in np.argsort(-cosine[q], kind="stable") if i != q]
        hits = [i % 4 == q % 4 for i in others]
        precision = sum((n + 1) / (r + 1) for n, r in enumerate(np.flatnonzero(hits))) / sum(hits)
        assert judged.values["map"][q] == pytest.approx(precision)
        best = sum(1 / np.log2(i + 2) for i in range(min(10, sum(hits))))
        gain = sum(h / np.log2(i + 2) for i, h in enumerate(hits[:10]))
        assert judged.values["ndcg@10"][q] == pytest.approx(gain / best)


def test_judgements_of_unknown_ids_are_named() -> None:
    documents = [Record(f"d{i}", text="d") for i in range(30)]
    queries = [Record(f"q{i}", text="q") for i in range(6)]
    judged = {f"q{i}": {f"d{i}": 1.0, "d29": 0.0} for i in range(4)}
    judged |= {"q4": {"elsewhere": 1.0}, "lost": {"d1": 1.0}}
    task = RetrievalByJudgements(documents, queries, judged, CHOICES)
    assert task.items == ("q0", "q1", "q2", "q3")
    assert {entry.id: entry.reason for entry in task.refused} == {
        "q4": "none of the documents that it names is there",
        "q5": "has no judgement",
        "lost": "is judged, and is no query that was given",
        "elsewhere": "is judged, and is no document that was given",
    }
    whole = RetrievalByJudgements(documents, queries[:4], {f"q{i}": {f"d{i}": 1.0} for i in range(4)}, CHOICES)
    assert whole.refused == ()
    assert "by judgements" in whole.settings()["relevant"]
    x = np.eye(36)[:, :32] + 0.01
    x[30:34] = x[:4]
    assert task.judge(x).values["mrr@10"].tolist() == [1, 1, 1, 1]
    with pytest.raises(OptionError, match="do not fit"):
        RetrievalByJudgements(documents, queries, {"q0": {"nowhere": 1.0}}, CHOICES)
    with pytest.raises(OptionError, match="no judgement says that a document is relevant"):
        RetrievalByJudgements(documents, queries, {"q0": {"d0": 0.0}}, CHOICES)


def test_clusters_of_vectors_agree_with_labels_where_they_are_apart() -> None:
    records, x = labelled(45, scale=5.0)
    judged = Clustering(records, CHOICES).judge(x)
    assert judged.values["v_measure"].mean() > 0.8
    assert judged.spread["v_measure"][1] == 3
    with pytest.raises(OptionError, match="cannot be compared by clusters"):
        Clustering(records[:2], CHOICES)


@pytest.mark.parametrize("bad", [3, 44])
def test_a_task_without_some_records_judges_the_others(bad: int) -> None:
    records, x = labelled(45)
    for task in (
        Classification(records, None, CHOICES),
        RetrievalByClass(records, CHOICES),
        Clustering(records, CHOICES),
    ):
        left = task.without({bad: task.refused[0] if task.refused else _why()})
        assert len(left.items) == 44
        assert "cannot be read" in left.refused[-1].reason
        place = {id(record): row for row, record in enumerate(task.records)}
        rows = [place[id(record)] for record in left.records]
        assert len(left.judge(x[rows]).values[task.metric]) == 44
    made, _ = pairs()
    left_pairs = Similarity(made, CHOICES).without({5: _why()})
    assert len(left_pairs.items) == 39
    assert len(left_pairs.records) == 78


def _why():  # type: ignore[no-untyped-def]
    from classtoken.values import Rejected

    return Rejected("x", "cannot be read")


@pytest.mark.slow
@pytest.mark.parametrize("count", [60, pytest.param(None, marks=pytest.mark.soak)])
def test_sentence_transformers_evaluators_give_the_same_figures_on_stsb(
    shared: Path, minilm: Path, count: int | None
) -> None:
    """Of a few pairs in every run, of all 1,500 in the soak."""
    st = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator

    import classtoken as ct

    path = shared / "data" / "text" / "stsb" / "dev.csv"
    found = ct.compare(minilm, path, task="similarity", pooling="mean", limit=count)
    from classtoken.source import read_pairs

    some = read_pairs(path)[:count]
    evaluator = EmbeddingSimilarityEvaluator([p.left for p in some], [p.right for p in some], [p.score for p in some])
    theirs = evaluator(st.SentenceTransformer(str(minilm), device="cpu"))
    scores = found.candidates[0].metrics
    assert scores["spearman"].value == pytest.approx(theirs["spearman_cosine"], abs=1e-6)
    assert scores["pearson"].value == pytest.approx(theirs["pearson_cosine"], abs=1e-6)
