"""Tables as people have them: of spreadsheets, packed, piped, in other encodings, with images in other words."""

import base64
import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from classtoken.errors import OptionError, SourceError
from classtoken.source import SourceOptions, make_plan, open_source
from classtoken.values import Rejected


def zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


def texts(path: Any, options: SourceOptions | None = None) -> list[tuple[str, str | None]]:
    return [(record.id, record.text) for record in open_source(path, options).records()]


GOOD_BAD = [("1", "good film"), ("2", "bad, film")]


@pytest.mark.parametrize(
    "content",
    [
        'id,text,,,\n1,good film,,,\n2,"bad, film",,,\n',
        'id,text\n1,good film,\n2,"bad, film",\n',
        'id,text,\n1,good film\n2,"bad, film"\n',
        "id;text\n1;good film\n2;bad, film\n",
        "id\ttext\n1\tgood film\n2\tbad, film\n",
        "id|text\n1|good film\n2|bad, film\n",
        "sep=;\nid;text\n1;good film\n2;bad, film\n",
        '\ufeff"sep=\t"\r\nid\ttext\r\n1\tgood film\r\n2\tbad, film\r\n',
        "ID;Text\n1;good film\n2;bad, film\n",
        " id ; text \n1;good film\n2;bad, film\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_spreadsheets_write(tmp_path: Path, content: str, encoding: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content.removeprefix("\ufeff").encode(encoding))
    assert texts(path) == GOOD_BAD
    source = open_source(path)
    last = make_plan(source, task_rows=1).tasks[-1]
    assert [record.text for record in source.rows(last.shard, last.start, last.first, last.offset)] == ["bad, film"]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["", "\r"])
def test_lines_that_end_as_on_old_macintoshes(tmp_path: Path, mark: bytes, end: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(mark + f'id,text\r1,good film\r2,"bad, film"{end}'.encode())
    assert texts(path) == GOOD_BAD
    source = open_source(path)
    last = make_plan(source, task_rows=1).tasks[-1]
    assert [record.text for record in source.rows(last.shard, last.start, last.first, last.offset)] == ["bad, film"]
    many = tmp_path / "many.txt"
    many.write_bytes(b"".join(b"line %d of many\r" % n for n in range(9_000)))  # more than is looked at for its ends
    assert [record.text for record in open_source(many).records()] == [f"line {n} of many" for n in range(9_000)]


def test_a_column_without_a_name_in_the_middle_is_carried_under_its_place(tmp_path: Path) -> None:
    path = tmp_path / "of-pandas.csv"
    path.write_text(",text,label\n0,good,1\n1,bad,0\n")
    assert [dict(record.meta) for record in open_source(path).records()] == [{"unnamed_0": "0"}, {"unnamed_0": "1"}]


@pytest.mark.parametrize(("given", "separator"), [(";", ";"), ("tab", "\t"), ("~", "~"), ("|", "|")])
def test_what_separates_columns_can_be_said(tmp_path: Path, given: str, separator: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"id{separator}text\n1{separator}good film\n2{separator}bad, film\n")
    assert texts(path, SourceOptions(delimiter=given)) == GOOD_BAD
    with pytest.raises(OptionError, match="one character, or tab"):
        texts(path, SourceOptions(delimiter="ab"))


def test_a_headerless_file_is_sniffed_too(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("1;good film\n2;bad, film\n")
    assert texts(path, SourceOptions(id_column="0", text_column="1")) == GOOD_BAD


def test_another_encoding_is_named_and_taken(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("text\ncafé – 5 €\n".encode("cp1252"))
    with pytest.raises(SourceError, match=r"not UTF-8.*`encoding`.*cp1252"):
        texts(path)
    assert texts(path, SourceOptions(encoding="cp1252")) == [("0", "café – 5 €")]
    with pytest.raises(OptionError, match="'klingon', which is not known"):
        texts(path, SourceOptions(encoding="klingon"))


PACKERS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd}


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".txt", ".tsv"])
def test_packed_files_read_as_unpacked_ones(tmp_path: Path, suffix: str, kind: str) -> None:
    rows = range(9)
    content = {
        ".csv": "text\n" + "".join(f"row {i}\n" for i in rows),
        ".tsv": "text\tn\n" + "".join(f"row {i}\t{i}\n" for i in rows),
        ".jsonl": "".join(json.dumps({"text": f"row {i}"}) + "\n" for i in rows),
        ".txt": "".join(f"row {i}\n" for i in rows),
    }[kind].encode()
    plain, packed = tmp_path / f"a{kind}", tmp_path / f"a{kind}{suffix}"
    plain.write_bytes(content)
    packed.write_bytes(PACKERS[suffix](content))
    assert texts(packed) == texts(plain)
    plans = [make_plan(open_source(path), task_rows=4) for path in (plain, packed)]
    assert plans[0].hash == plans[1].hash
    source, last = open_source(packed), plans[1].tasks[-1]
    assert [record.text for record in source.rows(last.shard, last.start, last.first, last.offset)] == ["row 8"]
    packed.write_bytes(PACKERS[suffix](content)[:-9])
    with pytest.raises(SourceError, match=r"cannot be unpacked|cannot be read"):
        texts(packed)


@pytest.mark.parametrize("kind", [".csv", ".jsonl.zst", ".parquet"])
def test_a_files_name_need_not_be_utf_8(tmp_path: Path, kind: str) -> None:
    path = tmp_path / (os.fsdecode(b"a\xff") + kind)
    table = io.BytesIO()
    pq.write_table(pa.table({"text": ["one"]}), table)
    path.write_bytes({".csv": b"text\none\n", ".jsonl.zst": zstd(b'{"text": "one"}\n')}.get(kind, table.getvalue()))
    assert texts(path) == [("0", "one")]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (b'id,text\n1,good film\n2,"bad, film"\n', None),
        (b"id;text\n1;good film\n2;bad, film\n", None),
        (b"sep=;\nid;text\n1;good film\n2;bad, film\n", None),
        (b'{"id": 1, "text": "good film"}\n{"id": 2, "text": "bad, film"}\n', None),
        (gzip.compress(b'{"id": 1, "text": "good film"}\n{"id": 2, "text": "bad, film"}\n', mtime=0), None),
        (b"1;good film\n2;bad, film\n", SourceOptions(id_column="0", text_column="1", delimiter=";")),
    ],
)
def test_what_comes_through_a_pipe(tmp_path: Path, content: bytes, options: SourceOptions | None) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    source = open_source(pipe, options)
    writer.join()
    assert [(record.id, record.text) for record in source.records()] == GOOD_BAD
    assert [record.text for record in source.records()] == ["good film", "bad, film"]  # as often as needed


