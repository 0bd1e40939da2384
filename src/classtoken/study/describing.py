"""Rows, artefacts and notes of one input."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from classtoken.embedder import Embedder
from classtoken.probe.accounting import layer_sizes
from classtoken.probe.capture import PER_HEAD, Captured, capture, row_places
from classtoken.probe.subject import Subject
from classtoken.results.explain import Artefacts, LayerRow
from classtoken.study.artefacts import outliers, sinks
from classtoken.study.description import describe_row
from classtoken.tensors import Tokens
from classtoken.values import Role

CAUSAL = (
    "this model is causal: its leading class token sees nothing but itself, so its vector is the same for every input"
)
CAUSAL_LAST = "this model is causal: a token sees those before it alone, and only the last one can hold the whole input"


def class_rows(
    subject: Subject, tokens: Tokens, parts: Sequence[str], *, dtype: torch.dtype | None = None
) -> tuple[Captured, Tensor] | None:
    """Rows of `parts` (not values) of an input's class tokens, and where they stand.

    Of several class tokens those that the readout reads, if it reads any. None for a model without a class token.
    """
    if not bool((tokens.roles_BL == Role.CLASS).any()):
        return None
    captured = capture(subject, tokens, parts, rows={Role.CLASS}, dtype=dtype)
    places_BR = row_places(tokens.roles_BL, {Role.CLASS})
    read = subject.reader(tokens.roles_BL).gather(1, places_BR)[0] > 0
    if bool(read.all()) or not bool(read.any()):
        return captured, places_BR
    numbers = read.nonzero()[:, 0]
    kept = {
        part: tuple(v.index_select(2 if part in PER_HEAD else 1, numbers) for v in values)
        for part, values in captured.parts.items()
    }
    first = captured.embeddings_BLD
    return replace(captured, parts=kept, embeddings_BLD=None if first is None else first[:, read]), places_BR[:, read]


def layer_rows(subject: Subject, tokens: Tokens) -> tuple[LayerRow, ...]:
    """The class token's attention in numbers, layer by layer; nothing for a model without a class token."""
    parts = ["weights"]
    gaps = subject.encoder.gaps
    sized = not {"attention", "feedforward", "states", "embeddings"} & set(gaps)
    if sized:
        parts += ["attention", "feedforward", "states", "embeddings"]
    found = class_rows(subject, tokens, parts)
    if found is None:
        return ()
    captured, places_BR = found
    row = describe_row(captured, places_BR)
    sizes = layer_sizes(captured) if sized else None
    rows = []
    for layer in range(subject.depth):
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


def _floats(values: Tensor) -> tuple[float, ...]:
    return tuple(round(float(v), 6) for v in values)


def artefacts_of(subject: Subject, tokens: Tokens) -> Artefacts | None:
    """Outlier tokens and sinks of one input; None where the model gives no states."""
    if {"states", "weights", "values"} & set(subject.encoder.gaps):
        return None
    with torch.no_grad():
        captured = capture(subject, tokens, ["states", "weights", "values"])
    shares, ratios, found = [], [], []
    for i in range(subject.depth):
        out = outliers(captured.parts["states"][i], tokens.roles_BL)
        shares.append(float(out.share_B[0]))
        ratios.append(float(out.ratio_B[0]))
        sink = sinks(captured.parts["weights"][i], captured.parts["values"][i], tokens.roles_BL)
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
        notes.append(CAUSAL if tokens.roles_BL[0, 0] == Role.CLASS else CAUSAL_LAST)
    several = int((tokens.roles_BL[0] == Role.CLASS).sum())
    if subject.per_class:
        notes.append(
            f"this model has {several} class tokens, and each class is read from its own: rows and maps are of the "
            "explained class's token"
        )
    elif several > 1:
        notes.append(f"this model has {several} class tokens; rows and maps are means over those that are read out")
    if subject.reads != {Role.CLASS}:
        names = ", ".join(sorted(role.name for role in subject.reads))
        notes.append(
            f"the vector is not the class token's alone: it reads {names} tokens. The class token's rows are shown all "
            "the same; relevance maps are of the vector that is really read out"
        )
    if not bool((tokens.roles_BL == Role.CLASS).any()):
        notes.append("this model has no class token; relevance maps are of the tokens that are read out")
    if subject.encoder.gaps:
        notes.append(
            f"the model comes in as a foreign module: {', '.join(subject.encoder.gaps)} cannot be seen, so there is no "
            "exact account of the vector"
        )
    if tokens.cut and max(tokens.cut) > 0:
        notes.append(f"{max(tokens.cut)} tokens did not fit into the model and were cut off")
    notes.append(
        "attention says where a token reads, not what it uses: read every map beside its deletion area and beside the "
        "controls"
    )
    return tuple(notes)
