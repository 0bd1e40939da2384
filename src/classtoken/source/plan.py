"""Source -> tasks: a pure function of the listing, hashed; and the reader that runs through tasks in order."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from classtoken.errors import SourceError
from classtoken.source.base import TASK_ROWS, Entry, Listing, Source
from classtoken.values import Record, Task


@dataclass(frozen=True)
class Plan:
    """The work: tasks in order, how many records they hold, and a hash that changes when the source does; `state` is
    that of the source's files before they were listed."""

    tasks: tuple[Task, ...]
    total: int
    hash: str
    listing: Listing
    state: tuple[tuple[int, ...], ...] = ()


def make_plan(source: Source, *, task_rows: int = TASK_ROWS, limit: int | None = None) -> Plan:
    """Scan a source and cut it into tasks of `task_rows` records that do not cross files.

    Raises `SourceError` when there is no record at all, and for duplicate ids, naming the first few.
    """
    state = source.state()
    listing = source.listed(task_rows, limit)
    tasks: list[Task] = []
    total = 0
    how = _how(source, listing)
    for shard in listing.shards:
        for index, offset in enumerate(shard.offsets):
            start = index * task_rows
            stop, first = min(start + task_rows, shard.rows), total + start
            # Where ids are numbers of records, the same lines further down are other records.
            made_of = [*how, shard.stamps[index], None if listing.ids_given else first] if shard.stamps else None
            stamp = "" if made_of is None else _hashed(made_of)
            tasks.append(Task(len(tasks), shard.name, start, stop, first, offset, stamp))
        total += shard.rows
    return Plan(tuple(tasks), total, _hash(source, listing, task_rows), listing, state)


class Reader:
    """Reads tasks; one that begins where the last one ended goes on there, without opening the file again."""

    def __init__(self, source: Source):
        self._source = source
        self._place: tuple[str, int] | None = None
        self._rows: Iterator[Entry] = iter(())

    def __call__(self, task: Task) -> Iterator[Entry]:
        """The entries of one task, in order."""
        if self._place != (task.shard, task.start):
            self._rows = self._source.rows(task.shard, task.start, task.first, task.offset)
        self._place = None
        yield from islice(self._rows, len(task))
        self._place = (task.shard, task.stop)


def first_record(source: Source, plan: Plan) -> Record:
    """The first record that could be read. Raises `SourceError` when there is none at all."""
    reader = Reader(source)
    reason = ""
    for task in plan.tasks:
        for entry in reader(task):
            if isinstance(entry, Record):
                return entry
            reason = reason or f"'{entry.id}': {entry.reason}"
    raise SourceError(f"no record of {source.name} can be read; the first: {reason}.")


def _hash(source: Source, listing: Listing, task_rows: int) -> str:
    """What the files hold, how they are cut and which columns are read; not where they lie."""
    kind, options, meta = _how(source, listing)
    shards = [(shard.rows, shard.stamp) for shard in listing.shards]
    return _hashed({"kind": kind, "options": options, "rows": task_rows, "shards": shards, "meta": meta})


def _how(source: Source, listing: Listing) -> tuple[str, dict[str, str], dict[str, str]]:
    """How records are read: of which kind of file, by which options, with which columns beside them."""
    later = ("delimiter", "encoding")  # where they are not given, plans are what they were without them
    chosen = {name: value for name, value in vars(source.options).items() if value is not None or name not in later}
    options = {name: str(value) for name, value in chosen.items() if name not in ("labels", "masks")}
    return source.kind, options, {name: str(kind) for name, kind in listing.meta.items()}


def _hashed(content: object) -> str:
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()
