"""When does the class token win? Encoders trained here, alike in all but what is pooled, and judged by `compare`.

    python tools/studies/class_token_wins.py

Trains small ViTs on faces that the package draws: with labels and by DINO, 2 and 6 blocks deep, the vector being the
class token, the mean of the patches or attention pooling (`map`); the last two have no class token at all. The learning
rate of each of the twelve is chosen on held-out faces; three seeds. Every run lies in bench-results/class-token-wins
when it is done and is not made again, so the command can be stopped and given again. Then every encoder is judged on
fresh faces, and docs/studies/class-token-wins.json is written of what is there; `--judge` does that alone.
`class_token_wins_page.py` beside it writes the page.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from classtoken.comparison.classification import Classification
from classtoken.comparison.contest import Entrant, Standing, standing
from classtoken.comparison.retrieval import RetrievalByClass
from classtoken.comparison.task import Choices, Judged, JudgedTask
from classtoken.drawn import LABELS, draw_tiny
from classtoken.drawn.records import tiny_records
from classtoken.embedder import load
from classtoken.files import write_text
from classtoken.jobs.train import train
from classtoken.learning.recipe import Recipe
from classtoken.options import TrainOptions
from classtoken.plain import to_json
from classtoken.results.compare import Cost
from classtoken.values import Record

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "bench-results" / "class-token-wins"
FOUND = ROOT / "docs" / "studies" / "class-token-wins.json"
POOLINGS, DEPTHS, SEEDS = ("cls", "mean", "map"), (2, 6), (0, 1, 2)
OBJECTIVES = ("supervised", "dino")
UNTRAINED = "untrained"
RATES = (2e-4, 6e-4, 2e-3, 6e-3, 2e-2)
MIDDLE = slice(1, 4)
"""the rates that are tried first; one at the edge that is best has its neighbour tried too"""
LEARNED, TESTED = (1600, 31), (1000, 32)
"""number and seed of the faces"""
STEPS, BATCH, HELD_OUT = 250, 32, 0.25
CHOOSES = {"supervised": "accuracy", "dino": "neighbours"}
"""what is measured on held-out faces to choose the rate"""


@dataclass(frozen=True)
class Run:
    """One training."""

    objective: str
    depth: int
    pooling: str
    seed: int
    rate: float

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return WORK / f"{self.objective}-{self.depth}-{self.pooling}-{self.seed}-{self.rate:g}"

    def recipe(self) -> Recipe:
        """Everything but the pooling (and the class token that it needs) is the same within an objective."""
        stem = {"kind": "image", "patch": 6, "image": [24, 24], "class_tokens": int(self.pooling == "cls")}
        epochs = STEPS * BATCH / (LEARNED[0] * (1 - HELD_OUT))
        plain: dict[str, Any] = {
            "pooling": self.pooling,
            "model": {
                "hidden_size": 32,
                "depth": self.depth,
                "stem": stem,
                "block": {"heads": 4, "feedforward_size": 64, "norm_eps": 1e-6},
            },
            "data": {"held_out": HELD_OUT, "mean": [0.5] * 3, "std": [0.25] * 3},
            "augment": {"pad_crop": 2, "flip": True},
            "optimiser": {
                "kind": "muon",
                "learning_rate": self.rate,
                "matrix_learning_rate": 10 * self.rate,
                "weight_decay": 0.05,
                "warmup": 0.1,
            },
            "loop": {"epochs": epochs, "batch": BATCH, "seed": self.seed, "keep": "last", "evaluate_every": epochs},
        }
        if self.objective == "dino":
            plain["objective"] = {
                "kind": "dino",
                "prototypes": 64,
                "teacher_momentum": 0.98,
                "local_crops": 0,
                "local_size": 12,
                "large_crop": [0.5, 1.0],
            }
            plain["augment"] = {"grey": 1.0, "colour": 0.4}
        if self.objective == UNTRAINED:
            plain["optimiser"] |= {"learning_rate": 0.0, "matrix_learning_rate": 0.0, "weight_decay": 0.0}
            plain["loop"] |= {"epochs": 0.01, "evaluate_every": 0.01}
        return Recipe.from_dict(plain)

    def done(self) -> dict[str, Any] | None:
        """What was kept of it; None if it is not finished."""
        file = self.folder / "run.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None

    def train(self) -> dict[str, Any]:
        """Train it, unless it is there."""
        known = self.done()
        if known is not None:
            return known
        began = process_time()
        result = train(None, faces(), self.folder, TrainOptions(recipe=self.recipe().to_dict()))
        scores = {name: round(float(value), 5) for name, value in result.scores.items()}
        found = {"scores": scores, "steps": result.steps, "seconds": round(process_time() - began, 1)}
        write_text(self.folder / "run.json", to_json(found))
        print(f"{self.folder.name}: {scores}, {found['seconds']:.0f} s of processor time", flush=True)
        return found

    @property
    def score(self) -> float | None:
        """What chooses the rate, on held-out faces; None if it is not finished."""
        found = self.done()
        return None if found is None else float(found["scores"][CHOOSES[self.objective]])


@cache
def faces() -> dict[str, list[Any]]:
    """Those that are learned from, as columns."""
    records = list(tiny_records(LEARNED[0], seed=LEARNED[1]))
    return {name: [getattr(record, name) for record in records] for name in ("id", "image", "label")}


def rates_of(objective: str, depth: int, pooling: str) -> Iterator[Run]:
    """The runs that choose a rate, each to be done before the next is asked for."""
    runs = [Run(objective, depth, pooling, SEEDS[0], rate) for rate in RATES]
    tried = runs[MIDDLE]
    yield from tried
    scores = [run.score for run in tried]
    if None in scores:
        return
    best = int(np.argmax([float(score or 0) for score in scores]))
    if best == 0:
        yield runs[0]
    if best == len(tried) - 1:
        yield runs[-1]


def best_rate(objective: str, depth: int, pooling: str) -> float | None:
    """The rate that is best on held-out faces; None as long as not all have been tried."""
    runs = list(rates_of(objective, depth, pooling))
    scores = [run.score for run in runs]
    return None if None in scores else runs[int(np.argmax([float(score or 0) for score in scores]))].rate


def runs_of(objective: str, depth: int, pooling: str) -> list[Run]:
    """The runs that are judged: each seed at the best rate, as far as they are finished."""
    rate = 0.0 if objective == UNTRAINED else best_rate(objective, depth, pooling)
    runs = [] if rate is None else [Run(objective, depth, pooling, seed, rate) for seed in SEEDS]
    return [run for run in runs if run.done() is not None]


def train_all(parts: Sequence[str]) -> None:
    """Everything that is not there yet: a part (an objective and depth) after the other."""
    for objective in (*OBJECTIVES, UNTRAINED):
        for depth in DEPTHS:
            if f"{objective}-{depth}" not in parts:
                continue
            for pooling in POOLINGS:
                if objective == UNTRAINED:
                    for seed in SEEDS:
                        Run(objective, depth, pooling, seed, 0.0).train()
                    continue
                for run in rates_of(objective, depth, pooling):
                    run.train()
            for seed in SEEDS[1:] * (objective != UNTRAINED):
                for pooling in POOLINGS:
                    rate = best_rate(objective, depth, pooling)
                    assert rate is not None
                    Run(objective, depth, pooling, seed, rate).train()


def fresh() -> tuple[list[Record], list[Record]]:
    """Fresh faces twice: labelled by whose face it is, and by what stands in front of it (or "nothing")."""
    count, seed = TESTED
    kinds = list(tiny_records(count, seed=seed))
    fronts = []
    for index, record in enumerate(kinds):
        things = sorted({thing.kind for thing in draw_tiny(seed, index).seen} - set(LABELS))
        fronts.append(replace(record, label=things[0] if things else "nothing"))
    return kinds, fronts


def tasks() -> dict[str, JudgedTask]:
    """What the vectors are used for."""
    kinds, fronts = fresh()
    choices = Choices(folds=3)
    return {
        "whose face it is": Classification(kinds, None, choices),
        "what stands in front of it": Classification(fronts, None, choices),
        "faces of the same kind, found by cosine": RetrievalByClass(kinds, choices, ()),
    }


def vectors_of(runs: Sequence[Run], records: Sequence[Record], pooling: str | None) -> list[NDArray]:
    """Of every seed, read out as it was trained, or by a pooling that is named."""
    found = []
    for run in runs:
        kept = run.folder / f"vectors-{pooling or 'own'}.npy"
        if not kept.is_file():
            vectors = load(run.folder, pooling=pooling).embed([record.image for record in records])
            np.save(kept, np.asarray(vectors, dtype=np.float32))
        found.append(np.load(kept))
    return found


def judged(task: JudgedTask, vectors: Sequence[NDArray]) -> tuple[Judged, list[float]]:
    """Items count by their mean over seeds; the metric of each seed beside it."""
    each = [task.judge(one, only=task.metric).values[task.metric] for one in vectors]
    metric = [float(values.mean()) for values in each]
    spread = {task.metric: (float(np.std(metric, ddof=1)), len(metric))} if len(metric) > 1 else {}
    return Judged({task.metric: np.mean(each, axis=0)}, spread), metric


def candidates(objective: str, depth: int) -> dict[str, tuple[list[Run], str | None]]:
    """What stands against what: each pooling that was trained, and the mean of the patches of the encoder that was
    trained by its class token."""
    runs = {pooling: runs_of(objective, depth, pooling) for pooling in POOLINGS}
    return {**{name: (found, None) for name, found in runs.items()}, "cls, read by mean": (runs["cls"], "mean")}


def judge_all() -> list[dict[str, Any]]:
    """Every objective, depth and task of which all three poolings have as many finished seeds."""
    found = []
    every = tasks()
    for objective in (*OBJECTIVES, UNTRAINED):
        for depth in DEPTHS:
            wanted = candidates(objective, depth)
            seeds = min(len(runs) for runs, _ in wanted.values())
            if seeds == 0:
                continue
            for name, task in every.items():
                print(f"judging {objective}, {depth} blocks: {name}", file=sys.stderr, flush=True)
                entrants, metrics = [], {}
                for called, (runs, pooling) in wanted.items():
                    said, metrics[called] = judged(task, vectors_of(runs[:seeds], task.records, pooling))
                    entrants.append(Entrant(called, objective, called, said, Cost(32, 128)))
                told = {"objective": objective, "depth": depth, "task": name, "metric": task.metric, "seeds": seeds}
                found.append({**told, **standing_of(standing(task, entrants), metrics)})
    return found


def standing_of(found: Standing, metrics: dict[str, list[float]]) -> dict[str, Any]:
    """Candidates and differences as plain values, and of each difference what every seed says."""
    rows = []
    for one in found.candidates:
        (score,) = one.metrics.values()
        rows.append({"name": one.name, "group": one.group, "value": score.value, "low": score.low, "high": score.high,
                     "by_seed": metrics[one.name]})  # fmt: skip
    gaps = [
        {"first": d.first, "second": d.second, "value": d.value, "low": d.low, "high": d.high, "p": d.adjusted,
         "by_seed": [a - b for a, b in zip(metrics[d.first], metrics[d.second], strict=True)]}
        for d in found.differences
    ]  # fmt: skip
    return rounded({"candidates": rows, "differences": gaps, "detectable": found.detectable})


def rounded(value: Any) -> Any:
    """Numbers with as many digits as they mean; None where there is no interval."""
    if isinstance(value, float):
        return round(value, 5) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list) else value


def tuning() -> list[dict[str, Any]]:
    """What each rate gave on held-out faces."""
    rows = []
    for objective in OBJECTIVES:
        for depth in DEPTHS:
            for pooling in POOLINGS:
                tried = {f"{run.rate:g}": run.score for run in rates_of(objective, depth, pooling)}
                if None not in tried.values():
                    best = best_rate(objective, depth, pooling)
                    rows.append(
                        {"objective": objective, "depth": depth, "pooling": pooling, "tried": tried, "best": best}
                    )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", action="store_true", help="train nothing more; judge what is there")
    every = [f"{objective}-{depth}" for objective in (*OBJECTIVES, UNTRAINED) for depth in DEPTHS]
    parser.add_argument("--only", nargs="*", default=every, choices=every, help="train these parts; all if left out")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if not given.judge:
        train_all(given.only)
    kept = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(WORK.glob("*/run.json"))]
    seconds = round(sum(run["seconds"] for run in kept))
    found = {"runs": len(kept), "seconds": seconds, "tuning": tuning(), "results": judge_all()}
    write_text(FOUND, to_json(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
