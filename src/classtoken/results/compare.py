"""What `compare` gives back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from classtoken.errors import OptionError
from classtoken.results.base import FORMAT, Result, format_of
from classtoken.results.compare_words import group_in_words, left_out_in_words, smallest_in_words
from classtoken.results.lines import aligned, in_a_line
from classtoken.values import Rejected

BEST_LAYER = " at its best layer"
"""how the name of a candidate ends whose layer was chosen on other items"""


@dataclass(frozen=True)
class MetricScore(Result):
    """One metric of one candidate with its 95 % interval over test items (or clusters of them).

    `method` says how: `bca`, `exact` (of a share), or `none` (from -inf to inf: too few items, or none
    differs). `spread` is the standard deviation over `draws` repetitions (draws of training examples, seeds) where
    there are any.
    """

    value: float
    """the score"""
    low: float
    high: float
    method: str
    """how the interval was made: `bca`, `exact`, `constant` or `none`"""
    spread: float | None = None
    """standard deviation over `draws` repetitions"""
    draws: int = 0
    """repetitions behind `spread`"""

    def __str__(self) -> str:
        if self.method == "none":
            return f"{self.value:.4f}"
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True)
class Cost(Result):
    """What a candidate costs: numbers of a vector, its bytes as fp32, parameters of the encoder and of what reads it.

    `milliseconds` of one item (reading, preparing, encoding and pooling together, on this machine) and `flops` of the
    encoder for one item are None where vectors were stored, or where nobody can say.
    """

    size: int
    """numbers of a vector"""
    bytes: int
    """of a vector as fp32"""
    parameters: int | None = None
    """of the encoder"""
    own_parameters: int = 0
    """of what reads the encoder"""
    milliseconds: float | None = None
    """for one item, on this machine"""
    flops: float | None = None
    """of the encoder, for one item"""


@dataclass(frozen=True)
class VectorShape(Result):
    """How a candidate's vectors lie: what it has lost shows here before it shows in a score.

    effective_rank: dimensions that the vectors fill (1 to their size). anisotropy: mean cosine of different vectors.
    uniformity: lower is better (Wang, Isola 2020). alignment: mean squared distance of partners (same label, or pairs
    of the highest scores), lower is better. norm_outliers: vectors whose length is more than four robust deviations
    from the median.
    """

    effective_rank: float
    """dimensions that the vectors fill"""
    anisotropy: float
    """mean cosine of different vectors"""
    uniformity: float
    """of the vectors on the sphere; lower is better"""
    alignment: float | None
    """mean squared distance of partners; lower is better"""
    norm: float
    """mean length"""
    norm_outliers: int
    """vectors of a very different length"""


@dataclass(frozen=True)
class ComparedVector(Result):
    """One candidate: its name, its group (1 holds the best and all that cannot be told apart from it), its metrics.

    pooling: what to give as `pooling` to get it, None for the model's own and for stored vectors. role: `candidate`;
    `control` (what a learned pooling must beat) or `probe` (what a task can get out of a model by other means than a
    pooling), which are never advised. parts: per value of the audited column, its score.
    """

    name: str
    """of the candidate"""
    group: int
    """1 holds the best and all that cannot be told apart from it"""
    metrics: Mapping[str, MetricScore]
    """every metric with its interval"""
    model: str
    pooling: str | None
    role: str
    """`candidate`, or `control`, which is never advised"""
    cost: Cost
    """what it costs"""
    shape: VectorShape | None = None
    """how its vectors lie"""
    setting: str = ""
    """what was chosen for it on other items"""
    per_class: Mapping[str, float] = field(default_factory=dict)
    """score of each class"""
    parts: Mapping[str, MetricScore] = field(default_factory=dict)
    """score of each value of the audited column"""
    notes: tuple[str, ...] = ()
    dim: int | None = None
    """how many numbers of the pooled vector are kept; None: all"""

    @property
    def called(self) -> str:
        """The name, and what it is where it is no candidate."""
        return self.name if self.role == "candidate" else f"{self.name} ({self.role})"


@dataclass(frozen=True)
class Difference(Result):
    """Two candidates on the same items: first - second in the ranking metric with its interval.

    p is of a paired permutation test, `adjusted` after Holm's correction over all pairs. `effect` is the mean over the
    standard deviation of the items' differences. wins and losses count items on which the first is better or worse.
    """

    first: str
    """a candidate"""
    second: str
    """the other one"""
    value: float
    """first - second in the ranking metric"""
    low: float
    high: float
    p: float
    """of a paired permutation test"""
    adjusted: float
    """p, corrected for all pairs (Holm)"""
    effect: float
    """mean over standard deviation of the items' differences"""
    wins: int
    """items on which the first is better"""
    losses: int
    """items on which the second is better"""


