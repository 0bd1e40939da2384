"""Tables of word pieces (StaticEmbedding, model2vec) give the vectors that sentence-transformers computes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests import folders
from tests.folders import SENTENCES
from tokenizers import Tokenizer

import classtoken as ct
from classtoken.errors import TraceError, UnsupportedModel, WeightsError

modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
Model = pytest.importorskip("sentence_transformers").SentenceTransformer
BEHIND = {
    "alone": list,
    "unit length": lambda: [modules.Normalize()],
    "dense": lambda: [modules.Dense(16, 8), modules.Normalize()],
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer.from_file(str(folders.tiny_bert(tmp_path_factory.mktemp("base") / "bert") / "tokenizer.json"))


def saved(folder: Path, tokenizer: Tokenizer, *behind: object) -> Path:
    table = modules.StaticEmbedding(tokenizer, embedding_dim=16)
    Model(modules=[table, *behind], device="cpu").save(str(folder), create_model_card=False)
    return folder


def theirs(folder: Path) -> np.ndarray:
    return Model(str(folder), device="cpu").encode(SENTENCES, show_progress_bar=False)


@pytest.mark.parametrize("name", BEHIND)
def test_the_mean_of_the_rows_and_what_comes_behind_it(name: str, tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = saved(tmp_path / "st", tokenizer, *BEHIND[name]())
    embedder = ct.load(folder)
    assert np.abs(embedder.embed(SENTENCES) - theirs(folder)).max() < 1e-6
    assert np.abs(embedder.embed(SENTENCES, batch=1) - theirs(folder)).max() < 1e-6
    assert str(embedder.layout) == "n word piece"


@pytest.mark.parametrize("extra", [(), ("mapping",), ("weights",), ("mapping", "weights")])
def test_the_files_of_model2vec(extra: tuple[str, ...], tmp_path: Path, tokenizer: Tokenizer) -> None:
    """Rows under another name, which row a token has, and a factor for each token."""
    folder = saved(tmp_path / "st", tokenizer, modules.Normalize())
    rows = load_file(folder / "model.safetensors")["embedding.weight"]
    count = len(rows)
    generator = torch.Generator().manual_seed(0)
    tensors = {"embeddings": rows[: count // 2] if "mapping" in extra else rows}
    if "mapping" in extra:
        tensors["mapping"] = torch.randint(0, count // 2, (count,), generator=generator)
    if "weights" in extra:
        tensors["weights"] = torch.rand(count, generator=generator)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec", "normalize": True, "apply_zipf": True}))
    assert np.abs(ct.load(folder).embed(SENTENCES) - theirs(folder)).max() < 1e-6
    if "mapping" in extra:
        save_file({**tensors, "mapping": tensors["mapping"] + count}, folder / "model.safetensors")
        with pytest.raises(WeightsError, match="mapping names rows"):
            ct.load(folder)


def test_inspect_and_save_and_what_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = saved(tmp_path / "st", tokenizer, modules.Normalize())
    found = ct.inspect(folder)
    assert found.contract.pooling == "mean"
    assert not found.towers[0].doubtful
    embedder = ct.load(folder)
    again = embedder.save(tmp_path / "again")
    assert np.array_equal(ct.load(again).embed(SENTENCES), embedder.embed(SENTENCES))
    assert np.abs(theirs(again) - embedder.embed(SENTENCES)).max() < 1e-6
    with pytest.raises(TraceError):
        embedder.trace(SENTENCES, ["blocks.0.weights"])
    (folder / "modules.json").unlink()
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec"}))
    with pytest.raises(UnsupportedModel, match="model of model2vec"):
        ct.load(folder)


def test_rows_that_are_no_numbers_are_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = saved(tmp_path / "st", tokenizer)
    rows = load_file(folder / "model.safetensors")["embedding.weight"].clone()
    rows[3, 2] = float("nan")
    save_file({"embedding.weight": rows}, folder / "model.safetensors")
    with pytest.raises(WeightsError, match="not finite"):
        ct.load(folder)


BESIDE = {
    "other case": {"tokenizer_class": "BertTokenizer", "do_lower_case": False},
    "a class made anew": {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": True},
    "special tokens split": {"split_special_tokens": True},
    "shorter, from the left": {"truncation_side": "left", "model_max_length": 3},
    "code": {"auto_map": {"AutoTokenizer": ["own.Own", None]}},
    "another token": {"mask_token": "dog"},
}
TEXTS = [*SENTENCES, "The RED Cat [MASK] [SEP] Sat", "the " * 9 + "red cat sat on a mat"]


@pytest.mark.parametrize("name", BESIDE)
def test_what_lies_beside_tokenizer_json_moves_no_vector_of_a_table(
    name: str, tmp_path: Path, tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    """sentence-transformers opens tokenizer.json without transformers: settings for that count for nothing, and
    transformers' tokenizer, made of them, is no reference."""
    folder = saved(tmp_path / "st", tokenizer)
    (folder / "tokenizer_config.json").write_text(json.dumps(BESIDE[name]))
    (folder / "added_tokens.json").write_text(json.dumps({"red cat": tokenizer.get_vocab_size()}))
    wanted = Model(str(folder), device="cpu").encode(TEXTS, show_progress_bar=False)
    assert np.abs(ct.load(folder).embed(TEXTS) - wanted).max() < 1e-6
    assert "comparing" not in caplog.text


