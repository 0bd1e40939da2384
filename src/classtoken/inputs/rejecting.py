"""What is a record's own fault, and work on records in several threads that such faults do not stop."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, Self, TypeVar

from classtoken.errors import BadRecord, ClasstokenError, EmptyRow, InternalError, ModelError
from classtoken.values import Indexed, Record, Reject, Rejected

In = TypeVar("In")
Out = TypeVar("Out")

#: Decoding is done by at most so many threads, each with so many images waiting.
MOST_THREADS = 8
WAITING = 4


def attempt(
    work: Callable[[In], Out],
    item: In,
    what: str = "prepared",
    blamed: tuple[type[ClasstokenError], ...] = (),
) -> Out | BadRecord:
    """The result of `work`, or a `BadRecord` (whose cause is what was raised) where the item itself is to blame.

    Whatever decoders and tokenizers raise over one item is that item's fault, also a panic of a native library (a
    `BaseException`). Errors about models, options and outputs (but those `blamed` on it), interrupts, a broken device
    and our own mistakes are not, and are raised.
    """
    try:
        return work(item)
    except BadRecord as error:
        return error
    except (InternalError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        # After an error on an accelerator nothing more can be computed there.
        if type(error).__name__ == "AcceleratorError" or (
            isinstance(error, ClasstokenError) and not isinstance(error, blamed)
        ):
            raise
        said = f"{error}" if isinstance(error, ClasstokenError) else f"{type(error).__name__}: {error}"
        bad = BadRecord(f"cannot be {what} ({' '.join(said.split()).rstrip('.')}); leave it out")
        bad.__cause__ = error
        return bad


class Splittable(Protocol):
    """Some inputs that are computed together, and can be each on its own."""

    @property
    def places(self) -> Sequence[int]: ...

    def alone(self) -> Iterator[Self]: ...


Batch = TypeVar("Batch", bound=Splittable)


def computed(work: Callable[[Batch], Out], batch: Batch) -> Iterator[tuple[Batch, Out | BadRecord]]:
    """`work` on a batch; where that fails, on each of its inputs alone: one of them costs the others nothing."""
    blamed = (ModelError, EmptyRow)  # what a model says of an input that it cannot take
    together = attempt(work, batch, "computed", blamed)
    if not isinstance(together, BadRecord) or len(batch.places) == 1:
        yield batch, together
        return
    for one in batch.alone():
        yield one, attempt(work, one, "computed", blamed)


def each(
    work: Callable[[Record], Out], records: Iterable[Indexed], reject: Reject, *, threads: int | None = None
) -> Iterator[tuple[int, Out]]:
    """`work` on every record in several threads, in order; records whose own fault stopped it go to `reject`."""

    def one(entry: Indexed) -> tuple[int, str, Out | BadRecord]:
        place, record = entry
        return place, record.id, attempt(work, record)

    for place, name, found in in_order(one, records, threads or cores()):
        if isinstance(found, BadRecord):
            reject(place, rejected(name, found))
        else:
            yield place, found


def rejected(name: str, error: BadRecord) -> Rejected:
    """The record of that id, and why it is rejected: on one line and without the id."""
    cause = error.__cause__
    around = isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno is not None)
    return Rejected(name, " ".join(error.reason.split()), passing=around)  # decoders raise `OSError` without a number


def in_order(work: Callable[[In], Out], items: Iterable[In], threads: int) -> Iterator[Out]:
    """`work` on every item in several threads; results in the order of the items, a bounded number ahead.

    Items are taken in the caller's thread. An error of `work` is raised where its result would stand.
    """
    if threads < 2:
        yield from map(work, items)
        return
    waiting: deque[Future[Out]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="classtoken-inputs") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= threads * WAITING:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for left in waiting:
                left.cancel()


def cores() -> int:
    """Threads for decoding: the cores that this process may use, at most `MOST_THREADS`."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST_THREADS)
