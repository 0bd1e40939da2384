"""What `explain --data` finds over a data set: means with intervals, beside the same for random weights."""

from dataclasses import dataclass
from math import isfinite

from classtoken.results.base import Result
from classtoken.results.lines import in_a_line
from classtoken.results.statistics import Interval, Specialisation


@dataclass(frozen=True)
class ByLayer(Result):
    """A number per layer over n inputs, and per control (weights in random order) the same.

    `per_head` are means per layer and head, where the number is one of heads.
    """

    name: str
    """of the number"""
    title: str
    """for a reader"""
    unit: str
    """of the number"""
    values: tuple[Interval, ...]
    """by layer, with intervals"""
    control: tuple[Interval, ...] = ()
    """the same with weights in random order"""
    per_head: tuple[tuple[float, ...], ...] = ()
    """means by layer and head"""


@dataclass(frozen=True)
class Score(Result):
    """One measure of one map over n inputs, and whether it beats its controls on the same inputs.

    over_random: the paired difference to random scores (positive: better than random); `p`: of a paired permutation
    test of it, adjusted for as many maps as were compared (Holm). control: the same measure, on the same model, of the
    maps that this method makes of random weights; over_control: the paired difference to those. over_edges: the
    paired difference to an edge detector, where there are pictures.
    """

    measure: str
    """what was measured"""
    value: Interval
    """its mean over the inputs"""
    over_random: Interval | None = None
    """better than random scores by"""
    p: float | None = None
    """of that difference, corrected (Holm)"""
    control: Interval | None = None
    """the same of random weights"""
    over_control: Interval | None = None
    """better than those by"""
    over_edges: Interval | None = None
    """better than an edge detector by"""

    @property
    def beats_random(self) -> bool | None:
        """True and False where the adjusted p is at most 0.05 (better, worse); None where neither is shown."""
        if self.over_random is None or self.p is None or self.p > 0.05:
            return None
        return self.over_random.estimate > 0


@dataclass(frozen=True)
class RankedMap(Result):
    """A relevance method and its scores. `sanity` is the rank correlation of its maps with those of random weights:
    near 1 means that the map does not depend on what was learned."""

    name: str
    """of the method"""
    title: str
    """for a reader"""
    control: bool
    """whether it is random on purpose"""
    n: int
    """inputs"""
    scores: tuple[Score, ...]
    """every measure"""
    sanity: Interval | None = None
    """rank correlation with the maps of random weights"""
    refused: int = 0
    """why there is no map"""

    def score(self, measure: str) -> Score | None:
        """One measure's score, or None where it was not taken."""
        return next((s for s in self.scores if s.measure == measure), None)


@dataclass(frozen=True)
class Coverage(Result):
    """Where the class token looks over a group of inputs: mean share per patch, and the patches where it never does."""

    group: str
    """which inputs"""
    n: int
    """how many"""
    grid: tuple[int, int]
    """rows and columns of patches"""
    mean: tuple[float, ...]
    """mean share, a patch"""
    never: tuple[int, ...]
    """patches where it never looks"""


@dataclass(frozen=True)
class ClassTokens(Result):
    """Several class tokens, each beside the same of random weights.

    cosine: mean over pairs of tokens of the cosine of their states, per layer; overlap: the mass that their attention
    maps of the last layer share. labels, knows: what each token's last state knows of each label (a linear probe per
    token and label, scored on inputs that it was not fitted on), against tokens exchanged within every input.
    """

    count: int
    """how many class tokens"""
    cosine: tuple[Interval, ...]
    """of their states, by layer"""
    overlap: Interval | None
    """of what they look at"""
    control_cosine: tuple[Interval, ...] = ()
    """the same of random weights"""
    control_overlap: Interval | None = None
    """the same of random weights"""
    labels: tuple[str, ...] = ()
    """the labels"""
    knows: Specialisation | None = None
    """what each token knows of each label"""
    control_knows: Specialisation | None = None
    """the same with tokens exchanged"""


@dataclass(frozen=True)
class Findings(Result):
    """Statistics of one model over one data set. `swap[l]`: share of inputs whose answer stays when the class token
    before layer l is another input's; `swap_donor`: share that takes over the donor's answer. `lens[l]`: share of right
    answers (of answers equal to the final one, without labels) with the state before layer l. `_control`: the same for
    random weights; nothing where they give no two inputs different answers."""

    model: str
    data: str
    """name of the data"""
    n: int
    """inputs"""
    readout: str
    """what answers are read from"""
    layers: tuple[ByLayer, ...]
    """a number per layer, several of them"""
    ranking: tuple[RankedMap, ...] = ()
    """relevance methods, the best first"""
    swap: tuple[Interval, ...] = ()
    """share of answers that stay with another input's class token, by layer"""
    swap_donor: tuple[Interval, ...] = ()
    """share of answers that become the other input's"""
    lens: tuple[Interval, ...] = ()
    """share of right answers from each layer's state"""
    lens_of: str = ""
    """what counts as right"""
    swap_control: tuple[Interval, ...] = ()
    """`swap` of random weights"""
    lens_control: tuple[Interval, ...] = ()
    """`lens` of random weights"""
    accuracy: Interval | None = None
    """of the model on these inputs"""
    coverage: tuple[Coverage, ...] = ()
    """where the class token looks"""
    tokens: ClassTokens | None = None
    """several class tokens beside each other"""
    control: str = ""
    """what the random weights are"""
    seconds: float = 0.0
    rate: float = 0.0
    """inputs a second"""
    notes: tuple[str, ...] = ()

    def by_layer(self, name: str) -> ByLayer:
        """One number per layer. Raises KeyError naming those that exist."""
        found = {row.name: row for row in self.layers}
        if name not in found:
            raise KeyError(f"no '{name}'; there are {', '.join(found)}")
        return found[name]

    def __str__(self) -> str:
        lines = [f"{self.model} on {self.n} inputs of {self.data} [read out: {self.readout}]", ""]
        for row in self.layers:
            lines.append(f"{row.title} ({row.unit}), by layer")
            lines.append("  model   " + "  ".join(f"{v.estimate:7.3f}" for v in row.values))
            for name, ends in (("from", [v.low for v in row.values]), ("to", [v.high for v in row.values])):
                lines.append(f"  {name:8s}" + "  ".join(f"{v:7.3f}" if isfinite(v) else "   none" for v in ends))
            if row.control:
                lines.append("  random  " + "  ".join(f"{v.estimate:7.3f}" for v in row.control))
        lines += _ranking(self.ranking)
        for title, shares in (("answer kept after a swap before layer", self.swap), (self.lens_of, self.lens)):
            if shares:
                lines += ["", title, "  " + "  ".join(f"{100 * v.estimate:5.1f} %" for v in shares)]
        return "\n".join([*lines, "", *(f"note: {in_a_line(note)}" for note in self.notes)])


def _ranking(ranking: tuple[RankedMap, ...]) -> list[str]:
    if not ranking:
        return []
    measures = [score.measure for score in ranking[0].scores]
    lines = ["", f"{'map':28s}" + "".join(f"{m:>26s}" for m in measures) + f"{'same with random weights':>28s}"]
    for method in ranking:
        cells = [f"{s.value.estimate:8.3f} {s.value.limits}" for s in method.scores]
        sanity = "" if method.sanity is None else f"{method.sanity.estimate:8.3f}"
        lines.append(f"{method.title:28s}" + "".join(f"{cell:>26s}" for cell in cells) + f"{sanity:>28s}")
    return lines
