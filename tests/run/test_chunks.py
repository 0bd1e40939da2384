"""Long texts in chunks: what covers them, whose vectors they have; growing and several workers change nothing."""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tests import folders
from tests.tokens.tiny import MAKERS, usual_of

import classtoken as ct
from classtoken.errors import ManifestMismatch, OptionError
from classtoken.results.embed import EmbedResult
from classtoken.run.chunks import Border, Chunker, ChunkSpec, token_ranges
from classtoken.sink import read_quarantine, verify
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Chunk, Record

WORDS = ["the", "cat", "dog", "bird", "sits", "runs", "on", "a", "mat", "under", "red", "blue", "house", "far", "away"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.tiny_bert(tmp_path_factory.mktemp("bert"))


def words(count: int, seed: int = 0) -> str:
    return " ".join(np.random.default_rng(seed).choice(WORDS, count))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.csv"
    rows = {"short": "the cat sits", "long": words(50), "empty": " ", "longer": words(90, 1)}
    path.write_text("id,text,begin\n" + "".join(f"{name},{text},x\n" for name, text in rows.items()))
    return path


def model(bert: Path) -> ct.Embedder:
    return ct.load(bert, pooling="mean")


@pytest.mark.parametrize(("size", "overlap"), [(10, 0), (10, 4), (7, 3), (1, 0), (100, 50)])
@pytest.mark.parametrize("spaces", [True, False])
def test_chunks_cover_every_token_and_overlap_as_asked(size: int, overlap: int, spaces: bool) -> None:
    chance = np.random.default_rng(size)
    between = [Border.BLANK if spaces and chance.random() < 0.7 else Border.INSIDE for _ in range(56)]
    found = token_ranges([Border.BLANK, *between, Border.BLANK], size, overlap)
    assert found[0][0] == 0
    assert found[-1][1] == 57
    for (begin, end), (later, _) in pairwise(found):
        assert begin < later <= end
        assert end - later <= overlap
    assert all(0 < end - begin <= size for begin, end in found)


Cut = Callable[[str, str, ChunkSpec], tuple[Sequence[Chunk], list[int]]]


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Cut:
    """The chunks of a text by the tokenizer of a kind of models, and how many tokens each has alone."""

    @cache
    def prepare(kind: str) -> TextPreprocessor:
        make, family, layout = MAKERS[kind]
        folder = tmp_path_factory.mktemp(kind)
        make().save_pretrained(folder)
        return TextPreprocessor.from_folder(folder, layout, usual=usual_of(family), max_length=64)

    def chunks(kind: str, text: str, spec: ChunkSpec) -> tuple[Sequence[Chunk], list[int]]:
        reads = prepare(kind)
        found = Chunker(reads, spec, None)(Record(id="x", text=text))
        return found, [reads.length(chunk.text or "") - sum(reads.tokenizer.ends) for chunk in found]

    return chunks


LONG = {
    "Chinese": "\u4eca\u5929\u5929\u6c14\u5f88\u597d" * 10,
    "emoji": "\U0001f469\u200d\U0001f469\u200d\U0001f467\U0001f3fd " * 8,
    "code": "if a:\n" + "        quick =  brown\n\n" * 12,
    "accents": "e\u0301\u0302o\u0302\u0301" * 20,
    "words": "the quick brown fox jumps over the lazy dog. " * 8,
}


@pytest.mark.parametrize("text", LONG)
@pytest.mark.parametrize("kind", ["bert", "roberta", "qwen3", "xlm-roberta"])
@pytest.mark.parametrize("overlap", [0, 4])
def test_chunks_hold_what_is_read_and_leave_no_sign_out(kind: str, text: str, overlap: int, cut: Cut) -> None:
    """Several tokens of byte pairs are one character, blanks are tokens without a place, and an accent may be none."""
    whole = LONG[text]
    found, tokens = cut(kind, whole, ChunkSpec(12, overlap))
    assert max(tokens) <= 12
    assert len({(chunk.begin, chunk.end) for chunk in found}) == len(found)
    assert (found[0].begin, found[-1].end) == (0, len(whole))
    for chunk, later in pairwise(found):
        assert chunk.begin < later.begin
        assert not whole[chunk.end : later.begin].strip()
        assert overlap or later.begin >= chunk.end


@pytest.mark.parametrize("kind", ["bert", "roberta", "qwen3", "xlm-roberta"])
def test_chunks_end_between_words_also_where_a_token_has_the_space_before_it(kind: str, cut: Cut) -> None:
    text = LONG["words"]
    for size in (20, 23, 25):
        found, _ = cut(kind, text, ChunkSpec(size))
        assert len(found) > 2
        for chunk in found[:-1]:
            assert any(sign.isspace() for sign in text[chunk.end - 1 : chunk.end + 1])


def test_what_is_one_character_is_not_cut_and_ends_no_run_for_good() -> None:
    """An emoji of four tokens in runs of one, and signs that all share characters."""
    emoji = [Border.BLANK, *([Border.SHARED] * 3 + [Border.INSIDE]) * 3]
    assert token_ranges(emoji, 1, 0) == [(0, 4), (4, 8), (8, 12)]
    chained = [Border.BLANK, *[Border.SHARED] * 99, Border.BLANK]
    assert token_ranges(chained, 10, 0) == [(begin, begin + 10) for begin in range(0, 80, 10)] + [(80, 100)]


@pytest.mark.parametrize("kind", ["roberta", "qwen3"])
def test_windows_of_late_chunks_hold_whole_characters(kind: str, cut: Cut) -> None:
    found, _ = cut(kind, LONG["Chinese"], ChunkSpec(24, 0, "late"))
    assert len({chunk.around for chunk in found}) > 1
    for chunk in found:
        assert chunk.around is not None
        assert chunk.text == chunk.around[slice(*chunk.inside)]


def test_a_chunk_s_vector_is_that_of_its_text(tmp_path: Path, bert: Path, source: Path) -> None:
    result = ct.embed(bert, source, tmp_path / "out", pooling="mean", chunks=12, overlap=3)
    found = ct.read(tmp_path / "out")
    texts = found.column("text")
    assert found.ids[0] == "short#0"
    assert found.ids[1:4] == ("long#0", "long#1", "long#2")
    assert found.column("record")[:2] == ["short", "long"]
    assert found.column("begin_source") == ["x"] * len(found)
    np.testing.assert_allclose(found.arrays["mean"], model(bert).embed(texts), atol=2e-6)
    whole = {"short": "the cat sits", "long": words(50), "longer": words(90, 1)}
    for text, name, begin, end in zip(*map(found.column, ("text", "record", "begin", "end")), strict=True):
        assert whole[name][begin:end] == text
    for name, text in whole.items():
        mine = [k for k, record in enumerate(found.column("record")) if record == name]
        assert (found.column("begin")[mine[0]], found.column("end")[mine[-1]]) == (0, len(text))
    assert (result.total, result.refused, result.rows) == (4, 1, 3 + result.extra)
    assert result.cut == 0
    assert [entry.id for entry in read_quarantine(tmp_path / "out")] == ["empty"]
    assert verify(tmp_path / "out").ok, verify(tmp_path / "out").problems
    assert "chunks of 4 records" in str(result)
    assert EmbedResult.from_json(result.to_json()) == result
    assert ct.search(tmp_path / "out", texts[3], k=1).hits[0]["id"] == found.ids[3]


def test_the_mean_of_chunks_is_weighted_by_their_tokens(tmp_path: Path, bert: Path, source: Path) -> None:
    ct.embed(bert, source, tmp_path / "rows", pooling="mean", chunks=12)
    rows = ct.read(tmp_path / "rows")
    for unit in (False, True):
        out = tmp_path / f"mean-{unit}"
        ct.embed(bert, source, out, pooling="mean", chunks=12, chunked="mean", normalize=unit)
        found = ct.read(out)
        assert found.ids == ("short", "long", "longer")
        assert found.column("text")[1] == words(50)
        for name, vector in zip(found.ids, found.arrays["mean"], strict=True):
            mine = [k for k, record in enumerate(rows.column("record")) if record == name]
            texts = [rows.column("text")[k] for k in mine]
            weights = np.array([len(text.split()) + 2 for text in texts], float)
            each = ct.load(bert, pooling="mean", normalize=unit).embed(texts)
            expected = (each * weights[:, None]).sum(axis=0) / weights.sum()
            expected = expected / np.linalg.norm(expected) if unit else expected
            np.testing.assert_allclose(vector, expected, atol=2e-6)
    assert verify(tmp_path / "mean-True").ok


def test_late_chunks_are_pooled_from_one_pass_over_the_text(tmp_path: Path, bert: Path) -> None:
    path, text = tmp_path / "a.txt", words(25)
    path.write_text(f"{text}\n{words(70, 2)}\n")
    ct.embed(bert, path, tmp_path / "out", pooling="mean", chunks=8, chunked="late")
    found, embedder = ct.read(tmp_path / "out"), model(bert)
    mine = [k for k, record in enumerate(found.column("record")) if record == "0"]
    states = embedder.states([text]).last_BLD[0, 1:-1].numpy()
    place = 0
    for k in mine:
        count = len(found.column("text")[k].split())
        np.testing.assert_allclose(found.arrays["mean"][k], states[place : place + count].mean(axis=0), atol=2e-6)
        place += count
    assert place == 25
    alone = embedder.embed([found.column("text")[k] for k in mine])
    assert np.abs(found.arrays["mean"][mine] - alone).max() > 1e-3  # what stands around it counts
    later = [found.column("text")[k] for k, record in enumerate(found.column("record")) if record == "1"]
    assert " ".join(later) == words(70, 2)  # longer than the model reads at once
    assert verify(tmp_path / "out").ok


@pytest.mark.slow
@pytest.mark.parametrize("kept", ["rows", "late", "mean"])
def test_growing_workers_and_stops_change_nothing(tmp_path: Path, bert: Path, source: Path, kept: str) -> None:
    how = {"pooling": "mean", "chunks": 12, "overlap": 2, "chunked": kept, "part_rows": 2}
    out = tmp_path / "out"
    ct.embed(bert, source, out, **how)
    assert ct.embed(bert, source, out, **how).before == 4
    lines = source.read_text().replace("short,the cat", "short,the dog") + f"new,{words(40, 3)},x\n"
    source.write_text(lines)
    with pytest.raises(ManifestMismatch, match=" new, "):
        ct.embed(bert, source, out, **how)
    grown = ct.embed(bert, source, out, **how, update=True)
    assert grown.unit == ("record" if kept == "mean" else "chunk")
    assert f"{grown.unit}s new" in str(grown) or f"1 {grown.unit} new" in str(grown)
    ct.embed(bert, source, tmp_path / "fresh", **how)
    ct.embed(bert, source, tmp_path / "two", **how, workers=2)
    found, fresh, two = (ct.read(tmp_path / name) for name in ("out", "fresh", "two"))
    assert found.table.drop_columns("mean").equals(fresh.table.drop_columns("mean"))
    np.testing.assert_allclose(found.arrays["mean"], fresh.arrays["mean"], atol=2e-6)
    assert two.table.equals(fresh.table)
    assert verify(out).ok, verify(out).problems
    with pytest.raises(ManifestMismatch, match="chunks"):
        ct.embed(bert, source, out, pooling="mean")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"chunks": 31}, "`chunks` is 31, and a text of this model has room for 30 tokens"),
        ({"chunks": 10, "overlap": 6}, "`overlap` is 6; give at most half of `chunks`, 5"),
        ({"overlap": 6}, "give `chunks`, too"),
        (
            {"chunks": 10, "chunked": "late", "pooling": "cls"},
            "late chunks are pooled from their own tokens, and 'cls'",
        ),
        ({"chunks": 10, "chunked": "mean", "tokens": True}, "`tokens` are of what is a row"),
        ({"tokens": True, "store": "int8"}, "`tokens` are stored in fp32 or fp16"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(
    tmp_path: Path, bert: Path, source: Path, options: dict, said: str
) -> None:
    with pytest.raises(OptionError, match=said):
        ct.embed(bert, source, tmp_path / "out", **{"pooling": "mean", **options})
    assert not (tmp_path / "out").exists()


def test_images_have_no_chunks(tmp_path: Path) -> None:
    folders.coloured_squares(tmp_path / "photos", 2)
    with pytest.raises(OptionError, match="`chunks` are of texts"):
        ct.embed("builtin:toy", tmp_path / "photos", tmp_path / "out", chunks=10)


def test_a_spec_says_itself() -> None:
    assert str(ChunkSpec(256, 32, "late")) == "256 tokens, 32 again, late"
