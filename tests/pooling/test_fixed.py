"""Fixed poolings: exact on small numbers, equal to sentence-transformers, right for any layout and padding."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from classtoken.errors import ContractError, EmptyRow
from classtoken.pooling import make
from classtoken.pooling.fixed import All, Cls, Gem, Mean
from classtoken.values import IMAGE_POOLED, TEXT_POOLED, Role

FREE = ["cls", "mean", "max", "mean_sqrt_len", "weightedmean", "last", "gem"]
ROLES = {"C": Role.CLASS, "D": Role.DISTILLATION, "R": Role.REGISTER, "P": Role.PROMPT, "x": Role.CONTENT}
ROLES |= {"E": Role.END, ".": Role.PAD}


def roles_of(*rows: str) -> Tensor:
    """`"CxxE."` -> the roles of one row."""
    return torch.tensor([[int(ROLES[letter]) for letter in row] for row in rows])


def numbers(*rows: list[float]) -> Tensor:
    """States of size 1."""
    return torch.tensor(rows, dtype=torch.float32)[..., None]


@pytest.mark.parametrize(
    ("name", "image", "text"),
    [
        ("cls", 1.0, 1.0),
        ("cls(0)", 1.0, 1.0),
        ("dist", 2.0, 2.0),
        ("cls_dist", 1.5, 1.5),
        ("mean", 12.0, 63 / 6),
        ("max", 16.0, 32.0),
        ("mean_sqrt_len", 24 / 2**0.5, 63 / 6**0.5),
        ("weightedmean", (4 * 8 + 5 * 16) / 9, (1 + 4 + 12 + 32 + 80 + 192) / 21),
        ("last", 16.0, 32.0),
        ("gem(1)", 12.0, 63 / 6),
        ("gem(2)", ((64 + 256) / 2) ** 0.5, ((1 + 4 + 16 + 64 + 256 + 1024) / 6) ** 0.5),
        ("gem", ((8**3 + 16**3) / 2) ** (1 / 3), (sum(8**i for i in range(6)) / 6) ** (1 / 3)),
    ],
)
def test_by_hand(name: str, image: float, text: float) -> None:
    states, roles = numbers([1, 2, 4, 8, 16, 32, 999]), roles_of("CDRxxE.")
    assert make(name, 1)(states, roles, over=IMAGE_POOLED).item() == pytest.approx(image, rel=1e-6)
    assert make(name, 1)(states, roles, over=TEXT_POOLED).item() == pytest.approx(text, rel=1e-6)


def test_all_is_every_token_in_order() -> None:
    states, roles = numbers([9, 1, 2, 3, 9], [1, 2, 9, 9, 9]), roles_of(".CxE.", "CE...")
    vectors = make("all", 1, positions=4)(states, roles, over=IMAGE_POOLED)
    assert vectors.tolist() == [[1, 2, 3, 0], [1, 2, 0, 0]]
    assert All(3, 4, exact=False).width == 12


@pytest.mark.parametrize(("positions", "exact"), [(2, False), (2, True), (4, True)])
def test_all_refuses_rows_of_another_length(positions: int, exact: bool) -> None:
    with pytest.raises(ContractError, match=f"{positions} tokens a row, and a row has 3"):
        All(1, positions, exact=exact)(numbers([1, 2, 3]), roles_of("Cxx"), over=TEXT_POOLED)


def test_several_class_tokens_are_averaged_or_taken_one_by_one() -> None:
    states, roles = numbers([1, 2, 4, 8, 0], [9, 16, 5, 32, 64]), roles_of("CCxC.", "RCxCC")
    over = IMAGE_POOLED
    assert Cls(1)(states, roles, over=over).flatten().tolist() == pytest.approx([11 / 3, 112 / 3])
    each = [Cls(1, k)(states, roles, over=over).flatten().tolist() for k in range(3)]
    assert each == [[1, 16], [2, 32], [8, 64]]
    with pytest.raises(EmptyRow, match=r"number 3, counted from 0.*row 0, 1 has none"):
        Cls(1, 3)(states, roles, over=over)


@pytest.mark.parametrize("name", ["cls", "dist", "cls_dist"])
def test_a_layout_without_the_token_is_refused(name: str) -> None:
    with pytest.raises(EmptyRow, match=r"row 1 has none"):
        make(name, 1)(numbers([1, 2, 3], [1, 2, 3]), roles_of("CDx", "xxx"), over=TEXT_POOLED)


@pytest.mark.parametrize("name", FREE)
def test_an_empty_row_is_named(name: str) -> None:
    with pytest.raises(EmptyRow, match=r"row 1, 2, 3, 4, 5 and 2 more has none"):
        make(name, 1)(torch.ones(9, 3, 1), roles_of("CxE", *7 * ["..."], "CxE"), over=TEXT_POOLED)


MODES = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len": "mean_sqrt_len_tokens",
    "weightedmean": "weightedmean",
    "last": "lasttoken",
}


@pytest.mark.parametrize("name", MODES)
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("prompt", [True, False])
def test_equal_to_sentence_transformers(name: str, side: str, prompt: bool) -> None:
    """Every mode, padded on either side, with the prompt's tokens and without."""
    pooling_module = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    rows = ["PPCxxxxE", "PPCE", "PPCxxE", "PPCxE"]
    rows = [row.ljust(8, ".") if side == "right" else row.rjust(8, ".") for row in rows]
    states, roles = torch.randn(4, 8, 6), roles_of(*rows)
    theirs = pooling_module.Pooling(6, pooling_mode=MODES[name], include_prompt=prompt)
    features = {"token_embeddings": states.clone(), "attention_mask": (roles != Role.PAD).long(), "prompt_length": 2}
    # Their `cls` is the first token in the mask, whatever it is: without prompts in the text it is the class token.
    if name == "cls" and prompt:
        roles[roles == Role.PROMPT] = int(Role.PAD)
        features["attention_mask"] = (roles != Role.PAD).long()
    expected = theirs(features)["sentence_embedding"]
    over = TEXT_POOLED if prompt else TEXT_POOLED - {Role.PROMPT}
    torch.testing.assert_close(make(name, 6)(states, roles, over=over), expected, rtol=1e-6, atol=1e-6)


