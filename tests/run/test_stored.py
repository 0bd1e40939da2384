"""Shorter vectors, smaller numbers, other formats: what is written, and what that keeps."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tests import folders

import classtoken as ct
from classtoken.errors import ManifestMismatch, MissingExtra, OptionError
from classtoken.places import LocalPlace, Place
from classtoken.sink import Manifest, Vectors, beside, read_manifest, verify
from classtoken.sink.beside import Format
from classtoken.sink.numbers import Ranges, to_floats, to_stored

WORDS = ["the", "cat", "dog", "bird", "sits", "runs", "on", "a", "mat", "under", "red", "blue", "house", "far", "away"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    numbers = np.random.default_rng(0)
    rows = [" ".join(numbers.choice(WORDS, 8)) for _ in range(60)]
    path = tmp_path_factory.mktemp("texts") / "a.txt"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def whole(bert: Path, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Vectors:
    out = tmp_path_factory.mktemp("whole") / "out"
    ct.embed(bert, source, out, pooling="cls,mean", part_rows=25)
    return ct.read(out)


def test_ranges_there_and_back() -> None:
    numbers = np.random.default_rng(0).standard_normal((500, 8)) * np.arange(1, 9)
    vectors = numbers.astype(np.float32)
    ranges = Ranges.of(vectors)
    stored = to_stored(vectors, "int8", ranges)
    back = to_floats(stored, ranges)
    steps = (np.array(ranges.high) - np.array(ranges.low)) / 254
    assert (np.abs(back - vectors) <= steps * 0.501).all()
    assert ranges.clipped(vectors) == 0
    assert ranges.clipped(vectors * 2) > 0
    np.testing.assert_array_equal(to_stored(back, "int8", ranges), stored)  # twice is once
    assert Ranges.from_json(ranges.to_json()) == ranges


@pytest.mark.parametrize(("store", "most"), [("fp16", 1e-3), ("int8", 2e-2)])
def test_smaller_numbers(tmp_path: Path, bert: Path, source: Path, whole: Vectors, store: str, most: float) -> None:
    result = ct.embed(bert, source, tmp_path / "out", pooling="cls,mean", part_rows=25, store=store)
    found = ct.read(tmp_path / "out")
    for name in ("cls", "mean"):
        assert found.arrays[name].dtype == np.float32
        spread = np.ptp(whole.arrays[name], axis=0).max()
        np.testing.assert_allclose(found.arrays[name], whole.arrays[name], atol=most * spread)
        kept = result.sampled[name]
        assert kept.records == 60
        assert 0.8 < kept.recall <= 1
    assert verify(tmp_path / "out").ok, verify(tmp_path / "out").problems
    assert "of the 10 nearest neighbours" in str(result)
    assert (result.store, found.manifest.store) == (store, store)
    again = ct.embed(bert, source, tmp_path / "out", pooling="cls,mean", part_rows=25, store=store)
    assert again.sampled == result.sampled  # measured once
    with pytest.raises(ManifestMismatch, match=f"store '{store}' instead of 'fp32'"):
        ct.embed(bert, source, tmp_path / "out", pooling="cls,mean", part_rows=25)


def test_an_update_keeps_the_ranges(tmp_path: Path, bert: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("the cat sits\na dog runs\nred bird\n")
    ct.embed(bert, path, tmp_path / "out", store="int8")
    before = ct.read(tmp_path / "out")
    (name,) = before.arrays
    kept = before.arrays[name]
    path.write_text("the cat sits\na dog runs\nred bird\nblue house far away under the mat\n")
    result = ct.embed(bert, path, tmp_path / "out", store="int8", update=True)
    after = ct.read(tmp_path / "out")
    assert after.manifest.ranges == before.manifest.ranges
    np.testing.assert_array_equal(after.arrays[name][:3], kept)
    assert result.clipped > 0  # the new row is like none of the sample
    assert "were clipped" in str(result)


def test_the_first_numbers(tmp_path: Path, bert: Path, source: Path, whole: Vectors) -> None:
    result = ct.embed(bert, source, tmp_path / "out", pooling="cls,mean", dim=8)
    found = ct.read(tmp_path / "out")
    for name in ("cls", "mean"):
        first = whole.arrays[name][:, :8]
        expected = first / np.linalg.norm(first, axis=1, keepdims=True)
        np.testing.assert_allclose(found.arrays[name], expected, atol=1e-5)
        kept = result.sampled[name]
        assert kept.first is not None
        assert 0 < kept.first <= 1
        assert abs(kept.recall - kept.first) < 0.05  # unit length changes no cosine
    made, other = found.manifest.fingerprint, whole.manifest.fingerprint
    assert made.dim == 8
    assert made.spaces["cls"] != other.spaces["cls"]
    assert "by as many at random" in str(result)
    with pytest.raises(ManifestMismatch, match="dim '8' instead of 'None'"):
        ct.embed(bert, source, tmp_path / "out", pooling="cls,mean")
    with pytest.raises(OptionError, match="`dim` is 99, and 'cls' has 32 numbers"):
        ct.embed(bert, source, tmp_path / "other", pooling="cls", dim=99)


class TestBeside:
    def test_npy(self, tmp_path: Path, bert: Path, source: Path, whole: Vectors) -> None:
        result = ct.embed(bert, source, tmp_path / "out", pooling="cls,mean", part_rows=25, format="npy")
        assert result.files == ("cls.npy", "mean.npy", "ids.npy", "fingerprint.json")
        mapped = np.load(tmp_path / "out/cls.npy", mmap_mode="r")
        np.testing.assert_array_equal(mapped, whole.arrays["cls"])
        assert tuple(np.load(tmp_path / "out/ids.npy")) == whole.ids
        about = json.loads((tmp_path / "out/fingerprint.json").read_text())
        assert about["spaces"] == whole.manifest.fingerprint.spaces
        assert verify(tmp_path / "out").ok
        ct.embed(bert, source, tmp_path / "out", pooling="cls", overwrite=True)
        assert not (tmp_path / "out/mean.npy").exists()

    def test_safetensors(
        self, tmp_path: Path, bert: Path, source: Path, whole: Vectors, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from safetensors import safe_open

        monkeypatch.setattr("classtoken.sink.beside.SHARD_ROWS", 40)
        result = ct.embed(bert, source, tmp_path / "out", pooling="cls", part_rows=25, format="safetensors")
        shards = [name for name in result.files if name.endswith(".safetensors")]
        assert shards == ["cls-00000-of-00002.safetensors", "cls-00001-of-00002.safetensors"]
        blocks = []
        for name in shards:
            with safe_open(tmp_path / "out" / name, "numpy") as file:
                blocks.append(file.get_tensor("vectors"))
                assert json.loads(file.metadata()["fingerprint"])["poolings"] == ["cls"]
        np.testing.assert_allclose(np.concatenate(blocks), whole.arrays["cls"], atol=5e-6)  # one pooling, one pass

    def test_they_follow_when_the_folder_grows(self, tmp_path: Path, bert: Path) -> None:
        path, out = tmp_path / "a.txt", tmp_path / "out"
        path.write_text("the cat sits\na dog runs\n")
        files = ct.embed(bert, path, out, pooling="cls", format="npy").files
        before = (out / "cls.npy").stat().st_mtime_ns
        assert ct.embed(bert, path, out, pooling="cls", format="npy").files == files
        assert (out / "cls.npy").stat().st_mtime_ns == before  # written once
        path.write_text("the cat sits\na dog runs\nred bird\n")
        ct.embed(bert, path, out, pooling="cls", update=True)
        assert len(np.load(out / "cls.npy")) == len(np.load(out / "ids.npy")) == 3
        assert verify(out).ok
        written = json.loads((out / "_meta/beside.json").read_text())
        written["formats"]["npy"]["parts"] = "of another day"
        (out / "_meta/beside.json").write_text(json.dumps(written))
        assert "cls.npy, ids.npy, fingerprint.json: of an earlier state" in str(verify(out).problems)
        ct.embed(bert, path, out, pooling="cls")
        assert verify(out).ok

    @pytest.mark.parametrize("format", ["npy", "safetensors", "lance"])
    def test_a_kill_while_they_are_written_leaves_files_of_no_state(
        self, tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch, format: Format
    ) -> None:
        """Also not of the state before, which a source that is put back would take them for."""
        if format == "lance":
            pytest.importorskip("lancedb")
        path, out = tmp_path / "a.txt", tmp_path / "out"

        def killed(*_: object) -> str:
            raise KeyboardInterrupt

        for text in ("the cat sits\na dog runs\n", "red bird\na cat\nthe blue house\n", "the cat sits\na dog runs\n"):
            path.write_text(text)
            with monkeypatch.context() as patched, contextlib.ExitStack() as ends:
                if "red" in text:
                    patched.setattr(beside, "_checksum", killed)
                    ends.enter_context(pytest.raises(KeyboardInterrupt))
                ct.embed(bert, path, out, pooling="cls", format=format, update=out.exists())
            assert ("of an earlier state" in str(verify(out).problems)) == ("red" in text)
        if format == "lance":
            import lancedb

            assert lancedb.connect(out).open_table("vectors").count_rows() == 2
        else:
            assert len(np.load(out / "ids.npy")) == 2
        assert verify(out).ok, verify(out).problems

    def test_shards_of_a_killed_run_go(self, tmp_path: Path, bert: Path, source: Path) -> None:
        out = tmp_path / "out"
        ct.embed(bert, source, out, pooling="cls")
        for name in ("cls-00000-of-00007.safetensors", "model-00000-of-00007.safetensors"):
            (out / name).write_bytes(b"")
        ct.embed(bert, source, out, pooling="cls", format="safetensors")
        assert {path.name for path in out.glob("*.safetensors")} == {
            "cls-00000-of-00001.safetensors",
            "model-00000-of-00007.safetensors",
        }

    def test_lance_holds_the_state_of_now_alone(self, tmp_path: Path, bert: Path) -> None:
        pytest.importorskip("lancedb")
        path, out = tmp_path / "a.txt", tmp_path / "out"
        for text in ("the cat sits\na dog runs\n", "red bird\n", "blue house\n"):
            path.write_text(text)
            ct.embed(bert, path, out, pooling="cls", format="lance", update=out.exists())
            assert len(list((out / "vectors.lance/data").iterdir())) == 1
        assert verify(out).ok, verify(out).problems

    def test_where_no_vector_is_left_they_go(self, tmp_path: Path, bert: Path) -> None:
        place = LocalPlace(tmp_path / "out")
        path = tmp_path / "a.txt"
        path.write_text("the cat sits\n")
        ct.embed(bert, path, place.path, pooling="cls", format="npy")
        manifest = replace(read_manifest(place), parts=(), rows=0)
        assert beside.write_beside(place, manifest, "parquet") == ()
        assert not list(place.path.glob("*.npy"))
        assert beside.stale(place, manifest) == []

    def test_no_other_run_begins_while_they_are_written(
        self, tmp_path: Path, bert: Path, source: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out, seen = tmp_path / "out", []
        writer = beside._WRITERS["npy"]

        def looked(place: Place, manifest: Manifest) -> tuple[str, ...]:
            seen.append(place.lock("_meta/.lock"))
            return writer(place, manifest)

        monkeypatch.setitem(beside._WRITERS, "npy", looked)  # type: ignore[arg-type]
        ct.embed(bert, source, out, pooling="cls", format="npy")
        (tmp_path / "slices").mkdir()
        ct.embed(bert, source, tmp_path / "slices", pooling="cls", part_rows=25, tasks="0-2")
        ct.embed(bert, source, tmp_path / "slices", pooling="cls", finish=True, format="npy")
        assert seen == [None, None]

    def test_slices_have_them_at_the_end(self, tmp_path: Path, bert: Path, source: Path) -> None:
        ct.embed(bert, source, tmp_path / "out", pooling="cls", part_rows=25, tasks="0-2")
        result = ct.embed(bert, source, tmp_path / "out", pooling="cls", finish=True, format="npy")
        assert result.files == ("cls.npy", "ids.npy", "fingerprint.json")

    def test_lance_where_it_cannot_be_written_is_refused_before_any_work(
        self, tmp_path: Path, bert: Path, source: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from classtoken import extras

        def missing(name: str) -> ModuleType:
            raise ImportError(name)

        pytest.importorskip("lancedb")
        with pytest.raises(OptionError, match="`format` lance is written to a folder of this machine"):
            ct.embed(bert, source, f"memory://{tmp_path.name}/out", pooling="cls", format="lance")
        monkeypatch.setattr(extras, "import_module", missing)
        with pytest.raises(MissingExtra, match="Run: pip install"):
            ct.embed(bert, source, tmp_path / "out", pooling="cls", format="lance")
        assert not (tmp_path / "out").exists()

    def test_lance(self, tmp_path: Path, bert: Path, source: Path, whole: Vectors) -> None:
        lancedb = pytest.importorskip("lancedb")
        ct.embed(bert, source, tmp_path / "out", pooling="cls", part_rows=25, format="lance")
        table = lancedb.connect(tmp_path / "out").open_table("vectors")
        assert table.count_rows() == 60
        assert b"classtoken.fingerprint" in table.schema.metadata
        hit = table.search(whole.arrays["cls"][7].tolist(), vector_column_name="cls").limit(1).to_list()[0]
        assert whole.column("text")[int(hit["id"])] == whole.column("text")[7]
        ct.embed(bert, source, tmp_path / "out", pooling="cls", part_rows=25, format="lance")  # again, over itself
