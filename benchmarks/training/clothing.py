"""Product categories: heads, learned poolings and fine-tuning of DeiT-Tiny beside scikit-learn's best.

    python benchmarks/training/clothing.py [--data ../shared] [--only linear/cls ...] [--keep FILE]

The 1,000 photographs of clothing-dev are split once: 700 to learn from and to choose on, 300 that are looked at once by
each way. scikit-learn gets the same vectors: LogisticRegression in a GridSearchCV over the 10 values of C that its own
LogisticRegressionCV takes (1e-4 to 1e4), standardised and raw, five folds. Differences are paired: the same
300 photographs, a bootstrap interval, a permutation test. Results are added to FILE one by one: it can be stopped.
"""

import argparse
import csv
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from classtoken import predict
from classtoken.embedder import Embedder, load
from classtoken.jobs.train import train
from classtoken.learning.folder.record import machine
from classtoken.measure.statistics import compare, exact
from classtoken.options import TrainOptions
from classtoken.plain import to_json

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "bench-results" / "clothing"
POOLINGS = ("cls", "mean", "cls+mean")
LEARNED = ("map", "queries(8)", "multihead(3)", "weighted", "all")
TUNED = {"last-4": 3.0, "all": 3.0}
REFERENCE = "scikit-learn/cls"


def ways() -> dict[str, dict[str, Any]]:
    """Every way by its name: what `classtoken train` is told."""
    found: dict[str, dict[str, Any]] = {f"linear/{name}": {"pooling": name} for name in POOLINGS}
    found |= {
        f"{head}/cls": {"head": head, "pooling": "cls", "epochs": 30.0, "batch": 64} for head in ("cosine", "mlp")
    }
    found |= {f"linear/{name}": {"pooling": name, "epochs": 15.0, "batch": 64} for name in LEARNED}
    found |= {
        f"fine-tuned {blocks}": {"unfreeze": blocks, "epochs": epochs, "precision": "bf16"}
        for blocks, epochs in TUNED.items()
    }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--only", nargs="*", default=None, help="ways by their names; all if left out")
    parser.add_argument("--keep", type=Path, default=WORK / "results.json")
    given = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    model = given.data / "models" / "deit-tiny-patch16-224"
    parts = split(given.data / "data" / "clothing-dev")
    kept: dict[str, Any] = json.loads(given.keep.read_text()) if given.keep.is_file() else {"ways": {}}
    kept["machine"], kept["learned"], kept["tested"] = machine("cpu"), len(parts[0]), len(parts[1])
    runs: dict[str, Callable[[], dict[str, Any]]] = {
        f"scikit-learn/{name}": lambda name=name: by_scikit_learn(name, model, parts) for name in POOLINGS
    }
    runs |= {name: lambda told=told, name=name: by_train(name, told, model) for name, told in ways().items()}
    for name, run in runs.items():
        if (given.only is None and name not in kept["ways"]) or name in (given.only or ()):
            kept["ways"][name] = run()
            given.keep.parent.mkdir(parents=True, exist_ok=True)
            given.keep.write_text(to_json(compared(kept), indent=1) + "\n", encoding="utf-8")
            print(name, {k: v for k, v in kept["ways"][name].items() if k != "right"}, flush=True)


def split(folder: Path) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Two tables of (path, class): to learn from and to test on, the same share of every class."""
    rows = [(str(path), path.parent.name) for path in sorted(folder.glob("*/*")) if path.is_file()]
    parts = train_test_split(rows, test_size=0.3, random_state=0, stratify=[label for _, label in rows])
    for name, part in zip(("learn", "test"), parts, strict=True):
        with (WORK / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("image", "label"), *part])
    return parts[0], parts[1]


def by_train(name: str, told: dict[str, Any], model: Path) -> dict[str, Any]:
    """`classtoken train` on one part, `classtoken predict` on the other."""
    named = name.replace("/", "-").replace(" ", "-")
    out, predicted = WORK / "runs" / named, WORK / "predicted" / named
    shared = {} if "unfreeze" in told else {"features": WORK / "features"}  # one cache for all ways: computed once
    options = TrainOptions(held_out=0.15, **shared, **told)
    result = train(model, WORK / "learn.csv", out, options)
    if result.way == "frozen" and not result.features_cached:
        result = train(model, WORK / "learn.csv", out, options)
    predict(out, WORK / "test.csv", predicted, overwrite=True)
    with (predicted / "predictions.csv").open(encoding="utf-8") as file:
        said = [row["prediction"] for row in csv.DictReader(file)]
    with (WORK / "test.csv").open(encoding="utf-8") as file:
        truth = [row["label"] for row in csv.DictReader(file)]
    return {
        "right": "".join("01"[a == b] for a, b in zip(said, truth, strict=True)),
        "seconds": round(result.seconds, 1),
        "learned_parameters": result.trained_parameters,
        "chosen": result.chosen,
        "calibration": [round(result.error_before, 4), round(result.error, 4)],
        "epochs": told.get("epochs"),
    }


def by_scikit_learn(pooling: str, model: Path, parts: tuple[list[tuple[str, str]], ...]) -> dict[str, Any]:
    """The best logistic regression on the same vectors by scikit-learn's own search."""
    embedder = load(model)
    x, y = vectors(embedder, pooling, parts[0], "learn")
    seen, truth = vectors(embedder, pooling, parts[1], "test")
    began = time.perf_counter()
    grid = {"scale": [StandardScaler(), "passthrough"], "fit__C": np.logspace(-4, 4, 10)}
    steps = [("scale", StandardScaler()), ("fit", LogisticRegression(max_iter=5000))]
    with threadpool_limits(1):
        search = GridSearchCV(Pipeline(steps), grid, cv=5).fit(x, y)
    seconds = time.perf_counter() - began
    scaled = "raw" if search.best_params_["scale"] == "passthrough" else "standardised"
    return {
        "right": "".join("01"[int(hit)] for hit in search.predict(seen) == truth),
        "seconds": round(seconds, 1),
        "chosen": f"C = {search.best_params_['fit__C']:.3g}, {scaled} vectors",
    }


def vectors(embedder: Embedder, pooling: str, part: list[tuple[str, str]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of one part, computed once for all poolings."""
    path = WORK / f"{name}-{pooling}.npy"
    if not path.is_file():
        found = embedder.embed([image for image, _ in part], pooling=",".join(POOLINGS))
        assert isinstance(found, dict)
        for each in POOLINGS:
            np.save(WORK / f"{name}-{each}.npy", found[each])
    return np.load(path), np.array([label for _, label in part])


def compared(kept: dict[str, Any]) -> dict[str, Any]:
    """Accuracy with its interval, and each way's paired difference to scikit-learn's best on the class token."""
    hits = {name: np.array([int(c) for c in way["right"]], dtype=float) for name, way in kept["ways"].items()}
    for name, way in kept["ways"].items():
        interval = exact(int(hits[name].sum()), len(hits[name]))
        way["accuracy"] = [round(v, 4) for v in (interval.estimate, interval.low, interval.high)]
        for other in {REFERENCE, f"scikit-learn/{name.partition('/')[2]}"} & hits.keys() - {name}:
            found = compare(hits[name], hits[other])
            gap = found.difference
            way.setdefault("against", {})[other] = {
                "difference": [round(v, 4) for v in (gap.estimate, gap.low, gap.high)],
                "better": found.wins,
                "worse": found.losses,
                "p": round(found.p, 4),
            }
    return kept


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    main()
