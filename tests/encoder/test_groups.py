"""Packing loses nothing and mixes nothing, and who sees whom is as a loop over pairs says."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from classtoken.encoder.groups import STEP, order_of, pack_rows, padded_group, whole
from classtoken.values import Role


@st.composite
def rows(draw: st.DrawFn, shortest: int = 0) -> torch.Tensor:
    """Roles of a padded batch: random lengths, each row padded on the side that it likes."""
    longest = draw(st.integers(1, 9))
    roles = []
    for _ in range(draw(st.integers(1, 5))):
        n = draw(st.integers(min(shortest, longest), longest))
        tokens = draw(st.lists(st.sampled_from([Role.CLASS, Role.CONTENT, Role.END]), min_size=n, max_size=n))
        padding = [Role.PAD] * (longest - n)
        roles.append(padding + tokens if draw(st.booleans()) else tokens + padding)
    return torch.tensor([[int(role) for role in row] for row in roles])


@given(rows())
def test_packing_and_unpacking(roles_BL: torch.Tensor) -> None:
    packing = pack_rows(roles_BL)
    states = torch.randn(*roles_BL.shape, 3)
    there = (roles_BL != Role.PAD)[..., None]
    packed = packing.pack(states)
    assert len(packed) == whole(int(there.sum()))
    assert not packed[int(there.sum()) :].any()
    assert torch.equal(packing.unpack(packed), states * there)


def test_packed_sizes_are_few_and_close() -> None:
    """Every size that a processor meets costs memory, and every token that only fills costs time."""
    sizes = range(1, 4097)
    assert [whole(size) - size for size in sizes if whole(size) - size >= max(STEP, size / 16)] == []
    assert all(whole(whole(size)) == whole(size) >= size for size in sizes)
    assert len({whole(size) for size in sizes}) < 120
    assert whole(2048) == 2048
    assert whole(0) == 0


@given(rows())
def test_groups_hold_every_row_once_and_in_its_own_order(roles_BL: torch.Tensor) -> None:
    packing = pack_rows(roles_BL)
    lengths = (roles_BL != Role.PAD).sum(1)
    assert [group.length for group in packing.groups] == sorted(set(lengths[lengths > 0].tolist()))
    at, seen = 0, []
    for group in packing.groups:
        places = packing.index_T[at : at + group.rows * group.length].view(group.rows, group.length)
        at += places.numel()
        assert torch.equal(places.diff(dim=1), torch.ones_like(places[:, 1:]))
        assert torch.equal(roles_BL.flatten()[places], group.roles_BL)
        assert group.order_BL.tolist() == [list(range(group.length))]
        seen += (places[:, 0] // roles_BL.shape[1]).tolist()
    assert at == len(packing.index_T)
    assert sorted(seen) == (lengths > 0).nonzero().flatten().tolist()


@given(rows())
def test_order_counts_tokens_and_not_places(roles_BL: torch.Tensor) -> None:
    mask = roles_BL != Role.PAD
    order = order_of(mask)
    for row in range(len(mask)):
        assert order[row][mask[row]].tolist() == list(range(int(mask[row].sum())))


@given(rows(), st.booleans(), st.integers(0, 3))
def test_the_mask_pair_by_pair(roles_BL: torch.Tensor, causal: bool, window: int) -> None:
    group = padded_group(roles_BL)
    mask = group.attention_mask(causal, window)
    order = order_of(roles_BL != Role.PAD)
    for row in range(len(roles_BL)):
        tokens = (roles_BL[row] != Role.PAD).nonzero().flatten().tolist()
        for query in tokens:
            for key in range(roles_BL.shape[1]):
                distance = int(order[row, key] - order[row, query])
                sees = key in tokens and not (causal and distance > 0) and not (window and abs(distance) > window)
                seen = True if mask is None else bool(mask.expand(len(roles_BL), -1, -1, -1)[row, 0, query, key])
                assert seen == sees


@given(rows(), st.booleans(), st.integers(0, 3))
def test_every_query_may_attend_to_something(roles_BL: torch.Tensor, causal: bool, window: int) -> None:
    mask = padded_group(roles_BL).attention_mask(causal, window)
    assert mask is None or bool(mask.any(-1).all())


@pytest.mark.parametrize("causal", [False, True])
def test_a_full_batch_needs_no_mask_unless_something_is_hidden(causal: bool) -> None:
    group = padded_group(torch.full((2, 4), int(Role.CONTENT)))
    mask = group.attention_mask(causal, 0)
    assert (mask is None) == (not causal)
    assert group.attention_mask(causal, 0) is mask, "a mask is made once for all blocks"
