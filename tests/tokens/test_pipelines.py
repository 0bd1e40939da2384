"""The table of what tokenizer classes make, beside what they do make."""

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import transformers
from tests.contract import ordinary
from tests.folders import WORDS

from classtoken.tokens.pipelines import PIPELINES, same_parts, spaces_as_said
from classtoken.tokens.wordpieces import NAMED, open_tokenizer

PIECES = ordinary.numbered
FALLING_BACK = [f"<0x{number:02X}>" for number in range(256)]
BUILT = {
    "MPNetTokenizer": ordinary.mpnet_pieces,
    "XLMRobertaTokenizer": ordinary.xlm_pieces,
    "CLIPTokenizer": ordinary.clip_pieces,
    "T5Tokenizer": ordinary.t5_pieces,
    "AlbertTokenizer": ordinary.albert_pieces,
    "LlamaTokenizer": ordinary.llama_pieces,
    "Qwen2Tokenizer": ordinary.qwen_pieces,
}


def made(name: str, **more: Any) -> Any:
    if name in BUILT:
        return BUILT[name]()
    if PIPELINES[name].model == "WordPiece":
        return getattr(transformers, name)(vocab=PIECES(*WORDS), **more)
    pieces = FALLING_BACK if name == "GemmaTokenizer" else ordinary.alphabet()
    vocab = PIECES("<s>", "<pad>", "</s>", "<unk>", *pieces, "<mask>", "<|endoftext|>")
    return getattr(transformers, name)(vocab=vocab, merges=[], **more)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_class_makes_what_the_table_says(name: str) -> None:
    backend = made(name).backend_tokenizer
    assert same_parts(backend, name, {}, {})
    backend.enable_padding(length=16)  # as in the files of all-MiniLM
    assert same_parts(backend, name, {}, {})
    assert not same_parts(backend, "AnotherTokenizer", {}, {})
    others = [other for other in PIPELINES if PIPELINES[other] != PIPELINES[name]]
    alike = [other for other in others if same_parts(backend, other, {}, {})]
    assert alike in ([], ["GPT2Tokenizer"])  # which has RoBERTa's parts and takes any template


@pytest.mark.parametrize("name", PIPELINES)
def test_a_class_has_the_special_tokens_of_the_table(name: str) -> None:
    parents = getattr(transformers, name).__mro__
    signature = next(found for one in parents if "vocab" in (found := inspect.signature(one.__init__).parameters))
    named = {key: signature[key].default for key in NAMED if key in signature}
    assert {key: token for key, token in named.items() if token is not None} == dict(PIPELINES[name].special)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("BertTokenizer", {"normalizer": {"type": "Lowercase"}}),
        ("BertTokenizer", {"pre_tokenizer": {"type": "Whitespace"}}),
        ("BertTokenizer", {"post_processor": None}),
        ("RobertaTokenizer", {"normalizer": {"type": "NFC"}}),
        ("XLMRobertaTokenizer", {"post_processor": None}),
        ("CLIPTokenizer", {"normalizer": {"type": "NFC"}}),
    ],
)
def test_another_part_is_seen(name: str, part: dict[str, Any], tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    stored = json.loads(made(name).backend_tokenizer.to_str()) | part
    assert not same_parts(Tokenizer.from_str(json.dumps(stored)), name, {}, {})


def test_lengths_that_the_file_fixes_do_not_matter(tmp_path: Path) -> None:
    """As all-MiniLM-L6-v2's file has them: every text is filled up to 128 pieces."""
    backend = made("BertTokenizer").backend_tokenizer
    backend.enable_padding(length=128)
    backend.enable_truncation(128)
    backend.save(str(tmp_path / "tokenizer.json"))
    assert open_tokenizer(tmp_path, {"tokenizer_class": "BertTokenizer"}, lower_case=False).made_by == ""


def test_flags_of_the_settings_are_followed() -> None:
    spaced = made("RobertaTokenizer", add_prefix_space=True).backend_tokenizer
    assert same_parts(spaced, "RobertaTokenizer", {"add_prefix_space": True}, {})
    assert not same_parts(spaced, "RobertaTokenizer", {}, {})
    assert spaces_as_said(spaced, True)
    assert not spaces_as_said(spaced, False)
    assert not same_parts(made("AlbertTokenizer").backend_tokenizer, "AlbertTokenizer", {"do_lower_case": False}, {})
