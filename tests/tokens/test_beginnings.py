"""Of a text that is cut anyway no more is tokenized than is kept, and the ids are those of the whole."""

import random
import time
from pathlib import Path

import numpy as np
import pytest
from tests import folders

from classtoken.tokens.beginnings import beginning, ids_kept
from classtoken.tokens.text import TextPreprocessor


def test_a_beginning_ends_between_words() -> None:
    text = "one two three four five"
    assert beginning(text, 5) == "one two"
    assert beginning(text, 12) == text  # little more is left
    assert beginning("x" * 100, 5) == "x" * 100
    assert beginning("", 5) == ""


def test_more_is_taken_where_it_was_not_enough() -> None:
    asked: list[int] = []

    def tokenize(texts: list[str]) -> list[list[int]]:
        asked.extend(map(len, texts))
        return [[1] * (len(text) // 40) for text in texts]  # tokens of forty characters

    text = "word " * 4000
    (found,) = ids_kept([text], tokenize, 20)
    assert len(found) >= 36
    assert asked[0] < asked[1] < len(text)


@pytest.fixture(scope="module")
def prepare(minilm: Path) -> TextPreprocessor:
    return TextPreprocessor.from_folder(minilm)


@pytest.mark.slow
def test_the_ids_are_those_of_the_whole_text(prepare: TextPreprocessor) -> None:
    chance = random.Random(0)
    words = [
        "cat",
        "antidisestablishmentarianism",
        "I'd",
        "...",
        "don't",
        "[SEP]",
        "ünïcode",
        "漢字",
        "a-b",
        "3.14",
        "😀",
    ]
    spaces = [" ", "  ", "\n", "\t", "\u00a0", " \n "]
    for _ in range(60):
        text = "".join(chance.choice(words) + chance.choice(spaces) for _ in range(chance.randint(1, 6000)))
        whole = prepare.tokenizer.ids([text])[0]
        kept = np.array(whole)[prepare._kept(len(whole))]
        (row,) = prepare.encode([text])
        np.testing.assert_array_equal(row.ids, kept)
        assert (row.cut > 0) == (len(whole) > len(kept))


def test_time_does_not_grow_with_the_length(prepare: TextPreprocessor) -> None:
    def seconds(text: str) -> float:
        times = []
        for _ in range(3):
            begun = time.process_time()
            prepare.encode([text])
            times.append(time.process_time() - begun)
        return min(times)

    prepare.encode(["warm"])
    short, long = seconds("a few words " * 700), seconds("a few words " * 87_000)  # 8 kB, 1 MB
    assert long < 5 * short + 0.01


def test_tokenizers_of_other_kinds(tmp_path: Path) -> None:
    folders.bert_tokenizer(tmp_path, longest=16)
    prepare = TextPreprocessor.from_folder(tmp_path)
    text = "the cat sits on the mat " * 500
    whole = prepare.tokenizer.ids([text])[0]
    (row,) = prepare.encode([text])
    np.testing.assert_array_equal(row.ids, np.array(whole)[prepare._kept(len(whole))])
