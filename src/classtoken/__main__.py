"""`python -m classtoken`, and the command `classtoken`."""

import atexit
import contextlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from classtoken.cli import main

INTERRUPTED = 130


def start(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command as a process of its own, and end it.

    The interpreter is not taken down: native threads of Arrow and torch may still hold Python's objects, and one that
    lets go of them while the interpreter ends aborts the process after its answer (exit code 134). What was registered
    to be done at the end is done, and what was said is written; files are whole long before (`classtoken.files`).
    """
    try:
        code = main(arguments)
    except KeyboardInterrupt:  # before any verb was found
        code = INTERRUPTED
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # whoever read it has gone; closed; none at all
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    start()
