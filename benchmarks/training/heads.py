"""Heads on frozen vectors beside scikit-learn on the same vectors, and whether temperatures help on records never seen.

    python benchmarks/training/heads.py --text-model MINILM [--only TASK ...] [--keep benchmarks/results/heads]

Twelve draws of 300 records: question types (TREC), product photographs (DeiT-Tiny), emotions with several labels a text
(the six commonest of GoEmotions). The first three are `classtoken train SOURCE --model MODEL --out DIR`, the others
what that does with the vectors, which are computed once; the first three say whether both give the same. scikit-learn
chooses C among as many values by as many folds, on standardised vectors, and is fitted again on everything. Judged on
500 others (400 photographs); ECE in 15 bins. The difference is paired: its interval is over draws of what is learned
from, for these records that judge. Results are added to a file a task, one by one, so that it can be stopped; it ends
with the table of docs/trust.md.
"""

import argparse
import csv
import json
import tempfile
from dataclasses import dataclass
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
from classtoken.learning.data.labels import labelling
from classtoken.learning.data.split import divide
from classtoken.learning.folder.record import machine
from classtoken.learning.judge import calibration_error, fit_temperature
from classtoken.learning.ways.logistic import GRID, FitTask, fit_logistic, logistic_head
from classtoken.measure.statistics import mean_interval
from classtoken.plain import to_json
from classtoken.readout.saved import read_saved
from classtoken.values import Content, Record

DATA = Path(__file__).resolve().parents[3] / "shared"
DRAWS, COMMANDS, LEARNED = 12, 3, 300
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


@dataclass(frozen=True)
class Task:
    """Records that are learned from and that judge, with the vectors of those that any draw takes."""

    name: str
    model: str
    learned: Rows
    judged: Rows
    vectors: dict[int, np.ndarray]
    test: np.ndarray

    @classmethod
    def read(cls, name: str, text_model: str, kept: Path) -> "Task":
        """Vectors are computed once and kept beside the results."""
        learned, judged = {"questions": trec, "emotions": emotions, "photographs": photographs}[name]()
        image = name == "photographs"
        model = str(DATA / "models/deit-tiny-patch16-224") if image else text_model
        used = sorted({row for seed in range(DRAWS) for row in rows_of(learned, seed)})
        path = kept / f"{name}.npz"
        if not path.is_file():
            items: list[Any] = [learned[row][0] for row in used] + [item for item, _ in judged]
            found = pooled(model, [Path(item) for item in items] if image else items)
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, learned=found[: len(used)], judged=found[len(used) :])
        held = np.load(path)
        return cls(name, model, learned, judged, dict(zip(used, held["learned"], strict=True)), held["judged"])


def rows_of(learned: Rows, seed: int) -> list[int]:
    """The records of one draw."""
    found: list[int] = np.random.default_rng(seed).choice(len(learned), LEARNED, replace=False).tolist()
    return found


def by_command(task: Task, rows: Rows, seed: int) -> dict[str, Any]:
    """What `classtoken train` leaves."""
    with tempfile.TemporaryDirectory() as scratch:
        source, out = Path(scratch) / "rows.csv", Path(scratch) / "model"
        with source.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("image" if task.name == "photographs" else "text", "label"), *rows])
        result = ct.train(task.model, source, out, seed=seed)
        said = result.scores["mean_average_precision" if result.task == "multilabel" else "accuracy"]
        return {"logits": logits_of(out, task.test), "temperature": result.temperature, "said": said}


def by_vectors(x: np.ndarray, records: list[Record], seed: int) -> dict[str, Any]:
    """The same head and temperature from vectors: chosen and fitted on all rows, the temperature out of fold."""
    known, groups = labelling(records), divide(records, 0.1, seed).units
    y, several = known.targets.numpy(), known.several
    fitting = FitTask(several, False, seed, len(known.labels), rows=len(x))
    head, setting, _ = fit_logistic(x, y, fitting, groups=groups)
    parts = []
    for learned, judged in fitting.folds(y, groups):
        with torch.no_grad():
            parts.append((logistic_head(x[learned], y[learned], fitting, setting)(torch.from_numpy(x[judged])), judged))
    order = np.concatenate([judged for _, judged in parts])
    shipped, targets = torch.cat([logits for logits, _ in parts]), torch.from_numpy(y[order])
    return {"head": head, "temperature": fit_temperature(shipped.float(), targets, "multi" if several else "single")}


