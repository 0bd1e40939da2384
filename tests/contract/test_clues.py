"""What files say: every source with its rank, conflicts shown, nothing left out."""

import json
import shutil
from pathlib import Path

import pytest
from tests import folders

from classtoken.contract import clues
from classtoken.contract.model import read_model
from classtoken.contract.reading import choose
from classtoken.encoder.checkpoint import open_checkpoint
from classtoken.encoder.towers import load_towers
from classtoken.errors import ModelError
from classtoken.model_folder import Prompts, read_prompts, transformer_folder
from classtoken.results.inspect import Verdict


def modules_json(folder: Path, *kinds: str) -> None:
    entries = [
        {
            "idx": i,
            "name": str(i),
            "path": "" if k == "Transformer" else f"{i}_{k}",
            "type": f"sentence_transformers.models.{k}",
        }
        for i, k in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(entries))
    for i, kind in enumerate(kinds):
        (folder / f"{i}_{kind}").mkdir(exist_ok=True)


@pytest.mark.parametrize(
    ("config", "spec"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, "cls+mean"),
        ({"pooling_mode_lasttoken": True}, "last"),
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode": ["cls", "max"]}, "cls+max"),
        ({"pooling_mode": "cls+mean_sqrt_len_tokens"}, "cls+mean_sqrt_len"),
    ],
)
def test_pooling_in_old_and_new_keys(tmp_path: Path, config: dict, spec: str) -> None:
    modules_json(tmp_path, "Transformer", "Pooling", "Normalize")
    (tmp_path / "1_Pooling/config.json").write_text(json.dumps(config))
    clue = clues.sentence_transformers(tmp_path)
    assert clue is not None
    assert (clue.spec, clue.rank, [step.kind for step in clue.steps]) == (spec, 0, ["unit_length"])


def test_an_unknown_module_is_an_error_and_not_left_out(tmp_path: Path) -> None:
    modules_json(tmp_path, "Transformer", "Pooling", "Twist")
    (tmp_path / "1_Pooling/config.json").write_text('{"pooling_mode": "mean"}')
    with pytest.raises(ModelError, match="'Twist' that is not known"):
        clues.sentence_transformers(tmp_path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"pooling_mode": "median"}, "'median'; known are"),
        ({"pooling_mode": []}, "switches on no pooling"),
    ],
)
def test_a_pooling_that_cannot_be_read(tmp_path: Path, config: dict, message: str) -> None:
    modules_json(tmp_path, "Transformer", "Pooling")
    (tmp_path / "1_Pooling/config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=message):
        clues.sentence_transformers(tmp_path)


def test_the_card_against_the_config_is_a_dispute_in_which_the_config_wins(tmp_path: Path) -> None:
    folder = folders.sentence_transformer(tmp_path / "st", mode="mean")
    (folder / "README.md").write_text("Use it so:\n\n    vector = model(**x).last_hidden_state[:, 0]\n")
    card = clues.card_pooling(open_checkpoint(transformer_folder(folder)))
    declared = clues.sentence_transformers(folder)
    assert card is not None
    assert declared is not None
    best, claim = choose([card, declared], None, None)
    assert best.spec == "mean"
    assert claim.verdict == Verdict.DISPUTED
    assert {evidence.source for evidence in claim.evidence} == {"modules.json", "README.md"}


def test_a_card_that_shows_two_ways_says_nothing(tmp_path: Path) -> None:
    folder = folders.tiny_bert(tmp_path / "bert")
    (folder / "README.md").write_text("mean_pooling(output) or last_hidden_state[:, 0]")
    assert clues.card_pooling(open_checkpoint(folder)) is None


def test_without_any_word_the_mean_is_assumed_and_said_to_be(tmp_path: Path) -> None:
    best, claim = choose([], None, None)
    assert (best.spec, claim.verdict) == ("mean", Verdict.ASSUMED)


@pytest.mark.parametrize(
    ("config", "spec"),
    [
        ({"global_pool": "avg"}, "mean"),
        ({"pretrained_cfg": {"global_pool": "token"}}, "cls"),
        ({"pretrained_cfg": {"global_pool": "token"}, "model_args": {"global_pool": "avg"}}, "mean"),
        ({"global_pool": "map"}, "pooler"),
    ],
)
def test_timms_global_pool(config: dict, spec: str) -> None:
    (clue,) = clues.timm_pool(config, None)
    assert clue.spec == spec


@pytest.mark.parametrize(
    ("name", "spec", "says"),
    [
        ("vit_tiny_patch16_224", "cls", "global_pool = token"),
        ("deit_tiny_distilled_patch16_224", "cls_dist", "global_pool = token and dist_token among the weights"),
        ("vit_large_patch16_224", "pooler", "global_pool = avg and fc_norm among the weights"),
        ("vit_base_patch16_siglip_224", "pooler", "global_pool = map"),
        ("vit_base_patch16_siglip_gap_224", "mean", "global_pool = avg"),
    ],
)
def test_what_timms_classifier_reads(name: str, spec: str, says: str, root: Path) -> None:
    (tower,) = load_towers(open_checkpoint(root / "tests" / "golden" / "timm" / name))
    (clue,) = clues.timm_pool(tower.config, None)
    assert (clue.spec, clue.says) == (spec, says)


@pytest.mark.parametrize(
    ("name", "spec", "verdict"),
    [
        ("vit_small_patch16_dinov3", "mean", Verdict.DECLARED),  # model_args says so
        ("vit_base_patch16_dinov3_qkvb", "mean", Verdict.DECLARED),  # its classifier reads the mean
        ("vit_huge_plus_patch16_dinov3", "cls", Verdict.DECLARED),  # global_pool = token was asked for
        ("vit_pe_core_base_patch16_224", "pooler", Verdict.DECLARED),
    ],
)
def test_what_is_meant_by_a_trunk_of_timms(name: str, spec: str, verdict: Verdict, root: Path) -> None:
    (reading,) = read_model(root / "tests" / "golden" / "timm" / name)
    assert reading.contract.pooling == spec
    assert [(claim.value, claim.verdict) for claim in reading.claims if claim.subject == "pooling"] == [(spec, verdict)]


def test_dinov3_as_published_means_the_class_token_and_timms_default_disputes_it(tmp_path: Path, root: Path) -> None:
    """The published folders have timm's default in config.json and no model_args; DINOv3's authors read the token."""
    folder = tmp_path / "dinov3"
    shutil.copytree(root / "tests" / "golden" / "timm" / "vit_small_patch16_dinov3", folder)
    config = json.loads((folder / "config.json").read_text())
    kept = {name: config["model_args"][name] for name in ("img_size", "num_heads")}  # a tiny one has no usual size
    (folder / "config.json").write_text(json.dumps({**config, "model_args": kept}))
    (reading,) = read_model(folder)
    assert reading.contract.pooling == "cls"
    (claim,) = (claim for claim in reading.claims if claim.subject == "pooling")
    assert claim.verdict == Verdict.DISPUTED
    assert "global_pool = avg -> mean" in " ".join(found.says for found in claim.evidence)


def test_prompts(tmp_path: Path) -> None:
    path = tmp_path / "config_sentence_transformers.json"
    path.write_text('{"prompts": {"query": "q: "}, "default_prompt_name": "document"}')
    assert read_prompts(tmp_path) == Prompts({"query": "q: "}, None)  # empty for sentence-transformers
    path.write_text('{"prompts": {"query": "q: "}, "default_prompt_name": "nothing"}')
    with pytest.raises(ModelError, match="takes the prompt 'nothing'"):
        read_prompts(tmp_path)
