"""The thread that works ahead: same items, same errors, and it ends."""

import threading
import time
from collections.abc import Iterator

import pytest

from classtoken.run.prefetch import Prefetch


def threads() -> int:
    return sum(thread.name == "classtoken-prefetch" for thread in threading.enumerate())


def test_items_come_in_order_and_not_far_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(20):
            made.append(i)
            yield i

    with Prefetch(items(), 2) as ahead:
        for i in ahead:
            time.sleep(0.001)
            assert len(made) <= i + 5
            if i == 19:
                break
    assert made == list(range(20))
    assert threads() == 0


def test_errors_are_raised_where_items_are_read() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("here")

    seen = []
    with pytest.raises(ValueError, match="here"), Prefetch(items(), 2) as ahead:
        seen.extend(ahead)
    assert threads() == 0


def test_leaving_early_ends_the_thread() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield 0

    with Prefetch(endless(), 2) as ahead:
        assert next(iter(ahead)) == 0
    assert threads() == 0


def test_leaving_early_frees_what_the_items_hold() -> None:
    freed = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            freed.append(True)

    items = endless()
    with Prefetch(items, 2) as ahead:
        next(iter(ahead))
    assert freed == [True]
