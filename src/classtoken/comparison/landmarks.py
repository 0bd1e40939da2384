"""Landmark pooling for long texts: an end token after every k tokens, and the mean of these alone (arXiv 2601.21525).

A class token leans to the first positions, and a mean dilutes what is said once; a landmark reads what stands around it
and as many of them as the text needs are averaged. Of an encoder that was not trained with landmarks this is an
experiment, which is what comparing is for.
"""

import re
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from classtoken.embedder.tower import Tower
from classtoken.errors import OptionError
from classtoken.readout.readout import Readout
from classtoken.tensors import States
from classtoken.tokens.text import TextPreprocessor, TextRow
from classtoken.values import Role

_NAME = re.compile(r"landmarks\(([1-9][0-9]*)\)")


def without_landmarks(poolings: str) -> tuple[str, tuple[int, ...]]:
    """Poolings joined by commas: those of the vocabulary, and the k of every `landmarks(k)` among them.

    Raises `OptionError` for a name that is empty, and for landmarks without a number.
    """
    names = [name.strip() for name in poolings.split(",")]
    if not all(names):
        raise OptionError("a pooling has no name: write them joined by commas, as in cls,mean (`pooling`).")
    every = [int(found[1]) for name in names if (found := _NAME.fullmatch(name))]
    wrong = next((name for name in names if name.startswith("landmarks") and not _NAME.fullmatch(name)), None)
    if wrong is not None:
        raise OptionError(f"'{wrong}' is not understood; write landmarks(16): an end token after every 16 tokens.")
    return ",".join(name for name in names if not _NAME.fullmatch(name)), tuple(every)


def named(every: int) -> str:
    """What the candidate is called."""
    return f"landmarks({every})"


class WithLandmarks(TextPreprocessor):
    """Texts as a model's authors prepare them, with the end token after every `every` tokens of content too.

    Raises `OptionError` for a model without such a token. What no longer fits is cut at the end.
    """

    def __init__(self, inner: TextPreprocessor, every: int):
        if not inner.tokenizer.ends[1]:
            raise OptionError(f"'{named(every)}' puts end tokens into texts, and this model's texts have none.")
        self.__dict__.update(inner.__dict__)
        self.every = every

    def encode(self, texts: Sequence[str], *, prompt: str | None = None) -> list[TextRow]:
        return [self._marked(row) for row in super().encode(texts, prompt=prompt)]

    def _marked(self, row: TextRow) -> TextRow:
        """The row with landmarks; its own end is the last of them."""
        content = np.flatnonzero(row.roles == Role.CONTENT)
        behind = content[self.every - 1 : -1 : self.every] + 1
        end = row.ids[-self.tokenizer.ends[1]]
        ids, roles = np.insert(row.ids, behind, end), np.insert(row.roles, behind, int(Role.END))
        most = self.recipe.max_length or len(ids)
        if len(ids) <= most:
            return TextRow(ids, roles, row.cut)
        tail = self.tokenizer.ends[1]
        kept = np.r_[0 : most - tail, len(ids) - tail : len(ids)]
        return TextRow(ids[kept], roles[kept], row.cut + len(ids) - most)


class LandmarkMean:
    """The mean of the end tokens' last states."""

    def __init__(self, tower: Tower):
        self.mean: Readout = next(iter(tower.readouts("mean").values()))
        self.layers, self.rows = self.mean.layers, self.mean.rows

    def __call__(self, states: States, *, over: frozenset[Role] | None = None) -> Tensor:
        return self.mean(states, over=frozenset({Role.END}))


def landmark_side(tower: Tower, every: int) -> WithLandmarks:
    """The preprocessing of a tower with landmarks. Raises `OptionError` for images."""
    if not isinstance(tower.prepare, TextPreprocessor):
        raise OptionError(f"'{named(every)}' is for texts, and these are images; leave it out.")
    return WithLandmarks(tower.prepare, every)
