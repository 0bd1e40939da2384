"""FAMILIES: every encoder that is read natively. Loader, parity tests and docs go through this one tuple."""

from classtoken.encoder.families import bert, vit
from classtoken.encoder.families.row import Config, Family

FAMILIES: tuple[Family, ...] = (
    bert.BERT,
    vit.VIT,
)


def family_of(config: Config) -> Family | None:
    """The row whose `types` holds the config's model_type; None when no row does."""
    return next((family for family in FAMILIES if config.get("model_type") in family.types), None)
