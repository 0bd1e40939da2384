"""Odd data: what cannot be judged is named, and nothing is dropped in silence."""

from pathlib import Path

import numpy as np
import pytest

import classtoken as ct
from classtoken.comparison.classification import Classification
from classtoken.comparison.compared import apart
from classtoken.comparison.contest import Entrant
from classtoken.comparison.retrieval import RetrievalByJudgements
from classtoken.comparison.task import Choices, Judged
from classtoken.errors import OptionError
from classtoken.results.compare import BEST_LAYER, Cost
from classtoken.values import Record

N = 40


def table(path: Path, labels: list[str]) -> Path:
    rows = [f"text {n},{label}" for n, label in enumerate(labels)]
    path.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def vectors() -> np.ndarray:
    found = np.random.default_rng(0).normal(size=(N, 6)).astype(np.float32)
    found[:, 0] += 2 * (np.arange(N) % 2)
    return found


def test_rows_may_be_those_of_all_records_that_were_read(tmp_path: Path, vectors: np.ndarray) -> None:
    """A stored row of a record without a label is left out with it, and no row moves to another record."""
    labels = ["ab"[n % 2] if n % 5 else "" for n in range(N)]
    np.save(tmp_path / "all.npy", vectors)
    some = [n for n in range(N) if n % 5]
    np.save(tmp_path / "some.npy", vectors[some])
    source = table(tmp_path / "missing.csv", labels)
    found = ct.compare(None, source, vectors=[str(tmp_path / "all.npy"), str(tmp_path / "some.npy")], draws=2)
    first, second = found.candidates
    assert first.metrics == second.metrics
    assert found.items == len(some)
    assert {one.id for one in found.refused} == {str(n) for n in range(0, N, 5)}
    assert "8 items (0, 5, 10, 15, 20 and 3 others): has no label" in str(found)
    np.save(tmp_path / "few.npy", vectors[:7])
    with pytest.raises(OptionError, match=r"32 records \(8 more were read and are left out\); give a row for each"):
        ct.compare(None, source, vectors=[str(tmp_path / "few.npy")])


def test_records_whose_vector_is_not_finite_are_named(tmp_path: Path, vectors: np.ndarray) -> None:
    np.save(tmp_path / "good.npy", vectors)
    vectors[3, 2], vectors[7, 1] = np.nan, np.inf
    np.save(tmp_path / "bad.npy", vectors)
    source = table(tmp_path / "ok.csv", ["ab"[n % 2] for n in range(N)])
    found = ct.compare(None, source, vectors=[str(tmp_path / "good.npy"), str(tmp_path / "bad.npy")], draws=2)
    assert found.left_out == {"bad": "2 of 40 vectors hold numbers that are not finite (3, 7)"}
    assert "the only candidate:" in str(found)


def test_labels_that_cannot_be_judged_are_named(tmp_path: Path, vectors: np.ndarray) -> None:
    np.save(tmp_path / "v.npy", vectors)
    labels = ["|".join(["a", "b", "c"][: 1 + n % 3] + ["rare"] * (n < 3)) for n in range(N)]
    found = ct.compare(None, table(tmp_path / "multi.csv", labels), vectors=[str(tmp_path / "v.npy")])
    (note,) = found.notes
    assert note.startswith("2 labels cannot be judged")
    assert note.endswith("a (40 of 40), rare (3 of 40).")
    assert set(found.best.per_class) == {"b", "c"}


def test_an_interval_stays_where_the_metric_can_be(tmp_path: Path, vectors: np.ndarray) -> None:
    np.save(tmp_path / "v.npy", vectors)
    source = table(tmp_path / "ok.csv", ["ab"[n % 2] for n in range(N)])
    found = ct.compare(None, source, task="clustering", vectors=[str(tmp_path / "v.npy")], draws=2)
    assert found.best.metrics["v_measure"].low >= 0


