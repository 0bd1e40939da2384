"""What `index` gives back."""

from dataclasses import dataclass

from classtoken.results.base import Result, counted


@dataclass(frozen=True)
class IndexResult(Result):
    """An index that was made: the share of the `k` best rows that it finds, `recall`, with its 95 % interval from `low`
    to `high`, measured on `queries` rows on which nothing was chosen. `probes` and `refine` are the settings."""

    folder: str
    column: str
    rows: int
    asked: float
    """the recall that was asked for"""
    recall: float
    """the recall that was measured"""
    low: float
    high: float
    k: int
    """how many best rows are looked for"""
    queries: int
    """rows that it was measured on"""
    probes: int
    """partitions that a search looks into"""
    refine: int
    """candidates that are compared exactly"""
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.folder}: index of {counted(self.rows, 'vector')} '{self.column}', recall {self.recall:.4f} "
            f"({self.low:.4f} to "
            f"{self.high:.4f}) of the {self.k} best on {self.queries} rows, {self.asked:g} was asked for; "
            f"{self.seconds:.1f} s\n  {self.probes} partitions are looked into, {self.refine} candidates per row"
        )
