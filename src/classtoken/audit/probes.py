"""Texts that tell readouts, prompts and limits apart, made for the tokenizer at hand."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from classtoken.tokens.text import TextPreprocessor

#: Written by people, for people: capitals, accents, numbers, signs, several scripts.
NATURAL = (
    "A dog runs across the wet grass.",
    "What is the capital of Australia?",
    "The invoice of 14 March 2024 was paid late.",
    "Der Zug nach Köln fährt um 9:45 Uhr.",
    "How do I reset my password",
    "Le chat dort sur le canapé.",
    "Photosynthesis turns light into sugar.",
    "SELECT name FROM users WHERE id = 7;",
    "No, I am not happy with this product!",
    "Two men are playing chess in the park",
    "東京は日本の首都です。",
    "cheap flights to Lisbon in May",
)
#: Tokens of the probes that are longer than some limit; what a service cuts at, it cuts one of these at.
LONG = (48, 96, 190, 320, 450, 700)
#: The limits that services are known to set.
LIMITS = (32, 64, 96, 128, 192, 256, 384, 512)


@dataclass(frozen=True)
class Probes:
    """Short texts, which nobody cuts, and long ones with their number of tokens."""

    short: tuple[str, ...]
    long: tuple[str, ...]
    lengths: tuple[int, ...]


def text_probes(prepare: TextPreprocessor, *, prompt: str | None, count: int = 12) -> Probes:
    """`count` natural texts that fit, as many of single words of the vocabulary, and long ones up to a little more than
    the longest text that the model takes.

    Words that are a token each make lengths known, and texts that any vocabulary tells apart.
    """
    chance = random.Random(20240229)
    words = vocabulary_words(prepare)
    most = prepare.recipe.max_length
    room = (most or 10_000) - len(prepare.encode([""], prompt=prompt)[0].ids) if words else 0
    longest = max(min(room, 16), 2)
    made = [" ".join(chance.choices(words, k=chance.randint(2, longest))) for _ in range(count if words else 0)]
    short = [text for text in (*NATURAL[:count], *made) if prepare.encode([text], prompt=prompt)[0].cut == 0]
    wanted = [length for length in LONG if most is None or length <= 1.6 * most]
    if most is not None and most < LONG[-1] and (not wanted or wanted[-1] <= most):
        wanted.append(int(1.5 * most) + 4)
    long = [" ".join(chance.choices(words, k=length)) for length in wanted] if words else []
    return Probes(tuple(dict.fromkeys(short)), tuple(long), tuple(wanted if words else ()))


def vocabulary_words(prepare: TextPreprocessor, most: int = 400) -> Sequence[str]:
    """Words of plain letters that are one token each, in a fixed order."""
    size = prepare.vocabulary or 30_000
    behind = prepare.tokenizer.ends
    found = []
    for token in prepare.tokenizer.words(range(size)):
        word = token.lstrip("Ġ▁").removesuffix("</w>")
        if len(word) >= 2 and word.isascii() and word.isalpha() and word.islower() and not token.startswith("##"):
            found.append(word)
    random.Random(1).shuffle(found)
    kept = []
    for word in found[: 4 * most]:
        if len(prepare.tokenizer.ids([f"a {word} {word}"])[0]) == 3 + sum(behind):
            kept.append(word)
        if len(kept) == most:
            break
    return kept or found[:most]
