"""Records -> batches of tokens; what cannot be prepared is rejected with its reason."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from classtoken.errors import BadRecord
from classtoken.inputs.preprocessor import Preprocessor
from classtoken.inputs.rejecting import attempt, cores, in_order, rejected
from classtoken.tensors import Tokens
from classtoken.values import Indexed, Reject, Rejected

Named = tuple[int, str, Any]
"""the place of an input, its id and its item: a text, or whatever an image may be"""


@dataclass(frozen=True)
class PreparedBatch:
    """Inputs that are ready: row k of `tokens` is the input at `places[k]` of those that were given."""

    places: tuple[int, ...]
    tokens: Tokens

    @property
    def long(self) -> tuple[bool, ...]:
        """Which were longer than the model takes."""
        return tuple(count > 0 for count in self.tokens.cut) or (False,) * len(self.places)

    @property
    def size(self) -> int:
        """Tokens that are read."""
        return int(self.tokens.mask_BL.sum())

    def alone(self) -> Iterator["PreparedBatch"]:
        """Each input as a batch of its own."""
        return (PreparedBatch((place,), self.tokens.row(row)) for row, place in enumerate(self.places))


def batches(
    prepare: Preprocessor,
    records: Iterable[Indexed],
    reject: Reject,
    *,
    prompt: str | None = None,
    most_rows: int | None = None,
) -> Iterator[PreparedBatch]:
    """Records with their places -> batches; each record is in one batch, or `reject` is called for it.

    Texts of like length go together, images as they come (those of one size, where the recipe fixes none). Records are
    read as batches are asked for, a bounded number ahead.
    """
    ready = rows(prepare, records, reject, prompt=prompt)
    return (PreparedBatch(tuple(places), tokens) for places, tokens in prepare.batches(ready, most_rows=most_rows))


def rows(
    prepare: Preprocessor, records: Iterable[Indexed], reject: Reject, *, prompt: str | None = None
) -> Iterator[tuple[int, Any]]:
    """Records with their places -> rows (see `Preprocessor`) with theirs, in order, for batches of one's own."""
    image = prepare.modality == "image"
    named = ((place, record.id, record.image if image else record.text) for place, record in records)
    return _rows(prepare, named, reject, prompt)


def item_batches(
    prepare: Preprocessor, items: Sequence[Any], *, prompt: str | None = None, most_rows: int | None = None
) -> Iterator[PreparedBatch]:
    """Items without ids -> batches. Raises `BadRecord` at the first bad one."""
    ready = _rows(prepare, _named(prepare, items), _raise, prompt)
    return (PreparedBatch(tuple(places), tokens) for places, tokens in prepare.batches(ready, most_rows=most_rows))


def one_batch(prepare: Preprocessor, items: Sequence[Any], *, prompt: str | None = None) -> Tokens:
    """Items as one batch, in their order. Raises `BadRecord` at the first bad one."""
    ready = _rows(prepare, _named(prepare, items), _raise, prompt)
    return prepare.collate([row for _, row in ready])


def _named(prepare: Preprocessor, items: Sequence[Any]) -> Iterator[Named]:
    return ((place, prepare.name_of(item, place), item) for place, item in enumerate(items))


def _raise(place: int, why: Rejected) -> None:
    raise BadRecord(why.reason, why.id)


def _rows(
    prepare: Preprocessor, inputs: Iterable[Named], reject: Reject, prompt: str | None
) -> Iterator[tuple[int, Any]]:
    def ready(items: Sequence[Any]) -> Sequence[Any]:
        return prepare.ready(items, prompt=prompt)

    def several(chunk: Sequence[Named]) -> list[Any]:
        """All at once; only when one of them is bad each on its own, to know which."""
        together = attempt(ready, [item for _, _, item in chunk])
        if not isinstance(together, BadRecord):
            return list(together)
        if len(chunk) == 1:
            return [together]
        found = (attempt(ready, [item]) for _, _, item in chunk)
        return [one if isinstance(one, BadRecord) else one[0] for one in found]

    def work(chunk: Sequence[Named]) -> list[tuple[Named, Any]]:
        there = [entry for entry in chunk if entry[2] is not None]
        made = iter(several(there) if there else ())
        missing = BadRecord(f"there is no {prepare.modality} in this record")
        return [(entry, missing if entry[2] is None else next(made)) for entry in chunk]

    threads = cores() if prepare.at_once == 1 else 1
    for chunk in in_order(work, _chunks(inputs, prepare.at_once), threads):
        for (place, name, _), row in chunk:
            if isinstance(row, BadRecord):
                reject(place, rejected(name, row))
            else:
                yield place, row


def _chunks(inputs: Iterable[Named], size: int) -> Iterator[list[Named]]:
    left = iter(inputs)
    while chunk := list(islice(left, size)):
        yield chunk
