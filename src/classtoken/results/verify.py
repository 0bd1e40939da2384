"""What `verify` gives back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from classtoken.results.base import Result, counted


@dataclass(frozen=True)
class Norms:
    """The lengths of one pooling's vectors: smallest, mean, largest; `finite` when no number is NaN or infinite."""

    smallest: float
    """shortest vector"""
    mean: float
    """of all vectors"""
    largest: float
    """longest vector"""
    finite: bool
    """no number is NaN or infinite"""


@dataclass(frozen=True)
class Proof(Result):
    """Whether a model gives the golden vectors that are kept beside a folder's: per column the lowest cosine, and what
    differs in how they are made."""

    model: str
    ok: bool
    """whether it does"""
    lowest: Mapping[str, float]
    """by column, the lowest cosine to a vector that is kept"""
    drift: str
    """how far off its vectors are, in words"""
    differences: tuple[str, ...] = ()
    """what differs in how they are made"""


@dataclass(frozen=True)
class VerifyResult(Result):
    """Whether a folder of vectors is whole: nothing in `problems` means that it is.

    `removed` counts files of ours that the manifest did not list, and that were removed as asked. `proof` is there
    where a model was named: whether it makes these vectors.
    """

    folder: str
    complete: bool
    """whether the run that made it has ended"""
    files: int
    """files of vectors"""
    rows: int
    refused: int
    total: int
    """records of the source"""
    norms: Mapping[str, Norms]
    """lengths by column"""
    problems: tuple[str, ...]
    """what is wrong, a sentence each; nothing: it is whole"""
    removed: int = 0
    """files that the manifest did not list, taken away as asked"""
    proof: Proof | None = None
    """whether a model makes these vectors, where one was named"""

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.problems and (self.proof is None or self.proof.ok)

    def __str__(self) -> str:
        lines = [
            f"{self.folder}: {counted(self.rows, 'vector')} of {counted(self.total, 'record')} in "
            f"{counted(self.files, 'file')}, {self.refused} refused"
        ]
        for name, norms in self.norms.items():
            finite = "finite" if norms.finite else "NOT FINITE"
            lines.append(
                f"  {name}: length {norms.smallest:.4g} to {norms.largest:.4g}, mean {norms.mean:.4g}, {finite}"
            )
        if self.removed:
            lines.append(f"  removed: {counted(self.removed, 'file')} that the manifest does not list")
        lines += [f"  problem: {problem}" for problem in self.problems] or ["  everything is there and agrees"]
        if self.proof is not None:
            worst = min(self.proof.lowest.values())
            word = "gives these vectors" if self.proof.ok else "does NOT give these vectors"
            lines.append(f"  {self.proof.model} {word}: lowest cosine {worst:.5f}, {self.proof.drift}")
            lines += [f"    made with {difference}" for difference in self.proof.differences]
        return "\n".join(lines)


@dataclass(frozen=True)
class Resembling(Result):
    """A way to read the model, in words, and the mean cosine of its vectors to those that were looked at."""

    reading: str
    """how the model is read, in words"""
    cosine: float
    """mean, to the vectors that were looked at"""


@dataclass(frozen=True)
class Diagnosis(Result):
    """What a service's vectors, or somebody's stored ones, really are, beside what a model was meant to give.

    `verdict`: they are what is meant (`matches`), they are something else (`differs`), or that cannot be said
    (`unknown`). `differs_by` names the axes: pooling, normalization, prompt, truncation, end_token, model, layer,
    dense; order, where each is the vector of another text. `cosine` is their mean cosine to what is meant (None: of
    another size), `found` what fits them best, in words, `found_cosine` and `lowest` its mean and smallest cosine,
    `drift` how far off numbers of less precision are. `neighbours`: the part of the short texts whose nearest other one
    is the same. `part_of`: how many numbers the vector that is meant has, where theirs, `size`, are fewer: its first
    ones, as a service gives them that is asked for fewer dimensions.
    """

    of: str
    """whose vectors"""
    model: str
    verdict: Literal["matches", "differs", "unknown"]
    """they are what is meant, something else, or that cannot be said"""
    differs_by: tuple[str, ...]
    """the axes in which they differ"""
    cosine: float | None
    """mean, to what is meant; None: of another size"""
    meant: str
    """what the model was meant to give"""
    found: str
    """what fits them best"""
    found_cosine: float | None
    """its mean cosine"""
    lowest: float | None
    """its smallest cosine"""
    drift: str
    """how far off numbers of less precision are"""
    neighbours: float | None
    """share of the short texts whose nearest other one is the same"""
    texts: int
    """how many were looked at"""
    size: int
    """numbers of a vector"""
    evidence: tuple[str, ...] = ()
    """what speaks for it"""
    nearest: tuple[Resembling, ...] = ()
    """what fits them best, the best first"""
    part_of: int | None = None
    """numbers of the vector that is meant, where theirs are its first ones"""

    @property
    def ok(self) -> bool:
        """They are what is meant, or its first numbers (`part_of`)."""
        return self.verdict == "matches"

    def __str__(self) -> str:
        lines = [f"{self.of}: {self._sentence()}"]
        lines.append(f"  meant:  {self.meant}")
        if self.found:
            lines.append(f"  found:  {self.found} (cosine {self.found_cosine:.5f}, lowest {self.lowest:.5f})")
        if self.cosine is not None and self.verdict != "matches":
            lines.append(f"  cosine to what is meant: {self.cosine:.4f}")
        if self.neighbours is not None and self.verdict != "matches":
            lines.append(f"  the nearest other text is the same for {self.neighbours:.0%} of the short ones")
        lines += [f"  {line}" for line in self.evidence]
        return "\n".join(lines)

    def _sentence(self) -> str:
        if self.verdict == "matches":
            part = "" if self.part_of is None else f"first {self.size} of {self.part_of} numbers of the "
            return f"these are the {part}vectors of {self.model}, {self.drift} ({counted(self.texts, 'text')})"
        if self.verdict == "unknown":
            return f"whether these are the vectors of {self.model} cannot be said ({counted(self.texts, 'text')})"
        if self.differs_by == ("model",):
            return f"these are not vectors of {self.model} ({counted(self.texts, 'text')})"
        how = ", ".join(self.differs_by)
        return f"these are vectors of {self.model}, but differ by {how} ({counted(self.texts, 'text')})"
