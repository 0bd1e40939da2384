"""Texts with somebody's vectors, few and telling: asked of a service, or chosen among those that are stored."""

import random
from collections.abc import Sequence

import numpy as np

from classtoken.audit.diagnosis import Sample
from classtoken.audit.hypotheses import TextReader
from classtoken.audit.probes import text_probes
from classtoken.audit.services import ServiceRefusal, VectorService
from classtoken.audit.stored import StoredVectors
from classtoken.errors import SourceError

#: Tokens of a text that is short for every limit; texts of a stored sample, short and long; and the longest one.
SHORT, SHORT_TEXTS, LONG_TEXTS, LONGEST = 32, 48, 6, 2000


def asked(reader: TextReader, service: VectorService) -> Sample:
    """Vectors of probes that are made for this model's tokenizer. Raises `SourceError` where the service refuses the
    short ones."""
    probes = text_probes(reader.prepare, prompt=reader.meant.prompt)
    try:
        vectors = service.vectors(probes.short)
    except ServiceRefusal as refusal:
        raise SourceError(f"{service.address} refuses short texts (status {refusal.status}: {refusal.says}).") from None
    notes = [f"asked in {service.way.name}'s way, for the model '{service.name}'"]
    long: list[str] = []
    found: list[np.ndarray] = []
    for text, length in zip(probes.long, probes.lengths, strict=True):
        try:
            found.append(service.vectors([text])[0])
        except ServiceRefusal as refusal:
            notes.append(f"a text of {length} words is refused (status {refusal.status}: {refusal.says[:80]})")
            break
        long.append(text)
    return Sample(probes.short, vectors, tuple(long), np.stack(found) if found else None, tuple(notes))


def chosen(reader: TextReader, stored: StoredVectors) -> Sample:
    """Short texts by lot and the longest ones. Raises `SourceError` where none is short enough to be whole."""
    order = list(range(len(stored.texts)))
    random.Random(0).shuffle(order)
    order = [place for place in order[:4096] if stored.texts[place].strip()]
    lengths = dict(zip(order, _lengths(reader, [stored.texts[place] for place in order]), strict=True))
    limit = min(reader.limit.tokens or SHORT, SHORT)
    short = [place for place in order if lengths[place] <= limit][:SHORT_TEXTS]
    if not short:
        limit = reader.limit.tokens or LONGEST
        short = sorted((place for place in order if lengths[place] <= limit), key=lambda place: lengths[place])[:12]
    if not short:
        raise SourceError(f"every text is longer than the {limit} tokens that '{reader.reading.folder.name}' takes.")
    rest = [place for place in order if limit < lengths[place] <= LONGEST]
    long = sorted(rest, key=lambda place: -lengths[place])[:LONG_TEXTS]
    notes = (f"{len(short)} short and {len(long)} long texts of {len(stored.texts)}",)
    return Sample(
        tuple(stored.texts[place] for place in short),
        stored.vectors[short],
        tuple(stored.texts[place] for place in long),
        stored.vectors[long] if long else None,
        notes,
    )


def _lengths(reader: TextReader, texts: Sequence[str]) -> list[int]:
    """Tokens of each text before it is cut."""
    return [len(row) + row.cut for row in reader.prepare.encode(texts, prompt=reader.meant.prompt)]
