"""`explain`: one input, from the picture of where the class token looked to the test whether it matters."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from classtoken.embedder import Embedder, load
from classtoken.encoder.protocol import is_stepwise
from classtoken.errors import ClasstokenError, OptionError
from classtoken.maps import faithfulness as faith
from classtoken.maps.rollout import read_rows, routes
from classtoken.maps.table import BY_NAME, Method, Setting, available, chosen
from classtoken.probe.capture import capture
from classtoken.probe.from_embedder import subject_of
from classtoken.probe.interventions import CutHeads, Mode, as_mode
from classtoken.probe.lens import lens
from classtoken.probe.subject import Subject, check_target, check_tokens
from classtoken.results import explain as result
from classtoken.study.control import judged_together
from classtoken.study.cuts import parse_cut
from classtoken.study.describing import artefacts_of, class_rows, layer_rows, notes_of, readout_in_words
from classtoken.study.inputs import Prepared, name_of, prepared, window_of
from classtoken.study.knocking import ALL, Knocker, modes_of, swaps
from classtoken.study.unseen import unseen
from classtoken.tensors import Tokens
from classtoken.values import Role

QUICK = tuple(method.name for method in BY_NAME.values() if not method.slow)


@dataclass(frozen=True)
class Choices:
    """What an explanation holds.

    methods: names of `analysis.methods`; None for all that fit (without the slow ones where `quick`).
    target: class to explain, an index or a label; None for the answer. points: of the deletion and insertion curves.
    pooling: explain this vector instead of the classifier's answer. prompt: of a text.
    cuts: what to take away besides (`jobs.explaining.cuts`); mode: what stands in its place, a mode of
    `analysis.interventions` or `all`. donors: other inputs, whose values stand in for modes mean and resample; states
    of the first are swapped in before every layer.
    """

    methods: tuple[str, ...] | None = None
    target: int | str | None = None
    pooling: str | None = None
    modality: str | None = None
    prompt: str | None = None
    quick: bool = False
    points: int = 20
    seed: int = 0
    cuts: tuple[str, ...] = ()
    mode: str | None = None
    donors: tuple[Any, ...] = ()


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
    check_tokens(tokens)
    if not bool((tokens.roles_BL == Role.CONTENT).any()):
        raise OptionError(f"this {given.modality} holds no patch or word piece, so there is nothing to explain.")
    with torch.no_grad():
        outcome_BC = subject(tokens)
    target = target_of(subject, outcome_BC, options.target)
    subject = subject.explaining(outcome_BC, target)
    outcome_BC = subject.along(outcome_BC) if subject.head is None else outcome_BC
    others = [prepared(embedder, d, modality=options.modality, prompt=options.prompt) for d in options.donors]
    knocker = Knocker(subject, tokens, target, tuple(other.tokens for other in others), options.seed)
    knockouts = _knockouts(knocker, options)
    methods = methods_of(options, subject, tokens)
    setting = Setting(given.patch, given.mask_id, options.seed, window_of(tokens))
    maps, definition = relevance_maps(subject, tokens, target, methods, setting, options)
    before = float(subject.probability(outcome_BC, target))
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
        weights=_class_rows(subject, tokens),
        maps=maps,
        curves=definition,
        routes=_routes(subject, tokens),
        knockouts=knockouts,
        head_effects=() if options.quick else _head_effects(subject, tokens, target),
        swaps=swaps(subject, tokens, others[0].tokens, target) if others else (),
        donor=_donor(subject, others[0], target) if others else None,
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
    """Weights of the class token's row (of several: the mean of those that are read), layer by layer, head by head."""
    found = class_rows(subject, tokens, ["weights"], dtype=torch.float32)
    return () if found is None else tuple(tuple(_plain(h) for h in w[0].mean(1)) for w in found[0].parts["weights"])


def _routes(subject: Subject, tokens: Tokens) -> tuple[result.Route, ...]:
    reader = subject.reader(tokens.roles_BL)
    if float(reader.max()) < 1 or int((tokens.roles_BL[0] != Role.PAD).sum()) < 3:
        return ()
    found = routes(subject, tokens, reader.argmax(1))
    return tuple(result.Route(via, source, share) for via, source, share in found.largest(0, 10))


def _knockouts(knocker: Knocker, options: Choices) -> tuple[result.KnockOut, ...]:
    """The cuts that were asked for; else of the tokens with most attention, in every mode that can be had."""
    if options.mode not in (None, ALL):
        as_mode(str(options.mode))
    subject, roles = knocker.subject, [Role(int(r)) for r in knocker.tokens.roles_BL[0]]
    if options.cuts:
        cuts = [parse_cut(text, roles, subject.depth, subject.heads) for text in options.cuts]
        pairs = []
        for cut in cuts:
            modes = (Mode.RENORMALISE,) if cut.kind == "removed" else modes_of(options.mode, knocker.donors)
            fit = [m for m in modes if m != Mode.RENORMALISE or cut.kind in ("tokens", "edges", "removed")]
            pairs += [(cut, mode) for mode in (fit if options.mode == ALL else modes)]
        return judged_together([knocker.knock(cut, mode, len(pairs)) for cut, mode in pairs])
    length = knocker.tokens.roles_BL.shape[1]
    fitting = tuple(d for d in knocker.donors if d.roles_BL.shape[1] == length)
    if options.mode is not None:
        modes = modes_of(options.mode, knocker.donors)
    else:
        modes = (Mode.RENORMALISE,) if options.quick else modes_of(ALL, fitting)
    return replace(knocker, donors=fitting or knocker.donors).most_attended(modes)


def _donor(subject: Subject, given: Prepared, target: int) -> result.DonorView:
    with torch.no_grad():
        outcome = subject(given.tokens)
    answer = "" if subject.head is None else _label(subject, int(outcome[0].argmax()))
    return result.DonorView(given.name, answer, float(subject.probability(outcome, target)))


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
    if not is_stepwise(subject.encoder) or subject.head is None:
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
