"""Statistics over many inputs, each with n, a 95 % interval and a control: what a sentence on the page may rest on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, product
from math import isfinite
from pathlib import Path

import numpy as np
from PIL import Image

import classtoken.drawn as drawn
from classtoken.embedder import Embedder
from classtoken.errors import OptionError
from classtoken.measure.statistics import LEAST, calibration, exact, mean_interval
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
from classtoken.probe.interventions import Mode
from classtoken.probe.removal import masks
from classtoken.probe.subject import Subject
from classtoken.probe.traced import Traced, trace
from classtoken.source import Source
from classtoken.study.knockouts import Bench, most_attended_in, with_things
from classtoken.study.survey import PARTS, SurveyValues, gather
from classtoken.study.swaps import swap_states
from classtoken.walk.items import Item, is_image
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
    if len(survey.items) < LEAST:
        raise OptionError(f"a survey of {len(survey.items)} inputs has no interval that covers; give {LEAST} or more.")
    random, found, control = subject.randomised(seed=0), SurveyValues(), SurveyValues()
    runs = []
    for item in survey.items:
        run = SurveyRun(prepared := walk_input(embedder, item), trace(subject, prepared.tokens, PARTS))
        gather(run.traced, found)
        gather(trace(random, prepared.tokens, PARTS), control)
        runs.append(run)
    claims = [*_swaps(runs, survey), *_objects(runs, found, control, survey), *_cuts(runs, survey)]
    said = tuple(claim for claim in claims if isfinite(claim.value.high - claim.value.low))
    return SurveyFindings((_spread(found, control, survey),), said, _calibration(subject, runs, survey))


@dataclass(frozen=True)
class SurveyRun:
    """One input of a survey and its forward."""

    prepared: WalkInput
    traced: Traced

    @property
    def answer(self) -> int:
        """The first answer."""
        return int(self.traced.answers_BC[0].argmax())


def statistic(values: Sequence[float] | np.ndarray) -> Statistic:
    """Mean and its interval."""
    found = mean_interval(values, resamples=RESAMPLES)
    return Statistic(found.estimate, found.low, found.high)


def share(kept: Sequence[bool]) -> Statistic:
    """A share in per cent and its exact interval, which is not of width 0 where all are kept."""
    found = exact(sum(kept), len(kept))
    return Statistic(100 * found.estimate, 100 * found.low, 100 * found.high)


def _spread(found: SurveyValues, control: SurveyValues, survey: Survey) -> LayerBand:
    """Effective number of tokens of every head, averaged over heads: the number that `explain` shows too."""

    def per_layer(values: np.ndarray) -> tuple[Statistic, ...]:
        return tuple(statistic(column) for column in values.mean(2).T)

    return LayerBand(
        "effective_tokens",
        "effective number of tokens that a head of the class token reads",
        "tokens",
        len(found["effective_tokens"]),
        survey.says,
        per_layer(found["effective_tokens"]),
        ControlBand("the same model with its weights shuffled", per_layer(control["effective_tokens"])),
    )


def _objects(
    runs: Sequence[SurveyRun], found: SurveyValues, control: SurveyValues, survey: Survey
) -> list[MeasuredClaim]:
    """Attention on the object over its share of the picture, last layer: 1 is what blind attention would give."""
    known = {i: m for i, run in enumerate(runs) if (m := run.prepared.truth.object) is not None and 0 < m.mean() < 1}
    if len(known) < LEAST or "direct_last" not in found:
        return []

    def ratios(weights_nP: np.ndarray) -> Statistic:
        rows = ((weights_nP[i], mask) for i, mask in known.items())
        return statistic([float((row @ mask) / row.sum() / mask.mean()) for row, mask in rows])

    return [
        MeasuredClaim(
            "object-share",
            (5, 7),
            "in the last layer the class token's attention falls on the object this many times as much as its area",
            "times",
            len(known),
            survey.says,
            ratios(found["direct_last"]),
            ControlStatistic("weights shuffled", ratios(control["direct_last"])),
            MADE_BY,
        )
    ]


def _swaps(runs: Sequence[SurveyRun], survey: Survey) -> list[MeasuredClaim]:
    """How often the first answer stays when the class token is swapped, half-way through, for that of an input with
    another answer. Nothing for a model that only compares vectors: every input is most like itself."""
    depth, kind = runs[0].traced.depth, runs[0].traced.subject.kind
    half, kept = depth // 2, []
    for i, run in enumerate(runs):
        donor = next((r for r in (*runs[i + 1 :], *runs[:i]) if r.answer != run.answer), None)
        if donor is not None:
            places = masks([[run.prepared.watched]], run.traced.roles_BL)
            theirs = [donor.traced.entering(layer)[:, donor.prepared.watched] for layer in (half, depth)]
            answers = swap_states(run.traced, places, theirs, (half, depth))[0].argmax(-1)
            kept.append([bool(answer == run.answer) for answer in answers])
    if len(kept) < LEAST or kind == "cosine":
        return []
    return [
        MeasuredClaim(
            "swap-half",
            (7, 8, 10),
            f"share of inputs whose first answer stays when the class token before layer {half + 1} of {depth} is "
            "replaced by that of an input with another answer",
            "%",
            len(kept),
            survey.says,
            share([stays for stays, _ in kept]),
            ControlStatistic("replaced at the very end", share([stays for _, stays in kept])),
            MADE_BY,
        )
    ]


def _cuts(runs: Sequence[SurveyRun], survey: Survey) -> list[MeasuredClaim]:
    """How far the first answer moves when the class token may not read what it attends to most, in the last layer."""
    cosine = runs[0].traced.subject.kind == "cosine"
    top_moves, random_moves = [], []
    for seed, run in enumerate(runs):
        bench = Bench(run.traced, run.answer, seed=seed)
        cut = most_attended_in(run.traced, run.prepared.watched, run.traced.depth - 1)
        if cut is None:
            continue
        others = [with_things(cut, things) for things in bench.controls(cut, 1).sets[:3]]
        answers = bench.answers([cut, *others], Mode.RENORMALISE)[:, run.answer]
        moved = ((answers - bench.before).abs() * (1.0 if cosine else 100.0)).tolist()
        top_moves.append(moved[0])
        random_moves.append(float(np.mean(moved[1:])))
    if len(top_moves) < LEAST:
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
