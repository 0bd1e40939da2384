"""The battery for sources holds every one of ours and refuses those that are broken on purpose, each for its reason."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from classtoken.source import Entry, Listing, Source, SourceOptions, open_source
from classtoken.source.opening import TABLES
from classtoken.source.tables import DelimitedTable, TextLines
from classtoken.testing.sources import check_source, faults

ROWS = [{"id": f"r{i}", "text": f"text {i}" if i % 3 else None, "label": "x", "n": i} for i in range(7)]


def text(folder: Path) -> Path:
    (folder / "a.txt").write_text("\ufeffone\r\n\nthree\nfour\n", encoding="utf-8")
    return folder / "a.txt"


def csv(folder: Path, suffix: str = ".csv") -> Path:
    between = "," if suffix == ".csv" else "\t"
    for name, rows in (("a", ROWS[:4]), ("b", ROWS[4:])):
        lines = [between.join("" if v is None else str(v) for v in row.values()) for row in rows]
        lines.insert(2, "a row of one field")
        (folder / f"{name}{suffix}").write_text("\n".join([between.join(ROWS[0]), *lines]) + "\n", encoding="utf-8")
    return folder / f"*{suffix}"


def tsv(folder: Path) -> Path:
    return csv(folder, ".tsv")


def jsonl(folder: Path) -> Path:
    lines = [json.dumps(row if i % 2 else row | {"deep": [i]}) for i, row in enumerate(ROWS)]
    (folder / "a.jsonl").write_text("\n\n".join([*lines, "no JSON"]), encoding="utf-8")
    return folder / "a.jsonl"


def parquet(folder: Path) -> Path:
    pq.write_table(pa.Table.from_pylist(ROWS[:4]), folder / "a.parquet", row_group_size=3)
    pq.write_table(pa.Table.from_pylist(ROWS[4:]), folder / "b.parquet")
    return folder / "*.parquet"


def tar(folder: Path) -> Path:
    for name in ("a", "b"):
        with tarfile.open(folder / f"{name}.tar", "w") as archive:
            for i in range(4):
                for part, content in (("txt", b"words"), ("json", b'{"n": 1}'), ("jpg", b"bytes")):
                    info = tarfile.TarInfo(f"{i}.{part}")
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
    return folder / "*.tar"


def images(folder: Path) -> Path:
    for name in ("a/x.jpg", "b/y.png", "z.webp"):
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "images" / name).write_bytes(b"")
    (folder / "images" / "gone.png").symlink_to("nowhere")
    return folder / "images"


def lance(folder: Path) -> Path:
    lancedb = pytest.importorskip("lancedb", reason="lancedb is not installed")
    lancedb.connect(folder.as_posix()).create_table("a", pa.Table.from_pylist(ROWS))
    return folder / "a.lance"


OURS = (text, csv, tsv, jsonl, parquet, tar, images, lance)


@pytest.mark.parametrize("make", OURS)
def test_ours_are_sound(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    check_source(open_source(make(tmp_path)))


@pytest.mark.parametrize("make", OURS)
def test_ours_are_sound_with_labels_from_a_table(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    (tmp_path / "labels").mkdir()
    table = tmp_path / "labels" / "labels.csv"
    table.write_text("id,label\nr1,a|b\n2,c\nx.jpg,d\n", encoding="utf-8")
    check_source(open_source(make(tmp_path), SourceOptions(labels=table)))


def test_every_kind_of_file_is_tried() -> None:
    tried = {f".{make.__name__.replace('text', 'txt')}" for make in OURS}
    assert set(TABLES) - {".ndjson"} <= tried  # another name of .jsonl


class Shuffles(TextLines):
    turn = 0

    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        self.turn += 1
        entries = list(super().rows(shard, start, first, offset))
        return iter(entries[::-1] if self.turn % 2 else entries)


class ForgetsWhereATaskBegins(TextLines):
    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        return super().rows(shard, start, first, 0)


class NumbersEveryTaskAnew(TextLines):
    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        return super().rows(shard, start, 0, offset)


class DropsBadRows(TextLines):
    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        return (entry for entry in super().rows(shard, start, first, offset) if not hasattr(entry, "reason"))


class CountsOneTooMany(TextLines):
    def scan(self, every: int, limit: int | None = None) -> Listing:
        listing = super().scan(every, limit)
        return replace(listing, shards=tuple(replace(shard, rows=shard.rows + 1) for shard in listing.shards))


class StampsTheCut(TextLines):
    def scan(self, every: int, limit: int | None = None) -> Listing:
        listing = super().scan(every, limit)
        return replace(listing, shards=tuple(replace(shard, stamp=str(every)) for shard in listing.shards))


class IgnoresTheLimit(TextLines):
    def scan(self, every: int, limit: int | None = None) -> Listing:
        return super().scan(every)


class GivesOneIdToAll(TextLines):
    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        return (replace(entry, id="same") for entry in super().rows(shard, start, first, offset))


class GivesOtherIds(TextLines):
    def ids(self, listing: Listing) -> Iterator[str]:
        return (f"x{identity}" for identity in super().ids(listing))


class HoldsAnOpenFile(TextLines):
    def __init__(self, name: str, files: list[Path], options: SourceOptions):
        super().__init__(name, files, options)
        self.opened = (line for line in ())


class CarriesWhatItDoesNotName(DelimitedTable):
    def scan(self, every: int, limit: int | None = None) -> Listing:
        return replace(super().scan(every, limit), meta={})


class CarriesAnotherType(DelimitedTable):
    def scan(self, every: int, limit: int | None = None) -> Listing:
        return replace(super().scan(every, limit), meta={"n": pa.list_(pa.int64())})


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Shuffles, "two reads of the same files differ"),
        (ForgetsWhereATaskBegins, "holds something else than a straight read"),
        (NumbersEveryTaskAnew, "holds something else than a straight read"),
        (DropsBadRows, "the listing counts 4 records, reading gives 3"),
        (CountsOneTooMany, "the listing counts 5 records, reading gives 4"),
        (StampsTheCut, "the stamp of a file depends on how it is cut"),
        (IgnoresTheLimit, "with a limit of 1 it does not give the first 1"),
        (GivesOneIdToAll, "two records have the same id"),
        (GivesOtherIds, "ids() does not give the ids"),
        (HoldsAnOpenFile, "travels: raises TypeError: cannot pickle"),
        (CarriesWhatItDoesNotName, "records carry 'n', which the listing does not name"),
        (CarriesAnotherType, "what is carried through does not fit its type"),
    ],
)
def test_broken_sources_are_refused_for_their_reason(tmp_path: Path, kind: type[Source], words: str) -> None:
    path = text(tmp_path) if issubclass(kind, TextLines) else tmp_path / "c.csv"
    if path.suffix == ".csv":
        path.write_text("text,n\na,1\nb,2\nc,3\n", encoding="utf-8")
    source = kind(path.name, [path], SourceOptions())  # type: ignore[call-arg]
    assert words in "\n".join(faults(source))
    with pytest.raises(AssertionError, match="is no sound source"):
        check_source(source)
