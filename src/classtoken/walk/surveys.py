"""Statistics over many inputs, each with n, a 95 % interval and a control: what a sentence on the page may rest on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from PIL import Image
from torch import Tensor

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
from classtoken.probe.capture import capture
from classtoken.probe.subject import Subject
from classtoken.values import Role
from classtoken.walk import laboratory as lab
from classtoken.walk.answering import Answering
from classtoken.walk.items import Item, is_image
from classtoken.walk.numbers import Traced, trace_of
from classtoken.walk.shown import WalkInput, walk_input

MADE_BY = "classtoken walkthrough"
RESAMPLES = 2000

_SUBJECTS = ("The film", "This book", "The long meeting", "Our dinner")
_VERDICTS = ("was a joy", "left me cold", "was far too long", "surprised everyone", "made no sense", "deserves a prize")


@dataclass(frozen=True)
class Survey:
    """Inputs to take statistics over, and what they are called on the page."""

    items: tuple[Item, ...]
    says: str


def default_survey(embedder: Embedder, count: int) -> Survey:
    """Pictures that the package draws, with their true outlines; or sentences put together from a few parts."""
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


def surveyed(embedder: Embedder, answering: Answering, survey: Survey) -> SurveyFindings:
    """Bands, claims and calibration of a survey."""
    if len(survey.items) < 5:
        raise OptionError(f"a survey of {len(survey.items)} inputs says nothing about others; give 5 or more.")
    prepared = [walk_input(embedder, item) for item in survey.items]
    traced = [trace_of(answering.subject, each) for each in prepared]
    random = answering.subject.randomised(seed=0)
    control = [_weights(random, each) for each in prepared]
    claims = [_swaps(answering, prepared, traced, survey)]
    claims += _objects(prepared, traced, control, survey)
    claims += _cuts(answering, prepared, traced, survey)
    return SurveyFindings(
        (_spread(prepared, traced, control, survey),),
        tuple(claims),
        _calibration(answering, prepared, traced, survey),
    )


def _weights(subject: Subject, prepared: WalkInput) -> np.ndarray:
    """The class token's weights (N, H, L)."""
    with torch.no_grad():
        captured = capture(subject, prepared.tokens, ("weights",), rows=frozenset({Role.CLASS}))
    return captured.stack("weights")[0, :, :, 0].cpu().numpy()


def effective_tokens(weights_L: np.ndarray) -> float:
    """exp(entropy): over how many tokens the weight is spread, as if evenly."""
    positive = weights_L[weights_L > 0].astype(float)
    return float(np.exp(-(positive * np.log(positive)).sum()))


def statistic(values: Sequence[float]) -> Statistic:
    """Mean and bootstrap interval."""
    found = bootstrap(values, resamples=RESAMPLES)
    return Statistic(found.estimate, found.low, found.high)


def _spread(
    prepared: Sequence[WalkInput], traced: Sequence[Traced], control: Sequence[np.ndarray], survey: Survey
) -> LayerBand:
    def per_layer(weights: Sequence[np.ndarray]) -> tuple[Statistic, ...]:
        return tuple(
            statistic([effective_tokens(each[layer].mean(0)) for each in weights]) for layer in range(len(weights[0]))
        )

    return LayerBand(
        "effective_tokens",
        "effective number of tokens that the class token reads",
        "tokens",
        len(prepared),
        survey.says,
        per_layer([each.layers.weights for each in traced]),
        ControlBand("the same model with its weights shuffled", per_layer(control)),
    )


def _objects(
    prepared: Sequence[WalkInput], traced: Sequence[Traced], control: Sequence[np.ndarray], survey: Survey
) -> list[MeasuredClaim]:
    """Attention on the object over its share of the picture, last layer: 1 is what blind attention would give."""
    rows = [i for i, each in enumerate(prepared) if each.truth.object is not None and 0 < each.truth.object.mean() < 1]
    if len(rows) < 5:
        return []

    def ratio(i: int, weights: np.ndarray) -> float:
        share = prepared[i].truth.object
        assert share is not None
        row = weights[-1].mean(0)[lab.content_of(prepared[i])]
        return float((row @ share) / row.sum() / share.mean())

    return [
        MeasuredClaim(
            "object-share",
            (5, 7),
            "in the last layer the class token's attention falls on the object this many times as much as its area",
            "times",
            len(rows),
            survey.says,
            statistic([ratio(i, traced[i].layers.weights) for i in rows]),
            ControlStatistic("weights shuffled", statistic([ratio(i, control[i]) for i in rows])),
            MADE_BY,
        )
    ]


