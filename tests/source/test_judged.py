"""Pairs with scores and judgements of relevance."""

from pathlib import Path

import pytest

from classtoken.errors import OptionError, SourceError
from classtoken.source import Pair, PairColumns, read_judgements, read_pairs
from classtoken.values import Rejected


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def test_pairs(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "sentence1,sentence2,score\na,b,2.5\nc,d,0\n")
    assert read_pairs(path) == (Pair("0", "a", "b", 2.5), Pair("1", "c", "d", 0.0))
    path = write(tmp_path / "b.jsonl", '{"id": "x", "l": "a", "r": "b", "s": 1}\n')
    assert read_pairs(path, columns=PairColumns("l", "r", "s")) == (Pair("x", "a", "b", 1.0),)


def test_pairs_by_the_sources_own_names(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "Nr,Question A,Question B,alike\n7,a,b,2.5\n8,c,d,0\n")
    named = PairColumns.named("Question A, Question B", "alike", "Nr")
    found = read_pairs(path, columns=named)
    assert found == (Pair("7", "a", "b", 2.5), Pair("8", "c", "d", 0.0))
    assert found[0].meta == {"Nr": "7", "Question A": "a", "Question B": "b", "alike": "2.5"}
    remembered = PairColumns("Question A", "Question B", "alike")
    assert [pair.right for pair in read_pairs(path, remembered=remembered)] == ["b", "d"]
    usual = write(tmp_path / "b.csv", "sentence1,sentence2,score,alike,Question A,Question B\na,b,1,0,x,y\n")
    assert read_pairs(usual, remembered=remembered) == (Pair("0", "a", "b", 1.0),)
    with pytest.raises(SourceError, match="has no column 'Question C' for pairs; it has 'Nr', 'Question A'"):
        read_pairs(path, columns=PairColumns.named("Question A,Question C", "alike", None))
    for wrong in ("Question A", "Question A,", "Question A,Question A"):
        with pytest.raises(OptionError, match="pairs have two columns of texts; give both names, joined by a comma"):
            PairColumns.named(wrong, None, None)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b,score\nx,y,1\n", "no column 'sentence1', 'sentence2' for pairs; it has 'a', 'b', 'score'. Name the two"),
        ("text1,text2,score\nx,,1\n", "row 0 .* lacks a text"),
        ("text1,text2,score\nx,y,high\n", "score is 'high', not a number"),
        ("text1,text2,score\nx,y\n", "row 0 .* has 2 fields"),
    ],
)
def test_pairs_that_cannot_be_read(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        read_pairs(write(tmp_path / "a.csv", content))


def test_judgements(tmp_path: Path) -> None:
    path = write(tmp_path / "q.tsv", "query_id\tdoc_id\trelevance\nq1\td1\t2\nq1\td2\t0\nq2\td1\t1\n")
    assert read_judgements(path) == {"q1": {"d1": 2.0, "d2": 0.0}, "q2": {"d1": 1.0}}
    assert read_judgements(write(tmp_path / "q.csv", "query_id,doc_id\nq,d\n")) == {"q": {"d": 1.0}}
    with pytest.raises(SourceError, match="needs the columns query_id, doc_id"):
        read_judgements(write(tmp_path / "q.csv", "query,doc_id\nq,d\n"))
    with pytest.raises(SourceError, match="no query_id or doc_id"):
        read_judgements(write(tmp_path / "q.csv", "query_id,doc_id\n,d\n"))


def test_judgements_of_beir_and_trec_are_read_as_they_are(tmp_path: Path) -> None:
    wanted = {"q1": {"d1": 2.0, "d2": 0.0}, "q2": {"d1": 1.0}}
    beir = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td1\t1\n"
    assert read_judgements(write(tmp_path / "test.tsv", beir)) == wanted
    trec = "q1 0 d1 2\nq1 0 d2 0\n\nq2 Q0 d1 1\n"
    for name in ("a.qrels", "qrels.txt", "trec.tsv"):
        assert read_judgements(write(tmp_path / name, trec)) == wanted


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("q,d,2\n", "says 2 of query 'q' and document 'd', and an earlier one 1; keep one"),
        ("q,e,nan\n", "relevance is 'nan', not a number"),
        ("q,e,inf\n", "relevance is 'inf', not a number"),
        ("q,e,\n", "relevance is '', not a number"),
    ],
)
def test_judgements_that_say_nothing_or_two_things(tmp_path: Path, line: str, words: str) -> None:
    head = "query_id,doc_id,relevance\nq,d,1\nq,d,1\n"
    with pytest.raises(SourceError, match=words):
        read_judgements(write(tmp_path / "q.csv", head + line))


def test_pairs_that_cannot_be_judged_are_named_and_the_others_read(tmp_path: Path) -> None:
    lines = ["text1,text2,score", "a,b,1", "only one", "c,,2", "d,e,many", "f,g,nan", "h,i,3"]
    refused: list[Rejected] = []
    pairs = read_pairs(write(tmp_path / "a.csv", "\n".join(lines) + "\n"), refused=refused)
    assert [(pair.id, pair.score) for pair in pairs] == [("0", 1.0), ("5", 3.0)]
    assert [entry.id for entry in refused] == ["row 1", "row 2", "row 3", "row 4"]
    assert [entry.reason for entry in refused][1:] == [
        "lacks a text",
        "cannot be judged: score is 'many', not a number",
        "cannot be judged: score is 'nan', not a number",
    ]
    refused = []
    assert read_pairs(write(tmp_path / "b.jsonl", '{"text1": "a", "text2": "b", "score": 1}\n{}\n'), refused=refused)
    assert [entry.id for entry in refused] == ["row 1"]


def test_real_pairs(shared: Path) -> None:
    pairs = read_pairs(shared / "data" / "text" / "stsb" / "dev.csv")
    assert len(pairs) == 1500
    assert {0.0 <= pair.score <= 5.0 for pair in pairs} == {True}
