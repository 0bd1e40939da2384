"""What `inspect` finds: which vectors a checkpoint can give, which one its authors meant, and the evidence."""

import textwrap
from dataclasses import dataclass, field
from enum import StrEnum

from classtoken.results.against import Against
from classtoken.results.base import Result
from classtoken.values import Layout


class Kind(StrEnum):
    """Where a piece of evidence comes from."""

    FILE = "file"
    WEIGHTS = "weights"
    EXPERIMENT = "experiment"
    PAPER = "paper"


class Verdict(StrEnum):
    """What became of a claim."""

    PROVED = "proved"
    """an experiment on this checkpoint confirms it"""
    DECLARED = "declared"
    """its files say so and nothing contradicts"""
    ASSUMED = "assumed"
    """only what is known of the family says so"""
    DISPUTED = "disputed"
    """two sources disagree; both are shown"""
    REFUTED = "refuted"
    """an experiment contradicts it"""


@dataclass(frozen=True)
class Evidence(Result):
    """One observation: where it was made and what it says."""

    kind: Kind
    """what kind of source"""
    source: str
    """where it was seen"""
    says: str
    """what was seen"""


@dataclass(frozen=True)
class Claim(Result):
    """One part of the contract, or one property of the model, and what speaks for it."""

    subject: str
    """what it is about"""
    value: str
    """what it says"""
    verdict: Verdict
    """what became of it"""
    evidence: tuple[Evidence, ...] = ()
    """what speaks for it"""


@dataclass(frozen=True)
class Contract(Result):
    """The readout that the checkpoint's authors meant.

    `pooling` is a pooling's spec; `after` are the steps applied to the pooled vector in order, as words (`dense 384 ->
    256, tanh`, `projection 512 -> 512`), `before` those on every token's state; `unit_length` divides by the Euclidean
    norm at the end.
    """

    pooling: str
    size: int
    """numbers of the vector"""
    before: tuple[str, ...] = ()
    """steps on every token's state"""
    after: tuple[str, ...] = ()
    """steps on the pooled vector, in order"""
    unit_length: bool = False
    """whether its length is made 1"""
    reason: str = ""
    """why it is this one"""
    source: str = ""
    """where that stands"""
    prompt: str | None = None
    """text that its authors put before an input"""
    include_prompt: bool = True
    """whether the prompt's tokens are pooled"""
    max_length: int | None = None
    """tokens that are read of a text"""

    def __str__(self) -> str:
        tokens = [f"{step} on every token" for step in self.before]
        steps = [*tokens, self.pooling, *self.after, *(["unit length"] if self.unit_length else [])]
        return f"{', then '.join(steps)} ({self.size} numbers)"


@dataclass(frozen=True)
class Vector(Result):
    """A vector that the checkpoint can give, or cannot."""

    spec: str
    """what to give as `pooling`"""
    size: int | None
    """numbers"""
    weights: str
    """`none needed`, `present`, `MISSING`"""
    meaning: str
    """what it is, in words"""
    available: bool = True
    """whether it is given"""
    recommended: bool = False
    """whether its authors meant it"""


