"""open_clip's checkpoints give the vectors of both sides that open_clip computed."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests import folders
from tests.encoder.golden import GOLDEN, golden, image_batch
from tests.encoder.parity import TOLERANCE, relative
from torch import Tensor

import classtoken as ct
from classtoken.contract.reading import own_pooler_of, projection_of
from classtoken.encoder.checkpoint import open_checkpoint, reference_names
from classtoken.encoder.families.open_clip import OPEN_CLIP, image_side, text_side
from classtoken.encoder.families.row import Family
from classtoken.encoder.shape import ImageStem
from classtoken.encoder.towers import LoadedTower, load_towers
from classtoken.errors import UnsupportedModel
from classtoken.pooling.spec import parse
from classtoken.readout import Readout
from classtoken.tensors import Tokens
from classtoken.values import IMAGE_POOLED, Role

MODELS = tuple(sorted(path.name for path in (GOLDEN / "open_clip").iterdir()))
PLAIN = {"image_size": 16, "layers": 2, "width": 16, "patch_size": 4}


def towers(name: str) -> tuple[LoadedTower, LoadedTower]:
    image, text = load_towers(open_checkpoint(GOLDEN / "open_clip" / name))
    assert (image.modality, text.modality) == ("image", "text")
    return image, text


def vector(tower: LoadedTower, tokens: Tokens) -> Tensor:
    """The vector that meets the other side's, before unit length."""
    loaded = tower.loaded
    assert loaded.family is not None
    pooler, _ = own_pooler_of(loaded.family, tower.config, loaded)
    projection = projection_of(loaded, needed=True)
    spec = parse(loaded.family.authors_readout(tower.config).spec)
    after = () if projection is None else (projection,)
    readout = Readout(spec, loaded.encoder.depth, IMAGE_POOLED, pooler=pooler, after=after)
    return readout(loaded.encoder(tokens))


def text_batch(tower: LoadedTower, ids: Tensor) -> Tokens:
    """The highest id ends a text; what stands behind it is padding, which SigLIP reads like any token."""
    roles = torch.full_like(ids, Role.CONTENT)
    ends, places = ids.argmax(1), torch.arange(ids.shape[1])
    if tower.loaded.inputs.end == "highest":
        roles[places == ends[:, None]] = int(Role.END)
    if not tower.loaded.inputs.pads_attended:
        roles[places > ends[:, None]] = int(Role.PAD)
    return Tokens(roles, ids)


def refused(side: Callable[[Mapping[str, Any]], tuple[Family, Mapping[str, Any]]], model: Mapping[str, Any]) -> str:
    """What is said of a side that is not supported."""
    with pytest.raises(UnsupportedModel) as caught:  # noqa: PT012  (the row or its shape may refuse)
        family, config = side(model)
        family.shape(config)
    return str(caught.value)


def test_every_row_has_a_golden() -> None:
    found = {tower.loaded.family.name for name in MODELS for tower in towers(name) if tower.loaded.family}
    assert found == {family.name for family in OPEN_CLIP}


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_both_sides(name: str) -> None:
    expected, (image, text) = golden("open_clip", name), towers(name)
    stem = image.loaded.encoder.shape.stem
    assert isinstance(stem, ImageStem)
    assert relative(expected["image"], vector(image, image_batch(stem, expected["pixels"]))) < TOLERANCE
    assert relative(expected["text"], vector(text, text_batch(text, expected["ids"]))) < TOLERANCE


@pytest.mark.parametrize("name", MODELS)
def test_names_go_back(name: str) -> None:
    on_disk = open_checkpoint(GOLDEN / "open_clip" / name).weights.read()
    written: dict[str, Tensor] = {}
    for tower in towers(name):
        assert tower.loaded.family is not None
        written |= reference_names(tower.loaded.encoder, tower.loaded.family, tower.loaded.prefix)
    assert all(torch.equal(on_disk[key], tensor) for key, tensor in written.items())
    beside = ("logit_", "text_projection", "text.text_projection", "visual.proj")
    beside = (*beside, "visual.trunk.attn_pool.", "visual.trunk.head.", "visual.ln_post.")
    assert [key for key in on_disk.keys() - written.keys() if not key.startswith(beside)] == []


