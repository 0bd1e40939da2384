"""Golden files for open_clip's checkpoints: tiny random CLIP and SigLIP models, and what open_clip computes with them.

Run in an environment of its own, which needs no torchvision:

    python3 -m venv timm-env
    timm-env/bin/pip install torch==2.13.0 numpy pyyaml safetensors huggingface_hub ftfy regex tqdm pillow
    timm-env/bin/pip install --no-deps timm open_clip_torch
    timm-env/bin/python tools/make_open_clip_goldens.py tests/golden/open_clip

Each folder holds open_clip_config.json and open_clip_model.safetensors as open_clip writes them, golden.safetensors
(pixels, ids, the vectors of both sides before unit length, the states of the text side) and golden.json (versions).
"""

import argparse
import platform
from functools import partial
from pathlib import Path
from typing import Any

import without_torchvision  # noqa: F401  (must come before timm)

# isort: split
import open_clip
import timm
import torch
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.push_to_hf_hub import save_config_for_hf
from safetensors.torch import save_file
from timm.layers import LayerNorm
from timm.models import register_model
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer

from classtoken.plain import to_json

END = 48
"""the highest id: open_clip's CLIP finds the end token as the largest one"""


@register_model
def vit_tiny_patch4_siglip_16(pretrained: bool = False, **options: Any) -> VisionTransformer:
    """A SigLIP trunk small enough to keep; open_clip asks timm for its trunk by name."""
    options = {k: v for k, v in options.items() if k not in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir")}
    sizes = {"img_size": 16, "patch_size": 4, "embed_dim": 64, "depth": 1, "num_heads": 1, "mlp_ratio": 2}
    return VisionTransformer(**{**sizes, "class_token": False, "global_pool": "map", **options})


@register_model
def vit_pe_core_tiny_patch4_16(pretrained: bool = False, **options: Any) -> Eva:
    """A Perception Encoder small enough to keep."""
    options = {k: v for k, v in options.items() if k not in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir")}
    sizes = {"img_size": 16, "patch_size": 4, "embed_dim": 64, "depth": 1, "num_heads": 1, "mlp_ratio": 2}
    rotary = {"ref_feat_shape": (32, 32), "rope_grid_offset": 1.0, "rope_grid_indexing": "xy", "use_rot_pos_emb": True}
    norms = {"use_pre_transformer_norm": True, "norm_layer": partial(LayerNorm, eps=1e-5)}
    pool = {"global_pool": "map", "attn_type": "rope", "attn_pool_num_heads": 8, "attn_pool_mlp_ratio": 4.0}
    return Eva(**{**sizes, **rotary, **norms, **pool, **options})


TEXT = {"context_length": 10, "vocab_size": 49, "width": 16, "heads": 2, "layers": 2}
VISION = {"image_size": 16, "layers": 2, "width": 16, "head_width": 8, "patch_size": 4}
MODELS: dict[str, dict[str, Any]] = {
    "clip": {"embed_dim": 12, "vision_cfg": VISION, "text_cfg": TEXT},
    "clip_quick_gelu_custom_text": {
        "embed_dim": 12,
        "quick_gelu": True,
        "custom_text": True,
        "vision_cfg": {**VISION, "ls_init_value": 0.1, "mlp_ratio": 3},
        "text_cfg": TEXT,
    },
    "clip_bidirectional": {
        "embed_dim": 12,
        "custom_text": True,
        "vision_cfg": VISION,
        "text_cfg": {**TEXT, "no_causal_mask": True},
    },
    "clipa": {
        "embed_dim": 12,
        "custom_text": True,
        "vision_cfg": {**VISION, "no_ln_pre": True, "pool_type": "avg", "final_ln_after_pool": True},
        "text_cfg": {**TEXT, "no_causal_mask": True, "pool_type": "last"},
    },
    "mean_of_normed_patches": {
        "embed_dim": 12,
        "vision_cfg": {**VISION, "pool_type": "avg"},
        "text_cfg": TEXT,
    },
    "last_without_projection": {
        "embed_dim": 16,
        "custom_text": True,
        "vision_cfg": VISION,
        "text_cfg": {**TEXT, "pool_type": "last", "no_causal_mask": True, "proj_type": "none"},
    },
    "perception_encoder": {
        "embed_dim": 24,
        "custom_text": True,
        "vision_cfg": {
            "image_size": 16,
            "timm_model_name": "vit_pe_core_tiny_patch4_16",
            "timm_model_pretrained": False,
            "timm_pool": "map",
            "timm_proj": None,
        },
        "text_cfg": TEXT,
    },
    "siglip": {
        "embed_dim": 64,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {
            "image_size": 16,
            "timm_model_name": "vit_tiny_patch4_siglip_16",
            "timm_model_pretrained": False,
            "timm_pool": "map",
            "timm_proj": "none",
        },
        "text_cfg": {
            **TEXT,
            "no_causal_mask": True,
            "proj_bias": True,
            "pool_type": "last",
            "norm_kwargs": {"eps": 1e-6},
            "act_kwargs": {"approximate": "tanh"},
        },
    },
}


def texts(rows: int = 3) -> torch.Tensor:
    """Ids with the end token at different places, zeros behind it."""
    ids = torch.randint(1, END, (rows, TEXT["context_length"]))
    for row, length in enumerate((10, 6, 4)):
        ids[row, length - 1] = END
        ids[row, length:] = 0
    return ids


@torch.no_grad()
def make(name: str, config: dict[str, Any], folder: Path) -> None:
    """One golden: no weight is left at its initial value."""
    torch.manual_seed(0)
    build = CustomTextCLIP if config.get("custom_text") else CLIP
    model = build(**{k: v for k, v in config.items() if k != "custom_text"}).eval()
    for parameter in model.parameters():
        noise = torch.randn_like(parameter)
        parameter.copy_(noise * 0.3 if parameter.dim() > 1 else parameter + noise * 0.1)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    open_clip.model.set_model_preprocess_cfg(
        model, {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
    )
    save_config_for_hf(model, folder / "open_clip_config.json", config)
    pixels, ids = torch.randn(2, 3, 16, 16), texts()
    golden = {"pixels": pixels, "ids": ids, "image": model.encode_image(pixels), "text": model.encode_text(ids)}
    save_file({k: v.contiguous() for k, v in golden.items()}, folder / "golden.safetensors")
    versions = {
        "open_clip": open_clip.__version__,
        "timm": timm.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    about = {"made_by": "tools/make_open_clip_goldens.py", "model": name, "versions": versions}
    (folder / "golden.json").write_text(to_json(about, indent=2) + "\n")


def main() -> None:
    """Write all of them below the folder that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    for name, config in MODELS.items():
        make(name, config, out / name)
        print(out / name)


if __name__ == "__main__":
    main()