@st.composite
def ragged(draw: st.DrawFn) -> list[str]:
    """Rows of any roles, any padding on both sides, each with a class token, a patch and a distillation token."""
    body = st.text(alphabet="CDRPxE", max_size=6)
    rows = draw(st.lists(body, min_size=1, max_size=4))
    rows = ["".join(draw(st.permutations(row + "CDx"))) for row in rows]
    width = max(map(len, rows)) + draw(st.integers(0, 3))
    padded = []
    for row in rows:
        left = draw(st.integers(0, width - len(row)))
        padded.append("." * left + row + "." * (width - len(row) - left))
    return padded


@pytest.mark.slow
@given(ragged(), st.sampled_from([*FREE, "cls(0)", "dist", "cls_dist", "gem(learned)"]), st.booleans(), st.integers(0))
def test_a_row_is_pooled_as_if_it_were_alone_and_unpadded(rows: list[str], name: str, image: bool, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed % 2**32)
    states, over = torch.randn(len(rows), len(rows[0]), 3, generator=generator), IMAGE_POOLED if image else TEXT_POOLED
    pooling = make(name, 3)
    states[roles_of(*rows) == Role.PAD] = torch.nan
    together = pooling(states, roles_of(*rows), over=over)
    for i, row in enumerate(rows):
        at = [place for place, letter in enumerate(row) if letter != "."]
        alone = pooling(states[i : i + 1, at], roles_of(row.replace(".", "")), over=over)
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@given(ragged(), st.booleans())
def test_cls_and_mean_do_not_mind_where_a_token_stands(rows: list[str], image: bool) -> None:
    over = IMAGE_POOLED if image else TEXT_POOLED
    states, roles = torch.randn(len(rows), len(rows[0]), 3), roles_of(*rows)
    for name in ("cls", "mean", "max", "gem", "mean_sqrt_len"):
        flipped = make(name, 3)(states.flip(1), roles.flip(1), over=over)
        torch.testing.assert_close(flipped, make(name, 3)(states, roles, over=over))


