"""Small checkpoints with registers and distillation tokens, written by transformers, and drawn pictures in files."""

import json
from pathlib import Path

import torch
import transformers as hf
from PIL import Image

from classtoken import drawn as scenes

SIZES = {"image_size": 32, "patch_size": 8, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3}


def written(name: str, folder: Path) -> Path:
    """`distilled`: DeiT with its teacher's head; `registers`: DINOv2 with three registers. No weight as it began."""
    if name == "distilled":
        config: hf.PretrainedConfig = hf.DeiTConfig(**SIZES, intermediate_size=48, num_labels=5)
        model: hf.PreTrainedModel = hf.DeiTForImageClassificationWithTeacher(config)
    else:
        config = hf.Dinov2WithRegistersConfig(**SIZES, num_register_tokens=3, num_labels=5)
        model = hf.Dinov2WithRegistersForImageClassification(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(folder)
    preprocessing = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": 32, "width": 32},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing), encoding="utf-8")
    return folder


def drawn(label: str, path: Path) -> Path:
    """A drawn scene with that animal alone, as a file."""
    scene = next(s for i in range(400) if (s := scenes.draw(3, i)).labels == (label,))
    Image.fromarray(scene.image).save(path)
    return path
