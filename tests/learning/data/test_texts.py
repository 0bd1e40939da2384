"""Texts from scratch: the vocabulary that is learned from them."""

import csv
import json
from pathlib import Path

import pytest
from tests.folders import SENTENCES
from tests.learning.training import LOOP, MOVING, train

from classtoken.learning.data.texts import SPECIAL, learn_vocabulary
from classtoken.learning.recipe import Recipe
from classtoken.tokens.text import TextPreprocessor

WORDS = [
    "river",
    "rivers",
    "riverbank",
    "bank",
    "banks",
    "banking",
    "winter",
    "winters",
    "sea",
    "seas",
    "seal",
    "seals",
]
TEXTS = [f"{a} {b} {c}" for a in WORDS for b in WORDS for c in WORDS[::4]]


def vocabulary(folder: Path) -> dict[str, int]:
    return json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]


def test_the_same_texts_give_the_same_pieces_and_numbers(tmp_path: Path) -> None:
    """The trainer's ties were broken by a hash table's order, another one in every run."""
    found = []
    for i in range(6):
        (tmp_path / str(i)).mkdir()
        learn_vocabulary(TEXTS, 60, tmp_path / str(i), 32)
        found.append(vocabulary(tmp_path / str(i)))
    assert all(other == found[0] for other in found)
    assert len(found[0]) > 40
    assert [found[0][name] for name in SPECIAL] == list(range(5))


def test_a_text_that_spells_a_piece_is_cut_as_any_other(tmp_path: Path) -> None:
    learn_vocabulary(TEXTS, 60, tmp_path, 32)
    prepare = TextPreprocessor.from_folder(tmp_path)
    assert prepare.encode(["##e"])[0].ids.tolist()[1] == vocabulary(tmp_path)["[UNK]"]  # the signs # are not in it


def test_the_vocabulary_is_learned_without_the_held_out_texts(tmp_path: Path) -> None:
    """Every text has a sign of its own: those of the held-out rows are not in the vocabulary."""
    signs = [chr(0x3B1 + i) for i in range(24)]
    with (tmp_path / "texts.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [(f"{SENTENCES[0]} {sign}", "ab"[i % 2]) for i, sign in enumerate(signs)]
        csv.writer(file).writerows([("text", "label"), *rows])
    model = {
        "hidden_size": 16,
        "depth": 1,
        "stem": {"kind": "text", "vocabulary": 200, "positions": 16},
        "block": {"heads": 2, "feedforward_size": 32},
    }
    plain = {
        "model": model,
        "data": {"held_out": 0.25, "longest": 16},
        "loop": {**LOOP, "epochs": 1.0},
        "optimiser": MOVING,
    }
    result = train(tmp_path / "texts.csv", tmp_path / "out", recipe=Recipe.from_dict(plain))
    known = set(vocabulary(tmp_path / "out"))
    assert result.held_out == 6
    assert sum(sign in known for sign in signs) == pytest.approx(18, abs=1)  # a final sigma is folded into another
