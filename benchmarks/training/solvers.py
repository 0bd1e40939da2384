"""Logistic regression over the grid of C by Newton's steps with conjugate gradients, and by another solver.

    python benchmarks/training/solvers.py --text-model MINILM [--rows 800] [--against lbfgs] [--keep RESULT.json]

Vectors of drawn scenes (builtin:scenes), of photographs (CIFAR-10, builtin:photos) and of question types (TREC, a text
model); raw and standardised, each C beginning where the one before ended, as `train` and `compare` fit. A line says the
seconds of one processor, the most steps that one C took, and how far the other's loss ends above Newton's, summed
over the grid, as a share of it.
"""

import argparse
import csv
import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

import classtoken as ct
from classtoken.learning.ways.logistic import GRID, SOLVER, FitTask, Regressions
from classtoken.plain import to_json
from classtoken.source import open_source

DATA = Path(__file__).resolve().parents[3] / "shared/data"
Rows = tuple[NDArray[np.float64], NDArray[np.int64]]


def scenes(count: int) -> Rows:
    """Drawn scenes."""
    records = list(open_source(f"builtin:tiny?count={count}&seed=5").records())
    return _rows(ct.load("builtin:scenes").embed([record.image for record in records]), [r.label for r in records])


def photographs(count: int) -> Rows:
    """Photographs of ten kinds."""
    rows = parquet.read_table(DATA / "cifar10/train.parquet").slice(0, count).to_pylist()
    images = [Image.open(io.BytesIO(row["image"]["bytes"])) for row in rows]
    return _rows(ct.load("builtin:photos").embed(images), [row["label"] for row in rows])


def questions(count: int, model: Path) -> Rows:
    """Questions of six types."""
    with (DATA / "text/trec/train.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:count]
    return _rows(ct.load(model).embed([row["text"] for row in rows]), [row["label"] for row in rows])


def _rows(vectors: Any, labels: list[Any]) -> Rows:
    return np.asarray(vectors, dtype=np.float64), np.unique(np.array(labels, dtype=str), return_inverse=True)[1]


def loss(rows: Rows, weight: NDArray[np.float64], bias: NDArray[np.float64], c: float) -> float:
    """What is minimised: the sum of the losses, and the squared length of the weights over 2 C."""
    logits = rows[0] @ weight.T + bias
    top = logits.max(1)
    right = logits[np.arange(len(logits)), rows[1]]
    return float((top + np.log(np.exp(logits - top[:, None]).sum(1)) - right).sum() + (weight**2).sum() / (2 * c))


def fitted(rows: Rows, solver: str) -> tuple[float, int, float]:
    """Seconds of one processor, the most steps of one C, the sum of the losses over the grid."""
    path = Regressions(*rows, False, FitTask(False, False, 0, int(rows[1].max()) + 1))
    path.models[0].set_params(solver=solver)
    steps, losses, seconds = 0, 0.0, 0.0
    with threadpool_limits(1):
        for c in GRID:
            begun = time.process_time()
            weight, bias = path.at(c)
            seconds += time.process_time() - begun
            steps = max(steps, int(path.models[0].n_iter_.max()))
            losses += loss(rows, weight, bias, c)
    return seconds, steps, losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text-model", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=800)
    parser.add_argument("--against", default="lbfgs", help="a solver of scikit-learn's LogisticRegression")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    found = []
    kinds = {"scenes": scenes(given.rows), "photographs": photographs(given.rows)}
    kinds["questions"] = questions(given.rows, given.text_model)
    for name, (vectors, targets) in kinds.items():
        for form, x in (("raw", vectors), ("standardised", (vectors - vectors.mean(0)) / vectors.std(0))):
            ours, theirs = (fitted((x, targets), solver) for solver in (SOLVER, given.against))
            more = theirs[2] / ours[2] - 1
            print(
                f"{name:12} {form:13} {SOLVER} {ours[0]:6.2f} s, {ours[1]:3d} steps; "
                f"{given.against} {theirs[0]:6.2f} s, {theirs[1]:4d} steps, loss {more:+.1e}",
                flush=True,
            )
            found.append({"kind": name, "form": form, "newton": ours, given.against: theirs, "more": more})
    if given.keep is not None:
        given.keep.write_text(to_json({"rows": given.rows, "found": found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
