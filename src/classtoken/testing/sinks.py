"""A battery for sinks: `check_sink(open_sink, read_back)` says everything that is wrong with one, or returns.

    from classtoken.testing.sinks import check_sink

    def test_mine(tmp_path) -> None:
        check_sink(lambda place, manifest: MySink(tmp_path / place, manifest), read_back)

It asks what a run relies on: what has a receipt is done, and nothing else; parts come in any order, from any process,
and twice; the rows come back in the order of the source; vectors of another making are refused and left as they were;
one run at a time. `testing.json_sink` has the smallest sink that passes.
"""

import dataclasses
import multiprocessing
import pickle
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from classtoken.errors import ManifestMismatch, OutputError
from classtoken.fingerprint import Fingerprint
from classtoken.sink import Manifest, Sink, TaskRows
from classtoken.values import Record, Rejected, Task

#: Makes the sink for a place of this name; asked again for the same name, it is the same place.
OpenSink = Callable[[str, Manifest], Sink]
#: What a finished place of this name holds: ids, and the matrix of each vector, in the order of the source.
ReadBack = Callable[[str], tuple[list[str], Mapping[str, np.ndarray]]]

COLUMNS = {"cls": 3, "mean@-2": 2}
MANIFEST = Manifest(
    model="m",
    revision=None,
    source="s",
    kind="csv",
    columns=COLUMNS,
    fingerprint=Fingerprint("w", "c", "p", "text", tuple(COLUMNS), None, "fp32", "1"),
    plan="plan",
    tasks=3,
    total=7,
)
#: The second task has no vector at all.
TASKS = (Task(0, "f", 0, 3, 0, 0), Task(1, "f", 3, 5, 3, 3), Task(2, "f", 5, 7, 5, 5))
REFUSED = {0: {1: "is empty"}, 1: {3: "is bad", 4: "is worse"}, 2: {}}


def task_rows(number: int) -> TaskRows:
    """What the battery writes for one of its tasks."""
    task = TASKS[number]
    places = [place for place in range(task.first, task.first + len(task)) if place not in REFUSED[number]]
    numbers = np.random.default_rng(number)
    return TaskRows(
        task,
        [Record(f"id-{place}", text=f"text {place}", label=("a", "b"), group="g") for place in places],
        {name: numbers.standard_normal((len(places), size), dtype=np.float32) for name, size in COLUMNS.items()},
        [Rejected(f"id-{place}", reason) for place, reason in REFUSED[number].items()],
        long=[number == 2] * len(places),
    )


def check_sink(open_sink: OpenSink, read_back: ReadBack) -> None:
    """Raise `AssertionError` with a line for everything that is wrong with the sinks that `open_sink` makes."""
    found = faults(open_sink, read_back)
    if found:
        raise AssertionError("\n".join(["this is no sound sink:", *found]))


def faults(open_sink: OpenSink, read_back: ReadBack) -> list[str]:
    """Everything that is wrong, in words."""
    questions = (
        _comes_back,
        _any_order_and_twice,
        _only_receipts_count,
        _other_processes,
        _nothing_is_mixed,
        _one_at_a_time,
        _finished_again,
    )
    found: list[str] = []
    for question in questions:
        words = question.__name__.strip("_").replace("_", " ")
        try:
            for fault in question(open_sink, read_back, words.replace(" ", "-")):
                found.append(f"{words}: {fault}")
        except Exception as error:  # a battery reports; it does not fall over
            found.append(f"{words}: raises {type(error).__name__}: {error}")
    return found


def _comes_back(open_sink: OpenSink, read_back: ReadBack, place: str) -> Iterator[str]:
    with open_sink(place, MANIFEST) as sink:
        if sink.begin():
            yield "a new place has parts"
        for number in range(3):
            receipt = sink.writer().write(task_rows(number))
            part, rows = receipt.part, task_rows(number)
            if (part.task, part.rows, part.refused, part.cut) != (
                number,
                len(rows.records),
                len(rows.refused),
                rows.cut,
            ):
                yield f"the receipt of task {number} says {part}"
            if receipt.refused != tuple(rows.refused):
                yield f"the receipt of task {number} lists other refused records"
        yield from _whole(sink.finish(), read_back(place))


