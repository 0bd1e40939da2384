"""What goes wrong around a run: each is one line that says what to do, and what is finished stays."""

import contextlib
import errno
import os
import random
import shutil
import time
from pathlib import Path

import pytest
from tests.run.fake import FakeStage, onto
from tests.run.test_update import FIRST, alike, changed, table

from classtoken.errors import ClasstokenError, ManifestMismatch, OutputError, SourceError
from classtoken.sink import read, read_quarantine, verify


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return table(tmp_path / "a.csv", FIRST)


def test_a_full_disk(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Path.write_bytes

    def write(path: Path, content: bytes) -> int:
        if path.name.startswith(".part-00002"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return whole(path, content)

    with monkeypatch.context() as full:
        full.setattr(Path, "write_bytes", write)
        with pytest.raises(OutputError, match="cannot be written: No space left on device"):
            onto(source, tmp_path / "out", FakeStage())
    stage = FakeStage()
    onto(source, tmp_path / "out", stage)
    assert "text 0" not in stage.computed  # what was finished stays
    onto(source, tmp_path / "whole", FakeStage())
    alike(tmp_path / "out", tmp_path / "whole")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path, source: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o555)
    with pytest.raises(OutputError, match="cannot be written"):
        onto(source, tmp_path / "out", FakeStage())


def test_a_source_that_changes_while_it_is_read(tmp_path: Path, source: Path) -> None:
    class Changing(FakeStage):
        def vectors(self, batch):  # type: ignore[no-untyped-def]
            table(source, changed(FIRST, id_07=None, id_20="other"))
            return super().vectors(batch)

    with contextlib.suppress(SourceError):  # where what was read does not fit together any more
        onto(source, tmp_path / "out", Changing())
    with pytest.raises(ManifestMismatch, match=r"records? new, "):
        onto(source, tmp_path / "out", FakeStage())
    onto(source, tmp_path / "out", FakeStage(), update=True)
    onto(source, tmp_path / "whole", FakeStage())
    alike(tmp_path / "out", tmp_path / "whole")


def test_a_source_that_changes_and_is_put_back_while_it_is_read(tmp_path: Path, source: Path) -> None:
    whole = source.read_bytes()

    class Changing(FakeStage):
        def vectors(self, batch):  # type: ignore[no-untyped-def]
            source.write_bytes(whole if "text 21" in self.computed else whole.replace(b"text", b"tixt"))
            return super().vectors(batch)

    stage = Changing()
    with pytest.raises(SourceError, match=r"was changed while it was being read: \d of 5 tasks read something else"):
        onto(source, tmp_path / "out", stage)
    source.write_bytes(whole)
    onto(source, tmp_path / "out", FakeStage())
    onto(source, tmp_path / "whole", FakeStage())
    alike(tmp_path / "out", tmp_path / "whole")


def test_a_source_that_only_grows_while_it_is_read(tmp_path: Path, source: Path) -> None:
    whole = source.read_bytes()

    class Growing(FakeStage):
        def vectors(self, batch):  # type: ignore[no-untyped-def]
            with source.open("ab") as file:
                file.write(b"more,more,n\n")
            return super().vectors(batch)

    manifest, _ = onto(source, tmp_path / "out", Growing())
    assert manifest.total == whole.count(b"\n") - 1  # what was listed is what is there


def test_an_image_that_changes_while_it_is_read_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image
    from tests.folders import pictures

    import classtoken as ct
    from classtoken.run.embedding import EmbedStage

    photos = tmp_path / "photos"
    photos.mkdir()
    for name, picture in zip("abcd", pictures(4, (32, 32)), strict=True):
        picture.save(photos / f"{name}.bmp")
    whole = EmbedStage.batches

    def batches(stage, records, reject):  # type: ignore[no-untyped-def]
        found = list(whole(stage, records, reject))
        Image.new("RGB", (32, 32), "red").save(photos / "c.bmp")
        return iter(found)

    with monkeypatch.context() as changing:
        changing.setattr(EmbedStage, "batches", batches)
        ct.embed("builtin:toy", photos, tmp_path / "out")
    with pytest.raises(ManifestMismatch, match="0 records new, 1 changed, 0 gone"):
        ct.embed("builtin:toy", photos, tmp_path / "out")


def test_a_manifest_of_another_folder_claims_nothing(tmp_path: Path, source: Path) -> None:
    """Neither of its own rows, which are not there, nor of those that are."""
    out, other = tmp_path / "out", tmp_path / "other"
    onto(source, out, FakeStage())
    second = table(tmp_path / "b.csv", {f"id-{i:02d}": f"word {i}" for i in range(23)})
    onto(second, other, FakeStage())
    shutil.copy(other / "_meta/manifest.json", out / "_meta/manifest.json")
    assert not verify(out).ok
    with pytest.raises(ManifestMismatch, match="23 records new"):
        onto(source, out, FakeStage())
    stage = FakeStage()
    onto(second, out, stage)
    assert len(stage.computed) == 23
    verify(out, clean=True)
    alike(out, other)


@pytest.mark.parametrize("content", [None, b"?"])
def test_a_quarantine_that_was_lost_is_written_again(tmp_path: Path, source: Path, content: bytes | None) -> None:
    out = tmp_path / "out"
    onto(source, out, FakeStage())
    if content is None:
        (out / "_meta/quarantine.parquet").unlink()
    else:
        (out / "_meta/quarantine.parquet").write_bytes(content)
    onto(source, out, FakeStage())
    assert [entry.id for entry in read_quarantine(out)] == ["id-13"]
    table(source, {**FIRST, "id-99": "new"})
    (out / "_meta/quarantine.parquet").unlink()
    onto(source, out, FakeStage(), update=True)
    onto(source, tmp_path / "whole", FakeStage())
    alike(out, tmp_path / "whole")


def test_parts_without_their_manifest(tmp_path: Path, source: Path) -> None:
    onto(source, tmp_path / "out", FakeStage())
    (tmp_path / "out/_meta/manifest.json").write_text("{")
    with pytest.raises(OutputError, match="put it back, or embed into a new folder"):
        onto(source, tmp_path / "out", FakeStage())
    (tmp_path / "out/_meta/manifest.json").unlink()
    with pytest.raises(OutputError, match="holds parts without their manifest"):
        onto(source, tmp_path / "out", FakeStage())


@pytest.mark.parametrize("kind", ["part", "receipt", "ledger"])
def test_what_is_damaged_is_done_again(tmp_path: Path, source: Path, kind: str) -> None:
    out = tmp_path / "out"
    onto(source, out, FakeStage())
    pattern = {"part": "part-00001-*", "receipt": "_meta/receipts/00001.json", "ledger": "_meta/records/part-00001-*"}
    (damaged,) = out.glob(pattern[kind])
    damaged.write_bytes(b"?")
    onto(source, out, FakeStage(), update=kind == "ledger")
    if kind == "ledger":
        (next(out.glob("_meta/records/part-00001-*"))).unlink()
        onto(table(source, {**FIRST, "id-99": "new"}), out, FakeStage(), update=True)
    onto(source, tmp_path / "whole", FakeStage())
    alike(out, tmp_path / "whole")


def test_a_clock_that_jumps(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(0)
    monkeypatch.setattr(time, "time", lambda: chance.uniform(0, 4e9))
    seen = []
    onto(source, tmp_path / "out", FakeStage(), report=seen.append)
    assert all(progress.seconds >= 0 for progress in seen)
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            os.utime(path, (chance.uniform(0, 4e9),) * 2)
    again = FakeStage()
    onto(source, tmp_path / "out", again)
    assert again.computed == []


def test_two_runs_at_once(tmp_path: Path, source: Path) -> None:
    failed = []

    class Nested(FakeStage):
        def vectors(self, batch):  # type: ignore[no-untyped-def]
            if not failed:
                with pytest.raises(OutputError, match=r"another run is writing to .*; wait for it") as said:
                    onto(source, tmp_path / "out", FakeStage(), update=True)
                failed.append(said)
            return super().vectors(batch)

    onto(source, tmp_path / "out", Nested())
    assert failed
    assert verify(tmp_path / "out").ok


def mutated(text: bytes, chance: random.Random) -> bytes:
    """A file with something of it flipped, cut, doubled or replaced."""
    content = bytearray(text)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(content) + 1)
        match chance.randrange(4):
            case 0:
                content[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                del content[place : place + chance.randint(1, 20)]
            case 2:
                content[place:place] = content[max(0, place - 20) : place]
            case _:
                content[place:place] = chance.choice([b'"', b"\n", b"\0", b",", b"\xff\xfe", "é".encode()])
    return bytes(content)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.soak)])
