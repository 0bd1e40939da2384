"""Small model folders that the reference libraries write, for tests of loading, contracts and embedding."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

TEXT = "[PAD] [UNK] [CLS] [SEP] [MASK] the a cat dog bird sits runs on mat under red blue house and far away ##s"
WORDS = TEXT.split()
SENTENCES = ["the cat sits on a mat", "a dog runs", "the red bird sits under the blue house and far away", "cat"]


def randomise(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """No weight is left at its initial value."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise * 0.3 if parameter.dim() > 1 else parameter + noise * 0.1)
    return model.eval()


def bert_tokenizer(folder: Path, *, longest: int = 32) -> None:
    """A WordPiece tokenizer of a few words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, mask_token="[MASK]", model_max_length=longest, **names)
    fast.save_pretrained(folder)


def tiny_bert(folder: Path, *, head: bool = False, pooler: bool = True) -> Path:
    """BERT of two blocks; with `head` a sequence classifier of three labels."""
    import transformers

    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=32,
        num_labels=3,
    )
    if head:
        model: torch.nn.Module = transformers.BertForSequenceClassification(config)
    else:
        model = transformers.BertModel(config, add_pooling_layer=pooler)
    randomise(model).save_pretrained(folder)  # type: ignore[operator]
    bert_tokenizer(folder)
    return folder


def tiny_vit(folder: Path, *, head: bool = False, pooler: bool = True) -> Path:
    """ViT of two blocks on 32x32 pixels, 4x4 patches; with `head` (and then without a pooler) three labels."""
    import transformers

    config = transformers.ViTConfig(
        image_size=32,
        patch_size=8,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        id2label={0: "cat", 1: "dog", 2: "bird"},
        label2id={"cat": 0, "dog": 1, "bird": 2},
    )
    if head:
        model: torch.nn.Module = transformers.ViTForImageClassification(config)
    else:
        model = transformers.ViTModel(config, add_pooling_layer=pooler)
    randomise(model).save_pretrained(folder)  # type: ignore[operator]
    image_processor(folder)
    return folder


def image_processor(folder: Path, size: int = 32) -> None:
    """A preprocessor file: short side to `size`, centre crop."""
    text = (
        '{"image_processor_type": "ViTImageProcessor", "do_resize": true, "resample": 3, "do_rescale": true, '
        f'"size": {{"height": {size}, "width": {size}}}, "do_normalize": true, '
        '"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'
    )
    (folder / "preprocessor_config.json").write_text(text)


def sentence_transformer(
    folder: Path, *, mode: str = "mean", dense: int = 0, unit: bool = True, prompts: bool = False, pooled: bool = True
) -> Path:
    """A sentence-transformers folder: Transformer, Pooling, if asked Dense and Normalize; written by the library."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    inner = tiny_bert(folder.parent / f"{folder.name}-bert")
    parts: list[torch.nn.Module] = [modules.Transformer(str(inner), max_seq_length=12)]
    parts.append(modules.Pooling(32, pooling_mode=mode, include_prompt=pooled))
    width = 32 * len(mode.split("+"))
    if dense:
        parts.append(modules.Dense(width, dense, activation_function=torch.nn.Tanh()))
    if unit:
        parts.append(modules.Normalize())
    texts = {"query": "the red cat", "document": "a"} if prompts else None
    model = SentenceTransformer(
        modules=parts, device="cpu", prompts=texts, default_prompt_name="query" if prompts else None
    )
    model.save(str(folder), create_model_card=False)
    return folder


def pictures(count: int = 3, size: tuple[int, int] = (40, 36)) -> list[Image.Image]:
    """Pictures of noise."""
    generator = torch.Generator().manual_seed(1)
    shape = (count, *size, 3)
    noise = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8).numpy()
    return [Image.fromarray(array) for array in noise]


COLOURS = {"blue": (30, 40, 220), "green": (30, 200, 40), "red": (220, 40, 30)}


def coloured_squares(folder: Path, count: int = 20) -> Path:
    """`count` small noisy pictures of each of three colours, in a folder by colour."""
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.clip(np.array(colour) + rng.normal(0, 30, (24, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:02d}.png")
    return folder


def tiny_clip(folder: Path) -> Path:
    """CLIP with both sides, small."""
    import transformers

    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    text = {**sizes, "vocab_size": len(WORDS), "max_position_embeddings": 16, "eos_token_id": 3}
    image = {**sizes, "image_size": 32, "patch_size": 8}
    config = transformers.CLIPConfig(text_config=text, vision_config=image, projection_dim=24)
    randomise(transformers.CLIPModel(config)).save_pretrained(folder)  # type: ignore[operator]
    bert_tokenizer(folder)
    image_processor(folder)
    return folder
