"""What `predict` gives back: how many records were labelled, and where they had labels, what it got wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from classtoken.results.base import Result, counted, listed
from classtoken.results.lines import aligned, in_a_line, names_in_a_line
from classtoken.results.statistics import CalibrationBin, Interval
from classtoken.values import Rejected

UNLIKE = 0.05
"""so typical of the labels, or less, is said to look like none of them; one in twenty of their own records does, too"""
SHOWN = 5


@dataclass(frozen=True)
class LabelProbability(Result):
    """A label, and how probable the model finds it."""

    label: str
    probability: float
    """from 0 to 1"""


@dataclass(frozen=True)
class PredictedItem(Result):
    """One input with its labels: `prediction` is the most probable, of a model of several labels those above one half.

    `probabilities` are those of all labels, the most probable first.
    """

    item: str
    """the text, or where the picture is; empty for what has no name"""
    model: str
    prediction: tuple[str, ...]
    """its labels"""
    probabilities: tuple[LabelProbability, ...]
    """of every label, the most probable first"""
    multilabel: bool = False
    """whether a label is given beside others"""
    typical: float | None = None
    """how typical it is of the labels, as a share of their own held-out records; of models that know it"""
    every: bool = False
    """whether all of them are printed"""
    notes: tuple[str, ...] = ()
    """that a part of a long text was not read"""

    def __str__(self) -> str:
        shown = self.probabilities if self.every else self.probabilities[:SHOWN]
        lines = aligned([(in_a_line(each.label), f"{each.probability:6.1%}") for each in shown])
        left = len(self.probabilities) - len(shown)
        if left:
            lines.append(f"and {counted(left, 'label')} more")
        if self.typical is not None and self.typical <= UNLIKE:
            lines.append(f"note: it looks like none of them ({self.typical:.1%} of their own look as little like them)")
        return "\n".join([*lines, *(f"note: {in_a_line(note)}" for note in self.notes)])


@dataclass(frozen=True)
class LabelFigures(Result):
    """One label: how many records have it, got it, and got it rightly.

    recall = right / records, precision = right / predicted, f1 their harmonic mean; None where nothing is divided by.
    """

    label: str
    records: int
    """that have it"""
    predicted: int
    """records that got it"""
    right: int
    """records that have it and got it"""
    recall: float | None
    """right / records"""
    precision: float | None
    """right / predicted"""
    f1: float | None
    """harmonic mean of both"""


@dataclass(frozen=True)
class Confusion(Result):
    """So many records of `label` were given `prediction`."""

    label: str
    prediction: str
    """what it was taken for"""
    records: int
    """how many"""


@dataclass(frozen=True)
class Mistake(Result):
    """A record that was labelled wrongly: its own label, the one that it got, and the probability of each.

    `shown` is its text, or where its image is. Several labels are joined by `|`; then `probability` is that of the
    label that is furthest from the truth. `of_label` is None where the model does not have the label.
    """

    id: str
    label: str
    prediction: str
    """what it was taken for"""
    probability: float
    """of the prediction"""
    of_label: float | None
    """probability of its own label"""
    shown: str = ""
    """its text, or where its image is"""


@dataclass(frozen=True)
class UnsureRecord(Result):
    """A record without a label of its own that the model was least sure of."""

    id: str
    prediction: str
    """the label that it got"""
    probability: float
    """of the prediction"""
    shown: str = ""
    """its text, or where its image is"""


@dataclass(frozen=True)
class Untypical(Result):
    """A record that looks like none of the model's labels, or less like them than others do."""

    id: str
    prediction: str
    """the label that it got all the same"""
    probability: float
    """of the prediction"""
    typical: float
    """(1 + held-out records at least as far from the nearest label) / (1 + held-out records)"""
    shown: str = ""
    """its text, or where its image is"""