def _any_order_and_twice(open_sink: OpenSink, read_back: ReadBack, place: str) -> Iterator[str]:
    with open_sink(place, MANIFEST) as sink:
        sink.begin()
        for number in (2, 0, 1, 0):
            sink.writer().write(task_rows(number))
        yield from _whole(sink.finish(), read_back(place))


def _only_receipts_count(open_sink: OpenSink, read_back: ReadBack, place: str) -> Iterator[str]:
    with open_sink(place, MANIFEST) as sink:
        sink.begin()
        written = sink.writer().write(task_rows(1)).part
        try:
            sink.finish()
            yield "it finishes while tasks are left"
        except OutputError:
            pass
    with open_sink(place, MANIFEST) as sink:
        if dict(sink.begin()) != {1: written}:
            yield "opened again, the parts that are done are not those that had a receipt"
        for number in (0, 2):
            sink.writer().write(task_rows(number))
        yield from _whole(sink.finish(), read_back(place))


def _other_processes(open_sink: OpenSink, read_back: ReadBack, place: str) -> Iterator[str]:
    with open_sink(place, MANIFEST) as sink:
        sink.begin()
        writer = pickle.dumps(sink.writer())
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
            list(pool.map(_write_there, [writer] * 3, range(3)))
        yield from _whole(sink.finish(), read_back(place))


def _write_there(writer: bytes, number: int) -> None:
    pickle.loads(writer).write(task_rows(number))


def _nothing_is_mixed(open_sink: OpenSink, read_back: ReadBack, place: str) -> Iterator[str]:
    with open_sink(place, MANIFEST) as sink:
        sink.begin()
        for number in range(3):
            sink.writer().write(task_rows(number))
        whole = sink.finish()
    others = {
        "another plan": dataclasses.replace(MANIFEST, plan="other"),
        "other weights": dataclasses.replace(
            MANIFEST, fingerprint=dataclasses.replace(MANIFEST.fingerprint, weights="v")
        ),
        "other columns": dataclasses.replace(MANIFEST, columns={"cls": 3}),
    }
    for words, other in others.items():
        try:
            with open_sink(place, other) as sink:
                sink.begin()
            yield f"vectors of {words} are taken"
        except ManifestMismatch:
            pass
    yield from _whole(whole, read_back(place))


def _one_at_a_time(open_sink: OpenSink, read_back: ReadBack, place: str) -> Iterator[str]:
    with open_sink(place, MANIFEST) as first:
        first.begin()
        try:
            with open_sink(place, MANIFEST) as second:
                second.begin()
            yield "two runs are let in at once"
        except OutputError:
            pass
    with open_sink(place, MANIFEST) as third:
        third.begin()  # raises where a closed sink still keeps others out


def _finished_again(open_sink: OpenSink, read_back: ReadBack, place: str) -> Iterator[str]:
    for run in range(2):
        with open_sink(place, MANIFEST) as sink:
            done = sink.begin()
            if run and sorted(done) != [0, 1, 2]:
                yield "a finished place, opened again, has tasks left"
            for number in {0, 1, 2} - set(done):
                sink.writer().write(task_rows(number))
            yield from _whole(sink.finish(), read_back(place))


def _whole(manifest: Manifest, found: tuple[list[str], Mapping[str, np.ndarray]]) -> Iterator[str]:
    """Whether everything that was written is there, once and in order."""
    ids, arrays = found
    every = [task_rows(number) for number in range(3)]
    expected = [record.id for rows in every for record in rows.records]
    if ids != expected:
        yield f"the ids are {ids} instead of {expected}"
    for name in COLUMNS:
        if not np.array_equal(arrays[name], np.concatenate([rows.vectors[name] for rows in every])):
            yield f"the vectors '{name}' are not those that were written"
    counts = (manifest.complete, manifest.rows, manifest.refused, manifest.cut, len(manifest.parts))
    if counts != (True, len(expected), 3, 2, 3):
        yield f"complete, rows, refused, cut and parts of the manifest are {counts}"
