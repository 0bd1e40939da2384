"""What `explain` finds about two inputs: which part of the one met which part of the other."""

from dataclasses import dataclass
from statistics import median

from classtoken.results.base import Result
from classtoken.results.explain import KnockOut, TokenView
from classtoken.results.lines import in_a_line


@dataclass(frozen=True)
class PairInput(Result):
    """One of the two: its tokens, and the regions (tokens by number) that are taken together.

    image: data URI of exactly what the model saw; original: of the picture as it was given, small. exact: every set of
    regions was computed, not orders of them drawn.
    names: what regions of a text are called, its own words; regions of a picture are called by where they are.
    """

    name: str
    """the text, or where the picture is"""
    modality: str
    tokens: tuple[TokenView, ...]
    """its tokens"""
    regions: tuple[tuple[int, ...], ...]
    """tokens, by number, that are taken together"""
    exact: bool
    """every set of regions was computed, not orders of them drawn"""
    grid: tuple[int, int] | None = None
    """rows and columns of patches; None for a text"""
    image: str | None = None
    """data URI of what the model saw"""
    original: str | None = None
    """data URI of the picture as it was given, small"""
    names: tuple[str, ...] = ()
    """what the regions of a text are called"""

    def called(self, region: int) -> str:
        """A region as a reader sees it: its words, or the patches that it spans."""
        if self.names:
            return self.names[region]
        tokens = [self.tokens[i] for i in self.regions[region]]
        cells = [token.cell for token in tokens if token.cell is not None]
        if not cells:
            return " ".join(token.text for token in tokens)
        (top, left), (bottom, right) = min(cells), max(cells)
        rows = f"row {top}" if top == bottom else f"rows {top}-{bottom}"
        columns = f"column {left}" if left == right else f"columns {left}-{right}"
        return f"{rows}, {columns}"


@dataclass(frozen=True)
class Meeting(Result):
    """What a region of the one and a region of the other contribute together, and its share of what all pairs of the
    same sign do: never above 1, whatever the others take away again."""

    region: int
    other: int
    value: float
    share: float


