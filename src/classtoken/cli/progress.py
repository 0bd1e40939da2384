"""Progress on stderr: a bar where there is a terminal, a line now and then where there is none."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from classtoken.values import Progress

#: Seconds between two lines where there is no terminal.
QUIET = 10.0


@contextmanager
def progress(what: str) -> Iterator[Callable[[Progress], None]]:
    """A function to call with how far the job is, as often as one likes."""
    if not sys.stderr.isatty():
        yield _lines(what)
        return
    from rich import progress as rich
    from rich.console import Console

    counts = rich.MofNCompleteColumn()
    columns = (rich.TextColumn("{task.fields[what]}"), rich.BarColumn(), counts, rich.TextColumn("{task.description}"))
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", what=what)

        def show(now: Progress) -> None:
            bar.update(task, completed=now.done, total=now.total, description=_rate(now), what=now.what or what)

        yield show


def say(line: str) -> None:
    """One message on stderr."""
    sys.stderr.write(f"{line}\n")


def _lines(what: str) -> Callable[[Progress], None]:
    last = time.monotonic()

    def show(now: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= QUIET and now.done < now.total:
            last = time.monotonic()
            say(f"{now.what or what}: {now.done} of {now.total}, {_rate(now)}")

    return show


def _rate(now: Progress) -> str:
    left = "" if now.left is None else f", {_duration(now.left)} left"
    refused = f", {now.refused} refused" if now.refused else ""
    note = f", {now.note}" if now.note else ""
    return f"{now.rate:.1f} a second{left}{refused}{note}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
