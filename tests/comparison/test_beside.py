"""What is told beside the ranking: a sentence moved through a text, landmarks, lengths of tokens."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.folders import coloured_squares, tiny_bert, tiny_vit

import classtoken as ct
from classtoken.comparison.beside import token_lengths
from classtoken.comparison.landmarks import WithLandmarks, without_landmarks
from classtoken.comparison.moved import sentences, texts_of
from classtoken.comparison.words import advice_of
from classtoken.errors import OptionError
from classtoken.results.compare import ComparedVector, Cost, Difference, MetricScore
from classtoken.values import Role

FOUR = [f"the {one} {does} {place}" for one in ("cat", "dog", "bird") for does in ("sits", "runs") for place in
        ("on", "under", "far")]  # fmt: skip


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert(tmp_path_factory.mktemp("bert"))


def test_a_sentence_is_moved_and_nothing_else() -> None:
    texts = texts_of(["a b c d.", *[f"other {n} is here" for n in range(7)]], 0)
    assert [text.split(". ").index("a b c d") for text in texts[:-1]] == [0, 1, 2, 3, 4]
    assert texts[-1].endswith("a b c d.")
    others = [sorted(text.replace("a b c d.", "").split()) for text in texts]
    assert all(one == others[0] for one in others)
    assert sentences(["Yes. No.", "A cat sat on it! And more.", "a cat sat on it!"]) == [
        "A cat sat on it!",
        "a cat sat on it!",
    ]


def test_position_is_told_for_texts(bert: Path, tmp_path: Path) -> None:
    """By embedding the very texts again."""
    lines = ["text,label", *(f"{text},{'ab'[n % 2]}" for n, text in enumerate(FOUR))]
    (tmp_path / "texts.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    out = tmp_path / "report.html"
    found = ct.compare(bert, tmp_path / "texts.csv", out, pooling="cls,mean,landmarks(3)", draws=2, folds=2)
    assert [one.candidate for one in found.position] == ["cls", "mean", "landmarks(3)"]
    mean = found.position[1]
    assert mean.sentences == len(FOUR)
    embedder = ct.load(bert, pooling="mean")
    alone = embedder.embed(FOUR)
    whole = np.stack([embedder.embed(texts_of(FOUR, at)) for at in range(len(FOUR))])
    cosines = np.einsum("npd,nd->np", whole, alone)
    cosines /= np.linalg.norm(whole, axis=-1) * np.linalg.norm(alone, axis=-1)[:, None]
    assert mean.cosine == pytest.approx(tuple(cosines.mean(0)), abs=1e-5)
    assert mean.first == pytest.approx((cosines[:, 0] - cosines[:, 1:].mean(1)).mean(), abs=1e-5)
    assert all(low <= value <= high for low, value, high in zip(mean.low, mean.cosine, mean.high, strict=True))
    assert "Where a sentence stands" in out.read_text()
    marked = next(one for one in found.candidates if one.name == "landmarks(3)")
    assert marked.role == "probe"
    assert "landmarks" not in found.advice
    assert {row.role for row in found.lengths} == {"class token", "content", "end token"}


def test_landmarks_stand_after_every_so_many_tokens(bert: Path) -> None:
    prepare = ct.load(bert).tower("text").prepare
    (plain,), (marked,) = (
        prepare.ready(["the cat sits on a mat"]),
        WithLandmarks(prepare, 2).ready(["the cat sits on a mat"]),
    )
    assert plain.roles.tolist() == [Role.CLASS, *[Role.CONTENT] * 6, Role.END]
    pair = [Role.CONTENT, Role.CONTENT, Role.END]
    assert marked.roles.tolist() == [Role.CLASS, *pair * 3]
    assert set(marked.ids[marked.roles == Role.END]) == {plain.ids[-1]}
    assert marked.ids[marked.roles != Role.END].tolist() == plain.ids[:-1].tolist()
    (long,) = WithLandmarks(prepare, 1).ready(["the cat sits on a mat " * 8])
    assert len(long) == 32
    assert long.roles[-1] == Role.END
    assert long.cut > 0


def test_landmarks_are_for_texts(tmp_path: Path) -> None:
    assert without_landmarks("cls, landmarks(16) ,gem(2)") == ("cls,gem(2)", (16,))
    for wrong in ("cls,", "", "landmarks", "cls,landmarks(0)"):
        with pytest.raises(OptionError, match=r"joined by commas|write landmarks\(16\)"):
            without_landmarks(wrong)
    coloured_squares(tmp_path / "squares", 4)
    with pytest.raises(OptionError, match="is for texts"):
        ct.compare(tiny_vit(tmp_path / "vit"), tmp_path / "squares", pooling="cls,landmarks(4)")


def test_odd_lengths_of_tokens_are_counted_by_role() -> None:
    lengths = np.random.default_rng(0).normal(10, 1, (40, 6))
    lengths[:3, 2] = 90
    roles = np.tile([Role.CLASS, *[Role.CONTENT] * 4, Role.PAD], (40, 1))
    lengths[roles == Role.PAD] = 1e6
    content = next(row for row in token_lengths("m", np.stack((lengths, roles), -1)) if row.role == "content")
    assert (content.tokens, content.odd, content.largest) == (160, 3, 90)
    assert len(token_lengths("m", np.stack((lengths, roles), -1))) == 2


def test_advice_names_what_a_pooling_gives() -> None:
    def candidate(name: str, pooling: str | None, size: int, group: int = 1) -> ComparedVector:
        score = {"accuracy": MetricScore(0.8, 0.7, 0.9, "exact")}
        return ComparedVector(name, group, score, "m", pooling, "candidate", Cost(size, 4 * size))

    white, plain, stored = candidate("mean whitened", None, 8), candidate("mean", "mean", 16), candidate("x", None, 2)
    gaps = [Difference(name, "cls", 0.1, 0.05, 0.15, 0.001, 0.001, 0.5, 9, 1) for name in ("mean whitened", "mean")]
    said = advice_of([white, plain, stored, candidate("cls", "cls", 16, 2)], gaps, "accuracy")
    assert said.pooling == "mean"
    assert said.line == "mean: 80.0 % accuracy (70-90). mean whitened and x are not clearly worse."
    assert said.sure.startswith("Use mean, the mean of the tokens (--pooling 'mean'). In 95 of 100")
    assert said.sure.endswith("cls is clearly worse than mean.")
    own = advice_of([white, candidate("m: own", None, 99)], (), "accuracy")
    assert own.line == "m: own: 80.0 % accuracy (70-90). mean whitened is not clearly worse."
    assert "it is the model's own" in own.sure
    assert said.name == "mean"
    short = advice_of([plain, replace(candidate("mean first 4", "mean", 4), dim=4)], (), "accuracy").sure
    assert "Use mean first 4 (--pooling 'mean' --dim 4). Of those that are not told apart from the best, it is" in short


def test_advice_says_which_side_the_others_are_on() -> None:
    def candidate(name: str, value: float, size: int = 8) -> ComparedVector:
        score = {"spearman": MetricScore(value, value - 0.02, value + 0.02, "bca")}
        return ComparedVector(name, 1, score, "m", name, "candidate", Cost(size, 4 * size))

    rows = [candidate("cls+mean", 0.9, 16), candidate("mean", 0.88), candidate("max", 0.87)]
    assert advice_of(rows[:2], (), "spearman").line == (
        "mean: Spearman correlation 0.880 (0.860 to 0.900). cls+mean is not clearly better."
    )
    assert advice_of(rows, (), "spearman").line.endswith("cls+mean and max are not clearly better or worse.")
    many = [candidate(f"dim{n}", 0.9 - n / 1000) for n in range(8)]
    assert advice_of(many, (), "spearman").line.endswith("None of 7 others is clearly worse.")
    apart = [rows[0], replace(rows[2], group=2)]
    gap = Difference("cls+mean", "max", 0.03, 0.02, 0.04, 0.001, 0.001, 0.5, 9, 1)
    assert advice_of(apart, (gap,), "spearman").line.endswith("better than max by 0.030 (0.020 to 0.040).")


def test_what_is_said_of_the_others_was_tested_with_the_one_that_is_named() -> None:
    """The shortest of the first group is named; what is clearly worse than the best need not be worse than that."""

    def candidate(name: str, value: float, size: int, group: int) -> ComparedVector:
        score = {"accuracy": MetricScore(value, value - 0.05, value + 0.05, "exact")}
        return ComparedVector(name, group, score, "m", name, "candidate", Cost(size, 4 * size))

    def gap(first: str, second: str, adjusted: float) -> Difference:
        return Difference(first, second, 0.05, 0.01, 0.09, adjusted, adjusted, 0.2, 9, 1)

    rows = [candidate(*row) for row in (("cls+mean", 0.72, 16, 1), ("cls", 0.71, 8, 1), ("mean", 0.66, 8, 2))]
    apart = [gap("cls+mean", "cls", 1.0), gap("cls+mean", "mean", 0.017), gap("cls", "mean", 0.167)]
    said = advice_of(rows, apart, "accuracy")
    assert said.line.endswith("cls+mean is not clearly better.")
    assert said.sure.endswith("mean is clearly worse than cls+mean, but not than cls.")
    clear = advice_of(rows, [*apart[:2], gap("cls", "mean", 0.02)], "accuracy")
    assert clear.sure.endswith("mean is clearly worse than cls.")
    short = [rows[0], rows[1], candidate("max", 0.70, 4, 1)]
    worse = advice_of(short, [gap("cls+mean", "max", 0.06), gap("cls", "max", 0.01)], "accuracy")
    assert worse.name == "cls"  # shorter still is max, and clearly worse than cls
    assert worse.sure.endswith("max is clearly worse than cls.")
