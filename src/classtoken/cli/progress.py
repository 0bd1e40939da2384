"""Progress on stderr: a bar where there is a terminal, a line now and then where there is none.

Nobody waits in silence: a verb that has reported nothing yet says after `FIRST` seconds that it is at work.
"""

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from classtoken.activity import heard
from classtoken.plain import to_json
from classtoken.values import Progress

#: Seconds until the first line, and between two lines, where there is no terminal; where something else has begun.
FIRST, THEN, OTHER = 2.0, 30.0, 5.0
LIBRARIES = ("torch", "transformers", "sklearn", "pyarrow")
"""what takes seconds to import"""
SLOW = 0.1
"""a second: below, how long one takes is said"""
EARLY = 0.04
"""share of the work below which how long the rest takes is a guess"""
OLD = 10.0
"""seconds after which what was told is no longer taken for the present"""
#: Seconds between two events.
EVENTS = 1.0


@contextmanager
def progress(what: str) -> Iterator[Callable[[Progress], None]]:
    """A function to call with how far the job is, as often as one likes; within the block somebody sees it."""
    if not sys.stderr.isatty():
        with _lines(what) as report:
            yield report
        return
    from rich import progress as rich
    from rich.console import Console

    counts = rich.MofNCompleteColumn()
    columns = (
        rich.SpinnerColumn(),
        rich.TextColumn("{task.fields[what]}"),
        rich.BarColumn(),
        counts,
        rich.TimeElapsedColumn(),
        rich.TextColumn("{task.description}"),
    )
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, what=what)

        def show(now: Progress) -> None:
            bar.update(task, completed=now.done, total=now.total, description=_rate(now), what=now.what or what)

        def tell(stage: str) -> None:
            bar.update(task, description=stage)

        def share(done: float) -> None:
            bar.update(task, completed=round(100 * done), total=100)

        with heard(tell, share):
            yield show


@contextmanager
def events(what: str) -> Iterator[Callable[[Progress], None]]:
    """As `progress`, for programs: a JSON object a line on stderr, at most one a second.

    Keys: `event` (begun, progress, done, stopped), `what`, `done`, `total`, `before`, `refused`, `tokens`, `rate`,
    `token_rate`, `left` (seconds, or null), `seconds`.
    """
    latest, said = Progress(0, 0), 0.0

    def write(event: str, now: Progress) -> None:
        counts = {"done": now.done, "total": now.total, "before": now.before, "refused": now.refused}
        rates = {"tokens": now.tokens, "rate": now.rate, "token_rate": now.token_rate, "left": now.left}
        say(to_json({"event": event, "what": now.what or what, **counts, **rates, "seconds": now.seconds}))

    def show(now: Progress) -> None:
        nonlocal latest, said
        latest = now
        if time.monotonic() - said >= EVENTS:
            said = time.monotonic()
            write("progress", now)

    write("begun", latest)
    try:
        yield show
    except BaseException:
        write("stopped", latest)
        raise
    write("done", latest)


def say(line: str) -> None:
    """One message on stderr; where that cannot be written (a full disk, a reader that has gone), nothing is lost."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{line}\n")


@contextmanager
def messages(verbose: bool) -> Iterator[None]:
    """Within the block what the package says on its logger comes on stderr: warnings, and if `verbose` all else."""
    logger, handler = logging.getLogger("classtoken"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("classtoken: %(message)s"))
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if verbose else logging.WARNING)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before


@contextmanager
def _lines(what: str) -> Iterator[Callable[[Progress], None]]:
    """A thread writes how far the job is, also while the job itself cannot."""
    began, over = time.monotonic(), threading.Event()
    latest = [(Progress(0, 0), began)]
    stage = [""]
    shares: list[tuple[float, float]] = []

    def tell() -> None:
        wait, said, before = FIRST, float("-inf"), ("", "")
        while not over.wait(wait):
            wait, (now, told), here, doing = min(FIRST, 1.0), latest[0], time.monotonic(), stage[0] or _importing()
            if here - said < (THEN if (now.what, doing) == before else OTHER):
                continue
            said, before = here, (now.what, doing)
            if shares:
                far: tuple[str, ...] = (doing, _part(shares[0], shares[-1], here))
            elif doing or not now.total:
                far = (doing, _duration(here - began))
            else:
                far = (f"{now.done} of {now.total}", _rate(now, here - told))
            say(f"{now.what or what}: {', '.join(filter(None, far))}")

    def show(now: Progress) -> None:
        latest[0] = now, time.monotonic()

    def begun(what: str) -> None:
        stage[0] = what

    def share(done: float) -> None:
        begins = not shares or done < shares[-1][0]
        shares[0 if begins else 1 :] = [(done, time.monotonic())]

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        with heard(begun, share):
            yield show
    finally:
        over.set()
        teller.join()


def _part(first: tuple[float, float], last: tuple[float, float], now: float) -> str:
    """How much is done, in per cent, and about how long the rest takes at this rate; both ends: the share, and when."""
    (began, since), (done, _) = first, last
    said = f"{100 * done:.0f} %"
    if done - began < EARLY:
        return f"{said}, {_duration(now - since)}"
    return f"{said}, about {_duration((now - since) * (1 - done) / (done - began))} left"


def _importing() -> str:
    """The library that is being imported just now, which may take longer than the work."""
    specs = {name: getattr(sys.modules.get(name), "__spec__", None) for name in LIBRARIES}
    return next((f"loading {name}" for name, spec in specs.items() if getattr(spec, "_initializing", False)), "")


def _rate(now: Progress, since: float = 0.0) -> str:
    """How quick it is, as soon as something is done, and what else there is to say; it was told `since` seconds ago."""
    since = since if since > OLD else 0.0
    quick = f"{now.rate:.1f} a second" if now.rate >= SLOW else f"{_duration(1 / now.rate)} each" if now.rate else ""
    parts = (
        quick if now.done > now.before else "",
        f"{now.token_rate:,.0f} tokens a second" if now.tokens else "",
        "" if now.left is None or now.left <= since else f"{_duration(now.left - since)} left",
        f"{now.refused} refused" if now.refused else "",
        now.note,
    )
    return ", ".join(filter(None, parts))


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
