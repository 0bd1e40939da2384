"""Progress on stderr: a bar where there is a terminal, a line now and then where there is none."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

#: Seconds between two lines where there is no terminal.
QUIET = 10.0


class Counted(Protocol):
    """How far a job is."""

    @property
    def done(self) -> int: ...

    @property
    def total(self) -> int: ...

    @property
    def refused(self) -> int: ...

    @property
    def rate(self) -> float: ...

    @property
    def left(self) -> float | None: ...


@contextmanager
def progress(what: str) -> Iterator[Callable[[Counted], None]]:
    """A function to call with how far the job is, as often as one likes."""
    if not sys.stderr.isatty():
        yield _lines(what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def show(now: Counted) -> None:
            bar.update(task, completed=now.done, total=now.total, description=_rate(now))

        yield show


def say(line: str) -> None:
    """One message on stderr."""
    sys.stderr.write(f"{line}\n")


def _lines(what: str) -> Callable[[Counted], None]:
    last = time.monotonic()

    def show(now: Counted) -> None:
        nonlocal last
        if time.monotonic() - last >= QUIET and now.done < now.total:
            last = time.monotonic()
            say(f"{what}: {now.done} of {now.total}, {_rate(now)}")

    return show


def _rate(now: Counted) -> str:
    left = "" if now.left is None else f", {_duration(now.left)} left"
    refused = f", {now.refused} refused" if now.refused else ""
    return f"{now.rate:.1f} a second{left}{refused}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
