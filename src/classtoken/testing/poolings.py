"""A battery for poolings: `check_pooling(pooling)` says everything that is wrong with one, or returns.

    from classtoken.testing.poolings import check_pooling

    def test_mine() -> None:
        check_pooling(MyPooling(dim=8))

It asks what every user relies on: padding on either side and whatever it holds, other rows of the batch, tokens of
roles that are not read, and half precision change nothing; the input stays as it was; an empty row raises `EmptyRow`;
weights are what they say; learned parts start different from each other.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from classtoken.errors import EmptyRow
from classtoken.pooling.attentive import AttentivePooling
from classtoken.pooling.base import Over, Pooling, PoolingInput, WeightedPooling
from classtoken.values import IMAGE_POOLED, TEXT_POOLED, Role

#: The roles of a row in three arrangements, so that no place in a row always has the same role.
ARRANGEMENTS = (
    (Role.CLASS, Role.DISTILLATION, Role.CLASS, Role.REGISTER, Role.PROMPT, Role.CONTENT, Role.END),
    (Role.PROMPT, Role.REGISTER, Role.CLASS, Role.CONTENT, Role.END, Role.CLASS, Role.DISTILLATION),
    (Role.REGISTER, Role.CONTENT, Role.CONTENT, Role.END, Role.CLASS, Role.DISTILLATION, Role.CLASS),
)


@dataclass(frozen=True)
class TriedRows:
    """Random states and roles, padded on the right."""

    states: Tensor
    roles: Tensor

    @property
    def lengths(self) -> list[int]:
        return (self.roles != Role.PAD).sum(1).tolist()

    def moved(self, before: Sequence[int]) -> "TriedRows":
        """The same rows with `before` of their padding tokens put in front."""
        states = torch.stack([row.roll(n, 0) for row, n in zip(self.states, before, strict=True)])
        roles = torch.stack([row.roll(n, 0) for row, n in zip(self.roles, before, strict=True)])
        return TriedRows(states, roles)

    def without(self, roles: Over) -> "TriedRows":
        """The same rows without the tokens of these roles: what an encoder gives that was asked for the others."""
        kept = [~torch.isin(row, torch.tensor(sorted(roles | {Role.PAD}))) for row in self.roles]
        longest = max(int(mask.sum()) for mask in kept)
        states = torch.zeros(len(kept), longest, self.states.shape[-1])
        new = torch.full((len(kept), longest), int(Role.PAD))
        for i, mask in enumerate(kept):
            states[i, : int(mask.sum())] = self.states[i, mask]
            new[i, : int(mask.sum())] = self.roles[i, mask]
        return TriedRows(states, new)


def check_pooling(
    pooling: Pooling,
    *,
    lengths: tuple[int, int, int] = (11, 7, 9),
    overs: Sequence[Over] = (TEXT_POOLED, IMAGE_POOLED),
) -> None:
    """Raise `AssertionError` with a line for everything that is wrong with `pooling`.

    `lengths` are the tokens of the three rows it is tried on, at least 7: all equal for a pooling of fixed length.
    `overs` are the sets of roles to pool over.
    """
    found = faults(pooling, lengths=lengths, overs=overs)
    if found:
        raise AssertionError("\n".join([f"{type(pooling).__name__} is no sound pooling:", *found]))


def faults(
    pooling: Pooling,
    *,
    lengths: tuple[int, int, int] = (11, 7, 9),
    overs: Sequence[Over] = (TEXT_POOLED, IMAGE_POOLED),
) -> list[str]:
    """What is wrong, a line each; empty when the pooling holds."""
    batch = _batch(lengths, pooling.dim)
    found = list(_same_parts(pooling))
    for over in overs:
        for check in CHECKS:
            try:
                fresh = TriedRows(batch.states.clone(), batch.roles.clone())
                found += [line for line in check(pooling, fresh, over) if line not in found]
            except Exception as error:
                found.append(f"{check.__name__.strip('_')}: raises {type(error).__name__}: {error}")
    return found


def _batch(lengths: Sequence[int], dim: int) -> TriedRows:
    generator = torch.Generator().manual_seed(7)
    longest = max(lengths) + 2  # two columns of padding even in the longest row
    roles = torch.full((len(lengths), longest), int(Role.PAD))
    for i, length in enumerate(lengths):
        row = list(ARRANGEMENTS[i % len(ARRANGEMENTS)])
        place = row.index(Role.CONTENT)
        row[place:place] = [Role.CONTENT] * (length - len(row))
        roles[i, :length] = torch.tensor(row)
    return TriedRows(torch.randn(len(lengths), longest, dim, generator=generator), roles)


def _call(pooling: Pooling, batch: TriedRows, over: Over) -> Tensor:
    with torch.no_grad():
        return pooling(batch.states.clone(), batch.roles.clone(), over=over)


def _near(one: Tensor, other: Tensor, tolerance: float = 1e-5) -> bool:
    scale = max(1.0, float(other.abs().max()))
    return one.shape == other.shape and bool(((one - other).abs() <= tolerance * scale).all())


def _shape(pooling: Pooling, batch: TriedRows, over: Over) -> Iterator[str]:
    for dtype in (torch.float32, torch.bfloat16):
        states = batch.states.to(dtype)
        with torch.no_grad():
            vectors = pooling(states, batch.roles, over=over)
        if vectors.shape != (len(states), pooling.width):
            yield f"shape: {tuple(vectors.shape)} for {len(states)} rows and a width of {pooling.width}"
        if vectors.dtype != dtype:
            yield f"precision: states in {dtype} give a vector in {vectors.dtype}"
    if not _near(_call(pooling, batch, over), _call(pooling, batch, over), 0):
        yield "the same input gives another vector"


def _padding(pooling: Pooling, batch: TriedRows, over: Over) -> Iterator[str]:
    right = _call(pooling, batch, over)
    free = [batch.roles.shape[1] - length for length in batch.lengths]
    if not _near(_call(pooling, batch.moved(free), over), right):
        yield "padding side: padding on the left gives another vector"
    if not _near(_call(pooling, batch.moved([1] * len(free)), over), right):
        yield "padding side: padding on both sides gives another vector"
    for junk in (1e4, torch.nan, torch.inf):
        filled = batch.states.masked_fill((batch.roles == Role.PAD)[..., None], junk)
        if not _near(_call(pooling, TriedRows(filled, batch.roles), over), right):
            yield "padding values: what stands in the padding changes the vector"
            break


def _input(pooling: Pooling, batch: TriedRows, over: Over) -> Iterator[str]:
    states, roles = batch.states.clone(), batch.roles.clone()
    with torch.no_grad():
        pooling(states, roles, over=over)
    if not torch.equal(states, batch.states):
        yield "input: the caller's states are changed"
    if not torch.equal(roles, batch.roles):
        yield "input: the caller's roles are changed"


def _mates(pooling: Pooling, batch: TriedRows, over: Over) -> Iterator[str]:
    together = _call(pooling, batch, over)
    for i, length in enumerate(batch.lengths):
        alone = TriedRows(batch.states[i : i + 1, :length], batch.roles[i : i + 1, :length])
        if not _near(_call(pooling, alone, over), together[i : i + 1]):
            yield "batch mates: a row alone gives another vector than in a batch"
            break


def _roles(pooling: Pooling, batch: TriedRows, over: Over) -> Iterator[str]:
    reads = pooling.reads(over)
    if Role.PAD in reads or not reads:
        yield f"reads: {sorted(reads)} must be roles, and never PAD"
        return
    all_tokens = _call(pooling, batch, over)
    others = frozenset(Role) - reads
    junk = batch.states.masked_fill(torch.isin(batch.roles, torch.tensor(sorted(others)))[..., None], 1e4)
    if not _near(_call(pooling, TriedRows(junk, batch.roles), over), all_tokens):
        yield "roles: states of roles that are not in reads(over) change the vector"
    if not _near(_call(pooling, batch.without(others), over), all_tokens):
        yield "roles: leaving out the tokens that are not in reads(over) changes the vector"
    noise = torch.randn(batch.states.shape, generator=torch.Generator().manual_seed(11), dtype=batch.states.dtype)
    changed = batch.states + noise
    if _near(_call(pooling, TriedRows(changed, batch.roles), over), all_tokens):
        yield "reading: other states give the same vector"


def _empty(pooling: Pooling, batch: TriedRows, over: Over) -> Iterator[str]:
    unread = sorted(frozenset(Role) - over - pooling.reads(over))
    for role in {Role.PAD, *unread[-1:]}:
        roles = batch.roles.clone()
        roles[1] = int(role)
        try:
            _call(pooling, TriedRows(batch.states, roles), over)
        except EmptyRow as error:
            if "1" not in str(error):
                yield f"empty row: the error does not name row 1 ({error})"
        else:
            yield f"empty row: a row of {role.name} tokens alone gives a vector instead of EmptyRow"


def _half(pooling: Pooling, batch: TriedRows, over: Over) -> Iterator[str]:
    """Long rows of large values where the pooling takes them, the battery's own rows otherwise."""
    fixed = len(set(batch.lengths)) == 1
    states, roles = batch.states * 30, batch.roles
    if not fixed:
        states = torch.cat((batch.states, torch.full((3, 4000, pooling.dim), 3.0)), 1) * 30
        roles = torch.cat((batch.roles, torch.full((3, 4000), int(Role.CONTENT))), 1)
    half = states.half()
    with torch.no_grad():
        short, long = pooling(half, roles, over=over), pooling(half.float(), roles, over=over)
    if not torch.isfinite(short).all():
        yield "half precision: overflows"
    elif not _near(short.float(), long, 2e-3):
        yield "half precision: sums lose digits; take them in float32"


