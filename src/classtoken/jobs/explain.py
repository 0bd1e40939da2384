"""`explain`: one input, from the picture of where the class token looked to the test whether it matters."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from classtoken.analysis import faithfulness as faith
from classtoken.analysis.capture import capture
from classtoken.analysis.interventions import CutHeads, Mode, cut_tokens
from classtoken.analysis.lens import lens
from classtoken.analysis.methods import BY_NAME, Method, Setting, available, chosen
from classtoken.analysis.model import subject_of
from classtoken.analysis.removal import repeat
from classtoken.analysis.rollout import read_rows, routes
from classtoken.analysis.subject import Subject, check_target
from classtoken.analysis.unseen import unseen
from classtoken.embedder import Embedder, load
from classtoken.encoder.encoder import Encoder
from classtoken.errors import ClasstokenError, OptionError
from classtoken.jobs.explaining.describing import artefacts_of, layer_rows, notes_of, readout_in_words
from classtoken.jobs.explaining.inputs import name_of, prepared, window_of
from classtoken.results import explain as result
from classtoken.tensors import Tokens
from classtoken.values import Role

QUICK = tuple(method.name for method in BY_NAME.values() if not method.slow)
DRAWS = 20


@dataclass(frozen=True)
class Choices:
    """What an explanation holds.

    methods: names of `analysis.methods`; None for all that fit (without the slow ones where `quick`).
    target: class to explain, an index or a label; None for the answer. points: of the deletion and insertion curves.
    pooling: explain this vector instead of the classifier's answer. prompt: of a text.
    """

    methods: tuple[str, ...] | None = None
    target: int | str | None = None
    pooling: str | None = None
    modality: str | None = None
    prompt: str | None = None
    quick: bool = False
    points: int = 20
    seed: int = 0


def explain(
    item: Any,
    model: str | Path | Embedder,
    *,
    choices: Choices | None = None,
    device: str | None = None,
    revision: str | None = None,
) -> result.Explanation:
    """How the class token came to its vector on one input, and whether any of it matters.

    item: an image (path, PIL image, array) or a text, as the model reads. Raises `TraceError` for a model whose
    attention cannot be captured, `OptionError` for a class that does not exist or an input with nothing to attend to.
    """
    options = choices or Choices()
    embedder = model if isinstance(model, Embedder) else load(model, device=device, revision=revision)
    subject = subject_of(embedder, pooling=options.pooling, modality=options.modality)
    given = prepared(embedder, item, modality=options.modality, prompt=options.prompt)
    tokens = given.tokens
    subject = subject.aimed(tokens)
    with torch.no_grad():
        outcome_BC = subject(tokens)
    target = target_of(subject, outcome_BC, options.target)
    subject = subject.for_class(target)
    methods = methods_of(options, subject, tokens)
    maps, definition = relevance_maps(subject, tokens, target, methods, Setting(given.patch, given.mask_id, options.seed, window_of(tokens)), options)
    before = float(subject.probability(outcome_BC, target))
    classes = (tokens.roles_BL[0] == Role.CLASS).nonzero()[:, 0]
    captured = _class_rows(subject, tokens) if len(classes) else None
    return result.Explanation(
        model=name_of(embedder),
        item=given.name,
        modality=given.modality,
        readout=readout_in_words(embedder, options.pooling, options.modality),
        outcome="probability" if subject.head is not None else "along",
        target=target,
        target_label=_label(subject, target),
        before=before,
        tokens=given.views,
        grid=tokens.grid,
        answers=_answers(subject, outcome_BC),
        layers=layer_rows(subject, tokens),
        weights=captured or (),
        maps=maps,
        curves=definition,
        routes=_routes(subject, tokens),
        knockouts=_knockouts(subject, tokens, target, options.seed),
        head_effects=() if options.quick else _head_effects(subject, tokens, target),
        lens=_lens(subject, tokens, target),
        unseen=_unseen(subject, tokens, maps),
        artefacts=artefacts_of(subject, tokens),
        image=given.image,
        notes=notes_of(embedder, subject, tokens, options.pooling),
    )


def target_of(subject: Subject, outcome_BC: Tensor, wanted: int | str | None) -> int:
    """The class to explain: the answer, an index, or a label's index."""
    if subject.head is None:
        if wanted is not None:
            raise OptionError(f"this model has no classes, so there is no class {wanted!r} to explain; leave it out.")
        return 0
    if wanted is None:
        return int(outcome_BC[0].argmax())
    if isinstance(wanted, str) and not wanted.lstrip("-").isdigit():
        if wanted not in subject.labels:
            some = ", ".join(subject.labels[:6])
            raise OptionError(f"there is no class '{wanted}'; classes are {some}{' ...' * (len(subject.labels) > 6)}.")
        return subject.labels.index(wanted)
    return check_target(int(wanted), outcome_BC.shape[1])


