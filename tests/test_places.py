"""Folders here and in stores: put whole, put once, listed, and vectors in them."""

import contextlib
import hashlib
import importlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.folders import pictures
from tests.run.fake import FakeStage, onto
from tests.run.test_update import FIRST, changed, table
from tests.stores import Faulty, s3_server

import classtoken as ct
from classtoken.errors import ManifestMismatch, OutputError, SourceError, StoreError
from classtoken.places import LocalPlace, Place, RemotePlace, place_of, url_of
from classtoken.sink import read, verify


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    with s3_server(monkeypatch) as made:
        yield made


@pytest.fixture(params=["here", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return LocalPlace(tmp_path / "a") if request.param == "here" else RemotePlace(f"memory://{tmp_path.name}/a")


def test_what_a_place_promises(place: Place) -> None:
    assert place.sizes() == {}
    place.put("b/c", b"one")
    place.put("b/c", b"two")
    assert place.read("b/c") == b"two"
    assert place.sizes() == place.sizes("b") == {"b/c": 3}
    assert place.below("b").sizes() == {"c": 3}
    assert place.put_new("n", b"first")
    assert not place.put_new("n", b"second")
    assert place.read("n") == b"first"
    place.copy({"n": "b/m"})
    place.copy({"n": "b/m"})
    with place.open("b/m") as file:
        assert file.read() == b"first"
    place.delete("b/m")
    place.delete("b/m")
    with pytest.raises(FileNotFoundError):
        place.read("b/m")


def test_a_copy_onto_itself_leaves_nothing_behind(tmp_path: Path) -> None:
    place = LocalPlace(tmp_path)
    place.put("a", b"x")
    place.copy({"a": "b"})
    place.copy({"a": "b"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_one_of_many_writers_wins(place: Place) -> None:
    won = []

    def write(number: int) -> None:
        won.append(place.put_new("n", str(number).encode() * 50))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(won) == 1
    assert len(set(place.read("n").decode())) == 1


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("s3://bucket/x/", "s3://bucket/x"),
        (Path("s3://bucket/x"), "s3://bucket/x"),
        ("memory://a", "memory://a"),
        ("photos", None),
        ("/data/photos", None),
        ("builtin:toy", None),
        ("C:/photos", None),
        (["a"], None),
    ],
)
def test_what_is_a_url(name: object, url: str | None) -> None:
    assert url_of(name) == url


def test_a_store_that_is_not_known() -> None:
    with pytest.raises(OutputError, match="cannot be opened"):
        place_of("nonsense://x").sizes()


def fresh(tmp_path: Path, source: Path, out: str) -> None:
    """The folder of a URL is that of a run here."""
    onto(source, tmp_path / "fresh", FakeStage())
    found, here = read(out), read(tmp_path / "fresh")
    assert found.table.equals(here.table)
    assert found.manifest == here.manifest
    assert set(place_of(out).sizes()) == set(place_of(tmp_path / "fresh").sizes()) - {"_meta/.lock"}
    assert verify(out).ok, verify(out).problems


def until_done(source: Path, out: str, *, update: bool = False) -> None:
    """A run, and again where the store did not answer for so long that it gave up, as it then says."""
    for _ in range(2):
        with contextlib.suppress(OSError, OutputError):
            onto(source, out, FakeStage(), update=update)
            return
    onto(source, out, FakeStage(), update=update)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 11))])
def test_a_store_that_fails_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    source, out = table(tmp_path / "a.csv", FIRST), "s3://bucket/vectors"
    with s3_server(monkeypatch, seed) as server:
        server.share, server.most = 0.25, 8 if seed == 0 else 20
        until_done(source, out)
        table(source, changed(FIRST, id_00a="new", id_05=None, id_06="other"))
        until_done(source, out, update=True)
        assert server.faults == server.most
        server.share = 0.0
        verify(out, clean=True)
        fresh(tmp_path, source, out)


