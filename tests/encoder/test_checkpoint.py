"""What is wrong with a folder is said once, in one line, with everything that is wrong."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from tests import folders
from tests.encoder.cases_text import T5_SIZES, WORDS

from classtoken.encoder.checkpoint import load_encoder, open_checkpoint, reference_names
from classtoken.encoder.families import FAMILIES
from classtoken.encoder.families.bert import BERT
from classtoken.encoder.families.t5 import T5
from classtoken.errors import ClasstokenError, ModelError, UnsafeCheckpoint, UnsupportedModel, WeightsError
from classtoken.tensors import Tokens
from classtoken.values import Role

TINY = {**WORDS, "num_hidden_layers": 2}


def line(error: pytest.ExceptionInfo[ClasstokenError]) -> str:
    """The message, which must be one line."""
    message = str(error.value)
    assert "\n" not in message
    assert error.value.exit_code == 2
    return message


def load(folder: Path, **config: object) -> object:
    checkpoint = open_checkpoint(folder)
    settings = {**checkpoint.config, **config}
    return load_encoder(checkpoint.weights.read(), BERT, BERT.shape(settings), settings, str(folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole, tiny BERT."""
    hf.BertModel(hf.BertConfig(**TINY)).save_pretrained(tmp_path)
    return tmp_path


def test_no_folder_and_no_config(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ModelError) as error:
            open_checkpoint(place)
        assert "no config.json" in line(error)
        assert str(place) in line(error)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "\udcff"])
def test_a_config_that_is_no_json_object(folder: Path, text: str) -> None:
    (folder / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelError) as error:
        open_checkpoint(folder)
    assert "config.json" in line(error)


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError) as error:
        open_checkpoint(folder)
    assert "no model.safetensors" in line(error)


