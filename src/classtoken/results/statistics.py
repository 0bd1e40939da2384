"""Numbers with their uncertainty: intervals, tests, calibration."""

from dataclasses import dataclass

from classtoken.results.base import Result


@dataclass(frozen=True)
class Interval(Result):
    """An estimate and the interval that covers the true value in `level` of all repetitions."""

    estimate: float
    """the figure"""
    low: float
    high: float
    level: float
    """how often such intervals hold the true value"""
    n: int
    """independent examples (groups, where examples come in groups)"""
    method: str
    """`t` (Student's, widened by the studentised bootstrap), `exact` (of a share, or of equal examples between bounds),
    `bca`, `fisher z`, or `none`, from -inf to inf: too few examples, or too few that differ, for an interval that
    covers"""

    @property
    def known(self) -> bool:
        """Whether there is an interval at all."""
        return self.method != "none"

    @property
    def limits(self) -> str:
        """`[low, high]`, or that there is none."""
        return f"[{self.low:.4g}, {self.high:.4g}]" if self.known else "[no interval]"

    def __str__(self) -> str:
        return f"{self.estimate:.4g} {self.limits}"

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Comparison(Result):
    """Two ways measured on the same examples: the mean difference, its interval, and how often chance gives as much."""

    difference: Interval
    p: float
    """two-sided, of a paired permutation test"""
    wins: int
    """examples on which the first is larger"""
    losses: int
    exact: bool
    """all sign patterns were counted; otherwise a sample of them"""


@dataclass(frozen=True)
class CalibrationBin(Result):
    """Answers of similar confidence."""

    count: int
    """how many"""
    confidence: float
    """mean probability of the answers"""
    accuracy: float
    """share that is right"""


@dataclass(frozen=True)
class Calibration(Result):
    """How far confidence is from accuracy."""

    ece: float
    """expected calibration error: the mean over answers of |accuracy - confidence| of their bin"""
    largest: float
    """the largest gap of a bin"""
    bins: tuple[CalibrationBin, ...]
    """answers by their confidence"""


@dataclass(frozen=True)
class Specialisation(Result):
    """Whether several class tokens tell labels apart better than interchangeable tokens would."""

    precision: tuple[tuple[float, ...], ...]
    """average precision of each token (row) for each label (column)"""
    best_token: tuple[int, ...]
    """for each label the token with the largest average precision"""
    observed: float
    """root mean square of the interaction of token and label in average precision"""
    by_chance: float
    """its mean when tokens are exchanged within every input"""
    chance_high: float
    """its 95th percentile then"""
    p: float
    """how often exchanged tokens reach `observed`"""
