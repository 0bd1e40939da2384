"""What is only seen on rare texts, on long ones, or in files of older versions of transformers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers as hf
from tests.contract.ordinary import GROUPED, ROBERTA, SIZES, byte_pieces, llama_pieces
from tests.folders import randomise, tiny_bert

import classtoken as ct
from classtoken.contract.samples import RARE, TRICKY
from classtoken.encoder.foreign.quietly import quietly
from classtoken.errors import ContractError
from classtoken.tokens.text import TextPreprocessor

Tokenizer = dict[str, Any]


def roberta(folder: Path) -> Path:
    tokenizer = byte_pieces()
    tokenizer.save_pretrained(folder)
    config = hf.RobertaConfig(**SIZES, **ROBERTA, vocab_size=len(tokenizer))  # type: ignore[arg-type]
    randomise(hf.RobertaModel(config)).save_pretrained(folder)  # type: ignore[attr-defined]
    return folder


def rewritten(path: Path, change: Callable[[Tokenizer], object]) -> None:
    value = json.loads(path.read_text()) if path.is_file() else {}
    change(value)
    path.write_text(json.dumps(value))


def ids_here(folder: Path, texts: list[str]) -> list[list[int]]:
    return [list(map(int, row.ids)) for row in TextPreprocessor.from_folder(folder).encode(texts)]


def ids_there(folder: Path, texts: list[str]) -> list[list[int]]:
    with quietly():
        tokenizer = hf.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return [list(tokenizer(text, truncation=True)["input_ids"]) for text in texts]


def as_class_makes(folder: Path, texts: list[str]) -> None:
    """The tokens are those of transformers 5, not those of tokenizer.json, and that is said."""
    prepare = ct.load(folder).towers["text"].prepare
    assert isinstance(prepare, TextPreprocessor)
    ids = [list(map(int, row.ids)) for row in prepare.encode(texts)]
    assert ids == ids_there(folder, texts) != ids_here(folder, texts)
    assert any("makes other tokens than tokenizer.json says" in line for line in prepare.advice())


@pytest.mark.parametrize(
    "normalizer",
    [{"type": "NFKC"}, {"type": "NFC"}, {"type": "Nmt"}, {"type": "StripAccents"}],
    ids=lambda n: n["type"],
)
def test_parts_that_only_rare_letters_show_are_those_of_the_class(normalizer: Tokenizer, tmp_path: Path) -> None:
    rewritten(roberta(tmp_path) / "tokenizer.json", lambda file: file.update(normalizer=normalizer))
    as_class_makes(tmp_path, ["a cat", *RARE, *TRICKY])


def test_how_long_a_word_may_be_is_tried_with_the_tokenizers_own_words(tmp_path: Path) -> None:
    rewritten(tiny_bert(tmp_path) / "tokenizer.json", lambda file: file["model"].update(max_input_chars_per_word=4))
    rewritten(tmp_path / "tokenizer_config.json", lambda file: file.update(tokenizer_class="BertTokenizer"))
    as_class_makes(tmp_path, ["a cat", "the under house"])


def test_a_key_that_moves_long_texts_only_is_refused(tmp_path: Path) -> None:
    tokenizer = llama_pieces()
    tokenizer.model_max_length = 512
    tokenizer.save_pretrained(tmp_path)
    sizes = {**GROUPED, "max_position_embeddings": 512, "vocab_size": len(tokenizer), "sliding_window": 300}
    randomise(hf.MistralModel(hf.MistralConfig(**sizes))).save_pretrained(tmp_path)  # type: ignore[attr-defined, arg-type]
    assert ct.load(tmp_path).embed(["a b"], pooling="last").shape == (1, 32)
    kinds = ["full_attention", "full_attention"]
    rewritten(tmp_path / "config.json", lambda config: config.update(layer_types=kinds))
    with pytest.raises(ContractError, match=r"layer_types.*states of 5 inputs differ"):
        ct.load(tmp_path)


def test_special_tokens_are_those_of_the_older_file(tmp_path: Path) -> None:
    tiny_bert(tmp_path)
    rewritten(tmp_path / "tokenizer_config.json", lambda file: file.update(tokenizer_class="BertTokenizer"))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": ["Cat", "the dog"]}))
    texts = ["the Cat runs", "the dog", "a the dogbird"]
    assert ids_here(tmp_path, texts) == ids_there(tmp_path, texts) != ids_here(tiny_bert(tmp_path / "plain"), texts)


def test_a_template_that_the_older_file_contradicts_is_that_of_the_class(tmp_path: Path) -> None:
    tiny_bert(tmp_path)
    rewritten(tmp_path / "tokenizer_config.json", lambda file: file.update(tokenizer_class="BertTokenizer"))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"cls_token": "[MASK]"}))
    as_class_makes(tmp_path, ["a cat", "the dog"])


def test_the_older_file_counts_for_nothing_beside_added_tokens(tmp_path: Path) -> None:
    tiny_bert(tmp_path)
    there = {"4": {"content": "[MASK]", "special": True, "normalized": False}}
    rewritten(tmp_path / "tokenizer_config.json", lambda file: file.update(added_tokens_decoder=there))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"cls_token": "cat"}))
    assert ids_here(tmp_path, [*TRICKY, *RARE]) == ids_there(tmp_path, [*TRICKY, *RARE])


def test_tokens_of_added_tokens_json_are_tokens(tmp_path: Path) -> None:
    roberta(tmp_path)
    (tmp_path / "added_tokens.json").write_text(json.dumps({"dog": 500, "river bank": 501}))
    texts = ["a dog runs", "the river bank", "the river"]
    assert ids_here(tmp_path, texts[2:]) == ids_there(tmp_path, texts[2:])
    assert ids_here(tmp_path, texts) == ids_there(tmp_path, texts)


def test_a_key_is_settled_by_the_states_where_texts_lack_the_token_that_the_pooler_reads(tmp_path: Path) -> None:
    rewritten(roberta(tmp_path) / "tokenizer.json", lambda file: file.update(post_processor=None))
    rewritten(tmp_path / "tokenizer_config.json", lambda file: file.update(tokenizer_class="PreTrainedTokenizerFast"))
    rewritten(tmp_path / "config.json", lambda config: config.update(another_key=4))
    assert ct.load(tmp_path, pooling="mean").embed(["a cat"]).shape == (1, 32)
