"""Tokenizers whose files say more than tokenizer.json: classes that make it anew, tokens and flags that are added."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import folders
from tests.contract import ordinary
from tests.folders import SENTENCES

import classtoken as ct
from classtoken.errors import ContractError, ModelError
from classtoken.tokens.text import TextPreprocessor
from classtoken.tokens.wordpieces import open_tokenizer, read_settings

TEXTS = [*SENTENCES, "a [NEW] cat", "the [SEP]cat [MASK] dog", "a  [MASK]  b", "[CLS][PAD] the"]


def changed(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def ids_here(folder: Path) -> list[list[int]]:
    prepare = ct.load(folder).towers["text"].prepare
    assert isinstance(prepare, TextPreprocessor)
    return [list(ids) for ids in prepare.tokenizer.ids(TEXTS)]


def ids_there(folder: Path) -> list[list[int]]:
    from transformers import AutoTokenizer

    return [list(ids) for ids in AutoTokenizer.from_pretrained(folder, local_files_only=True)(TEXTS)["input_ids"]]


def flags(content: str, **more: bool) -> dict[str, Any]:
    plain = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True}
    return {"content": content, **plain, **more}


@pytest.mark.parametrize(
    "settings",
    [
        {"additional_special_tokens": ["[NEW]"]},
        {"extra_special_tokens": {"image_token": "[NEW]"}},
        {"added_tokens_decoder": {"4": flags("[MASK]", lstrip=True, rstrip=True)}},
        {"added_tokens_decoder": {"3": flags("[SEP]", single_word=True), "23": flags("[NEW]", special=False)}},
        {"mask_token": "[NEW]"},
        {"eos_token": {**flags("[NEW]", lstrip=True), "__type": "AddedToken"}},
    ],
)
def test_tokens_and_flags_of_the_settings(settings: dict[str, Any], tmp_path: Path) -> None:
    folder = folders.tiny_bert(tmp_path)
    changed(folder / "tokenizer_config.json", **settings)
    assert ids_here(folder) == ids_there(folder)


@pytest.mark.parametrize("settings", [None, {}, {"mask_token": None}, {"tokenizer_class": "BertTokenizer"}])
def test_a_class_adds_its_own_tokens_where_the_settings_are_silent(
    settings: dict[str, Any] | None, tmp_path: Path
) -> None:
    """Null is not silent. `[MASK]` in a text is one token then, whether tokenizer.json lists it or not."""
    folder = folders.tiny_bert(tmp_path)
    (folder / "tokenizer_config.json").unlink()
    stored = json.loads((folder / "tokenizer.json").read_text())
    stored["added_tokens"] = [token for token in stored["added_tokens"] if token["content"] not in ("[MASK]", "[SEP]")]
    (folder / "tokenizer.json").write_text(json.dumps(stored))
    if settings is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert ids_here(folder) == ids_there(folder)


@pytest.mark.parametrize("name", ["BertTokenizer", "DistilBertTokenizer", "MPNetTokenizer", None])
def test_no_unknown_piece_is_refused_where_the_class_then_fails(name: str | None, tmp_path: Path) -> None:
    folder = folders.tiny_bert(tmp_path)
    changed(folder / "tokenizer_config.json", tokenizer_class=name, unk_token=None)
    with pytest.raises(
        ModelError, match=r"unk_token null, with which \w+ fails at every word .* Write '\[UNK\]' there"
    ):
        ct.load(folder)
    with pytest.raises(Exception, match="Missing \\[UNK\\]"):
        ids_there(folder)
    changed(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")  # takes the file's own
    assert ids_here(folder) == ids_there(folder)


@pytest.mark.parametrize("in_vocabulary", [True, False])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"extra_ids": 0},
        {"extra_ids": 3},
        {"extra_special_tokens": ["[NEW]"]},
        {"additional_special_tokens": []},
        {"additional_special_tokens": None},
        {"extra_special_tokens": {"image_token": "[NEW]"}},
    ],
)
def test_the_marks_that_t5_adds_by_itself(settings: dict[str, Any], in_vocabulary: bool, tmp_path: Path) -> None:
    """100 of them where its settings are silent; tokenizer.json may lack them."""
    from transformers import AutoTokenizer

    folder = folders.tiny_bert(tmp_path)
    ordinary.t5_pieces().save_pretrained(folder)
    stored = json.loads((folder / "tokenizer.json").read_text())
    stored["added_tokens"] = [token for token in stored["added_tokens"] if "extra_id" not in token["content"]]
    if not in_vocabulary:
        stored["model"]["vocab"] = [piece for piece in stored["model"]["vocab"] if "extra_id" not in piece[0]]
    (folder / "tokenizer.json").write_text(json.dumps(stored))
    special = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "T5Tokenizer", "backend": "tokenizers", **special, **settings})
    )
    text = "<extra_id_0> the <extra_id_2>cat <extra_id_3> <extra_id_99> [NEW] <extra_id_100>"
    here = open_tokenizer(folder, read_settings(folder), lower_case=False).ids([text])[0]
    assert here == AutoTokenizer.from_pretrained(folder, local_files_only=True)(text)["input_ids"]


def test_a_class_that_makes_another_tokenizer_of_the_same_files(tmp_path: Path) -> None:
    """transformers 5 makes Llama's parts anew, of the vocabulary alone; tokenizer.json says something else."""
    folder = folders.tiny_bert(tmp_path)
    before = ids_here(folder)
    changed(folder / "tokenizer_config.json", tokenizer_class="LlamaTokenizer")
    with pytest.raises(ContractError, match=r"LlamaTokenizer.*may make other tokens.*gives other ids") as refusal:
        ct.load(folder)
    assert "`accept` 'tokenizer_class'" in str(refusal.value)
    prepare = ct.load(folder, accept="tokenizer_class").towers["text"].prepare
    assert isinstance(prepare, TextPreprocessor)
    assert [list(ids) for ids in prepare.tokenizer.ids(TEXTS)] == before


