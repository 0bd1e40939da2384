"""Files of lines: .txt, .csv, .tsv and .jsonl."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classtoken.errors import BadRecord, OptionError, SourceError
from classtoken.source import Reader, SourceOptions, make_plan, open_source
from classtoken.values import Record, Rejected


def read(path: Path, **options: str) -> tuple[list[Record], list[Rejected]]:
    refused: list[Rejected] = []
    records = list(open_source(path, SourceOptions(**options)).records(refused))
    return records, refused


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


class TestText:
    def test_a_record_per_line_and_its_number_is_the_id(self, tmp_path: Path) -> None:
        records, refused = read(write(tmp_path / "a.txt", "one\r\n\ntwo\u2028still two\nthree"))
        assert [(r.id, r.text) for r in records] == [("0", "one"), ("2", "two\u2028still two"), ("3", "three")]
        assert refused == [Rejected("1", "is an empty line (line 2)")]

    def test_a_byte_order_mark_is_no_part_of_the_text(self, tmp_path: Path) -> None:
        assert read(write(tmp_path / "a.txt", b"\xef\xbb\xbfone\n"))[0][0].text == "one"

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"one\nna\xefve\n", "not UTF-8: byte 0xef at 6, line 2.*iconv -f latin1"),
            ("one\n".encode("utf-16")[:-1], "is not UTF-16"),
            ("one\n".encode("utf-16-le"), r"UTF-16-LE without its mark has: say .* `encoding` \(utf-16-le\)"),
            ("one\n".encode("utf-16-be"), r"UTF-16-BE without its mark has: say .* `encoding` \(utf-16-be\)"),
        ],
    )
    def test_another_encoding_is_named_with_the_cure(self, tmp_path: Path, content: bytes, words: str) -> None:
        with pytest.raises(SourceError, match=words):
            make_plan(open_source(write(tmp_path / "a.txt", content)))

    def test_an_empty_file_holds_no_records(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="holds no records"):
            read(write(tmp_path / "a.txt", b""))

    def test_a_bad_record_raises_where_nobody_collects_them(self, tmp_path: Path) -> None:
        with pytest.raises(BadRecord, match="record '1'"):
            list(open_source(write(tmp_path / "a.txt", "one\n\n")).records())


class TestDelimited:
    def test_columns_by_their_usual_names(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.csv", 'id,sentence,label,group,source\nx,"a, ""b""\nc",pos|neg,g,web\n')
        record = Record("x", text='a, "b"\nc', label=("pos", "neg"), group="g", meta={"source": "web"})
        assert read(path) == ([record], [])

    def test_columns_by_option(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.csv", "key,body,kind\nx,hello,1\ny,hello, 1 \nz,hello, \n")
        records, _ = read(path, id_column="key", text_column="body", label_column="kind")
        assert records[0] == Record("x", text="hello", label="1")
        assert [record.label for record in records] == ["1", "1", None]  # a space is no part of a label

    def test_a_file_without_a_header_is_read_by_numbers(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.tsv", '5" pipe\t4,27\tk1\nother\t3\tk2\n')
        records, _ = read(path, text_column="0", label_column="1", id_column="2", label_separator=",")
        assert records == [Record("k1", text='5" pipe', label=("4", "27")), Record("k2", text="other", label="3")]

    def test_numbers_and_names_do_not_mix(self, tmp_path: Path) -> None:
        with pytest.raises(OptionError, match="`id_column` id, `text_column` 0: name all"):
            read(write(tmp_path / "a.tsv", "a\tb\n"), text_column="0", id_column="id")

    def test_rows_of_another_length_are_refused_and_the_others_kept(self, tmp_path: Path) -> None:
        records, refused = read(write(tmp_path / "a.csv", 'text,label\na,1\nb\n\nc,2,3\n"d"x,1\ne,4\n'))
        assert [(r.id, r.text) for r in records] == [("0", "a"), ("4", "e")]
        assert [r.id for r in refused] == ["1", "2", "3"]
        assert refused[0].reason == "has 1 field where there are 2 columns (row 3, blank ones left out)"
        assert "not well-formed" in refused[2].reason

    def test_a_refused_row_is_named_as_whoever_opens_the_file_counts(self, tmp_path: Path) -> None:
        write(tmp_path / "a.csv", 'text\na\n""\nb\n')
        write(tmp_path / "b.csv", 'text\n""\n')
        _, refused = read(tmp_path / "*.csv")
        assert [(r.id, r.reason) for r in refused] == [
            ("1", "has nothing in the column 'text' (row 3 of a.csv, blank ones left out)"),
            ("3", "has nothing in the column 'text' (row 2 of b.csv, blank ones left out)"),
        ]
        _, bare = read(write(tmp_path / "c.tsv", "a\tx\n\ty\n"), text_column="0", label_column="1")
        assert bare[0].reason == "has nothing in the column '0' (row 2, blank ones left out)"
        _, named = read(write(tmp_path / "d.csv", "id,text\nk,\n"))
        assert named[0].reason == "has nothing in the column 'text'"  # its own id says where it is

    def test_a_quote_that_is_never_closed_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="quote opened in the row at byte 9 is never closed"):
            read(write(tmp_path / "a.csv", 'text\none\n"two\nthree\n'))

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("body,kind\nx,y\n", "no column text, sentence or image; it has 'body', 'kind'.*`text_column`"),
            ("text,text\nx,y\n", "'text' more than once"),
            ("", "is empty"),
            ("text\n", "holds no records"),
        ],
    )
    def test_what_is_wrong_with_a_header(self, tmp_path: Path, content: str, words: str) -> None:
        with pytest.raises(SourceError, match=words):
            read(write(tmp_path / "a.csv", content))

    def test_a_column_that_is_not_there_is_named_with_the_nearest(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"no column 'txet' \(`text_column`\).*Did you mean 'text'"):
            read(write(tmp_path / "a.csv", "text\nx\n"), text_column="txet")

    def test_duplicate_ids_are_named(self, tmp_path: Path) -> None:
        rows = "".join(f"{name},text\n" for name in "abcdeabcde")
        with pytest.raises(SourceError, match="not unique: 'a', 'b', 'c' and 2 more"):
            read(write(tmp_path / "a.csv", "id,text\n" + rows))

    def test_a_row_without_an_id_is_refused(self, tmp_path: Path) -> None:
        records, refused = read(write(tmp_path / "a.csv", "id,text\na,x\n,y\n"))
        assert [r.id for r in records] == ["a"]
        assert refused == [Rejected("row 1", "has no id in the column 'id'")]

    def test_row_numbers_go_on_across_files(self, tmp_path: Path) -> None:
        write(tmp_path / "a.csv", "text\nx\ny\n")
        write(tmp_path / "b.csv", "text\nz\n")
        assert [(r.id, r.text) for r in read(tmp_path / "*.csv")[0]] == [("0", "x"), ("1", "y"), ("2", "z")]

    def test_files_with_other_columns_are_refused(self, tmp_path: Path) -> None:
        write(tmp_path / "a.csv", "text\nx\n")
        write(tmp_path / "b.csv", "text,more\nz,1\n")
        with pytest.raises(SourceError, match="differ in the column 'more'"):
            read(tmp_path / "*.csv")

    def test_a_very_long_field_is_read(self, tmp_path: Path) -> None:
        assert len(read(write(tmp_path / "a.csv", f"text\n{'x' * 300_000}\n"))[0][0].text or "") == 300_000

    def test_reading_leaves_the_limit_of_the_process_alone(self, tmp_path: Path) -> None:
        path, before = write(tmp_path / "a.csv", f"text\n{'x' * 300_000}\nshort\n"), csv.field_size_limit()
        rows = open_source(path).entries()
        assert [csv.field_size_limit() for _ in rows] == [before, before]
        with pytest.raises(csv.Error, match="larger than field limit"):
            list(csv.reader(["x" * 300_000]))


class TestJsonLines:
    def test_objects_with_what_they_carry(self, tmp_path: Path) -> None:
        rows = [
            {"text": "a", "label": ["x", "y"], "n": 1, "mixed": 1, "deep": {"k": [1]}},
            {"text": "b", "n": 2.5, "mixed": "two", "late": True},
        ]
        path = write(tmp_path / "a.jsonl", "\n\n".join(map(json.dumps, rows)))
        source = open_source(path)
        plan = make_plan(source)
        kinds = {name: str(kind) for name, kind in plan.listing.meta.items()}
        assert kinds == {"n": "double", "mixed": "string", "deep": "string", "late": "bool"}
        records = [entry for task in plan.tasks for entry in Reader(source)(task)]
        assert [r.id for r in records] == ["0", "1"]
        assert records[0].label == ("x", "y")
        assert records[1].meta == {"n": 2.5, "mixed": "two", "late": True}

    def test_bad_lines_are_refused_and_the_others_kept(self, tmp_path: Path) -> None:
        deep = "[" * 100_000
        lines = ['{"text": "a"}', "{", "[1]", '{"text": null}', '{"text": [1]}', deep, '{"text": 7}', '{"other": 1}']
        records, refused = read(write(tmp_path / "a.jsonl", "\n".join(lines)))
        assert [(r.id, r.text) for r in records] == [("0", "a"), ("6", "7")]
        reasons = {r.id: r.reason for r in refused}
        assert list(reasons) == ["1", "2", "3", "4", "5", "7"]
        assert "a JSON list, not an object" in reasons["2"]
        assert "holds a list, not a text" in reasons["4"]

    def test_a_key_that_stands_twice_is_refused_where_it_may_be_the_record_s_own(self, tmp_path: Path) -> None:
        lines = ['{"text": "a", "text": "b"}', '{"text": "c", "n": {"k": 1, "k": 2}}', '{"text": "d"}']
        records, refused = read(write(tmp_path / "a.jsonl", "\n".join(lines)))
        assert [(r.id, r.text) for r in records] == [("1", "c"), ("2", "d")]
        assert records[0].meta["n"] == {"k": 2}
        assert [(r.id, "the key 'text' twice" in r.reason) for r in refused] == [("0", True)]
        pictures = ['{"image": {"path": "a.png"}}', '{"image": {"path": "a.png", "path": "b.png"}}']
        records, refused = read(write(tmp_path / "b.jsonl", "\n".join(pictures)))
        assert [r.id for r in records] == ["0"]
        assert "the key 'path' twice" in refused[0].reason

    def test_no_object_at_all(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="no JSON object"):
            read(write(tmp_path / "a.jsonl", "1\n2\n"))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(
    rows=st.lists(st.tuples(texts, texts), min_size=1, max_size=12),
    every=st.integers(1, 5),
    ends=st.sampled_from(["\n", "\r\n"]),
)
def test_csv_is_read_as_it_was_written_from_any_task(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], every: int, ends: str
) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator=ends, quoting=csv.QUOTE_ALL)
    writer.writerows([("text", "meta"), *rows])
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(buffer.getvalue().encode())
    source = open_source(path)
    plan = make_plan(source, task_rows=every)
    assert plan.total == len(rows)
    # Backwards, so that every task is opened at its own offset.
    by_task = {task.number: list(Reader(source)(task)) for task in reversed(plan.tasks)}
    entries = [entry for number in sorted(by_task) for entry in by_task[number]]
    for number, (entry, (text, more)) in enumerate(zip(entries, rows, strict=True)):
        if text.strip():
            assert entry == Record(str(number), text=text, meta={"meta": more})
        else:
            assert isinstance(entry, Rejected)


@given(content=st.binary(max_size=200), suffix=st.sampled_from([".txt", ".csv", ".tsv", ".jsonl"]))
def test_any_bytes_are_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"fuzz{suffix}"
    path.write_bytes(b"text\n" * (suffix != ".jsonl") + content)
    try:
        records, refused = read(path)
    except SourceError as error:
        complaint = str(error)
    else:
        complaint = ""
        assert records or refused
        assert len({r.id for r in [*records, *refused]}) == len(records) + len(refused)
    assert "\n" not in complaint


def test_a_name_that_is_nearly_right_is_asked_after(tmp_path: Path) -> None:
    (tmp_path / "tickets.csv").write_text("text\nhello\n")
    with pytest.raises(
        SourceError, match=r"there is no file or folder '.*tikets.csv'; did you mean '.*/tickets.csv'\?"
    ):
        open_source(str(tmp_path / "tikets.csv"))
    with pytest.raises(SourceError, match=r"did you mean '.*/tickets.csv'"):
        open_source(str(tmp_path / "tick"))
    with pytest.raises(SourceError, match="give a folder"):
        open_source(str(tmp_path / "something else"))


def test_a_link_to_nothing_is_called_one(tmp_path: Path) -> None:
    """And not: did you mean what you gave?"""
    link = tmp_path / "tickets.csv"
    link.symlink_to("gone")
    with pytest.raises(SourceError, match=r"tickets\.csv' is a link that leads to nothing \('gone'\)"):
        open_source(link)
