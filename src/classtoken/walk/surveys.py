"""Statistics over many inputs, each with n, a 95 % interval and a control: what a sentence on the page may rest on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, product
from math import isfinite
from typing import Literal

import numpy as np
from PIL import Image

import classtoken.drawn as drawn
from classtoken.activity import activity, did, work
from classtoken.embedder import Embedder
from classtoken.errors import OptionError
from classtoken.files import last_part
from classtoken.measure.statistics import LEAST, exact, mean_interval
from classtoken.model_folder import read_json
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
from classtoken.values import Role
from classtoken.walk.items import Item, is_image
from classtoken.walk.shown import WalkInput, walk_input

MADE_BY = "classtoken walkthrough"
RESAMPLES = 2000
SURVEYED = 40
"""inputs of the package's own that are traced"""
CALIBRATED = {"tiny": 400, "scenes": 160}
"""drawn pictures whose answers alone are asked for, to hold confidences against the truth"""
LEAST_OF_A_SHARE = 20
"""inputs, below which no share of them is given"""
BINS = 10
"""of confidences"""

Own = Literal["tiny", "scenes", "films"]
"""inputs of a kind that the package can make itself: tiny drawn faces, drawn scenes, sentences about films"""

_SUBJECTS = ("The film", "This book", "The long meeting", "Our dinner")
_VERDICTS = ("was a joy", "left me cold", "was far too long", "surprised everyone", "made no sense", "deserves a prize")


@dataclass(frozen=True)
class Survey:
    """Inputs to take statistics over, and what they are called on the page.

    answered: more of the same kind, of which only answer and truth are wanted.
    """

    items: tuple[Item, ...]
    says: str
    answered: tuple[Item, ...] = ()


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
    return Survey(tuple(items), last_part(source.name))


def own_kind(embedder: Embedder) -> Own | None:
    """The inputs of the package's own that are of the kind that the model was trained on; None for all other models.

    What a model of photographs does with drawings says nothing about what it does with photographs.
    """
    if embedder.name == "builtin:sentiment":
        return "films"
    recipe = (read_json(embedder.folder / "training.json") or {}).get("recipe", {})
    kind = str(recipe.get("data", {}).get("source") or "").removeprefix("builtin:").partition("?")[0]
    return "tiny" if kind == "tiny" else "scenes" if kind == "scenes" else None


def default_survey(embedder: Embedder, count: int = SURVEYED) -> Survey | None:
    """Inputs that the package makes itself, drawn pictures with their true outlines among them; None where the model
    was made for others."""
    kind = own_kind(embedder)
    if kind is None:
        return None
    if kind == "films":
        texts = [f"{subject} {verdict}." for subject, verdict in product(_SUBJECTS, _VERDICTS)][:count]
        items = tuple(Item(f"survey-{i}", text, text) for i, text in enumerate(texts))
        return Survey(items, "sentences put together from parts")
    found: list[Item] = []
    index = 0
    while len(found) < count + CALIBRATED[kind]:
        scene = drawn.draw_tiny(11, index) if kind == "tiny" else drawn.draw(11, index)
        index += 1
        if scene.labels:
            mask = np.logical_or.reduce([scene.mask(name) for name in scene.labels])
            picture = Image.fromarray(scene.image)
            found.append(Item(f"survey-{index}", scene.labels[0], picture, "|".join(scene.labels), mask))
    says = "tiny drawn faces" if kind == "tiny" else "drawn scenes with cats, dogs and birds"
    return Survey(tuple(found[:count]), says, tuple(found[count:]))


