"""What is being done just now, in words, for whoever shows it: loading a model, an experiment; and how much of it is
done, where that is known.

Told through a logger of its own, so that what works needs to be handed nothing, and nobody need be listening.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LOG = logging.getLogger("classtoken.activity")


@contextmanager
def activity(what: str) -> Iterator[None]:
    """Within the block `what` is being done."""
    LOG.info("%s", what)
    try:
        yield
    finally:
        LOG.info("")


@contextmanager
def work(pieces: float, worth: float = 1.0) -> Iterator[None]:
    """Within the block so many pieces of work are done, each told by `did`, or a `work` of its own.

    worth: how many pieces of the work around it this one is. At the end it is done, whatever was told.
    """
    LOG.info("", extra={"work": ("begun", pieces, worth)})
    try:
        yield
    finally:
        LOG.info("", extra={"work": ("over", pieces, worth)})


def did(pieces: float = 1.0) -> None:
    """So many pieces of the innermost work are done."""
    LOG.info("", extra={"work": ("did", pieces, 0.0)})


@contextmanager
def heard(tell: Callable[[str], object], share: Callable[[float], object] | None = None) -> Iterator[None]:
    """Within the block `tell` is called with what begins, and with an empty text when it is over; `share` with how much
    of the outermost `work` is done, from 0 to 1."""
    handler, before = _Telling(tell, share), (LOG.level, LOG.propagate)
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        LOG.setLevel(before[0])
        LOG.propagate = before[1]


@dataclass
class _Work:
    pieces: float
    worth: float
    done: float = 0.0


class _Telling(logging.Handler):
    """Hands each message on."""

    def __init__(self, tell: Callable[[str], object], share: Callable[[float], object] | None):
        super().__init__()
        self._tell, self._share = tell, share
        self._works: list[_Work] = []

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        step = getattr(record, "work", None)
        if step is None:
            self._tell(record.getMessage())
            return
        kind, pieces, worth = step
        if kind == "begun":
            self._works.append(_Work(pieces, worth))
        elif kind == "did" and self._works:
            self._works[-1].done += pieces
        elif kind == "over" and self._works:
            over = self._works.pop()
            if self._works:
                self._works[-1].done += over.worth
            elif self._share is not None:
                self._share(1.0)
        if self._works and self._share is not None:
            self._share(self._done())

    def _done(self) -> float:
        """How much of the outermost work is done, what is done of the others within it counted."""
        share = 0.0
        for inner in reversed(self._works):
            done = inner.done + share
            share = min(1.0, done / inner.pieces if inner.pieces > 0 else 1.0)
            share *= inner.worth if inner is not self._works[0] else 1.0
        return share
