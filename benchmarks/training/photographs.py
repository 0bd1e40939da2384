"""builtin:photos on photographs that were not taken for CIFAR-10: are they recognised, and is other content noticed?

    python benchmarks/training/photographs.py [--model builtin:photos] [--data ../shared/data] [--look]

Recognised: windows around the largest box of each class in the photographs of coco128-train, with two margins, and
with --look the cats, dogs and birds of imagenet-samples. The windows are for choosing; imagenet-samples is looked at
rarely. Noticed: AUROC (Hanley, McNeil 1982) with which a score tells pictures of the classes from pictures of anything
else. The classes: those windows, and the training pictures of CIFAR-10 that the recipe held out. Anything else:
photographs of coco128-train without a class or a near one (bus, train, bicycle, motorcycle), products of clothing-dev,
drawn scenes, and with --look the rest of imagenet-samples.

Scores of being known, from the logits z: the largest probability (Hendrycks, Gimpel 2017), log sum exp z (energy, Liu
et al. 2020), the largest logit; from the class token's vector: minus the Mahalanobis distance to the nearest class (Lee
et al. 2018), and that less the distance to all classes together (Ren et al. 2021). And how many the model itself calls
unlike its classes (`Embedder.typical`); of the held-out pictures, from which it knows how far is far, about 1 in 20.
"""

import argparse
import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.special import logsumexp, softmax
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score

from classtoken.embedder import Embedder, load
from classtoken.errors import ContractError
from classtoken.learning.data.split import divide
from classtoken.learning.recipe import Recipe
from classtoken.measure.statistics import exact
from classtoken.source import open_source
from classtoken.tokens.decode import decode

ROOT = Path(__file__).resolve().parents[2]
COCO = {2: "automobile", 4: "airplane", 7: "truck", 8: "ship", 14: "bird", 15: "cat", 16: "dog", 17: "horse"}
NEAR = {1, 3, 5, 6}
MARGINS = (1.15, 1.5)
LEAST = 48
"""pixels of the longer side of a box: less is no photograph of the thing"""
BIRDS, CATS, DOGS = {*range(7, 25), *range(80, 101), *range(127, 147)}, set(range(281, 286)), set(range(151, 269))
BATCH = 64
UNLIKE = 0.05

Pictures = list[Image.Image]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="builtin:photos")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--look", action="store_true")
    given = parser.parse_args()
    model = load(given.model)
    windows, others = coco(given.data / "coco128-train")
    known = {"coco windows": windows}
    unknown = {"coco, other things": others, "clothing": clothing(given.data), "drawn scenes": scenes()}
    if given.look:
        known["imagenet animals"], unknown["imagenet, other things"] = samples(given.data / "imagenet-samples")
    fit, held_out = cifar(given.data / "cifar10/train.parquet")
    recognised = {name: share(model, rows) for name, rows in {"held-out": held_out, **known}.items()}
    scores = Scores(model, fit)
    of_known = {name: scores([image for image, _ in rows]) for name, rows in {"held-out": held_out, **known}.items()}
    noticed = {
        f"{name} / {other}": {score: auroc(values[score], strange[score]) for score in values}
        for other, images in unknown.items()
        for strange in [scores(images)]
        for name, values in of_known.items()
    }
    pictures = {name: [image for image, _ in rows] for name, rows in {"held-out": held_out, **known}.items()} | unknown
    unlike = {name: called_unlike(model, images) for name, images in pictures.items()}
    print(json.dumps({"model": given.model, "recognised": recognised, "unlike": unlike, "auroc": noticed}, indent=1))


def coco(folder: Path) -> tuple[list[tuple[Image.Image, str]], Pictures]:
    """Square windows around the largest box of a class, cut at the photograph's edge; photographs of other things."""
    windows, others = [], []
    for path in sorted((folder / "images").glob("*.jpg")):
        boxes = folder / "boxes" / f"{path.stem}.txt"  # a photograph in which nothing was marked has none
        lines = boxes.read_text().split("\n") if boxes.is_file() else []
        rows = [tuple(map(float, line.split())) for line in lines if line.strip()]
        with Image.open(path) as file:
            image = file.convert("RGB")
        width, height = image.size
        if not {int(row[0]) for row in rows} & (COCO.keys() | NEAR):
            others.append(image)
        for index, name in COCO.items():
            mine = [(x * width, y * height, w * width, h * height) for c, x, y, w, h in rows if c == index]
            x, y, w, h = max(mine, key=lambda box: box[2] * box[3], default=(0, 0, 0, 0))
            for margin in MARGINS if max(w, h) >= LEAST else ():
                side = min(max(w, h) * margin, width, height)
                left, top = (min(max(0, at - side / 2), most - side) for at, most in ((x, width), (y, height)))
                windows.append((image.crop((int(left), int(top), int(left + side), int(top + side))), name))
    return windows, others


