"""What holds over many inputs, with intervals, and what holds for random weights as well."""

import time
from collections.abc import Sequence

import numpy as np
import torch

from classtoken.embedder import Embedder
from classtoken.inputs import rest_in_words
from classtoken.measure.specialisation import (
    between_pairs,
    cosine_by_layer,
    map_overlap,
    read_out,
    readable,
    specialisation,
)
from classtoken.measure.statistics import exact, mean_interval
from classtoken.options import ExplainDataOptions
from classtoken.probe.from_embedder import subject_of
from classtoken.probe.subject import Subject
from classtoken.results.explain_data import ByLayer, ClassTokens, Coverage, Findings, RankedMap
from classtoken.results.statistics import Interval
from classtoken.source.contents import content_of
from classtoken.study.describing import notes_of, readout_in_words
from classtoken.study.explanation import methods_of
from classtoken.study.inputs import StudiedInputs, name_of, prepare_records
from classtoken.study.ranking import rank_maps
from classtoken.study.survey import Report, SurveyValues, survey
from classtoken.study.truth import truth_of
from classtoken.study.unseen import coverage
from classtoken.values import Record

RESAMPLES = 1999
CONTROL = "the same weights, the values of every tensor in random order"
SHARES = ("relative_entropy", "on_itself", "outlier_share")
"""between 0 and 1, as masses are"""
TITLES = {
    "relative_entropy": ("entropy of the class token's attention", "of ln(tokens)"),
    "effective_tokens": ("tokens that it spreads over", "tokens"),
    "on_itself": ("weight on itself", "share"),
    "mass_content": ("weight on patches or word pieces", "share"),
    "mass_register": ("weight on registers", "share"),
    "mass_distillation": ("weight on the distillation token", "share"),
    "mass_end": ("weight on end tokens", "share"),
    "head_agreement": ("agreement of the heads", "1 is equal"),
    "spread": ("spread of what the class token sees", "pixels"),
    "attention_distance": ("distance that patches look", "pixels"),
    "outlier_share": ("high-norm tokens", "share of patches"),
}


def findings(
    embedder: Embedder,
    data: str,
    records: Sequence[Record],
    options: ExplainDataOptions,
    *,
    unread: int = 0,
    report: Report | None = None,
) -> Findings:
    """Findings over records. `data`: their name; `unread`: records that could not even be read.

    The control has the same weights, every tensor's values in random order.
    """
    started = time.perf_counter()
    subject = subject_of(embedder, pooling=options.pooling, modality=options.modality, prompt=options.prompt)
    inputs = prepare_records(embedder, records, modality=options.modality, prompt=options.prompt)
    before = time.perf_counter()
    found = survey(subject, inputs, report)
    rate = len(inputs.records) / (time.perf_counter() - before)
    control = subject.randomised(seed=options.seed)
    random = survey(control, inputs)
    methods = () if options.faithful == 0 else methods_of(options, subject, inputs.batches[0])
    ranking = rank_maps(
        embedder,
        subject,
        control,
        inputs,
        methods,
        most=options.faithful,
        points=options.points,
        seed=options.seed,
        modality=options.modality,
        slow_control=options.slow_control,
        report=report,
    )
    kept, taken = _swaps(found)
    truth = truth_of(inputs.records, subject.labels, multilabel=subject.multilabel)
    lens, lens_of = _lens(subject, found, truth)
    notes = notes_of(embedder, subject, inputs.batches[0], options.pooling)
    left_out = [tokens for batch in inputs.batches for tokens in batch.cut]
    long = rest_in_words(embedder.tower(options.modality).prepare, left_out)
    return Findings(
        model=name_of(embedder),
        data=data,
        n=len(inputs.records),
        readout=readout_in_words(embedder, options.pooling, options.modality),
        layers=tuple(_by_layer(name, found, random) for name in TITLES if name in found),
        ranking=sort_ranking(ranking),
        swap=kept,
        swap_donor=taken,
        lens=lens,
        lens_of=lens_of,
        swap_control=_swaps(random)[0],
        lens_control=_lens(subject, random, truth)[0],
        accuracy=lens[-1] if lens and truth is not None else None,
        coverage=_coverage(found, inputs),
        tokens=_tokens(subject, found, random, truth),
        control=CONTROL,
        seconds=time.perf_counter() - started,
        rate=rate,
        notes=(*_counts(inputs, unread, options.faithful), *long, *notes),
    )


def different(records: Sequence[Record]) -> tuple[list[Record], int]:
    """The first of all records that hold the same, and how many others there are: intervals are of different inputs."""
    kept: dict[object, Record] = {}
    for number, record in enumerate(records):
        content = content_of(record)
        kept.setdefault(number if content is None else content.hash, record)
    return list(kept.values()), len(records) - len(kept)


def sort_ranking(ranking: tuple[RankedMap, ...]) -> tuple[RankedMap, ...]:
    """Best first by deletion area (by pointing where no curves were drawn), controls among them."""

    def key(row: RankedMap) -> float:
        deletion, pointing = row.score("deletion"), row.score("pointing")
        if deletion is not None:
            return float(deletion.value.estimate)
        return -float(pointing.value.estimate) if pointing is not None else 0.0

    return tuple(sorted(ranking, key=key))