def test_the_plain_slice_of_position_zero_is_wrong_and_roles_are_right() -> None:
    """Registers, a distillation token, left padding: what `[:, 0]` and `[:, 1:]` get wrong."""
    states, roles = numbers([7, 1, 2, 4, 8]), roles_of(".CRxx")
    assert Cls(1)(states, roles, over=IMAGE_POOLED).item() == 1 != states[0, 0].item()
    assert Mean(1)(states, roles, over=IMAGE_POOLED).item() == 6 != states[0, 1:].mean().item()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_states_are_summed_in_float32(dtype: torch.dtype) -> None:
    states, roles = torch.full((1, 5000, 2), 30.0, dtype=dtype), torch.full((1, 5000), int(Role.CONTENT))
    for name in ("mean", "weightedmean", "gem", "gem(20)", "last", "max"):
        vector = make(name, 2)(states, roles, over=IMAGE_POOLED)
        assert vector.dtype == dtype
        assert vector.float().tolist() == [pytest.approx([30, 30], rel=4e-3)], name


def test_double_precision_stays_double() -> None:
    states = torch.randn(2, 5, 3, dtype=torch.float64)
    vector = make("mean", 3)(states, roles_of("Cxxxx", "Cxxxx"), over=TEXT_POOLED)
    torch.testing.assert_close(vector, states.mean(1), rtol=1e-7, atol=1e-8)


def test_gem_lies_between_mean_and_maximum_and_grows_with_its_power() -> None:
    states, roles = torch.rand(2, 6, 4) + 0.1, roles_of("xxxxxx", "xxxxxx")
    found = [Gem(4, p)(states, roles, over=IMAGE_POOLED) for p in (1.0, 2.0, 3.0, 10.0, 100.0)]
    torch.testing.assert_close(found[0], states.mean(1))
    assert all((low <= high + 1e-6).all() for low, high in itertools.pairwise(found))
    torch.testing.assert_close(found[-1], states.amax(1), rtol=0.03, atol=0)


def test_gem_counts_negative_values_as_nothing() -> None:
    found = Gem(1, 2.0)(numbers([3, -4, -100]), roles_of("xxx"), over=IMAGE_POOLED).item()
    assert found == pytest.approx((9 / 3) ** 0.5)
    assert Gem(1, 2.0)(numbers([-4, -4]), roles_of("xx"), over=IMAGE_POOLED).item() == pytest.approx(1e-6)


def test_a_learned_power_gets_the_gradient_of_the_formula() -> None:
    states, roles = torch.rand(1, 5, 1, dtype=torch.float64) + 0.5, roles_of("xxxxx")
    gem = Gem(1, 2.0, learned=True).double()
    gem(states, roles, over=IMAGE_POOLED).sum().backward()
    power = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    (states.pow(power).mean() ** (1 / power)).backward()
    assert gem.power.grad is not None
    assert power.grad is not None
    torch.testing.assert_close(gem.power.grad, power.grad)
    assert [name for name, _ in make("gem", 1).named_parameters()] == []


@pytest.mark.parametrize("name", [*FREE, "dist", "cls_dist"])
def test_no_parameters(name: str) -> None:
    assert not make(name, 8).state_dict()


def test_roles_that_a_pooling_reads() -> None:
    """The encoder computes no others in its last block."""
    assert make("cls", 1).reads(TEXT_POOLED) == {Role.CLASS}
    assert make("cls_dist", 1).reads(TEXT_POOLED) == {Role.CLASS, Role.DISTILLATION}
    assert make("mean", 1).reads(IMAGE_POOLED) == {Role.CONTENT}
    assert make("last", 1).reads(TEXT_POOLED) == TEXT_POOLED
    assert make("weightedmean", 1).reads(IMAGE_POOLED) == TEXT_POOLED, "places are counted over the whole row"
    assert make("all", 1, positions=2).reads(IMAGE_POOLED) == TEXT_POOLED
