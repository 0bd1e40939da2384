"""Knock-outs of every kind and mode, and swaps, beside hooks of torch in transformers' modules, in float64."""

from collections.abc import Callable, Collection

import torch
from tests.references.models import Change, Changes, Pair, pairs
from tests.references.row import Numbers, Row
from torch import Tensor

from classtoken.probe.interventions import CutEdges, Mode, cut_heads, cut_layers, cut_tokens
from classtoken.probe.removal import remove
from classtoken.probe.traced import trace
from classtoken.study.swaps import swap_states
from classtoken.tensors import Trace
from classtoken.values import Role

ROOM = "knock-outs"
EXACT = 1e-10
GONE = (2, 4)
HOOKS = "torch hooks in transformers"
INTERFACE = "transformers' attention interface"


def donors(pair: Pair, part: str) -> list[Tensor]:
    """A part of the two other inputs, layer by layer, as the reference computes it."""
    with torch.no_grad():
        return pair.reference.run(**pair.inputs(pair.others))[part]


def instead(pair: Pair, part: str, layer: int, mode: Mode) -> Change:
    """What stands in the place of a part: nothing, the mean of the donors, or the donors row by row."""
    if mode == Mode.ZERO:
        return torch.zeros_like
    theirs = donors(pair, part)[layer]
    return lambda value: theirs.mean(0, keepdim=True).expand_as(value) if mode == Mode.MEAN else theirs


def only(chosen: Tensor, change: Change) -> Change:
    """A change where `chosen` is True."""
    return lambda value: torch.where(chosen, change(value), value)


def changed(pair: Pair, changes: Callable[[Pair], Changes]) -> Numbers:
    made = changes(pair)
    with torch.no_grad():
        return [pair.reference.run(made).logits]


def edited(pair: Pair, edit: Trace) -> Numbers:
    with torch.no_grad():
        return [pair.subject(pair.tokens, edit)]


def donor(pair: Pair, part: str, layers: Collection[int]) -> dict[str, Tensor]:
    parts = ("weights", "heads", "attention", "feedforward")
    return dict(trace(pair.subject, pair.others, parts).donor([f"blocks.{i}.{part}" for i in layers]))


def edges_of(pair: Pair, readers: Collection[int] | None) -> Tensor:
    """reader -> the two tokens; all readers but the tokens themselves where none are named."""
    L = pair.tokens.roles_BL.shape[1]
    edges = torch.zeros(L, L, dtype=torch.bool)
    for reader in range(L) if readers is None else readers:
        for place in GONE:
            edges[reader, place] = readers is not None or reader != place
    return edges


def our_edges(pair: Pair, mode: Mode, readers: Collection[int] | None, layers: Collection[int]) -> Numbers:
    needed = donor(pair, "weights", layers) if mode in (Mode.MEAN, Mode.RESAMPLE) else None
    if readers is None:
        gone = torch.zeros_like(pair.tokens.roles_BL, dtype=torch.bool)
        gone[:, GONE] = True
        return edited(pair, cut_tokens(gone, mode, layers=layers, donor=needed))
    return edited(pair, CutEdges(mode, frozenset(layers), needed, edges_BLL=edges_of(pair, readers)[None]))


def their_edges(pair: Pair, mode: Mode, readers: Collection[int] | None, layers: Collection[int]) -> Numbers:
    edges = edges_of(pair, readers)
    if mode == Mode.RENORMALISE:
        return changed(pair, lambda p: {("scores", i): lambda s: s.masked_fill(edges, -torch.inf) for i in layers})
    return changed(pair, lambda p: {("weights", i): only(edges, instead(p, "weights", i, mode)) for i in layers})


def our_heads(pair: Pair, mode: Mode) -> Numbers:
    needed = None if mode == Mode.ZERO else donor(pair, "heads", [1])
    return edited(pair, cut_heads([0, 2], 1, mode, donor=needed))


def their_heads(pair: Pair, mode: Mode) -> Numbers:
    chosen = torch.tensor([True, False, True, False])[:, None, None]
    return changed(pair, lambda p: {("heads", 1): only(chosen, instead(p, "heads", 1, mode))})