@dataclass(frozen=True)
class PairExplanation(Result):
    """Two inputs taken apart: similarity = met + background, and met is the sum of `pairs`.

    similarity: cosine of the two vectors. background: what does not hang on pairs, f(x).g(none) + f(none).g(y) -
    f(none).g(none). empty: these three cosines, of the first input with the other's empty one, of the first's empty one
    with the second input, of the two empty ones. error: the largest standard error of a pair, from drawing orders (0
    where all was computed). pairs: a row for each region of `item`. knockouts: the regions that met most taken away,
    on either side, and the words that both have. given: both inputs and the model as they were given, for the
    walkthrough of them; None where there is none.
    """

    model: str
    readout: str
    """the vector, in words"""
    item: PairInput
    """the first input"""
    other: PairInput
    """the second input"""
    similarity: float
    """cosine of the two vectors"""
    met: float
    """sum of `pairs`"""
    background: float
    """what hangs on no pair"""
    error: float
    """the largest standard error of a pair; 0 where all was computed"""
    pairs: tuple[tuple[float, ...], ...]
    """what each region of `item` and each of `other` contribute together"""
    knockouts: tuple[KnockOut, ...] = ()
    """what taking regions away did"""
    notes: tuple[str, ...] = ()
    empty: tuple[float, float, float] | None = None
    """cosines with empty inputs that `background` is made of"""
    given: tuple[str, ...] | None = None
    """both inputs and the model as they were given; None where there is no walkthrough of them"""

    def strongest(self, count: int = 8, *, apart: bool = False) -> tuple[Meeting, ...]:
        """The pairs that bring the two together most, or keep them apart most; largest first."""
        side, whole = (-1, self.apart) if apart else (1, self.together)
        every = [(value, i, j) for i, row in enumerate(self.pairs) for j, value in enumerate(row)]
        best = sorted(every, key=lambda entry: -side * entry[0])[:count]
        return tuple(Meeting(i, j, value, value / whole) for value, i, j in best if side * value > 0)

    @property
    def together(self) -> float:
        """What the pairs add up to that make the cosine larger."""
        return sum(value for row in self.pairs for value in row if value > 0)

    @property
    def apart(self) -> float:
        """What the pairs add up to that make the cosine smaller; together + apart = met."""
        return sum(value for row in self.pairs for value in row if value < 0)

    @property
    def of_background(self) -> str:
        """What hangs on no pair, in a sentence."""
        if self.empty is None:
            return ""
        first, second, both = self.empty
        return (
            "Parts are counted from empty inputs, of which only the special tokens are left. What hangs on no pair is "
            f"what the first has in common with the empty second ({first:+.3f}) and the second with the empty first "
            f"({second:+.3f}), less what the two empty ones have in common ({both:.3f}), which is in both: it is where "
            f"counting begins, at {self.background:+.3f}, and says nothing of what the two inputs share."
        )

    @property
    def conclusion(self) -> str:
        """What met most, what taking it away did, and what follows."""
        best = self.strongest(1)
        if not best:
            return f"The cosine is {self.similarity:.3f}, and no pair of parts makes it larger."
        first = best[0]
        words = (
            f"The cosine is {self.similarity:.3f}. Of all pairs of parts '{self.item.called(first.region)}' and "
            f"'{self.other.called(first.other)}' bring the two together most: {first.value:+.3f}, "
            f"{100 * first.share:.0f} % of what pairs add ({self.together:+.3f}; others take away {-self.apart:.3f})."
        )
        judged = [k for k in self.knockouts if k.p is not None and k.what.endswith("met most")]
        if not judged:
            return words + " There are too few parts to test it by taking some away."
        k = min(judged, key=lambda k: (k.verdict != "needed", k.after))
        others = sorted(k.null)
        words += (
            f" Without {k.what} it is {k.after:.3f}; without as many others {median(others):.3f} ({others[0]:.3f} to "
            f"{others[-1]:.3f} in {len(others)} draws)"
        )
        p = k.p if k.p_together is None else k.p_together
        follows = {
            "needed": "the model needs them to find the two as alike as it does",
            "in its way": "they keep the two apart",
            "no more than chance": "that is no more than chance",
        }
        said = follows.get(k.verdict, "with so few parts that cannot be told from chance")
        return f"{words}: {said} (p = {p:.2g})."

    def __str__(self) -> str:
        lines = [
            f"{in_a_line(self.item.name)}  |  {in_a_line(self.other.name)}  [{self.model}, read out: {self.readout}]",
            "",
            in_a_line(self.conclusion),
        ]
        sides = ": part of the first  /  of the second"
        if met := self.strongest():
            lines += ["", f"share  together  of what pairs add ({self.together:+.4f}){sides}"]
            lines += [self._line(m) for m in met]
        if opposed := self.strongest(3, apart=True):
            lines += ["", f"share  apart     of what pairs take away ({self.apart:+.4f}){'' if met else sides}"]
            lines += [self._line(m) for m in opposed]
        lines += [
            "",
            f"cosine {self.similarity:.4f} = all pairs {self.met:+.4f} ({self.together:+.4f} {self.apart:+.4f}), and "
            f"{self.background:+.4f} that hangs on no pair"
            + (f" (standard error of a pair at most {self.error:.2g})" if self.error else ""),
        ]
        lines += [self.of_background, ""] if self.empty is not None else []
        lines += [f"without {k.what}: {k.before:.3f} -> {k.after:.3f}; {k.beside_null}" for k in self.knockouts]
        lines += [f"note  {in_a_line(note)}" for note in self.notes]
        return "\n".join(lines)

    def _line(self, m: Meeting) -> str:
        names = f"{in_a_line(self.item.called(m.region))}  /  {in_a_line(self.other.called(m.other))}"
        return f"{100 * m.share:4.0f} %  {m.value:+8.4f}  {names}"