@pytest.mark.parametrize("direction", ["right", "left"])
def test_a_table_cuts_texts_where_its_tokenizer_json_does(direction: str, tmp_path: Path, tokenizer: Tokenizer) -> None:
    cutting = Tokenizer.from_str(tokenizer.to_str())
    cutting.enable_truncation(4, direction=direction)
    folder = saved(tmp_path / "st", cutting)
    embedder = ct.load(folder)
    wanted = Model(str(folder), device="cpu").encode(TEXTS, show_progress_bar=False)
    assert np.abs(embedder.embed(TEXTS) - wanted).max() < 1e-6
    assert np.abs(ct.load(folder, max_length=50).embed(TEXTS) - wanted).max() > 1e-3


FOR_TRANSFORMERS = {
    "a shorter longest text": ("sentence_bert_config.json", {"max_seq_length": 3}),
    "lower case": ("sentence_bert_config.json", {"do_lower_case": True, "processor_kwargs": {"pad_token": "cat"}}),
    "a key of tomorrow": ("sentence_bert_config.json", {"a_key_of_tomorrow": 1}),
    "a call": ("sentence_bert_config.json", {"processing_kwargs": {"text": {"a_key_of_tomorrow": 1}}}),
    "another library's": ("open_clip_config.json", {"model_cfg": {"text_cfg": {"context_length": 4}}}),
    "of images": ("preprocessor_config.json", {"image_processor_type": "OwnImageProcessor"}),
    "of a tokenizer's class": ("tokenizer_config.json", {"model_max_length": 3, "a_key_of_tomorrow": 1}),
}


@pytest.mark.parametrize("part", ["whole folder", "table alone"])
@pytest.mark.parametrize("name", FOR_TRANSFORMERS)
def test_no_file_for_transformers_moves_a_table_or_is_asked_about(
    name: str, part: str, tmp_path: Path, tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    folder = saved(tmp_path / "st", tokenizer)
    file, values = FOR_TRANSFORMERS[name]
    (folder / file).write_text(json.dumps(values))
    wanted = Model(str(folder), device="cpu").encode(TEXTS, show_progress_bar=False)
    if part == "table alone":
        (folder / "modules.json").unlink()
        (folder / "config_sentence_transformers.json").unlink()
    embedder = ct.load(folder, pooling="mean" if part == "table alone" else None)
    assert np.abs(embedder.embed(TEXTS) - wanted).max() < 1e-6
    assert "comparing" not in caplog.text
