"""Maps tested on single inputs: deletion, insertion, SaCo, masks, and the same maps with random weights."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from classtoken.analysis import faithfulness as faith
from classtoken.analysis.methods import Method, Setting
from classtoken.analysis.subject import Subject
from classtoken.analysis.truth import overlap
from classtoken.embedder import Embedder
from classtoken.errors import ClasstokenError
from classtoken.jobs.explaining.gathering import Inputs, mask_shares
from classtoken.jobs.explaining.inputs import mask_id_of, patch_of
from classtoken.measure.statistics import bootstrap
from classtoken.results.explain_data import Ranked, Score
from classtoken.tensors import Tokens
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Record, Role

LOWER_IS_BETTER = frozenset({"deletion"})
Numbers = dict[str, dict[str, list[float]]]
RANDOM_DRAWS = 4


def rank_maps(
    embedder: Embedder,
    subject: Subject,
    control: Subject | None,
    inputs: Inputs,
    methods: Sequence[Method],
    *,
    most: int,
    points: int = 20,
    seed: int = 0,
    modality: str | None = None,
    curves: bool = True,
    targets: Sequence[int] | None = None,
    shares_of: Callable[[Record, Tokens], np.ndarray | None] | None = None,
    report: Callable[[str], None] | None = None,
) -> tuple[Ranked, ...]:
    """Every method on up to `most` inputs; numbers are compared with the random control on the same inputs.

    targets: classes to explain, one an input; the model's answers where they are left out.
    shares_of: the true object's share of every patch; by default from the record's mask.
    """
    prepare = embedder.tower(modality).prepare
    numbers: Numbers = {m.name: {} for m in methods}
    refused = dict.fromkeys(numbers, 0)
    for n, (record, tokens) in enumerate(inputs.single()):
        if n >= most:
            break
        aimed = subject.aimed(tokens)
        with torch.no_grad():
            target = int(aimed(tokens)[0].argmax()) if targets is None else targets[n]
        mask_id = mask_id_of(prepare) if isinstance(prepare, TextPreprocessor) else None
        window = 2 if tokens.grid is not None and tokens.grid[0] * tokens.grid[1] > 64 else 1
        setting = Setting(patch_of(tokens), mask_id, seed + n, window)
        shares = mask_shares(record, tokens.grid, prepare) if shares_of is None else shares_of(record, tokens)
        maps = _maps(aimed, tokens, target, methods, setting, refused)
        if curves:
            _curves(aimed, tokens, target, maps, points, seed + n, numbers)
        if shares is not None:
            _truth(tokens, maps, shares, seed + n, numbers)
        if control is not None:
            _sanity(control.aimed(tokens), tokens, target, methods, setting, maps, numbers)
        if report is not None:
            report(f"explain: maps of {n + 1} of {min(most, len(inputs.records))} inputs tested")
    return tuple(_ranked(method, numbers, refused[method.name]) for method in methods)


def _maps(
    subject: Subject, tokens: Tokens, target: int, methods: Sequence[Method], setting: Setting, refused: dict[str, int]
) -> dict[str, torch.Tensor]:
    maps = {}
    for method in methods:
        try:
            maps[method.name] = method.run(subject, tokens, torch.tensor([target]), setting).detach()[0]
        except ClasstokenError:
            refused[method.name] = refused.get(method.name, 0) + 1
    return maps


def _curves(
    subject: Subject, tokens: Tokens, target: int, maps: dict[str, torch.Tensor], points: int, seed: int, out: Numbers
) -> None:
    definition = faith.CurveDefinition(points=points, seed=seed)
    # The random control is the mean of several draws, so that the comparison is not with one lucky order.
    extra = {f"random {i}": faith.random_scores(tokens, 1000 * i + seed)[0] for i in range(1, RANDOM_DRAWS)}
    drawn = maps | (extra if "random" in maps else {})
    down = faith.curves(subject, tokens, target, drawn, definition)
    up = faith.curves(subject, tokens, target, drawn, faith.opposite(definition))
    for name in maps:
        same = [name, *extra] if name == "random" else [name]
        _put(out, name, "deletion", float(np.mean([down[s].area for s in same])))
        _put(out, name, "insertion", float(np.mean([up[s].area for s in same])))
        _put(out, name, "saco", faith.saco(subject, tokens, target, maps[name], seed=seed))


def _truth(tokens: Tokens, maps: dict[str, torch.Tensor], shares: np.ndarray, seed: int, out: Numbers) -> None:
    content = (tokens.roles_BL[0] == Role.CONTENT).cpu()
    for name, scores in maps.items():
        draws = [scores] if name != "random" else [faith.random_scores(tokens, 1000 * i + seed)[0] for i in range(16)]
        found = [overlap(s.cpu()[content].double().numpy(), shares) for s in draws]
        _put(out, name, "pointing", float(np.mean([f.pointing for f in found])))
        _put(out, name, "mass/area", float(np.mean([f.mass_over_area for f in found])))
        _put(out, name, "iou", float(np.mean([f.iou for f in found])))
        _put(out, name, "precision", float(np.mean([f.average_precision for f in found])))


def _sanity(
    control: Subject,
    tokens: Tokens,
    target: int,
    methods: Sequence[Method],
    setting: Setting,
    maps: dict[str, torch.Tensor],
    out: Numbers,
) -> None:
    """Rank correlation with the map of random weights, for methods that are quick and look at the model."""
    content = tokens.roles_BL[0] == Role.CONTENT
    for method in methods:
        if method.control or method.slow or method.needs_linear or method.name not in maps:
            continue
        other = method.run(control, tokens, torch.tensor([target]), setting).detach()[0]
        _put(out, method.name, "sanity", faith.rank_correlation(maps[method.name][content], other[content]))


def _put(out: Numbers, name: str, measure: str, value: float) -> None:
    out[name].setdefault(measure, []).append(value)


def _ranked(method: Method, numbers: Numbers, refused: int) -> Ranked:
    own, random = numbers[method.name], numbers.get("random", {})
    scores = []
    for measure, values in own.items():
        if measure == "sanity" or len(values) < 2:
            continue
        over = None
        if method.name != "random" and len(random.get(measure, ())) == len(values):
            sign = -1.0 if measure in LOWER_IS_BETTER else 1.0
            over = bootstrap(sign * (np.array(values) - np.array(random[measure])), resamples=1999)
        scores.append(Score(measure, bootstrap(np.array(values), resamples=1999), over))
    sanity = bootstrap(np.array(own["sanity"]), resamples=1999) if len(own.get("sanity", ())) > 1 else None
    count = max((len(v) for v in own.values()), default=0)
    return Ranked(method.name, method.title, method.control, count, tuple(scores), sanity, refused)
