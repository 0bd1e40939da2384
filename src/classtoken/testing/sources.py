"""A battery for sources: `check_source(source)` says everything that is wrong with one, or returns.

    from classtoken.testing.sources import check_source

    def test_mine() -> None:
        check_source(MySource(...))

It asks what a run relies on: listing twice gives the same; every task, opened on its own and in any order, holds what a
straight read gives; ids are unique; a limit takes the first records; what is carried through has a type; the source
goes to another process. A source with at least three records shows most.
"""

import math
import pickle
from collections.abc import Callable, Iterator

import pyarrow as pa

from classtoken.sink.rows import carried_columns, schema, to_table
from classtoken.source import Entry, Listing, Reader, Source, make_plan
from classtoken.values import Record

#: Records of a task, tried one after another.
TASKS = (1, 2, 3, 1000)


def check_source(source: Source) -> None:
    """Raise `AssertionError` with a line for everything that is wrong with `source`."""
    found = faults(source)
    if found:
        raise AssertionError("\n".join([f"{type(source).__name__} is no sound source:", *found]))


def faults(source: Source) -> list[str]:
    """Everything that is wrong, in words."""
    questions: tuple[Callable[[Source], Iterator[str]], ...] = (
        _lists_the_same,
        _counts_right,
        _tasks_on_their_own,
        _ids,
        _limits,
        _carries_through,
        _travels,
    )
    found: list[str] = []
    for question in questions:
        try:
            found += question(source)
        except Exception as error:  # a battery reports; it does not fall over
            found.append(f"{question.__name__.strip('_').replace('_', ' ')}: raises {type(error).__name__}: {error}")
    return found


def straight(source: Source) -> list[Entry]:
    """All entries, each file read from its beginning."""
    first, entries = 0, []
    for shard in source.scan(1000).shards:
        rows = list(source.rows(shard.name, 0, first, shard.offsets[0])) if shard.rows else []
        first += shard.rows
        entries += rows
    return entries


def _lists_the_same(source: Source) -> Iterator[str]:
    if source.scan(2) != source.scan(2):
        yield "two listings of the same files differ"
    if [shard.stamp for shard in source.scan(2).shards] != [shard.stamp for shard in source.scan(3).shards]:
        yield "the stamp of a file depends on how it is cut into tasks"
    if straight(source) != straight(source):
        yield "two reads of the same files differ"


def _counts_right(source: Source) -> Iterator[str]:
    for every in TASKS:
        listing: Listing = source.scan(every)
        total = sum(shard.rows for shard in listing.shards)
        if total != len(straight(source)):
            yield f"the listing counts {total} records, reading gives {len(straight(source))}"
        for shard in listing.shards:
            if len(shard.offsets) != math.ceil(shard.rows / every):
                yield f"'{shard.name}' has {shard.rows} records and {len(shard.offsets)} marks for every {every}"


def _tasks_on_their_own(source: Source) -> Iterator[str]:
    expected = straight(source)
    for every in TASKS:
        plan = make_plan(source, task_rows=every)
        for task in reversed(plan.tasks):
            entries = list(Reader(source)(task))
            if entries != expected[task.first : task.first + len(task)]:
                yield f"task {task.number} of {every} records holds something else than a straight read"
        reader = Reader(source)
        if [entry for task in plan.tasks for entry in reader(task)] != expected:
            yield f"tasks of {every} records, read one after another, are not the whole"


def _ids(source: Source) -> Iterator[str]:
    ids = [entry.id for entry in straight(source) if isinstance(entry, Record)]
    if len(set(ids)) != len(ids):
        yield "two records have the same id"
    # Rows that are refused may have an id too, and then it counts: it must not be a record's as well.
    refused = {entry.id for entry in straight(source) if not isinstance(entry, Record)}
    if [identity for identity in source.ids(source.scan(2)) if identity not in refused] != ids:
        yield "ids() does not give the ids of the records, in their order"


def _limits(source: Source) -> Iterator[str]:
    whole = straight(source)
    for limit in (1, 2, len(whole)):
        if list(source.entries(limit)) != whole[:limit]:
            yield f"with a limit of {limit} it does not give the first {limit}"
    if len(whole) > 1 and make_plan(source, limit=1).hash == make_plan(source).hash:
        yield "a limit does not change the plan"


def _carries_through(source: Source) -> Iterator[str]:
    meta = source.scan(2).meta
    records = [entry for entry in straight(source) if isinstance(entry, Record)]
    unknown = sorted({name for record in records for name in record.meta} - set(meta))
    if unknown:
        yield f"records carry '{unknown[0]}', which the listing does not name"
    try:
        carried = carried_columns(records[0], meta, ()) if records else ()
        to_table(records, {}, carried, schema({}, carried, {}))
    except (pa.ArrowException, TypeError, ValueError) as error:
        yield f"what is carried through does not fit its type ({error})"
    nothing = [record.id for record in records if record.text is None and record.image is None]
    if nothing:
        yield f"record '{nothing[0]}' has neither a text nor an image; it should be refused"


def _travels(source: Source) -> Iterator[str]:
    source.scan(2)
    if straight(pickle.loads(pickle.dumps(source))) != straight(source):
        yield "in another process it gives other records"
