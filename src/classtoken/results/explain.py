"""What `explain` finds about one input: where the class token looked, what reached it, and whether it matters."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Literal

from classtoken.errors import OptionError
from classtoken.results.base import Result
from classtoken.results.lines import in_a_line, names_in_a_line
from classtoken.results.predict import UNLIKE
from classtoken.values import Role


@dataclass(frozen=True)
class TokenView(Result):
    """A token as a reader sees it: role, word piece (or a patch's name), and the patch's row and column."""

    role: Role
    """`CLASS`, `CONTENT` ..."""
    text: str
    """the word piece, or the patch's name"""
    cell: tuple[int, int] | None = None
    """row and column of a patch"""


@dataclass(frozen=True)
class ClassScore(Result):
    """An answer of the model: class, its name, its probability and its logit."""

    index: int
    """number of the class"""
    label: str
    """name of the class"""
    probability: float
    """after the softmax or sigmoid"""
    outcome: float
    """the logit, before it is divided by the temperature"""


@dataclass(frozen=True)
class LayerRow(Result):
    """The class token's attention in one layer, per head: see `analysis.description` for the definitions.

    `entropy` is in nats, `relative` of the largest possible, `effective` the number of tokens it spreads over;
    `masses` per role; `agreement` of the heads; `sizes` are lengths: state before, attention's and feed-forward's
    additions, state after (absent for foreign models).
    """

    layer: int
    """its number"""
    entropy: tuple[float, ...]
    """of each head, in nats"""
    relative: tuple[float, ...]
    """entropy, of the largest possible"""
    effective: tuple[float, ...]
    """tokens that each head spreads over"""
    itself: tuple[float, ...]
    """weight of the class token on itself"""
    masses: Mapping[str, tuple[float, ...]]
    """role -> share of the attention"""
    agreement: float
    """how alike the heads look"""
    sizes: tuple[float, ...] = ()
    """lengths of the state and of what is added to it"""


@dataclass(frozen=True)
class CurveDefinition(Result):
    """What a deletion or insertion curve is, to the last choice.

    points: number of shares, evenly spaced, 0 % and 100 % among them (100 %: every CONTENT token gone; one is left
    where the input has nothing else that the readout reads). Counts are share * tokens, rounded to nearest; where that
    gives a count twice, it is one point, so `fractions` are the shares that are really drawn.
    scale: `probability`, the target's answer, or `outcome`, its logit or length along the vector. Ties are broken by a
    permutation drawn from `seed`.
    """

    points: int = 20
    """shares at which the curve is measured"""
    scale: str = "probability"
    """`probability` or `outcome`"""
    absent: str = "the token is not in the sequence; positions of the others stay"
    """what stands where a token was taken away"""
    ties: str = "random"
    """how equal scores are ordered"""
    seed: int = 0
    """of that order"""
    area: str = "trapezoid over the fraction of tokens"
    """how the area is computed"""
    fractions: tuple[float, ...] = ()
    """the shares that are drawn"""

    def __post_init__(self) -> None:
        if self.points < 2:
            raise OptionError(f"a curve needs at least 2 points (0 % and 100 %), not {self.points}.")


@dataclass(frozen=True)
class RelevanceMap(Result):
    """A score per CONTENT token, and how faithful it is: areas under the deletion (low is good) and insertion (high is
    good) curves and SaCo. `refused` says why there is no map. `by_removal`: it was made by taking tokens away, which is
    also the test, so that its own areas flatter it."""

    name: str
    """of the method"""
    title: str
    """for a reader"""
    says: str
    """what it claims to show"""
    signed: bool
    """whether scores may be negative"""
    control: bool
    """whether it is random on purpose"""
    scores: tuple[float, ...] = ()
    """one a token of CONTENT"""
    deletion: float | None = None
    """area under the deletion curve; low is good"""
    insertion: float | None = None
    """area under the insertion curve; high is good"""
    saco: float | None = None
    """rank agreement of scores and effects, -1 to 1"""
    deletion_curve: tuple[float, ...] = ()
    """the answer while tokens are taken away"""
    insertion_curve: tuple[float, ...] = ()
    """the answer while tokens are given"""
    refused: str = ""
    """why there is no map"""
    by_removal: bool = False
    """made as it is tested, which flatters it"""


@dataclass(frozen=True)
class Route(Result):
    """A share of the rollout that comes from token `source` through token `via`."""

    via: int
    """number of the token between"""
    source: int
    """number of the token that is read"""
    share: float
    """of the rollout, 0 to 1"""


LEVEL = 0.05
"""p above it is no evidence"""
SMALLEST = 0.01
"""part of the outcome that no single token moves: then none is called used or of no use"""
NOTHING, LITTLE = 0.005, 0.05
"""changes of a probability that are too little to matter, and after which it is as good as it was, whatever p says"""
ROUNDING = 1e-6
"""difference of answers near 1 that 32-bit numbers make"""

Verdict = Literal["needed", "in its way", "no more than chance", "too few to tell", "no control"]


def as_large(other: float, effect: float) -> bool:
    """Whether a control's effect is at least as large as another; equal but for rounding counts."""
    return other >= effect - ROUNDING * max(1.0, effect)


@dataclass(frozen=True)
class KnockOut(Result):
    """The target before and after taking something away, and the same for other sets of equal size (`null`).

    possible: how many other sets there are; `null` has all of them, or distinct ones drawn at random. together: how
    many knock-outs are shown side by side; p_together: p corrected for that (Holm). See `study.control` for the rule.
    """

    what: str
    """what was taken away"""
    mode: str
    """how"""
    tokens: tuple[int, ...]
    """their numbers"""
    before: float
    """the target with them"""
    after: float
    """the target without them"""
    null: tuple[float, ...]
    """the target without as many others"""
    possible: int = 0
    """how many other sets there are"""
    together: int = 1
    """knock-outs that are shown side by side"""
    p_together: float | None = None
    """p, corrected for that (Holm)"""

    @property
    def as_much(self) -> int:
        """How many of the controls change the answer at least as much (equal but for rounding counts)."""
        effect = abs(self.after - self.before)
        return sum(as_large(abs(v - self.before), effect) for v in self.null)

    @property
    def p(self) -> float | None:
        """How often a set of this size changes the answer as much: (1 + as_much) / (1 + controls); None without any."""
        return (1 + self.as_much) / (1 + len(self.null)) if self.null else None

    @property
    def verdict(self) -> Verdict:
        """`needed` (the answer falls without it, more than without others), `in its way` (it rises), `no more than
        chance`, `too few to tell` (p cannot reach 0.05 with so few other sets), or `no control`."""
        if self.p is None:
            return "no control"
        if (self.p if self.p_together is None else self.p_together) <= LEVEL:
            return "needed" if self.after < self.before else "in its way"
        smallest = self.together / (1 + self.possible)
        return "too few to tell" if smallest > LEVEL else "no more than chance"

    @property
    def ranked(self) -> str:
        """How many of the controls change the answer as much, and p, in words."""
        if self.p is None:
            return "no random control"
        n, much = len(self.null), self.as_much
        others = f"{much or 'none'} of {n} others {'change' if much > 1 else 'changes'} it as much"
        if n == 1:
            others = f"the only other one {'changes' if much else 'does not change'} it as much"
        shown = "" if self.together == 1 or self.p_together is None else f", corrected {self.p_together:.2g}"
        return f"{others} (p = {self.p:.2g}{shown})"

    @property
    def beside_null(self) -> str:
        """The comparison with the controls in words: how many do as much, p, and what follows."""
        if said := self.chosen_by_chance("cuts that are shown"):
            return f"{self.ranked.partition(' (')[0]}: {said}"
        if self.verdict == "no control":
            return self.ranked
        if self.verdict != "too few to tell":
            return f"{self.ranked}: {self.verdict}"
        return self.ranked if 2 * self.as_much > len(self.null) else f"{self.ranked}: too few others to tell"

    def chosen_by_chance(self, what: str) -> str:
        """Of one that is rare alone, and not among the several (`what`) that it was chosen from: both, in words; empty
        for any other."""
        if self.p is None or self.p > LEVEL or self.verdict != "no more than chance":
            return ""
        both = "" if self.p_together is None else f" ({self.p_together:.2g})"
        return f"rare here (p = {self.p:.2g}), but one of {self.together} {what} may be so by chance{both}"


@dataclass(frozen=True)
class Removal(Result):
    """The tokens that the best tested map calls most important, taken out of the sequence, beside random ones.

    map: the one with the least deletion area of `candidates` maps; `knockout.p_together` is corrected for choosing it.
    of: how many tokens of the input could have been taken.
    """

    map: str
    """name of the map"""
    title: str
    """its name for a reader"""
    candidates: int
    """maps that it was chosen from"""
    of: int
    """tokens that could have been taken"""
    knockout: KnockOut
    """what taking them away did"""


@dataclass(frozen=True)
class SwapStep(Result):
    """The answer when another input's states stand before layer `layer` for all tokens of a role (`what`)."""

    layer: int
    """before which the states stand"""
    what: str
    """the role whose states were swapped"""
    target: float
    """the explained class"""
    best: str
    """the answer"""
    best_probability: float
    """its probability"""


@dataclass(frozen=True)
class DonorView(Result):
    """The other input: its name, the model's answer to it, and how much of the explained class is in it."""

    name: str
    """of the other input"""
    answer: str
    """the model's answer to it"""
    target: float
    """the explained class in it"""


@dataclass(frozen=True)
class LensStep(Result):
    """What the model would answer with the states before layer `layer` (the last: after all layers)."""

    layer: int
    """before which the states stand"""
    target: float
    """the explained class"""
    best: str
    """the answer"""
    best_probability: float
    """its probability"""


@dataclass(frozen=True)
class UnseenTokens(Result):
    """What the class token did not look at (`study.unseen`), as token numbers.

    `attended_unused` and `unattended_used` are made of ranks, and noise fills them too: `p_unused` and `p_used` say how
    often as many tokens or more stand in them where weight and effect have nothing to do with each other, `expected`
    how many do on average; `largest` is the largest effect of one token, as a part of the outcome.
    """

    least: tuple[int, ...]
    """tokens with the least attention"""
    attended_unused: tuple[int, ...]
    """tokens with much attention and little effect"""
    unattended_used: tuple[int, ...]
    """tokens with little attention and much effect"""
    mass_of_least: float
    """attention on the least attended"""
    p_unused: float = 1.0
    """how often noise gives as many of the first"""
    p_used: float = 1.0
    """how often noise gives as many of the second"""
    expected: tuple[float, float] = (0.0, 0.0)
    """how many of either noise gives"""
    largest: float = 0.0
    """largest effect of one token"""

    @property
    def tells(self) -> tuple[bool, bool]:
        """Whether the two lists may be named: some token moves the outcome by `SMALLEST` of it, and the list is longer
        than chance makes it (p at most 0.05 for both together)."""
        moves = self.largest >= SMALLEST
        return moves and self.p_unused <= LEVEL / 2, moves and self.p_used <= LEVEL / 2


@dataclass(frozen=True)
class Artefacts(Result):
    """Outlier tokens per layer (share, norm over median); sinks as (layer, head, token, received, relative value)."""

    outlier_share: tuple[float, ...]
    """share of outlier tokens, a layer"""
    outlier_ratio: tuple[float, ...]
    """their length over the median, a layer"""
    sinks: tuple[tuple[int, int, int, float, float], ...]
    """tokens that draw attention and give little"""


@dataclass(frozen=True)
class Explanation(Result):
    """One input explained. `weights[layer][head]` is the class token's attention row over all tokens; `head_effects`
    what the target loses when a head's output is zeroed, per layer and head."""

    model: str
    item: str
    """name of the input"""
    modality: str
    readout: str
    """what the answer is read from"""
    outcome: str
    """`probability`, or `along`: the vector's length along what the whole input gives"""
    target: int
    """number of the explained class"""
    target_label: str
    """its name"""
    before: float
    """the explained class's score"""
    tokens: tuple[TokenView, ...]
    """every token"""
    grid: tuple[int, int] | None
    """rows and columns of patches"""
    answers: tuple[ClassScore, ...]
    """the model's answers, the surest first"""
    layers: tuple[LayerRow, ...]
    """the class token's attention, a layer"""
    weights: tuple[tuple[tuple[float, ...], ...], ...]
    """its attention row, by layer and head"""
    maps: tuple[RelevanceMap, ...]
    """what is called important, best tested first"""
    curves: CurveDefinition | None = None
    """how the tests were made"""
    removal: Removal | None = None
    """the verdict in numbers; `conclusion` has it in words"""
    routes: tuple[Route, ...] = ()
    """what reached it through another token"""
    knockouts: tuple[KnockOut, ...] = ()
    """what was taken away, and what that did"""
    head_effects: tuple[tuple[float, ...], ...] = ()
    """what the target loses without a head, by layer and head"""
    swaps: tuple[SwapStep, ...] = ()
    """the answer with another input's states"""
    donor: DonorView | None = None
    """the other input"""
    lens: tuple[LensStep, ...] = ()
    """the answer from the states of each layer"""
    unseen: UnseenTokens | None = None
    """what was not looked at"""
    artefacts: Artefacts | None = None
    """tokens that draw attention for nothing"""
    image: str | None = None
    """data URI of exactly what the model saw"""
    original: str | None = None
    """data URI of the picture as it was given, small"""
    notes: tuple[str, ...] = ()
    typical: float | None = None
    """how typical the input is of the labels (`PredictResult`), of models that know it"""
    given: tuple[str, ...] | None = None
    """input and model as they were given, for the walkthrough of them; None where there is none"""
    quick: bool = False
    """whether what takes many runs of the model was left out"""
    temperature: float = 1.0
    """what logits are divided by before they become probabilities"""

    @property
    def by_test(self) -> tuple[RelevanceMap, ...]:
        """The maps, best tested first; then those that share their measure with the test, controls, refused ones."""

        def rank(m: RelevanceMap) -> tuple[bool, bool, bool, float]:
            return bool(m.refused), m.control, m.by_removal, m.deletion if m.deletion is not None else 0.0

        return tuple(sorted(self.maps, key=rank))

    @property
    def content(self) -> tuple[int, ...]:
        """Numbers of the tokens that stand for pieces of the input, in order: what `RelevanceMap.scores` are of."""
        return tuple(i for i, token in enumerate(self.tokens) if token.role == Role.CONTENT)

    def map(self, name: str) -> RelevanceMap:
        """A map by its name. Raises KeyError naming those that exist."""
        found = {m.name: m for m in self.maps}
        if name not in found:
            raise KeyError(f"no map '{name}'; there are {', '.join(found)}")
        return found[name]

    @property
    def conclusion(self) -> str:
        """What was taken away, what that did to the answer, what random cuts did, and what follows; before it, where
        the input looks like none of the labels, that."""
        strange = ""
        if self.typical is not None and self.typical <= UNLIKE:
            strange = (
                f"This input looks like none of the model's labels (typical {self.typical:.2g}, where one in twenty "
                f"of their own has at most {UNLIKE}); the answer is the nearest of them. "
            )
        return strange + self._concluded()

    def _concluded(self) -> str:
        r = self.removal
        if r is None:
            few = len(self.content) < 2
            why = "It has one piece only, and nothing would be left" if few else "No map could be tested on this input"
            return f"{why}, so nothing is said about what matters."
        k, pieces = r.knockout, "patches" if self.grid else "word pieces"
        n = len(k.tokens)
        falls = "lowers" if k.after < k.before else "raises"
        what = self.target_label if self.outcome == "probability" else "the length along its own vector"
        words = f"Taking away the {n} of {r.of} {pieces} that {r.title} calls most important "
        if self._moves(k):
            words += f"{falls} {what} from {self.amount(k.before)} to {self.amount(k.after)}"
        else:
            words += f"leaves {what} at {self.amount(k.before)}"
        if k.null:
            others = sorted(k.null)
            as_many = f"{n} others" if n > 1 else "another one"
            words += (
                f"; with {as_many} at random it is {self.amount(median(others))} "
                f"({self.amount(others[0])} to {self.amount(others[-1])} in {len(others)} draws)"
            )
        return f"{words}. {self._follows(r)}"

    def _follows(self, r: Removal) -> str:
        k = r.knockout
        p = k.p if k.p_together is None else k.p_together
        best = f", corrected for choosing the best of {r.candidates} maps" if r.candidates > 1 else ""
        corrected = "" if p is None else f" (p = {p:.2g}{best})"
        if said := k.chosen_by_chance("maps"):
            return f"That is {said}: no map shows for certain what the answer rests on."
        if k.verdict in ("needed", "in its way") and not self._matters(k):
            return f"That is more than chance{corrected}, and too little to matter."
        if k.verdict == "needed" and self._hardly_falls(k):
            return f"That is more than chance{corrected}, and the answer hardly changes without them."
        follows = {
            "needed": f"The answer needs them{corrected}.",
            "in its way": f"They stand in the answer's way{corrected}.",
            "no more than chance": f"That is no more than chance{corrected}: no map shows what the answer rests on.",
            "too few to tell": "There are too few other sets of this size to tell it from chance.",
            "no control": "There is nothing to hold it against.",
        }
        return follows[k.verdict]

    @property
    def believed(self) -> bool:
        """Whether taking away what the best tested map calls important changed the answer by more than chance does."""
        k = None if self.removal is None else self.removal.knockout
        counts = k is not None and k.verdict in ("needed", "in its way") and self._matters(k)
        return counts and not (k is not None and k.chosen_by_chance("maps"))

    @property
    def brief(self) -> str:
        """What the page begins with: the answers, and the verdict."""
        return "\n".join(self._head())

    def _moves(self, k: KnockOut) -> bool:
        """Whether the answer changes by as much as is written out."""
        return self.amount(k.before) != self.amount(k.after)

    def _matters(self, k: KnockOut) -> bool:
        """Whether it changes by as much as is written out, a probability by half a point."""
        return self._moves(k) and (self.outcome != "probability" or abs(k.after - k.before) >= NOTHING)

    def _hardly_falls(self, k: KnockOut) -> bool:
        """Whether a probability is as good as it was."""
        return self.outcome == "probability" and k.before - k.after < LITTLE

    def amount(self, value: float) -> str:
        """A probability in per cent, or a length."""
        return f"{100 * value:.1f} %" if self.outcome == "probability" else f"{value:.3g}"

    def change(self, before: float, after: float) -> str:
        """From one answer to another: percentage points, or a length."""
        return f"{100 * (after - before):+.1f} points" if self.outcome == "probability" else f"{after - before:+.3g}"

    def beside(self, k: KnockOut) -> str:
        """A knock-out beside its controls in words; what is rare and small is not called needed."""
        if k.verdict in ("needed", "in its way") and not self._matters(k):
            return f"{k.ranked}: more than chance, and too little to matter"
        if k.verdict == "needed" and self._hardly_falls(k):
            return f"{k.ranked}: more than chance, and the answer hardly changes"
        return k.beside_null

    def token_name(self, i: int) -> str:
        """What a token is called; one of several word pieces that are written alike, with its position: `good (14)`."""
        text = self.tokens[i].text or f"{self.tokens[i].role.name.lower()} (token {i})"
        return f"{text} ({i})" if sum(token.text == text for token in self.tokens) > 1 else text

    def named(self, k: KnockOut) -> str:
        """What was taken away, with the tokens where they are few."""
        few = names_in_a_line(map(self.token_name, k.tokens)) if 0 < len(k.tokens) <= 3 else ""
        return k.what + (f" [{few}]" if few else "")

    def _head(self) -> list[str]:
        lines = [f"{in_a_line(self.item)}  [{self.model}, read out: {self.readout}]", ""]
        if self.outcome == "probability":
            best = ", ".join(f"{in_a_line(a.label)} {100 * a.probability:.1f} %" for a in self.answers[:3])
            label = in_a_line(self.target_label)
            lines += [
                f"answers      {best}",
                f"explained    {label} ({100 * self.before:.1f} %)",
            ]
        else:
            lines += [f"explained    {in_a_line(self.target_label)}"]
        return [*lines, "", in_a_line(self.conclusion)]

    def __str__(self) -> str:
        lines = self._head()
        lines += _maps_in_words(self)
        lines += _knocks_in_words(self)
        lines += [] if self.quick else _rows_in_words(self)
        lines += [f"note         {in_a_line(note)}" for note in self.notes]
        return "\n".join(lines)


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)


