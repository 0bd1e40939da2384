"""What a lower precision costs is measured on the user's own records, kept, and said where it is much."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests import folders
from torch import Tensor

import classtoken as ct
from classtoken.encoder.kernels import LaidOut, Product
from classtoken.encoder.products import products_of
from classtoken.run import drift, prepared
from classtoken.run.drift import costliest_block
from classtoken.run.embedding import EmbedStage
from classtoken.run.sample import records_twice, spread
from classtoken.sink import read_manifest
from classtoken.source import make_plan, open_source

WORDS = ["the", "cat", "dog", "bird", "sits", "runs", "on", "a", "mat", "under", "red", "blue", "house", "far", "away"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    path = tmp_path / "lines.txt"
    path.write_text("".join(" ".join(draw.choice(WORDS, draw.integers(2, 20))) + "\n" for _ in range(60)))
    return path


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_a_lower_precision_is_measured_on_the_users_own_records(
    precision: str, bert: Path, lines: Path, tmp_path: Path
) -> None:
    result = ct.embed(bert, lines, tmp_path / "out", precision=precision)  # type: ignore[arg-type]
    (kept,) = result.sampled.values()
    assert kept.records == 16
    exact, found = ct.load(bert), ct.load(bert, precision=precision)  # type: ignore[arg-type]
    texts = lines.read_text().splitlines()[:16]
    a, b = exact.embed(texts), found.embed(texts)
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert kept.lowest == pytest.approx(cosines.min(), abs=1e-4)
    assert kept.cosine == pytest.approx(cosines.mean(), abs=1e-4)
    assert "cosine to fp32" in str(result)
    manifest = read_manifest(tmp_path / "out")
    assert manifest.sampled == result.sampled
    assert manifest.products in ({"int8"} if precision == "int8" else {"oneDNN", "plain"})


def test_one_record_has_no_neighbours(bert: Path, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("the cat\n")
    said = str(ct.embed(bert, tmp_path / "one.txt", tmp_path / "out", precision="bf16"))
    assert "cannot be measured on 1 record" in said
    assert "neighbours" not in said


def test_fp32_is_not_measured(bert: Path, lines: Path, tmp_path: Path) -> None:
    assert not ct.embed(bert, lines, tmp_path / "out").sampled
    assert read_manifest(tmp_path / "out").products in {"oneDNN", "plain"}


def test_what_is_worse_than_usual_is_said_with_the_block(
    bert: Path, lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(prepared, "LOWEST", {"int8": 0.999999})
    with caplog.at_level(logging.WARNING, logger="classtoken"):
        result = ct.embed(bert, lines, tmp_path / "out", precision="int8")
    (kept,) = result.sampled.values()
    assert kept.block in (0, 1)
    assert "precision int8 moves some of these vectors far" in caplog.text
    assert f"most is lost in block {kept.block}" in str(result)


class Wrong(Product):
    """Three times what it should be, and of the other sign."""

    def __init__(self, right: Product):  # type: ignore[override]
        self.right = right

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        wrong = -3 * self.right(x)
        return wrong if residual is None else residual + wrong


@pytest.mark.parametrize("block", [0, 1])
def test_the_block_that_is_computed_badly_is_found(block: int, bert: Path, lines: Path) -> None:
    embedder = ct.load(bert, precision="int8")
    made = embedder._fast.get("text") or products_of(embedder.tower().reading.encoder, LaidOut)
    assert made is not None
    blocks = list(made.blocks)
    blocks[block] = replace(blocks[block], down=Wrong(blocks[block].down))
    embedder._fast["text"] = replace(made, blocks=tuple(blocks))
    source = open_source(lines)
    plan = make_plan(source)
    assert costliest_block(source, spread(plan, drift.FEW), EmbedStage(embedder, "text")) == block


@pytest.mark.parametrize(("total", "twice"), [(1, 16), (100, 16), (5_000, 100), (10**6, 256)])
def test_few_records_are_computed_twice(total: int, twice: int) -> None:
    assert records_twice(total) == twice
