"""Long texts cut into chunks by tokens: each is a row, or all of a text are averaged into one.

A chunk is a piece of the text, and its vector that of the piece, as if somebody had written it by itself; so chunks
need nothing else to be found, compared or brought up to date. With `late` each is pooled from the states of the text
around it instead (late chunking, Guenther et al. 2024, arXiv:2409.04701).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from itertools import chain, pairwise
from typing import Literal

import numpy as np

from classtoken.errors import BadRecord, OptionError
from classtoken.inputs import PreparedBatch, batches
from classtoken.inputs.preprocessor import Preprocessor
from classtoken.inputs.rejecting import attempt, rejected
from classtoken.results.base import Result
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Chunk, Content, Indexed, Record, Reject, Rejected

ChunkedAs = Literal["rows", "late", "mean"]
#: Tokens of a window that may be lost or gained where a text is cut out of a longer one.
MARGIN = 2
#: Tokens that one character may have: an Arabic ligature of 18 letters, the bytes of an emoji.
SIGN = 18
#: The share of a window that is text before its first chunk, where there is some.
LEAD = 4
#: Chunks of texts that are averaged together.
TOGETHER = 256


@dataclass(frozen=True)
class ChunkSpec(Result):
    """How texts are cut: at most so many tokens a chunk, of which so many are the last of the chunk before."""

    size: int
    overlap: int = 0
    kept: ChunkedAs = "rows"

    def __str__(self) -> str:
        """As the fingerprint has it."""
        return f"{self.size} tokens, {self.overlap} again, {self.kept}"


class Chunker:
    """Records with texts -> their chunks. Raises `OptionError` for chunks that a model cannot read whole."""

    def __init__(self, prepare: Preprocessor, spec: ChunkSpec, prompt: str | None):
        if not isinstance(prepare, TextPreprocessor):
            raise OptionError("`chunks` are of texts, and this side of the model reads images; leave it out.")
        self.prepare, self.spec, self.prompt = prepare, spec, prompt
        self.room, self.around = prepare.room(prompt), prepare.length("", prompt=prompt)
        if self.room is not None and spec.size > self.room:
            raise OptionError(
                f"`chunks` is {spec.size}, and a text of this model has room for {self.room} tokens besides the "
                "special ones and the prompt; give at most that."
            )
        if spec.overlap > spec.size // 2:
            raise OptionError(f"`overlap` is {spec.overlap}; give at most half of `chunks`, {spec.size // 2}.")

    def __call__(self, record: Record) -> Sequence[Chunk]:
        """The chunks of a record, one where its text is short. Raises `BadRecord` for one that cannot be cut."""
        if record.text is None:
            raise BadRecord("there is no text in this record")
        text = record.text
        spans = self.prepare.content_spans(text)
        alone = None if self.spec.kept == "late" else self._alone(text, spans)
        before = borders(text, spans)
        ranges = token_ranges(before, self.spec.size, self.spec.overlap, alone)
        places = [_place(text, spans, *ends) for ends in ranges] or [(0, len(text))]
        windows = self._windows(spans, ranges, before, len(text)) if self.spec.kept == "late" else [None] * len(places)
        return [self._chunk(record, n, *ends) for n, ends in enumerate(zip(places, windows, strict=True))]

    def _alone(self, text: str, spans: Sequence[tuple[int, int]]) -> Callable[[int, int], int]:
        """How many tokens some of a text's have when they stand alone, which may be more than within the text: a first
        word without the space before it, the rest of a word, blanks of which no place is told."""

        def count(begin: int, end: int) -> int:
            first, last = _place(text, spans, begin, end)
            return self.prepare.length(text[first:last], prompt=self.prompt) - self.around

        return count

    def _chunk(self, record: Record, number: int, place: tuple[int, int], window: tuple[int, int] | None) -> Chunk:
        assert record.text is not None
        text = record.text[slice(*place)]
        whole = text if window is None else record.text[slice(*window)]
        inside = (0, len(text)) if window is None else (place[0] - window[0], place[1] - window[0])
        made_of = whole if window is None else f"{inside} {whole}"
        content = Content(blake2b(made_of.encode("utf-8", "surrogatepass"), digest_size=16).digest())
        return Chunk(
            id=f"{record.id}#{number}",
            text=text,
            label=record.label,
            group=record.group,
            meta=record.meta,
            content=None if record.content is None else content,
            record=record.id,
            chunk=number,
            begin=place[0],
            end=place[1],
            around=whole,
            inside=inside,
        )

    def _windows(
        self,
        spans: Sequence[tuple[int, int]],
        ranges: Sequence[tuple[int, int]],
        before: Sequence["Border"],
        length: int,
    ) -> list[tuple[int, int]]:
        """For each chunk the characters that are read in one pass around it: as many whole chunks as there is room for,
        behind some text before them."""
        room = len(spans) if self.room is None else max(self.room - MARGIN, self.spec.size)
        if len(spans) <= room:
            return [(0, length)] * max(len(ranges), 1)
        found: list[tuple[int, int]] = []
        while len(found) < len(ranges):
            first = ranges[len(found)][0]
            lead = max(0, first - min(room // LEAD, room - self.spec.size))
            lead = next(place for place in range(lead, first + 1) if place == first or before[place])
            behind = len(found) + 1
            while behind < len(ranges) and ranges[behind][1] - lead <= room:
                behind += 1
            found += [(spans[lead][0], spans[ranges[behind - 1][1] - 1][1])] * (behind - len(found))
        return found


class Border(IntEnum):
    """What stands between a token and the one before it: nothing, as they share a character (byte pairs of an emoji or
    a Chinese sign), the inside of a word, or white space."""

    SHARED, INSIDE, BLANK = range(3)


def borders(text: str, spans: Sequence[tuple[int, int]]) -> list[Border]:
    """What stands before each token, and behind the last."""
    found = [Border.BLANK]
    for (_, end), (begin, _) in pairwise(spans):
        if begin < end:
            found.append(Border.SHARED)
        else:  # the space before a word belongs to the word's token for some tokenizers, and to none for others
            blank = any(sign.isspace() for sign in text[end - 1 : begin + 1])
            found.append(Border.BLANK if blank else Border.INSIDE)
    return [*found, Border.BLANK] if spans else []


def _place(text: str, spans: Sequence[tuple[int, int]], begin: int, end: int) -> tuple[int, int]:
    """Where the tokens from `begin` to before `end` stand, with the signs behind them that became no token; the first
    and the last of a text with all that is around them."""
    last = spans[end - 1][1]
    behind = text[last : spans[end][0]].rstrip() if end < len(spans) else text[last:]
    return spans[begin][0] if begin else 0, last + len(behind)


def token_ranges(
    before: Sequence[Border], size: int, overlap: int, alone: Callable[[int, int], int] | None = None
) -> list[tuple[int, int]]:
    """Runs of at most `size` tokens that cover all, each but the first with `overlap` of the one before.

    A run ends between words where there is white space in its second half, and begins at some within the overlap. It
    does not end within a character, so that one that has more tokens than `size` is a run, too. `alone(begin, end)` are
    the tokens of a run that stands alone: one with more than `size` is made shorter.
    """
    count, found, begin = len(before) - 1, [], 0
    while begin < count:
        end = _end(before, begin, begin + size, begin + size // 2)
        while alone is not None and end > begin + 1 and (tokens := alone(begin, end)) > size:
            most = begin + max(1, min(end - begin - 1, (end - begin) * size // tokens))
            shorter = _end(before, begin, most, begin + size // 2)
            if shorter >= end:
                break
            end = shorter
        found.append((begin, end))
        if end == count:
            break
        back = range(max(end - overlap, begin + 1), end)
        apart = [place for place in back if before[place] is not Border.SHARED]
        begin = next((place for place in apart if before[place] is Border.BLANK), apart[0] if apart else end)
    return found


def _end(before: Sequence[Border], begin: int, most: int, half: int) -> int:
    """Where a run ends that begins at `begin` and ends at `most` at the latest, if it can: between words behind `half`,
    else between characters, those of one character more if need be."""
    count = len(before) - 1
    if most >= count:
        return count
    words = (place for place in range(most, half, -1) if before[place] is Border.BLANK)
    tried = chain(range(most, begin, -1), range(most + 1, min(most + SIGN, count) + 1))
    apart = (place for place in tried if before[place] is not Border.SHARED)
    return next(chain(words, apart), most)


def chunks_of(chunker: Chunker, record: Record) -> Sequence[Record | Rejected]:
    """The chunks of a record, or why it cannot be cut."""
    found = attempt(chunker, record)
    return (rejected(record.id, found),) if isinstance(found, BadRecord) else found


@dataclass(frozen=True)
class MeanBatch:
    """Texts whose vectors are means of their chunks': the chunks in batches, and of each its text and its weight.

    The places of a batch of chunks are numbers of chunks, `owners[k]` is the number in `places` of the text of chunk k.
    """

    places: tuple[int, ...]
    tokens: tuple[PreparedBatch, ...]
    owners: np.ndarray
    weights: np.ndarray

    @property
    def long(self) -> tuple[bool, ...]:
        """None was cut."""
        return (False,) * len(self.places)

    @property
    def size(self) -> int:
        """Tokens that are read."""
        return sum(batch.size for batch in self.tokens)

    def alone(self) -> Iterator["MeanBatch"]:
        """Each text with its chunks."""
        ones = [one for batch in self.tokens for one in batch.alone()]
        for number, place in enumerate(self.places):
            mine = tuple(one for one in ones if self.owners[one.places[0]] == number)
            yield MeanBatch((place,), mine, np.where(self.owners == number, 0, -1), self.weights)

    def mean(self, vectors: Callable[[PreparedBatch], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """sum_k n_k v_k / sum_k n_k over the chunks k of each text, n_k their numbers of tokens: (texts, size) each."""
        sums: dict[str, np.ndarray] = {}
        total = np.zeros(len(self.places))
        for batch in self.tokens:
            chunks = np.array(batch.places)
            owners, weights = self.owners[chunks], self.weights[chunks]
            np.add.at(total, owners, weights)
            for name, block in vectors(batch).items():
                whole = sums.setdefault(name, np.zeros((len(self.places), block.shape[1])))
                np.add.at(whole, owners, block * weights[:, None])
        return {name: (whole / total[:, None]).astype(np.float32) for name, whole in sums.items()}


def mean_batches(
    chunker: Chunker, records: Iterator[Indexed], reject: Reject, *, prompt: str | None
) -> Iterator[MeanBatch]:
    """Texts with all their chunks; one with a chunk that cannot be read is rejected."""
    waiting: list[tuple[int, Record, Sequence[Record]]] = []
    for place, record in records:
        found = chunks_of(chunker, record)
        bad = next((entry for entry in found if isinstance(entry, Rejected)), None)
        if bad is not None:
            reject(place, bad)
            continue
        waiting.append((place, record, [entry for entry in found if isinstance(entry, Record)]))
        if sum(len(chunks) for _, _, chunks in waiting) >= TOGETHER:
            yield from _together(chunker, waiting, reject, prompt)
            waiting = []
    if waiting:
        yield from _together(chunker, waiting, reject, prompt)


def _together(
    chunker: Chunker, texts: Sequence[tuple[int, Record, Sequence[Record]]], reject: Reject, prompt: str | None
) -> Iterator[MeanBatch]:
    chunks = list(chain.from_iterable(chunks for _, _, chunks in texts))
    of_text = np.repeat(np.arange(len(texts)), [len(chunks) for _, _, chunks in texts])
    bad: dict[int, str] = {}

    def note(number: int, why: Rejected) -> None:
        bad.setdefault(int(of_text[number]), why.reason)

    made = list(batches(chunker.prepare, enumerate(chunks), note, prompt=prompt))
    for number, reason in bad.items():
        reject(texts[number][0], Rejected(texts[number][1].id, reason))
    left = [number for number in range(len(texts)) if number not in bad]
    owners = np.full(len(texts), -1)
    owners[left] = np.arange(len(left))
    weights = np.zeros(len(chunks))
    kept = []
    for batch in made:
        weights[list(batch.places)] = batch.tokens.mask_BL.sum(dim=1).numpy()
        good = all(int(of_text[place]) not in bad for place in batch.places)
        kept += [batch] if good else [one for one in batch.alone() if int(of_text[one.places[0]]) not in bad]
    if left:
        yield MeanBatch(tuple(texts[number][0] for number in left), tuple(kept), owners[of_text], weights)
