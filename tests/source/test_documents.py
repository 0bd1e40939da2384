"""A folder of text files: a record each, and when a folder is one."""

import os
from pathlib import Path

import pytest

from classtoken.errors import SourceError
from classtoken.options import SourceOptions
from classtoken.source import open_source
from classtoken.source.documents import LARGEST
from classtoken.values import Record, Rejected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two folders of texts, a hidden file, and a table."""
    for name, text in {"b/two.md": "Zwei Wörter.", "a/one.txt": "One\nmore line.", "top.rst": "On top."}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / ".hidden.md").write_text("hidden")
    (tmp_path / "table.csv").write_text("text\nleft out\n")
    return tmp_path


def entries(folder: Path, **options: str) -> list[Record | Rejected]:
    """Every entry of a folder of texts."""
    source = open_source(folder, SourceOptions(**options))
    assert source.kind == "documents"
    return list(source.entries())


def test_each_file_is_a_record_with_its_folder_as_label(folder: Path) -> None:
    assert entries(folder) == [
        Record("a/one.txt", text="One\nmore line.", label="a"),
        Record("b/two.md", text="Zwei Wörter.", label="b"),
        Record("top.rst", text="On top."),
    ]
    assert open_source(folder).listed(8, None).notes == (f"left out of {folder}: 1 .csv, 1 hidden.",)


def test_encodings_are_those_of_tables(folder: Path) -> None:
    (folder / "b/two.md").write_bytes("\ufeffZwei Wörter.".encode())
    (folder / "a/one.txt").write_text("Ein Wört", encoding="utf-16")
    assert [entry.text for entry in entries(folder) if isinstance(entry, Record)][:2] == ["Ein Wört", "Zwei Wörter."]
    for path in (folder / "a/one.txt", folder / "b/two.md"):
        path.write_bytes("Wört".encode("cp1252"))
    refused = entries(folder)[0]
    assert isinstance(refused, Rejected)
    assert "is not UTF-8" in refused.reason
    assert "`encoding`" in refused.reason
    read = entries(folder, encoding="cp1252")[0]
    assert isinstance(read, Record)
    assert read.text == "Wört"
    (folder / "a/one.txt").write_bytes("Wört".encode("utf-16-le"))
    refused = entries(folder)[0]
    assert isinstance(refused, Rejected)
    assert "NUL bytes, as UTF-16-LE has without its mark; say what it is (`encoding`)" in refused.reason
    read = entries(folder, encoding="utf-16-le")[0]
    assert isinstance(read, Record)
    assert read.text == "Wört"


def test_what_is_no_text_is_refused_alone(folder: Path) -> None:
    (folder / "a/one.txt").write_text(" \n")
    with (folder / "b/two.md").open("wb") as file:
        file.truncate(LARGEST + 1)
    (folder / "c.md").symlink_to("nowhere")
    os.mkfifo(folder / "d.md")
    reasons = [entry.reason for entry in entries(folder) if isinstance(entry, Rejected)]
    assert reasons[0] == "is empty"
    assert "at most 64" in reasons[1]
    assert "broken link" in reasons[2]
    assert reasons[3] == "is a pipe, not a file"


def test_a_folder_with_an_image_or_with_more_else_is_none_of_texts(folder: Path) -> None:
    for number in range(3):
        (folder / f"{number}.heic").touch()
    with pytest.raises(SourceError, match=r"holds no images .* It holds 1 .csv, 3 .heic, 1 .md, 1 .rst, 1 .txt"):
        open_source(folder).listed(8, None)
    (folder / "photo.png").touch()
    assert open_source(folder).kind == "images"
