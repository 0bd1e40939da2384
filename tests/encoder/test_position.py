"""Positions by independent formulas: loops over numbers, complex multiplication, the references' own functions."""

import cmath
import math

import pytest
import torch
import transformers as hf
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.t5.modeling_t5 import T5Attention
from transformers.models.vit_mae.modeling_vit_mae import ViTMAEEmbeddings

from classtoken.encoder.position import (
    bucket,
    grid_angles,
    grid_sinusoids,
    resize_grid,
    resize_table,
    rotate,
    sinusoids,
    table_index,
    text_angles,
)

CPU = torch.device("cpu")


@given(st.integers(0, 40), st.sampled_from([2, 4, 8]), st.floats(2, 1e6))
def test_text_angles(n: int, size: int, base: float) -> None:
    angles = text_angles(torch.tensor([[n]]), size, base)[0, 0].tolist()
    expected = [n * base ** (-2 * j / size) for j in range(size // 2)]
    assert angles == pytest.approx(expected * 2, rel=1e-5)


def test_rotate_is_multiplication_by_a_unit_complex_number() -> None:
    x, angles = torch.randn(1, 1, 1, 6), torch.randn(1, 1, 3).repeat(1, 1, 2)
    turned = rotate(x, angles)[0, 0, 0].tolist()
    for j in range(3):
        z = complex(x[0, 0, 0, j], x[0, 0, 0, j + 3]) * cmath.exp(1j * float(angles[0, 0, j]))
        assert (turned[j], turned[j + 3]) == pytest.approx((z.real, z.imag), abs=1e-6)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_rotated_heads_know_distances_only(m: int, n: int, shift: int) -> None:
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 8)

    def product(a: int, b: int) -> float:
        at = [text_angles(torch.tensor([[place]]), 8, 100.0) for place in (a, b)]
        return float((rotate(q, at[0]) * rotate(k, at[1])).sum())

    assert product(m, n) == pytest.approx(product(m + shift, n + shift), abs=1e-4)


@pytest.mark.parametrize("grid", [(1, 1), (2, 3), (4, 4)])
def test_grid_angles(grid: tuple[int, int]) -> None:
    size, base = 8, 50.0
    angles = grid_angles(grid, size, base, CPU)
    for row in range(grid[0]):
        for column in range(grid[1]):
            centres = [2 * (row + 0.5) / grid[0] - 1, 2 * (column + 0.5) / grid[1] - 1]
            expected = [2 * math.pi * c / base ** (4 * j / size) for c in centres for j in range(size // 4)]
            assert angles[row * grid[1] + column].tolist() == pytest.approx(expected * 2, abs=1e-5)


@given(st.integers(-300, 300), st.sampled_from([4, 8, 16, 32, 64]), st.sampled_from([20, 64, 128]))
def test_buckets_are_t5_s(distance: int, buckets: int, reach: int) -> None:
    at = torch.tensor([[distance]])
    expected = T5Attention._relative_position_bucket(at, True, buckets, reach)
    assert torch.equal(bucket(at, buckets, reach), expected)


def test_buckets_of_one_direction_grow_with_the_distance_up_to_the_last() -> None:
    places = bucket(torch.arange(0, 400), 32, 128)
    assert places[0] == 0
    assert places[1:].min() == 17
    assert bool((places[1:].diff() >= 0).all())
    assert places[-1] == 31


@pytest.mark.parametrize("grid", [(1, 1), (2, 3), (3, 3)])
def test_table_index(grid: tuple[int, int]) -> None:
    h, w = grid
    index = table_index(grid, CPU)
    cells = [(row, column) for row in range(h) for column in range(w)]
    for q, (row, column) in enumerate(cells):
        for k, (key_row, key_column) in enumerate(cells):
            expected = (row - key_row + h - 1) * (2 * w - 1) + (column - key_column + w - 1)
            assert index[q + 1, k + 1] == expected
    patches = (2 * h - 1) * (2 * w - 1)
    assert set(index[0, 1:].tolist()) == {patches}
    assert set(index[1:, 0].tolist()) == {patches + 1}
    assert index[0, 0] == patches + 2


@pytest.mark.parametrize("size", [2, 6, 8])
def test_sinusoids(size: int) -> None:
    mixed, halves = sinusoids(5, size), sinusoids(5, size, interleaved=False)
    for n in range(5):
        for j in range(size // 2):
            angle = n / 10000 ** (2 * j / size)
            assert float(mixed[n, 2 * j]) == pytest.approx(math.sin(angle), abs=1e-6)
            assert float(mixed[n, 2 * j + 1]) == pytest.approx(math.cos(angle), abs=1e-6)
            assert float(halves[n, j]) == float(mixed[n, 2 * j])
            assert float(halves[n, size // 2 + j]) == float(mixed[n, 2 * j + 1])


def test_grid_sinusoids_are_mae_s() -> None:
    config = hf.ViTMAEConfig(hidden_size=16, num_attention_heads=2, image_size=12, patch_size=4)
    embeddings = ViTMAEEmbeddings(config)
    embeddings.initialize_weights()
    expected = embeddings.position_embeddings[0, 1:]
    assert torch.allclose(grid_sinusoids((3, 3), 16), expected, atol=1e-6)


def test_grid_sinusoids_of_a_grid_that_is_not_square() -> None:
    positions = grid_sinusoids((2, 3), 8).view(2, 3, 8)
    assert torch.equal(positions[0, :, :4], positions[1, :, :4])  # the column's half
    assert torch.equal(positions[:, 0, 4:], positions[:, 2, 4:])  # the row's half
    assert not torch.equal(positions[0, 0], positions[1, 0])


@pytest.mark.parametrize("how", ["bicubic", "bicubic_antialias", "bilinear", "bilinear_antialias"])
def test_resizing_keeps_what_is_constant_and_what_has_its_size(how: str) -> None:
    positions = torch.randn(6, 4)
    assert resize_grid(positions, (2, 3), (2, 3), how) is positions  # type: ignore[arg-type]
    constant = torch.randn(4).expand(6, 4)
    larger = resize_grid(constant, (2, 3), (5, 7), how)  # type: ignore[arg-type]
    assert larger.shape == (35, 4)
    assert torch.allclose(larger, constant[0].expand(35, 4), atol=1e-5)


def test_bilinear_resizing_by_hand() -> None:
    positions = torch.tensor([[0.0], [1.0]])  # a grid of one row and two columns
    assert resize_grid(positions, (1, 2), (1, 4), "bilinear").flatten().tolist() == [0.0, 0.25, 0.75, 1.0]


def test_resized_tables_keep_the_class_token_s_entries() -> None:
    table = torch.randn(3 * 3 + 3, 2)
    assert resize_table(table, (2, 2), (2, 2)) is table
    larger = resize_table(table, (2, 2), (3, 4))
    assert larger.shape == (5 * 7 + 3, 2)
    assert torch.equal(larger[-3:], table[-3:])
    assert torch.equal(larger[:-3].view(5, 7, 2)[2, 3], table[:-3].view(3, 3, 2)[1, 1])  # distance nought in the middle
