"""What the page knows from many inputs: claims, bands over the layers, calibration; each with n and an interval."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Statistic:
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class ControlStatistic:
    """The same statistic for a control, a model with random weights for one."""

    what: str
    value: Statistic


@dataclass(frozen=True)
class MeasuredClaim:
    """A sentence with its measurement; it is shown only together with all of it."""

    id: str
    steps: tuple[int, ...]
    """where it is shown, 1 to 10"""
    says: str
    unit: str
    n: int
    data: str
    value: Statistic
    control: ControlStatistic | None
    made_by: str
    """the command or script"""


@dataclass(frozen=True)
class ControlBand:
    """A control for every layer."""

    what: str
    values: tuple[Statistic, ...]


@dataclass(frozen=True)
class LayerBand:
    """A statistic for every layer, over a data set."""

    id: str
    title: str
    unit: str
    n: int
    data: str
    values: tuple[Statistic, ...]
    control: ControlBand | None


@dataclass(frozen=True)
class ConfidenceBin:
    """Answers whose confidence lies between low and high, and the share of them that was right."""

    low: float
    high: float
    n: int
    confidence: float
    """their mean"""
    accuracy: Statistic | None
    """with its exact 95 % interval; null where too few answers lie here to speak of a share"""


@dataclass(frozen=True)
class CalibrationChart:
    """When the model says 80 %, how often is it right?"""

    n: int
    data: str
    bins: tuple[ConfidenceBin, ...]


@dataclass(frozen=True)
class SurveyFindings:
    """What a survey of many inputs gives the page."""

    bands: tuple[LayerBand, ...] = ()
    claims: tuple[MeasuredClaim, ...] = ()
    calibration: CalibrationChart | None = None
