"""Parquet, webdataset archives and Lance data sets."""

import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from classtoken.errors import SourceError
from classtoken.source import Reader, Source, SourceOptions, make_plan, open_source
from classtoken.source.base import Entry
from classtoken.values import Record, Rejected


def entries(source: Source, every: int) -> list[Entry]:
    """All entries, each task opened on its own, the last one first."""
    plan = make_plan(source, task_rows=every)
    parts = {task.number: list(Reader(source)(task)) for task in reversed(plan.tasks)}
    assert [len(parts[task.number]) for task in plan.tasks] == [len(task) for task in plan.tasks]
    return [entry for number in sorted(parts) for entry in parts[number]]


def columns() -> dict[str, list]:
    return {
        "id": [f"r{i}" for i in range(10)],
        "image": [{"bytes": bytes([i]), "path": None} for i in range(8)] + [{"bytes": None, "path": "p.jpg"}, None],
        "label": [["a", "b"], [], None, *([["c"]] * 7)],
        "size": [float(i) for i in range(10)],
    }


class TestParquet:
    @pytest.mark.parametrize("group", [1, 3, 100])
    @pytest.mark.parametrize("every", [1, 4, 100])
    def test_rows_across_nested_row_groups(self, tmp_path: Path, group: int, every: int) -> None:
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table(columns()), path, row_group_size=group)
        found = entries(open_source(path), every)
        assert found[0] == Record("r0", image=b"\x00", label=("a", "b"), meta={"size": 0.0})
        assert [found[i].label for i in (1, 2, 3)] == [(), None, ("c",)]
        assert found[8].image == tmp_path / "p.jpg"
        assert found[9] == Rejected("r9", "has nothing in the column 'image'")
        assert [e.id for e in found] == columns()["id"]

    def test_types_of_what_is_carried_through(self, tmp_path: Path) -> None:
        pq.write_table(pa.table(columns()), tmp_path / "a.parquet")
        assert make_plan(open_source(tmp_path / "a.parquet")).listing.meta == {"size": pa.float64()}

    def test_duplicate_ids_are_looked_for_within_the_limit(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table({"id": [1, 2, 3, 2], "text": list("abcd")}), path)
        with pytest.raises(SourceError, match="not unique: '2'"):
            make_plan(open_source(path))
        assert make_plan(open_source(path), limit=3).total == 3

    def test_a_truncated_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table({"text": ["a"]}), path)
        path.write_bytes(path.read_bytes()[:-5])
        with pytest.raises(SourceError, match="cannot be read as Parquet"):
            make_plan(open_source(path))

    def test_files_of_different_schemas(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
        pq.write_table(pa.table({"text": [1]}), tmp_path / "b.parquet")
        with pytest.raises(SourceError, match="'text' is"):
            make_plan(open_source(tmp_path / "*.parquet"))

    def test_the_plan_changes_with_the_content(self, tmp_path: Path) -> None:
        hashes = set()
        for text in ("a", "b"):
            pq.write_table(pa.table({"text": [text]}), tmp_path / "a.parquet")
            hashes.add(make_plan(open_source(tmp_path / "a.parquet")).hash)
        assert len(hashes) == 2

    def test_real_images(self, shared: Path) -> None:
        source = open_source(shared / "data" / "cifar10" / "test.parquet")
        plan = make_plan(source)
        assert plan.total == 10_000
        record = next(Reader(source)(plan.tasks[-1]))
        assert record.label in {
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        }
        assert record.image[:2] == b"\xff\xd8"


def write_tar(path: Path, members: dict[str, bytes], kind: str = "w") -> Path:
    with tarfile.open(path, kind) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


class TestArchive:
    def members(self) -> dict[str, bytes]:
        members: dict[str, bytes] = {}
        for i in range(5):
            members[f"d.x/{i}.jpg"] = bytes([i]) * 700
            members[f"d.x/{i}.cls"] = f"{i}\n".encode()
            members[f"d.x/{i}.json"] = json.dumps({"n": i}).encode()
        return members | {
            "6.txt": "words".encode("utf-8-sig"),
            "7.cls": b"1",
            "8.seg.jpg": b"",
            "9.jpg": b"a",
            "9.png": b"b",
        }

    @pytest.mark.parametrize("every", [1, 2, 100])
    def test_members_of_a_key_are_a_record(self, tmp_path: Path, every: int) -> None:
        source = open_source(write_tar(tmp_path / "a.tar", self.members()))
        found = entries(source, every)
        assert found[1] == Record("d.x/1", image=b"\x01" * 700, label="1", meta={"n": 1})
        assert found[5] == Record("6", text="words")
        assert [(e.id, e.reason) for e in found[6:]] == [
            ("7", "has neither an image nor a text"),
            ("8", "has neither an image nor a text"),
            ("9", "has 2 images (jpg, png), not one"),
        ]
        listing = make_plan(source).listing
        assert listing.meta == {"n": pa.int64()}
        assert "1 members that are no image" in listing.notes[0]

    def test_several_archives_have_their_names_before_the_keys(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            write_tar(tmp_path / f"{name}.tar", {"0.txt": name.encode()})
        assert [record.id for record in open_source(tmp_path / "*.tar").records()] == ["a/0", "b/0"]

    def test_a_key_that_comes_back_is_a_duplicate(self, tmp_path: Path) -> None:
        write_tar(tmp_path / "a.tar", {"0.txt": b"a", "1.txt": b"b", "0.jpg": b"c"})
        with pytest.raises(SourceError, match="not unique: '0'"):
            make_plan(open_source(tmp_path / "a.tar"))

    @pytest.mark.parametrize("damage", ["cut", "zip", "noise"])
    def test_damaged_archives(self, tmp_path: Path, damage: str) -> None:
        path = write_tar(tmp_path / "a.tar", self.members(), "w:gz" if damage == "zip" else "w")
        content = path.read_bytes()
        path.write_bytes({"cut": content[:1500], "zip": content, "noise": b"no archive" * 100}[damage])
        with pytest.raises(SourceError, match="cannot be read as an uncompressed tar"):
            make_plan(open_source(path))

    def test_links_and_hidden_members_are_no_records(self, tmp_path: Path) -> None:
        path = write_tar(tmp_path / "a.tar", {"._0.txt": b"x", "0.txt": b"a"})
        with tarfile.open(path, "a") as archive:
            link = tarfile.TarInfo("1.txt")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
            archive.addfile(link)
        assert [record.id for record in open_source(path).records()] == ["0"]


class TestLance:
    @pytest.mark.parametrize("every", [1, 4, 100])
    def test_rows_in_their_order(self, tmp_path: Path, every: int) -> None:
        lancedb = pytest.importorskip("lancedb", reason="lancedb is not installed")
        table = lancedb.connect(tmp_path.as_posix()).create_table(
            "data", pa.table({"id": list("abcde"), "text": list("vwxyz")})
        )
        table.add(pa.table({"id": ["f"], "text": ["more"]}))
        table.delete("id = 'b'")
        found = entries(open_source(tmp_path / "data.lance"), every)
        assert [(e.id, e.text) for e in found] == [("a", "v"), ("c", "x"), ("d", "y"), ("e", "z"), ("f", "more")]

    def test_a_folder_that_is_none(self, tmp_path: Path) -> None:
        pytest.importorskip("lancedb", reason="lancedb is not installed")
        (tmp_path / "data.lance").mkdir()
        with pytest.raises(SourceError, match="cannot be read as a Lance data set"):
            make_plan(open_source(tmp_path / "data.lance", SourceOptions()))