def methods_of(options: Choices, subject: Subject, tokens: Tokens) -> tuple[Method, ...]:
    """The maps to make: those named, or all that fit."""
    if options.methods is not None:
        return chosen(options.methods, subject, tokens)
    return tuple(m for m in available(subject, tokens) if not (options.quick and m.slow))


def relevance_maps(
    subject: Subject, tokens: Tokens, target: int, methods: Sequence[Method], setting: Setting, options: Choices
) -> tuple[tuple[result.RelevanceMap, ...], result.CurveDefinition | None]:
    """Every map with its deletion and insertion areas and SaCo. A map that is refused says why."""
    scores: dict[str, Tensor] = {}
    refused: dict[str, str] = {}
    targets = torch.tensor([target], device=tokens.roles_BL.device)
    for method in methods:
        try:
            scores[method.name] = method.run(subject, tokens, targets, setting).detach()[0]
        except ClasstokenError as error:
            refused[method.name] = str(error)
    definition = faith.CurveDefinition(points=options.points, seed=options.seed)
    content = tokens.roles_BL[0] == Role.CONTENT
    tested = int(content.sum()) > 1
    down = faith.curves(subject, tokens, target, scores, definition) if tested else {}
    up = faith.curves(subject, tokens, target, scores, faith.opposite(definition)) if tested else {}
    maps = []
    for method in methods:
        name = method.name
        shared = (name, method.title, method.says, method.signed, method.control)
        if name in refused:
            maps.append(result.RelevanceMap(*shared, refused=refused[name]))
            continue
        maps.append(
            result.RelevanceMap(
                *shared,
                scores=_plain(scores[name][content]),
                deletion=down[name].area if tested else None,
                insertion=up[name].area if tested else None,
                saco=faith.saco(subject, tokens, target, scores[name], seed=options.seed) if tested else None,
                deletion_curve=tuple(round(v, 6) for v in down[name].values) if tested else (),
                insertion_curve=tuple(round(v, 6) for v in up[name].values) if tested else (),
            )
        )
    d = definition
    return tuple(maps), result.CurveDefinition(d.points, d.scale, d.absent, d.ties, d.seed, d.area)


def _plain(values: Tensor) -> tuple[float, ...]:
    return tuple(float(f"{v:.6g}") for v in values.double().tolist())


def _label(subject: Subject, target: int) -> str:
    if subject.head is None:
        return "the vector, along its own direction"
    return subject.labels[target] if target < len(subject.labels) else str(target)


def _answers(subject: Subject, outcome_BC: Tensor, count: int = 5) -> tuple[result.Option, ...]:
    if subject.head is None:
        return ()
    best = outcome_BC[0].topk(min(count, outcome_BC.shape[1])).indices.tolist()
    return tuple(
        result.Option(i, _label(subject, i), float(subject.probability(outcome_BC, i)), float(outcome_BC[0, i]))
        for i in best
    )


def _class_rows(subject: Subject, tokens: Tokens) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """Weights of the class token's row (of several class tokens: their mean), layer by layer, head by head."""
    found = capture(subject, tokens, ["weights"], rows={Role.CLASS}, dtype=torch.float32).parts["weights"]
    return tuple(tuple(_plain(head) for head in layer[0].mean(1)) for layer in found)


