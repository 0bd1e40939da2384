"""How many records look like none of a model's labels: garments that it has not seen, and photographs of other things.

    python benchmarks/training/typical.py [--data ../shared/data] [--seed 0] [--keep RESULT.json]

A linear head on the vectors of DeiT-Tiny learns from 400 photographs of clothing-dev, drawn from a seed, a fifth of
them held out. Counted is how many of 300 others, and of imagenet-samples, have `typical` of at most 0.05; of new
garments one in twenty would.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np

import classtoken as ct
from classtoken.measure.statistics import exact
from classtoken.results.predict import UNLIKE

ROOT = Path(__file__).resolve().parents[2]
LEARNED, OTHERS = 400, 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    files = sorted((given.data / "clothing-dev").glob("*/*.jpg"))
    order = np.random.default_rng(given.seed).permutation(len(files)).tolist()
    with tempfile.TemporaryDirectory() as folder:
        learned = Path(folder) / "learned"
        for place in order[:LEARNED]:
            (learned / files[place].parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(files[place], learned / files[place].parent.name / files[place].name)
        ct.train(given.data.parent / "models/deit-tiny-patch16-224", learned, Path(folder) / "model", held_out=0.2)
        model = ct.load(Path(folder) / "model")
    asked = {
        "garments not seen": [files[place] for place in order[LEARNED : LEARNED + OTHERS]],
        "other things": sorted((given.data / "imagenet-samples").glob("*.jpg")),
    }
    result = {}
    for name, some in asked.items():
        unlike = int((model.typical(some) <= UNLIKE).sum())
        share = exact(unlike, len(some))
        result[name] = {"unlike": unlike, "of": len(some), "low": share.low, "high": share.high}
    text = json.dumps({"learned": LEARNED, "seed": given.seed, "at_most": UNLIKE, **result}, indent=1)
    print(text)
    if given.keep:
        given.keep.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
