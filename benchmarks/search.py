"""Exact search beside FAISS's flat index: the same vectors in memory, the same answers; and out of a folder's files.

    python benchmarks/search.py make FOLDER          # once: 1,000,000 x 384 in a folder of vectors, 1.5 GB
    python benchmarks/search.py memory               # beside FAISS, in memory -> benchmarks/results/search.json
    python benchmarks/search.py files FOLDER         # out of the files, with the memory it took

Clustered unit vectors (2,000 centres), since rows at random have no neighbours. Medians of `ROUNDS`, the contestants
taking turns.
"""

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from classtoken.fingerprint import Fingerprint
from classtoken.nearest.coded import CodedRows
from classtoken.nearest.rows import FileRows, ResidentRows
from classtoken.nearest.scan import search as scan
from classtoken.plain import to_json
from classtoken.sink import Manifest, ParquetSink, TaskRows, read
from classtoken.values import Record, Task

ROWS, SIZE, CENTRES, K, ROUNDS, PART = 1_000_000, 384, 2000, 10, 5, 8192
COUNTS = (1, 10, 100)
RESULTS = Path(__file__).parent / "results" / "search.json"


def made(rows: int, seed: int) -> np.ndarray:
    """Unit vectors about centres that do not depend on the seed."""
    centres = torch.nn.functional.normalize(torch.randn(CENTRES, SIZE, generator=torch.Generator().manual_seed(0)))
    random = torch.Generator().manual_seed(seed)
    found = torch.empty(rows, SIZE)
    for begin in range(0, rows, 50_000):
        part = found[begin : begin + 50_000]
        part.copy_(centres[torch.randint(CENTRES, (len(part),), generator=random)])
        part += 0.04 * torch.randn(part.shape, generator=random)
        part /= torch.linalg.vector_norm(part, dim=1, keepdim=True)
    return found.numpy()


def make(folder: Path) -> None:
    """Write them as a folder of vectors."""
    rows = made(ROWS, 1)
    starts = range(0, ROWS, PART)
    fingerprint = Fingerprint("w", "c", "p", "text", ("mean",), None, "fp32", spaces={"mean": "made up"})
    manifest = Manifest(
        model="made-up",
        revision=None,
        source="numbers",
        kind="made-up",
        columns={"mean": SIZE},
        fingerprint=fingerprint,
        plan="plan",
        tasks=len(starts),
        total=ROWS,
    )
    with ParquetSink(folder, manifest) as sink:
        sink.begin()
        for number, start in enumerate(starts):
            stop = min(start + PART, ROWS)
            records = [Record(f"row{i}") for i in range(start, stop)]
            task = Task(number, "numbers", start, stop, start, start)
            sink.writer().write(TaskRows(task, records, {"mean": rows[start:stop]}))
        sink.finish()


def memory() -> None:
    """Beside FAISS, resident."""
    import faiss

    threads = torch.get_num_threads()
    faiss.omp_set_num_threads(threads)
    rows, queries = made(ROWS, 1), made(100, 2)
    flat = faiss.IndexFlatIP(SIZE)
    flat.add(rows)
    ours, asked = ResidentRows(rows), torch.from_numpy(queries)
    times: dict[str, list[float]] = {}
    codes = timed(times, "building codes", lambda: CodedRows(ours))
    ways = {"fp32": partial(scan, ours), "int8": codes.search}
    agreed = dict.fromkeys(ways, 1.0)
    for _ in range(ROUNDS):
        for count in COUNTS:
            theirs = timed(times, f"faiss {count}", lambda n=count: flat.search(queries[:n], K))[1]
            for name, way in ways.items():
                found = timed(times, f"{name} {count}", lambda n=count, way=way: way(asked[:n], K))
                same = [len(np.intersect1d(a, b)) / K for a, b in zip(theirs, found.places, strict=True)]
                agreed[name] = min(agreed[name], float(np.mean(same)))
    seconds = {name: statistics.median(values) for name, values in times.items()}
    ratios = {
        name: {count: seconds[f"faiss {count}"] / seconds[f"{name} {count}"] for count in COUNTS} for name in ways
    }
    of = {"rows": ROWS, "size": SIZE, "threads": threads, "seconds": seconds}
    add(of | {"times as fast as FAISS": ratios, "recall": agreed})


def files(folder: Path) -> None:
    """Out of the files, a few at a time."""
    vectors, queries = read(folder), torch.from_numpy(made(100, 2))
    times: dict[str, list[float]] = {}
    for _ in range(2):
        for count in (1, 100):
            timed(times, f"files {count}", lambda n=count: scan(FileRows(vectors, "mean"), queries[:n], K))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    add({"from files": {name: min(values) for name, values in times.items()}, "peak MB": round(peak)})


def timed(times: dict[str, list[float]], name: str, work: Callable) -> Any:
    """What `work` gives, its seconds noted."""
    start = time.perf_counter()
    found = work()
    times.setdefault(name, []).append(time.perf_counter() - start)
    return found


def add(found: dict) -> None:
    """Into the file of results, beside what is there."""
    there = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    RESULTS.write_text(to_json(there | found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    what, *rest = sys.argv[1:] or [""]
    {"make": lambda: make(Path(rest[0])), "memory": memory, "files": lambda: files(Path(rest[0]))}[what]()
