"""Columns that a model or a folder of vectors came from are taken again, whatever they are called."""

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests import folders

import classtoken as ct
from classtoken.cli import main
from classtoken.errors import ManifestMismatch, OptionError, SourceError
from classtoken.options import SourceOptions
from classtoken.places import place_of
from classtoken.sink import read_manifest
from classtoken.sink.manifest import META, write_manifest
from classtoken.source import open_source

CALLED = {"id": "Ticket ID", "text": "Customer message", "label": "Team"}
NAMED = SourceOptions(id_column="Ticket ID", text_column="Customer message", label_column="Team")
WORDS = ["the cat sits", "a dog runs", "the red bird", "a blue house", "the cat", "a dog", "red bird", "blue house"]
ROWS = [(f"T-{n}", f"2026-11-{n + 1:02d}", text, "animal" if n % 4 != 3 else "house") for n, text in enumerate(WORDS)]
HEAD = ("Ticket ID", "Created", "Customer message", "Team")


def tickets(path: Path, head: tuple[str, ...] = HEAD) -> Path:
    kept = [HEAD.index(name) for name in head]
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter=";").writerows([head, *([row[at] for at in kept] for row in ROWS)])
    return path


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, bert: Path) -> Path:
    """Tickets, their vectors, and a classifier that learned from them."""
    place = tmp_path_factory.mktemp("made")
    ct.embed(bert, tickets(place / "tickets.csv"), place / "vectors", source_options=NAMED)
    ct.train(bert, place / "tickets.csv", place / "model", source_options=NAMED)
    return place


def read_as(source: object, options: SourceOptions | None = None, called: dict[str, str] = CALLED) -> list[tuple]:
    return [(r.id, r.text, r.label, sorted(r.meta)) for r in open_source(source, options, called).records()]


def test_they_are_taken_from_every_kind_of_table(tmp_path: Path) -> None:
    wanted = [(row[0], row[2], row[3], ["Created"]) for row in ROWS]
    columns = {name: [row[at] for row in ROWS] for at, name in enumerate(HEAD)}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    table = tickets(tmp_path / "t.csv")
    for source in (table, tmp_path / "t.parquet", columns, pa.table(columns)):
        assert read_as(source) == wanted


def test_what_is_named_or_not_there_is_not_taken(tmp_path: Path) -> None:
    named = read_as(tickets(tmp_path / "t.csv"), SourceOptions(label_column="Created"))
    assert named[0] == ("T-0", WORDS[0], "2026-11-01", ["Team"])
    assert read_as({"text": ["a"], "label": ["x"]}) == [("0", "a", "x", [])]
    with pytest.raises(SourceError, match="no column text, sentence or image; it has 'Created', 'Team'"):
        read_as(tickets(tmp_path / "u.csv", ("Created", "Team")))


def test_a_table_without_a_header_is_known_by_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "bare.csv"
    path.write_text("".join(f"{row[0]};{row[2]};{row[3]}\n" for row in ROWS))
    wanted = [(row[0], row[2], row[3], []) for row in ROWS]
    assert read_as(path, called={"id": "0", "text": "1", "label": "2"}) == wanted


