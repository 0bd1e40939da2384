"""Golden checkpoints of timm and open_clip: written by them, and what they compute, made once by `tools/`."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from classtoken.encoder.shape import ImageStem
from classtoken.tensors import Tokens

GOLDEN = Path(__file__).resolve().parent.parent / "golden"


def golden(kind: str, name: str) -> dict[str, Tensor]:
    """The golden tensors of a folder; a folder that is missing or says nothing of its origin fails."""
    folder = GOLDEN / kind / name
    about = json.loads((folder / "golden.json").read_text())
    assert about["made_by"] == f"tools/make_{kind}_goldens.py"
    assert about["versions"]["torch"]
    return load_file(folder / "golden.safetensors")


def image_batch(stem: ImageStem, pixels: Tensor) -> Tokens:
    """Pixels with the roles of the layout for their size."""
    grid = (pixels.shape[2] // stem.patch, pixels.shape[3] // stem.patch)
    roles = torch.tensor([int(role) for role in stem.layout(grid).roles()])
    return Tokens(roles.expand(len(pixels), -1), pixels=pixels, grid=grid)
