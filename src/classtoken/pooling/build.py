"""A pooling from its name."""

from collections.abc import Sequence

from classtoken.errors import ContractError, OptionError
from classtoken.pooling.attentive import Map, Multihead, Queries, Weighted
from classtoken.pooling.base import Pooling
from classtoken.pooling.fixed import All, Cls, ClsDist, Dist, Gem, Last, Max, Mean, MeanSqrtLen, WeightedMean
from classtoken.pooling.spec import Term, parse

PLAIN: dict[str, type[Pooling]] = {
    "dist": Dist,
    "cls_dist": ClsDist,
    "mean": Mean,
    "max": Max,
    "mean_sqrt_len": MeanSqrtLen,
    "weightedmean": WeightedMean,
    "last": Last,
}


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

    `heads`: of `map`, where its name gives none (default: heads of 64 numbers). `positions`: pooled tokens a row, for
    `weighted` and `all`; `grid`: the patch grid when they are images. `seed`: of learned poolings' first weights, which
    are random: train them, or load trained ones. Raises `SpecError`, `OptionError`; `ContractError` for `pooler`.
    """
    term = name if isinstance(name, Term) else _only(name)
    number = term.argument if isinstance(term.argument, int) else None
    if term.name in PLAIN:
        return PLAIN[term.name](dim)
    match term.name:
        case "cls":
            return Cls(dim, number)
        case "gem":
            learned = term.argument == "learned"
            return Gem(dim, 3.0 if learned else float(term.argument or 3.0), learned=learned)
        case "map":
            return Map(dim, number or heads or max(1, dim // 64), seed=seed)
        case "queries":
            return Queries(dim, number or 32, seed=seed)
        case "multihead":
            return Multihead(dim, number or 4, seed=seed)
        case "weighted":
            cut = None if grid is None else (grid[0], grid[1])
            return Weighted(dim, _needed(term, positions), grid=cut, seed=seed)
        case "all":
            return All(dim, _needed(term, positions), exact=grid is not None)
    raise ContractError(f"{term.name} is what a checkpoint computes itself and cannot be made; load one that has it.")


def _only(name: str) -> Term:
    spec = parse(name)
    if len(spec.terms) != 1:
        raise OptionError(f"one pooling is made at a time, and {name!r} names {len(spec.terms)}; make each on its own.")
    return spec.terms[0]


def _needed(term: Term, positions: int | None) -> int:
    if positions is None or positions < 1:
        raise OptionError(
            f"{term.name} needs the number of pooled tokens, and positions is {positions}; give 1 or more."
        )
    return positions
