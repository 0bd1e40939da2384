"""Fingerprints and spaces: what changes them, and what does not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests import folders
from tests.encoder.test_foreign import deberta, made

import classtoken as ct
from classtoken.embedder import Embedder
from classtoken.fingerprint import Fingerprint


def space(folder: Path, pooling: str | None = None, *, modality: str | None = None, **used: object) -> str:
    """The only space of a model's vectors."""
    (found,) = ct.load(folder, **used).fingerprint(pooling, modality=modality).spaces.values()
    return found


def copied(folder: Path, name: str) -> Path:
    return shutil.copytree(folder, folder.parent / name)


def edit(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def change_weight(folder: Path, part: str, value: float = 1e-3) -> None:
    """One number of one tensor whose name has this part."""
    (path,) = folder.glob("*.safetensors")
    weights = load_file(path)
    name = next(name for name in sorted(weights) if part in name)
    weights[name].view(-1)[0] += value
    save_file(weights, path, metadata={"format": "pt"})


# -- what changes nothing ----------------------------------------------------------------------------------------------


def _rename(folder: Path) -> Path:
    return folder.rename(folder.parent / "elsewhere")


def _shards(folder: Path) -> Path:
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights, reverse=True)
    places = {name: f"model-{i % 2}.safetensors" for i, name in enumerate(names)}
    for file in set(places.values()):
        part = {name: weights[name] for name in names if places[name] == file}
        save_file(part, folder / file, metadata={"format": "pt"})
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return folder


def _by_transformers(folder: Path) -> Path:
    import transformers

    out = folder.parent / "again"
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    model.save_pretrained(out)
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(out)
    return out


def _by_us(folder: Path) -> Path:
    return ct.load(folder).save(folder.parent / "saved")


def _other_classifier(folder: Path) -> Path:
    change_weight(folder, "classifier.weight")
    return folder


@pytest.mark.parametrize("change", [_rename, _shards, _by_transformers, _by_us, _other_classifier])
def test_what_leaves_the_vectors_alone_leaves_the_fingerprint_alone(
    tmp_path: Path, change: Callable[[Path], Path]
) -> None:
    folder = folders.tiny_bert(tmp_path / "bert", head=True)
    before = ct.load(folder)
    texts = folders.SENTENCES
    vectors, mark = before.embed(texts), before.fingerprint()
    after = ct.load(change(folder))
    np.testing.assert_array_equal(after.embed(texts), vectors)
    assert after.fingerprint() == mark


def test_stored_in_another_precision_the_same_numbers_are_the_same(tmp_path: Path) -> None:
    folder = folders.tiny_vit(tmp_path / "vit")
    path = folder / "model.safetensors"
    half = {name: tensor.half() for name, tensor in load_file(path).items()}
    save_file(half, path, metadata={"format": "pt"})
    mark = ct.load(folder).fingerprint()
    save_file({name: tensor.float() for name, tensor in half.items()}, path, metadata={"format": "pt"})
    assert ct.load(folder).fingerprint() == mark


def test_a_foreign_model_too(tmp_path: Path) -> None:
    made(deberta, tmp_path / "a")
    folders.bert_tokenizer(tmp_path / "a")
    mark = ct.load(tmp_path / "a").fingerprint()
    assert ct.load(copied(tmp_path / "a", "b")).fingerprint() == mark
    change_weight(tmp_path / "b", "dense.weight")
    assert ct.load(tmp_path / "b").fingerprint().spaces != mark.spaces


# -- what changes the fingerprint, and what the space besides ----------------------------------------------------------


def _same(folder: Path) -> Embedder:
    return ct.load(folder)


def _one_weight(folder: Path) -> Embedder:
    change_weight(folder, "layer.1.attention")
    return ct.load(folder)


def _one_sign(folder: Path) -> Embedder:
    weights = load_file(folder / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][3] *= -1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return ct.load(folder)


def _other_epsilon(folder: Path) -> Embedder:
    edit(folder / "config.json", layer_norm_eps=1e-5)
    return ct.load(folder)


def _other_tokenizer(folder: Path) -> Embedder:
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    return ct.load(folder)


def _bf16(folder: Path) -> Embedder:
    return ct.load(folder, precision="bf16")


def _unit_length(folder: Path) -> Embedder:
    return ct.load(folder, normalize=True)


def _max(folder: Path) -> Embedder:
    return ct.load(folder, pooling="max")


def _layer(folder: Path) -> Embedder:
    return ct.load(folder, pooling="mean@1")


