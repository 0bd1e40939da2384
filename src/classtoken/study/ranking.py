"""Maps tested on single inputs: deletion, insertion, SaCo, masks, and the same maps with random weights."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from classtoken.embedder import Embedder
from classtoken.errors import ClasstokenError
from classtoken.maps import faithfulness as faith
from classtoken.maps.table import Method, Setting
from classtoken.maps.truth import overlap
from classtoken.measure.statistics import compare, holm, mean_interval
from classtoken.probe.subject import Subject
from classtoken.probe.traced import Traced, trace
from classtoken.results.explain import CurveDefinition
from classtoken.results.explain_data import RankedMap, Score
from classtoken.results.statistics import Interval
from classtoken.study.inputs import StudiedInputs, setting_of
from classtoken.study.survey import Report
from classtoken.study.truth import mask_shares
from classtoken.tensors import Tokens
from classtoken.values import Progress, Record, Role

LOWER_IS_BETTER = frozenset({"deletion"})
BOUNDS = {"pointing": (0.0, 1.0), "iou": (0.0, 1.0), "precision": (0.0, 1.0), "saco": (-1.0, 1.0)}
"""what these measures lie between"""
Numbers = dict[str, dict[str, dict[int, float]]]
"""method -> measure -> input -> value: what is compared is compared on the same inputs"""
Maps = dict[str, torch.Tensor]
Put = Callable[[str, str, float], None]
"""notes the value of a method by a measure, of one input"""
RANDOM_DRAWS = 4
RESAMPLES = 1999
CONTROL = "random weights: "


def rank_maps(
    embedder: Embedder,
    subject: Subject,
    control: Subject | None,
    inputs: StudiedInputs,
    methods: Sequence[Method],
    *,
    most: int,
    points: int = 20,
    seed: int = 0,
    modality: str | None = None,
    curves: bool = True,
    targets: Sequence[int] | None = None,
    shares_of: Callable[[Record, Tokens], np.ndarray | None] | None = None,
    slow_control: bool = False,
    report: Report | None = None,
) -> tuple[RankedMap, ...]:
    """Every method on up to `most` inputs, held against two controls on the same inputs: random scores, and the maps
    that the same method makes of random weights (`control`), tested on the real model.

    slow_control: make the maps of random weights for slow methods too.
    targets: classes to explain, one an input; the model's answers where they are left out.
    shares_of: the true object's share of every patch; by default from the record's mask.
    """
    prepare = embedder.tower(modality).prepare
    numbers: Numbers = {m.name: {} for m in methods}
    refused = dict.fromkeys(numbers, 0)
    again = tuple(m for m in methods if not m.control and (slow_control or not m.slow))
    begun, total = time.monotonic(), min(most, len(inputs.records))
    for n, (record, tokens) in enumerate(inputs.single()):
        if n >= most:
            break
        if int((tokens.roles_BL == Role.CONTENT).sum()) < 2:
            continue  # one patch or word piece has no order that a map could get wrong
        put = partial(_put, numbers, n)
        traced = trace(subject, tokens, gradients=any(m.needs_gradients for m in methods))
        target = targets[n] if targets is not None else 0 if subject.head is None else int(traced.outcome_BC.argmax())
        traced = traced.explaining(target)
        setting = setting_of(prepare, tokens, seed + n)
        shares = mask_shares(record, tokens.grid, prepare) if shares_of is None else shares_of(record, tokens)
        maps = _maps(traced, target, methods, setting, refused)
        others: Maps = {}
        if control is not None:
            random = trace(control, tokens, gradients=any(m.needs_gradients for m in again)).explaining(target)
            others = _maps(random, target, again, setting, {})
            _sanity(tokens, maps, others, put)
        if curves:
            _curves(traced, target, maps, others, CurveDefinition(points=points, seed=seed + n), put)
        if shares is not None:
            _truth(tokens, maps, others, shares, seed + n, put)
        if report is not None:
            report(Progress(n + 1, total, seconds=time.monotonic() - begun, what="inputs on which maps were tested"))
    return _adjusted(tuple(_ranked(method, numbers, refused[method.name]) for method in methods))


def _maps(traced: Traced, target: int, methods: Sequence[Method], setting: Setting, refused: dict[str, int]) -> Maps:
    maps = {}
    for method in methods:
        try:
            maps[method.name] = method.run(traced, torch.tensor([target]), setting).detach()[0]
        except ClasstokenError:
            refused[method.name] = refused.get(method.name, 0) + 1
    return maps


def _curves(traced: Traced, target: int, maps: Maps, others: Maps, definition: CurveDefinition, put: Put) -> None:
    tokens, seed = traced.tokens, definition.seed
    # The random control is the mean of several draws, so that the comparison is not with one lucky order.
    extra = {f"random {i}": faith.random_scores(tokens, 1000 * i + seed)[0] for i in range(1, RANDOM_DRAWS)}
    drawn = maps | (extra if "random" in maps else {}) | {CONTROL + name: scores for name, scores in others.items()}
    orders: tuple[faith.Order, ...] = ("deletion", "insertion")
    for order in orders:
        areas = {name: curve.area for name, curve in faith.curves(traced, target, drawn, order, definition).items()}
        for name in maps:
            same = [name, *extra] if name == "random" else [name]
            put(name, order, float(np.mean([areas[s] for s in same])))
            if name in others:
                put(name, CONTROL + order, areas[CONTROL + name])
    for name, scores in maps.items():
        put(name, "saco", faith.saco(traced, target, scores, seed=seed))


def _truth(tokens: Tokens, maps: Maps, others: Maps, shares: np.ndarray, seed: int, put: Put) -> None:
    content = (tokens.roles_BL[0] == Role.CONTENT).cpu()
    rows = [("", name, scores) for name, scores in maps.items()]
    rows += [(CONTROL, name, scores) for name, scores in others.items()]
    for prefix, name, scores in rows:
        draws = [scores] if name != "random" else [faith.random_scores(tokens, 1000 * i + seed)[0] for i in range(16)]
        found = [overlap(s.cpu()[content].double().numpy(), shares) for s in draws]
        put(name, f"{prefix}pointing", float(np.mean([f.pointing for f in found])))
        put(name, f"{prefix}mass/area", float(np.mean([f.mass_over_area for f in found])))
        put(name, f"{prefix}iou", float(np.mean([f.iou for f in found])))
        put(name, f"{prefix}precision", float(np.mean([f.average_precision for f in found])))


def _sanity(tokens: Tokens, maps: Maps, others: Maps, put: Put) -> None:
    """Rank correlation of a map with that of random weights."""
    content = tokens.roles_BL[0] == Role.CONTENT
    for name in others.keys() & maps.keys():
        put(name, "sanity", faith.rank_correlation(maps[name][content], others[name][content]))


def _put(out: Numbers, n: int, name: str, measure: str, value: float) -> None:
    out[name].setdefault(measure, {})[n] = value


def _both(values: dict[int, float], others: dict[int, float]) -> tuple[np.ndarray, np.ndarray] | None:
    """Two measures on the inputs that have both; None where that is fewer than two."""
    common = sorted(values.keys() & others.keys())
    if len(common) < 2:
        return None
    return np.array([values[n] for n in common]), np.array([others[n] for n in common])


def _ranked(method: Method, numbers: Numbers, refused: int) -> RankedMap:
    own, random = numbers[method.name], numbers.get("random", {})
    scores = []
    for measure, values in own.items():
        if measure == "sanity" or measure.startswith(CONTROL) or len(values) < 2:
            continue
        sign = -1.0 if measure in LOWER_IS_BETTER else 1.0
        over, p, control, over_control, over_edges = None, None, None, None, None
        if method.name != "random" and (pair := _both(values, random.get(measure, {}))):
            compared = compare(sign * pair[0], sign * pair[1], resamples=RESAMPLES)
            over, p = compared.difference, compared.p
        if not method.control and (pair := _both(values, numbers.get("edges", {}).get(measure, {}))):
            over_edges = _interval(sign * (pair[0] - pair[1]))
        if pair := _both(values, own.get(CONTROL + measure, {})):
            control = _interval(pair[1], BOUNDS.get(measure))
            over_control = _interval(sign * (pair[0] - pair[1]))
        scores.append(
            Score(
                measure,
                _interval(list(values.values()), BOUNDS.get(measure)),
                over,
                p,
                control,
                over_control,
                over_edges,
            )
        )
    sanity = _interval(list(own["sanity"].values())) if len(own.get("sanity", ())) > 1 else None
    count = max((len(v) for v in own.values()), default=0)
    return RankedMap(method.name, method.title, method.control, count, tuple(scores), sanity, refused)


def _interval(values: Sequence[float] | np.ndarray, bounds: tuple[float, float] | None = None) -> Interval:
    return mean_interval(np.array(values), resamples=RESAMPLES, bounds=bounds)


def _adjusted(ranking: tuple[RankedMap, ...]) -> tuple[RankedMap, ...]:
    """p-values for as many maps as were compared with random scores in one measure (Holm)."""
    found = {(r.name, s.measure): s.p for r in ranking for s in r.scores if s.p is not None}
    for measure in {measure for _, measure in found}:
        names = [name for name, m in found if m == measure]
        adjusted = holm([found[name, measure] for name in names])
        found |= {(name, measure): float(p) for name, p in zip(names, adjusted, strict=True)}
    return tuple(
        replace(r, scores=tuple(replace(s, p=found.get((r.name, s.measure))) for s in r.scores)) for r in ranking
    )
