"""Late chunking: one pass over a text, and a vector a chunk, pooled from the states of the chunk's own tokens."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from classtoken.errors import OptionError
from classtoken.inputs import batches
from classtoken.pooling.base import Pooling
from classtoken.readout.readout import Readout
from classtoken.tensors import States, Tokens
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Chunk, Indexed, Record, Reject, Rejected, Role

#: Chunks whose windows are prepared together.
TOGETHER = 2048


@dataclass(frozen=True)
class LateBatch:
    """Chunks, the windows that they stand in as prepared tokens, and of each chunk its window and its tokens' numbers
    in it, padding not counted."""

    places: tuple[int, ...]
    tokens: Tokens
    owners: tuple[int, ...]
    inside: tuple[tuple[int, ...], ...]

    @property
    def long(self) -> tuple[bool, ...]:
        """Which lie in a window that was cut."""
        return tuple(self.tokens.cut[owner] > 0 for owner in self.owners)

    @property
    def size(self) -> int:
        """Tokens that are read."""
        return int(self.tokens.mask_BL.sum())

    def alone(self) -> Iterator["LateBatch"]:
        """Each chunk with its window."""
        for place, owner, inside in zip(self.places, self.owners, self.inside, strict=True):
            yield LateBatch((place,), self.tokens.row(owner), (0,), (inside,))

    def roles(self) -> Tensor:
        """(chunks, L): the roles of each chunk's own tokens in its window; everything else is padding."""
        roles = torch.full((len(self.places), self.tokens.roles_BL.shape[1]), int(Role.PAD), dtype=torch.long)
        for row, (owner, inside) in enumerate(zip(self.owners, self.inside, strict=True)):
            whole = self.tokens.roles_BL[owner]
            columns = torch.nonzero(whole != Role.PAD).flatten()[list(inside)]
            roles[row, columns] = whole[columns].long()
        return roles


@dataclass(frozen=True)
class ChunkReader:
    """A readout of each chunk of a batch, from the states of the windows; see `readout.StatesReader`."""

    readout: Readout
    batch: LateBatch

    @property
    def layers(self) -> tuple[int | str, ...]:
        """Those of the readout."""
        return self.readout.layers

    @property
    def rows(self) -> frozenset[Role] | None:
        """Every token is read."""
        return None

    def __call__(self, states: States, *, over: frozenset[Role] | None = None) -> Tensor:
        """A vector per chunk."""
        owners = torch.tensor(self.batch.owners, device=states.last_BLD.device)
        layers = {name: value[owners] for name, value in states.layers.items()}
        roles = self.batch.roles().to(states.last_BLD.device)
        of_chunks = replace(states, last_BLD=states.last_BLD[owners], roles_BL=roles, layers=layers)
        vectors: Tensor = self.readout(of_chunks, over=over)
        return vectors


def check_late(readouts: Mapping[str, Readout]) -> None:
    """Raise `OptionError` for a vector that is not pooled from a chunk's own tokens."""
    for name, readout in readouts.items():
        for pooling in readout.poolings:
            reads = pooling.reads(readout.over) if isinstance(pooling, Pooling) else frozenset({Role.CLASS})
            if reads is not None and Role.CONTENT not in reads:
                raise OptionError(
                    f"late chunks are pooled from their own tokens, and '{name}' reads a token of the whole text; set "
                    "`pooling` to one such as mean, or `chunked` to rows."
                )


def late_batches(
    prepare: TextPreprocessor, records: Iterator[Indexed], reject: Reject, *, prompt: str | None
) -> Iterator[LateBatch]:
    """Chunks by the windows that they stand in; windows of like length together."""
    waiting: list[tuple[int, Chunk]] = []
    for place, record in records:
        assert isinstance(record, Chunk)
        last = waiting[-1][1] if waiting else record
        if len(waiting) >= TOGETHER and (last.record, last.around) != (record.record, record.around):
            yield from _together(prepare, waiting, reject, prompt)
            waiting = []
        waiting.append((place, record))
    yield from _together(prepare, waiting, reject, prompt)


def _together(
    prepare: TextPreprocessor, chunks: Sequence[tuple[int, Chunk]], reject: Reject, prompt: str | None
) -> Iterator[LateBatch]:
    windows: list[Record] = []
    members: list[list[tuple[int, Chunk]]] = []
    for place, chunk in chunks:
        if not members or (members[-1][0][1].record, members[-1][0][1].around) != (chunk.record, chunk.around):
            windows.append(Record(id=chunk.record, text=chunk.around))
            members.append([])
        members[-1].append((place, chunk))

    def note(number: int, why: Rejected) -> None:
        for place, chunk in members[number]:
            reject(place, Rejected(chunk.id, why.reason))

    for batch in batches(prepare, enumerate(windows), note, prompt=prompt):
        places, owners, inside = [], [], []
        for row, number in enumerate(batch.places):
            spans = prepare.spans(windows[number].text or "", prompt=prompt)
            for place, chunk in members[number]:
                mine = _inside(spans, chunk.inside)
                if not mine:
                    reject(place, Rejected(chunk.id, "has no token of its own in the text around it"))
                    continue
                places.append(place)
                owners.append(row)
                inside.append(mine)
        if places:
            yield LateBatch(tuple(places), batch.tokens, tuple(owners), tuple(inside))


def _inside(spans: Sequence[tuple[int, int] | None], ends: tuple[int, int]) -> tuple[int, ...]:
    """The tokens that begin in a chunk."""
    begins = np.array([-1 if span is None else span[0] for span in spans])
    return tuple(np.flatnonzero((begins >= ends[0]) & (begins < ends[1])).tolist())
