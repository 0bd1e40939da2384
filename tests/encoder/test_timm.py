"""timm's checkpoints, as timm wrote them, give the states, pooled vectors and logits that timm computed."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from tests.encoder.golden import GOLDEN, golden, image_batch
from tests.encoder.parity import TOLERANCE, relative

import classtoken as ct
from classtoken.contract.reading import classifier_of, own_pooler_of
from classtoken.encoder.checkpoint import open_checkpoint, reference_names
from classtoken.encoder.families.row import PoolerRow
from classtoken.encoder.families.timm import timm_spec
from classtoken.encoder.families.timm_config import heads_of, timm_config
from classtoken.encoder.families.timm_table import TIMM, timm_family
from classtoken.encoder.kernels import LaidOut
from classtoken.encoder.products import products_of
from classtoken.encoder.shape import ImageStem
from classtoken.encoder.towers import LoadedTower, load_towers
from classtoken.errors import UnsupportedModel
from classtoken.pooling.spec import parse
from classtoken.readout import Readout
from classtoken.tensors import Recorder, names_of_trace
from classtoken.values import IMAGE_POOLED

#: Architecture -> what it is by name alone, as timm builds it (`tools/make_timm_names.py`).
NAMES = json.loads((GOLDEN / "timm_names.json").read_text())
MODELS = tuple(sorted(path.name for path in (GOLDEN / "timm").iterdir()))


def tower(name: str) -> LoadedTower:
    (only,) = load_towers(open_checkpoint(GOLDEN / "timm" / name))
    return only


def test_every_row_has_a_golden() -> None:
    read = [json.loads((GOLDEN / "timm" / name / "golden.json").read_text())["architecture"] for name in MODELS]
    assert {timm_family({"architecture": name}).name for name in read} == {family.name for family in TIMM}


@pytest.mark.slow
@pytest.mark.parametrize("size", ["", "other."])
@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_states_pooled_and_logits(name: str, size: str) -> None:
    expected, read = golden("timm", name), tower(name)
    loaded, stem = read.loaded, read.loaded.encoder.shape.stem
    assert isinstance(stem, ImageStem)
    assert loaded.family is not None
    tokens = image_batch(stem, expected[f"{size}pixels"])
    states = loaded.encoder(tokens)
    assert relative(expected[f"{size}states"], states.last_BLD) < TOLERANCE
    recorder = Recorder(names_of_trace(loaded.encoder.depth))
    assert relative(states.last_BLD, loaded.encoder(tokens, trace=recorder).last_BLD) < TOLERANCE
    fast = products_of(loaded.encoder, LaidOut)
    assert fast is not None
    assert relative(states.last_BLD, loaded.encoder(tokens, fast=fast).last_BLD) < TOLERANCE
    pooler, _ = own_pooler_of(loaded.family, read.config, loaded)
    spec = parse(timm_spec(read.config))
    pooled = Readout(spec, loaded.encoder.depth, IMAGE_POOLED, pooler=pooler)(states)
    assert relative(expected[f"{size}pooled"], pooled) < TOLERANCE
    classifier = classifier_of(loaded.family, read.config, loaded, pooler, IMAGE_POOLED)
    assert (classifier is not None) == (f"{size}logits" in expected)
    if classifier is not None:
        assert relative(expected[f"{size}logits"], classifier(states)) < TOLERANCE


@pytest.mark.parametrize("name", MODELS)
def test_names_go_back(name: str) -> None:
    read = tower(name)
    assert read.loaded.family is not None
    on_disk = open_checkpoint(GOLDEN / "timm" / name).weights.read()
    ours = reference_names(read.loaded.encoder, read.loaded.family)
    assert ours.keys() | read.loaded.rest.keys() == on_disk.keys()
    assert all(torch.equal(on_disk[key], tensor) for key, tensor in ours.items())


def test_the_wrapper_of_transformers_is_read_too(tmp_path: Path) -> None:
    """`TimmWrapperModel.save_pretrained`: the same names below `timm_model.`, and a model_type."""
    from safetensors.torch import load_file, save_file

    source = GOLDEN / "timm" / "deit3_small_patch16_224"
    config = json.loads((source / "config.json").read_text())
    wrapped = config | {"model_type": "timm_wrapper", "architectures": ["TimmWrapperForImageClassification"]}
    (tmp_path / "config.json").write_text(json.dumps(wrapped))
    weights = load_file(source / "model.safetensors")
    save_file({f"timm_model.{name}": tensor for name, tensor in weights.items()}, tmp_path / "model.safetensors")
    (read,) = load_towers(open_checkpoint(tmp_path))
    expected = tower("deit3_small_patch16_224").loaded.encoder.state_dict()
    assert all(torch.equal(expected[name], value) for name, value in read.loaded.encoder.state_dict().items())


@pytest.mark.parametrize(
    ("architecture", "hidden", "heads"),
    [
        ("vit_tiny_patch16_224", 192, 3),
        ("vit_base_patch16_224", 768, 12),
        ("vit_large_patch14_clip_336", 1024, 16),
        ("vit_huge_patch14_224", 1280, 16),
        ("vit_giant_patch14_dinov2", 1536, 24),
        ("vit_giantopt_patch16_siglip_384", 1536, 16),
        ("vit_so400m_patch14_siglip_384", 1152, 16),
        ("vit_gigantic_patch14_clip_224", 1664, 16),
        ("vit_base_patch16_gap_224", 768, 16),
    ],
)
def test_heads_that_the_files_do_not_name(architecture: str, hidden: int, heads: int) -> None:
    assert heads_of(architecture, hidden) == heads


@pytest.mark.parametrize("architecture", NAMES)
def test_what_an_architecture_is_by_its_name_alone(architecture: str) -> None:
    wanted = NAMES[architecture]
    hidden, family = wanted["hidden_size"], timm_family({"architecture": architecture})
    sizes = {"patch_embed.proj.weight": (hidden, 3, 16, 16), "blocks.0.mlp.fc2.weight": (hidden, 4 * hidden)}
    config = timm_config({"architecture": architecture}, sizes)
    assert config["pool"] == wanted["pool"]
    block, position = family.shape(config).block, family.shape(config).position
    assert (block.heads, block.norm_eps) == (wanted["heads"], wanted["norm_eps"])
    assert config["activation"] == wanted["activation"]
    if "pool_heads" in wanted:
        assert family.pooler_row(config).heads in (wanted["pool_heads"], None)
        assert (family.pooler_row(config).heads or block.heads) == wanted["pool_heads"]
        assert family.pooler_row(config).activation == wanted["pool_activation"]
    if "reference" in wanted:
        counted = position.counted
        assert counted is not None
        found = list(counted.reference), counted.offset, "xy" if counted.columns_first else "ij"
        assert found == (wanted["reference"], wanted["offset"], wanted["order"])
    if "base" in wanted:
        assert (position.rotary[0], position.rotary_pairs) == (wanted["base"], not wanted["rotates_half"])


@pytest.mark.parametrize("architecture", ["resnet50", "vit_small_patch16_18x2_224", "swin_tiny_patch4_window7_224"])
def test_other_architectures_are_refused_by_name(architecture: str, tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "timm" / "vit_tiny_patch16_224", tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"architecture": architecture}))
    with pytest.raises(UnsupportedModel, match=re.escape(f"'{architecture}'")):
        load_towers(open_checkpoint(tmp_path / "model"))


def test_everything_that_timm_writes_is_understood() -> None:
    """No key of timm's config is a reason to refuse a folder."""
    for name in MODELS:
        (tower,) = ct.load(GOLDEN / "timm" / name).towers.values()
        assert not [claim for claim in tower.reading.claims if claim.subject == "not understood"], name


def map_pooled(architecture: str, **more: tuple[int, ...]) -> PoolerRow:
    sizes = {"patch_embed.proj.weight": (64, 3, 16, 16), "blocks.0.mlp.fc2.weight": (64, 256), **more}
    config = timm_config({"architecture": architecture, "model_args": {"global_pool": "map"}}, sizes)
    return timm_family({"architecture": architecture}).pooler_row(config)


def test_the_heads_of_an_attention_pool_are_those_of_its_line_of_models() -> None:
    assert map_pooled("vit_pe_core_base_patch16_224").heads == 8
    assert map_pooled("vit_pe_spatial_base_patch16_512").heads is None  # as many as a block's


def test_a_norm_behind_an_attention_pool_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match="a norm behind it"):
        map_pooled("vit_tiny_patch16_224", **{"fc_norm.weight": (64,)})
