"""What `atlas` gives back."""

from dataclasses import dataclass
from pathlib import Path

from classtoken.results.base import Result, counted
from classtoken.results.lines import in_a_line


@dataclass(frozen=True)
class Trustworthiness:
    """Whether neighbours on the plane are neighbours in truth, 0 to 1, with its 95 % interval; and that of a plain
    projection on the two main directions."""

    value: float
    """of the map, 0 to 1"""
    low: float
    high: float
    main_directions: float
    """of a plain projection on the two main directions"""


@dataclass(frozen=True)
class AtlasCluster:
    """Rows that lie together: a name, how many, and the ids of typical and odd members."""

    name: str
    """what it is called"""
    size: int
    """how many rows"""
    typical: tuple[str, ...]
    """ids of rows in its middle"""
    odd: tuple[str, ...]
    """ids of rows at its edge"""


@dataclass(frozen=True)
class AtlasResult(Result):
    """A page that shows a folder of vectors: `shown` of `rows` rows are on it, with `pictures` thumbnails. `bytes` is
    its size."""

    out: str
    folder: str
    column: str
    rows: int
    shown: int
    """rows that are on the page"""
    pictures: int
    """thumbnails on the page"""
    bytes: int
    """size of the page"""
    trustworthiness: Trustworthiness | None
    """whether neighbours on the page are neighbours in truth"""
    clusters: tuple[AtlasCluster, ...]
    """rows that lie together"""
    seconds: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [
            f"{self.out}: {self.shown} of {counted(self.rows, 'row')} of {self.folder} on one page of "
            f"{self.bytes / 1e6:.1f} MB, "
            f"{self.seconds:.1f} s"
        ]
        if self.trustworthiness is not None:
            t = self.trustworthiness
            measured = f"{t.value:.3f}" + (f" ({t.low:.3f} to {t.high:.3f})" if t.low < t.high else "")
            lines.append(f"  trustworthiness {measured}; the two main directions alone: {t.main_directions:.3f}")
        if self.clusters:
            lines.append("  rows in each group, and what sets it apart:")
        lines += [f"  {cluster.size:6d}  {in_a_line(cluster.name)}" for cluster in self.clusters]
        lines.append(f"open it in any browser: {Path(self.out).resolve().as_uri()}")
        return "\n".join([*lines, *(f"  note: {in_a_line(note)}" for note in self.notes)])