def test_pickle_weights_are_refused_unopened(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(UnsafeCheckpoint) as error:
        open_checkpoint(folder)
    assert "pytorch_model.bin" in line(error)
    assert "safe_serialization" in line(error)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_file(folder: Path, keep: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError) as error:
        open_checkpoint(folder)
    assert str(path) in line(error)


def test_one_error_lists_all_that_is_wrong(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["encoder.layer.0.attention.self.surprise.weight"] = torch.zeros(1)
    weights["head.of.something"] = torch.zeros(1)
    del weights["embeddings.LayerNorm.bias"]
    del weights["encoder.layer.1.output.dense.weight"]
    weights["embeddings.word_embeddings.weight"] = torch.zeros(7, 32)
    save_file(weights, path)
    with pytest.raises(WeightsError) as error:
        load(folder)
    message = line(error)
    assert "2 missing: blocks.1.feedforward.down.weight, stem.norm.bias" in message
    assert "1 left over: encoder.layer.0.attention.self.surprise.weight" in message
    assert "1 of another shape: stem.token.weight is 7x32 instead of 99x32" in message
    assert "family bert" in message


def test_a_long_list_is_cut_and_counted(folder: Path) -> None:
    with pytest.raises(WeightsError) as error:
        load(folder, num_hidden_layers=3)
    assert re.search(r"16 missing: .* and 10 more", line(error))


def test_more_blocks_in_the_file_than_in_the_config(folder: Path) -> None:
    with pytest.raises(WeightsError) as error:
        load(folder, num_hidden_layers=1)
    assert "16 left over" in line(error)


def sharded(folder: Path) -> list[str]:
    """Cut the file in two, with an index as transformers writes it; the names of the shards."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    places = {name: shards[n % 2] for n, name in enumerate(weights)}
    for shard in shards:
        save_file({name: weights[name] for name, where in places.items() if where == shard}, folder / shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    path.unlink()
    return shards


def test_shards_are_read_as_one(folder: Path) -> None:
    whole = open_checkpoint(folder).weights.read()
    shards = sharded(folder)
    weights = open_checkpoint(folder).weights
    assert [path.name for path in weights.paths] == shards
    read = weights.read()
    assert read.keys() == whole.keys()
    assert all(torch.equal(read[name], whole[name]) for name in whole)


def test_a_lost_shard(folder: Path) -> None:
    lost = sharded(folder)[1]
    (folder / lost).unlink()
    with pytest.raises(WeightsError) as error:
        open_checkpoint(folder)
    assert lost in line(error)


def test_an_index_that_names_what_its_shard_does_not_hold(folder: Path) -> None:
    sharded(folder)
    index = folder / "model.safetensors.index.json"
    places = json.loads(index.read_text())
    places["weight_map"]["ghost"] = "model-00001-of-00002.safetensors"
    index.write_text(json.dumps(places))
    with pytest.raises(WeightsError) as error:
        open_checkpoint(folder).weights.read()
    assert "ghost" in line(error)


def test_half_precision_weights_are_read_as_float32(folder: Path) -> None:
    path = folder / "model.safetensors"
    save_file({name: tensor.bfloat16() for name, tensor in load_file(path).items()}, path)
    weights = open_checkpoint(folder).weights.read()
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    load(folder)


def test_gamma_and_beta_of_the_first_berts(folder: Path) -> None:
    encoder = load(folder).encoder  # type: ignore[attr-defined]
    path = folder / "model.safetensors"
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}

    def respell(name: str) -> str:
        end = ".".join(name.split(".")[-2:])
        return name.removesuffix(end) + old.get(end, end)

    weights = {respell(name): tensor for name, tensor in load_file(path).items()}
    assert sum(name.endswith("gamma") for name in weights) == 5
    save_file(weights, path)
    again = load(folder).encoder  # type: ignore[attr-defined]
    assert all(torch.equal(a, b) for a, b in zip(encoder.parameters(), again.parameters(), strict=True))
    assert "embeddings.LayerNorm.weight" in reference_names(again, BERT)


def test_t5_s_embeddings_by_their_other_name(tmp_path: Path) -> None:
    config = hf.T5Config(**T5_SIZES)
    hf.T5EncoderModel(config).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["encoder.embed_tokens.weight"] = weights.pop("shared.weight")
    loaded = load_encoder(weights, T5, T5.shape(config.to_dict()), config.to_dict(), "here")
    assert torch.equal(loaded.encoder.state_dict()["stem.token.weight"], weights["encoder.embed_tokens.weight"])


def test_the_real_minilm_gives_what_transformers_gives(minilm: Path) -> None:
    checkpoint = open_checkpoint(minilm)
    config = checkpoint.config
    encoder = load_encoder(checkpoint.weights.read(), BERT, BERT.shape(config), config, str(minilm)).encoder
    ids = torch.randint(1000, 20000, (2, 24))
    mask = torch.ones_like(ids)
    mask[0, 15:] = 0
    roles = torch.where(mask.bool(), int(Role.CONTENT), int(Role.PAD))
    with torch.no_grad():
        theirs = hf.BertModel.from_pretrained(minilm)(input_ids=ids, attention_mask=mask).last_hidden_state
        for packed in (False, True):
            ours = encoder(Tokens(roles, ids), packed=packed).last_BLD
            assert float((ours - theirs)[mask.bool()].abs().max() / theirs.abs().max()) < 1e-5


@pytest.mark.parametrize(
    ("kind", "config", "named"),
    [
        ("bert", {"position_embedding_type": "relative_key"}, "relative_key"),
        ("bert", {"hidden_act": "mish"}, "mish"),
        ("albert", {"inner_group_num": 2}, "inner_group_num 2"),
        ("mpnet", {"relative_attention_num_buckets": 16}, "relative_attention_num_buckets 16"),
        ("modernbert", {"classifier_activation": "tanh"}, "tanh"),
        ("nomic_bert", {"rotary_emb_fraction": 0.5}, "rotary_emb_fraction 0.5"),
        ("nomic_bert", {"prenorm": True}, "prenorm"),
        ("qwen3", {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6}}, "yarn"),
        ("qwen3", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "linear"),
        ("qwen3", {"partial_rotary_factor": 0.5}, "0.5"),
        ("t5", {"feed_forward_proj": "gated-sine"}, "sine"),
    ],
)
def test_what_would_come_out_wrong_is_refused(kind: str, config: dict[str, object], named: str) -> None:
    family = next(family for family in FAMILIES if kind in family.types)
    read = family.authors_readout if kind == "modernbert" else family.shape
    with pytest.raises(UnsupportedModel, match=re.escape(named)) as error:
        read({"model_type": kind, **config})
    line(error)


def test_a_token_classifier_is_no_text_classifier(folder: Path) -> None:
    names = ["pooler.dense.weight", "classifier.weight", "classifier.bias"]
    assert BERT.head_among(names) is BERT.head
    assert BERT.head_among(names, ["BertForSequenceClassification"]) is BERT.head
    assert BERT.head_among(names, ["BertForTokenClassification"]) is None
    assert BERT.head_among(names[:1]) is None


def in_shards(folder: Path) -> hf.BertModel:
    """The weights of a folder in several files with an index."""
    model = hf.BertModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    return model


def test_one_file_wins_over_an_index_that_was_left(folder: Path) -> None:
    old = in_shards(folder)
    hf.BertModel(old.config).save_pretrained(folder)  # takes the shards away and leaves the index
    assert (folder / "model.safetensors.index.json").is_file()
    newer = hf.AutoModel.from_pretrained(folder).state_dict()
    name = "encoder.layer.1.output.dense.weight"
    read = open_checkpoint(folder).weights.read()
    assert torch.equal(read[name], newer[name])
    assert not torch.equal(read[name], old.state_dict()[name])


@pytest.mark.parametrize(
    "wrapper", ["module.", "_orig_mod.", "module._orig_mod.", "model.", "0.auto_model.", "model.bert."]
)
@pytest.mark.parametrize("kind", ["bert", "foreign"])
def test_what_a_wrapper_puts_before_every_name_is_taken_off(wrapper: str, kind: str, tmp_path: Path) -> None:
    from classtoken.encoder.towers import load_towers

    config = hf.BertConfig(**TINY) if kind == "bert" else hf.ErnieConfig(**TINY)
    plain, wrapped = tmp_path / "plain", tmp_path / "wrapped"
    for place in (plain, wrapped):
        torch.manual_seed(3)
        hf.AutoModel.from_config(config).save_pretrained(place)
    inner = "model." if wrapper == "model.bert." and kind == "foreign" else wrapper
    weights = {inner + name: tensor for name, tensor in load_file(wrapped / "model.safetensors").items()}
    save_file(weights, wrapped / "model.safetensors", metadata={"format": "pt"})
    (right,), (found,) = load_towers(open_checkpoint(plain)), load_towers(open_checkpoint(wrapped))
    ours, theirs = found.loaded.encoder.state_dict(), right.loaded.encoder.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_opening_a_checkpoint_draws_nothing_and_leaves_the_compiler_alone(tmp_path: Path) -> None:
    """torch imports its compiler, 0.7 s of processor time, where it has to draw weights on the meta device."""
    folder = folders.tiny_bert(tmp_path / "bert")
    script = (
        "import sys; from pathlib import Path; from classtoken.encoder.checkpoint import open_checkpoint;"
        "from classtoken.encoder.towers import load_towers;"
        f"load_towers(open_checkpoint(Path({str(folder)!r}))); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
