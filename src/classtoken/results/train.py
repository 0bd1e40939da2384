"""What `train` gives back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from classtoken.files import in_shell
from classtoken.results.base import Result, counted, listed
from classtoken.results.lines import in_a_line
from classtoken.results.statistics import Interval
from classtoken.values import Rejected

WAYS = {
    "frozen": " on the vectors of a model that stays as it is",
    "finetune": " of a model that was trained further",
    "scratch": " of a model trained from scratch",
}
COUNTED = {"accuracy": "right", "exact_match": "right in all their labels"}
"""scores that count records, and of what they are the share"""
SAID = {
    "macro_f1": "F1, averaged over the labels, so that a rare one counts as much as a frequent one",
    "mean_average_precision": "how well each label's records stand before the others, averaged over labels; 1 is best",
    "label_accuracy": "share of right yes and no answers, one a label",
    "loss": "0 is best; wrong answers that were sure cost most",
}
"""what a score is, in a few words"""


def score_name(name: str) -> str:
    """What a score is called on the screen."""
    return name.replace("_", " ").replace(" f1", " F1")


@dataclass(frozen=True)
class Trial(Result):
    """One setting that was tried, and its score on rows that were not learned from."""

    setting: str
    """in words"""
    score: float
    """larger is better: a loss is turned"""
    metric: str = ""
    """what the score is called"""

    @property
    def amount(self) -> str:
        """The score with its name."""
        return f"loss {-self.score:.4f}" if self.metric == "loss" else f"{self.metric} {self.score:.4f}".strip()

    def __str__(self) -> str:
        return f"{self.amount}  {self.setting}"


@dataclass(frozen=True)
class PoolingFigures(Result):
    """One of several poolings that were compared: the scores of its own head on rows that it has not learned from, with
    intervals of 95 %."""

    pooling: str
    scores: Mapping[str, float]
    """by name"""
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """of the scores that count records"""


@dataclass(frozen=True)
class TrainResult(Result):
    """A finished training.

    `way` is frozen (a head on fixed vectors), finetune or scratch. `scores` are measured on the held-out part, or where
    `folds` is not 0 on all records in so many parts, by a model that was learned without them; where settings or
    evaluations were chosen on the held-out part, one half of it chose and the other judges.
    `intervals` are those of 95 % of the scores that count records. `error` is the calibration error (ECE)
    of the held-out probabilities, each fifth at the temperature of the others, `error_before` the one without.
    """

    out: str
    way: str
    """`frozen`, `finetune` or `scratch`"""
    task: str
    """what was learned"""
    labels: tuple[str, ...]
    """those of the classifier"""
    pooling: str
    head: str
    """the classifier's kind"""
    records: int
    """how many could be used"""
    learned: int
    """of them learned from"""
    held_out: int
    """of them held out"""
    parameters: int
    """of the whole model"""
    trained_parameters: int
    """of them learned here"""
    steps: int
    """of the optimiser"""
    seconds: float
    scores: Mapping[str, float]
    """on records that were not learned from"""
    temperature: float
    """that probabilities are made with"""
    error: float
    """calibration error with the temperature"""
    error_before: float
    """calibration error without it"""
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """of the scores that count records"""
    folds: int = 0
    """parts in which all records were judged; 0: a held-out part"""
    chosen: str = ""
    """the setting that was chosen"""
    trials: tuple[Trial, ...] = ()
    """every setting that was tried"""
    stopped_early: bool = False
    """whether it ended before its last step"""
    poolings: tuple[PoolingFigures, ...] = ()
    """those that were compared, where there were several, best first; `scores` are of a choice among them that was
    made without the rows that judge it"""
    features_cached: bool = False
    """whether vectors were there from an earlier run"""
    refused: int = 0
    examples: tuple[Rejected, ...] = ()
    model: str = ""
    """the MODEL that it began with; empty from scratch"""
    source: str = ""
    """what the SOURCE is called"""
    called: Mapping[str, str] = field(default_factory=dict)
    """which of its columns held each part of a record: what `predict` and `embed` take where nothing else is named"""
    date: str = ""
    """the day on which it ended, in UTC"""
    licence: str = ""
    """of the MODEL, where its card says so"""
    machine: Mapping[str, Any] = field(default_factory=dict)
    """on which it ran"""
    notes: tuple[str, ...] = ()
    modality: str = ""
    """`text` or `image`: what is read"""
    report: str | None = None
    """the page with the errors among the records that judged it, and every label"""

    def __str__(self) -> str:
        what = f"a classifier of {counted(len(self.labels), 'label')}" if self.labels else "vectors"
        head = f", head {self.head}" if self.labels else ""
        lines = [
            f"{self.out}: {what}{WAYS.get(self.way, '')} (pooling {self.pooling}{head})",
            f"  {counted(self.learned, 'record')} learned from, {self._judged_by()}",
            *self._measured(),
            f"  {self.trained_parameters:,} of {self.parameters:,} parameters learned, "
            f"{f'{self.steps} steps, ' if self.steps else ''}{self.seconds:.1f} s"
            f"{', stopped early' if self.stopped_early else ''}",
        ]
        if self.poolings:
            lines.append("  side by side, each as the only one; the figures above are of the choice among them:")
        for one in self.poolings:
            said = ", ".join(
                f"{score_name(name)} {value:.4f}" + (f" {at.limits}" if (at := one.intervals.get(name)) else "")
                for name, value in one.scores.items()
            )
            lines.append(f"    {one.pooling:12s} {said}{'  (kept)' if one.pooling == self.pooling else ''}")
        if self.trials:
            best = max(self.trials, key=lambda trial: trial.score)
            lines.append(
                f"  settings: {self.chosen}, the best of {len(self.trials)} that were tried ({best.amount} on the "
                "records that chose it); all are in result.json"
            )
        if self.refused:
            lines.append(
                f"  {counted(self.refused, 'record')} that could not be used, see {self.out}/_meta/quarantine.parquet:"
            )
            lines += listed(self.examples, self.refused)
        lines += [f"  note: {in_a_line(note)}" for note in self.notes]
        if self.report:
            lines.append(f"  the errors to look at, and every label: {self.report}")
        lines += [f"  {word}: {command}" for word, command in zip(("next", "of many"), self.next, strict=False)]
        return "\n".join(lines)

    def _judged_by(self) -> str:
        """Who judged, and the figures that count records."""
        judged = (
            f"each judged by a head without it, in {self.folds} parts" if self.folds else f"{self.held_out} held out"
        )
        counts = [
            f"{100 * value:.1f} % {COUNTED[name]}"
            + (f" (95 %: {100 * at.low:.1f} to {100 * at.high:.1f} %)" if (at := self.intervals.get(name)) else "")
            for name, value in self.scores.items()
            if name in COUNTED
        ]
        return ": ".join(filter(None, (judged, ", ".join(counts))))

    def _measured(self) -> Iterator[str]:
        """The other figures, each with a few words on what it is, and how far probabilities can be believed."""
        others = sorted(((n, v) for n, v in self.scores.items() if n not in COUNTED), key=lambda one: one[0] == "loss")
        if others:
            said = (f"{score_name(n)} {v:.4f}{f' ({SAID[n]})' if n in SAID else ''}" for n, v in others)
            yield f"  {', '.join(said)}"
        if self.scores and self.labels:
            before = f"; {self.error_before:.4f} before they were divided by the temperature {self.temperature:.3f}"
            yield (
                f"  probabilities are off by {self.error:.4f} on average (calibration error"
                f"{before if self.temperature != 1 else ''})"
            )

    @property
    def next(self) -> tuple[str, ...]:
        """The command that a person would give next; behind it the one for many inputs at once."""
        folder = in_shell(self.out)
        if not self.labels:
            return (f"classtoken embed SOURCE --model {folder} --out VECTORS",)
        item = "PICTURE.jpg" if self.modality == "image" else '"some words"'
        many = f"classtoken predict SOURCE --model {folder} --out LABELLED"
        return f"classtoken predict {item} --model {folder}", many
