"""The exact sum that a token's state is: what every layer, head and source token added to it.

Pre-norm: state_N = embedding + sum over layers of attention_l + feedforward_l. Within a layer, what attention adds is
sum over tokens j and heads h of weights[h, j] * scale * W_O[h] v[h, j], plus scale * b_O.
Post-norm (BERT): every norm rescales what came before. With the norm's mean and deviation frozen at their actual values
it is linear, so each part is carried through it (`carry`), and the sum is exact again; the norms' biases are a part.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from classtoken.encoder.encoder import Encoder
from classtoken.encoder.protocol import has_open_weights
from classtoken.errors import TraceError
from classtoken.probe.capture import take
from classtoken.probe.subject import Subject
from classtoken.probe.traced import Traced


@dataclass(frozen=True)
class Ledger:
    """A token's state at the end as a sum of parts, all (B, ..., D) before the final norm.

    embedding_BD; attention_BNHLD: layer, head and source token; attention_bias_BND; feedforward_BND; norm_bias_BD:
    what the biases of norms between the layers add (zero for pre-norm). `state_BD` is the state they sum to.
    """

    embedding_BD: Tensor
    attention_BNHLD: Tensor
    attention_bias_BND: Tensor
    feedforward_BND: Tensor
    norm_bias_BD: Tensor
    state_BD: Tensor

    def total(self) -> Tensor:
        """The sum of all parts (B, D); equal to `state_BD` up to rounding."""
        layers = self.attention_BNHLD.sum((1, 2, 3)) + self.attention_bias_BND.sum(1) + self.feedforward_BND.sum(1)
        return self.embedding_BD + layers + self.norm_bias_BD

    def error(self) -> float:
        """Largest deviation of the sum from the state, relative to the state's largest number."""
        return float((self.total() - self.state_BD).abs().max() / self.state_BD.abs().max())


def native(subject: Subject) -> Encoder:
    """The subject's encoder, whose weights can be read. Raises `TraceError` for one that does not give them."""
    encoder = subject.encoder
    if not has_open_weights(encoder):
        raise TraceError(
            "the exact accounting needs the residual stream and the output weights, which this encoder does not give "
            "(a foreign module, or weights in another precision). Ask for attention instead, or load a family that is "
            "read natively."
        )
    return encoder


def moved(encoder: Encoder, layer: int, values_BHLK: Tensor) -> Tensor:
    """scale * W_O[h] v: what each head would add from a token at full weight, (B, H, L, D)."""
    block = encoder.block(layer)
    output_DHK = block.attention.output.weight.unflatten(1, (block.attention.heads, block.attention.head_size))
    moved_BHLD = torch.einsum("bhlk,dhk->bhld", values_BHLK, output_DHK)
    return moved_BHLD if block.attention_scale is None else moved_BHLD * block.attention_scale.weight


def token_contributions(encoder: Encoder, layer: int, weights_BHRL: Tensor, values_BHLK: Tensor) -> Tensor:
    """weights[h, r, j] * scale * W_O[h] v[h, j]: what head h adds to query r from token j, (B, H, R, L, D)."""
    return weights_BHRL[..., None] * moved(encoder, layer, values_BHLK)[:, :, None]


def output_bias(encoder: Encoder, layer: int) -> Tensor:
    """scale * b_O of a layer (D), zeros where there is none."""
    block = encoder.block(layer)
    bias = block.attention.output.bias
    if bias is None:
        return block.attention.output.weight.new_zeros(encoder.hidden_size)
    return bias if block.attention_scale is None else bias * block.attention_scale.weight


def norm_weighted(encoder: Encoder, layer: int, weights_BHRL: Tensor, values_BHLK: Tensor) -> Tensor:
    """||sum over heads of weights * W_O v||, per query and source token (B, R, L) (Kobayashi et al. 2020).

    Raw attention says where a head looks; this says how much vector comes of it: a sink with large weight and tiny
    value contributes next to nothing.
    """
    moved_BHLD = moved(encoder, layer, values_BHLK)
    norms = [
        torch.einsum("bhl,bhld->bld", weights_BHRL[:, :, r], moved_BHLD).norm(dim=-1)
        for r in range(weights_BHRL.shape[2])
    ]
    return torch.stack(norms, dim=1)


