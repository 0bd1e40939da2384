"""States of all tokens beside the vectors: what is written, read back, brought up to date and verified."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests import folders

import classtoken as ct
from classtoken.errors import ManifestMismatch, OptionError
from classtoken.sink import verify
from classtoken.values import Role


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.tiny_vit(tmp_path_factory.mktemp("vit"))


TEXTS = ["the cat sits on the mat", "dog", "a red house far away"]


def test_word_pieces(tmp_path: Path, bert: Path) -> None:
    result = ct.embed(bert, TEXTS, tmp_path / "out", pooling="cls,mean", tokens=True)
    found, embedder = ct.read(tmp_path / "out"), ct.load(bert)
    for text, one in zip(TEXTS, found.states(), strict=True):
        expected = embedder.states([text]).last_BLD[0].numpy()
        np.testing.assert_allclose(one.states, expected, atol=2e-6)
        assert one.roles.tolist() == [Role.CLASS, *[Role.CONTENT] * (len(expected) - 2), Role.END]
        assert one.grid is None
    np.testing.assert_allclose(found.arrays["cls"], embedder.embed(TEXTS, pooling="cls"), atol=2e-6)
    assert (result.tokens, "states of all tokens" in str(result)) == (32, True)
    assert verify(tmp_path / "out").ok, verify(tmp_path / "out").problems
    assert found.columns[:6] == ("id", "cls", "mean", "tokens", "roles", "grid")
    with pytest.raises(ManifestMismatch, match="token states of size '32' instead of '0'"):
        ct.embed(bert, TEXTS, tmp_path / "out", pooling="cls,mean")


def test_patches_with_their_grid(tmp_path: Path, vit: Path) -> None:
    folders.coloured_squares(tmp_path / "photos", 5)
    ct.embed(vit, tmp_path / "photos", tmp_path / "out", pooling="cls", tokens=True, store="fp16", part_rows=2)
    found, embedder = ct.read(tmp_path / "out"), ct.load(vit)
    for path, one in zip(found.column("path"), found.states(), strict=True):
        assert one.grid is not None
        assert len(one.of(Role.CONTENT)) == one.grid[0] * one.grid[1]
        np.testing.assert_allclose(one.states, embedder.states([path]).last_BLD[0].numpy(), atol=5e-3)
        assert one.states.dtype == np.float32
    assert verify(tmp_path / "out").ok, verify(tmp_path / "out").problems


@pytest.mark.slow
def test_an_update_takes_them_along(tmp_path: Path, bert: Path) -> None:
    path, out = tmp_path / "a.txt", tmp_path / "out"
    path.write_text("\n".join([*TEXTS, "bird"]) + "\n")
    ct.embed(bert, path, out, tokens=True, part_rows=2)
    path.write_text("\n".join([TEXTS[0], "new", *TEXTS[1:], "bird"]) + "\n")
    result = ct.embed(bert, path, out, tokens=True, part_rows=2, update=True, workers=2)
    assert result.computed == 1
    ct.embed(bert, path, tmp_path / "fresh", tokens=True, part_rows=2)
    found, fresh = ct.read(out), ct.read(tmp_path / "fresh")
    for one, other in zip(found.states(), fresh.states(), strict=True):
        assert one.roles.tolist() == other.roles.tolist()
        np.testing.assert_allclose(one.states, other.states, atol=2e-6)
    assert verify(out).ok


@pytest.mark.parametrize("kind", ["npy", "safetensors"])
def test_other_formats(tmp_path: Path, bert: Path, kind: str) -> None:
    from safetensors.numpy import load_file

    result = ct.embed(bert, TEXTS, tmp_path / "out", tokens=True, part_rows=2, format=kind)
    found = list(ct.read(tmp_path / "out").states())
    assert any(name.startswith("tokens") for name in result.files)
    if kind == "npy":
        whole = np.load(tmp_path / "out/tokens.npy", mmap_mode="r")
        starts, roles = (np.load(tmp_path / f"out/tokens-{name}.npy") for name in ("starts", "roles"))
    else:
        shards = [load_file(tmp_path / "out" / name) for name in result.files if name.startswith("tokens")]
        whole, roles = (np.concatenate([shard[name] for shard in shards]) for name in ("tokens", "roles"))
        starts = np.cumsum([0, *np.concatenate([np.diff(shard["starts"]) for shard in shards])])
    for k, one in enumerate(found):
        np.testing.assert_array_equal(whole[starts[k] : starts[k + 1]], one.states)
        np.testing.assert_array_equal(roles[starts[k] : starts[k + 1]], one.roles)


def test_other_readers_and_folders_without(tmp_path: Path, bert: Path) -> None:
    ct.embed(bert, TEXTS, tmp_path / "out", tokens=True)
    (part,) = (tmp_path / "out").glob("part-*")
    column = pq.read_table(part).column("tokens").to_pylist()
    assert [len(one) for one in column] == [len(one) for one in ct.read(tmp_path / "out").states()]
    (tmp_path / "out/_meta/manifest.json").unlink()
    assert len(list(ct.read(tmp_path / "out").states())) == 3
    ct.embed(bert, TEXTS, tmp_path / "plain")
    with pytest.raises(OptionError, match="keeps no states of tokens; embed with `tokens`"):
        ct.read(tmp_path / "plain").states()
