"""Processes to be killed, forked from one that has everything imported: a kill costs milliseconds, not a start."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

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


def children(process: BaseProcess) -> list[int]:
    """The workers that a process has started."""
    try:
        tasks = list(Path(f"/proc/{process.pid}/task").iterdir())
        found = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
        return [pid for pid in found if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    except OSError:  # it ends just now
        return []


def kill_child(process: BaseProcess, number: int) -> bool:
    """Kill one of its workers; whether there was one."""
    found = children(process)
    if found:
        os.kill(found[number % len(found)], signal.SIGKILL)
    return bool(found)
