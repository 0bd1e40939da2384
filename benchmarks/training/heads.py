"""Heads on frozen vectors beside scikit-learn on the same vectors, and whether temperatures help on records never seen.

    python benchmarks/training/heads.py --text-model MINILM [--keep benchmarks/results/heads.json]

Ten draws of 300 records: question types (TREC), product photographs (DeiT-Tiny), emotions with several labels a text
(the six commonest of GoEmotions). Every draw is `classtoken train SOURCE --model MODEL --out DIR`; scikit-learn chooses
C among as many values by as many folds, on standardised vectors, and is fitted again on everything, for the
first three. Judged on 500 others (400 photographs); ECE in 15 bins. Results are added to FILE one by one, so that it
can be stopped.
"""

import argparse
import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import classtoken as ct
from classtoken.learning.folder.record import machine
from classtoken.learning.judge import calibration_error
from classtoken.learning.ways.logistic import GRID
from classtoken.readout.saved import read_saved

DATA = Path(__file__).resolve().parents[3] / "shared"
DRAWS, BESIDE, LEARNED = 10, 3, 300
EMOTIONS = 6
Rows = list[tuple[str, str]]


def trec() -> tuple[Rows, Rows]:
    """Questions with their type."""
    found = []
    for name in ("train", "test"):
        with (DATA / "data/text/trec" / f"{name}.csv").open(encoding="utf-8") as file:
            found.append([(row["text"], row["label"]) for row in csv.DictReader(file)])
    return found[0], found[1]


def emotions() -> tuple[Rows, Rows]:
    """Texts with those of the commonest emotions that they have, `|` between them; those with none are left out."""
    found = []
    for name in ("train", "dev"):
        lines = (DATA / "data/text/goemotions" / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
        found.append([(line.split("\t")[0], line.split("\t")[1].split(",")) for line in lines])
    counts: dict[str, int] = {}
    for _, labels in found[0]:
        for label in labels:
            counts[label] = counts.get(label, 0) + (label != "27")  # 27 is neutral
    common = set(sorted(counts, key=lambda name: -counts[name])[:EMOTIONS])
    kept = [[(text, "|".join(sorted(set(labels) & common))) for text, labels in rows] for rows in found]
    learned, judged = ([row for row in rows if row[1]] for rows in kept)
    return learned, judged[:500]


def photographs() -> tuple[Rows, Rows]:
    """Product photographs by their folder; every fifth draw of 400 judges."""
    paths = sorted((DATA / "data/clothing-dev").rglob("*.jpg"))
    rows = [(str(path), path.parent.name) for path in paths]
    order = np.random.default_rng(99).permutation(len(rows))
    return [rows[i] for i in order[400:]], [rows[i] for i in order[:400]]


def logits_of(folder: Path, vectors: np.ndarray) -> torch.Tensor:
    """The head's, on vectors of the model that it was trained on."""
    saved = read_saved(folder)
    assert saved is not None
    assert saved.head is not None
    with torch.no_grad():
        found: torch.Tensor = saved.head(torch.from_numpy(vectors).float())
    return found


def pooled(model: str, items: list[Any]) -> np.ndarray:
    """What heads read: the pooled states as they are."""
    embedder = ct.load(model)
    return np.asarray(embedder.embed(items, pooling=str(embedder.contract.pooling)))


def score(scores: np.ndarray, targets: torch.Tensor) -> float:
    """Accuracy, or mean average precision with several labels a row."""
    if targets.dim() == 2:
        return float(average_precision_score(targets.numpy(), scores))
    return float((scores.argmax(1) == targets.numpy()).mean())


def theirs(x: np.ndarray, y: np.ndarray, seed: int, test: np.ndarray) -> np.ndarray:
    """Scores of scikit-learn's logistic regression."""
    one = LogisticRegression(max_iter=2000)
    several = y.ndim == 2
    made = make_pipeline(StandardScaler(), OneVsRestClassifier(one) if several else one)
    name = f"{made.steps[-1][0]}__{'estimator__' * several}C"
    measure = "average_precision" if several else "accuracy"
    with threadpool_limits(1):
        found = GridSearchCV(made, {name: list(GRID)}, cv=5, scoring=measure).fit(x, y)
    return np.asarray(found.decision_function(test))


def draw(task: str, model: str, learned: Rows, judged: Rows, vectors: np.ndarray, seed: int) -> dict[str, Any]:
    """One training and its figures on the records that judge."""
    chosen = np.random.default_rng(seed).choice(len(learned), LEARNED, replace=False)
    rows, image = [learned[i] for i in chosen], task == "photographs"
    with tempfile.TemporaryDirectory() as scratch:
        source, out = Path(scratch) / "rows.csv", Path(scratch) / "model"
        with source.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("image" if image else "text", "label"), *rows])
        result = ct.train(model, source, out, seed=seed)
        number = {name: i for i, name in enumerate(result.labels)}
        several = result.task == "multilabel"
        logits = logits_of(out, vectors)
    targets, y = (labels_of([label for _, label in part], number, several) for part in (judged, rows))
    kind = "multi" if several else "single"
    found = {
        "score": score(logits.numpy(), targets),
        "said": result.scores["mean_average_precision" if several else "accuracy"],
        "temperature": result.temperature,
        "before": calibration_error(logits, targets, kind),  # type: ignore[arg-type]
        "after": calibration_error(logits / result.temperature, targets, kind),  # type: ignore[arg-type]
    }
    if seed < BESIDE:
        x = pooled(model, [Path(item) if image else item for item, _ in rows])
        found["theirs"] = score(theirs(x, y.numpy(), seed, vectors), targets)
    return found