def test_the_scale_of_the_similarity_is_kept() -> None:
    image, text = towers("siglip")
    assert {"logit_scale", "logit_bias"} <= image.loaded.rest.keys()
    assert image.loaded.encoder.hidden_size == text.loaded.rest["text_projection.weight"].shape[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"attentional_pool": True}, "attentional_pool"),
        ({"pool_type": "none"}, "pool_type"),
        ({"layers": [3, 4, 6, 3]}, "ResNet"),
        ({"timm_model_name": "convnext_base"}, "convnext_base"),
        ({"qk_norm": True}, "qk_norm"),
    ],
)
def test_other_image_sides_are_refused_by_name(change: dict[str, object], says: str) -> None:
    assert says in refused(image_side, {"vision_cfg": {**PLAIN, **change}})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hf_model_name": "roberta-base"}, "hf_model_name"),
        ({"pool_type": "first"}, "first"),
        ({"pool_type": "last", "proj_type": "mlp"}, "mlp"),
        ({"proj_type": "none"}, "none"),
        ({"proj_bias": True}, "proj_bias"),
        ({"proj_bias": True, "pool_type": "eos"}, "proj_bias"),
        ({"embed_cls": True}, "embed_cls"),
    ],
)
def test_other_text_sides_are_refused_by_name(change: dict[str, object], says: str) -> None:
    assert says in refused(text_side, {"text_cfg": {"width": 16, "heads": 2, "layers": 2, **change}})


PUBLISHED: dict[str, dict[str, dict[str, Any]]] = {
    "clip": {"text_cfg": {"pool_type": "eos", "eos_id": 3}},
    "clipa": {"text_cfg": {"hf_tokenizer_name": "bert-base-uncased", "tokenizer_kwargs": {"strip_sep_token": True}}},
    "siglip": {
        "text_cfg": {"hf_tokenizer_name": "timm/ViT-B-16-SigLIP", "tokenizer_kwargs": {"clean": "canonicalize"}},
        "vision_cfg": {"timm_drop": 0.0, "timm_drop_path": 0.0},
    },
    "perception_encoder": {},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_key_that_published_configs_have_is_understood(name: str, tmp_path: Path) -> None:
    """From files to vectors: nothing of open_clip's own configs is a reason to refuse them."""
    folder = shutil.copytree(GOLDEN / "open_clip" / name, tmp_path / name)
    folders.bert_tokenizer(folder, longest=10)
    config = json.loads((folder / "open_clip_config.json").read_text())
    for side, more in PUBLISHED[name].items():
        config["model_cfg"][side] |= more
    config["preprocess_cfg"] |= {"size": [16, 16], "mode": "RGB", "fill_color": 0}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    embedder = ct.load(folder)
    text = embedder.embed(["a cat", "the old boat is near"], modality="text")
    image = embedder.embed([np.zeros((20, 30, 3), np.uint8)], modality="image")
    assert text.shape[1] == image.shape[1] == config["model_cfg"]["embed_dim"]
    assert np.allclose(np.linalg.norm(text, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_both_sides_meet_at_unit_length(name: str, tmp_path: Path) -> None:
    """open_clip's forward makes both unit, whatever gives them; SigLIP's images had the lengths of timm's trunk."""
    folder = Path(shutil.copytree(GOLDEN / "open_clip" / name, tmp_path / name))
    folders.bert_tokenizer(folder, longest=10)
    embedder = ct.load(folder)
    assert {tower.reading.contract.unit_length for tower in embedder.towers.values()} == {True}
    vectors = embedder.embed(folders.pictures(), modality="image")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_an_unknown_key_of_the_tokenizer_is_settled_with_texts_as_open_clip_cleans_them(tmp_path: Path) -> None:
    """transformers' tokenizer neither cleans a text first nor takes a special token that is spelt in it for words."""
    folder = shutil.copytree(GOLDEN / "open_clip" / "clip", tmp_path / "clip")
    folders.bert_tokenizer(folder, longest=10)
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] |= {"pool_type": "eos", "eos_id": 3, "tokenizer_kwargs": {"clean": "canonicalize"}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "a_key_of_tomorrow": 1}))
    assert ct.load(folder).embed(["a cat, the boat"], modality="text").shape[0] == 1
