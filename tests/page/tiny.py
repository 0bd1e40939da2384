"""Small checkpoints of kinds that the package ships none of, written by transformers, and drawn pictures in files.

With registers or a distillation token; without a class token: read by a learned query (SigLIP; SigLIP 2, whose pictures
have each a grid of its own), as the mean or the largest number of all tokens, or from the last token of a causal model.
"""

import json
from pathlib import Path

import torch
import transformers as hf
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers

from classtoken import drawn as scenes

SIZES = {"image_size": 32, "patch_size": 8, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3}
WORDS = """<pad> <unk> the cat sat on window sill a dog film is and wonderful . ,""".split()  # noqa: SIM905
SENTENCES = ["the cat sat on the window sill , and a dog", "a wonderful film ."]
PICTURES = ("distilled", "grids", "query", "registers")
TEXTS = ("last", "largest", "mean")
"""what each small model of texts reads its vector from"""


def written(name: str, folder: Path) -> Path:
    """One of `PICTURES` (DeiT with its teacher's head, SigLIP 2, SigLIP, DINOv2 with three registers) or `TEXTS` (Qwen3
    and T5). No weight as it began."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = _pictures(name) if name in PICTURES else _texts(name)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(folder)
    if name in PICTURES:
        _picture_settings(name, folder)
    else:
        _text_settings(name, folder)
    return folder


def _pictures(name: str) -> hf.PreTrainedModel:
    if name == "distilled":
        config: hf.PretrainedConfig = hf.DeiTConfig(**SIZES, intermediate_size=48, num_labels=5)
        return hf.DeiTForImageClassificationWithTeacher(config)
    if name == "query":
        return hf.SiglipVisionModel(hf.SiglipVisionConfig(**SIZES, intermediate_size=48))
    if name == "grids":
        sizes = {size: value for size, value in SIZES.items() if size != "image_size"}
        return hf.Siglip2VisionModel(hf.Siglip2VisionConfig(**sizes, intermediate_size=48, num_patches=25))
    registered = hf.Dinov2WithRegistersConfig(**SIZES, num_register_tokens=3, num_labels=5)
    return hf.Dinov2WithRegistersForImageClassification(registered)


def _texts(name: str) -> hf.PreTrainedModel:
    if name == "last":
        sizes = {"hidden_size": 24, "num_hidden_layers": 3, "intermediate_size": 48, "vocab_size": len(WORDS)}
        return hf.Qwen3Model(hf.Qwen3Config(num_attention_heads=4, num_key_value_heads=2, head_dim=8, **sizes))
    sizes = {"d_model": 24, "d_kv": 8, "d_ff": 48, "num_layers": 3, "num_heads": 3, "vocab_size": len(WORDS)}
    return hf.T5EncoderModel(hf.T5Config(**sizes))


def _picture_settings(name: str, folder: Path) -> None:
    preprocessing: dict[str, object] = {
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
    if name == "grids":
        del preprocessing["size"]
        preprocessing |= {"image_processor_type": "Siglip2ImageProcessor", "patch_size": 8, "max_num_patches": 20}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing), encoding="utf-8")


def _text_settings(name: str, folder: Path) -> None:
    """A tokenizer of whole words that adds nothing, and sentence-transformers' files that say how to pool."""
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"pad_token": "<pad>", "unk_token": "<unk>"}
    fast = hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=32, **names)
    fast.save_pretrained(folder)
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 24, "pooling_mode": {"last": "lasttoken", "largest": "max"}.get(name, name)}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling), encoding="utf-8")


def drawn(label: str, path: Path) -> Path:
    """A drawn scene with that animal alone, as a file."""
    scene = next(s for i in range(400) if (s := scenes.draw(3, i)).labels == (label,))
    Image.fromarray(scene.image).save(path)
    return path
