"""What transformers' two ways of preparing pictures differ by, and which of them this package computes.

    pip install --no-deps --target DIR torchvision
    PYTHONPATH=DIR python benchmarks/preprocessing.py PICTURES --model MODEL [--keep FILE]

Where torchvision is installed, transformers resizes with it, on tensors; elsewhere with Pillow (`backend="pil"` asks
for Pillow everywhere). Each picture is prepared by both and by this package, as MODEL's own folder says and with the
settings of other usual processors. Differences of pixels are in steps of 255. Then MODEL's vectors of both, through the
same weights. It prints the figures of docs/coming-from.md.
"""

import argparse
import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import classtoken as ct
from classtoken.plain import to_json
from classtoken.tokens.decode import decode
from classtoken.tokens.pixels import Pixels, prepare
from classtoken.tokens.recipe_files import read_recipe

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from golden_preprocessing import announce_operators

RESIZED = {"do_resize": True, "do_rescale": True, "do_normalize": True}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
SIDE = {"height": 224, "width": 224}
#: Settings in whose place many checkpoints have nothing else.
USUAL: dict[str, dict[str, Any]] = {
    "ViT": {"image_processor_type": "ViTImageProcessor", "size": SIDE, "resample": 2, **RESIZED, **HALF},
    "CLIP": {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": 224},
        "crop_size": SIDE,
        "do_center_crop": True,
        "resample": 3,
        **RESIZED,
        **HALF,
    },
}


def both(settings: dict[str, Any], image: Image.Image) -> dict[str, np.ndarray]:
    """One picture by torchvision and by Pillow, (3, height, width)."""
    from transformers import AutoImageProcessor

    found = {}
    for backend in ("torchvision", "pil"):
        kind = settings["image_processor_type"].removesuffix("Fast")
        made = AutoImageProcessor.from_pretrained(folder_of(settings), backend=backend)
        assert type(made).__name__.startswith(kind), (type(made), kind)
        found[backend] = np.asarray(made(image, return_tensors="np")["pixel_values"][0])
    return found


def folder_of(settings: dict[str, Any]) -> Path:
    """A folder with these settings and nothing else."""
    folder = Path(tempfile.mkdtemp())
    (folder / "preprocessor_config.json").write_text(to_json(settings))
    return folder


def compared(settings: dict[str, Any], paths: list[Path]) -> tuple[dict[str, Any], dict[str, list[np.ndarray]]]:
    """Figures over pictures, and the prepared pictures."""
    recipe = read_recipe(folder_of(settings))
    scale = 255 * np.array(settings["image_std"], np.float64)[:, None, None]
    kept: dict[str, list[np.ndarray]] = {"torchvision": [], "pil": []}
    steps, same = [], True
    for path in paths:
        image = decode(path)
        found = both(settings, image)
        same &= bool(np.array_equal(found["pil"], prepare(image, recipe).values))
        steps.append(np.abs(found["torchvision"] - found["pil"]) * scale)
        for name, values in found.items():
            kept[name].append(values)
    return {
        "pixels that differ": float(np.mean([(one > 0.5).mean() for one in steps])),
        "largest, steps of 255": round(float(max(one.max() for one in steps))),
        "ours is Pillow's to the bit": same,
    }, kept


def main() -> None:
    """Measure, print, and keep."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("pictures", type=Path)
    asked.add_argument("--model", type=Path, required=True)
    asked.add_argument("--keep", type=Path)
    options = asked.parse_args()
    announced = announce_operators()
    paths = sorted(path for path in options.pictures.rglob("*") if path.suffix in (".jpg", ".png"))
    own = json.loads((options.model / "preprocessor_config.json").read_text())
    rows, kept = {}, {}
    for name, settings in {options.model.name: own, **USUAL}.items():
        rows[name], kept[name] = compared(settings, paths)
    embedder = ct.load(str(options.model))
    rows[options.model.name] |= beside(embedder, kept[options.model.name])
    names = ("torchvision", "transformers", "pillow", "torch")
    report = {"pictures": len(paths), "rows": rows, "versions": {name: version(name) for name in names}}
    print(json.dumps(report, indent=2))
    if options.keep:
        options.keep.write_text(to_json(report, indent=2) + "\n")
    del announced


def beside(embedder: ct.Embedder, kept: dict[str, list[np.ndarray]]) -> dict[str, Any]:
    """Cosines of the vectors of both ways, and how many first answers are others."""
    vectors, answers = [], []
    for pictures in kept.values():
        tokens = embedder.tower().prepare.collate([Pixels(values) for values in pictures])
        (found,) = embedder.vectors_of(tokens).values()
        vectors.append(found / np.linalg.norm(found, axis=-1, keepdims=True))
        answers.append(embedder.answers_of(tokens)[0].argmax(-1))
    cosines = (vectors[0] * vectors[1]).sum(-1)
    return {
        "cosine": {"mean": float(cosines.mean()), "least": float(cosines.min())},
        "other answers": int((answers[0] != answers[1]).sum()),
    }


if __name__ == "__main__":
    main()
