"""FAMILIES: every encoder that is read natively. Loader, parity tests and docs go through this one tuple."""

from collections.abc import Mapping

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
    open_clip,
    qwen,
    roberta,
    t5,
    timm,
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


#: Models of two sides that meet in one space: `model_type` -> the rows of the image side and of the text side.
PAIRS: Mapping[str, tuple[Family, Family]] = {
    "clip": (clip_vision.CLIP_VISION, clip.CLIP_TEXT),
    "siglip": (clip_vision.SIGLIP_VISION, clip.SIGLIP_TEXT),
    "siglip2": (clip_vision.SIGLIP2_VISION, clip.SIGLIP_TEXT),
}
#: Rows for the layouts of other libraries, which name no model_type.
DIALECTS: tuple[Family, ...] = timm.TIMM + open_clip.OPEN_CLIP


def family_of(config: Config) -> Family | None:
    """The row whose `types` holds the config's model_type; None when no row does."""
    return next((family for family in FAMILIES if config.get("model_type") in family.types), None)