def draw(task: Task, seed: int) -> dict[str, Any]:
    """One training and its figures on the records that judge."""
    chosen = rows_of(task.learned, seed)
    rows, x = [task.learned[row] for row in chosen], np.stack([task.vectors[row] for row in chosen]).astype(np.float32)
    several = task.name == "emotions"
    records = [
        Record(str(i), label=tuple(label.split("|")) if several else label, content=Content(item.encode()))
        for i, (item, label) in enumerate(rows)
    ]
    known = labelling(records)
    number = {name: i for i, name in enumerate(known.labels)}
    targets = labels_of([label for _, label in task.judged], number, known.several)
    made = by_vectors(x, records, seed)
    with torch.no_grad():
        logits = made["head"](torch.from_numpy(task.test).float())
    found: dict[str, Any] = {}
    if seed < COMMANDS:
        command = by_command(task, rows, seed)
        found["said"] = command["said"]
        same = torch.allclose(logits, command["logits"], atol=1e-3)
        found["as by command"] = bool(same and abs(made["temperature"] / command["temperature"] - 1) < 1e-3)
        logits, made["temperature"] = command["logits"], command["temperature"]
    kind: Any = "multi" if known.several else "single"
    return found | {
        "score": score(logits.numpy(), targets),
        "theirs": score(theirs(x, known.targets.numpy(), seed, task.test), targets),
        "temperature": made["temperature"],
        "before": calibration_error(logits, targets, kind),
        "after": calibration_error(logits / made["temperature"], targets, kind),
    }


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
    apart = [one["score"] - one["theirs"] for one in draws]
    found = mean_interval(apart) if len(draws) > 1 else None
    return {
        "draws": len(draws),
        "mean score": float(np.mean([one["score"] for one in draws])),
        "theirs": float(np.mean([one["theirs"] for one in draws])),
        "difference": None if found is None or not found.known else [found.estimate, found.low, found.high],
        "calibration error not above before": sum(one["after"] <= one["before"] + 1e-12 for one in draws),
        "mean error before": float(np.mean([one["before"] for one in draws])),
        "mean error after": float(np.mean([one["after"] for one in draws])),
    }


def table(kept: Path) -> str:
    """The rows of docs/trust.md."""
    lines = []
    for name in ("questions", "emotions", "photographs"):
        path = kept / f"{name}.json"
        found = json.loads(path.read_text())["summary"] if path.is_file() else {}
        if found.get("difference"):
            gap, low, high = (100 * value for value in found["difference"])
            cells = [
                name,
                f"{found['mean score']:.3f}",
                f"{found['theirs']:.3f}",
                f"{gap:+.1f} [{low:+.1f}, {high:+.1f}]",
                f"{found['mean error before']:.3f}",
                f"{found['mean error after']:.3f}",
                f"{found['calibration error not above before']} of {found['draws']}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text-model", required=True, help="a folder with all-MiniLM-L6-v2")
    parser.add_argument("--only", nargs="*", default=["questions", "emotions", "photographs"])
    parser.add_argument("--keep", type=Path, default=Path("bench-results/heads"))
    parser.add_argument("--vectors", type=Path, default=Path("bench-results/heads"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.only:
        path = given.keep / f"{name}.json"
        kept: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"draws": []}
        task = Task.read(name, given.text_model, given.vectors)
        for seed in range(len(kept["draws"]), DRAWS):
            kept["draws"].append(draw(task, seed))
            kept |= {"summary": summary(kept["draws"]), "machine": machine("cpu")}
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(to_json(kept, indent=1) + "\n", encoding="utf-8")
            print(name, seed, kept["draws"][-1], flush=True)
    print(table(given.keep))


if __name__ == "__main__":
    main()
