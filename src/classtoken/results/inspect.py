"""What `inspect` finds: which vectors a checkpoint can give, which one its authors meant, and the evidence."""

import textwrap
from dataclasses import dataclass, field
from enum import StrEnum

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
    source: str
    says: str


@dataclass(frozen=True)
class Claim(Result):
    """One part of the contract, or one property of the model, and what speaks for it."""

    subject: str
    value: str
    verdict: Verdict
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Contract(Result):
    """The readout that the checkpoint's authors meant.

    `pooling` is a pooling's spec; `after` are the steps applied to the pooled vector in order, as words (`dense 384 ->
    256, tanh`, `projection 512 -> 512`), `before` those on every token's state; `unit_length` divides by the Euclidean
    norm at the end.
    """

    pooling: str
    size: int
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    unit_length: bool = False
    reason: str = ""
    source: str = ""
    prompt: str | None = None
    include_prompt: bool = True
    max_length: int | None = None

    def __str__(self) -> str:
        tokens = [f"{step} on every token" for step in self.before]
        steps = [*tokens, self.pooling, *self.after, *(["unit length"] if self.unit_length else [])]
        return f"{', then '.join(steps)} ({self.size} numbers)"


@dataclass(frozen=True)
class Vector(Result):
    """A vector that the checkpoint can give, or cannot."""

    spec: str
    size: int | None
    weights: str
    """`none needed`, `present`, `MISSING`"""
    meaning: str
    available: bool = True
    recommended: bool = False


@dataclass(frozen=True)
class InspectedTower(Result):
    """One encoder of the checkpoint (a two-tower model has two)."""

    modality: str
    family: str
    paper: str
    layout: Layout
    depth: int
    heads: int
    hidden_size: int
    parameters: int
    contract: Contract
    vectors: tuple[Vector, ...]
    claims: tuple[Claim, ...]
    preprocessing: str
    good_for: tuple[str, ...] = ()
    not_for: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inspection(Result):
    """The answer of `inspect`; `str()` is the table that a person reads, `to_json()` what a program reads."""

    model: str
    towers: tuple[InspectedTower, ...]
    labels: int = 0
    verified: bool = True
    notes: tuple[str, ...] = field(default=())

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
        """What a person reads in ten seconds; with `evidence`, every observation behind every claim."""
        lines: list[str] = []
        for tower in self.towers:
            lines += _tower_lines(self.model, tower, self.labels, evidence)
        lines += _block("note", list(self.notes))
        if not evidence:
            lines.append("(every observation behind these claims: --evidence, or .table(evidence=True))")
        return "\n".join(lines)


WIDTH = 118
MARKS = {
    Verdict.PROVED: "proved",
    Verdict.DECLARED: "declared",
    Verdict.ASSUMED: "assumed",
    Verdict.DISPUTED: "DISPUTED",
    Verdict.REFUTED: "REFUTED",
}


def _tower_lines(model: str, tower: InspectedTower, labels: int, evidence: bool) -> list[str]:
    size = f"{tower.parameters / 1e6:.1f} M parameters, {tower.depth} blocks, {tower.heads} heads"
    head = f", {labels} labels" if labels else ""
    lines = [f"{model}: {tower.family} {tower.modality} encoder ({size}, hidden size {tower.hidden_size}{head})", ""]
    lines += _block("layout", [str(tower.layout)])
    why = f"{tower.contract.reason} [{tower.contract.source}]" if tower.contract.reason else ""
    lines += _block("use", [str(tower.contract), *([why] if why else [])])
    lines += _block("good for", ["; ".join(tower.good_for)] if tower.good_for else [])
    lines += _block("not for", ["; ".join(tower.not_for)] if tower.not_for else [])
    lines += ["", *_vector_table(tower.vectors), ""]
    claims = [
        f"{MARKS[claim.verdict]:8s} {claim.subject}: {claim.value}"
        + (_sources(claim) if evidence or claim.verdict in (Verdict.DISPUTED, Verdict.REFUTED) else "")
        for claim in tower.claims
    ]
    lines += _block("evidence", claims, indent=9)
    lines += _block("input", [tower.preprocessing])
    lines += _block("mind", list(tower.advice), bullet="- ")
    lines += _block("gaps", [", ".join(tower.gaps)] if tower.gaps else [])
    return [*lines, ""]


def _sources(claim: Claim) -> str:
    return "".join(f" [{e.source}: {e.says}]" for e in claim.evidence)


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
    return [*lines, f"{'':10s}(* the contract's own; x refused)"]
