"""One input explained: everything is read from one trace of it, and what is changed is run on from there."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from classtoken.activity import activity
from classtoken.embedder import Embedder
from classtoken.encoder.protocol import is_stepwise
from classtoken.errors import ClasstokenError, OptionError
from classtoken.inputs import PreparedInput, rest_in_words
from classtoken.maps import faithfulness as faith
from classtoken.maps.rollout import routes
from classtoken.maps.table import Method, Setting, available, chosen
from classtoken.options import ExplainDataOptions, ExplainOptions
from classtoken.probe.from_embedder import subject_of
from classtoken.probe.interventions import Mode, as_mode
from classtoken.probe.lens import lens
from classtoken.probe.subject import Subject, check_target
from classtoken.probe.traced import PARTS, Traced, content_of, trace
from classtoken.results import explain as result
from classtoken.study.cuts import Cut, parse_cut
from classtoken.study.describing import (
    artefacts_of,
    class_places,
    direct_weights,
    layer_rows,
    notes_of,
    readout_in_words,
)
from classtoken.study.inputs import (
    given_as,
    name_of,
    name_of_item,
    original_of,
    picture_uri,
    prepare_item,
    setting_of,
    token_views,
    typical_of,
)
from classtoken.study.knockouts import ALL, Bench, head_effects, modes_of, most_attended
from classtoken.study.swaps import swaps
from classtoken.study.unseen import unseen
from classtoken.tensors import Tokens
from classtoken.values import Role

TAKEN = 0.1
"""part of the tokens that the verdict takes away"""


def explained(embedder: Embedder, item: Any, options: ExplainOptions) -> result.Explanation:
    """How the class token came to its vector on one input, and whether any of it matters."""
    subject = subject_of(embedder, pooling=options.pooling, modality=options.modality, prompt=options.prompt)
    prepare = embedder.tower(options.modality).prepare
    given = prepare_item(embedder, item, modality=options.modality, prompt=options.prompt)
    others = [prepare_item(embedder, d, modality=options.modality, prompt=options.prompt) for d in options.donors]
    tokens = given.tokens
    methods = methods_of(options, subject, tokens)
    clean = trace(subject, tokens, gradients=any(method.needs_gradients for method in methods))
    target = target_of(subject, clean.outcome_BC, options.target)
    traced = clean.explaining(target)
    cuts = _cuts(traced, options)
    donors = _donors(traced, others, cuts)
    maps, curves = relevance_maps(traced, target, methods, setting_of(prepare, tokens, options.seed), options)
    places_BR = class_places(traced)
    subject = traced.subject
    return result.Explanation(
        model=name_of(embedder),
        item=name_of_item(item, given.view),
        modality=given.view.modality,
        readout=readout_in_words(embedder, options.pooling, options.modality),
        outcome="along" if subject.kind == "along" else "probability",
        target=target,
        target_label=_label(subject, target),
        before=float(traced.answers_BC[0, target]),
        tokens=token_views(given.view, embedder.tower(options.modality).reading.classifier),
        grid=tokens.grid,
        answers=_answers(traced),
        layers=() if places_BR is None else layer_rows(traced, places_BR),
        weights=() if places_BR is None else _class_rows(traced, places_BR),
        maps=maps,
        curves=curves,
        removal=removal_of(Bench(traced, target, seed=options.seed), maps),
        routes=_routes(traced),
        knockouts=_knockouts(Bench(traced, target, donors, options.seed), cuts, options),
        head_effects=() if options.quick else head_effects(traced, target),
        swaps=swaps(traced, donors[0], target, subject.labels) if donors else (),
        donor=_donor(donors[0], others[0], options.donors[0], target) if donors else None,
        lens=_lens(traced, target),
        unseen=_unseen(traced, maps, target),
        artefacts=artefacts_of(traced),
        image=picture_uri(given.view),
        original=original_of(item, given.view),
        notes=(*rest_in_words(prepare, tokens.cut), *notes_of(embedder, subject, tokens, options.pooling)),
        typical=typical_of(embedder, subject, tokens, modality=options.modality, prompt=options.prompt),
        given=None if options.pooling or options.prompt else given_as(embedder, subject, item),
        quick=options.quick,
        temperature=float(subject.temperature),
    )


def target_of(subject: Subject, outcome_BC: Tensor, wanted: int | str | None) -> int:
    """The class to explain: the answer, an index, or a label's index."""
    if subject.head is None:
        if wanted is not None:
            raise OptionError(f"this model has no classes, so there is no class {wanted!r} to explain; leave it out.")
        return 0
    if wanted is None:
        return int(outcome_BC[0].argmax())
    if isinstance(wanted, str) and not wanted.lstrip("-").isdecimal():
        return label_number(subject.labels, wanted)
    return check_target(int(wanted), outcome_BC.shape[1])


