"""`python -m classtoken`, and the command `classtoken`."""

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from classtoken.cli import INTERRUPTED, STOPPED_EARLY, main

WAITING = {"GOMP_SPINCOUNT": "50000"}
"""turns that a thread of OpenMP waits in a loop for its next share before it sleeps; libgomp's own are 300,000

The products of a model follow each other faster than that, so nothing is lost where cores are free. Where others use
them too, a thread that waits takes the core from the one that it waits for: `benchmarks/waiting.py` measures both.
"""


def wait_less() -> None:
    """Set `WAITING`, unless the user has said how threads wait; before torch is loaded, which reads it once."""
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ.update(WAITING)


def open_closed() -> None:
    """Put something where a standard stream was closed (`<&-`, a service without a terminal).

    Otherwise the next file that is opened takes its number, and what a library says is written into that file. stdin is
    empty then, what goes to stderr is lost, and an answer that stdout should take is an error: it can only be read.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR if name == "stderr" else os.O_RDONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", errors="backslashreplace"))


def start(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command as a process of its own, and end it.

    The interpreter is not taken down: native threads of Arrow and torch may still hold Python's objects, and one that
    lets go of them while the interpreter ends aborts the process after its answer (exit code 134). What was registered
    to be done at the end is done, and what was said is written; files are whole long before (`classtoken.files`).
    """
    open_closed()
    wait_less()
    try:
        code = main(arguments)
    except KeyboardInterrupt:  # while the command line itself was being loaded
        code = INTERRUPTED
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{STOPPED_EARLY}\n")
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # who presses it again wants the end, which is what follows
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # whoever read it has gone; closed; none at all
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    start()
