"""Processes to be killed, forked from one that has everything imported: a kill costs milliseconds, not a start."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.run.fake"])


def started(work: Callable[..., Any], *given: Any, **options: Any) -> BaseProcess:
    """A process that does some work of `tests.run.fake`."""
    process = _CONTEXT.Process(target=partial(work, *given, **options))
    process.start()
    return process


def kill(process: BaseProcess) -> bool:
    """Kill it; whether that came before its end."""
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def children(pid: int) -> list[int]:
    """The workers that a process has started; threads and processes that end while they are listed are left out."""
    found = []
    for task in _or_none(lambda: list(Path(f"/proc/{pid}/task").iterdir())) or []:
        for child in (_or_none((task / "children").read_text) or "").split():
            if b"spawn_main" in (_or_none(Path(f"/proc/{child}/cmdline").read_bytes) or b""):
                found.append(int(child))
    return found


def kill_child(pid: int, number: int = 0) -> bool:
    """Kill one of a process's workers; whether there was one."""
    found = children(pid)
    if not found:
        return False
    try:
        os.kill(found[number % len(found)], signal.SIGKILL)
    except ProcessLookupError:  # it has just ended
        return False
    return True


def _or_none(read: Callable[[], T]) -> T | None:
    """What the kernel says of a process or thread, or nothing where it has ended."""
    try:
        return read()
    except OSError:
        return None