def test_merges_are_not_left_out_at_random(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = folders.tiny_bert(tmp_path)
    pieces = {piece: n for n, piece in enumerate(["[PAD]", "[UNK]", *"catdog", "ca", "cat"])}
    made = Tokenizer(models.BPE(vocab=pieces, merges=[("c", "a"), ("ca", "t")], dropout=0.5, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(folder / "tokenizer.json"))
    embedder = ct.load(folder)
    assert len({embedder.embed(["cat " * 8]).tobytes() for _ in range(8)}) == 1
    assert any("dropout 0.5" in line for line in embedder.towers["text"].prepare.advice())


@pytest.mark.parametrize("kind", ["Roberta", "MPNet"])
def test_a_text_that_spells_the_padding(kind: str, tmp_path: Path) -> None:
    """Its place is never counted, in the reference."""
    import torch
    import transformers

    sizes = {"vocab_size": len(folders.WORDS), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = getattr(transformers, f"{kind}Config")(**sizes, intermediate_size=48, pad_token_id=1)
    model: Any = folders.randomise(getattr(transformers, f"{kind}Model")(config, add_pooling_layer=False))
    model.save_pretrained(tmp_path)
    folders.bert_tokenizer(tmp_path)
    texts = ["the [UNK] cat [UNK] sits", "a dog", "zebra"]  # [UNK] is number 1
    found = ct.load(tmp_path, pooling="mean").embed(texts)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    with torch.no_grad():
        wanted = [model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0).numpy() for text in texts]
    assert np.abs(found - np.stack(wanted)).max() <= 1e-5


def with_kind(folder: Path, kind: int) -> None:
    """The template of tokenizer.json gives the token behind a text this kind."""
    stored = json.loads((folder / "tokenizer.json").read_text())
    stored["post_processor"]["single"][-1]["SpecialToken"]["type_id"] = kind
    (folder / "tokenizer.json").write_text(json.dumps(stored))


def test_kinds_of_tokens_that_a_tokenizer_hands_over_are_refused(tmp_path: Path) -> None:
    """transformers adds another row of the table of kinds to the last token then; here every token is of kind 0."""
    folder = folders.tiny_bert(tmp_path)
    with_kind(folder, 1)
    named = {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}
    changed(folder / "tokenizer_config.json", model_input_names=["input_ids", "attention_mask"])
    ct.load(folder)  # they stay in the tokenizer
    changed(folder / "tokenizer_config.json", **named)
    with pytest.raises(ContractError, match=r"the kinds 0 and 1 \(token_type_ids\)"):
        ct.load(folder)
    with_kind(folder, 0)  # what the refusal advises
    assert ct.load(folder).embed(SENTENCES).shape == (4, 32)


def test_a_template_that_bert_makes_otherwise_is_its_own(tmp_path: Path) -> None:
    """transformers 5 gives BERT's own template back whatever tokenizer.json says; the file's is there by name."""
    folder = folders.tiny_bert(tmp_path)
    stored = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(stored | {"post_processor": None}))
    changed(folder / "tokenizer_config.json", tokenizer_class="BertTokenizer")
    assert ids_there(folder)[0][0] == 2
    assert ids_here(folder) == ids_there(folder)
    prepare = ct.load(folder).towers["text"].prepare
    assert "BertTokenizer makes other tokens than tokenizer.json says" in " ".join(prepare.advice())
    of_file = ct.load(folder, pooling="mean", accept="tokenizer_class").towers["text"].prepare
    assert isinstance(of_file, TextPreprocessor)
    assert isinstance(prepare, TextPreprocessor)
    assert of_file.identity() != prepare.identity()
    assert [list(ids) for ids in of_file.tokenizer.ids(TEXTS)] == [ids[1:-1] for ids in ids_there(folder)]
    assert not any("BertTokenizer makes other" in line for line in of_file.advice())


def letters(folder: Path) -> int:
    """A tokenizer of bytes with an end token; how many pieces it has."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = {piece: n for n, piece in enumerate(["<unk>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    made = Tokenizer(models.BPE(vocab=pieces, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    special = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=64, **special).save_pretrained(folder)
    return len(pieces)


def test_letters_that_qwen_makes_otherwise(tmp_path: Path) -> None:
    """Its class joins a letter and its accent first (NFC), whatever tokenizer.json says: the same pieces otherwise.
    What is taken outlives saving."""
    import torch
    import transformers

    folder = tmp_path / "model"
    folder.mkdir()
    pieces = letters(folder)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    config = transformers.Qwen2Config(vocab_size=pieces, num_key_value_heads=1, max_position_embeddings=64, **sizes)
    model: Any = folders.randomise(transformers.Qwen2Model(config))
    model.save_pretrained(folder)
    texts = ["the cat", "e\u0301te\u0301", "\u00e9t\u00e9", "A\u030a and \u212b"]
    embedder = ct.load(folder, pooling="mean")
    found = embedder.embed(texts)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        wanted = [model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0).numpy() for text in texts]
    assert np.abs(found - np.stack(wanted)).max() <= 1e-5
    assert np.abs(found[1] - found[2]).max() <= 1e-6
    apart = ct.load(folder, pooling="mean", accept="tokenizer_class").embed(texts)
    assert np.abs(apart[0] - found[0]).max() <= 1e-6 < np.abs(apart[1] - apart[2]).max()
    embedder.save(tmp_path / "saved")
    assert np.abs(ct.load(tmp_path / "saved").embed(texts) - found).max() <= 1e-6


def test_special_tokens_that_are_split_like_words(tmp_path: Path) -> None:
    folder = folders.tiny_bert(tmp_path)
    changed(folder / "tokenizer_config.json", split_special_tokens=True)
    assert ids_here(folder) == ids_there(folder)


SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
ENDS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}


def of_another_type(kind: str, tmp_path: Path) -> Path:
    """A folder of this model type with BERT's tokenizer, whose file keeps capitals and whose class does not."""
    import torch
    from transformers import AutoConfig, AutoModel

    folder = folders.tiny_bert(tmp_path)
    words = json.loads((folder / "tokenizer.json").read_text())
    words["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(words))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("do_lower_case", None)
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "tokenizer_class": "BertTokenizer"}))
    vocabulary = json.loads((folder / "config.json").read_text())["vocab_size"]
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, vocab_size=vocabulary, max_position_embeddings=64, **SMALL, **ENDS)
    AutoModel.from_config(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["bert", "mistral", "modernbert", "nystromformer", "xlm-roberta-xl"])