def surveyed(embedder: Embedder, subject: Subject, survey: Survey) -> SurveyFindings:
    """Bands, claims and calibration of a survey."""
    if len(survey.items) < LEAST:
        raise OptionError(f"a survey of {len(survey.items)} inputs has no interval that covers; give {LEAST} or more.")
    random, found, control = subject.randomised(seed=0), SurveyValues(), SurveyValues()
    runs = []
    with activity(f"{len(survey.items)} inputs for the page's statistics"), work(len(survey.items)):
        for item in survey.items:
            run = SurveyRun(prepared := walk_input(embedder, subject, item), trace(subject, prepared.tokens, PARTS))
            gather(run.traced, found)
            gather(trace(random, prepared.tokens, PARTS), control)
            runs.append(run)
            did()
    answered = [(run.prepared.item, run.traced.answers_BC[0].numpy()) for run in runs]
    if survey.answered:
        theirs = embedder.probabilities([item.content for item in survey.answered])
        answered += zip(survey.answered, theirs, strict=True)
    chart = _calibration(subject, answered, survey)
    if any(Role.CLASS not in run.traced.roles_BL for run in runs):  # the sentences are about class tokens
        return SurveyFindings(calibration=chart)
    claims = [*_swaps(runs, survey), *_objects(runs, found, control, survey), *_cuts(runs, survey)]
    said = tuple(claim for claim in claims if isfinite(claim.value.high - claim.value.low))
    return SurveyFindings((_spread(found, control, survey),), said, chart)


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
    found = _fraction(kept)
    return Statistic(100 * found.mean, 100 * found.low, 100 * found.high)


def _fraction(kept: Sequence[bool]) -> Statistic:
    found = exact(sum(kept), len(kept))
    return Statistic(found.estimate, found.low, found.high)


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
            (5,),
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
    if len(kept) < LEAST_OF_A_SHARE or kind == "cosine":
        return []
    return [
        MeasuredClaim(
            "swap-half",
            (10,),
            f"share of inputs whose first answer stays when the class token, after {half} of {depth} layers, is "
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
    """How far the first answer falls when the class token may not read what it attends to most, in the last layer."""
    cosine = runs[0].traced.subject.kind == "cosine"
    top_falls, random_falls = [], []
    for seed, run in enumerate(runs):
        bench = Bench(run.traced, run.answer, seed=seed)
        cut = most_attended_in(run.traced, run.prepared.watched, run.traced.depth - 1)
        if cut is None:
            continue
        others = [with_things(cut, things) for things in bench.controls(cut, 1).sets[:3]]
        answers = bench.answers([cut, *others], Mode.RENORMALISE)[:, run.answer]
        fallen = ((bench.before - answers) * (1.0 if cosine else 100.0)).tolist()
        top_falls.append(fallen[0])
        random_falls.append(float(np.mean(fallen[1:])))
    if len(top_falls) < LEAST:
        return []
    return [
        MeasuredClaim(
            "cut-last",
            (6,),
            "in the last layer, cutting the tenth that is looked at most lowers the first answer by",
            "of cosine" if cosine else "points",
            len(top_falls),
            survey.says,
            statistic(top_falls),
            ControlStatistic("cutting a random tenth", statistic(random_falls)),
            MADE_BY,
        )
    ]


def _calibration(
    subject: Subject, answered: Sequence[tuple[Item, np.ndarray]], survey: Survey
) -> CalibrationChart | None:
    """Confidence against accuracy, where the inputs' labels are the model's own; no share of fewer than 20 answers."""
    labels = [set((item.label or "").split("|")) - {""} for item, _ in answered]
    if subject.kind == "cosine" or not all(found <= set(subject.labels) and found for found in labels):
        return None
    confidence: list[float] = []
    right: list[bool] = []
    for truth, (_, values) in zip(labels, answered, strict=True):
        chosen = range(len(subject.labels)) if subject.kind == "sigmoid" else [int(values.argmax())]
        confidence += [float(values[i]) for i in chosen]
        right += [subject.labels[i] in truth for i in chosen]
    places = np.clip(np.ceil(np.array(confidence) * BINS) - 1, 0, BINS - 1).astype(int)
    bins = []
    for place in sorted(set(places.tolist())):
        inside = [i for i, found in enumerate(places) if found == place]
        hits = [right[i] for i in inside]
        mean = float(np.mean([confidence[i] for i in inside]))
        accuracy = _fraction(hits) if len(hits) >= LEAST_OF_A_SHARE else None
        bins.append(ConfidenceBin(place / BINS, (place + 1) / BINS, len(inside), mean, accuracy))
    return CalibrationChart(len(confidence), survey.says, tuple(bins))