def _by_layer(name: str, found: SurveyValues, random: SurveyValues) -> ByLayer:
    title, unit = TITLES[name]
    values, bounds = found[name], (0.0, 1.0) if name in SHARES or name.startswith("mass_") else None
    per_head = tuple(tuple(float(v) for v in row) for row in values.mean(0)) if values.ndim == 3 else ()
    control = _intervals(random[name], bounds) if name in random else ()
    return ByLayer(name, title, unit, _intervals(values, bounds), control, per_head)


def _intervals(values: np.ndarray, bounds: tuple[float, float] | None) -> tuple[Interval, ...]:
    """Heads averaged within each input, since they are not independent; then an interval over inputs, per layer."""
    rows = values.mean(2) if values.ndim == 3 else values
    return tuple(mean_interval(column, resamples=RESAMPLES, bounds=bounds) for column in rows.T)


def _swaps(found: SurveyValues) -> tuple[tuple[Interval, ...], tuple[Interval, ...]]:
    """How often the own and the donor's answer stands after a swap, of the pairs whose answers differ."""
    if "answers" not in found:
        return (), ()
    answers, clean, donor = found["answers"], found["clean"][:, None], found["donor"][:, None]
    differ = (clean != donor).any(-1)[:, 0]
    if not differ.any():
        return (), ()
    n = int(differ.sum())
    kept, taken = ((answers == whose).all(-1)[differ].sum(0) for whose in (clean, donor))
    return tuple(exact(int(c), n) for c in kept), tuple(exact(int(c), n) for c in taken)


def _lens(subject: Subject, found: SurveyValues, truth: np.ndarray | None) -> tuple[tuple[Interval, ...], str]:
    """The share of right answers by layer (with several labels an input: of inputs whose labels are all right)."""
    if "lens_answers" not in found:
        return (), ""
    answers = found["lens_answers"]
    if truth is None:
        right = (answers == answers[:, -1:]).all(-1)
    elif subject.multilabel:
        right = (answers == truth[:, None]).all(-1)
    else:
        right = np.take_along_axis(truth, answers[..., 0].astype(int), 1)
    shares = tuple(exact(int(c), len(right)) for c in right.sum(0))
    what = "answers equal to the final one" if truth is None else "right answers"
    return shares, f"{what} with the state before layer"


def _coverage(found: SurveyValues, inputs: StudiedInputs) -> tuple[Coverage, ...]:
    grid = inputs.batches[0].grid
    if "direct" not in found or grid is None:
        return ()
    direct = found["direct"]
    groups: dict[str, list[int]] = {"all": list(range(len(direct)))}
    for i, record in enumerate(inputs.records):
        name = record.group or (record.label if isinstance(record.label, str) else None)
        if name is not None:
            groups.setdefault(str(name), []).append(i)
    rows = []
    for name, places in groups.items():
        if len(places) < 5:
            continue
        rows.append(coverage(torch.from_numpy(direct[places]), name, grid))
    return tuple(rows)


def _tokens(
    subject: Subject, found: SurveyValues, random: SurveyValues, truth: np.ndarray | None
) -> ClassTokens | None:
    """Whether several class tokens are several, beside those of random weights."""
    if "class_states" not in found:
        return None
    states, other = found["class_states"], random["class_states"]
    kinds = () if truth is None else tuple(np.flatnonzero(readable(truth)).tolist())
    known, by_chance = None, None
    if truth is not None and kinds:
        known, by_chance = (
            specialisation(read_out(x[:, -1], truth[:, kinds]), truth[:, kinds]) for x in (states, other)
        )
    return ClassTokens(
        states.shape[2],
        _cosines(states),
        _overlap(found),
        _cosines(other),
        _overlap(random),
        tuple(subject.labels[c] for c in kinds),
        known,
        by_chance,
    )


def _overlap(found: SurveyValues) -> Interval | None:
    if "class_maps" not in found:
        return None
    maps = found["class_maps"]
    values = np.array([between_pairs(map_overlap(maps[i : i + 1])[0]) for i in range(len(maps))])
    return mean_interval(values, resamples=RESAMPLES)


def _cosines(states_NSKD: np.ndarray) -> tuple[Interval, ...]:
    """Per layer, the mean cosine over pairs of class tokens, with an interval over inputs."""
    per_input = np.stack([between_pairs(cosine_by_layer(x[:, None])) for x in states_NSKD])
    return tuple(mean_interval(column, resamples=RESAMPLES) for column in per_input.T)


def _counts(inputs: StudiedInputs, unread: int, faithful: int) -> tuple[str, ...]:
    lost = inputs.rejected + unread
    notes = [f"{lost} of {lost + len(inputs.records)} records could not be read and were left out"] if lost else []
    if faithful:
        tested = min(faithful, len(inputs.records))
        notes.append(f"maps were tested on the first {tested} inputs; the order is by deletion area, lower is better")
    return tuple(notes)
