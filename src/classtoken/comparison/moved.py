"""Position bias: the same sentence moved through a long text, and how much of it each candidate's vector keeps.

For every sentence as many texts are made as there are places; the sentences around it are the same in all of them, and
in the same order. What is measured is the cosine of the text's vector and the vector of the sentence alone.
"""

import re
from collections.abc import Sequence

import numpy as np

from classtoken.comparison.entrants import Passed, read_all
from classtoken.comparison.transform import unit_rows
from classtoken.measure.paired import Units, intervals
from classtoken.measure.statistics import LEAST
from classtoken.results.compare import PositionBias
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Record

SENTENCES, PLACES = 24, 6
WORDS = (4, 16)
"""of a sentence that is moved; texts of this many fit into every model"""


def moved(one: Passed, records: Sequence[Record], prefix: str) -> tuple[PositionBias, ...]:
    """The cosine by place for every candidate of a model that is read without training; none for images, where there
    are too few sentences, and where a text of so many does not fit into the model."""
    prepare = one.model.embedder.tower(one.model.modality).prepare
    if not isinstance(prepare, TextPreprocessor):
        return ()
    some = sentences([record.text for record in records if record.text is not None])
    if len(some) < LEAST:
        return ()
    texts = [*some, *(text for at in range(len(some)) for text in texts_of(some, at))]
    if any(row.cut for row in prepare.encode(texts, prompt=one.model.prompt)):
        return ()
    asked = one.asked.fixed_alone()
    found = read_all(one.model, asked, [Record(f"text {n}", text) for n, text in enumerate(texts)])
    if found.bad:
        return ()
    return tuple(
        _bias(f"{prefix}{wanted.name}", found.vectors[wanted.base], len(some))
        for wanted in asked.fixed
        if wanted.dim is None and not wanted.whiten
    )


def sentences(texts: Sequence[str]) -> list[str]:
    """The first sentence of each text, where it is neither very short nor long; different ones, evenly taken."""
    found = dict.fromkeys(re.split(r"(?<=[.!?])\s", text.strip(), maxsplit=1)[0] for text in texts)
    fitting = [one for one in found if WORDS[0] <= len(one.split()) <= WORDS[1] and len(one) <= 8 * WORDS[1]]
    if len(fitting) <= SENTENCES:
        return fitting
    return [fitting[row] for row in np.linspace(0, len(fitting) - 1, SENTENCES).astype(int)]


def texts_of(some: Sequence[str], at: int) -> list[str]:
    """One sentence at every place among the ones that follow it."""
    ended = [one if one.endswith((".", "!", "?")) else f"{one}." for one in some]
    others = [ended[(at + n) % len(some)] for n in range(1, PLACES)]
    return [" ".join((*others[:place], ended[at], *others[place:])) for place in range(PLACES)]


def _bias(name: str, vectors: np.ndarray, count: int) -> PositionBias:
    x = unit_rows(vectors.astype(np.float64))
    cosines = (x[count:].reshape(count, PLACES, -1) * x[:count, None]).sum(-1)
    elsewhere = (cosines.sum(1) - cosines[:, 0]) / (PLACES - 1)
    rows = intervals(np.stack((*cosines.T, cosines[:, 0] - elsewhere)), Units.each(count), differences=True)
    *by_place, first = rows
    return PositionBias(
        candidate=name,
        places=tuple(100 * place / (PLACES - 1) for place in range(PLACES)),
        cosine=tuple(row.estimate for row in by_place),
        low=tuple(row.low for row in by_place),
        high=tuple(row.high for row in by_place),
        sentences=count,
        first=first.estimate,
        first_low=first.low,
        first_high=first.high,
    )
