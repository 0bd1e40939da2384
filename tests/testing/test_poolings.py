"""The battery for poolings holds ours and refuses twenty-one that are broken on purpose, each for its own reason."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from classtoken.pooling import POOLINGS, make
from classtoken.pooling.attentive import Queries
from classtoken.pooling.base import Over, Pooling, PoolingInput, kept
from classtoken.pooling.fixed import Cls, Last, Max, Mean, WeightedMean
from classtoken.testing.poolings import check_pooling, faults
from classtoken.values import TEXT_POOLED, Role

DIM = 8


class DividesByPaddedLength(Mean):
    def shares(self, roles_BL: Tensor, over: Over) -> Tensor:
        return kept(self, roles_BL, over) / roles_BL.shape[1]


class CountsPlacesFromTheEdge(WeightedMean):
    def shares(self, roles_BL: Tensor, over: Over) -> Tensor:
        place_BL = kept(self, roles_BL, over) * torch.arange(1, roles_BL.shape[1] + 1)
        return place_BL / place_BL.sum(1, keepdim=True)


class ZeroesThePaddingInPlace(Mean):
    def forward(self, states_BLD: Tensor, roles_BL: Tensor, **how: Over) -> Tensor:
        states_BLD[roles_BL == Role.PAD] = 0
        return super().forward(states_BLD, roles_BL, **how)


class MarksRolesInPlace(Mean):
    def forward(self, states_BLD: Tensor, roles_BL: Tensor, **how: Over) -> Tensor:
        vectors = super().forward(states_BLD, roles_BL, **how)
        roles_BL[:, 0] = 0
        return vectors


class TakesTheFirstPosition(Cls):
    def forward(self, states_BLD: Tensor, roles_BL: Tensor, **how: Over) -> Tensor:
        kept(self, roles_BL, self.reads(how["over"]))
        return states_BLD[:, 0]


class TakesTheFirstToken(Cls):
    """Survives padding on either side, but not a class token that is not the first."""

    def forward(self, states_BLD: Tensor, roles_BL: Tensor, **how: Over) -> Tensor:
        kept(self, roles_BL, self.reads(how["over"]))
        first_B = (roles_BL != Role.PAD).int().argmax(1)
        return states_BLD[torch.arange(len(first_B)), first_B]


class TakesTheLastPosition(Last):
    def forward(self, states_BLD: Tensor, roles_BL: Tensor, **how: Over) -> Tensor:
        kept(self, roles_BL, how["over"])
        return states_BLD[:, -1]


class SumsInHalf(Mean):
    def forward(self, states_BLD: Tensor, roles_BL: Tensor, **how: Over) -> Tensor:
        kept_BL = kept(self, roles_BL, how["over"])
        zeroed = states_BLD.masked_fill(~kept_BL[..., None], 0)
        total = torch.zeros_like(zeroed[:, 0])
        for token in zeroed.unbind(1):
            total = total + token
        return total / kept_BL.sum(1, keepdim=True)


class SilentOnEmptyRows(Mean):
    def shares(self, roles_BL: Tensor, over: Over) -> Tensor:
        kept_BL = torch.isin(roles_BL, torch.tensor(sorted(over)))
        return kept_BL / kept_BL.sum(1, keepdim=True).clamp(min=1e-9)


class PoolsOverPadding(Mean):
    def shares(self, roles_BL: Tensor, over: Over) -> Tensor:
        kept(self, roles_BL, over)
        return torch.full(roles_BL.shape, 1 / roles_BL.shape[1])


class IgnoresOver(Mean):
    def shares(self, roles_BL: Tensor, over: Over) -> Tensor:
        return super().shares(roles_BL, TEXT_POOLED)


class CentresOnTheBatch(Mean):
    def forward(self, states_BLD: Tensor, roles_BL: Tensor, **how: Over) -> Tensor:
        vectors = super().forward(states_BLD, roles_BL, **how)
        return vectors - vectors.mean(0)


class MaximumAgainstZero(Max):
    """Padding as 0 is the largest value of a dimension that is negative everywhere."""

    def forward(self, states_BLD: Tensor, roles_BL: Tensor, **how: Over) -> Tensor:
        kept_BL = kept(self, roles_BL, how["over"])
        return (states_BLD * kept_BL[..., None]).amax(1)


class AlwaysFloat32(Mean):
    def forward(self, states_BLD: Tensor, roles_BL: Tensor, **how: Over) -> Tensor:
        return super().forward(states_BLD.float(), roles_BL, **how)


class WrongWidth(Mean):
    @property
    def width(self) -> int:
        return 2 * self.dim


class Constant(Mean):
    def forward(self, states_BLD: Tensor, roles_BL: Tensor, **how: Over) -> Tensor:
        kept(self, roles_BL, how["over"])
        return states_BLD.masked_fill(torch.ones_like(states_BLD, dtype=torch.bool), 0).sum(1)


class WeightsOfAnother(Mean):
    def weights(self, given: PoolingInput) -> Tensor:
        return super().weights(given) * 2

    def forward(self, states_BLD: Tensor, roles_BL: Tensor, **how: Over) -> Tensor:
        return super().forward(states_BLD, roles_BL, **how) / 2


class ZeroSeeds(Queries):
    def __init__(self, dim: int, queries: int) -> None:
        super().__init__(dim, queries)
        nn.init.zeros_(self.queries)


class AttendsToPadding(Queries):
    def _attend(self, seen_BLD: Tensor, kept_BL: Tensor) -> Tensor:
        return self.scores(seen_BLD).softmax(-1)


class Dropout(Mean):
    def forward(self, states_BLD: Tensor, roles_BL: Tensor, **how: Over) -> Tensor:
        return nn.functional.dropout(super().forward(states_BLD, roles_BL, **how), 0.5)


class RootOfZero(Mean):
    """Adds sqrt |v - v| = 0: the vector is right, its gradient is infinity times zero."""

    def forward(self, states_BLD: Tensor, roles_BL: Tensor, **how: Over) -> Tensor:
        vectors = super().forward(states_BLD, roles_BL, **how)
        return vectors + (vectors - vectors.detach()).abs().sqrt()


BROKEN: list[tuple[Callable[[], Pooling], str]] = [
    (lambda: DividesByPaddedLength(DIM), "batch mates"),
    (lambda: CountsPlacesFromTheEdge(DIM), "padding side"),
    (lambda: ZeroesThePaddingInPlace(DIM), "caller's states"),
    (lambda: MarksRolesInPlace(DIM), "caller's roles"),
    (lambda: TakesTheFirstPosition(DIM), "padding side"),
    (lambda: TakesTheFirstToken(DIM), "leaving out the tokens"),
    (lambda: TakesTheLastPosition(DIM), "padding values"),
    (lambda: SumsInHalf(DIM), "half precision"),
    (lambda: SilentOnEmptyRows(DIM), "empty row"),
    (lambda: PoolsOverPadding(DIM), "padding values"),
    (lambda: IgnoresOver(DIM), "roles that are not in reads"),
    (lambda: CentresOnTheBatch(DIM), "batch mates"),
    (lambda: MaximumAgainstZero(DIM), "batch mates|leaving out|padding"),
    (lambda: AlwaysFloat32(DIM), "precision"),
    (lambda: WrongWidth(DIM), "shape"),
    (lambda: Constant(DIM), "same vector"),
    (lambda: WeightsOfAnother(DIM), "sum over the states"),
    (lambda: ZeroSeeds(DIM, 4), "start equal"),
    (lambda: AttendsToPadding(DIM, 4), "batch mates"),
    (lambda: Dropout(DIM), "another vector"),
    (lambda: RootOfZero(DIM), "gradient: not finite"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("broken", "said"), BROKEN, ids=[type(make_it()).__name__ for make_it, _ in BROKEN])
def test_broken_poolings_are_refused(broken: Callable[[], Pooling], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_pooling(broken())


FREE = ["cls", "cls(1)", "first", "dist", "cls_dist", "mean", "max", "mean_sqrt_len", "weightedmean", "last", "gem"]
LEARNED = ["gem(learned)", "gem(1.5)", "map", "map(2)", "queries(1)", "queries(4)", "multihead(1)", "multihead(3)"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FREE + LEARNED)
def test_ours_hold(name: str) -> None:
    assert faults(make(name, DIM)) == []


@pytest.mark.parametrize("name", ["weighted", "all"])
def test_ours_of_limited_length_hold(name: str) -> None:
    assert faults(make(name, DIM, positions=9), lengths=(9, 9, 9), overs=[TEXT_POOLED]) == []
    assert faults(make(name, DIM, positions=4096)) == []
    images = make(name, DIM, positions=9, grid=(2, 2))
    assert faults(images, lengths=(9, 9, 9), overs=[TEXT_POOLED]) == []


def test_every_name_is_tried() -> None:
    tried = {name.split("(")[0] for name in [*FREE, *LEARNED, "weighted", "all"]}
    assert tried == set(POOLINGS) - {"pooler"}


def test_everything_that_is_wrong_is_said_at_once() -> None:
    found = faults(PoolsOverPadding(DIM))
    assert len(found) >= 3
    assert any(line.startswith("padding") for line in found)
    assert any(line.startswith("batch mates") for line in found)
