"""What timm's architectures are by name alone: tests/golden/timm_names.json, which the rows are held against.

Run in the environment of `make_timm_goldens.py`:

    timm-env/bin/python tools/make_timm_names.py tests/golden/timm_names.json

Every architecture that a row takes is built without its weights; written down is what neither config.json nor the
weights of a published folder tell.
"""

import argparse
from pathlib import Path
from typing import Any

import without_torchvision  # noqa: F401  (must come before timm)

# isort: split
import timm
import torch

from classtoken.encoder.families.timm_table import timm_family
from classtoken.errors import UnsupportedModel
from classtoken.plain import to_json

ACTIVATIONS = {"GELU": "gelu", "GELUTanh": "gelu_tanh", "QuickGELU": "quick_gelu", "SiLU": "silu"}


def taken(architecture: str) -> bool:
    try:
        timm_family({"architecture": architecture})
    except UnsupportedModel:
        return False
    return True


def described(model: Any) -> dict[str, Any]:
    block, pool, rope = model.blocks[0], getattr(model, "attn_pool", None), getattr(model, "rope", None)
    found = {
        "hidden_size": model.embed_dim,
        "heads": block.attn.num_heads,
        "norm_eps": block.norm1.eps,
        "activation": ACTIVATIONS[type(block.mlp.act).__name__],
        "pool": model.global_pool,
    }
    if pool is not None:
        found |= {"pool_heads": pool.num_heads, "pool_activation": ACTIVATIONS[type(pool.mlp.act).__name__]}
    if getattr(rope, "ref_feat_shape", None) is not None:
        found |= {"reference": list(rope.ref_feat_shape), "offset": rope.grid_offset, "order": rope.grid_indexing}
    if rope is not None:
        found |= {"base": rope.temperature, "rotates_half": rope.rotate_half}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    names = {}
    for architecture in filter(taken, timm.list_models("*")):
        with torch.device("meta"):
            names[architecture] = described(timm.create_model(architecture, pretrained=False))
    lines = [f"  {to_json(name)}: {to_json(about)}" for name, about in sorted(names.items())]
    parser.parse_args().file.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
