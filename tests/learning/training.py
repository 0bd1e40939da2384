"""Small trainings for the tests: pictures of three colours, a recipe from scratch, and the verbs as tests call them."""

import csv
from pathlib import Path
from random import Random
from typing import Any

from tests.folders import SENTENCES

from classtoken.jobs.predict import predict as predict_job
from classtoken.jobs.train import train as train_job
from classtoken.learning.recipe import Recipe, recipe_of
from classtoken.options import PredictOptions, TrainOptions
from classtoken.results.predict import PredictResult
from classtoken.results.train import TrainResult

SHAPE = {
    "hidden_size": 16,
    "depth": 2,
    "stem": {"kind": "image", "patch": 8, "image": [24, 24], "class_tokens": 1},
    "block": {"heads": 2, "feedforward_size": 32, "norm_eps": 1e-6},
}
LOOP = {"epochs": 12.0, "batch": 12, "ema": 0.8}
MOVING = {"learning_rate": 1e-2}


def texts(count: int) -> list[str]:
    """Texts of two and of eight words that the tiny tokenizer knows, by turns; no two alike."""
    drawn, words = Random(0), sorted({word for text in SENTENCES for word in text.split()})
    found: list[str] = []
    while len(found) < count:
        text = " ".join(drawn.choices(words, k=8 if len(found) % 2 else 2))
        if text not in found:
            found.append(text)
    return found


def scratch(**model: Any) -> Recipe:
    """A small ViT from scratch; `model` replaces parts of its shape."""
    plain = {"model": {**SHAPE, **model}, "loop": LOOP, "optimiser": MOVING, "data": {"held_out": 0.2}}
    return Recipe.from_dict(plain)


def told(**options: Any) -> Recipe:
    """The recipe of single options, as a command line gives them."""
    return recipe_of(TrainOptions(**options))


def train(
    source: Any, out: Path, *, model: Any = None, recipe: Recipe | None = None, half: bool = False, report: Any = None
) -> TrainResult:
    """The verb, with what the tests vary."""
    options = TrainOptions(recipe=None if recipe is None else recipe.to_dict(), half=half)
    return train_job(model, source, out, options, report=report)


def predict(source: Any, out: Path, *, model: Any, every: bool = False) -> PredictResult:
    """The verb, with what the tests vary."""
    return predict_job(model, source, out, PredictOptions(every=every))


def predictions(folder: Path) -> list[dict[str, str]]:
    """The rows that `predict` has written."""
    with (folder / "predictions.csv").open() as file:
        return list(csv.DictReader(file))
