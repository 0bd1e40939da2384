"""Renaming is reversible, whatever the names are made of."""

import string

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from classtoken.encoder.families import FAMILIES
from classtoken.encoder.names import Rename, blocks, fit, to_ours, to_theirs
from classtoken.errors import WeightsError

# Names with what has a meaning in regular expressions.
part = st.text(alphabet=string.ascii_letters + ".+*()[]|^$?", min_size=1, max_size=8)


@st.composite
def rules_with_tensors(draw: st.DrawFn) -> tuple[tuple[Rename, ...], dict[str, torch.Tensor]]:
    """Rules that do not get into each other's way, and a file whose names they take."""
    rules, on_disk = [], {}
    for number in range(draw(st.integers(1, 4))):
        theirs, ours = draw(part), draw(part)
        fused = draw(st.integers(1, 3))
        targets = tuple(f"{number}our{n}.{ours}.{{i}}.{{p}}" for n in range(fused))
        rules.append(Rename(f"{number}their.{theirs}.{{i}}.{{p}}", targets if fused > 1 else targets[0]))
        for i in draw(st.sets(st.integers(0, 99), min_size=1, max_size=3)):
            for p in ("weight", "bias"):
                rows = fused * draw(st.integers(1, 3))
                on_disk[f"{number}their.{theirs}.{i}.{p}"] = torch.randn(rows, 2)
    return tuple(rules), on_disk


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # beartype does, where strategies build values
@given(rules_with_tensors())
def test_there_and_back(case: tuple[tuple[Rename, ...], dict[str, torch.Tensor]]) -> None:
    rules, on_disk = case
    ours, unknown = to_ours(on_disk, rules)
    assert unknown == []
    back, untaken = to_theirs(ours, rules)
    assert untaken == []
    assert back.keys() == on_disk.keys()
    assert all(torch.equal(back[name], on_disk[name]) for name in on_disk)


@given(st.permutations(["q", "k", "v"]))
def test_a_fused_tensor_comes_back_whatever_the_order_of_our_names(order: list[str]) -> None:
    rules = blocks("layer.{i}.", {"qkv": ("q", "k", "v")})
    pieces = {name: torch.randn(2, 3) for name in order}
    theirs, untaken = to_theirs({f"blocks.7.{name}.weight": tensor for name, tensor in pieces.items()}, rules)
    assert untaken == []
    assert torch.equal(theirs["layer.7.qkv.weight"], torch.cat([pieces["q"], pieces["k"], pieces["v"]]))


def test_what_no_rule_takes_is_said_unless_it_may_be_passed_over() -> None:
    file = {"a.weight": torch.zeros(1), "b.weight": torch.zeros(1), "position_ids": torch.zeros(1)}
    ours, unknown = to_ours(file, (Rename("a.{p}", "x.{p}"),), (r"position_ids",))
    assert list(ours) == ["x.weight"]
    assert unknown == ["b.weight"]
    assert to_theirs({"y.weight": torch.zeros(1)}, (Rename("a.{p}", "x.{p}"),)) == ({}, ["y.weight"])


def test_half_of_a_fused_tensor_is_not_written() -> None:
    rules = blocks("layer.{i}.", {"qkv": ("q", "k", "v")})
    assert to_theirs({"blocks.0.q.weight": torch.zeros(1, 1)}, rules)[1] == ["blocks.0.q.weight"]


def test_an_old_and_a_new_spelling_are_read_and_the_first_is_written() -> None:
    rules = (Rename("new.{p}", "x.{p}"), Rename("old.{p}", "x.{p}"))
    for name in ("new.bias", "old.bias"):
        ours, _ = to_ours({name: torch.ones(2)}, rules)
        assert list(ours) == ["x.bias"]
        assert list(to_theirs(ours, rules)[0]) == ["new.bias"]


def test_one_weight_under_two_names_must_be_one() -> None:
    """transformers takes gamma where both are there, older readers the weight."""
    rules = (Rename("LayerNorm.{p}", "norm.{p}"), Rename("new.{p}", "x.{p}"), Rename("old.{p}", "x.{p}"))
    for one, other in (("LayerNorm.gamma", "LayerNorm.weight"), ("old.bias", "new.bias")):
        assert len(to_ours({one: torch.ones(2), other: torch.ones(2)}, rules)[0]) == 1
        with pytest.raises(WeightsError, match=f"two names with different numbers: {one} and {other}"):
            to_ours({one: torch.ones(2), other: torch.zeros(2)}, rules)


def test_a_rule_may_depend_on_what_else_is_there() -> None:
    gated = (
        Rename("gate.{p}", "gate.{p}"),
        Rename("wi_1.{p}", "up.{p}", beside="gate.{p}"),
        Rename("wi.{p}", "up.{p}"),
    )
    up, gate = torch.zeros(2), torch.ones(2)
    assert set(to_theirs({"up.weight": up}, gated)[0]) == {"wi.weight"}
    assert set(to_theirs({"up.weight": up, "gate.weight": gate}, gated)[0]) == {"wi_1.weight", "gate.weight"}


def test_leading_dimensions_of_one_are_put_back() -> None:
    rules = (Rename("cls_token", "stem.class_token", dims=3),)
    ours, _ = to_ours({"cls_token": torch.randn(1, 1, 4)}, rules)
    assert fit(ours["stem.class_token"], torch.Size((1, 4))).shape == (1, 4)  # type: ignore[union-attr]
    assert to_theirs({"stem.class_token": torch.randn(1, 4)}, rules)[0]["cls_token"].shape == (1, 1, 4)


def test_only_dimensions_of_one_may_differ() -> None:
    assert fit(torch.zeros(1, 6), torch.Size((6,))) is not None
    assert fit(torch.zeros(2, 3), torch.Size((3, 2))) is None
    assert fit(torch.zeros(2, 3), torch.Size((6,))) is None


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_no_two_rules_of_a_family_write_one_name(family: object) -> None:
    theirs = [rule.theirs for rule in family.names]  # type: ignore[attr-defined]
    assert len(set(theirs)) == len(theirs)