@dataclass(frozen=True)
class FrozenNorm:
    """A norm as the linear map that it is for one state: x -> (x - mean(x)) / deviation * weight, and a bias."""

    weight_D: Tensor
    bias_D: Tensor
    deviation_B1: Tensor
    centred: bool

    @classmethod
    def at(cls, norm: nn.Module, state_BD: Tensor) -> "FrozenNorm":
        """The norm's map at a state. LayerNorm, RMSNorm and no norm at all (Identity)."""
        zeros, ones = torch.zeros_like(state_BD[0]), torch.ones_like(state_BD[0])
        if isinstance(norm, nn.LayerNorm):
            deviation = (state_BD.var(-1, unbiased=False, keepdim=True) + norm.eps).sqrt()
            weight = ones if norm.weight is None else norm.weight
            return cls(weight, zeros if norm.bias is None else norm.bias, deviation, True)
        if isinstance(norm, nn.RMSNorm):
            eps = torch.finfo(state_BD.dtype).eps if norm.eps is None else norm.eps
            deviation = (state_BD.square().mean(-1, keepdim=True) + eps).sqrt()
            return cls(ones if norm.weight is None else norm.weight, zeros, deviation, False)
        if isinstance(norm, nn.Identity):
            return cls(ones, zeros, torch.ones_like(state_BD[:, :1]), False)
        raise TraceError(f"a {type(norm).__name__} cannot be taken apart; the exact split knows LayerNorm and RMSNorm.")

    def carry(self, part: Tensor) -> Tensor:
        """A part (B, ..., D) through the norm, without the bias."""
        deviation = self.deviation_B1.view(-1, *(1,) * (part.dim() - 1))
        centred = part - part.mean(-1, keepdim=True) if self.centred else part
        return centred / deviation * self.weight_D


@torch.no_grad()
def ledger(traced: Traced, places_B1: Tensor) -> Ledger:
    """The account of one token per row (`places_B1`: its place), exact in every layer, pre-norm or post-norm.

    Memory: N * H * L * D numbers per input (DeiT-Tiny in float32: 12 * 3 * 197 * 192 * 4 bytes = 5.4 MB).
    """
    encoder = native(traced.subject)
    embedding = take(traced.entering(0), places_B1, dim=1)[:, 0]
    weights, values = traced.rows("weights", places_B1), traced.part("values")
    split = [token_contributions(encoder, i, weights[i], values[i])[:, :, 0] for i in range(encoder.depth)]
    parts = {
        f"blocks.{i}.{name}": row[:, 0]
        for name in ("attention", "feedforward", "states")
        for i, row in enumerate(traced.rows(name, places_B1))
    }
    attention = torch.stack(split, 1)
    bias = torch.stack([output_bias(encoder, i).expand_as(embedding) for i in range(encoder.depth)], 1)
    feedforward = torch.stack([parts[f"blocks.{i}.feedforward"] for i in range(encoder.depth)], 1)
    norm_bias = torch.zeros_like(embedding)
    state = parts[f"blocks.{encoder.depth - 1}.states"]
    if encoder.shape.block.order == "pre":
        return Ledger(embedding, attention, bias, feedforward, norm_bias, state)
    current = embedding
    for i in range(encoder.depth):
        block = encoder.block(i)
        current = current + parts[f"blocks.{i}.attention"]
        norm = FrozenNorm.at(block.attention_norm, current)
        embedding, norm_bias = norm.carry(embedding), norm.carry(norm_bias) + norm.bias_D
        attention = _carried(norm, attention, i + 1)
        bias, feedforward = _carried(norm, bias, i + 1), _carried(norm, feedforward, i)
        current = block.attention_norm(current) + parts[f"blocks.{i}.feedforward"]
        norm = FrozenNorm.at(block.feedforward_norm, current)
        embedding, norm_bias = norm.carry(embedding), norm.carry(norm_bias) + norm.bias_D
        attention = _carried(norm, attention, i + 1)
        bias, feedforward = _carried(norm, bias, i + 1), _carried(norm, feedforward, i + 1)
        current = block.feedforward_norm(current)
    return Ledger(embedding, attention, bias, feedforward, norm_bias, state)


