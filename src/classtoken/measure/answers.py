"""A classifier's answers beside the labels that records have: counted one by one, whatever their number."""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import count

import numpy as np
from numpy.typing import NDArray

from classtoken.measure.statistics import exact
from classtoken.results.predict import UNLIKE, Confusion, LabelFigures, Mistake, UnsureRecord, Untypical
from classtoken.results.statistics import CalibrationBin, Interval

MISTAKES = 60
"""errors that are kept to be looked at"""
UNSURE = 60
"""records without a label that the model was least sure of, kept likewise"""
STRANGERS = 24
"""records that look like none of the labels, kept likewise"""
BINS = 10
"""of certainty, equally wide"""


@dataclass(frozen=True)
class AnsweredRecord:
    """A record with the probabilities (labels,) that it got; `label` has several joined by `|`, None where unknown."""

    id: str
    label: str | None
    probabilities: NDArray
    group: str | None = None
    shown: str = ""
    typical: float | None = None


@dataclass
class JudgedAnswers:
    """How the answers of a classifier with these labels compare with the labels that records have.

    names: what labels of the records are called by the model, where that is another name. seen: ids of records that the
    model has seen while it was trained, of which its figures say nothing.
    """

    labels: Sequence[str]
    multilabel: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    seen: Set[str] = frozenset()
    judged: int = 0
    right: int = 0
    judged_seen: int = 0
    right_seen: int = 0
    grouped: bool = False
    untypical: int | None = None

    def __post_init__(self) -> None:
        self._truth: Counter[str] = Counter()
        self._predicted: Counter[str] = Counter()
        self._hits: Counter[str] = Counter()
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._agreeing = 0
        self._bins = np.zeros((BINS, 3))
        self._worst: list[tuple[float, int, Mistake]] = []
        self._least: list[tuple[float, int, Untypical]] = []
        self._unsure: list[tuple[float, int, UnsureRecord]] = []
        self._given: Counter[str] = Counter()
        self._order = count()
        self._index = {name: i for i, name in enumerate(self.labels)}

    def chosen(self, probabilities: NDArray) -> tuple[str, ...]:
        """The labels above one half where a record may have several, else the most probable one."""
        if self.multilabel:
            return tuple(name for name, p in zip(self.labels, probabilities, strict=True) if p > 0.5)
        return (self.labels[int(np.argmax(probabilities))],)

    def given(self, label: str) -> tuple[str, ...]:
        """The labels of a record by the model's names."""
        named = filter(None, label.split("|")) if self.multilabel else (label,)
        return tuple(self.names.get(name, name) for name in named)

    def count(self, record: AnsweredRecord) -> None:
        """One more record; only what it looks like is counted of one without a label."""
        if record.typical is not None:
            self._count_typical(record, record.typical)
        chosen = self.chosen(record.probabilities)
        self._given.update(chosen or ("",))
        if record.label is None:
            self._keep_unsure(record, chosen)
            return
        given = self.given(record.label)
        self.judged += 1
        self.grouped |= record.group is not None
        self._truth.update(given)
        self._predicted.update(chosen)
        self._hits.update(set(given) & set(chosen))
        self._agreeing += len(self.labels) - len(set(chosen) ^ (set(given) & self._index.keys()))
        if not self.multilabel:
            self._count_certainty(float(record.probabilities.max()), given == chosen)
        right, seen = set(given) == set(chosen), record.id in self.seen
        self.judged_seen += seen
        self.right_seen += seen and right
        if right:
            self.right += 1
            return
        if not self.multilabel:
            self._pairs[given[0], chosen[0]] += 1
        self._keep(record, given, chosen)

    def _count_typical(self, record: AnsweredRecord, typical: float) -> None:
        self.untypical = (self.untypical or 0) + (typical <= UNLIKE)
        if typical > UNLIKE:
            return
        chosen = "|".join(self.chosen(record.probabilities))
        one = Untypical(record.id, chosen, round(float(record.probabilities.max()), 6), round(typical, 6), record.shown)
        heapq.heappush(self._least, (-typical, -next(self._order), one))
        if len(self._least) > STRANGERS:
            heapq.heappop(self._least)

    def _keep_unsure(self, record: AnsweredRecord, chosen: Sequence[str]) -> None:
        """Keep a record without a label if it is among those that the model is least sure of."""
        p = record.probabilities
        sure = float(np.abs(p - 0.5).min() + 0.5) if self.multilabel else float(p.max())
        one = UnsureRecord(record.id, "|".join(chosen), round(sure, 6), record.shown)
        heapq.heappush(self._unsure, (-sure, -next(self._order), one))
        if len(self._unsure) > UNSURE:
            heapq.heappop(self._unsure)

    def _count_certainty(self, p: float, right: bool) -> None:
        self._bins[min(BINS - 1, int(p * BINS))] += 1, p, right

    def _keep(self, record: AnsweredRecord, given: Sequence[str], chosen: Sequence[str]) -> None:
        """Keep a mistake if it is among those that the model is surest of."""
        known = [self._index[name] for name in given if name in self._index]
        truth = np.zeros(len(self.labels))
        truth[known] = 1
        at = int((np.abs(record.probabilities - truth) if self.multilabel else record.probabilities).argmax())
        p, wrong = float(record.probabilities[at]), float(abs(record.probabilities[at] - truth[at]))
        own = at if self.multilabel else known[0] if known else None
        of_label = None if own is None else round(float(record.probabilities[own]), 6)
        mistake = Mistake(record.id, "|".join(given), "|".join(chosen), round(p, 6), of_label, record.shown)
        heapq.heappush(self._worst, (wrong, -next(self._order), mistake))
        if len(self._worst) > MISTAKES:
            heapq.heappop(self._worst)

    @property
    def accuracy(self) -> float | None:
        """Records whose labels are all right, of those that were judged."""
        return self.right / self.judged if self.judged else None

    @property
    def interval(self) -> Interval | None:
        """The accuracy's exact interval; None for records in groups, which are not independent."""
        return exact(self.right, self.judged) if self.judged and not self.grouped else None

    @property
    def interval_of_others(self) -> Interval | None:
        """Of the records that the model has not seen, where it has seen some: their accuracy with its exact interval;
        None where there are none, and for records in groups."""
        others = self.judged - self.judged_seen
        return exact(self.right - self.right_seen, others) if self.judged_seen and others and not self.grouped else None

    @property
    def label_accuracy(self) -> float | None:
        """Labels given or withheld rightly, of all the model's labels of all judged records; for several labels a
        row."""
        return self._agreeing / (self.judged * len(self.labels)) if self.judged and self.multilabel else None

    @property
    def unknown(self) -> tuple[str, ...]:
        """Labels of the records that the model does not have."""
        return tuple(sorted(self._truth.keys() - self._index.keys()))

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """The errors that the model is surest of, surest first."""
        return tuple(mistake for _, _, mistake in sorted(self._worst, key=lambda kept: (-kept[0], -kept[1])))

    @property
    def least_typical(self) -> tuple[Untypical, ...]:
        """The records that look least like the labels, least first."""
        return tuple(one for _, _, one in sorted(self._least, key=lambda kept: (-kept[0], -kept[1])))

    @property
    def least_sure(self) -> tuple[UnsureRecord, ...]:
        """The records without a label that the model was least sure of, least first."""
        return tuple(one for _, _, one in sorted(self._unsure, key=lambda kept: (-kept[0], -kept[1])))

    @property
    def given_labels(self) -> dict[str, int]:
        """How many records got each label, most often first; an empty name: none."""
        return dict(sorted(self._given.items(), key=lambda one: (-one[1], one[0])))

    @property
    def confusions(self) -> tuple[Confusion, ...]:
        """What was taken for what, most often first; none where a record may have several labels."""
        pairs = sorted(self._pairs.items(), key=lambda pair: (-pair[1], pair[0]))
        return tuple(Confusion(label, prediction, n) for (label, prediction), n in pairs)

    @property
    def sureness(self) -> tuple[CalibrationBin, ...]:
        """JudgedAnswers by how sure the model was, in bins that are not empty."""
        return tuple(CalibrationBin(int(n), p / n, right / n) for n, p, right in self._bins.tolist() if n)

    def label_figures(self) -> Iterator[LabelFigures]:
        """Every label of the model and of the records; none where no record has a label."""
        for name in (*self.labels, *self.unknown) if self.judged else ():
            records, predicted, right = self._truth[name], self._predicted[name], self._hits[name]
            f1 = 2 * right / (records + predicted) if records + predicted else None
            yield LabelFigures(
                name,
                records,
                predicted,
                right,
                right / records if records else None,
                right / predicted if predicted else None,
                f1,
            )
