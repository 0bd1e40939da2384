"""Ctrl-C while training: the step that is under way is finished first, so that a checkpoint can be written."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupt_noted() -> Iterator[Callable[[], bool]]:
    """A function that says whether Ctrl-C was pressed within the block; pressed again it ends the program at once.

    Only the main thread may watch signals; elsewhere nothing is changed.
    """
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return
    before = signal.getsignal(signal.SIGINT)

    def press(number: int, frame: FrameType | None) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, press)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