@pytest.mark.slow
def test_two_runs_into_one_store(tmp_path: Path, server: Faulty) -> None:
    source, out = table(tmp_path / "a.csv", FIRST), "s3://bucket/both"
    server.share, server.most = 0.1, 5
    failed: list[BaseException] = []

    def go() -> None:
        try:
            onto(source, out, FakeStage(0.005))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    server.share = 0.0
    fresh(tmp_path, source, out)


@pytest.mark.slow
def test_a_folder_whose_name_begins_like_another_s(tmp_path: Path, server: Faulty) -> None:
    source = table(tmp_path / "a.csv", FIRST)
    onto(source, "s3://bucket/vec2", FakeStage())
    assert not place_of("s3://bucket/vec").sizes()
    onto(source, "s3://bucket/vec", FakeStage())
    onto(table(source, changed(FIRST, id_05=None)), "s3://bucket/vec", FakeStage(), update=True)
    assert len(read("s3://bucket/vec2")) == len(read("s3://bucket/vec")) + 1 == 22
    assert verify("s3://bucket/vec2").ok


def test_of_two_runs_of_other_work_the_second_is_refused(
    tmp_path: Path, server: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the second looked before the first had begun: a store has no locks."""
    source = table(tmp_path / "a.csv", FIRST)
    onto(source, "s3://bucket/vec", FakeStage())
    monkeypatch.setattr("classtoken.sink.parquet.ParquetSink._there", lambda sink: (None, False))
    monkeypatch.setattr("classtoken.run.onto._begun", lambda sink: None)
    with pytest.raises(ManifestMismatch, match="holds vectors made with"):
        onto(table(tmp_path / "b.csv", changed(FIRST, id_05=None)), "s3://bucket/vec", FakeStage())


def test_a_store_that_stays_away_says_so(tmp_path: Path, server: Faulty) -> None:
    source = table(tmp_path / "a.csv", FIRST)
    server.share, server.most = 1.0, 10**6
    with pytest.raises((OutputError, OSError), match="asked 8 times"):
        onto(source, "s3://bucket/away", FakeStage())


@pytest.mark.slow
def test_source_model_and_vectors_in_a_store(tmp_path: Path, server: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = fsspec.filesystem("s3")
    toy = ct.load("builtin:toy").folder
    for path in toy.rglob("*"):
        if path.is_file():
            store.put_file(str(path), f"bucket/toy/{path.relative_to(toy).as_posix()}")
    here = tmp_path / "photos" / "x"
    here.mkdir(parents=True)
    for name, picture in zip("abc", pictures(3, (32, 32)), strict=True):
        picture.save(here / f"{name}.png")
        store.put_file(str(here / f"{name}.png"), f"bucket/photos/x/{name}.png")
    store.pipe_file("bucket/photos/notes.txt", b"no image")
    result = ct.embed("s3://bucket/toy", "s3://bucket/photos", "s3://bucket/out")
    ct.embed("builtin:toy", here.parent, tmp_path / "out")
    found, local = ct.read("s3://bucket/out"), ct.read(tmp_path / "out")
    assert found.ids == local.ids == ("x/a.png", "x/b.png", "x/c.png")
    assert found.column("path")[0] == "s3://bucket/photos/x/a.png"
    assert found.column("label") == ["x"] * 3
    assert result.notes == ("left out of s3://bucket/photos: 1 .txt.",)
    for name in local.arrays:
        np.testing.assert_array_equal(found.arrays[name], local.arrays[name])
    assert ct.verify("s3://bucket/out").ok


SAYS: dict[str, Callable[[bytes], dict[str, object]]] = {
    "gs": lambda content: {"etag": hashlib.md5(content).hexdigest(), "generation": "1", "storageClass": "STANDARD"},
    "hf": lambda content: {"blob_id": hashlib.sha1(content).hexdigest(), "lfs": None, "last_commit": None},
    "box": lambda content: {"modified": hashlib.sha1(content).hexdigest()},  # no store that we know
}


@pytest.fixture(params=list(SAYS))
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Any]:
    """A store whose listings say of files what those of this kind say."""
    from fsspec.implementations.memory import MemoryFileSystem

    kind = request.param

    class Bucket(MemoryFileSystem):
        protocol = kind
        store: ClassVar[dict[str, Any]] = {}
        pseudo_dirs: ClassVar[list[str]] = [""]

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return str(super()._strip_protocol(str(path).removeprefix(f"{kind}://")))

        def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
            found = super().ls(path, detail=True, **kwargs)
            files = [
                {name: one[name] for name in ("name", "size", "type")}
                | (SAYS[kind](self.store[one["name"]].getvalue()) if one["type"] == "file" else {})
                for one in found
            ]
            return files if detail else [one["name"] for one in files]

    monkeypatch.setitem(importlib.import_module("fsspec.registry")._registry, kind, Bucket)
    return kind, Bucket()


def test_a_picture_of_the_same_size_is_another_one_in_any_store(
    bucket: tuple[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Model, pictures and vectors lie in the store; a listing there says in its own words that a file has changed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kind, store = bucket
    toy = ct.load("builtin:toy").folder
    for path in toy.rglob("*"):
        if path.is_file():
            store.pipe_file(f"/b/toy/{path.relative_to(toy).as_posix()}", path.read_bytes())
    contents = []
    for name, picture in zip("abc", pictures(3, (32, 32)), strict=True):
        picture.save(tmp_path / f"{name}.png")
        contents.append((tmp_path / f"{name}.png").read_bytes())
    longest = max(map(len, contents)) + 1
    contents = [one + bytes(longest - len(one)) for one in contents]  # what stands behind a picture's end is not read
    for name, content in zip("ab", contents, strict=False):
        store.pipe_file(f"/b/photos/{name}.png", content)
    model, source, out = f"{kind}://b/toy", f"{kind}://b/photos", f"{kind}://b/out"
    assert ct.embed(model, source, out).rows == 2
    assert ct.embed(model, source, out).before == 2
    store.pipe_file("/b/photos/b.png", contents[2])
    with pytest.raises(ManifestMismatch, match="0 records new, 1 changed, 0 gone"):
        ct.embed(model, source, out)
    assert ct.embed(model, source, out, update=True).changed == 1
    assert ct.verify(out).ok
    weights = bytearray((toy / "model.safetensors").read_bytes())
    weights[-3] ^= 1
    store.pipe_file("/b/toy/model.safetensors", bytes(weights))
    with pytest.raises(ManifestMismatch):
        ct.embed(model, source, out)


def test_files_of_records_in_a_store(tmp_path: Path) -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    for number in range(2):
        pq.write_table(pa.table({"text": [f"text {number} {i}" for i in range(4)]}), tmp_path / f"{number}.parquet")
        store.put_file(str(tmp_path / f"{number}.parquet"), f"/records/{number}.parquet")
    source = "memory://records/*.parquet"
    from classtoken.source import make_plan, open_source

    opened = open_source(source)
    plan = make_plan(opened, task_rows=3)
    assert [(task.shard, task.start, task.stop) for task in plan.tasks] == [
        ("0.parquet", 0, 3),
        ("0.parquet", 3, 4),
        ("1.parquet", 0, 3),
        ("1.parquet", 3, 4),
    ]
    assert [record.text for record in opened.records()][5] == "text 1 1"
    with pytest.raises((SourceError, OSError)):
        open_source("memory://nowhere/x.csv")


def photos_of(store: Any, folder: Path, count: int) -> None:
    """Pictures in a bucket, and here."""
    folder.mkdir()
    for number, picture in enumerate(pictures(count, (16, 16))):
        picture.save(folder / f"{number:02d}.png")
        store.put_file(str(folder / f"{number:02d}.png"), f"bucket/denied/{number:02d}.png")


def test_pictures_of_a_store_that_begins_to_deny_are_no_bad_pictures(
    tmp_path: Path, server: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys that end in the middle of a run cost no record its vector: the run stops, and goes on with new ones."""
    import fsspec

    photos_of(fsspec.filesystem("s3"), tmp_path / "photos", 12)
    monkeypatch.setattr("classtoken.source.remote.AT_ONCE", 4)
    source, out, asked = "s3://bucket/denied", tmp_path / "out", 0

    def after_a_while(method: str, path: str) -> bool:
        nonlocal asked
        asked += (method, path.endswith(".png")) == ("GET", True)
        return path.endswith(".png") and asked > 14

    server.denied = after_a_while
    with pytest.raises(StoreError, match=r"s3://bucket/denied/\d\d.png may not be read \(Access Denied\)"):
        ct.embed("builtin:toy", source, out, part_rows=2)
    server.denied = lambda method, path: path.endswith("/11.png")  # one alone is its own affair
    result = ct.embed("builtin:toy", source, out, part_rows=2)
    assert (result.rows, result.refused, result.before > 0) == (11, 1, True)
    assert result.examples[0].id == "11.png"
    here = ct.embed("builtin:toy", tmp_path / "photos", tmp_path / "here")
    assert here.rows == 12


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["PUT", "GET"])
def test_what_a_store_denies_is_one_line_and_no_damage(tmp_path: Path, server: Faulty, kind: str) -> None:
    source, out = table(tmp_path / "a.csv", FIRST), "s3://bucket/rights"
    onto(source, out, FakeStage())
    before = set(place_of(out).sizes())
    table(source, changed(FIRST, id_00="new"))
    server.denied = lambda method, path: method == kind and ("part-" in path or "receipts" in path)
    for ask in (
        lambda: onto(source, out, FakeStage(), update=True),
        lambda: read(out).table if kind == "GET" else place_of(out).put("part-x", b""),
        lambda: verify(out) if kind == "GET" else place_of(out).copy({"_meta/manifest.json": "part-y"}),
    ):
        with pytest.raises(StoreError if kind == "GET" else OutputError, match=r"Access Denied.*what is finished is"):
            ask()
    server.denied = lambda method, path: False
    assert before <= set(place_of(out).sizes())
    onto(source, out, FakeStage(), update=True)
    fresh(tmp_path, source, out)