@dataclass(frozen=True)
class InspectedTower(Result):
    """One encoder of the checkpoint (a two-tower model has two)."""

    modality: str
    family: str
    """which kind of encoder"""
    paper: str
    """where it was published"""
    layout: Layout
    """what its tokens are"""
    depth: int
    """blocks"""
    heads: int
    """attention heads a block"""
    hidden_size: int
    """numbers of a token's state"""
    parameters: int
    """how many"""
    contract: Contract
    """the vector that its authors meant"""
    vectors: tuple[Vector, ...]
    """all that it could give"""
    claims: tuple[Claim, ...]
    """what was found, with evidence"""
    preprocessing: str
    """what happens to an input, in words"""
    good_for: tuple[str, ...] = ()
    """what the vector is for"""
    not_for: tuple[str, ...] = ()
    """what it is not for"""
    advice: tuple[str, ...] = ()
    """what to mind"""
    gaps: tuple[str, ...] = ()
    """internal values that it cannot give"""
    refused: str = ""
    """why the contract's own vector is not given, and what to do"""
    python: str = ""
    """the line that gives the vector, in Python"""
    command: str = ""
    """the same on the command line"""
    route: str = ""
    """which texts take it (`prompt`), in a model that sends queries and documents through modules of their own"""
    usual: bool = True
    """whether a text takes it whose prompt names no route"""

    @property
    def doubtful(self) -> tuple[str, ...]:
        """What is not settled: why no vector is given; claims that are disputed, refuted, or backed by no file."""
        # what a loss made a unit vector of is what the authors meant, though no file of the folder repeats it
        known = {Verdict.ASSUMED} if self.contract.unit_length else set()
        open_ones = (claim for claim in self.claims if claim.verdict in OPEN and claim.verdict not in known)
        said = (_claim_line(claim) for claim in open_ones)
        return (*([self.refused] if self.refused else []), *said)


