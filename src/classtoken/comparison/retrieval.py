"""Which documents answer a query: by judgements (qrels), or with every item a query for the others of its class."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from classtoken.comparison.columns import clusters_of, units_of
from classtoken.comparison.task import Choices, Judged, JudgedTask, Rows
from classtoken.comparison.transform import unit_rows, whitened
from classtoken.errors import OptionError
from classtoken.measure.scores import ranking_items
from classtoken.values import Record, Rejected

METRICS = ("ndcg@10", "mrr@10", "recall@1", "recall@10", "map")
BLOCK = 512
FEWEST = 4


class Retrieval(JudgedTask):
    """nDCG@10 (which ranks), MRR@10, recall and mAP of the order by cosine; nothing is learned."""

    name, metric = "retrieval", "ndcg@10"
    deviation, assumed = 0.3, "a query's nDCG differs between two candidates with a standard deviation of 0.3"

    documents: Sequence[Record]
    queries: Sequence[Record]
    same: bool
    """every document is a query too, and no query finds itself"""

    def settings(self) -> dict[str, str]:
        return {
            "judged": f"{len(self.items)} queries against {len(self.documents)} documents"
            + (" (all the others)" if self.same else ""),
            "relevant": self.relevant_in_words(),
            "ndcg@10": "gain / log2(rank + 1) over that of the best order",
            "map": "over the whole ranking",
            "whitening": "with the documents' vectors",
        }

    @abstractmethod
    def relevant_in_words(self) -> str:
        """What counts as relevant."""

    @abstractmethod
    def relevance(self, rows: Rows) -> NDArray:
        """The relevance of every document for some queries, (q, D)."""

    def judge(self, vectors: NDArray, *, whiten: bool = False, only: str | None = None) -> Judged:
        documents, queries = self.rows()
        x = unit_rows(whitened(vectors, documents) if whiten else vectors)
        found: dict[str, list[NDArray]] = {name: [] for name in METRICS}
        for begin in range(0, len(queries), BLOCK):
            rows = np.arange(begin, min(begin + BLOCK, len(queries)))
            cosines, gains = x[queries[rows]] @ x[documents].T, self.relevance(rows)
            if self.same:
                cosines[np.arange(len(rows)), rows], gains[np.arange(len(rows)), rows] = -np.inf, 0
            ranked = np.take_along_axis(gains, np.argsort(-cosines, axis=1, kind="stable"), 1)
            items = ranking_items(ranked, (gains > 0).sum(1), -np.sort(-gains, axis=1))
            for name, values in items.items():
                found[name].append(values)
        return Judged({name: np.concatenate(parts) for name, parts in found.items() if only in (None, name)})

    def rows(self) -> tuple[Rows, Rows]:
        """Rows of `records` that are documents, and those that are queries."""
        documents = np.arange(len(self.documents))
        return documents, documents if self.same else len(documents) + np.arange(len(self.queries))


class RetrievalByClass(Retrieval):
    """Every item is a query; the others of its class are relevant."""

    same = True

    def __init__(self, records: Sequence[Record], choices: Choices, refused: tuple[Rejected, ...] = ()):
        self.choices, lost = choices, list(refused)
        counts: dict[object, int] = {}
        for record in records:
            counts[record.label] = counts.get(record.label, 0) + 1
        kept = []
        for record in records:
            if not isinstance(record.label, str):
                lost.append(Rejected(record.id, "has no label" if record.label is None else "has several labels"))
            elif counts[record.label] < 2:
                lost.append(Rejected(record.id, f"is the only one of its class '{record.label}': nothing is relevant"))
            else:
                kept.append(record)
        if len(kept) < FEWEST or len({record.label for record in kept}) < 2:
            raise OptionError(
                f"{len(kept)} records are left whose class has another record; {FEWEST} of two classes are needed."
            )
        self.records = self.documents = self.queries = tuple(kept)
        self.refused = tuple(lost)
        labels = {label: number for number, label in enumerate(dict.fromkeys(record.label for record in kept))}
        self.numbers = np.array([labels[record.label] for record in kept])
        names, self.clusters = clusters_of(kept, choices.cluster, choices.called, choices.group)
        self.units = units_of(names)

    @property
    def items(self) -> tuple[str, ...]:
        return tuple(record.id for record in self.records)

    def relevant_in_words(self) -> str:
        return "items of the query's class"

    def relevance(self, rows: Rows) -> NDArray:
        return (self.numbers[rows][:, None] == self.numbers).astype(np.float64)

    def without(self, bad: Mapping[int, Rejected]) -> "RetrievalByClass":
        kept = [record for row, record in enumerate(self.records) if row not in bad]
        return RetrievalByClass(kept, self.choices, (*self.refused, *bad.values()))

    def partners(self) -> tuple[Rows, Rows] | None:
        order = np.argsort(self.numbers, kind="stable")
        same = self.numbers[order[:-1]] == self.numbers[order[1:]]
        return order[:-1][same], order[1:][same]


class RetrievalByJudgements(Retrieval):
    """Queries of their own, and which documents are relevant for each, by id."""

    same = False

    def __init__(
        self,
        documents: Sequence[Record],
        queries: Sequence[Record],
        judgements: Mapping[str, Mapping[str, float]],
        choices: Choices,
        refused: tuple[Rejected, ...] = (),
    ):
        self.choices, self.judgements = choices, judgements
        self.documents = tuple(documents)
        self.place = {record.id: row for row, record in enumerate(self.documents)}
        known = {record.id for record in queries}
        lost = list(refused)
        for query in sorted(judgements.keys() - known - {entry.id for entry in lost}):
            lost.append(Rejected(query, "is judged, and is no query that was given"))
        kept = []
        for record in queries:
            relevant = {name for name, value in judgements.get(record.id, {}).items() if value > 0}
            if relevant & self.place.keys():
                kept.append(record)
            elif record.id not in judgements:
                lost.append(Rejected(record.id, "has no judgement"))
            else:
                why = "none of the documents that it names is there" if relevant else "no document is relevant for it"
                lost.append(Rejected(record.id, why))
        named = {name for given in judgements.values() for name in given}
        known = self.place.keys() | {entry.id for entry in lost}
        lost += [Rejected(name, "is judged, and is no document that was given") for name in sorted(named - known)]
        if not any(value > 0 for given in judgements.values() for value in given.values()):
            raise OptionError("no judgement says that a document is relevant (above 0); nothing can be found.")
        if not kept:
            asked = {record.id for record in queries}
            what, ours, theirs = "documents", sorted(named), list(self.place)
            if not asked & judgements.keys():
                what, ours, theirs = "queries", sorted(judgements), sorted(asked)
            raise OptionError(
                f"none of {len(queries)} queries has a relevant document among {len(self.documents)}: ids of the "
                f"judgements (such as {', '.join(map(repr, ours[:2]))}) and of {what} (such as "
                f"{', '.join(map(repr, theirs[:2]))}) do not fit."
            )
        self.queries, self.refused = tuple(kept), tuple(lost)
        self.records = (*self.documents, *self.queries)
        names, self.clusters = clusters_of(kept, choices.cluster, choices.called, choices.group)
        self.units = units_of(names)

    @property
    def items(self) -> tuple[str, ...]:
        return tuple(record.id for record in self.queries)

    def relevant_in_words(self) -> str:
        return "by judgements; documents that are not there do not count"

    def relevance(self, rows: Rows) -> NDArray:
        found = np.zeros((len(rows), len(self.documents)))
        for line, row in enumerate(rows.tolist()):
            for name, value in self.judgements[self.queries[row].id].items():
                if name in self.place:
                    found[line, self.place[name]] = max(value, 0)
        return found

    def answers(self) -> object:
        return self.judgements

    def without(self, bad: Mapping[int, Rejected]) -> "RetrievalByJudgements":
        count = len(self.documents)
        documents = [record for row, record in enumerate(self.documents) if row not in bad]
        queries = [record for row, record in enumerate(self.queries) if count + row not in bad]
        refused = (*self.refused, *bad.values())
        return RetrievalByJudgements(documents, queries, self.judgements, self.choices, refused)

    def partners(self) -> tuple[Rows, Rows] | None:
        _, queries = self.rows()
        best = [max(self.judgements[q.id].items(), key=lambda t: (t[0] in self.place, t[1]))[0] for q in self.queries]
        return queries, np.array([self.place[name] for name in best])
