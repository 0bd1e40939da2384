"""What `verify` gives back."""

from collections.abc import Mapping
from dataclasses import dataclass

from classtoken.results.base import Result


@dataclass(frozen=True)
class Norms:
    """The lengths of one pooling's vectors: smallest, mean, largest; `finite` when no number is NaN or infinite."""

    smallest: float
    mean: float
    largest: float
    finite: bool


@dataclass(frozen=True)
class VerifyResult(Result):
    """Whether a folder of vectors is whole: nothing in `problems` means that it is.

    `removed` counts files of ours that the manifest did not list, and that were removed as asked.
    """

    folder: str
    complete: bool
    files: int
    rows: int
    refused: int
    total: int
    norms: Mapping[str, Norms]
    problems: tuple[str, ...]
    removed: int = 0

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        lines = [
            f"{self.folder}: {self.rows} vectors of {self.total} records in {self.files} files, {self.refused} refused"
        ]
        for name, norms in self.norms.items():
            finite = "finite" if norms.finite else "NOT FINITE"
            lines.append(
                f"  {name}: length {norms.smallest:.4g} to {norms.largest:.4g}, mean {norms.mean:.4g}, {finite}"
            )
        if self.removed:
            lines.append(f"  {self.removed} files that the manifest does not list were removed")
        lines += [f"  problem: {problem}" for problem in self.problems] or ["  everything is there and agrees"]
        return "\n".join(lines)
