"""Rotary bases and what a token sees out of configs, in their new spelling and in their old ones."""

from collections.abc import Iterable
from typing import Any

from classtoken.encoder.families.row import Config, complete
from classtoken.errors import UnsupportedModel


def base_of(config: Config, old: str, default: float, *, kind: str | None = None) -> float:
    """The base of the rotary angles: of `rope_parameters` (of a layer type), else the older key, else the default.

    `rope_scaling` is the older name of `rope_parameters`. Where a file has both it stands in the place of the newer,
    and over those of each layer type, as in transformers. Raises `UnsupportedModel` for angles that are scaled (linear,
    yarn, ...): they would come out silently wrong.
    """
    scaling, parameters = config.get("rope_scaling") or {}, config.get("rope_parameters") or {}
    places = (scaling or parameters,) if kind is None else (scaling, parameters.get(kind) or {})
    stretched = _said(places, "rope_type") or _said(places, "type") or "default"
    if stretched != "default":
        raise UnsupportedModel(f"rotary positions of type '{stretched}' are not supported; only 'default' are.")
    part, of_all = _said(places, "partial_rotary_factor"), config.get("partial_rotary_factor")
    part = of_all if part is None else part
    if part not in (None, 1.0):
        raise UnsupportedModel(f"rotary positions on a part ({part}) of a head are not supported.")
    older = config.get(old)
    return float(_said(places, "rope_theta") or older or default)


def _said(places: Iterable[Config], key: str) -> Any:
    """The first of several values that is not null."""
    return next((value for place in places if (value := place.get(key)) is not None), None)


#: Of settings with which the reference's vector of a text depends on the texts beside it.
ONLY_SOME = "is not supported, because transformers then masks texts of some batches and not of others"


def decoder_config(config: Config, defaults: Config) -> dict[str, Any]:
    """The config of a decoder with its class's defaults. Raises `UnsupportedModel` where `is_causal` is null: then
    transformers masks a text alone and not one that is padded."""
    if "is_causal" in config and config["is_causal"] is None:
        raise UnsupportedModel(f"is_causal null {ONLY_SOME}: write true or false into config.json.")
    return complete(config, {"is_causal": True, **defaults})


def sliding_reach(config: Config, size: int) -> int:
    """How many tokens to either side a window of `size` shows: a causal one counts the token itself, and one that looks
    both ways does not, as in transformers."""
    return window(size - 1 if config["is_causal"] else size)


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
