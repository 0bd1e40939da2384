"""Change an internal value and run on: knock-outs, patches, swaps. Every intervention is a `Trace`.

How a thing is taken away matters more than that it is (zeroing an edge and hiding it before the softmax can differ by
more than either effect), so `mode` is never guessed:

    renormalise  the score is -inf before the softmax: the other tokens share the freed weight (edges, tokens)
    zero         the value is 0 after the softmax: nothing takes its place
    mean         the value is its mean over the rows of `donor`
    resample     the value is that of `donor`, row by row: another real input's
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from classtoken.errors import OptionError, TraceError
from classtoken.tensors import Tokens


class Mode(StrEnum):
    """What stands in the place of what is taken away."""

    RENORMALISE = "renormalise"
    ZERO = "zero"
    MEAN = "mean"
    RESAMPLE = "resample"


Donor = Mapping[str, Tensor]


def as_mode(mode: "Mode | str") -> Mode:
    """A mode by its name. Raises `OptionError` listing the modes."""
    try:
        return Mode(mode)
    except ValueError:
        raise OptionError(
            f"'{mode}' is no mode of intervention; modes are {', '.join(m.value for m in Mode)}."
        ) from None


@dataclass(frozen=True)
class _Edit:
    """What all interventions share: the names they change, and how the new value is found."""

    mode: Mode
    layers: frozenset[int] | None = None
    donor: Donor | None = None

    def layer_of(self, name: str, part: str) -> int | None:
        """The layer of `blocks.i.<part>` when this intervention is for it."""
        pieces = name.split(".")
        if len(pieces) != 3 or pieces[2] != part:
            return None
        layer = int(pieces[1])
        return layer if self.layers is None or layer in self.layers else None

    def replacement(self, name: str, value: Tensor) -> Tensor:
        """What stands in for `value` in modes zero, mean and resample."""
        if self.mode == Mode.ZERO:
            return torch.zeros_like(value)
        donor = None if self.donor is None else self.donor.get(name)
        if donor is None:
            raise OptionError(
                f"mode '{self.mode.value}' needs a donor's value of {name}; give donor=trace(...).donor(names)."
            )
        if donor.shape[1:] != value.shape[1:]:
            raise OptionError(
                f"the donor's {name} has shape {tuple(donor.shape[1:])}, this input's {tuple(value.shape[1:])}; give a "
                "donor with as many tokens."
            )
        if self.mode == Mode.MEAN:
            return donor.mean(0, keepdim=True).expand_as(value)
        if len(donor) not in (1, len(value)):
            raise OptionError(f"the donor has {len(donor)} rows for {len(value)} inputs; give one row, or one each.")
        return donor.expand_as(value)


@dataclass(frozen=True, kw_only=True)
class CutEdges(_Edit):
    """Keep queries from reading keys: edges query -> key of some layers and heads.

    edges_BLL: True where a query must not read a key; (1, L, L) does for every row.
    """

    edges_BLL: Tensor
    heads: frozenset[int] | None = None

    @property
    def part(self) -> str:
        """Before the softmax when the rest shares the weight, else after it."""
        return "scores" if self.mode == Mode.RENORMALISE else "weights"

    def wants(self, name: str) -> bool:
        return self.layer_of(name, self.part) is not None

    def __call__(self, name: str, value: Tensor) -> Tensor:
        if self.layer_of(name, self.part) is None:
            return value
        cut = self.edges_BLL.to(value.device)[:, None].expand_as(value)
        if self.heads is not None:
            chosen = torch.zeros(value.shape[1], dtype=torch.bool, device=value.device)
            chosen[list(self.heads)] = True
            cut = cut & chosen[None, :, None, None]
        if self.mode != Mode.RENORMALISE:
            return torch.where(cut, self.replacement(name, value), value)
        scores = value.masked_fill(cut, -torch.inf)
        if bool((scores == -torch.inf).all(-1).any()):
            raise OptionError("every token that a query could read was cut off; leave it at least one (itself, say).")
        return scores


@dataclass(frozen=True, kw_only=True)
class CutHeads(_Edit):
    """Take away what some heads add to the residual stream, for all tokens."""

    heads: frozenset[int]

    def __post_init__(self) -> None:
        _no_renormalising(self.mode, "head")

    def wants(self, name: str) -> bool:
        return self.layer_of(name, "heads") is not None

    def __call__(self, name: str, value: Tensor) -> Tensor:
        if self.layer_of(name, "heads") is None:
            return value
        changed = value.clone()
        chosen = sorted(self.heads)
        if chosen and chosen[-1] >= value.shape[1]:
            raise OptionError(f"there is no head {chosen[-1]}: this layer has heads 0 to {value.shape[1] - 1}.")
        changed[:, chosen] = self.replacement(name, value)[:, chosen]
        return changed


@dataclass(frozen=True, kw_only=True)
class CutLayers(_Edit):
    """Take away what attention, feed-forward or both add in some layers, for all tokens."""

    parts: frozenset[str] = frozenset({"attention", "feedforward"})

    def __post_init__(self) -> None:
        _no_renormalising(self.mode, "layer")

    def wants(self, name: str) -> bool:
        return any(self.layer_of(name, part) is not None for part in self.parts)

    def __call__(self, name: str, value: Tensor) -> Tensor:
        return self.replacement(name, value) if self.wants(name) else value


@dataclass(frozen=True, kw_only=True)
class PatchStates:
    """Put a donor's states in: at `name` (embeddings, or blocks.i.states), for tokens where `places_BL` is True.

    The class token of another image at layer l, registers of another, everything (which then gives the donor's logits).
    """

    name: str
    value_BLD: Tensor
    places_BL: Tensor | None = None

    def wants(self, name: str) -> bool:
        return name == self.name

    def __call__(self, name: str, value: Tensor) -> Tensor:
        if name != self.name:
            return value
        if self.value_BLD.shape[1:] != value.shape[1:]:
            raise OptionError(
                f"the donor's states at {name} have shape {tuple(self.value_BLD.shape[1:])}, this input's "
                f"{tuple(value.shape[1:])}; give a donor with as many tokens."
            )
        donor = self.value_BLD.to(value).expand_as(value)
        return donor if self.places_BL is None else torch.where(self.places_BL[..., None], donor, value)


def before_layer(layer: int, depth: int) -> str:
    """The trace name of the states that go into a layer; `depth` itself: those that leave the last one."""
    if not 0 <= layer <= depth:
        raise TraceError(f"there are no states before layer {layer}: this model has layers 0 to {depth - 1}.")
    return "embeddings" if layer == 0 else f"blocks.{layer - 1}.states"


def cut_tokens(
    tokens_BL: Tensor,
    mode: Mode | str,
    *,
    layers: Collection[int] | None = None,
    readers_BL: Tensor | None = None,
    heads: Collection[int] | None = None,
    donor: Donor | None = None,
) -> CutEdges:
    """Nobody (or only `readers_BL`) reads these tokens, in some layers; they themselves go on reading each other.

    With mode renormalise, all layers, all readers: exactly as if the tokens were not in the sequence (`removal`).
    """
    readers = torch.ones_like(tokens_BL) if readers_BL is None else readers_BL
    edges = readers[:, :, None] & tokens_BL[:, None, :]
    itself = torch.eye(tokens_BL.shape[1], dtype=torch.bool, device=tokens_BL.device) & tokens_BL[:, :, None]
    return CutEdges(
        as_mode(mode),
        _frozen(layers),
        donor,
        edges_BLL=edges & ~itself,
        heads=_frozen(heads),
    )


def cut_heads(heads: Collection[int], layer: int, mode: Mode | str, *, donor: Donor | None = None) -> CutHeads:
    """Heads of one layer."""
    return CutHeads(as_mode(mode), frozenset({layer}), donor, heads=frozenset(heads))


def cut_layers(
    layers: Collection[int],
    mode: Mode | str,
    *,
    parts: Collection[str] = ("attention", "feedforward"),
    donor: Donor | None = None,
) -> CutLayers:
    """Attention and feed-forward of some layers."""
    return CutLayers(as_mode(mode), _frozen(layers), donor, parts=frozenset(parts))


def hide_later(tokens: Tokens) -> CutEdges:
    """A causal mask: every token reads itself and those before it. A leading class token then sees nothing else."""
    L = tokens.roles_BL.shape[1]
    later = torch.ones(L, L, dtype=torch.bool, device=tokens.roles_BL.device).triu(1)
    return CutEdges(Mode.RENORMALISE, None, None, edges_BLL=later[None])


def _frozen(values: Collection[int] | None) -> frozenset[int] | None:
    return None if values is None else frozenset(values)


def _no_renormalising(mode: Mode, what: str) -> None:
    if mode == Mode.RENORMALISE:
        raise OptionError(
            f"a {what} has no weights to share, so it cannot be cut by 'renormalise'; give zero, mean or resample."
        )