@dataclass(frozen=True)
class LayerCurve(Result):
    """One pooling after every block: block numbers from 0 (the embeddings) and a score of each."""

    model: str
    pooling: str
    metric: str
    """what was measured"""
    layers: tuple[int, ...]
    """numbers of blocks; 0 is before the first"""
    scores: tuple[MetricScore, ...]
    """one a layer"""


@dataclass(frozen=True)
class SplitOverlap(Result):
    """Items that stand in the training and in the test part: equal ones, nearly equal ones by their vectors, and a
    candidate's score with all items and without those (None where no item is left)."""

    equal: int
    """items of the test part that stand in the training part"""
    near: int
    """items of the test part that nearly do"""
    above: float
    """cosine from which on two are nearly equal"""
    checked: int
    """items that were looked at"""
    score: float
    """the candidate's, with all items"""
    score_without: float | None
    """the same without those items"""
    examples: tuple[tuple[str, str], ...] = ()
    """pairs of ids"""
    candidate: str = ""
    """whose scores these are"""


@dataclass(frozen=True)
class PositionBias(Result):
    """A sentence moved through a long text: the mean cosine of the text's vector and the sentence's own, by its place
    (in % of the text), with intervals over sentences; and by how much the cosine is higher where the sentence stands
    first than where it stands elsewhere."""

    candidate: str
    """its name"""
    places: tuple[float, ...]
    """where the sentence stands, in % of the text"""
    cosine: tuple[float, ...]
    """the mean, a place"""
    low: tuple[float, ...]
    """lower ends of the intervals of 95 %"""
    high: tuple[float, ...]
    """upper ends of the intervals of 95 %"""
    sentences: int
    """how many were moved"""
    first: float
    """by how much the cosine is higher at the beginning"""
    first_low: float
    """lower end of its interval of 95 %"""
    first_high: float
    """upper end of its interval of 95 %"""


@dataclass(frozen=True)
class Overlooked(Result):
    """Where the class token looks in the pictures of one value of the audited column: the mean share of its attention
    by patch (rows of the grid one after another), and the patches at which it practically never looks."""

    model: str
    value: str
    """of the audited column"""
    pictures: int
    """how many"""
    grid: tuple[int, int]
    """rows and columns of patches"""
    share: tuple[float, ...]
    """mean share of the attention, a patch"""
    never: tuple[int, ...]
    """patches at which it practically never looks"""


@dataclass(frozen=True)
class TokenLengths(Result):
    """Lengths of the states of all tokens of one role after the last block: their median, the largest, and how many are
    odd, more than four robust deviations above the median."""

    model: str
    role: str
    """`CLASS`, `CONTENT` ..."""
    tokens: int
    """how many"""
    median: float
    """of the lengths"""
    largest: float
    """of the lengths"""
    odd: int
    """tokens that are much longer than the median"""


@dataclass(frozen=True)
class Neighbour(Result):
    """An item that was retrieved: its id, its label, whether it is right, its cosine; a picture (data URI) or text."""

    id: str
    label: str
    right: bool
    """whether it is what should be found"""
    cosine: float
    """to the item"""
    picture: str | None = None
    """a data URI"""
    text: str | None = None
    """its text"""


@dataclass(frozen=True)
class NeighbourRow(Result):
    """One item and its nearest neighbours under several candidates."""

    item: Neighbour
    """whose neighbours they are"""
    neighbours: Mapping[str, tuple[Neighbour, ...]]
    """the nearest items, by candidate"""


@dataclass(frozen=True)
class ConfusionTable(Result):
    """How often an item of one class (row) was given another (column), by one candidate."""

    candidate: str
    """its name"""
    labels: tuple[str, ...]
    """names of rows and columns"""
    counts: tuple[tuple[int, ...], ...]
    """items, a row for each true label"""


@dataclass(frozen=True)
class Gap(Result):
    """The difference between the best and the worst part of the audited column, by candidate, with its interval."""

    candidate: str
    """its name"""
    best: str
    """the part with the best score"""
    worst: str
    """the part with the worst score"""
    value: float
    """best - worst"""
    low: float
    high: float
    p: float
    """of a permutation test"""


@dataclass(frozen=True)
class Protocol(Result):
    """How figures came about. Only figures of equal protocols may stand side by side (`same_as`)."""

    task: str
    """what was judged"""
    metric: str
    """what ranks"""
    settings: Mapping[str, str]
    """everything else that figures depend on"""
    data: str
    """a hash of the items, their labels and the split"""

    def same_as(self, other: "Protocol") -> bool:
        """Whether figures may be compared: the same task, metric, settings and data."""
        return self == other