def _swaps(
    answering: Answering, prepared: Sequence[WalkInput], traced: Sequence[Traced], survey: Survey
) -> MeasuredClaim:
    """How often the first answer stays when the class token is swapped for another input's half-way through."""
    depth = answering.subject.depth
    half = depth // 2
    stays: dict[int, list[float]] = {half: [], depth: []}
    for i, each in enumerate(prepared):
        first = int(answering.values(traced[i].outcome_BC)[0].argmax())
        donor = traced[(i + 1) % len(traced)].states_ND
        answers = lab.swapped(answering, each, donor, layers=(half, depth)).argmax(-1).tolist()
        for layer, found in zip((half, depth), answers, strict=True):
            stays[layer].append(100.0 * (found == first))
    return MeasuredClaim(
        "swap-half",
        (7, 8, 10),
        f"share of inputs whose first answer stays when the class token before layer {half + 1} of {depth} is "
        "replaced by another input's",
        "%",
        len(prepared),
        survey.says,
        statistic(stays[half]),
        ControlStatistic("replaced at the very end", statistic(stays[depth])),
        MADE_BY,
    )


def _cuts(
    answering: Answering, prepared: Sequence[WalkInput], traced: Sequence[Traced], survey: Survey
) -> list[MeasuredClaim]:
    """How far the first answer moves when the class token may not read what it attends to most, in the last layer."""
    layer, generator = answering.subject.depth - 1, np.random.default_rng(0)
    top_moves, random_moves = [], []
    for each, trace in zip(prepared, traced, strict=True):
        content = lab.content_of(each)
        count = max(1, round(len(content) / 10))
        if len(content) <= count:
            continue
        row = trace.layers.weights[layer].mean(0)[content]
        sets = [[content[i] for i in np.argsort(-row, kind="stable")[:count]]]
        sets += [generator.choice(content, count, replace=False).tolist() for _ in range(3)]
        before = answering.values(trace.outcome_BC)[0]
        first = int(before.argmax())
        moved = (lab.cut(answering, each, trace, sets, layer, None)[:, first] - before[first]).abs().tolist()
        scale = 1.0 if answering.kind == "cosine" else 100.0
        top_moves.append(scale * moved[0])
        random_moves.append(scale * float(np.mean(moved[1:])))
    if len(top_moves) < 5:
        return []
    return [
        MeasuredClaim(
            "cut-last",
            (4, 5, 6),
            "in the last layer, cutting the tenth that is looked at most moves the first answer by",
            "points" if answering.kind != "cosine" else "of cosine",
            len(top_moves),
            survey.says,
            statistic(top_moves),
            ControlStatistic("cutting a random tenth", statistic(random_moves)),
            MADE_BY,
        )
    ]


def _calibration(
    answering: Answering, prepared: Sequence[WalkInput], traced: Sequence[Traced], survey: Survey
) -> CalibrationChart | None:
    """Confidence against accuracy, where the inputs' labels are the model's own."""
    labels = [set((each.item.label or "").split("|")) - {""} for each in prepared]
    if answering.kind == "cosine" or not all(found <= set(answering.labels) and found for found in labels):
        return None
    confidence: list[float] = []
    right: list[float] = []
    for truth, trace in zip(labels, traced, strict=True):
        values: Tensor = answering.values(trace.outcome_BC)[0]
        chosen = range(len(answering.labels)) if answering.kind == "sigmoid" else [int(values.argmax())]
        confidence += [float(values[i]) for i in chosen]
        right += [float(answering.labels[i] in truth) for i in chosen]
    found = calibration(confidence, right, bins=5)
    edges = [round(i * 0.2, 1) for i in range(6)]
    bins = []
    for part in found.bins:
        place = min(4, max(0, int(np.ceil(part.confidence * 5)) - 1))
        bins.append(ConfidenceBin(edges[place], edges[place + 1], part.count, part.confidence, part.accuracy))
    return CalibrationChart(len(confidence), survey.says, tuple(bins))
