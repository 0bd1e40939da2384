"""What a teacher and what pictures without labels are worth, on scenes that the package draws.

    python benchmarks/training/learning.py [--only NAME ...] [--keep benchmarks/results/learning.json]

A small student (`recipes/student.toml`) has the labels of 359 scenes; `builtin:scenes`, which learned from 22,800
others, labels 2,400 more for it. All ways take the same number of steps of the same size, so that the student without a
teacher sees its few scenes more often. Judged on 1,000 fresh scenes: all three labels right; differences are paired.
Results are added to FILE one by one, so that it can be stopped.
"""

import argparse
import csv
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from classtoken import predict
from classtoken.jobs.train import train
from classtoken.learning.folder.record import machine
from classtoken.learning.loop.seeds import steps_per_epoch
from classtoken.learning.recipe import Recipe
from classtoken.measure.statistics import compare, exact
from classtoken.options import TrainOptions
from classtoken.plain import to_json

HERE = Path(__file__).resolve().parent
WORK = HERE.parents[1] / "bench-results" / "learning"
TEST = "builtin:scenes?count=1000&seed=22"
"""nothing was chosen on these: how long the student learns was set on those of another seed"""
UNLABELLED = 2400
MORE = f"builtin:scenes?count={UNLABELLED}&seed=13"
TEACHER = "builtin:scenes"
LEARNED = 359
"""of the recipe's 400, the rest is held out"""
ALONE = "labels alone"


def ways() -> dict[str, Recipe]:
    """Every way by its name."""
    student = Recipe.from_file(HERE / "recipes" / "student.toml")
    few, many = (steps_per_epoch(count, student.loop.batch) for count in (LEARNED, LEARNED + UNLABELLED))
    alone = replace(student.loop, epochs=student.loop.epochs * many / few)
    taught = replace(student, data=replace(student.data, unlabelled=(MORE,)))
    objective = replace(student.objective, kind="distillation", teacher=TEACHER)
    token = {**dict(student.model or {}), "stem": {**(student.model or {})["stem"], "distillation_tokens": 1}}
    return {
        ALONE: replace(student, loop=alone),
        "its probabilities (soft)": replace(taught, objective=replace(objective, mode="soft", temperature=2.0)),
        "its labels (hard), distillation token": replace(
            taught,
            objective=replace(objective, mode="hard"),
            model=token,
            head=replace(student.head, kind="distilled"),
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=None, help="ways by their names; all if left out")
    parser.add_argument("--keep", type=Path, default=WORK / "results.json")
    given = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    kept: dict[str, Any] = json.loads(given.keep.read_text()) if given.keep.is_file() else {"ways": {}}
    kept["machine"] = machine("cpu")
    for name, recipe in ways().items():
        if (given.only is None and name not in kept["ways"]) or name in (given.only or ()):
            kept["ways"][name] = measured(name, recipe)
            given.keep.parent.mkdir(parents=True, exist_ok=True)
            given.keep.write_text(to_json(compared(kept), indent=1) + "\n", encoding="utf-8")
            print(name, {k: v for k, v in kept["ways"][name].items() if k != "right"}, flush=True)
    if "teacher" not in kept["ways"]:
        kept["ways"]["teacher"] = {"right": judged(TEACHER)}
        given.keep.write_text(to_json(compared(kept), indent=1) + "\n", encoding="utf-8")


def measured(name: str, recipe: Recipe) -> dict[str, Any]:
    """`classtoken train` by the recipe, `classtoken predict` on fresh scenes."""
    out = WORK / "".join(c if c.isalnum() else "-" for c in name)
    result = train(None, None, out, TrainOptions(recipe=recipe.to_dict()))
    return {
        "right": judged(out),
        "steps": result.steps,
        "seconds": round(result.seconds, 1),
        "parameters": result.parameters,
        "learned": result.learned,
    }


def judged(model: str | Path) -> str:
    """1 for every scene of which all labels are right, 0 for the others."""
    from classtoken.source import open_source

    with tempfile.TemporaryDirectory() as folder:
        predict(model, TEST, folder)
        lines = (Path(folder) / "predictions.csv").read_text(encoding="utf-8").splitlines()
        said = {row["id"]: set(filter(None, row["prediction"].split("|"))) for row in csv.DictReader(lines)}
    truth = {record.id: set(record.label or ()) for record in open_source(TEST).records()}
    return "".join("01"[said[name] == labels] for name, labels in truth.items())


def compared(kept: dict[str, Any]) -> dict[str, Any]:
    """Each way's accuracy with its interval, and its paired difference to the student with labels alone."""
    hits = {name: np.array([int(c) for c in way["right"]], dtype=float) for name, way in kept["ways"].items()}
    for name, way in kept["ways"].items():
        interval = exact(int(hits[name].sum()), len(hits[name]))
        way["accuracy"] = [round(v, 4) for v in (interval.estimate, interval.low, interval.high)]
        if name != ALONE and ALONE in hits:
            found = compare(hits[name], hits[ALONE])
            gap = found.difference
            way["difference"] = [round(v, 4) for v in (gap.estimate, gap.low, gap.high)]
            way["p"] = round(found.p, 4)
    return kept


if __name__ == "__main__":
    main()