@pytest.mark.parametrize(
    ("change", "field", "moved"),
    [
        (_same, None, False),
        (_one_weight, "weights", True),
        (_one_sign, "weights", True),
        (_other_epsilon, "weights", True),
        (_unit_length, "normalize", True),
        (_max, "poolings", True),
        (_layer, "poolings", True),
        (_other_tokenizer, "preprocessing", False),
        (_bf16, "precision", False),
    ],
)
def test_what_changes_the_numbers_changes_the_fingerprint(
    tmp_path: Path, change: Callable[[Path], Embedder], field: str | None, moved: bool
) -> None:
    """The differences name it; `moved`: the vectors may no longer be compared."""
    folder = folders.tiny_bert(tmp_path / "bert")
    before = ct.load(folder).fingerprint()
    after = change(folder).fingerprint()
    assert {line.split(" ")[0] for line in before.differences(after)} == ({field} if field else set())
    assert (set(before.spaces.values()) != set(after.spaces.values())) == moved


def test_a_resize_filter_changes_the_fingerprint_but_not_the_space(tmp_path: Path) -> None:
    folder = folders.tiny_vit(tmp_path / "vit")
    before = ct.load(folder).fingerprint()
    edit(folder / "preprocessor_config.json", resample=2)
    after = ct.load(folder).fingerprint()
    assert [line.split(" ")[0] for line in before.differences(after)] == ["preprocessing"]
    assert after.spaces == before.spaces


def test_prompts_lie_in_one_space_and_are_named_in_the_fingerprint(tmp_path: Path) -> None:
    embedder = ct.load(folders.sentence_transformer(tmp_path / "st", prompts=True))
    query, document = (embedder.fingerprint(prompt=name) for name in ("query", "document"))
    assert query.differences(document) == ("prompt 'a' instead of 'the red cat'",)
    assert query.spaces == document.spaces
    assert embedder.fingerprint() == query  # the checkpoint's default
    assert embedder.fingerprint(prompt="a") == document  # named or in words


def test_steps_after_the_pooling_make_another_space(tmp_path: Path) -> None:
    plain = folders.sentence_transformer(tmp_path / "plain", unit=False)
    dense = folders.sentence_transformer(tmp_path / "dense", unit=False, dense=32)
    assert space(plain) == space(dense, "mean") == space(plain, "mean")  # the same encoder, nothing after
    assert space(dense) != space(plain)
    first = space(dense)
    change_weight(dense / "2_Dense", "weight")
    assert space(dense) != first
    edit(dense / "2_Dense/config.json", activation_function="torch.nn.modules.linear.Identity")
    assert len({first, space(dense), space(dense, normalize=True)}) == 3


def test_only_the_pooler_depends_on_the_poolers_weights(tmp_path: Path) -> None:
    folder = folders.tiny_bert(tmp_path / "bert")
    other = copied(folder, "other")
    change_weight(other, "pooler.dense.weight")
    assert space(folder) == space(other)
    assert space(folder, "pooler") != space(other, "pooler")


def test_two_towers_meet_in_one_space_with_the_whole_contract_only(tmp_path: Path) -> None:
    folder = folders.tiny_clip(tmp_path / "clip")
    text, image = (space(folder, modality=side) for side in ("text", "image"))
    assert text == image
    assert space(folder, "mean", modality="text") != space(folder, "mean", modality="image")
    assert space(folder, modality="text", normalize=False) == space(folder, modality="image", normalize=False) != text
    assert space(folder, modality="text", precision="bf16") == text
    for part in ("text_model.encoder", "vision_model.encoder", "text_projection", "visual_projection"):
        other = copied(folder, part)
        change_weight(other, part)
        assert space(other, modality="text") == space(other, modality="image") != text, part


def test_several_vectors_have_a_space_each(tmp_path: Path) -> None:
    embedder = ct.load(folders.tiny_vit(tmp_path / "vit"))
    spaces = embedder.fingerprint("cls,mean,cls+mean,mean@-2").spaces
    assert list(spaces) == ["cls", "mean", "cls+mean", "mean@-2"]
    assert len(set(spaces.values())) == 4
    assert embedder.fingerprint("mean").spaces["mean"] == spaces["mean"]


def test_weights_that_were_changed_in_memory_count(tmp_path: Path) -> None:
    embedder = ct.load(folders.tiny_vit(tmp_path / "vit"))
    before = embedder.fingerprint()
    with torch.no_grad():
        next(embedder.encoder.parameters()).view(-1)[0] += 1e-3
    assert embedder.fingerprint().weights != before.weights


def test_every_part_and_the_manifest_have_it(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    folder = folders.tiny_bert(tmp_path / "bert")
    (tmp_path / "a.txt").write_text("the cat\na red dog\nthe mat\n", encoding="utf-8")
    ct.embed(folder, tmp_path / "a.txt", tmp_path / "out", part_rows=2)
    mark = ct.load(folder).fingerprint()
    assert ct.read(tmp_path / "out").manifest.fingerprint == mark
    parts = sorted((tmp_path / "out").glob("*.parquet"))
    assert len(parts) == 2
    for part in parts:
        assert Fingerprint.from_json(pq.read_schema(part).metadata[b"classtoken.fingerprint"]) == mark