@dataclass(frozen=True)
class PredictResult(Result):
    """A source with labels put on it.

    `given` is how many records got each label; of those without a label of their own `least_sure` are the ones whose
    probability is lowest. Where the records had labels, `accuracy` says how many were right (all labels of a record),
    with its exact interval of 95 % unless the records come in groups; `label_figures` has a row per label, `confusions`
    what was taken for what, most often first, `sureness` how often the answers of a certainty were right, and
    `mistakes` the errors that the model was surest of. `report` is the page that shows them.
    """

    out: str
    model: str
    labels: tuple[str, ...]
    """those of the model"""
    records: int
    """how many were labelled"""
    refused: int
    examples: tuple[Rejected, ...]
    seconds: float
    before: int = 0
    """records that an earlier, stopped run had labelled"""
    judged: int = 0
    """how many had a label themselves"""
    accuracy: float | None = None
    """share of those that are right"""
    interval: Interval | None = None
    """of the accuracy"""
    label_accuracy: float | None = None
    """share of right labels, where a record has several"""
    label_figures: tuple[LabelFigures, ...] = ()
    """figures of every label"""
    confusions: tuple[Confusion, ...] = ()
    """what was taken for what, most often first"""
    sureness: tuple[CalibrationBin, ...] = ()
    """how often answers of a certainty are right"""
    mistakes: tuple[Mistake, ...] = ()
    """the errors that the model was surest of"""
    unknown: tuple[str, ...] = ()
    """labels of the records that the model does not have: it cannot be right about them"""
    report: str | None = None
    """the page that shows them"""
    judged_seen: int = 0
    """judged records that the model was trained on (learned from, or held out to choose or to judge)"""
    of_others: Interval | None = None
    """the accuracy of the judged records that it was not trained on, where it was on some"""

    untypical: int | None = None
    """records that look like none of the labels, `typical` at most 0.05; None where the model does not know"""
    least_typical: tuple[Untypical, ...] = ()
    """those of them that look least like the labels, least first"""
    source: str = ""
    """what the records are called"""
    date: str = ""
    """the day on which they were labelled, in UTC"""
    notes: tuple[str, ...] = ()
    """what was left out of the source, and of texts that are longer than the model takes"""
    given: Mapping[str, int] = field(default_factory=dict)
    """how many records got each label, most often first"""
    least_sure: tuple[UnsureRecord, ...] = ()
    """records without a label, those that the model was least sure of, least first"""

    @property
    def strange(self) -> str:
        """How many records look like none of the labels, beside how many would by chance; empty where none does."""
        if not self.untypical:
            return ""
        expected, look = UNLIKE * self.records, "looks" if self.untypical == 1 else "look"
        return (
            f"{self.untypical} of {counted(self.records, 'record')} {look} unlike everything "
            f"that was learned from (`typical` at most {UNLIKE}); about {expected:.3g} would be usual"
        )

    @property
    def seen_in_training(self) -> str:
        """What records that the model was trained on do to the figures; empty where there are none."""
        if not self.judged_seen:
            return ""
        if self.judged_seen == self.judged:
            return "the model was trained on these records: the figures say nothing about new ones"
        at = self.of_others
        limits = "" if at is None else f"{100 * at.estimate:.1f} % (95 %: {100 * at.low:.1f} to {100 * at.high:.1f} %)"
        others = "" if at is None else f"; of the {at.n} others {limits} are right"
        return f"the model was trained on {self.judged_seen} of these records: the figures flatter it{others}"

    @property
    def strangers(self) -> str:
        """What labels that the model does not have do to the figures; empty where there are none."""
        if not self.unknown:
            return ""
        names, own = names_in_a_line(self.unknown, 6), names_in_a_line(self.labels, 6)
        if len(self.unknown) == len({figures.label for figures in self.label_figures if figures.records}):
            return f"the model has none of the records' labels ({names}), so no answer can be right; its own are {own}"
        return f"the model has no label {names}; records of it count as wrong"

    def __str__(self) -> str:
        lines = [f"{counted(self.records, 'record')} labelled in {self.seconds:.1f} s: {self.out}/predictions.csv"]
        if self.before:
            lines.append(f"  {counted(self.before, 'record')} done before")
        if self.accuracy is not None:
            several = (
                "" if self.label_accuracy is None else f" (all labels of a record; {self.label_accuracy:.4f} a label)"
            )
            at = self.interval
            limits = "" if at is None else f" (95 %: {at.low:.4f} to {at.high:.4f})"
            lines.append(
                f"  accuracy {self.accuracy:.4f}{limits} on {counted(self.judged, 'labelled record')}{several}"
            )
        elif self.given:
            most = [f"{number} {in_a_line(label) or 'none'}" for label, number in list(self.given.items())[:SHOWN]]
            more = f" and {counted(len(self.given) - SHOWN, 'label')} more" if len(self.given) > SHOWN else ""
            lines.append(f"  given: {', '.join(most)}{more}")
        if self.seen_in_training:
            lines.append(f"  note: {self.seen_in_training}")
        if self.strange:
            lines.append(f"  {self.strange}")
        lines += self._weakest()
        if self.strangers:
            lines.append(f"  note: {self.strangers}")
        if self.report:
            first = "the least sure" if self.accuracy is None else "the errors"
            lines.append(f"  {first} to look at, and every label: {self.report}")
        if self.refused:
            lines.append(f"  {self.refused} could not be read, see {self.out}/_meta/quarantine.parquet:")
            lines += listed(self.examples, self.refused)
        lines += [f"  note: {in_a_line(note)}" for note in self.notes]
        return "\n".join(lines)

    def _weakest(self) -> list[str]:
        """What was taken for what more than once, the three most frequent."""
        often = [c for c in self.confusions[:3] if c.records > 1]
        head = ["  most often:"] if often else []
        return head + [f"    {c.records} times {in_a_line(c.label)} taken for {in_a_line(c.prediction)}" for c in often]
