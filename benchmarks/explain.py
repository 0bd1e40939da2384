"""How long the parts of `explain` take on DeiT-Tiny (197 tokens, 12 layers), and batches beside single calls.

    python benchmarks/explain.py [--threads 1] [--repeats 3] [--keep benchmarks/results/explain.json]

Budgets hold for two free cores. On a machine that others use, wall-clock says how long it took there and CPU seconds
how much work it was: with one thread these are the wall-clock of one free core, so the verdict is by the smaller.
Needs DeiT-Tiny and the photographs in ../shared.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from classtoken.analysis.capture import capture
from classtoken.analysis.faithfulness import curves, random_scores
from classtoken.analysis.lens import lens
from classtoken.analysis.methods import BY_NAME, Setting
from classtoken.analysis.model import subject_of
from classtoken.analysis.rollout import roll
from classtoken.analysis.subject import Subject
from classtoken.embedder import load
from classtoken.jobs.explaining.describing import artefacts_of, layer_rows
from classtoken.jobs.explaining.gathering import Inputs, gather, one
from classtoken.tensors import Tokens
from classtoken.values import Record

SHARED = Path(__file__).resolve().parents[2] / "shared"
PARTS = ("embeddings", "scores", "weights", "values", "heads", "attention", "feedforward", "states")
ROWS = 8


def timed(run: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """The best wall-clock and the best CPU seconds of several runs, after one that is not counted."""
    run()
    walls, works = [], []
    for _ in range(repeats):
        wall, work = time.perf_counter(), time.process_time()
        run()
        walls.append(time.perf_counter() - wall)
        works.append(time.process_time() - work)
    return min(walls), min(works)


def single(subject: Subject, tokens: Tokens) -> None:
    """What `explain` describes of one input, as it does it: rows of the class token, artefacts, lens."""
    layer_rows(subject, tokens)
    artefacts_of(subject, tokens)
    lens(subject, tokens)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--keep", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    embedder = load(SHARED / "models" / "deit-tiny-patch16-224")
    files = sorted((SHARED / "data" / "imagenet-samples").glob("*.jpg"))[:ROWS]
    subject, batch = subject_of(embedder), embedder.tokens(files)
    tokens = one(batch, 0)
    with torch.no_grad():
        target = subject(tokens).argmax(1)
    eight = {f"map {seed}": random_scores(tokens, seed)[0] for seed in range(8)}
    together = Inputs(tuple(Record(file.name) for file in files), (batch,), 0)
    apart = [one(batch, row) for row in range(len(batch))]
    runs: dict[str, tuple[Callable[[], Any], float | None, int]] = {
        "fused forward": (lambda: subject(tokens), None, options.repeats),
        "full trace": (lambda: capture(subject, tokens, PARTS), 0.5, options.repeats),
        "rollout": (lambda: roll(subject, tokens), 0.1, options.repeats),
        "flow of all patches": (lambda: BY_NAME["flow"].run(subject, tokens, target, Setting()), 5.0, 1),
        "deletion curve, 20 points, 8 maps": (lambda: curves(subject, tokens, int(target), eight), 20.0, 1),
        "8 inputs described in one batch": (lambda: gather(subject, together), None, options.repeats),
        "8 inputs described by single calls": (lambda: [single(subject, t) for t in apart], None, options.repeats),
    }
    found: dict[str, Any] = {}
    for name, (run, budget, repeats) in runs.items():
        wall, work = timed(run, repeats)
        found[name] = {"wall_s": round(wall, 4), "cpu_s": round(work, 4), "budget_s": budget}
        verdict = (
            "" if budget is None else f"   budget {budget:g} s: {'kept' if min(wall, work) < budget else 'MISSED'}"
        )
        print(f"{name:36s} {wall:8.3f} s   {work:8.3f} s of CPU{verdict}", flush=True)
    calls, whole = (found[f"8 inputs described {how}"] for how in ("by single calls", "in one batch"))
    ratio = {key: round(calls[key] / whole[key], 2) for key in ("wall_s", "cpu_s")}
    print(
        f"batches are {ratio['wall_s']:.2f}x the rate of single calls ({ratio['cpu_s']:.2f}x by CPU); promised is 1.2x"
    )
    if options.keep:
        machine = {"python": platform.python_version(), "torch": torch.__version__, "threads": options.threads}
        options.keep.parent.mkdir(parents=True, exist_ok=True)
        options.keep.write_text(
            json.dumps({"machine": machine, "seconds": found, "batch_ratio": ratio}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