def _carried(norm: FrozenNorm, parts: Tensor, upto: int) -> Tensor:
    """The first `upto` layers' parts through a norm; later layers have not been added yet."""
    return torch.cat((norm.carry(parts[:, :upto]), parts[:, upto:]), 1) if upto else parts


@dataclass(frozen=True)
class Attribution:
    """A logit as an exact sum (direct logit attribution): what each part wrote in the logit's direction.

    tokens_BNHL: layer, head, source token; feedforward_BN; embedding_B; biases_B: every bias on the way, the head's
    included. `logit_B` is what they sum to.
    """

    tokens_BNHL: Tensor
    feedforward_BN: Tensor
    embedding_B: Tensor
    biases_B: Tensor
    logit_B: Tensor

    def total(self) -> Tensor:
        """The sum of all parts (B)."""
        return self.tokens_BNHL.sum((1, 2, 3)) + self.feedforward_BN.sum(1) + self.embedding_B + self.biases_B


@torch.no_grad()
def attribute_logit(traced: Traced, places_B1: Tensor, targets_B: Tensor) -> Attribution:
    """Split the logit of `targets_B[b]` over layers, heads and source tokens, with the final norm frozen.

    Exact for a head that is linear in one token's normed state. It counts only what is written directly into the class
    token; what later layers do with it is in their own parts. Raises `TraceError` where the head is not linear.
    """
    subject = traced.subject
    if subject.linear is None:
        raise TraceError(
            "this model's outcome is not linear in the class token's final state (a pooler or a hidden layer stands "
            "between); the direct split of a logit does not exist. Use gradients or knock-outs."
        )
    encoder = native(subject)
    account = ledger(traced, places_B1)
    norm = FrozenNorm.at(encoder.final_norm, account.state_BD)
    direction_BD = subject.linear.weight_CD[targets_B].to(account.state_BD.dtype)

    def along(part: Tensor) -> Tensor:
        return torch.einsum("b...d,bd->b...", norm.carry(part), direction_BD)

    final_bias = torch.einsum("d,bd->b", norm.bias_D, direction_BD) + subject.linear.bias_C[targets_B]
    biases = along(account.attention_bias_BND).sum(1) + along(account.norm_bias_BD) + final_bias
    logits = torch.einsum("bd,bd->b", encoder.final_norm(account.state_BD), direction_BD)
    return Attribution(
        along(account.attention_BNHLD),
        along(account.feedforward_BND),
        along(account.embedding_BD),
        biases,
        logits + subject.linear.bias_C[targets_B],
    )


@dataclass(frozen=True)
class LayerSums:
    """Sizes of what enters the class token per layer (B, N): before, attention, feed-forward, after."""

    before_BN: Tensor
    attention_BN: Tensor
    feedforward_BN: Tensor
    after_BN: Tensor


def layer_sizes(traced: Traced, places_B1: Tensor) -> LayerSums:
    """Euclidean lengths of the parts of every layer's update of one token per row (`places_B1`: its place)."""

    def lengths(part: str) -> Tensor:
        return torch.stack([row[:, 0].norm(dim=-1) for row in traced.rows(part, places_B1)], 1)

    after = lengths("states")
    first = take(traced.entering(0), places_B1, dim=1)[:, 0].norm(dim=-1)[:, None]
    return LayerSums(torch.cat((first, after[:, :-1]), 1), lengths("attention"), lengths("feedforward"), after)