def _routes(subject: Subject, tokens: Tokens) -> tuple[result.Route, ...]:
    reader = subject.reader(tokens.roles_BL)
    if float(reader.max()) < 1 or int((tokens.roles_BL[0] != Role.PAD).sum()) < 3:
        return ()
    found = routes(subject, tokens, reader.argmax(1))
    return tuple(result.Route(via, source, share) for via, source, share in found.largest(0, 10))


def _knockouts(subject: Subject, tokens: Tokens, target: int, seed: int) -> tuple[result.KnockOut, ...]:
    """The readout's tokens kept from reading the tokens they look at most, against as many random ones."""
    content = (tokens.roles_BL[0] == Role.CONTENT).nonzero()[:, 0]
    count = max(1, len(content) // 10)
    if len(content) < 2 * count + 1:
        return ()
    reader = subject.reader(tokens.roles_BL)
    rows = [read_rows(w.mean(1), reader)[0] for w in capture(subject, tokens, ["weights"]).parts["weights"]]
    mean = torch.stack(rows).mean(0)
    top = content[mean[content].argsort(descending=True)[:count]]
    generator = torch.Generator().manual_seed(seed)
    sets = [top] + [content[torch.randperm(len(content), generator=generator)[:count]] for _ in range(DRAWS)]
    cut = torch.zeros(len(sets), tokens.roles_BL.shape[1], dtype=torch.bool, device=tokens.roles_BL.device)
    for i, places in enumerate(sets):
        cut[i, places] = True
    before = float(subject.probability(subject(tokens).detach(), target))
    found = []
    one = bool(reader.max() == 1)
    cuts = ((reader > 0, "the read-out token is kept from"),) if one else ()
    for readers, what in (*cuts, (None, "nobody may read")):
        edit = cut_tokens(cut, Mode.RENORMALISE, readers_BL=None if readers is None else readers.expand_as(cut))
        with torch.no_grad():
            after = subject.probability(subject(repeat(tokens, 0, len(sets)), edit), target).tolist()
        name = f"{what} the {count} tokens with most attention"
        found.append(
            result.KnockOut(name, "renormalise", tuple(sorted(top.tolist())), before, after[0], tuple(after[1:]))
        )
    return tuple(found)


def _head_effects(subject: Subject, tokens: Tokens, target: int) -> tuple[tuple[float, ...], ...]:
    """What the target loses when one head's output is zero, per layer and head."""
    if "heads" in subject.encoder.gaps:
        return ()
    with torch.no_grad():
        before = float(subject.probability(subject(tokens), target))
        return tuple(
            tuple(
                before - float(subject.probability(subject(tokens, _without(layer, head)), target))
                for head in range(subject.heads)
            )
            for layer in range(subject.depth)
        )


def _without(layer: int, head: int) -> CutHeads:
    return CutHeads(Mode.ZERO, frozenset({layer}), None, heads=frozenset({head}))


def _lens(subject: Subject, tokens: Tokens, target: int) -> tuple[result.LensStep, ...]:
    if not isinstance(subject.encoder, Encoder) or subject.head is None:
        return ()
    steps = []
    found = lens(subject, tokens)
    for layer in range(subject.depth + 1):
        outcome = found.outcome_BNC[:, layer]
        best = int(outcome[0].argmax())
        value = float(subject.probability(outcome, best))
        steps.append(result.LensStep(layer, float(subject.probability(outcome, target)), _label(subject, best), value))
    return tuple(steps)


def _unseen(subject: Subject, tokens: Tokens, maps: Sequence[result.RelevanceMap]) -> result.UnseenTokens | None:
    """Needs the effect of removing tokens, so it is there when occlusion was asked for."""
    effect = next((m for m in maps if m.name == "occlusion" and m.scores), None)
    if effect is None or len(effect.scores) < 4:
        return None
    content = tokens.roles_BL[0] == Role.CONTENT
    rows = capture(subject, tokens, ["weights"]).parts["weights"]
    direct = torch.stack([read_rows(w.mean(1), subject.reader(tokens.roles_BL))[0] for w in rows]).mean(0)
    effects = torch.zeros_like(direct)
    effects[content] = torch.tensor(effect.scores).to(direct)
    found = unseen(direct, effects, tokens.roles_BL[0])
    return result.UnseenTokens(found.least, found.attended_unused, found.unattended_used, found.mass_of_least)