@dataclass(frozen=True)
class CompareResult(Result):
    """Candidates, best first, and how sure the order is.

    Candidates that cannot be told apart share a `group`. `detectable`: the smallest true difference of the ranking
    metric that these items would show in 80 % of comparisons. `narrower`: by what factor intervals would have been too
    narrow had clusters been ignored (1 where there are none). `refused` and `left_out` name every item and candidate
    that does not count, and why.
    """

    candidates: tuple[ComparedVector, ...]
    """the best first"""
    advice: str
    """which one to use, in words"""
    sure: str
    """how sure that is, in words"""
    detectable: float
    """smallest true difference that these items show in 80 % of cases"""
    detectable_before: float
    """the same, estimated before scores were seen"""
    protocol: Protocol
    """how figures came about"""
    items: int
    """test items"""
    units: int
    """test items, or clusters of them, that count as independent"""
    clusters: str
    """what items are clustered by"""
    narrower: float
    """by what factor intervals would be too narrow without clusters"""
    differences: tuple[Difference, ...]
    """every pair of candidates"""
    source: str
    """name of the data"""
    models: tuple[str, ...]
    """names of the models"""
    command: str
    """the command that does it again"""
    versions: Mapping[str, str]
    """of the software"""
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    """what decides each model's vectors, hashed"""
    by_layer: tuple[LayerCurve, ...] = ()
    """scores after every block"""
    alike: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """linear CKA of two candidates' vectors, from 0 to 1"""
    overlap: SplitOverlap | None = None
    """items in both training and test part"""
    position: tuple[PositionBias, ...] = ()
    """whether a sentence counts less at the end of a text"""
    lengths: tuple[TokenLengths, ...] = ()
    """lengths of the states of all tokens, by role"""
    confusion: ConfusionTable | None = None
    """what the candidate that is advised takes for what"""
    neighbours: tuple[NeighbourRow, ...] = ()
    """items with their nearest others"""
    audited: str = ""
    """the column whose parts were scored apart"""
    gaps: tuple[Gap, ...] = ()
    """differences between those parts"""
    overlooked: tuple[Overlooked, ...] = ()
    """where class tokens look, by value of the audited column"""
    refused: tuple[Rejected, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    """candidate -> why it does not count"""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    use: str | None = None
    """what to name as `pooling` to get what is advised; None: the model's own, or stored vectors"""
    advised: str = ""
    """the candidate that is advised"""

    @property
    def metric(self) -> str:
        """The metric that ranks."""
        return self.protocol.metric

    @property
    def best(self) -> ComparedVector:
        """The first candidate that is no control."""
        return next(one for one in self.candidates if one.role == "candidate")

    def table(self) -> list[list[str]]:
        """Group, name, every metric with its interval, size: a row a candidate, below a head."""
        metrics = list(dict.fromkeys(name for one in self.candidates for name in one.metrics))
        rows = [["group", "candidate", *metrics, "size"]]
        for one in self.candidates:
            shown = [str(one.metrics[name]) if name in one.metrics else "-" for name in metrics]
            rows.append([str(one.group), one.called, *shown, str(one.cost.size)])
        return rows

    def to_csv(self) -> str:
        """One line a candidate and metric: candidate, group, role, metric, value, low, high, n, size."""
        lines = ["candidate,group,role,metric,value,low,high,items,units,size"]
        for one in self.candidates:
            for name, score in one.metrics.items():
                quoted = '"' + one.name.replace('"', '""') + '"'
                values = f"{score.value:.6f},{score.low:.6f},{score.high:.6f}"
                lines.append(
                    f"{quoted},{one.group},{one.role},{name},{values},{self.items},{self.units},{one.cost.size}"
                )
        return "\n".join(lines) + "\n"

    @property
    def grouped(self) -> tuple[tuple[str, tuple[ComparedVector, ...]], ...]:
        """The candidates group by group, with what each group is in words."""
        parts: dict[int, list[ComparedVector]] = {}
        for one in self.candidates:
            parts.setdefault(one.group, []).append(one)
        best = [some[0].name for some in parts.values()]
        if len(self.candidates) == 1:
            return (("the only candidate", self.candidates),)
        return tuple(
            (group_in_words(n, best[max(0, n - 2)], len(some)), tuple(some))
            for n, some in enumerate(parts.values(), start=1)
        )

    def __str__(self) -> str:
        counted = f"{self.items} test items" + ("" if self.units == self.items else f" in {self.units} clusters")
        lines = [
            f"{self.protocol.task} on {self.source}: {counted}, ranked by {self.metric} (in brackets: 95 % intervals)"
        ]
        metrics = [self.metric, *(name for name in self.table()[0][2:-1] if name != self.metric)]
        rows = [("", *metrics, "size")]
        for said, some in self.grouped:
            rows.append((f"{said}:",))
            for one in some:
                others = [f"{one.metrics[name].value:.3f}" if name in one.metrics else "-" for name in metrics[1:]]
                rows.append((f"  {one.called}", str(one.metrics[self.metric]), *others, str(one.cost.size)))
        lines += [f"  {line}".rstrip() for line in aligned(rows)]
        lines += [f"  left out: {name}: {in_a_line(why)}" for name, why in self.left_out.items()]
        lines += [f"  left out: {line}" for line in left_out_in_words(self.refused)]
        lines += [f"  note: {in_a_line(note)}" for note in self.notes]
        if len(self.candidates) > 1:
            lines.append(f"  {smallest_in_words(self.detectable, self.detectable_before, self.metric)}")
        return "\n".join([*lines, self.advice, *([self.sure] if self.sure else [])])


@dataclass(frozen=True)
class ProtocolTable(Result):
    """Candidates of several comparisons by one protocol on the same data, best first; `files` says whose each is.

    Groups are those of each comparison: candidates of different files were not tested against each other.
    """

    protocol: Protocol
    """how figures came about"""
    files: tuple[str, ...]
    """the report of each candidate"""
    candidates: tuple[ComparedVector, ...]
    """the best first"""

    def __str__(self) -> str:
        kind = self.protocol
        lines = [f"{kind.task}, ranked by {kind.metric}, data {kind.data[:8]}"]
        rows = [["candidate", kind.metric, "group", "file"]]
        for one, file in zip(self.candidates, self.files, strict=True):
            rows.append([one.name, str(one.metrics[kind.metric]), str(one.group), file])
        return "\n".join([*lines, *(f"  {line}" for line in aligned(rows))])


@dataclass(frozen=True)
class CompareTables(Result):
    """Many comparisons: a table for each protocol and data set, since others must not stand side by side."""

    tables: tuple[ProtocolTable, ...]
    """one for each protocol and data set"""

    def __str__(self) -> str:
        between = "\n\n"
        note = (
            "Tables of different protocols or data are not comparable with each other." if len(self.tables) > 1 else ""
        )
        return between.join([*map(str, self.tables), *([note] if note else [])])


def read_result(path: Path) -> CompareResult:
    """A result that `compare` wrote as .json. Raises `OptionError` for anything else."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError(
            f"'{path}' cannot be read as a comparison ({error}); give a .json that compare wrote."
        ) from None
    wanted = format_of(CompareResult)
    said = plain.get(FORMAT) if isinstance(plain, dict) else None
    if said != wanted:
        what = f"it is a {said}" if isinstance(said, str) else "it does not say what it is"
        raise OptionError(f"'{path}' is no comparison ({wanted}): {what}. Give a .json that compare wrote.")
    return CompareResult.from_dict(plain)


def pooling_of(asked: str | None) -> str | None:
    """A pooling's name, `best:REPORT.json` being what that comparison advises."""
    if asked is None or not asked.startswith("best"):
        return asked
    head, _, place = asked.partition(":")
    if head != "best" or not place:
        raise OptionError(f"`pooling` is '{asked}'; write best:REPORT.json, with a .json that compare wrote.")
    found = read_result(Path(place).expanduser())
    if found.use is None and found.advised and found.advised.split(": ")[-1] != "own":
        others = ", ".join(dict.fromkeys(one.pooling for one in found.candidates if one.pooling))
        raise OptionError(
            f"'{place}' advises '{found.advised}' (stored or whitened vectors), which no pooling gives; "
            + (f"name one of those that it judged: {others}." if others else "it judged no pooling.")
        )
    return found.use


def tables_of(results: Mapping[str, CompareResult]) -> CompareTables:
    """One table a protocol, in the order in which they come; candidates best first."""
    found: dict[str, list[tuple[str, ComparedVector]]] = {}
    kinds: dict[str, Protocol] = {}
    for file, result in results.items():
        key = result.protocol.to_json()
        kinds[key] = result.protocol
        found.setdefault(key, []).extend((file, one) for one in result.candidates)
    tables = []
    for key, rows in found.items():
        metric = kinds[key].metric
        rows.sort(key=lambda row: -row[1].metrics[metric].value)
        tables.append(ProtocolTable(kinds[key], tuple(file for file, _ in rows), tuple(one for _, one in rows)))
    return CompareTables(tuple(tables))