@dataclass(frozen=True)
class Inspection(Result):
    """The answer of `inspect`; `str()` is the table that a person reads, `to_json()` what a program reads."""

    model: str
    towers: tuple[InspectedTower, ...]
    """its encoders: one, or two that meet"""
    labels: int = 0
    """classes of its classifier"""
    verified: bool = True
    """whether experiments were run"""
    notes: tuple[str, ...] = field(default=())
    against: Against | None = None
    """what differs between this model and another one"""

    @property
    def layout(self) -> Layout:
        """Roles in order (of the first tower)."""
        return self.towers[0].layout

    @property
    def contract(self) -> Contract:
        """The authors' readout (of the first tower)."""
        return self.towers[0].contract

    @property
    def vectors(self) -> tuple[Vector, ...]:
        """Every vector that was considered (of the first tower)."""
        return self.towers[0].vectors

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Claims and their evidence, of all towers."""
        return tuple(claim for tower in self.towers for claim in tower.claims)

    @property
    def advice(self) -> tuple[str, ...]:
        """What to mind, of all towers."""
        return tuple(line for tower in self.towers for line in tower.advice)

    def __str__(self) -> str:
        return self.table()

    def table(self, *, evidence: bool = False) -> str:
        """What a person reads in ten seconds; with `evidence`, every vector, claim and observation."""
        if self.against is not None and not evidence:
            kinds = " and ".join(f"{tower.family} {tower.modality} encoder" for tower in self.towers)
            return "\n".join([f"{self.model}: {kinds}", *self.against.lines()])
        lines: list[str] = [] if self.against is None else self.against.lines()
        for tower in self.towers:
            lines += _tower_lines(self, tower, evidence=evidence)
        lines += _block("note", list(self.notes))
        if not evidence:
            lines.append("(every vector, claim and observation: --evidence, or .table(evidence=True))")
        return "\n".join(lines)


WIDTH = 118
MARKS = {
    Verdict.PROVED: "proved",
    Verdict.DECLARED: "declared",
    Verdict.ASSUMED: "assumed",
    Verdict.DISPUTED: "DISPUTED",
    Verdict.REFUTED: "REFUTED",
}
OPEN = (Verdict.ASSUMED, Verdict.DISPUTED, Verdict.REFUTED)


def _tower_lines(found: Inspection, tower: InspectedTower, *, evidence: bool) -> list[str]:
    count = f"{tower.parameters / 1e6:.1f} M parameters"
    size = f"{count}, {tower.depth} blocks, {tower.heads} heads, hidden size {tower.hidden_size}" if evidence else count
    head = f", {found.labels} labels" if found.labels else ""
    way = f", route '{tower.route}'" + ", taken where none is named" * tower.usual if tower.route else ""
    lines = [f"{found.model}: {tower.family} {tower.modality} encoder{way} ({size}{head})", ""]
    why = f"{tower.contract.reason} [{tower.contract.source}]" if tower.contract.reason else ""
    use = ["nothing before a pooling is named"] if tower.refused else [str(tower.contract), *([why] if why else [])]
    lines += _block("use", use)
    lines += _block("layout", [str(tower.layout)])
    lines += [f"{title:10s}{line}" for title, line in (("Python", tower.python), ("shell", tower.command)) if line]
    lines += _block("good for", ["; ".join(tower.good_for)] if tower.good_for else [])
    lines += _block("not for", ["; ".join(tower.not_for)] if tower.not_for else [])
    if evidence:
        lines += ["", *_vector_table(tower.vectors), ""]
        claims = [f"{MARKS[claim.verdict]:8s} {_claim_line(claim)}" for claim in tower.claims]
        lines += _block("evidence", claims, indent=9)
        lines += _block("input", [tower.preprocessing])
        lines += _block("gaps", [", ".join(tower.gaps)] if tower.gaps else [])
    else:
        lines += _block("others", [_others(tower)])
        lines += _block("checked", [_checked(tower, found.verified)])
        lines += _block("doubtful", list(tower.doubtful), bullet="- ")
    lines += _block("mind", list(tower.advice), bullet="- ")
    return [*lines, ""]


def _others(tower: InspectedTower) -> str:
    """The other vectors by name, those that are refused with the reason."""
    given = [one.spec for one in tower.vectors if one.available and (tower.refused or not one.recommended)]
    missing = "its weights are not in the file"
    refused = [
        f"{one.spec} ({missing if one.weights == 'MISSING' else 'it reads a class token in front of every text'})"
        for one in tower.vectors
        if not one.available
    ]
    lost = f"refused: {', '.join(refused)}" if refused else ""
    return "; ".join(part for part in (", ".join(given), lost) if part)


def _checked(tower: InspectedTower, verified: bool) -> str:
    """How many experiments were run, and whether one of them speaks against the files."""
    if not verified:
        return "the files alone; no experiment was run"
    ran = [claim for claim in tower.claims if any(e.kind == Kind.EXPERIMENT for e in claim.evidence)]
    bad = sum(claim.verdict == Verdict.REFUTED for claim in ran)
    agree = f"{bad} of them speak{'s' * (bad == 1)} against" if bad else "all of them agree with"
    return f"{len(ran)} experiments on the loaded model; {agree} what is said here"


def _claim_line(claim: Claim) -> str:
    return f"{claim.subject}: {claim.value}" + "".join(f" [{e.source}: {e.says}]" for e in claim.evidence)


def _block(title: str, entries: list[str], *, indent: int = 0, bullet: str = "") -> list[str]:
    lines = []
    for n, entry in enumerate(entries):
        start = f"{title if n == 0 else '':10s}{bullet}"
        after = " " * (10 + len(bullet) + indent)
        lines += (
            textwrap.wrap(entry, WIDTH, initial_indent=start, subsequent_indent=after, break_on_hyphens=False) or []
        )
    return lines


def _vector_table(vectors: tuple[Vector, ...]) -> list[str]:
    width = max((len(v.spec) for v in vectors), default=6) + 2
    lines = [f"{'vectors':10s}  {'name':{width}s}{'size':>6s}  {'weights':12s} what it is"]
    for vector in vectors:
        mark = "*" if vector.recommended else ("x" if not vector.available else " ")
        size = str(vector.size) if vector.size else "-"
        start = f"{'':10s}{mark} {vector.spec:{width}s}{size:>6s}  {vector.weights:12s} "
        lines += textwrap.wrap(
            vector.meaning, WIDTH, initial_indent=start, subsequent_indent=" " * len(start), break_on_hyphens=False
        ) or [start]
    refused = "" if all(vector.available for vector in vectors) else "; x refused"
    return [*lines, f"{'':10s}(* the authors' own{refused})"]
