"""Damaged files of every kind: read, refused row by row, or one `SourceError`; never another exception."""

import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from classtoken.errors import SourceError
from classtoken.source import SourceOptions, open_source
from classtoken.values import Rejected


def parquet() -> bytes:
    buffer = io.BytesIO()
    rows = {"id": [f"r{i}" for i in range(20)], "text": ["some words"] * 20, "label": [["a", "b"]] * 20}
    pq.write_table(pa.table(rows), buffer, row_group_size=7)
    return buffer.getvalue()


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for i in range(6):
            for part, content in (("txt", b"words"), ("cls", b"1"), ("json", json.dumps({"n": i}).encode())):
                info = tarfile.TarInfo(f"{i}.{part}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def csv() -> bytes:
    return b"id,text,label\n" + b"".join(b'r%d,"some, words",a|b\n' % i for i in range(20))


def jsonl() -> bytes:
    return b"".join(json.dumps({"id": i, "text": "words", "label": ["a"]}).encode() + b"\n" for i in range(20))


WHOLE = {".parquet": parquet(), ".tar": tar(), ".csv": csv(), ".jsonl": jsonl(), ".txt": b"one\ntwo\n"}


@pytest.mark.parametrize("suffix", WHOLE)
@settings(max_examples=60)
@given(data=st.data())
def test_bytes_that_are_changed_or_cut(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, data: st.DataObject
) -> None:
    content = bytearray(WHOLE[suffix])
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4), label="places"):
        content[place] = data.draw(st.integers(0, 255), label="byte")
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)), label="length") or None])
    refused: list[Rejected] = []
    complaint = ""
    try:
        records = list(open_source(path).records(refused))
    except SourceError as error:
        complaint = str(error)
    else:
        assert records or refused
        assert len({record.id for record in records}) == len(records)
    assert "\n" not in complaint


@given(text=st.text(max_size=30))
@example(text="0")
@example(text="")
def test_any_column_name_is_found_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "named.csv"
    path.write_bytes(csv())
    options = SourceOptions(text_column=text)
    if text in ("id", "text", "label", "0", "1", "2"):
        assert list(open_source(path, options).records([]))
    else:
        with pytest.raises(SourceError, match="has no column"):
            list(open_source(path, options).records([]))


def test_a_damaged_name_of_a_column_is_told_as_damage(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"text": ["a", "b"]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"text", b"\x80ext"))
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        list(open_source(path).records([]))


def test_a_list_in_the_place_of_lines_says_what_to_write(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    path.write_text('[{"text": "a"}, {"text": "b"}]\n')
    with pytest.raises(SourceError, match=r"The first is a JSON list, not an object\. Write an object a line\."):
        list(open_source(path).records())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"some words\n" * 20),
        ("a.csv", csv()),
        ("a.jsonl", b'{"text": "some words"}\n' * 20),
        ("a.tar", tar()),
        ("a.parquet", parquet()),
    ],
)
def test_a_file_that_has_gone_since_it_was_listed_is_an_error_of_the_source(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    source = open_source(tmp_path / name)
    (shard,) = source.listed(5).shards
    (tmp_path / name).unlink()
    with pytest.raises(SourceError, match=name):
        list(source.rows(shard.name, 0, 0, shard.offsets[0]))