def test_the_class_that_is_taken_for_a_kind_of_model(kind: str, tmp_path: Path) -> None:
    """Of some kinds of models transformers 5 heeds no class that is named, and takes tokenizer.json as it stands."""
    from transformers import AutoTokenizer

    folder = of_another_type(kind, tmp_path)
    embedder = ct.load(folder, pooling="mean")
    prepare = embedder.towers["text"].prepare
    assert isinstance(prepare, TextPreprocessor)
    texts = ["The Cat", "the cat"]
    there = AutoTokenizer.from_pretrained(folder, local_files_only=True)(texts)["input_ids"]
    assert [list(ids) for ids in prepare.tokenizer.ids(texts)] == there
    assert (there[0] == there[1]) == (kind == "bert")
    assert ("heeds no class" in " ".join(prepare.advice())) == (kind != "bert")


def test_a_class_that_is_taken_in_the_place_of_the_named_one_is_compared(tmp_path: Path) -> None:
    """Of Qwen 2 transformers takes its own class, which makes letters of a vocabulary of word pieces."""
    folder = of_another_type("qwen2", tmp_path)
    with pytest.raises(ContractError, match=r"Qwen2Tokenizer.*gives other ids.*`accept` 'tokenizer_class'"):
        ct.load(folder, pooling="mean")
    ct.load(folder, pooling="mean", accept="tokenizer_class").embed(["a cat"])


def test_the_table_of_families_knows_which_classes_transformers_insists_on() -> None:
    from transformers.models.auto import tokenization_auto as auto

    from classtoken.encoder.families.table import FAMILIES
    from classtoken.encoder.foreign.files import AS_IT_IS

    for family in FAMILIES:
        for kind in family.types if family.modality == "text" else ():
            taken = str(auto.TOKENIZER_MAPPING_NAMES.get(kind) or "")
            fixed = taken in AS_IT_IS or (taken != "" and kind in auto.MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS)
            inputs = family.input_defaults({})
            if fixed:
                assert inputs.tokenizer_fixed, kind
                assert inputs.tokenizer == (AS_IT_IS[0] if taken in AS_IT_IS else taken), kind
            elif taken:
                assert not inputs.tokenizer_fixed, kind
