"""Several ways to the same vectors, measured in one process: one after another, round after round."""

import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Vectors = np.ndarray
Run = Callable[[list], Vectors]


@dataclass(frozen=True)
class Contestant:
    """One way to get vectors. `open` loads the model and gives the function that is timed."""

    name: str
    open: Callable[[], Run]
    same_as: str | None = None
    """whose vectors these should be"""
    memory: bool = False
    """its peak memory is measured, in a process of its own"""


@dataclass(frozen=True)
class Contest:
    """The same items for all; ratios are over `base`."""

    name: str
    items: list
    contestants: tuple[Contestant, ...]
    base: str
    scores: Sequence[float] = ()
    """texts: similarity of item i and item i + n/2 as people see it"""
    flops: float = 0.0
    """useful ones of all items: 2 a weight and token, padding not counted; 0 if nobody asks"""


def measure(contest: Contest, rounds: int) -> dict[str, dict[str, Any]]:
    """Seconds of every contestant in every round, and how its vectors compare."""
    running = {c.name: c.open() for c in contest.contestants}
    kept: dict[str, Vectors] = {}
    seconds: dict[str, list[float]] = {name: [] for name in running}
    worked: dict[str, list[float]] = {name: [] for name in running}
    for run in running.values():  # once without a clock: caches, kernels, threads
        run(contest.items[: max(8, len(contest.items) // 10)])
    for number in range(rounds):
        for name, run in running.items():
            begun, before = time.perf_counter(), time.process_time()
            kept[name] = run(contest.items)
            seconds[name].append(time.perf_counter() - begun)
            worked[name].append(time.process_time() - before)
            print(f"  round {number + 1} {name}: {len(contest.items) / seconds[name][-1]:.1f} a second", flush=True)
    return {
        c.name: {
            "rate": len(contest.items) / statistics.median(seconds[c.name]),
            "rate_of_processor": len(contest.items) / statistics.median(worked[c.name]),
            "wall": ratio(seconds[c.name], seconds[contest.base]),
            "processor": ratio(worked[c.name], worked[contest.base]),
            "seconds": seconds[c.name],
            "seconds_of_processor": worked[c.name],
            **({"gflops": contest.flops / 1e9 / statistics.median(worked[c.name])} if contest.flops else {}),
            **compared(c, contest, kept),
        }
        for c in contest.contestants
    }


def compared(contestant: Contestant, contest: Contest, kept: Mapping[str, Vectors]) -> dict[str, float]:
    """How its vectors differ from those that they should be, and what people would say of them."""
    found = {}
    mine = unit(kept[contestant.name])
    if contestant.same_as:
        theirs = unit(kept[contestant.same_as])
        cosines = (mine * theirs).sum(1)
        found = {
            "difference": float(np.abs(mine - theirs).max()),
            "cosine_smallest": float(cosines.min()),
            "cosine_mean": float(cosines.mean()),
        }
    if len(contest.scores):
        from scipy.stats import spearmanr

        first, second = np.split(mine, 2)
        found["spearman"] = float(spearmanr((first * second).sum(1), contest.scores).statistic)
    return found


def ratio(taken: Sequence[float], base: Sequence[float]) -> dict[str, float]:
    """How many times as fast as the base, round by round."""
    each = [b / a for a, b in zip(taken, base, strict=True)]
    return {"median": statistics.median(each), "smallest": min(each), "largest": max(each)}


def unit(vectors: Vectors) -> Vectors:
    """At unit length, so that differences mean the same everywhere."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def peaks(script: str, arguments: Sequence[str], contest: Contest) -> dict[str, float]:
    """Peak resident memory in MiB of a process that does nothing but one contestant, once."""
    found = {}
    for c in contest.contestants:
        if c.memory:
            command = [sys.executable, script, *arguments, "--alone", f"{contest.name}:{c.name}"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[c.name] = json.loads(done.stdout.splitlines()[-1])["peak"]
    return found


def peak_mib() -> float:
    """Peak resident memory of this process. Linux hands `ru_maxrss` on from the parent, so it is not asked there."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def machine(packages: Sequence[str]) -> dict[str, Any]:
    """Where this was measured; how busy the machine was says how much to trust it."""
    from importlib.metadata import PackageNotFoundError, version

    import torch

    model, tiles = "", ""
    if Path("/proc/cpuinfo").is_file():
        text = Path("/proc/cpuinfo").read_text()
        model = next((line.split(":", 1)[1].strip() for line in text.splitlines() if "model name" in line), "")
        tiles = " with AMX" if "amx_tile" in text else ""
    versions = {}
    for name in packages:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": (model or platform.processor()) + tiles,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "versions": versions,
    }


def products(rows: int, inputs: int, outputs: int) -> dict[str, float]:
    """GFLOP/s of one matrix product on this machine now, by the quickest way that torch has: the ceiling of a model."""
    import torch
    from torch.nn import functional as F

    from classtoken.tensors import multiplies_bf16

    found = {}
    flops = 2 * rows * inputs * outputs / 1e9
    with torch.inference_mode():
        kinds = {"fp32": torch.float32} | ({"bf16": torch.bfloat16} if multiplies_bf16("cpu") else {})
        for name, dtype in kinds.items():
            x, weight = torch.ones(rows, inputs, dtype=dtype), torch.ones(outputs, inputs, dtype=dtype)
            laid = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
            ways: tuple[Callable[[], object], ...] = (
                lambda x=x, weight=weight: F.linear(x, weight),  # type: ignore[misc]
                lambda x=x, laid=laid: torch.ops.mkldnn._linear_pointwise(x, laid, None, "none", [], ""),  # type: ignore[misc]
            )
            found[name] = flops / min(_least(way) for way in ways)
    return found


def _least(way: Callable[[], object], times: int = 8) -> float:
    taken = []
    for _ in range(times):
        begun = time.process_time()
        way()
        taken.append(time.process_time() - begun)
    return min(taken[1:])


def table(contest: Contest, rows: Mapping[str, Mapping[str, Any]], peak: Mapping[str, float]) -> str:
    """What a person reads."""
    lines = [f"\n{contest.name}: {len(contest.items)} items"]
    lines.append(
        f"{'':36s}{'a second':>9s}  {'times as fast':20s}{'by processor time':20s}{'cosine >=':>10s}"
        f"{'Spearman':>10s}{'GFLOP/s':>9s}{'peak MiB':>10s}"
    )
    for name, row in rows.items():
        times = ["{median:.2f} ({smallest:.2f}-{largest:.2f})".format(**row[clock]) for clock in ("wall", "processor")]
        cosine = f"{row['cosine_smallest']:.5f}" if "cosine_smallest" in row else ""
        spearman = f"{row['spearman']:.4f}" if "spearman" in row else ""
        gflops = f"{row['gflops']:.0f}" if "gflops" in row else ""
        memory = f"{peak[name]:.0f}" if name in peak else ""
        lines.append(
            f"{name:36s}{row['rate']:9.1f}  {times[0]:20s}{times[1]:20s}{cosine:>10s}{spearman:>10s}{gflops:>9s}"
            f"{memory:>10s}"
        )
    return "\n".join(lines)