def labels_of(names: list[str], number: dict[str, int], several: bool) -> torch.Tensor:
    """Labels as `train` numbers them."""
    if not several:
        return torch.tensor([number[name] for name in names])
    found = torch.zeros(len(names), len(number))
    for row, name in enumerate(names):
        for label in name.split("|"):
            found[row, number[label]] = 1.0
    return found


def summary(draws: list[dict[str, Any]]) -> dict[str, Any]:
    """Over all draws so far."""
    beside = [one["score"] - one["theirs"] for one in draws if "theirs" in one]
    return {
        "draws": len(draws),
        "mean score": float(np.mean([one["score"] for one in draws])),
        "ours minus scikit-learn's": beside,
        "calibration error not above before": sum(one["after"] <= one["before"] + 1e-12 for one in draws),
        "mean error before": float(np.mean([one["before"] for one in draws])),
        "mean error after": float(np.mean([one["after"] for one in draws])),
        "said minus score": float(np.mean([one["said"] - one["score"] for one in draws])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text-model", required=True, help="a folder with all-MiniLM-L6-v2")
    parser.add_argument("--keep", type=Path, default=Path("bench-results/heads.json"))
    given = parser.parse_args()
    kept: dict[str, Any] = json.loads(given.keep.read_text()) if given.keep.is_file() else {"tasks": {}}
    kept["machine"] = machine("cpu")
    tasks = {"questions": trec, "emotions": emotions, "photographs": photographs}
    for task, read in tasks.items():
        learned, judged = read()
        model = str(DATA / "models/deit-tiny-patch16-224") if task == "photographs" else given.text_model
        items = [Path(item) if task == "photographs" else item for item, _ in judged]
        vectors = pooled(model, items)
        entry = kept["tasks"].setdefault(task, {"draws": []})
        for seed in range(len(entry["draws"]), DRAWS):
            entry["draws"].append(draw(task, model, learned, judged, vectors, seed))
            entry["summary"] = summary(entry["draws"])
            given.keep.parent.mkdir(parents=True, exist_ok=True)
            given.keep.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
            print(task, seed, entry["draws"][-1], flush=True)


if __name__ == "__main__":
    main()
