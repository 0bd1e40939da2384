"""What made a vector travels with it: in every part, whatever becomes of the manifest; and what it changes with."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file, save_file
from tests import folders

import classtoken as ct
from classtoken.errors import ManifestMismatch, OutputError


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("travels")
    folders.tiny_bert(root / "bert")
    folders.tiny_vit(root / "vit", pooler=False)
    (root / "a.txt").write_text("the cat\na dog runs\nred bird\n")
    ct.embed(root / "bert", root / "a.txt", root / "cls", pooling="cls", part_rows=2)
    ct.embed(root / "bert", root / "a.txt", root / "mean", pooling="mean", part_rows=2)
    return root


def made(folder: Path) -> list[dict]:
    return [
        json.loads(pq.read_schema(path).metadata[b"classtoken.fingerprint"])
        for path in sorted(folder.glob("part-*.parquet"))
    ]


def test_every_part_says_what_made_it(place: Path) -> None:
    first, second = made(place / "cls")
    assert (
        first
        == second
        == ct.read(place / "cls").manifest.fingerprint.to_dict() | {"format": "classtoken.Fingerprint/1"}
    )


def test_parts_of_one_making_are_read_without_a_manifest(place: Path, tmp_path: Path) -> None:
    whole = ct.read(place / "cls")
    for path in (place / "cls").glob("part-*"):
        shutil.copy(path, tmp_path)
    found = ct.read(tmp_path)
    assert found.ids == whole.ids
    np.testing.assert_array_equal(found.arrays["cls"], whole.arrays["cls"])
    assert found.carried == ("text",)
    assert found.manifest.fingerprint == whole.manifest.fingerprint


def test_a_folder_mixed_by_hand_is_refused_with_and_without_its_manifest(place: Path, tmp_path: Path) -> None:
    for name in ("cls", "mean"):
        for path in (place / name).glob("part-*"):
            shutil.copy(path, tmp_path)
    with pytest.raises(ManifestMismatch, match=r"mixes vectors: part-.* was made with"):
        ct.read(tmp_path)
    shutil.copytree(place / "cls/_meta", tmp_path / "_meta")
    listed = ct.read(tmp_path)  # what the manifest does not list is not looked at
    assert listed.ids == ("0", "1", "2")
    assert "does not list" in ct.verify(tmp_path).problems[0]


def test_bytes_without_their_ranges_are_refused(place: Path, tmp_path: Path) -> None:
    ct.embed(place / "bert", place / "a.txt", tmp_path / "out", store="int8")
    shutil.rmtree(tmp_path / "out/_meta")
    with pytest.raises(OutputError, match="says what its bytes stand for"):
        ct.read(tmp_path / "out")


def fingerprint(model: Path, **options):  # type: ignore[no-untyped-def]
    embedder = ct.load(model, **options)
    return embedder.fingerprint(modality=embedder.modalities[0])


def test_it_survives_a_new_name_a_copy_and_another_save(place: Path, tmp_path: Path) -> None:
    own = fingerprint(place / "bert")
    shutil.copytree(place / "bert", tmp_path / "renamed")
    weights = load_file(tmp_path / "renamed/model.safetensors")
    save_file(dict(sorted(weights.items(), reverse=True)), tmp_path / "renamed/model.safetensors", {"format": "pt"})
    assert fingerprint(tmp_path / "renamed") == own


def test_it_changes_with_what_moves_vectors(place: Path, tmp_path: Path) -> None:
    own = fingerprint(place / "bert")
    shutil.copytree(place / "bert", tmp_path / "bert")
    weights = load_file(tmp_path / "bert/model.safetensors")
    name = next(name for name in weights if name.endswith("attention.self.query.weight"))
    weights[name][0, 0] += 1e-3
    save_file(weights, tmp_path / "bert/model.safetensors", {"format": "pt"})
    assert fingerprint(tmp_path / "bert").differences(own)
    assert fingerprint(place / "bert", pooling="max").differences(own)
    image = fingerprint(place / "vit")
    shutil.copytree(place / "vit", tmp_path / "vit")
    settings = json.loads((tmp_path / "vit/preprocessor_config.json").read_text())
    settings["resample"] = 0 if settings.get("resample") != 0 else 3
    (tmp_path / "vit/preprocessor_config.json").write_text(json.dumps(settings))
    assert fingerprint(tmp_path / "vit").differences(image) == ("preprocessing that differs",)