@pytest.mark.slow
def test_a_bucket_that_is_not_there(tmp_path: Path, server: Faulty) -> None:
    with pytest.raises(OutputError, match=r"s3://none/out/.* cannot be written .*bucket does not exist"):
        onto(table(tmp_path / "a.csv", FIRST), "s3://none/out", FakeStage())
    with pytest.raises(OutputError, match="holds no vectors"):
        read("s3://none/out")


@pytest.mark.slow
def test_parts_are_read_though_a_store_fails_now_and_then(tmp_path: Path, server: Faulty) -> None:
    source, out = table(tmp_path / "a.csv", FIRST), "s3://bucket/failing"
    onto(source, out, FakeStage())
    wanted = read(out).table
    server.share, server.most = 0.3, 12
    for _ in range(4):
        assert read(out).table.equals(wanted)
    assert server.faults > 4


@pytest.mark.slow
def test_a_source_in_a_store_that_is_away_for_a_moment_is_what_it_is(server: Faulty) -> None:
    """Not taken for a folder of pictures, nor for nothing."""
    import fsspec

    from classtoken.source import open_source

    fsspec.filesystem("s3").pipe_file("bucket/a.csv", b"text\none\n")
    for seed in range(6):
        server.chance.seed(seed)
        server.share, server.faults, server.most = 1.0, 0, 2
        assert [record.text for record in open_source("s3://bucket/a.csv").records()] == ["one"]


def test_a_worker_reads_the_records_that_were_listed() -> None:
    """A file of a store that was replaced between the listing and the worker's copy of it is noticed."""
    import pickle

    import fsspec

    from classtoken.source import open_source

    store = fsspec.filesystem("memory")
    store.pipe_file("/replaced/a.csv", b"text\none\ntwo\n")
    source = open_source("memory://replaced/a.csv")
    sent = pickle.dumps(source)
    assert [record.text for record in pickle.loads(sent).records()] == ["one", "two"]
    store.pipe_file("/replaced/a.csv", b"text\nsix\nten\n")
    with pytest.raises(SourceError, match="changed while it was being read"):
        pickle.loads(sent)
