"""A thread that prepares what comes next while the caller is at work."""

import queue
import threading
from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
_PAUSE = 0.1
"""seconds between two checks of whether the caller has left"""


class Prefetch(Generic[T]):
    """Runs an iterator in a thread of its own, at most `depth` items ahead. Its errors are raised where it is read.

    Leaving the `with` block stops the thread after the item that it is at.
    """

    def __init__(self, items: Iterator[T], depth: int):
        self._items = items
        self._queue: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="classtoken-prefetch", daemon=True)

    def __enter__(self) -> "Prefetch[T]":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def __iter__(self) -> Iterator[T]:
        while True:
            kind, value = self._queue.get()
            if kind == "item":
                yield value  # type: ignore[misc]
            elif kind == "error":
                assert isinstance(value, BaseException)
                raise value
            else:
                return

    def _work(self) -> None:
        try:
            for item in self._items:
                if not self._put(("item", item)):
                    return
        except BaseException as error:  # raised again in the caller's thread
            self._put(("error", error))
        else:
            self._put(("end", None))
        finally:
            if isinstance(self._items, Generator):
                self._items.close()  # frees what it holds (threads, files), also when the caller left early

    def _put(self, message: tuple[str, T | BaseException | None]) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(message, timeout=_PAUSE)
            except queue.Full:
                continue
            return True
        return False
