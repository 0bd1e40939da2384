"""What is being done just now, in words, for whoever shows it: loading a model, an experiment.

Told through a logger of its own, so that what works needs to be handed nothing, and nobody need be listening.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
def heard(tell: Callable[[str], object]) -> Iterator[None]:
    """Within the block `tell` is called with what begins, and with an empty text when it is over."""
    handler, before = _Telling(tell), (LOG.level, LOG.propagate)
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        LOG.setLevel(before[0])
        LOG.propagate = before[1]


class _Telling(logging.Handler):
    """Hands each message on."""

    def __init__(self, tell: Callable[[str], object]):
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        self._tell(record.getMessage())
