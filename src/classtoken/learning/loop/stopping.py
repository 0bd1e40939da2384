"""Ctrl-C while training: the step that is under way is finished first, so that a checkpoint can be written."""

import signal
import threading
from types import FrameType, TracebackType


class Stop:
    """`asked` is true once Ctrl-C was pressed; pressed again it ends the program at once, as ever.

    Only the main thread may watch signals; elsewhere nothing is changed.
    """

    def __init__(self) -> None:
        self.asked = False
        self._watching = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> "Stop":
        if self._watching:
            self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watching:
            signal.signal(signal.SIGINT, self._before)

    def _press(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, self._before)
