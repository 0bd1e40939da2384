"""What it costs to let OpenMP's threads wait in a loop, on a free machine and on one that others use as well.

Embeds sentences of STS-B dev with all-MiniLM-L6-v2 on all cores, in a process of its own for each way to
wait, in turns; with `--busy` beside as many processes that never rest as there are cores.

    python benchmarks/waiting.py [--busy] [--rounds 3] [--texts 800]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

#: What libgomp is told; its own is 300,000 turns.
WAYS: dict[str, dict[str, str]] = {
    "libgomp's own": {},
    "50,000 turns": {"GOMP_SPINCOUNT": "50000"},
    "10,000 turns": {"GOMP_SPINCOUNT": "10000"},
    "asleep at once": {"OMP_WAIT_POLICY": "PASSIVE"},
}


def main() -> None:
    """Run the rounds and print a line for each way."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--busy", action="store_true")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--texts", type=int, default=800)
    arguments.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = arguments.parse_args()
    if asked.inside:
        print(json.dumps(measured(asked.texts)))
        return
    cores = len(os.sched_getaffinity(0))
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores * asked.busy)]
    taken: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    try:
        for _ in range(asked.rounds):
            for way, told in WAYS.items():
                taken[way].append(tuple(alone(told, asked.texts)))
    finally:
        for other in others:
            other.kill()
    for way, found in taken.items():
        wall, worked = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"{way:16} {wall:7.2f} s by the clock, {worked:6.2f} s of processor time")


def alone(told: dict[str, str], texts: int) -> list[float]:
    """Seconds of a fresh process."""
    free = {k: v for k, v in os.environ.items() if k not in {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS"}}
    command = [sys.executable, __file__, "--inside", "--texts", str(texts)]
    done = subprocess.run(command, env=free | told, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout.splitlines()[-1]))


def measured(texts: int) -> tuple[float, float]:
    """By the clock and of the processor, of one pass after a first one."""
    from embed import minilm, sentences

    import classtoken as ct

    embedder, items = ct.load(minilm()), sentences(texts // 2)[0]
    embedder.embed(items[:100])
    clock, worked = time.perf_counter(), time.process_time()
    embedder.embed(items)
    return time.perf_counter() - clock, time.process_time() - worked


if __name__ == "__main__":
    main()