def _gradient(pooling: Pooling, batch: TriedRows, over: Over) -> Iterator[str]:
    states = batch.states.clone().requires_grad_()
    pooling(states, batch.roles, over=over).square().sum().backward()
    assert states.grad is not None
    if not torch.isfinite(states.grad).all():
        yield "gradient: not finite"
    elif (states.grad[batch.roles == Role.PAD] != 0).any():
        yield "gradient: reaches the padding"
    pooling.zero_grad()


def _weights(pooling: Pooling, batch: TriedRows, over: Over) -> Iterator[str]:
    if not isinstance(pooling, WeightedPooling | AttentivePooling):
        return
    with torch.no_grad():
        weights = pooling.weights(PoolingInput(batch.states, batch.roles, over))
    outside = ~torch.isin(batch.roles, torch.tensor(sorted(pooling.reads(over))))
    flat = weights if weights.ndim == 2 else weights.abs().sum(1)
    if (flat[outside] != 0).any():
        yield "weights: tokens that are not read have one"
    if isinstance(pooling, WeightedPooling):
        summed = torch.einsum("bl,bld->bd", weights.float(), batch.states)
        if not _near(summed, _call(pooling, batch, over)):
            yield "weights: their sum over the states is not the vector"
    elif not _near(weights.sum(-1), torch.ones(weights.shape[:2])):
        yield "weights: an attention's shares do not add up to 1"


def _same_parts(pooling: Pooling) -> Iterator[str]:
    """Queries, heads and rows of a matrix that start equal stay equal for ever, whatever the data."""
    for name, value in copy.deepcopy(pooling).named_parameters():
        if value.ndim < 2 and not (value.ndim == 1 and "." not in name):
            continue
        rows = value.detach().flatten(1) if value.ndim > 1 else value.detach()[:, None]
        if len(rows) > 1 and len(torch.unique(rows, dim=0)) < len(rows):
            yield f"first weights: parts of {name} start equal, and would stay equal"
        elif not value.any():
            yield f"first weights: {name} starts as zeros"


CHECKS: tuple[Callable[[Pooling, TriedRows, Over], Iterator[str]], ...] = (
    _shape,
    _padding,
    _input,
    _mates,
    _roles,
    _empty,
    _half,
    _gradient,
    _weights,
)
