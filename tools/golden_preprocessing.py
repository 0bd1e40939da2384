"""Write tests/tokens/golden/preprocessing.npz: what timm, open_clip and torchvision make of small images.

These packages are no dependency of the project, and the torchvision of the package index does not import beside a CPU
build of torch; two of its operators have to be announced first, which this script does. Run it from the root with

    pip install --no-deps --target DIR timm open_clip_torch torchvision ftfy wcwidth
    PYTHONPATH=DIR .venv/bin/python tools/golden_preprocessing.py
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from PIL import Image

OUT = Path(__file__).resolve().parent.parent / "tests" / "tokens" / "golden" / "preprocessing.npz"
SIZES = [(30, 41), (37, 22), (12, 12), (9, 33)]
COLOURS = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]}
TIMM = [
    {"input_size": [3, *size], "crop_pct": part, "crop_mode": mode, "interpolation": interpolation, **COLOURS}
    for size, part, interpolation in [
        ((12, 12), 0.9, "bicubic"),
        ((13, 13), 1.0, "bilinear"),
        ((8, 14), 0.875, "bicubic"),
    ]
    for mode in ("center", "squash", "border")
]
OPEN_CLIP = [
    {"size": size, "resize_mode": mode, "interpolation": interpolation, "fill_color": 3, **COLOURS}
    for size in (12, [8, 14])
    for mode, interpolation in [("shortest", "bilinear"), ("squash", "bilinear"), ("longest", "bicubic")]
]
DINOV3 = [{"image_processor_type": "DINOv3ViTImageProcessor", "size": {"height": 12, "width": 14}}]


def announce_operators() -> torch.library.Library:
    """torchvision registers shapes for two compiled operators when it is imported; nothing here calls them."""
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    return library


def main() -> None:
    """Make every output, and write it with its input, settings and the versions."""
    kept = announce_operators()
    from open_clip.transform import image_transform
    from timm.data.config import resolve_data_config
    from timm.data.transforms_factory import create_transform
    from transformers.models.dinov3_vit.image_processing_dinov3_vit import DINOv3ViTImageProcessor

    rng = np.random.default_rng(0)
    arrays = {f"image{n}": rng.integers(0, 256, (*size, 3), dtype=np.uint8) for n, size in enumerate(SIZES)}
    images = [Image.fromarray(array) for array in arrays.values()]
    cases = []
    for kind, many in {"timm": TIMM, "open_clip": OPEN_CLIP, "transformers": DINOV3}.items():
        for settings in many:
            if kind == "timm":
                resolved = resolve_data_config({}, pretrained_cfg=settings, verbose=False)
                transform = create_transform(**resolved, is_training=False)
            elif kind == "open_clip":
                rest = {("image_size" if key == "size" else key): value for key, value in settings.items()}
                transform = image_transform(is_train=False, **rest)
            else:
                processor = DINOv3ViTImageProcessor(size=settings["size"])
                transform = lambda image, of=processor: of(image, return_tensors="pt").pixel_values[0]  # noqa: E731
            for n, image in enumerate(images):
                arrays[f"case{len(cases)}"] = transform(image).numpy()
                cases.append({"kind": kind, "settings": settings, "image": n})
    versions = {
        name: version(name) for name in ("timm", "open_clip_torch", "torchvision", "torch", "transformers", "pillow")
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(OUT, about=np.array(json.dumps({"versions": versions, "cases": cases})), **arrays)
    print(f"{OUT}: {len(cases)} cases, {OUT.stat().st_size:,} bytes, {versions}, {kept}")


if __name__ == "__main__":
    main()
