"""FAMILIES: every encoder that is read natively. Loader, parity tests and docs go through this one tuple."""

from classtoken.encoder.families import (
    albert,
    beit,
    bert,
    clip,
    clip_vision,
    dino,
    distilbert,
    electra,
    modernbert,
    mpnet,
    nomic,
    qwen,
    roberta,
    t5,
    vit,
)
from classtoken.encoder.families.row import Config, Family

FAMILIES: tuple[Family, ...] = (
    bert.BERT,
    roberta.ROBERTA,
    albert.ALBERT,
    electra.ELECTRA,
    distilbert.DISTILBERT,
    mpnet.MPNET,
    modernbert.MODERNBERT,
    nomic.NOMIC,
    t5.T5,
    qwen.QWEN3,
    clip.CLIP_TEXT,
    clip.SIGLIP_TEXT,
    vit.VIT,
    vit.DEIT,
    vit.VIT_MAE,
    vit.VIT_MSN,
    vit.IJEPA,
    beit.BEIT,
    beit.DATA2VEC_VISION,
    dino.DINOV2,
    dino.DINOV2_REGISTERS,
    dino.DINOV3,
    clip_vision.CLIP_VISION,
    clip_vision.SIGLIP_VISION,
    clip_vision.SIGLIP2_VISION,
)


def family_of(config: Config) -> Family | None:
    """The row whose `types` holds the config's model_type; None when no row does."""
    return next((family for family in FAMILIES if config.get("model_type") in family.types), None)
