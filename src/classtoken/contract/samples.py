"""Inputs on which a folder is held against its reference: what is harmless on these is called harmless."""

from collections.abc import Iterator, Mapping
from typing import Any

from classtoken.contract.experiments import TEXTS, pictures
from classtoken.inputs import Preprocessor, one_batch
from classtoken.tokens.text import TextPreprocessor

#: Texts that tokenizers treat differently: capitals, accents, spaces, numbers, other scripts, spelt special tokens.
TRICKY = (*TEXTS, "Zebra", "  two  spaces ", "Äpfel, NAÏVE café", "12,345.67 %", "你好 мир 😀", "it's [SEP] </s> done")
#: Rarer ones: letters in several forms, signs that stand for others, blanks of every kind, signs without a shape.
RARE = (
    *("e\u0301te\u0301 o\u0308 \u212b", "\ufb01n \u2167 \u00bd \u2460 \uff21\uff22 \u338e", "ΟΔΟΣ İ ẞ \u017f \u0149"),
    *("don't I'M we'll ``so'' \u201cso\u201d \u2013", "a\u00a0b\u2003c\u3000d\u200be\u00adf", "a\tb\nc\r\nd\n\n e"),
    *("\x00a\x07\ufffd\ufeff", "한국어 ไทย हिन्दी عربى", "un_der__line #tag @me", "long" * 60),
    "<s> [UNK] <unk> [PAD]<pad> <mask>x [MASK] <extra_id_0>",
)
#: So many of a tokenizer's own pieces are tried as words, and as many of the longest.
OWN_WORDS = 40
#: How long the longest text is at least, in tokens, and what the names of keys for numbers of tokens hold.
LONG = 256
LENGTHS = ("window", "chunk", "length", "position", "local", "block")


def several_inputs(prepare: Preprocessor, config: Mapping[str, Any]) -> list[Any]:
    """Inputs of several lengths, each a batch of its own; among texts one that is longer than any window."""
    if not isinstance(prepare, TextPreprocessor):
        return [one_batch(prepare, [item]) for item in pictures()]
    words = TEXTS[-1] + " "
    each = max(1, len(prepare.tokenizer.ids([words])[0]) - sum(prepare.tokenizer.ends))
    long = words * (1 + _beyond(prepare.recipe.max_length or LONG, config) // each)
    return [one_batch(prepare, [text]) for text in (*TRICKY[:4], long)]


def _beyond(most: int, config: Mapping[str, Any]) -> int:
    """A length at which begins what is for long texts alone: beyond each window, and each length of a first training,
    that the config names, as far as texts may go here (`most`)."""
    return min(most, 1 + max([LONG, *(number for number in _lengths(config) if number < most)]))


def _lengths(config: Mapping[str, Any]) -> Iterator[int]:
    """Numbers of tokens in a config, by the names of their keys."""
    for key, value in dict(config).items():  # a plain copy: looking here reads no key
        if isinstance(value, Mapping):
            yield from _lengths(value)
        elif isinstance(value, int) and any(word in key for word in LENGTHS):
            yield value


def own_words(tokenizer: Any) -> list[str]:
    """Texts of what a tokenizer of transformers knows: its added tokens among letters, pieces of its vocabulary."""
    added = {*map(str, tokenizer.all_special_tokens), *tokenizer.get_added_vocab()}
    pieces = {piece.strip("\u2581\u0120#@ ").removesuffix("</w>") for piece in tokenizer.get_vocab()}
    words = sorted(pieces - added - {""})
    some = words[:: max(1, len(words) // OWN_WORDS)]
    longest = sorted(words, key=len)[-OWN_WORDS:]
    spelt = sorted(added)[: 2 * OWN_WORDS]
    return [" ".join(some), " ".join(some).upper(), *longest, *(f"a {token} b{token}c" for token in spelt)]