def test_a_best_layer_that_gives_the_same_as_the_last_is_no_second_candidate() -> None:
    def entrant(name: str, values: list[float]) -> Entrant:
        return Entrant(name, "m", "mean", Judged({"accuracy": np.array(values)}), Cost(4, 16))

    plain = [entrant("mean", [1, 0, 1]), entrant("cls", [1, 1, 1])]
    chosen = [entrant(f"mean{BEST_LAYER}", [1, 0, 1]), entrant(f"cls{BEST_LAYER}", [1, 0, 1])]
    fresh, same = apart(chosen, plain, "accuracy")
    assert [one.name for one in fresh] == [f"cls{BEST_LAYER}"]
    assert same == {f"mean{BEST_LAYER}": "it gives on every item what mean gives"}


def test_what_does_not_fit_is_named() -> None:
    """Of judgements the side whose ids are unknown; of a table without labels the columns that there are."""
    documents = [Record(f"d{i}", text=f"document {i}") for i in range(6)]
    queries = [Record(f"q{i}", text=f"query {i}") for i in range(4)]
    for judged, said in (
        ({"zz": {"d1": 1.0}}, r"judgements \(such as 'zz'\) and of queries \(such as 'q0', 'q1'\)"),
        ({"q1": {"zz": 1.0}}, r"judgements \(such as 'zz'\) and of documents \(such as 'd0', 'd1'\)"),
    ):
        with pytest.raises(OptionError, match=said):
            RetrievalByJudgements(documents, queries, judged, Choices())
    records = [Record(str(i), text=f"text {i}", meta={"Team": "a"}) for i in range(6)]
    with pytest.raises(
        OptionError, match=r"None has a label: name the column .* Besides what is read there are 'Team'"
    ):
        Classification(records, None, Choices())


def test_a_candidate_that_says_next_to_nothing_spoils_no_other(tmp_path: Path, vectors: np.ndarray) -> None:
    """Vectors of which all but a few are zeros, and very small ones: no figure is NaN, and no comparison ends."""
    few = np.zeros((N, 6), dtype=np.float32)
    np.save(tmp_path / "good.npy", vectors)
    np.save(tmp_path / "small.npy", vectors * np.float32(1e-30))
    for name, rows in (("one", [3]), ("three", [3, 4, 9])):
        few[rows] = np.arange(6)[rows.index(rows[-1])] + 1.0
        np.save(tmp_path / f"{name}.npy", few)
    source = table(tmp_path / "ok.csv", ["ab"[n % 2] for n in range(N)])
    names = ("good", "small", "one", "three")
    paths = [str(tmp_path / f"{name}.npy") for name in names]
    found = ct.compare(None, source, tmp_path / "report.html", vectors=paths, draws=2)
    assert {one.name for one in found.candidates} == set(names)
    assert "NaN" not in found.to_json()
    assert found.alike["good"]["small"] == pytest.approx(1)
    assert "one" not in found.alike
    shaped = {one.name: one.shape for one in found.candidates}
    assert shaped["one"] is None
    assert shaped["small"].effective_rank == pytest.approx(shaped["good"].effective_rank, rel=1e-3)


def test_copies_are_told_with_what_to_do(tmp_path: Path, vectors: np.ndarray) -> None:
    rows = [f"text {n % 8},{'ab'[n % 2]}" for n in range(N)]
    (tmp_path / "copies.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    np.save(tmp_path / "v.npy", vectors[np.arange(N) % 8])
    paths = [str(tmp_path / "v.npy")]
    (note,) = ct.compare(None, tmp_path / "copies.csv", vectors=paths, draws=2).notes
    assert note.endswith("Clusters by 'text' would keep equal ones together, and count them once.")
    found = ct.compare(None, tmp_path / "copies.csv", vectors=paths, draws=2, cluster="text")
    assert found.units == 8
    assert not any("equal to one that was learned from" in note for note in found.notes)