@pytest.mark.slow
def test_a_trained_model_remembers_them(made: Path, tmp_path: Path) -> None:
    found = ct.predict(made / "model", tickets(tmp_path / "new.csv"), tmp_path / "out")
    assert (found.records, found.judged) == (8, 8)
    rows = list(csv.DictReader((tmp_path / "out/predictions.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["id"], row["label"], row["text"]) for row in rows] == [(row[0], row[3], row[2]) for row in ROWS]
    unlabelled = tickets(tmp_path / "later.csv", HEAD[:3])
    assert ct.predict(made / "model", unlabelled, tmp_path / "later").judged == 0
    head = (tmp_path / "later/predictions.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert "label" not in head
    assert head[-1] == "text"
    embedded = ct.embed(made / "model", tmp_path / "new.csv", tmp_path / "vectors")
    assert "'Customer message' is called text, 'Team' is called label here" in str(embedded)
    assert ct.explain_data(made / "model", tmp_path / "new.csv", quick=True, limit=2).n == 2
    best = ct.compare(made / "model", tmp_path / "new.csv", pooling="mean", folds=2)
    assert best.candidates


def test_a_folder_of_vectors_remembers_them(made: Path, bert: Path, tmp_path: Path) -> None:
    before = ct.embed(bert, made / "tickets.csv", made / "vectors")
    assert before.before == 8
    more = tickets(tmp_path / "more.csv").read_text(encoding="utf-8-sig") + "T-99;2026-12-01;a red cat;animal\n"
    (tmp_path / "more.csv").write_text(more, encoding="utf-8")
    ct.embed(bert, tickets(tmp_path / "first.csv"), tmp_path / "v", source_options=NAMED)
    (tmp_path / "first.csv").write_text(more, encoding="utf-8")
    assert ct.embed(bert, tmp_path / "first.csv", tmp_path / "v", update=True).new == 1
    assert len(ct.search(tmp_path / "v", queries=tmp_path / "more.csv", k=1).queries) == 9
    assert ct.read(tmp_path / "v").column("Team")[-1] == "animal"


def test_conditions_take_the_names_of_the_source(made: Path) -> None:
    hits = ct.search(made / "vectors", "cat", k=9, where="Team = 'house' and \"Customer message\" like '%blue%'").hits
    assert {hit["id"] for hit in hits} == {"T-3", "T-7"}
    with pytest.raises(
        OptionError, match=r"no column 'team'; there are id \(your 'Ticket ID'\).* Did you mean 'Team'\?"
    ):
        ct.search(made / "vectors", "cat", where="team = 'house'")
    with pytest.raises(OptionError, match=r"Did you mean 'Created'\?"):
        ct.search(made / "vectors", "cat", where="created > '2026'")


def test_only_columns_that_the_source_has(made: Path, bert: Path, tmp_path: Path) -> None:
    assert ct.read(made / "vectors").table.column_names == ["id", "mean", "label", "text", "Created"]
    (tmp_path / "lines.txt").write_text("a cat\na dog\n")
    ct.embed(bert, tmp_path / "lines.txt", tmp_path / "v")
    assert ct.read(tmp_path / "v").table.column_names == ["id", "mean", "text"]
    assert ct.outliers(tmp_path / "v", k=1).labelled == 0
    assert ct.verify(tmp_path / "v").ok


def test_folders_from_before_go_on_as_they_were(bert: Path, tmp_path: Path) -> None:
    """Their parts have both columns, and their manifest says nothing of columns."""
    import dataclasses

    (tmp_path / "t.csv").write_text("id,text\na,the cat\nb,a dog\nc,red bird\n")
    place = place_of(tmp_path / "v")
    ct.embed(bert, tmp_path / "t.csv", tmp_path / "v", part_rows=1)
    write_manifest(place, dataclasses.replace(read_manifest(place), beside=("label", "group"), called={}))
    (tmp_path / "t.csv").write_text("id,text\na,the cat\nb,a dog\nc,red bird\nd,blue house\n")
    ct.embed(bert, tmp_path / "t.csv", tmp_path / "v", update=True, part_rows=1)
    assert read_manifest(place).beside == ("label", "group")
    last = pq.read_table(sorted((tmp_path / "v").glob("part-00003*"))[0])
    assert last.column_names == ["id", "mean", "label", "group", "text"]
    plain = (tmp_path / "v" / META / "manifest.json").read_text(encoding="utf-8")
    assert '"called"' in plain


def test_a_column_that_parts_lack_is_not_left_out_in_silence(bert: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,text\na,the cat\n")
    ct.embed(bert, tmp_path / "t.csv", tmp_path / "v")
    (tmp_path / "t.csv").write_text("id,text,label\na,the cat,x\n")
    with pytest.raises(ManifestMismatch, match="columns '' instead of 'label'"):
        ct.embed(bert, tmp_path / "t.csv", tmp_path / "v", update=True)


def test_carry_takes_the_name_of_the_source(bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tickets(tmp_path / "t.csv")
    how = ["--text-column", "Customer message", "--carry", "Customer message"]
    assert main(["embed", str(path), "--model", str(bert), "--out", str(tmp_path / "v"), *how]) == 0
    assert "note: 'Customer message' is called text here" in capsys.readouterr().out
    assert ct.read(tmp_path / "v").carried == ("text",)