def label_number(labels: Sequence[str], wanted: str) -> int:
    """The number of a class by its name, or by one of several that it has (`tabby, tabby cat`), in any case.

    Raises `OptionError` with those that are nearly called so.
    """
    if wanted in labels:
        return list(labels).index(wanted)
    whole = wanted.casefold().strip()
    names = [{label.casefold(), *(part.strip() for part in label.casefold().split(","))} for label in labels]
    found = [i for i, known in enumerate(names) if whole in known]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(f"'{labels[i]}'" for i in found)
        raise OptionError(f"several classes are called '{wanted}': {several}; give the whole name.")
    near = get_close_matches(whole, sorted(set().union(*names)), n=3, cutoff=0.6)
    meant = list(dict.fromkeys(f"'{labels[i]}'" for name in near for i, known in enumerate(names) if name in known))
    if meant:
        raise OptionError(f"there is no class '{wanted}'; did you mean {' or '.join(meant[:3])}?")
    some = ", ".join(labels[:6]) + (f" and {len(labels) - 6} more" if len(labels) > 6 else "")
    raise OptionError(f"there is no class '{wanted}'; classes are {some}.")


def methods_of(options: ExplainOptions | ExplainDataOptions, subject: Subject, tokens: Tokens) -> tuple[Method, ...]:
    """The maps to make: those named, or all that fit."""
    subject = subject.for_class(0)  # where each class has a class token, the target's alone is read
    if options.methods is not None:
        return chosen(options.methods, subject, tokens)
    return tuple(m for m in available(subject, tokens) if not (options.quick and m.slow))


def relevance_maps(
    traced: Traced, target: int, methods: Sequence[Method], setting: Setting, options: ExplainOptions
) -> tuple[tuple[result.RelevanceMap, ...], result.CurveDefinition]:
    """Every map with its deletion and insertion areas and SaCo. A map that is refused says why."""
    scores: dict[str, Tensor] = {}
    refused: dict[str, str] = {}
    targets = torch.tensor([target], device=traced.roles_BL.device)
    for number, method in enumerate(methods, 1):
        try:
            with activity(f"map {number} of {len(methods)}, {method.title}"):
                scores[method.name] = method.run(traced, targets, setting).detach()[0]
        except ClasstokenError as error:
            refused[method.name] = str(error)
    definition = result.CurveDefinition(points=options.points, seed=options.seed)
    content = content_of(traced.tokens)
    tested = len(content) > 1
    with activity("testing the maps: what is called important taken away, and put back"):
        down = faith.curves(traced, target, scores, "deletion", definition) if tested else {}
        up = faith.curves(traced, target, scores, "insertion", definition) if tested else {}
    maps = []
    for method in methods:
        name = method.name
        shared = (name, method.title, method.says, method.signed, method.control)
        if name in refused:
            maps.append(result.RelevanceMap(*shared, refused=refused[name], by_removal=method.by_removal))
            continue
        maps.append(
            result.RelevanceMap(
                *shared,
                scores=_plain(scores[name][content]),
                deletion=down[name].area if tested else None,
                insertion=up[name].area if tested else None,
                saco=faith.saco(traced, target, scores[name], seed=options.seed) if tested else None,
                deletion_curve=tuple(round(v, 6) for v in down[name].values) if tested else (),
                insertion_curve=tuple(round(v, 6) for v in up[name].values) if tested else (),
                by_removal=method.by_removal,
            )
        )
    fractions = next(iter(down.values())).fractions if down else ()
    return tuple(maps), result.CurveDefinition(points=options.points, seed=options.seed, fractions=fractions)


@activity("taking away what the best map calls important")
def removal_of(bench: Bench, maps: Sequence[result.RelevanceMap]) -> result.Removal | None:
    """The strongest tokens of the best tested map taken out of the sequence, beside as many others drawn at random.

    p is corrected for having chosen the map by the same test (Bonferroni over the candidates); maps that are made by
    removal are candidates only where there is no other.
    """
    tested = [m for m in maps if m.scores and m.deletion is not None and not m.control]
    candidates = [m for m in tested if not m.by_removal] or tested
    content = content_of(bench.traced.tokens)
    count = max(1, round(TAKEN * len(content)))
    if not candidates or len(content) <= count:
        return None
    best = min(candidates, key=lambda m: m.deletion or 0.0)
    strongest = sorted(range(len(content)), key=lambda i: -best.scores[i])[:count]
    cut = Cut("removed", f"the strongest of {best.title}", tuple(sorted(content[i] for i in strongest)))
    knocked, n = bench.knock_out(cut, Mode.RENORMALISE, tests=len(candidates)), len(candidates)
    if knocked.p is not None:
        knocked = replace(knocked, together=n, p_together=min(1.0, n * knocked.p))
    return result.Removal(best.name, best.title, n, len(content), knocked)


