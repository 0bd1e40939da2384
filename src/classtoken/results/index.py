"""What `index` gives back."""

from dataclasses import dataclass

from classtoken.results.base import Result


@dataclass(frozen=True)
class IndexResult(Result):
    """An index that was made: the share of the `k` best rows that it finds, `recall`, with its 95 % interval from `low`
    to `high`, measured on `queries` rows on which nothing was chosen. `probes` and `refine` are the settings."""

    folder: str
    column: str
    rows: int
    asked: float
    recall: float
    low: float
    high: float
    k: int
    queries: int
    probes: int
    refine: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.folder}: index of {self.rows} vectors '{self.column}', recall {self.recall:.4f} ({self.low:.4f} to "
            f"{self.high:.4f}) of the {self.k} best on {self.queries} rows, {self.asked:g} was asked for; "
            f"{self.seconds:.1f} s\n  {self.probes} partitions are looked into, {self.refine} candidates per row"
        )
