"""Golden files for timm's checkpoints: tiny random models written by timm itself, and what timm computes with them.

Run in an environment of its own, which needs no torchvision:

    python3 -m venv timm-env
    timm-env/bin/pip install torch==2.13.0 numpy pyyaml safetensors huggingface_hub
    timm-env/bin/pip install --no-deps timm
    timm-env/bin/python tools/make_timm_goldens.py tests/golden/timm

Each folder holds config.json and model.safetensors as timm writes them, golden.safetensors (pixels, states, pooled,
logits; `other.*` for images of another size) and golden.json (versions).
"""

import argparse
import platform
from pathlib import Path
from typing import Any

import without_torchvision  # noqa: F401  (must come before timm)

# isort: split
import timm
import torch
from safetensors.torch import save_file
from timm.models import save_for_hf

from classtoken.plain import to_json

TINY = {"img_size": 16, "patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2}
OTHER = (24, 12)
#: Folder -> architecture and arguments; a folder without an architecture of its own is named by it.
MODELS: dict[str, dict[str, Any]] = {
    "vit_tiny_patch16_224": {"num_classes": 5},
    "vit_large_patch16_224": {"num_classes": 5, "global_pool": "avg"},
    "vit_base_patch16_224_miil": {"num_classes": 5, "qkv_bias": False},
    "vit_base_patch16_clip_224": {"num_classes": 5},
    "vit_base_patch16_clip_quickgelu_224": {"num_classes": 0},
    "deit_tiny_patch16_224": {"num_classes": 5},
    "deit_tiny_distilled_patch16_224": {"num_classes": 5},
    "deit3_small_patch16_224": {"num_classes": 5},
    "vit_small_patch14_dinov2": {"num_classes": 0},
    "vit_small_patch14_reg4_dinov2": {"num_classes": 0},
    "vit_giant_patch14_dinov2": {"num_classes": 0, "mlp_ratio": 3},
    "vit_base_patch16_siglip_224": {"num_classes": 0},
    "vit_so400m_patch16_siglip_256": {"num_classes": 5},
    "vit_base_patch16_siglip_gap_224": {"num_classes": 0},
    "vit_small_patch16_dinov3": {"num_classes": 0},
    "vit_base_patch16_dinov3_qkvb": {"num_classes": 5},
    "vit_huge_plus_patch16_dinov3": {"num_classes": 0, "global_pool": "token"},
    "vit_pe_core_base_patch16_224": {"num_classes": 0, "embed_dim": 64, "num_heads": 4},
    "vit_pe_spatial_base_patch16_512": {"num_classes": 0},
    "eva_giant_patch14_224": {"num_classes": 5},
    "eva02_tiny_patch14_224": {"num_classes": 0},
    "eva02_base_patch14_448": {"num_classes": 5},
    # every global_pool with and without a norm behind it
    "max": {"architecture": "vit_tiny_patch16_224", "num_classes": 5, "global_pool": "max"},
    "max_no_fc_norm": {
        "architecture": "vit_tiny_patch16_224",
        "num_classes": 0,
        "global_pool": "max",
        "fc_norm": False,
    },
    "avgmax": {"architecture": "vit_tiny_patch16_224", "num_classes": 5, "global_pool": "avgmax"},
    "avgmax_no_fc_norm": {
        "architecture": "vit_tiny_patch16_224",
        "num_classes": 0,
        "global_pool": "avgmax",
        "fc_norm": False,
    },
    "avg_with_prefix": {
        "architecture": "vit_tiny_patch16_224",
        "num_classes": 5,
        "global_pool": "avg",
        "pool_include_prefix": True,
        "reg_tokens": 2,
    },
    "max_with_prefix": {
        "architecture": "vit_tiny_patch16_224",
        "num_classes": 0,
        "global_pool": "max",
        "pool_include_prefix": True,
        "fc_norm": False,
    },
    "token_fc_norm": {"architecture": "vit_tiny_patch16_224", "num_classes": 5, "fc_norm": True},
    "map_with_class_token": {"architecture": "vit_tiny_patch16_224", "num_classes": 0, "global_pool": "map"},
    "map_with_prefix": {
        "architecture": "vit_tiny_patch16_224",
        "num_classes": 0,
        "global_pool": "map",
        "pool_include_prefix": True,
    },
}


@torch.no_grad()
def make(name: str, arguments: dict[str, Any], folder: Path) -> None:
    """One golden: no weight is left at its initial value."""
    torch.manual_seed(0)
    arguments = {**TINY, **arguments}
    architecture = arguments.pop("architecture", name)
    model = timm.create_model(architecture, **arguments, dynamic_img_size=True).eval()
    for parameter in model.parameters():
        noise = torch.randn_like(parameter)
        parameter.copy_(noise * 0.3 if parameter.dim() > 1 else parameter + noise * 0.1)
    folder.mkdir(parents=True, exist_ok=True)
    save_for_hf(model, str(folder), model_args=arguments, safe_serialization=True)
    golden: dict[str, torch.Tensor] = {}
    for prefix, size in (("", (16, 16)), ("other.", OTHER)):
        pixels = torch.randn(2, 3, *size)
        states = model.forward_features(pixels)
        golden[f"{prefix}pixels"] = pixels
        golden[f"{prefix}states"] = states
        golden[f"{prefix}pooled"] = model.forward_head(states, pre_logits=True)
        if arguments["num_classes"]:
            golden[f"{prefix}logits"] = model(pixels)
    save_file({name: tensor.contiguous() for name, tensor in golden.items()}, folder / "golden.safetensors")
    versions = {"timm": timm.__version__, "torch": torch.__version__, "python": platform.python_version()}
    about = {"made_by": "tools/make_timm_goldens.py", "architecture": architecture, "versions": versions}
    (folder / "golden.json").write_text(to_json(about, indent=2) + "\n")


def main() -> None:
    """Write all of them below the folder that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    for name, arguments in MODELS.items():
        make(name, arguments, out / name)
        print(out / name)


if __name__ == "__main__":
    main()