def our_layers(pair: Pair, mode: Mode, parts: Collection[str]) -> Numbers:
    needed = None if mode == Mode.ZERO else {k: v for part in parts for k, v in donor(pair, part, [0]).items()}
    return edited(pair, cut_layers([0], mode, parts=parts, donor=needed))


def their_layers(pair: Pair, mode: Mode, parts: Collection[str]) -> Numbers:
    return changed(pair, lambda p: {(part, 0): instead(p, part, 0, mode) for part in parts})


def our_removal(pair: Pair) -> Numbers:
    gone = torch.zeros(1, pair.tokens.roles_BL.shape[1], dtype=torch.bool)
    gone[0, list(GONE)] = True
    return [torch.cat([remove(pair.traced(), gone, row=row) for row in range(2)])]


def their_removal(pair: Pair) -> Numbers:
    kept = torch.tensor([i for i in range(pair.tokens.roles_BL.shape[1]) if i not in GONE])
    return [torch.stack([pair.reference.shorter(row, kept) for row in range(2)])]


def our_swaps(pair: Pair, role: Role) -> Numbers:
    traced, others = pair.traced(), trace(pair.subject, pair.others, ("states", "embeddings"))
    places = pair.tokens.roles_BL == role
    theirs = [others.entering(i)[others.roles_BL == role] for i in range(3)]
    return [swap_states(traced, places, theirs)]


def their_swaps(pair: Pair, role: Role) -> Numbers:
    """The states of one role before a layer are those of another input; after the last one, norm and head on those."""
    theirs, reference = donors(pair, "states"), pair.reference
    places = (pair.tokens.roles_BL == role)[..., None]
    rows = []
    with torch.no_grad():
        for layer in range(3):
            put = only(places, lambda value, layer=layer: theirs[layer])
            rows.append(reference.run({("states", layer): put}).logits)
    return [torch.stack(rows, 1)]


def both(
    what: str, source: str, ours: Callable[[Pair], Numbers], theirs: Callable[[Pair], Numbers], *on: str
) -> tuple[Row, ...]:
    """A row for each model."""
    return tuple(
        Row(
            ROOM,
            what,
            source,
            lambda number=number: ours(pairs()[number]),
            lambda number=number: theirs(pairs()[number]),
            EXACT,
            (*on, name),
        )
        for number, name in enumerate(("ViT", "BERT"))
    )


ROWS = (
    *(
        row
        for mode in Mode
        for row in both(
            "tokens",
            INTERFACE,
            lambda p, mode=mode: our_edges(p, mode, None, (0, 1)),
            lambda p, mode=mode: their_edges(p, mode, None, (0, 1)),
            mode.value,
        )
    ),
    *(
        row
        for mode in Mode
        for row in both(
            "edges from the class token in one layer",
            INTERFACE,
            lambda p, mode=mode: our_edges(p, mode, (0,), (1,)),
            lambda p, mode=mode: their_edges(p, mode, (0,), (1,)),
            mode.value,
        )
    ),
    *(
        row
        for mode in (Mode.ZERO, Mode.MEAN, Mode.RESAMPLE)
        for row in both(
            "heads",
            INTERFACE,
            lambda p, mode=mode: our_heads(p, mode),
            lambda p, mode=mode: their_heads(p, mode),
            mode.value,
        )
    ),
    *(
        row
        for name, parts in (
            ("attention of a layer", ("attention",)),
            ("feed-forward of a layer", ("feedforward",)),
            ("a whole layer", ("attention", "feedforward")),
        )
        for mode in (Mode.ZERO, Mode.MEAN, Mode.RESAMPLE)
        for row in both(
            name,
            HOOKS,
            lambda p, mode=mode, parts=parts: our_layers(p, mode, parts),
            lambda p, mode=mode, parts=parts: their_layers(p, mode, parts),
            mode.value,
        )
    ),
    *both("tokens removed", "transformers' layers on the shorter sequence", our_removal, their_removal),
    *(
        row
        for role in (Role.CLASS, Role.CONTENT)
        for row in both(
            "states of another input before every layer",
            HOOKS,
            lambda p, role=role: our_swaps(p, role),
            lambda p, role=role: their_swaps(p, role),
            role.name,
        )
    ),
)
