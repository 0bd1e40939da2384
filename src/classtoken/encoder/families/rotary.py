"""Rotary bases out of configs, in their new spelling and in their old ones."""

from classtoken.encoder.families.row import Config
from classtoken.errors import UnsupportedModel


def base_of(config: Config, old: str, default: float, *, kind: str | None = None) -> float:
    """The base of the rotary angles: `rope_parameters` (of a layer type), else the older key, else the default.

    Raises `UnsupportedModel` for angles that are scaled (linear, yarn, ...): they would come out silently wrong.
    """
    parameters = config.get("rope_parameters") or {}
    if kind is not None:
        parameters = parameters.get(kind) or {}
    scaling = config.get("rope_scaling") or {}
    stretched = parameters.get("rope_type", scaling.get("rope_type", scaling.get("type", "default")))
    if stretched != "default":
        raise UnsupportedModel(f"rotary positions of type '{stretched}' are not supported; only 'default' are.")
    part = parameters.get("partial_rotary_factor", config.get("partial_rotary_factor", 1.0))
    if part != 1.0:
        raise UnsupportedModel(f"rotary positions on a part ({part}) of a head are not supported.")
    older = config.get(old)
    return float(parameters.get("rope_theta") or older or default)


def window(reach: int) -> int:
    """How many tokens to either side a block sees. Raises `UnsupportedModel` for none: 0 means every token here."""
    if reach < 1:
        raise UnsupportedModel(
            f"attention in which a token sees {reach} tokens to either side is not supported; 1 or more are."
        )
    return reach


def is_plain(config: Config) -> bool:
    """Whether the angles are neither scaled nor on a part of a head, so that `base_of` takes them."""
    try:
        base_of(config, "rope_theta", 10_000.0)
    except UnsupportedModel:
        return False
    return True


def longest_of(config: Config) -> int | None:
    """The longest text that the authors trained for; rotary angles themselves have no end."""
    longest = config.get("max_position_embeddings") or config.get("n_positions")
    return longest if isinstance(longest, int) and longest > 0 else None