def _plain(values: Tensor) -> tuple[float, ...]:
    return tuple(float(f"{v:.6g}") for v in values.double().tolist())


def _label(subject: Subject, target: int) -> str:
    if subject.kind == "along":
        return "the vector, along its own direction"
    return subject.labels[target] if target < len(subject.labels) else str(target)


def _answers(traced: Traced, count: int = 5) -> tuple[result.ClassScore, ...]:
    if traced.subject.kind == "along":
        return ()
    outcome_C, answers_C = traced.outcome_BC[0], traced.answers_BC[0]
    best = outcome_C.topk(min(count, len(outcome_C))).indices.tolist()
    return tuple(
        result.ClassScore(i, _label(traced.subject, i), float(answers_C[i]), float(outcome_C[i])) for i in best
    )


def _class_rows(traced: Traced, places_BR: Tensor) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """Weights of the class token's row (of several: the mean of those that are read), layer by layer, head by head."""
    return tuple(tuple(_plain(head) for head in rows[0].mean(1)) for rows in traced.rows("weights", places_BR))


def _routes(traced: Traced) -> tuple[result.Route, ...]:
    if not traced.one_reader or int(traced.tokens.mask_BL.sum()) < 3:
        return ()
    found = routes(traced, traced.reader_BL.argmax(1))
    return tuple(result.Route(via, source, share) for via, source, share in found.largest(0, 10))


def _cuts(traced: Traced, options: ExplainOptions) -> list[Cut]:
    """The cuts that were asked for, or those of the tokens with most attention."""
    if options.mode not in (None, ALL):
        as_mode(str(options.mode))
    roles = [Role(int(r)) for r in traced.roles_BL[0]]
    if options.cuts:
        return [parse_cut(text, roles, traced.depth, traced.subject.heads) for text in options.cuts]
    return most_attended(traced)


def _donors(traced: Traced, others: Sequence[PreparedInput], cuts: Sequence[Cut]) -> tuple[Traced, ...]:
    """The other inputs, each traced once; with what each head adds only where a head is cut."""
    heads = ("heads",) if any(cut.kind == "heads" for cut in cuts) else ()
    return tuple(trace(traced.subject, other.tokens, (*PARTS, *heads)) for other in others)


@activity("taking parts away, each beside random ones")
def _knockouts(bench: Bench, cuts: Sequence[Cut], options: ExplainOptions) -> tuple[result.KnockOut, ...]:
    """Every cut in the mode that was asked for, or in each that can be had."""
    length = bench.traced.roles_BL.shape[1]
    fitting = tuple(donor for donor in bench.donors if donor.roles_BL.shape[1] == length)
    pairs: list[tuple[Cut, Mode]] = []
    for cut in cuts:
        if cut.kind == "removed":
            pairs.append((cut, Mode.RENORMALISE))
        elif options.mode is None and not options.cuts:
            modes = (Mode.RENORMALISE,) if options.quick else modes_of(ALL, fitting)
            pairs += [(cut, mode) for mode in modes]
        else:
            can = cut.kind in ("tokens", "edges") or options.mode != ALL
            pairs += [(cut, m) for m in modes_of(options.mode, bench.donors) if can or m != Mode.RENORMALISE]
    return bench.several(pairs)


def _donor(donor: Traced, given: PreparedInput, item: Any, target: int) -> result.DonorView:
    subject = donor.subject
    answer = "" if subject.kind == "along" else _label(subject, int(donor.outcome_BC[0].argmax()))
    return result.DonorView(name_of_item(item, given.view), answer, float(donor.answers_BC[0, target]))


def _lens(traced: Traced, target: int) -> tuple[result.LensStep, ...]:
    subject = traced.subject
    if not is_stepwise(subject.encoder) or subject.kind == "along":
        return ()
    steps = []
    for layer, row in enumerate(subject.answers(lens(traced)[0])):
        best = int(row.argmax())
        steps.append(result.LensStep(layer, float(row[target]), _label(subject, best), float(row[best])))
    return tuple(steps)


def _unseen(traced: Traced, maps: Sequence[result.RelevanceMap], target: int) -> result.UnseenTokens | None:
    """Needs the effect of removing tokens, so it is there when occlusion was asked for."""
    effect = next((m for m in maps if m.name == "occlusion" and m.scores), None)
    if effect is None or len(effect.scores) < 4:
        return None
    direct = direct_weights(traced)[0]
    effects = torch.zeros_like(direct)
    effects[content_of(traced.tokens)] = torch.tensor(effect.scores).to(direct)
    return unseen(direct, effects, traced.roles_BL[0], outcome=float(traced.outcome_BC[0, target]))