def test_every_row_of_mutated_texts_is_accounted_for(tmp_path: Path, source: Path, seed: int) -> None:
    chance, content, done, said = random.Random(seed), source.read_bytes(), 0, []
    for number in range(10 if seed == 0 else 100):
        source.write_bytes(mutated(content, chance))
        out = tmp_path / str(number)
        try:
            manifest, _ = onto(source, out, FakeStage())
        except ClasstokenError as error:
            said.append(str(error))
            continue
        done += 1
        assert manifest.rows + manifest.refused == manifest.total
        assert len(read(out).ids) == manifest.rows
        assert len(read_quarantine(out)) == manifest.refused
        shutil.rmtree(out)
    assert done
    assert not any("\n" in line for line in said)


@pytest.mark.parametrize("count", [100, pytest.param(900, marks=pytest.mark.soak)])
def test_every_mutated_text_is_accounted_for(tmp_path: Path, count: int) -> None:
    """Rows of a table that stays one: what is wrong with a text costs nobody else anything."""
    import json

    import classtoken as ct

    chance, text = random.Random(count), 'The cat sat on the "mat", naïve 🐱 and far\taway.'.encode()
    rows = [mutated(text, chance).decode("utf-8", "surrogateescape") for _ in range(count)]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"id": str(k), "text": row}) + "\n" for k, row in enumerate(rows)))
    result = ct.embed("builtin:sentiment", path, tmp_path / "out", part_rows=50)
    assert result.rows + result.refused == result.total == count
    refused = {entry.id for entry in read_quarantine(tmp_path / "out")}
    assert refused == {str(k) for k, row in enumerate(rows) if any("\ud800" <= sign <= "\udfff" for sign in row)}
    assert refused.isdisjoint(read(tmp_path / "out").ids)
    assert verify(tmp_path / "out").ok


@pytest.mark.parametrize("count", [100, pytest.param(900, marks=pytest.mark.soak)])
def test_every_mutated_image_is_accounted_for(tmp_path: Path, count: int) -> None:
    from tests.folders import pictures

    import classtoken as ct

    chance = random.Random(count)
    photos = tmp_path / "photos"
    photos.mkdir()
    originals = pictures(4, (24, 24))
    for number in range(count):
        path = photos / f"{number:03d}{chance.choice(['.png', '.jpg', '.webp'])}"
        originals[number % 4].save(path)
        if number:
            path.write_bytes(mutated(path.read_bytes(), chance))
    result = ct.embed("builtin:toy", photos, tmp_path / "out", part_rows=50)
    assert result.rows + result.refused == result.total == count
    refused = {entry.id for entry in read_quarantine(tmp_path / "out")}
    assert refused.isdisjoint(ct.read(tmp_path / "out").ids)
    assert all(entry.reason and "\n" not in entry.reason for entry in read_quarantine(tmp_path / "out"))
    assert verify(tmp_path / "out").ok
