"""Records for training: drawn from all labels, those that have one, labels that are called by other names."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from random import Random

from classtoken.errors import TrainingError
from classtoken.values import Record, Rejected

WITHOUT = "has no label"


def drawn(records: Callable[[], Iterable[Record]], limit: int | None, seed: int) -> Iterator[Record]:
    """`limit` records of a source in its order, drawn by `seed` from all labels in proportion, at least one of each.

    records: the source's, from the beginning with every call: once to see the labels, once to take what was drawn.
    Raises `TrainingError` for fewer records than labels.
    """
    if limit is None:
        yield from records()
        return
    places: dict[str, list[int]] = {}
    for place, record in enumerate(records()):
        places.setdefault(json.dumps(record.label, default=list), []).append(place)
    if len(places) > limit:
        raise TrainingError(f"limit is {limit}, and there are {len(places)} labels; take at least one record of each.")
    random, keyed = Random(seed), []
    for group in places.values():
        random.shuffle(group)
        keyed += [(rank / len(group), place) for rank, place in enumerate(group)]
    taken = {place for _, place in sorted(keyed)[:limit]}
    yield from (record for place, record in enumerate(records()) if place in taken)


def with_labels(records: Iterable[Record], left_out: list[Rejected], *, needed: bool) -> Iterator[Record]:
    """The records that have a label; the others, as rows with an empty cell, go into `left_out`.

    All pass where labels are not `needed`; where no record has one, for whoever needs them to say so; and where records
    may have several, for none of them is an answer there.
    """
    if not needed:
        yield from records
        return
    rest, empty = iter(records), list[Record]()
    for record in rest:
        if record.label:
            break
        empty.append(record)
    else:
        yield from empty
        return
    if isinstance(record.label, tuple):
        yield from (*empty, record)
        yield from rest
        return
    left_out += [Rejected(one.id, WITHOUT) for one in empty]
    yield record
    for record in rest:
        if record.label:
            yield record
        else:
            left_out.append(Rejected(record.id, WITHOUT))


def renamed(records: Iterable[Record], names: Mapping[str, str]) -> Iterator[Record]:
    """Records whose labels are called by their names (`names`: old to new; empty: as they are).

    A label without a name raises `TrainingError`, and so do two labels of one name.
    """
    taken: dict[str, str] = {}
    for old, new in names.items():
        if taken.setdefault(new, old) != old:
            raise TrainingError(f"label_names calls both '{taken[new]}' and '{old}' '{new}'; give each its own name.")

    def name(label: str) -> str:
        if label in names:
            return names[label]
        raise TrainingError(
            f"the label '{label}' has no name in label_names, which has {', '.join(names)}; name every label there."
        )

    for record in records:
        label = record.label
        if not names or not label:
            yield record
        else:
            yield replace(record, label=name(label) if isinstance(label, str) else tuple(map(name, label)))
