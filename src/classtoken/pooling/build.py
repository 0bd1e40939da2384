"""A pooling from its name."""

from collections.abc import Sequence
from importlib import import_module

from classtoken.errors import ContractError, OptionError
from classtoken.pooling.base import Pooling, PoolingOptions
from classtoken.pooling.spec import Term, parse


def make(
    name: str | Term,
    dim: int,
    *,
    heads: int | None = None,
    positions: int | None = None,
    grid: Sequence[int] | None = None,
    seed: int = 0,
) -> Pooling:
    """The pooling of one term (`cls`, `queries(4)`; a layer is the reader's business) for states of size `dim`.

    The options are those of `PoolingOptions`; learned poolings come with random weights: train them, or load trained
    ones. Raises `SpecError`, `OptionError`; `ContractError` for `pooler`.
    """
    term = name if isinstance(name, Term) else _only(name)
    module, _, kind = term.about.code.partition(":")
    if not module:
        raise ContractError(
            f"{term.name} is what a checkpoint computes itself and cannot be made; load one that has it."
        )
    cut = None if grid is None else (grid[0], grid[1])
    pooling: type[Pooling] = getattr(import_module(module), kind)
    return pooling.made(dim, PoolingOptions(term.argument, heads, positions, cut, seed))


def _only(name: str) -> Term:
    spec = parse(name)
    if len(spec.terms) != 1:
        raise OptionError(f"one pooling is made at a time, and {name!r} names {len(spec.terms)}; make each on its own.")
    return spec.terms[0]
