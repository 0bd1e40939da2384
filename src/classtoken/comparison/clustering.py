"""Do k-means clusters of the vectors agree with the labels?"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from classtoken.comparison.columns import clusters_of, units_of
from classtoken.comparison.task import Choices, Judged, JudgedTask
from classtoken.comparison.transform import unit_rows, whitened
from classtoken.errors import OptionError
from classtoken.measure.scores import v_measure_items
from classtoken.results.base import counted
from classtoken.values import Record, Rejected

FEWEST = 4


class Clustering(JudgedTask):
    """V-measure of k-means with as many clusters as there are labels, on vectors of unit length."""

    name, metric = "clustering", "v_measure"
    deviation, assumed = 0.3, "an item's contributions to two candidates differ with a standard deviation of 0.3"

    def __init__(self, records: Sequence[Record], choices: Choices, refused: tuple[Rejected, ...] = ()):
        self.choices = choices
        self.records = tuple(record for record in records if isinstance(record.label, str))
        lost = [record for record in records if not isinstance(record.label, str)]
        self.refused = (
            *refused,
            *(Rejected(r.id, "has no label" if r.label is None else "has several labels") for r in lost),
        )
        self.labels = tuple(sorted({str(record.label) for record in self.records}))
        if len(self.records) < FEWEST or not 1 < len(self.labels) < len(self.records):
            raise OptionError(
                f"{counted(len(self.records), 'record')} with {counted(len(self.labels), 'label')} cannot be "
                f"compared by clusters; {FEWEST} "
                "records with two labels or more are needed, and some label twice."
            )
        number = {name: i for i, name in enumerate(self.labels)}
        self.truth = np.array([number[str(record.label)] for record in self.records])
        names, self.clusters = clusters_of(self.records, choices.cluster, choices.called, choices.group)
        self.units = units_of(names)

    @property
    def items(self) -> tuple[str, ...]:
        return tuple(record.id for record in self.records)

    def settings(self) -> dict[str, str]:
        return {
            "judged": f"{len(self.records)} records with {len(self.labels)} labels; nothing is learned",
            "v_measure": f"k-means on vectors of unit length, k = {len(self.labels)}, mean of {self.choices.draws} "
            "seeds",
            "seed": str(self.choices.seed),
        }

    def judge(self, vectors: NDArray, *, whiten: bool = False, only: str | None = None) -> Judged:
        x = unit_rows(whitened(vectors, np.arange(len(vectors))) if whiten else vectors)
        found = []
        with threadpool_limits(1):
            for draw in range(self.choices.draws):
                means = KMeans(len(self.labels), n_init=1, random_state=self.choices.seed + draw)
                found.append(v_measure_items(self.truth, means.fit_predict(x)))
        values = [value for value, _ in found]
        items = np.mean([numbers for _, numbers in found], axis=0)
        spread = {"v_measure": (float(np.std(values, ddof=1)) if len(values) > 1 else 0.0, len(values))}
        return Judged({"v_measure": items}, spread)

    def without(self, bad: Mapping[int, Rejected]) -> "Clustering":
        kept = [record for row, record in enumerate(self.records) if row not in bad]
        return Clustering(kept, self.choices, (*self.refused, *bad.values()))
