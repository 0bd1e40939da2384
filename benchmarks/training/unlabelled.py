"""What DINO learns from pictures without labels, read by classifiers that see few labels, or all.

    python benchmarks/training/unlabelled.py [--keep benchmarks/results/unlabelled.json]

`recipes/dino.toml` on 3,000 tiny faces that the package draws, their labels not looked at. Then three descriptions of
the same faces are compared on 800 fresh ones: the class token of that encoder, that of the encoder with first weights
(trained with a learning rate of 0), and the pixels, in colour and grey. Each is read by the 5 nearest neighbours by
cosine and by logistic regression (standardised, C = 0.1) that know 20 labels of each class, and by both with all 3,000.
Differences are paired.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from classtoken import drawn as scenes
from classtoken.embedder import load
from classtoken.jobs.train import train
from classtoken.learning.folder.record import machine
from classtoken.learning.recipe import Recipe
from classtoken.measure.statistics import compare, exact
from classtoken.options import TrainOptions
from classtoken.plain import to_json
from classtoken.tokens.decode import decode
from classtoken.values import Record

HERE = Path(__file__).resolve().parent
WORK = HERE.parents[1] / "bench-results" / "unlabelled"
FEW = 20
LEARNED, TESTED = (3000, 5), (2000, 17)
"""number and seed of the faces; nothing was chosen on those of the second seed"""
READERS = (f"neighbours, {FEW} labels a class", f"linear, {FEW} labels a class", "neighbours, all", "linear, all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, default=WORK / "results.json")
    given = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    recipe = Recipe.from_file(HERE / "recipes" / "dino.toml")
    first = replace(recipe.optimiser, learning_rate=0.0, matrix_learning_rate=0.0, weight_decay=0.0)
    still = replace(recipe, optimiser=first, loop=replace(recipe.loop, epochs=0.1))
    faces = [list(scenes.tiny_records(count, seed=seed)) for count, seed in (LEARNED, TESTED)]
    truth = [np.array([record.label for record in part]) for part in faces]
    hits: dict[str, dict[str, np.ndarray]] = {}
    for name, mode in (("pixels", "RGB"), ("grey pixels", "L")):
        hits[name] = read([pixels(part, mode) for part in faces], truth)
    seconds = 0.0
    for name, chosen in (("first weights", still), ("DINO", recipe)):
        vectors, seconds = described(name, chosen, faces)
        hits[name] = read(vectors, truth)
    kept = {"machine": machine("cpu"), "seconds": round(seconds, 1), "tested": TESTED[0], "rows": compared(hits)}
    given.keep.parent.mkdir(parents=True, exist_ok=True)
    given.keep.write_text(to_json(kept, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(kept["rows"], indent=1))


def described(name: str, recipe: Recipe, faces: list[list[Record]]) -> tuple[list[np.ndarray], float]:
    """Vectors of both parts by an encoder that `classtoken train` leaves, and how long it trained."""
    out = WORK / name.replace(" ", "-")
    result = train(None, None, out, TrainOptions(recipe=recipe.to_dict()))
    embedder = load(out)
    found = [embedder.embed([record.image for record in part]) for part in faces]
    return [np.asarray(vectors) for vectors in found], result.seconds


def pixels(part: list[Record], mode: str) -> np.ndarray:
    """Every number of every picture, around 0."""
    return np.stack([np.asarray(decode(record.image).convert(mode)).ravel() / 255 - 0.5 for record in part])


def read(vectors: list[np.ndarray], truth: list[np.ndarray]) -> dict[str, np.ndarray]:
    """For each reader, which of the fresh faces it gets right."""
    x, seen = vectors
    few = np.concatenate([np.flatnonzero(truth[0] == label)[:FEW] for label in np.unique(truth[0])])
    mean, scale = x.mean(0), x.std(0) + 1e-6
    found = {}
    with threadpool_limits(1):
        for rows, which in ((few, f"{FEW} labels a class"), (np.arange(len(x)), "all")):
            near = KNeighborsClassifier(5, metric="cosine").fit(x[rows], truth[0][rows])
            line = LogisticRegression(C=0.1, max_iter=1000).fit(((x - mean) / scale)[rows], truth[0][rows])
            found[f"neighbours, {which}"] = (near.predict(seen) == truth[1]).astype(float)
            found[f"linear, {which}"] = (line.predict((seen - mean) / scale) == truth[1]).astype(float)
    return found


def compared(hits: dict[str, dict[str, np.ndarray]]) -> list[dict[str, Any]]:
    """Accuracy with its interval for every description and reader, and how far DINO is ahead, paired."""
    rows = []
    for reader in READERS:
        for name, readers in hits.items():
            interval = exact(int(readers[reader].sum()), len(readers[reader]))
            row: dict[str, Any] = {"reader": reader, "description": name}
            row["accuracy"] = [round(v, 4) for v in (interval.estimate, interval.low, interval.high)]
            if name != "DINO":
                found = compare(hits["DINO"][reader], readers[reader])
                gap = found.difference
                row["dino_ahead"] = [round(v, 4) for v in (gap.estimate, gap.low, gap.high)]
                row["p"] = round(found.p, 4)
            rows.append(row)
    return rows


if __name__ == "__main__":
    main()
