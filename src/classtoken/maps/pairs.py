"""Which part of one input met which part of another: the cosine of two vectors, taken apart by pairs.

Let f(S) be the unit vector of an input of which only the regions in S are left; what is not in S is not in the sequence
(exact deletion, `probe.removal`). The part of region i in the vector is its Shapley value (Shapley 1953), a vector of d
numbers: what leaving it in does to f, averaged over every order in which regions can come in,

    g_i = mean over orders of f(those before i, and i) - f(those before i),      sum over i of g_i = f(all) - f(none)

What region i of the one input and region j of the other contribute together is g_i . h_j, and

    sum over i, j of g_i . h_j = (f(all) - f(none)) . (g(all) - g(none))

exactly, however many orders are drawn. Up to ten regions all sets are computed; beyond that orders are drawn in pairs,
each with its reverse, and the standard error is given. Integrated Jacobians (Möller et al. 2023,
https://arxiv.org/abs/2310.05703) take the same product apart by derivatives; they add up only with many points on the
way, need a baseline that no model has seen, and each point costs a derivative a region.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from classtoken.activity import did, work
from classtoken.errors import OptionError
from classtoken.probe.removal import masks, remove
from classtoken.probe.traced import Traced
from classtoken.values import Role

ALL_SETS = 10
"""up to so many regions every set is computed (1,024 of them)"""
ORDERS = 32
"""orders that are drawn where there are more"""
AT_ONCE = 16

Set = frozenset[int]


@dataclass(frozen=True)
class Parts:
    """What each region of an input adds to its unit vector.

    draws_PRD: the same from each pair of orders alone, of which `parts_RD` is the mean; one where all sets were
    computed.
    """

    parts_RD: Tensor
    draws_PRD: Tensor
    vector_D: Tensor
    empty_D: Tensor

    @property
    def exact(self) -> bool:
        """Whether every set was computed."""
        return len(self.draws_PRD) == 1


class _Left:
    """Unit vectors of one input of which some regions are left, each computed once."""

    def __init__(self, traced: Traced, regions: Sequence[Sequence[int]]):
        self.traced, self.regions = traced, regions
        self.known: dict[Set, Tensor] = {}

    def compute(self, sets: Iterable[Set]) -> None:
        """All of these sets, those with equally many tokens together."""
        waiting: dict[int, list[Set]] = {}
        for left in dict.fromkeys(sets):
            if left not in self.known:
                waiting.setdefault(sum(len(self.regions[i]) for i in left), []).append(left)
        with work(sum(map(len, waiting.values()))):
            for alike in waiting.values():
                for start in range(0, len(alike), AT_ONCE):
                    some = alike[start : start + AT_ONCE]
                    for left, vector in zip(some, self._vectors(some), strict=True):
                        self.known[left] = vector
                    did(len(some))

    def _vectors(self, sets: Sequence[Set]) -> Tensor:
        every = range(len(self.regions))
        gone = masks(
            [[p for i in every if i not in left for p in self.regions[i]] for left in sets], self.traced.roles_BL
        )
        if not self._readable(gone):  # nothing is left that could be read out: no vector
            return torch.zeros_like(self.traced.outcome_BC).expand(len(sets), -1)
        return normalize(remove(self.traced, gone), dim=-1)

    def _readable(self, gone_BL: Tensor) -> bool:
        there = (self.traced.roles_BL[0] != Role.PAD) & ~gone_BL[0]
        return self.traced.subject.readable(self.traced.roles_BL[0][there].tolist())


@torch.no_grad()
def parts_of(traced: Traced, regions: Sequence[Sequence[int]], *, orders: int = ORDERS, seed: int = 0) -> Parts:
    """The parts of the regions (tokens by number, which may not overlap) of one traced input.

    The outcome of its subject is the vector. Raises `OptionError` for no region, or a token in two of them.
    """
    places = [place for region in regions for place in region]
    if not places or len(set(places)) < len(places):
        raise OptionError("regions are tokens by number, at least one, and none of them twice.")
    left, count = _Left(traced, regions), len(regions)
    everything, nothing = frozenset(range(count)), frozenset[int]()
    if count <= ALL_SETS:
        left.compute(frozenset(some) for size in range(count + 1) for some in combinations(range(count), size))
        draws_PRD = torch.stack([_exact(left, count, i) for i in range(count)])[None]
    else:
        generator = np.random.default_rng(seed)
        drawn = [generator.permutation(count).tolist() for _ in range(max(1, orders // 2))]
        both = [order for one in drawn for order in (one, one[::-1])]
        left.compute(frozenset(order[:k]) for order in both for k in range(count + 1))
        alone = torch.stack([_in_order(left, order) for order in both])
        draws_PRD = alone.view(len(drawn), 2, *alone.shape[1:]).mean(1)
    return Parts(draws_PRD.mean(0), draws_PRD, left.known[everything], left.known[nothing])


def _exact(left: _Left, count: int, region: int) -> Tensor:
    others = [i for i in range(count) if i != region]
    total = torch.zeros_like(left.known[frozenset[int]()])
    for size in range(count):
        weight = 1 / (count * math.comb(count - 1, size))
        for some in combinations(others, size):
            total = total + weight * (left.known[frozenset((*some, region))] - left.known[frozenset(some)])
    return total


def _in_order(left: _Left, order: Sequence[int]) -> Tensor:
    """What each region adds where they come in in this order, (R, d)."""
    vectors = torch.stack([left.known[frozenset(order[:k])] for k in range(len(order) + 1)])
    found = torch.empty_like(vectors[1:])
    found[list(order)] = vectors[1:] - vectors[:-1]
    return found


def pairs_of(one: Parts, other: Parts) -> np.ndarray:
    """What each region of the one and each of the other contribute together, (regions, regions)."""
    found: np.ndarray = (one.parts_RD.double() @ other.parts_RD.double().T).cpu().numpy()
    return found


def error_of(one: Parts, other: Parts) -> np.ndarray:
    """The standard error of each pair, from drawing orders; zeros where every set was computed."""
    squared = np.zeros((len(one.parts_RD), len(other.parts_RD)))
    for this, that, turned in ((one, other, False), (other, one, True)):
        if not this.exact:
            values = this.draws_PRD.double() @ that.parts_RD.double().T
            of_mean = (values.var(0) / len(values)).cpu().numpy()
            squared += of_mean.T if turned else of_mean
    found: np.ndarray = np.sqrt(squared)
    return found