def test_parquet_and_images_through_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": ["cat.png"]}), buffer)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(buffer.getvalue(),))
    writer.start()
    (record,) = open_source(pipe).records()
    writer.join()
    assert record.image == tmp_path / "cat.png"


def test_stdin() -> None:
    code = "from classtoken.source import open_source; print([r.text for r in open_source('-').records()])"
    found = subprocess.run([sys.executable, "-c", code], input=b"one\ntwo\n", capture_output=True, check=True)
    assert found.stdout.strip() == b"['one', 'two']"


def test_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "texts.txt").write_text("one\n")
    (tmp_path / "labels.csv").write_text("id,label\n0,a\n")
    options = SourceOptions(labels="~/labels.csv")  # type: ignore[arg-type]
    assert [(record.text, record.label) for record in open_source("~/texts.txt", options).records()] == [("one", "a")]


FIRST = pa.table({"text": ["x y"], "n": pa.array([1], pa.int64()), "s": ["k"]})


@pytest.mark.parametrize(
    "second",
    [
        FIRST.select(["s", "text", "n"]),
        FIRST.set_column(1, "n", pa.array([1], pa.int32())),
        FIRST.set_column(1, "n", pa.array([1.5])),
        FIRST.set_column(2, "s", pa.nulls(1)),
        FIRST.drop_columns(["s"]),
        FIRST.append_column("more", pa.array([True])),
        FIRST.cast(pa.schema([pa.field("text", pa.string(), False), FIRST.field("n"), FIRST.field("s")])),
        FIRST.set_column(0, "text", pa.array(["x y"], pa.large_string())),
        FIRST.set_column(0, "text", pa.array(["x y"], pa.string_view())),
        FIRST.set_column(2, "s", pa.array(["k"]).dictionary_encode()),
        FIRST.replace_schema_metadata({"made": "by hand"}),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_shards_that_differ_harmlessly_read_as_one(tmp_path: Path, second: pa.Table, turned: bool) -> None:
    for number, table in enumerate([second, FIRST] if turned else [FIRST, second]):
        pq.write_table(table, tmp_path / f"{number}.parquet")
    source = open_source(f"{tmp_path}/*.parquet")
    meta = make_plan(source).listing.meta
    records = list(source.records())
    assert [record.text for record in records] == ["x y", "x y"]
    for record in records:
        for name, kind in meta.items():
            pa.array([record.meta.get(name)], kind)


def test_shards_that_do_not_go_together_are_named(tmp_path: Path) -> None:
    pq.write_table(FIRST, tmp_path / "0.parquet")
    pq.write_table(FIRST.set_column(1, "n", pa.array(["1"])), tmp_path / "1.parquet")
    with pytest.raises(SourceError, match=r"'n' is int64 in .*0\.parquet and string in .*1\.parquet"):
        make_plan(open_source(f"{tmp_path}/*.parquet"))
    pq.write_table(FIRST.drop_columns(["text"]), tmp_path / "1.parquet")
    with pytest.raises(SourceError, match=r"1\.parquet has no column 'text'.*'n', 's'"):
        make_plan(open_source(f"{tmp_path}/*.parquet"))


def test_images_in_other_words(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (24, 24), "red").save(file, "PNG")
    picture, coded = file.getvalue(), base64.b64encode(file.getvalue()).decode()
    (tmp_path / "pics").mkdir()
    path = tmp_path / "pics" / "cat.png"
    path.write_bytes(picture)
    values = {
        "path": "pics/cat.png",
        "windows": "pics\\cat.png",
        "list": ["pics/cat.png"],
        "file": f"file://{path}",
        "struct": {"path": "pics/cat.png"},
        "base64": coded,
        "lines": "\n".join(coded[i : i + 40] for i in range(0, len(coded), 40)),
        "data": f"data:image/png;base64,{coded}",
        "two": ["a.png", "b.png"],
        "address": "https://pictures.invalid/cat.png",
        "bucket": "s3://bucket/cat.png",
        "long": "x" * 9000,
        "broken": f"data:image/png;base64,{coded[:33]}*",
    }
    table = tmp_path / "images.jsonl"
    table.write_text("".join(json.dumps({"id": name, "image": value}) + "\n" for name, value in values.items()))
    refused: list[Rejected] = []
    found = {record.id: record.image for record in open_source(table).records(refused)}
    for name in ("path", "windows", "list", "file", "struct"):
        assert found[name] == path, name
    assert all(found[name] == picture for name in ("base64", "lines", "data"))
    why = {entry.id: entry.reason for entry in refused}
    words = {"two": "list of 2", "address": "https://pictures", "bucket": "s3://", "long": "9000 characters"}
    for name, word in words.items():
        assert word in why[name]
    assert all(len(reason) < 300 for reason in why.values())


@pytest.mark.parametrize("form", ["{}", "{}.jpg", "{}.JPG", "train/{}.jpg", "./train/{}", "train\\{}.jpg", "{}.png"])
def test_labels_under_another_spelling_are_found_and_counted(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    names = [f"{i:03x}aB" for i in range(4)]
    for name in names:
        (folder / f"{name}.jpg").write_bytes(b"not looked at")
    table = tmp_path / "labels.csv"
    table.write_text("ID;breed\n" + "".join(f"{form.format(name)};{name[:3]}\n" for name in names))
    source = open_source(folder, SourceOptions(labels=table))
    notes = make_plan(source).listing.notes
    assert [record.label for record in source.records()] == [name[:3] for name in names]
    assert notes == () if form == "{}.jpg" else "4 of 4 records found under another spelling" in notes[0]


def test_a_spelling_that_two_rows_share_finds_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    for part in ("a", "b", "c"):
        (folder / part).mkdir(parents=True)
        (folder / part / "1.jpg").write_bytes(b"not looked at")
    table = tmp_path / "labels.csv"
    table.write_text("id,label\na/1,x\nb/1,y\n")
    found = [record.label for record in open_source(folder, SourceOptions(labels=table)).records()]
    assert found == ["x", "y", None]
