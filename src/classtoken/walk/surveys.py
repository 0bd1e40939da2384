"""Statistics over many inputs, each with n, a 95 % interval and a control: what a sentence on the page may rest on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path

import numpy as np
from PIL import Image

from classtoken import drawn
from classtoken.embedder import Embedder
from classtoken.errors import OptionError
from classtoken.measure.statistics import bootstrap, calibration
from classtoken.page.evidence import (
    CalibrationChart,
    ConfidenceBin,
    ControlBand,
    ControlStatistic,
    LayerBand,
    MeasuredClaim,
    Statistic,
    SurveyFindings,
)
from classtoken.probe.subject import Subject
from classtoken.probe.traced import Traced, content_of, trace
from classtoken.source import Source
from classtoken.walk import laboratory as lab
from classtoken.walk.items import Item, is_image
from classtoken.walk.rows import numbers
from classtoken.walk.shown import WalkInput, walk_input

MADE_BY = "classtoken walkthrough"
RESAMPLES = 2000
SMALL_MODEL, LARGE_MODEL = 40, 12
"""inputs of the default survey, for models below and above 2 million weights"""

_SUBJECTS = ("The film", "This book", "The long meeting", "Our dinner")
_VERDICTS = ("was a joy", "left me cold", "was far too long", "surprised everyone", "made no sense", "deserves a prize")


@dataclass(frozen=True)
class Survey:
    """Inputs to take statistics over, and what they are called on the page."""

    items: tuple[Item, ...]
    says: str


def survey_of(embedder: Embedder, source: Source, limit: int) -> Survey:
    """The first records of a source. Raises `OptionError` for one without what the model reads."""
    items: list[Item] = []
    for record in islice(source.records(), limit):
        content = record.image if is_image(embedder) else record.text
        if content is None:
            kind = "pictures" if is_image(embedder) else "texts"
            raise OptionError(f"{source.name}: record '{record.id}' has none of the {kind} that this model reads.")
        label = "|".join(record.label) if isinstance(record.label, tuple) else record.label
        items.append(Item(record.id, record.id, content, label))
    return Survey(tuple(items), Path(source.name).name)


def default_survey(embedder: Embedder, count: int | None = None) -> Survey:
    """Pictures that the package draws, with their true outlines; or sentences put together from a few parts.

    count: fewer where the model is large, if left out.
    """
    if count is None:
        weights = sum(parameter.numel() for parameter in embedder.encoder.parameters())
        count = SMALL_MODEL if weights < 2_000_000 else LARGE_MODEL
    if not is_image(embedder):
        texts = [f"{subject} {verdict}." for subject, verdict in product(_SUBJECTS, _VERDICTS)][:count]
        return Survey(
            tuple(Item(f"survey-{i}", t, t) for i, t in enumerate(texts)), "sentences put together from parts"
        )

    tiny = (embedder.layout.grid or (99, 99))[0] <= 4
    items: list[Item] = []
    index = 0
    while len(items) < count:
        scene = drawn.draw_tiny(11, index) if tiny else drawn.draw(11, index)
        index += 1
        if not scene.labels:
            continue
        mask = np.logical_or.reduce([scene.mask(name) for name in scene.labels])
        items.append(
            Item(f"survey-{index}", scene.labels[0], Image.fromarray(scene.image), "|".join(scene.labels), mask)
        )
    return Survey(tuple(items), "tiny drawn faces" if tiny else "drawn scenes with cats, dogs and birds")


def surveyed(embedder: Embedder, subject: Subject, survey: Survey) -> SurveyFindings:
    """Bands, claims and calibration of a survey."""
    if len(survey.items) < 5:
        raise OptionError(f"a survey of {len(survey.items)} inputs says nothing about others; give 5 or more.")
    random = subject.randomised(seed=0)
    runs = [_run(subject, random, walk_input(embedder, item)) for item in survey.items]
    claims = [_swaps(runs, survey), *_objects(runs, survey), *_cuts(runs, survey)]
    return SurveyFindings((_spread(runs, survey),), tuple(claims), _calibration(subject, runs, survey))


@dataclass(frozen=True)
class SurveyRun:
    """One input of a survey: its forward, and the class token's weights (N, H, L) there and with shuffled weights."""

    prepared: WalkInput
    traced: Traced
    weights: np.ndarray
    control: np.ndarray


def _run(subject: Subject, random: Subject, prepared: WalkInput) -> SurveyRun:
    traced = trace(subject, prepared.tokens, ("weights", "states", "embeddings"))
    control = trace(random, prepared.tokens, ("weights",))
    return SurveyRun(prepared, traced, _weights(traced, prepared), _weights(control, prepared))


def _weights(traced: Traced, prepared: WalkInput) -> np.ndarray:
    return np.stack([numbers(each[0, :, prepared.watched]) for each in traced.part("weights")])


def effective_tokens(weights_L: np.ndarray) -> float:
    """exp(entropy): over how many tokens the weight is spread, as if evenly."""
    positive = weights_L[weights_L > 0].astype(float)
    return float(np.exp(-(positive * np.log(positive)).sum()))


def statistic(values: Sequence[float]) -> Statistic:
    """Mean and bootstrap interval."""
    found = bootstrap(values, resamples=RESAMPLES)
    return Statistic(found.estimate, found.low, found.high)


