"""Folders of images, globs of them, labels and masks beside them."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from classtoken.errors import SourceError
from classtoken.source import SourceOptions, make_plan, open_source
from classtoken.source.contents import content_of
from classtoken.values import Record, Rejected


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def ids(spec: Path, **options: object) -> list[str]:
    return [record.id for record in open_source(spec, SourceOptions(**options)).records()]


def test_paths_are_ids_and_first_folders_are_labels(tmp_path: Path) -> None:
    make(tmp_path, "dog/b.JPG", "cat/deep/a.png", "top.webp")
    records = list(open_source(tmp_path).records())
    assert [(r.id, r.label) for r in records] == [("cat/deep/a.png", "cat"), ("dog/b.JPG", "dog"), ("top.webp", None)]
    assert records[0].image == tmp_path / "cat/deep/a.png"


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "notes.txt", "more.txt", ".hidden.jpg", ".git/x.jpg", "README")
    plan = make_plan(open_source(tmp_path))
    assert plan.total == 1
    assert plan.listing.notes == (f"left out of {tmp_path}: 2 .txt, 2 hidden, 1 without a suffix.",)


def test_a_table_that_names_a_pipe_does_not_wait_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "table.csv").write_text("id,image\na,pipe.png\nb,/dev/zero\n")
    records = [record for record in open_source(tmp_path / "table.csv").records() if isinstance(record, Record)]
    assert [content_of(record) for record in records] == [None, None]  # said where they are decoded


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    make(tmp_path, "a/x.jpg", "b/y.jpg")
    (tmp_path / "a" / "circle").symlink_to(tmp_path)
    (tmp_path / "b" / "other").symlink_to(tmp_path / "a")
    (tmp_path / "b" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "b" / "itself.jpg").symlink_to("itself.jpg")
    refused: list[Rejected] = []
    found = [record.id for record in open_source(tmp_path).records(refused)]
    assert found == ["a/x.jpg", "b/other/x.jpg", "b/y.jpg"]
    assert [r.id for r in refused] == ["b/gone.jpg", "b/itself.jpg"]
    assert "link to a folder that it is in" in make_plan(open_source(tmp_path)).listing.notes[0]


def test_a_glob_has_ids_below_its_fixed_part(tmp_path: Path) -> None:
    make(tmp_path, "a/x.jpg", "b/y.jpg", "b/z.png")
    assert ids(tmp_path / "*" / "*.jpg") == ["a/x.jpg", "b/y.jpg"]
    assert ids(tmp_path / "b" / "z.png") == ["z.png"]


def test_a_name_that_is_not_utf8_gets_an_id_that_can_be_written(tmp_path: Path) -> None:
    try:
        (tmp_path / "caf\udce9.jpg").write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    assert ids(tmp_path) == ["caf\\xe9.jpg"]


@pytest.mark.parametrize(
    ("names", "words"),
    [((), "It is empty"), (("a.parquet", "b.parquet"), r"holds no images.*It holds 2 .parquet.*give a file or a glob")],
)
def test_a_folder_without_images(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        ids(make(tmp_path, *names))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("nowhere", "there is no file or folder"),
        ("*.jpg", "no file fits"),
        ("a.xyz", "unknown kind"),
        ("a.tar.gz", "is packed.*Unpack it first"),
        ("a.csv.zip", "unknown kind.*Unpack it first"),
        ("*", "mixes files of several kinds"),
    ],
)
def test_what_is_no_source(tmp_path: Path, spec: str, words: str) -> None:
    make(tmp_path, "a.xyz", "a.tar.gz", "a.csv.zip")
    with pytest.raises(SourceError, match=words):
        open_source(tmp_path / spec)


def test_the_plan_changes_with_the_files_and_not_with_their_place(tmp_path: Path) -> None:
    first, second = make(tmp_path / "one", "a.jpg", "b.jpg"), make(tmp_path / "two", "a.jpg", "b.jpg")
    before = make_plan(open_source(first)).hash
    assert make_plan(open_source(second)).hash == before
    assert make_plan(open_source(first), task_rows=1).hash != before
    assert make_plan(open_source(first), limit=1).hash != before
    (second / "b.jpg").write_bytes(b"longer than before")
    assert make_plan(open_source(second)).hash != before


class TestLabels:
    def test_by_path_or_file_name(self, tmp_path: Path) -> None:
        make(tmp_path / "images", "a/x.jpg", "y.jpg", "z.jpg")
        table = tmp_path / "labels.csv"
        table.write_text("file,label,more\nx.jpg,cat|pet,1\ny.jpg,dog,2\n", encoding="utf-8")
        records = list(open_source(tmp_path / "images", SourceOptions(labels=table)).records())
        assert [(r.id, r.label) for r in records] == [("a/x.jpg", ("cat", "pet")), ("y.jpg", "dog"), ("z.jpg", None)]

    @pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
    def test_of_tables_without_ids_by_row_number_across_files(self, tmp_path: Path, suffix: str) -> None:
        for name, texts in (("a", ["x", "y"]), ("b", ["z"])):
            path = tmp_path / f"{name}{suffix}"
            if suffix == ".csv":
                path.write_text("text\n" + "\n".join(texts) + "\n")
            elif suffix == ".jsonl":
                path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
            else:
                pq.write_table(pa.table({"text": texts}), path)
        table = tmp_path / "labels.tsv"
        table.write_text("id\tlabel\n0\tp\n2\tq\n")
        source = open_source(tmp_path / f"*{suffix}", SourceOptions(labels=table))
        assert [(r.id, r.label) for r in source.records()] == [("0", "p"), ("1", None), ("2", "q")]
        assert make_plan(source).listing.notes == (f"{table}: no label for 1 of 3 records.",)

    def test_records_without_a_label_are_said(self, tmp_path: Path) -> None:
        make(tmp_path / "images", "x.jpg", "y.jpg")
        table = tmp_path / "labels.csv"
        table.write_text("file,label\nx.jpg,cat\nw.jpg,dog\n", encoding="utf-8")
        plan = make_plan(open_source(tmp_path / "images", SourceOptions(labels=table)))
        assert plan.listing.notes == (f"{table}: no label for 1 of 2 records, and 1 label for no record.",)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("file,a,b\nx.jpg,1,2\n", "which column is it.*'file', 'a', 'b'.*`label_column`"),
            ("file,label\nx.jpg,1\nx.jpg,2\n", "two labels for 'x.jpg'"),
            ("file\nx.jpg\n", "has 1 columns"),
        ],
    )
    def test_tables_that_do_not_say(self, tmp_path: Path, content: str, words: str) -> None:
        make(tmp_path / "images", "x.jpg")
        (tmp_path / "labels.csv").write_text(content, encoding="utf-8")
        with pytest.raises(SourceError, match=words):
            ids(tmp_path / "images", labels=tmp_path / "labels.csv")

    def test_the_plan_changes_with_the_labels(self, tmp_path: Path) -> None:
        make(tmp_path / "images", "x.jpg")
        table = tmp_path / "labels.csv"
        hashes = set()
        for label in ("cat", "dog"):
            table.write_text(f"file,label\nx.jpg,{label}\n", encoding="utf-8")
            hashes.add(make_plan(open_source(tmp_path / "images", SourceOptions(labels=table))).hash)
        assert len(hashes) == 2

    def test_real_photographs(self, shared: Path) -> None:
        folder = shared / "data" / "imagenet-samples"
        options = SourceOptions(labels=folder / "labels.csv", label_column="class_name")
        records = list(open_source(folder, options).records())
        assert len(records) == 69
        assert records[0].id == "n01534433_junco.jpg"
        assert records[0].label == "junco"
        assert all(record.label for record in records)


def test_masks_go_with_the_images_of_their_name(tmp_path: Path) -> None:
    make(tmp_path / "images", "x.jpg", "y.jpg")
    make(tmp_path / "masks", "x.png")
    records = list(open_source(tmp_path / "images", SourceOptions(masks=tmp_path / "masks")).records())
    assert [r.meta["mask"] for r in records] == [(tmp_path / "masks" / "x.png").as_posix(), None]
    with pytest.raises(SourceError, match=r"no \.png masks"):
        ids(tmp_path / "images", masks=tmp_path / "images")
    with pytest.raises(SourceError, match=r"there is no folder .*nowhere"):
        ids(tmp_path / "images", masks=tmp_path / "nowhere")
