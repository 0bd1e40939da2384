"""From a folder to its encoders: one side or two, old and new spellings, and a real checkpoint."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from tests import folders
from tests.encoder.cases_image import VIT, msn, pixels
from tests.encoder.cases_text import chinese_clip, metaclip
from tests.encoder.cases_towers import clip, siglip, siglip2
from tests.encoder.parity import TOLERANCE, Case, errors, randomise, relative, set_up
from torch import nn

import classtoken as ct
from classtoken.encoder.checkpoint import open_checkpoint
from classtoken.encoder.families.row import AuthorsReadout
from classtoken.encoder.families.table import DIALECTS, FAMILIES, PAIRS
from classtoken.encoder.shape import BlockShape, ImageStem, PositionShape, Shape
from classtoken.encoder.towers import load_towers
from classtoken.errors import ModelError
from classtoken.tensors import Tokens
from classtoken.values import Role


def written(model: nn.Module, folder: Path) -> Any:
    """The model with no weight at its initial value, in a folder."""
    model.eval()
    randomise(model)
    model.save_pretrained(folder)
    return model


def reconfigured(folder: Path, change: Mapping[str, Any]) -> None:
    """Change config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


PAIR_MODELS = {
    "chinese_clip": (hf.ChineseCLIPModel, chinese_clip),
    "clip": (hf.CLIPModel, clip),
    "siglip": (hf.SiglipModel, siglip),
    "siglip2": (hf.Siglip2Model, siglip2),
    "metaclip_2": (hf.MetaClip2Model, metaclip),
}


def test_every_pair_is_tried() -> None:
    assert PAIR_MODELS.keys() == PAIRS.keys()


@pytest.mark.parametrize("kind", PAIR_MODELS)
@torch.no_grad()
def test_both_sides_of_a_pair(kind: str, tmp_path: Path) -> None:
    build, config = PAIR_MODELS[kind]
    model = written(build(config()), tmp_path)
    image, text = load_towers(open_checkpoint(tmp_path))
    assert (image.modality, text.modality) == ("image", "text")
    assert (image.loaded.family, text.loaded.family) == PAIRS[kind]
    ids = torch.randint(3, 50, (2, 12))
    theirs = model.text_model(input_ids=ids).last_hidden_state
    ours = text.loaded.encoder(Tokens(torch.full_like(ids, Role.CONTENT), ids)).last_BLD
    assert relative(theirs, ours) < TOLERANCE
    assert torch.equal(image.loaded.rest["logit_scale"], model.logit_scale)
    if kind == "clip":
        assert torch.equal(image.loaded.rest["visual_projection.weight"], model.visual_projection.weight)


def test_chinese_clip_gives_the_vectors_of_transformers(tmp_path: Path) -> None:
    """Both sides from files to vectors at unit length: a BERT that is read by its class token, and a CLIP."""
    folders.bert_tokenizer(tmp_path, longest=16)
    tokenizer = hf.AutoTokenizer.from_pretrained(tmp_path)
    config = chinese_clip()
    config.text_config.vocab_size = len(tokenizer)
    config.vision_config.image_size = 32
    model = written(hf.ChineseCLIPModel(config), tmp_path)
    settings = {"image_processor_type": "ChineseCLIPImageProcessor", "size": {"height": 32, "width": 32}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**settings, "do_center_crop": False}))
    texts, picture = ["a small cat", "the old boat is near"], np.full((40, 50, 3), 90, np.uint8)
    picture[:20, :, 0] = 200
    pixels_BCHW = hf.AutoImageProcessor.from_pretrained(tmp_path)(picture, return_tensors="pt")
    with torch.no_grad():
        text = model.get_text_features(**tokenizer(texts, padding=True, return_tensors="pt")).pooler_output
        image = model.get_image_features(**pixels_BCHW).pooler_output
    embedder = ct.load(tmp_path)
    for modality, items, theirs in (("text", texts, text), ("image", [picture], image)):
        ours = torch.from_numpy(embedder.embed(items, modality=modality))
        assert relative(torch.nn.functional.normalize(theirs, dim=-1), ours) < TOLERANCE
    found = ct.inspect(tmp_path)
    assert [tower.doubtful for tower in found.towers] == [(), ()]
    assert "refused" not in str(found)


def test_one_side_of_a_pair_may_be_all_there_is(tmp_path: Path) -> None:
    written(hf.SiglipForImageClassification(siglip(num_labels=5)), tmp_path)
    (image,) = load_towers(open_checkpoint(tmp_path))
    assert image.modality == "image"
    assert len(image.config["id2label"]) == 5
    assert image.config["architectures"] == ["SiglipForImageClassification"]