def _spread(runs: Sequence[SurveyRun], survey: Survey) -> LayerBand:
    def per_layer(weights: Sequence[np.ndarray]) -> tuple[Statistic, ...]:
        return tuple(
            statistic([effective_tokens(each[layer].mean(0)) for each in weights]) for layer in range(len(weights[0]))
        )

    return LayerBand(
        "effective_tokens",
        "effective number of tokens that the class token reads",
        "tokens",
        len(runs),
        survey.says,
        per_layer([run.weights for run in runs]),
        ControlBand("the same model with its weights shuffled", per_layer([run.control for run in runs])),
    )


def _objects(runs: Sequence[SurveyRun], survey: Survey) -> list[MeasuredClaim]:
    """Attention on the object over its share of the picture, last layer: 1 is what blind attention would give."""

    def ratio(run: SurveyRun, share: np.ndarray, weights: np.ndarray) -> float:
        row = weights[-1].mean(0)[content_of(run.traced.tokens)]
        return float((row @ share) / row.sum() / share.mean())

    shares = [(run, share) for run in runs if (share := run.prepared.truth.object) is not None and 0 < share.mean() < 1]
    if len(shares) < 5:
        return []
    return [
        MeasuredClaim(
            "object-share",
            (5, 7),
            "in the last layer the class token's attention falls on the object this many times as much as its area",
            "times",
            len(shares),
            survey.says,
            statistic([ratio(run, share, run.weights) for run, share in shares]),
            ControlStatistic("weights shuffled", statistic([ratio(run, share, run.control) for run, share in shares])),
            MADE_BY,
        )
    ]


def _swaps(runs: Sequence[SurveyRun], survey: Survey) -> MeasuredClaim:
    """How often the first answer stays when the class token is swapped for another input's half-way through."""
    depth = runs[0].traced.depth
    half = depth // 2
    stays: dict[int, list[float]] = {half: [], depth: []}
    for run, donor in zip(runs, [*runs[1:], runs[0]], strict=True):
        first = int(run.traced.answers_BC[0].argmax())
        answers = lab.swapped(run.traced, run.prepared.watched, donor.traced, layers=(half, depth)).argmax(-1).tolist()
        for layer, found in zip((half, depth), answers, strict=True):
            stays[layer].append(100.0 * (found == first))
    return MeasuredClaim(
        "swap-half",
        (7, 8, 10),
        f"share of inputs whose first answer stays when the class token before layer {half + 1} of {depth} is "
        "replaced by another input's",
        "%",
        len(runs),
        survey.says,
        statistic(stays[half]),
        ControlStatistic("replaced at the very end", statistic(stays[depth])),
        MADE_BY,
    )


def _cuts(runs: Sequence[SurveyRun], survey: Survey) -> list[MeasuredClaim]:
    """How far the first answer moves when the class token may not read what it attends to most, in the last layer."""
    generator = np.random.default_rng(0)
    cosine = runs[0].traced.subject.kind == "cosine"
    top_moves, random_moves = [], []
    for run in runs:
        content = content_of(run.traced.tokens)
        count = max(1, round(len(content) / 10))
        if len(content) <= count:
            continue
        row = run.weights[-1].mean(0)[content]
        sets = [[content[i] for i in np.argsort(-row, kind="stable")[:count]]]
        sets += [generator.choice(content, count, replace=False).tolist() for _ in range(3)]
        before = run.traced.answers_BC[0]
        first, last = int(before.argmax()), run.traced.depth - 1
        cut = lab.cut(run.traced, run.prepared.watched, sets, last, None)
        moved = (cut[:, first] - before[first]).abs().tolist()
        scale = 1.0 if cosine else 100.0
        top_moves.append(scale * moved[0])
        random_moves.append(scale * float(np.mean(moved[1:])))
    if len(top_moves) < 5:
        return []
    return [
        MeasuredClaim(
            "cut-last",
            (4, 5, 6),
            "in the last layer, cutting the tenth that is looked at most moves the first answer by",
            "of cosine" if cosine else "points",
            len(top_moves),
            survey.says,
            statistic(top_moves),
            ControlStatistic("cutting a random tenth", statistic(random_moves)),
            MADE_BY,
        )
    ]


def _calibration(subject: Subject, runs: Sequence[SurveyRun], survey: Survey) -> CalibrationChart | None:
    """Confidence against accuracy, where the inputs' labels are the model's own."""
    labels = [set((run.prepared.item.label or "").split("|")) - {""} for run in runs]
    if subject.kind == "cosine" or not all(found <= set(subject.labels) and found for found in labels):
        return None
    confidence: list[float] = []
    right: list[float] = []
    for truth, run in zip(labels, runs, strict=True):
        values = run.traced.answers_BC[0]
        chosen = range(len(subject.labels)) if subject.kind == "sigmoid" else [int(values.argmax())]
        confidence += [float(values[i]) for i in chosen]
        right += [float(subject.labels[i] in truth) for i in chosen]
    found = calibration(confidence, right, bins=5)
    edges = [round(i * 0.2, 1) for i in range(6)]
    bins = []
    for part in found.bins:
        place = min(4, max(0, int(np.ceil(part.confidence * 5)) - 1))
        bins.append(ConfidenceBin(edges[place], edges[place + 1], part.count, part.confidence, part.accuracy))
    return CalibrationChart(len(confidence), survey.says, tuple(bins))
