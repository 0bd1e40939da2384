"""What differs between two checkpoints: `inspect A --against B`."""

import textwrap
from dataclasses import dataclass

from classtoken.results.base import Result

WIDTH = 118
#: Weights that are listed for people; the JSON has all of them.
MOST_SHOWN = 8
#: Vectors are called the same up to this difference of their cosine from 1.
SAME_COSINE = 1e-6


@dataclass(frozen=True)
class WeightDifference(Result):
    """One tensor, by its name in this package (of a foreign model: in transformers).

    `distance` is the Euclidean norm of the difference, relative to that of the other's tensor; None where one of the
    two has no such tensor, or another shape. Shapes are written as `768x768`, empty where there is none.
    """

    name: str
    """the tensor"""
    here: str
    """its shape in the model"""
    there: str
    """its shape in the other one"""
    distance: float | None = None
    """norm of the difference, relative to the other's"""

    def __str__(self) -> str:
        if self.distance is not None:
            return f"{self.name} ({self.here}): {self.distance:.2g} of its length away"
        shapes = f"{self.here} instead of {self.there}" if self.here and self.there else ""
        return f"{self.name}: {shapes or ('only here' if self.here else 'only there')}"


@dataclass(frozen=True)
class SettingDifference(Result):
    """One setting that differs: what it is called, its value here and there."""

    name: str
    """what it is called"""
    here: str
    """its value in the model"""
    there: str
    """its value in the other one"""

    def __str__(self) -> str:
        return f"{self.name}: {self.here} instead of {self.there}"


@dataclass(frozen=True)
class SideDifferences(Result):
    """What differs between the same sides (text or image) of two models.

    weights: tensors that differ, those of another shape or on one side alone first, then the largest difference.
    equal: tensors that do not. contract, preprocessing and tokenizer: settings that differ. cosine: of the two models'
    own vectors of each sample input, each as its authors meant it; empty where the vectors have other sizes or are
    refused, which `cosine_why` says.
    """

    modality: str
    weights: tuple[WeightDifference, ...]
    """tensors that differ"""
    equal: int
    """how many tensors do not differ"""
    contract: tuple[SettingDifference, ...]
    """settings of the readout that differ"""
    preprocessing: tuple[SettingDifference, ...]
    """settings of the preprocessing that differ"""
    tokenizer: tuple[SettingDifference, ...]
    """settings of the tokenizer that differ"""
    cosine: tuple[float, ...] = ()
    """of both models' own vectors, one a sample input"""
    cosine_why: str = ""
    """why there is no cosine"""

    @property
    def lowest(self) -> float | None:
        """The smallest cosine."""
        return min(self.cosine, default=None)

    def lines(self) -> list[str]:
        """As people read it."""
        count = len(self.weights)
        differ = f"{count} of {count + self.equal} tensors differ"
        weights = [differ if count else f"all {self.equal} tensors are equal"]
        weights += [str(one) for one in self.weights[:MOST_SHOWN]]
        if count > MOST_SHOWN:
            weights.append(f"and {count - MOST_SHOWN} more (--json has all of them)")
        lines = _block("weights", weights)
        for title, found in (
            ("contract", self.contract),
            ("input", self.preprocessing),
            ("tokenizer", self.tokenizer),
        ):
            lines += _block(title, [str(one) for one in found])
        lowest = self.lowest
        if lowest is None:
            return lines + _block("cosine", [self.cosine_why])
        mean = sum(self.cosine) / len(self.cosine)
        said = f"of the two vectors of {len(self.cosine)} sample inputs: {mean:.4f} on average, {lowest:.4f} at least"
        return lines + _block("cosine", [said])


@dataclass(frozen=True)
class Against(Result):
    """What differs between a model and another one."""

    other: str
    """the other model"""
    sides: tuple[SideDifferences, ...]
    """what differs, side by side"""
    only_here: tuple[str, ...] = ()
    """sides that the other does not have"""
    only_there: tuple[str, ...] = ()
    """sides that only the other model has"""

    @property
    def verdict(self) -> str:
        """In one sentence: whether the two give the same vectors."""
        if self.only_here or self.only_there or not self.sides:
            alone = [f"{side} only here" for side in self.only_here]
            alone += [f"{side} only there" for side in self.only_there]
            return f"they do not read the same: {', '.join(alone)}"
        lowest = [side.lowest for side in self.sides]
        if any(one is None for one in lowest):
            return "their vectors cannot be compared"
        if all(one is not None and one >= 1 - SAME_COSINE for one in lowest):
            parts = [
                name
                for name in ("weights", "contract", "preprocessing", "tokenizer")
                if any(getattr(side, name) for side in self.sides)
            ]
            return f"the same vectors on all samples{', though ' + ' and '.join(parts) + ' differ' if parts else ''}"
        return "other vectors"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """As people read it."""
        lines = [f"against {self.other}: {self.verdict}", ""]
        for side in self.sides:
            if len(self.sides) > 1:
                lines.append(f"{side.modality} side")
            lines += [*side.lines(), ""]
        return lines


def _block(title: str, entries: list[str]) -> list[str]:
    lines = []
    for n, entry in enumerate(entries):
        start = f"{title if n == 0 else '':10s}"
        lines += textwrap.wrap(entry, WIDTH, initial_indent=start, subsequent_indent=" " * 12, break_on_hyphens=False)
    return lines