def _rows_in_words(explanation: Explanation) -> list[str]:
    rows = [
        f"  {row.layer:3d}   {_mean(row.entropy):5.2f}   {_mean(row.relative):5.2f}    {_mean(row.effective):6.1f}    "
        f"{_mean(row.itself):5.2f}     {row.agreement:5.2f}"
        for row in explanation.layers
    ]
    head = "layer  entropy  of max  eff. tokens  on itself  head agreement"
    meaning = [
        "  (means over the heads. entropy: in nats, then of the largest possible; eff. tokens: over how many tokens it",
        "  spreads; head agreement: how alike the heads look, 1 where all look the same way)",
    ]
    return ["", "the class token's attention", head, *rows, *meaning, ""] if rows else []


def _maps_in_words(explanation: Explanation) -> list[str]:
    titles = {m.name: m.title + (f" ({m.name})" if m.name != m.title else "") for m in explanation.maps}
    marks = {m.name: " (control)" if m.control else " *" if m.by_removal else "" for m in explanation.maps}
    wide = max(24, *(len(titles[name] + marks[name]) for name in titles)) if titles else 24
    lines = ["", f"{'map, best tested first':{wide}s}  deletion  insertion   SaCo   strongest token"]
    for m in explanation.by_test:
        if m.refused:
            lines.append(f"{titles[m.name]:{wide}s}  {m.refused}")
            continue
        best = explanation.content[max(range(len(m.scores)), key=m.scores.__getitem__)]
        strongest = in_a_line(explanation.token_name(best)) if max(m.scores) > min(m.scores) else "none: all alike"
        numbers = "".join("         -" if v is None else f"  {v:8.3f}" for v in (m.deletion, m.insertion, m.saco))
        lines.append(f"{titles[m.name] + marks[m.name]:{wide}s}{numbers}   {strongest}")
    lines += [
        "  (deletion: area under the answer while the map's tokens are taken away, best first: lower is better;",
        "  insertion: while they are given back: higher is better; SaCo: whether larger scores go with larger effects,",
        "  -1 to 1)",
    ]
    if any(m.by_removal and m.scores for m in explanation.maps):
        lines.append("  * made by taking tokens away, as the test does: its figures flatter it")
    return [*lines, ""]


def _knocks_in_words(explanation: Explanation) -> list[str]:
    lines = []
    for k in explanation.knockouts:
        goes = f"{explanation.amount(k.before)} -> {explanation.amount(k.after)}"
        lines.append(f"knock-out    {explanation.named(k)} ({k.mode}): {goes}; {explanation.beside(k)}")
    for what in dict.fromkeys(step.what for step in explanation.swaps):
        values = " ".join(f"{step.target:.3f}" for step in explanation.swaps if step.what == what)
        lines.append(f"swapped in   {what.lower()} states of the donor before layer 0, 1, ...: {values}")
    return lines