def samples(folder: Path) -> tuple[list[tuple[Image.Image, str]], Pictures]:
    """The animals of three classes among the photographs, and all others."""
    animals, others = [], []
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            index = int(row["class_index"])
            kinds = ((BIRDS, "bird"), (CATS, "cat"), (DOGS, "dog"))
            name = next((name for members, name in kinds if index in members), None)
            with Image.open(folder / row["file"]) as picture:
                image = picture.convert("RGB")
            others.append(image) if name is None else animals.append((image, name))
    return animals, others


def clothing(data: Path) -> Pictures:
    """Every fifth of the product photographs."""
    return [Image.open(path).convert("RGB") for path in sorted((data / "clothing-dev").glob("*/*"))[::5]]


def scenes() -> Pictures:
    """Drawn pictures."""
    records = open_source("builtin:scenes?count=200&seed=7").records([])
    return [Image.fromarray(np.asarray(decode(record.image))) for record in records if record.image is not None]


def cifar(path: Path) -> tuple[list[tuple[Image.Image, str]], list[tuple[Image.Image, str]]]:
    """Pictures that were learned from (4,000 of them), and those that the recipe held out."""
    recipe = Recipe.from_file(ROOT / "src/classtoken/builtin/photos/recipe.toml")
    records = list(open_source(str(path)).records([]))
    division = divide(records, recipe.data.held_out, recipe.loop.seed)
    some = np.random.default_rng(0).permutation(division.learned.numpy())[:4000].tolist()

    def pictures(rows: Sequence[int]) -> list[tuple[Image.Image, str]]:
        return [(Image.fromarray(np.asarray(decode(records[i].image))), str(records[i].label)) for i in rows]

    return pictures(some), pictures(division.held_out.tolist())


def called_unlike(model: Embedder, images: Pictures) -> str:
    """How many the model itself calls unlike its classes, as `predict` does: a p value of at most 1 in 20."""
    try:
        typical = in_batches(model.typical, images)
    except ContractError as error:
        return str(error)
    return f"{int((typical <= UNLIKE).sum())} of {len(images)}"


def share(model: Embedder, rows: list[tuple[Image.Image, str]]) -> dict[str, object]:
    """Which part of labelled pictures the model names rightly, with its exact interval."""
    logits = in_batches(model.logits, [image for image, _ in rows])
    right = [model.labels[i] == name for i, (_, name) in zip(logits.argmax(1), rows, strict=True)]
    found = exact(sum(right), len(right))
    wrong = sorted(
        f"{n} as {model.labels[i]}" for i, (_, n), r in zip(logits.argmax(1), rows, right, strict=True) if not r
    )
    return {"right": sum(right), "of": len(right), "low": found.low, "high": found.high, "wrong": wrong[:12]}


class Scores:
    """Scores of being known; larger is more like the pictures learned from."""

    def __init__(self, model: Embedder, learned: list[tuple[Image.Image, str]]):
        self.model = model
        vectors_ND = self._vectors([image for image, _ in learned])
        names = np.array([name for _, name in learned])
        self.means_CD = np.stack([vectors_ND[names == name].mean(0) for name in model.labels])
        within = np.concatenate([vectors_ND[names == n] - m for n, m in zip(model.labels, self.means_CD, strict=True)])
        self.within, self.whole = LedoitWolf(assume_centered=True).fit(within), LedoitWolf().fit(vectors_ND)

    def __call__(self, images: Pictures) -> dict[str, np.ndarray]:
        logits_NC, vectors_ND = in_batches(self.model.logits, images), self._vectors(images)
        nearest = np.min([self.within.mahalanobis(vectors_ND - mean) for mean in self.means_CD], axis=0)
        return {
            "probability": softmax(logits_NC, axis=1).max(1),
            "energy": logsumexp(logits_NC, axis=1),
            "logit": logits_NC.max(1),
            "mahalanobis": -nearest,
            "relative mahalanobis": self.whole.mahalanobis(vectors_ND) - nearest,
        }

    def _vectors(self, images: Pictures) -> np.ndarray:
        return in_batches(lambda some: np.asarray(self.model.embed(some, pooling="cls")), images).astype(np.float64)


def in_batches(function: Callable[[Pictures], np.ndarray], images: Pictures) -> np.ndarray:
    """What a function gives for many pictures, some at a time."""
    return np.concatenate([function(images[i : i + BATCH]) for i in range(0, len(images), BATCH)])


def auroc(known: np.ndarray, unknown: np.ndarray) -> float:
    """The part of all pairs in which the known picture has the larger score."""
    truth = np.r_[np.ones(len(known)), np.zeros(len(unknown))]
    return round(float(roc_auc_score(truth, np.r_[known, unknown])), 4)


if __name__ == "__main__":
    main()
