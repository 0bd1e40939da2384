"""Tiny tokenizers of every kind, made from a few sentences, for transformers to save."""

import json
from collections.abc import Callable
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    AlbertTokenizer,
    BertTokenizer,
    CLIPTokenizer,
    MPNetTokenizer,
    PreTrainedTokenizerFast,
    Qwen2Tokenizer,
    RobertaTokenizer,
    Siglip2Tokenizer,
    T5Tokenizer,
    XLMRobertaTokenizer,
)

from classtoken.encoder.families.table import FAMILIES, PAIRS
from classtoken.values import InputDefaults, Layout, Role

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


def siglip2() -> Siglip2Tokenizer:
    """Gemma's kind: byte fallback, a space is a piece of its own; small letters only, as capitals never arrive."""
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581"]
    pieces += [*"abcdefghijklmnopqrstuvwxyz.,!", "th", "the", "qu"]
    tokenizer = Siglip2Tokenizer(
        vocab={piece: place for place, piece in enumerate(pieces)},
        merges=[("t", "h"), ("th", "e"), ("q", "u")],
        padding_side="right",
        model_max_length=64,
    )
    end = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    tokenizer.backend_tokenizer.post_processor = end
    return tokenizer


def usual_of(kind: str, **config: Any) -> InputDefaults:
    """What the table of families says of a model type, for texts."""
    family = PAIRS[kind][1] if kind in PAIRS else next(family for family in FAMILIES if kind in family.types)
    return family.input_defaults(config)


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
