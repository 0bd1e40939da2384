"""Rows, artefacts and notes of one input."""

import torch
from torch import Tensor

from classtoken.embedder import Embedder
from classtoken.maps.rollout import read_rows
from classtoken.probe.accounting import layer_sizes
from classtoken.probe.capture import row_places
from classtoken.probe.subject import Subject
from classtoken.probe.traced import Traced
from classtoken.results.explain import Artefacts, LayerRow
from classtoken.study.artefacts import outliers, sinks
from classtoken.study.description import describe_row
from classtoken.tensors import Tokens
from classtoken.values import Role

CAUSAL = (
    "this model is causal: its leading class token sees nothing but itself, so its vector is the same for every input"
)
CAUSAL_LAST = "this model is causal: a token sees those before it alone, and only the last one can hold the whole input"


def class_places(traced: Traced) -> Tensor | None:
    """Where the class tokens stand, (B, R): of several those that the readout reads, if it reads any. None for a model
    without a class token."""
    if not bool((traced.roles_BL == Role.CLASS).any()):
        return None
    places_BR = row_places(traced.roles_BL, {Role.CLASS})
    read = traced.reader_BL.gather(1, places_BR)[0] > 0
    return places_BR if not bool(read.any()) else places_BR[:, read]


def layer_rows(traced: Traced, places_BR: Tensor) -> tuple[LayerRow, ...]:
    """The class token's attention in numbers, layer by layer, of one input."""
    row = describe_row(traced.rows("weights", places_BR), traced.roles_BL, places_BR)
    sized = traced.shows_states and {"attention", "feedforward"} <= set(traced.parts)
    sizes = layer_sizes(traced, places_BR[:, :1]) if sized else None
    rows = []
    for layer in range(traced.depth):
        lengths: tuple[float, ...] = ()
        if sizes is not None:
            parts_BN = (sizes.before_BN, sizes.attention_BN, sizes.feedforward_BN, sizes.after_BN)
            lengths = tuple(float(part[0, layer]) for part in parts_BN)
        rows.append(
            LayerRow(
                layer,
                _floats(row.entropy_BNH[0, layer]),
                _floats(row.relative_BNH[0, layer]),
                _floats(row.effective_BNH[0, layer]),
                _floats(row.itself_BNH[0, layer]),
                {role.name: _floats(mass[0, layer]) for role, mass in row.masses.items()},
                float(row.agreement_BN[0, layer]),
                lengths,
            )
        )
    return tuple(rows)


def direct_weights(traced: Traced) -> Tensor:
    """The weight that the read-out token gives every token, over all layers and heads (B, L)."""
    rows = [read_rows(weights.mean(1), traced.reader_BL) for weights in traced.part("weights")]
    return torch.stack(rows).mean(0)


def _floats(values: Tensor) -> tuple[float, ...]:
    return tuple(round(float(v), 6) for v in values)


def artefacts_of(traced: Traced) -> Artefacts | None:
    """Outlier tokens and sinks of one input; None where the model gives no states."""
    if not {"states", "weights", "values"} <= set(traced.parts):
        return None
    shares, ratios, found = [], [], []
    for i in range(traced.depth):
        out = outliers(traced.parts["states"][i], traced.roles_BL)
        shares.append(float(out.share_B[0]))
        ratios.append(float(out.ratio_B[0]))
        sink = sinks(traced.parts["weights"][i], traced.parts["values"][i], traced.roles_BL)
        for _, head, key in sink.mask_BHL.nonzero().tolist():
            received = float(sink.received_BHL[0, head, key])
            found.append((i, head, key, round(received, 4), round(float(sink.relative_value_BHL[0, head, key]), 4)))
    return Artefacts(tuple(shares), tuple(ratios), tuple(found))


def readout_in_words(embedder: Embedder, pooling: str | None, modality: str | None) -> str:
    """Which vector or answer is explained."""
    reading = embedder.tower(modality).reading
    if pooling is not None:
        return pooling
    if reading.classifier is not None:
        return f"classifier on {reading.classifier.readout.spec}"
    return str(reading.contract)


def notes_of(embedder: Embedder, subject: Subject, tokens: Tokens, pooling: str | None) -> tuple[str, ...]:
    """What a reader must know before believing the pictures."""
    notes = []
    if subject.causal:
        leading = tokens.roles_BL[0, 0] == Role.CLASS and subject.reads == {Role.CLASS}
        notes.append(CAUSAL if leading else CAUSAL_LAST)
    several = int((tokens.roles_BL[0] == Role.CLASS).sum())
    if subject.per_class:
        notes.append(
            f"this model has {several} class tokens, and each class is read from its own: rows and maps are of the "
            "explained class's token"
        )
    elif several > 1:
        notes.append(f"this model has {several} class tokens; rows and maps are means over those that are read out")
    has_one = bool((tokens.roles_BL == Role.CLASS).any())
    if has_one and subject.reads != {Role.CLASS}:
        read_L = subject.reader(tokens.roles_BL)[0] != 0
        roles = set(tokens.roles_BL[0, read_L].tolist())
        names, alone = ", ".join(sorted(Role(role).name for role in roles)), " alone" * (Role.CLASS in roles)
        notes.append(
            f"the vector is not the class token's{alone}: it reads {names} tokens. The class token's rows are shown "
            "all the same; relevance maps are of the vector that is really read out"
        )
    if not has_one:
        notes.append("this model has no class token; relevance maps are of the tokens that are read out")
    if subject.encoder.gaps:
        notes.append(
            f"the model comes in as a foreign module: {', '.join(subject.encoder.gaps)} cannot be seen, so there is no "
            "exact account of the vector"
        )
    notes.append(
        "attention says where a token reads, not what it uses: read every map beside its deletion area and beside the "
        "controls"
    )
    return tuple(notes)
