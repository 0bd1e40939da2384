"""Which row reads an architecture of timm's."""

import re

from classtoken.encoder.families.row import Config, Family
from classtoken.encoder.families.timm import TIMM_VITS
from classtoken.encoder.families.timm_eva import TIMM_EVAS
from classtoken.errors import UnsupportedModel

TIMM: tuple[Family, ...] = (*TIMM_VITS, *TIMM_EVAS)


def timm_family(config: Config) -> Family:
    """The row whose `architectures` has the config's. Raises `UnsupportedModel` that names what there is."""
    architecture = str(config["architecture"]).split(".")[0]
    for family in TIMM:
        if any(re.fullmatch(pattern, architecture) for pattern in family.architectures):
            return family
    raise UnsupportedModel(
        f"timm's architecture '{architecture}' is not computed here; of timm's, vit, deit, deit3, dinov2, dinov3, "
        "siglip, clip, eva, eva02 and pe trunks are. transformers has most others under their own model_type (swin, "
        "convnext, beit, resnet): use a folder of that."
    )