def test_a_published_config_that_leaves_everything_out(tmp_path: Path) -> None:
    """google/siglip-base-patch16-224 names the two types and nothing else."""
    small = {"num_hidden_layers": 1, "vocab_size": 50}  # only to be quick
    model = hf.SiglipModel(hf.SiglipConfig(vision_config=small, text_config=small))
    model.save_pretrained(tmp_path)
    bare = {f"{side}_config": {"model_type": f"siglip_{side}_model", **small} for side in ("vision", "text")}
    reconfigured(tmp_path, bare)
    image, text = load_towers(open_checkpoint(tmp_path))
    assert str(image.loaded.encoder.layout) == "14x14 patch = 196"
    assert (image.loaded.encoder.heads, text.loaded.encoder.hidden_size) == (12, 768)


def test_names_whose_prefix_is_there_only_in_part(tmp_path: Path) -> None:
    """transformers 5 writes ViT-MSN's classifier with `vit.` before the embeddings and nothing before the blocks."""
    case = Case(
        "vit_msn with a head",
        "vit_msn",
        lambda: hf.ViTMSNForImageClassification(msn(num_labels=5)),
        pixels("vit_msn"),
        logits=True,
    )
    found = errors(set_up(case, tmp_path))
    assert max(found.values()) < TOLERANCE
    assert "logits" in found


@torch.no_grad()
def test_masked_autoencoders_are_not_masked_here(tmp_path: Path) -> None:
    """The reference drops 75 % of the patches at random, in eval() too; here all stay, in order, every time."""
    model = written(hf.ViTMAEModel(hf.ViTMAEConfig(**VIT)), tmp_path)
    (tower,) = load_towers(open_checkpoint(tmp_path))
    values = torch.randn(2, 3, 16, 16)
    roles = torch.tensor([int(role) for role in tower.loaded.encoder.layout.roles()]).expand(2, -1)
    tokens = Tokens(roles, pixels=values)
    assert model(values).last_hidden_state.shape[1] == 5
    assert not torch.equal(model(values).last_hidden_state, model(values).last_hidden_state)
    states = tower.loaded.encoder(tokens).last_BLD
    assert states.shape[1] == 17
    assert torch.equal(states, tower.loaded.encoder(tokens).last_BLD)


@torch.no_grad()
def test_a_real_deit_gives_what_transformers_gives(shared: Path) -> None:
    folder = shared / "models" / "deit-tiny-patch16-224"
    (tower,) = load_towers(open_checkpoint(folder))
    encoder = tower.loaded.encoder
    assert str(encoder.layout) == "1 class + 14x14 patch = 197"
    reference = hf.AutoModelForImageClassification.from_pretrained(folder).eval()
    values = torch.randn(2, 3, 224, 224)
    roles = torch.tensor([int(role) for role in encoder.layout.roles()]).expand(2, -1)
    out = reference(values, output_hidden_states=True)
    states = encoder(Tokens(roles, pixels=values))
    assert relative(reference.base_model(values).last_hidden_state, states.last_BLD) < TOLERANCE
    row = tower.loaded.family.head_among(tower.loaded.rest, tower.config["architectures"])
    assert row.linear
    weight, bias = tower.loaded.rest["classifier.weight"], tower.loaded.rest["classifier.bias"]
    class_token = encoder(Tokens(roles, pixels=values), rows={Role.CLASS}).last_BLD[:, 0]
    assert relative(out.logits, class_token @ weight.T + bias) < TOLERANCE


def test_every_row_says_what_it_is() -> None:
    for family in FAMILIES + DIALECTS:
        assert family.paper, family.name
        assert family.used_by, family.name
        readout = family.readout
        assert isinstance(readout, AuthorsReadout) or readout.__doc__, family.name
        if family.modality == "image" and family in FAMILIES:
            assert family.input_defaults({}).image, family.name


def test_tables_belong_to_one_class_token_before_the_patches() -> None:
    block = BlockShape(heads=2, feedforward_size=8)
    for stem in (
        ImageStem(patch=4, image=(16, 16), class_tokens=1, class_last=True),
        ImageStem(patch=4, image=(16, 16)),
        ImageStem(patch=4, image=(16, 16), class_tokens=1, registers=1),
    ):
        with pytest.raises(ModelError, match="relative position tables"):
            Shape(hidden_size=8, depth=1, stem=stem, block=block, position=PositionShape(tables="shared"))
