"""The battery for sinks: ours pass it, and it notices what is wrong with others."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from classtoken.sink import Manifest, ParquetSink, Part, Receipt, Sink, TaskRows, read
from classtoken.testing.json_sink import JsonPartWriter, JsonSink, read_json_sink
from classtoken.testing.sinks import check_sink, faults


def from_parquet(folder: Path) -> tuple[list[str], Mapping[str, np.ndarray]]:
    found = read(folder)
    return list(found.ids), found.arrays


@pytest.mark.slow
def test_parquet(tmp_path: Path) -> None:
    check_sink(
        lambda place, manifest: ParquetSink(tmp_path / place, manifest), lambda place: from_parquet(tmp_path / place)
    )


@pytest.mark.slow
def test_json(tmp_path: Path) -> None:
    check_sink(
        lambda place, manifest: JsonSink(tmp_path / place, manifest), lambda place: read_json_sink(tmp_path / place)
    )


class Unlocked(JsonSink):
    def close(self) -> None:
        pass

    def begin(self) -> Mapping[int, Part]:
        found = super().begin()
        (self.folder / "lock").rmdir()
        return found


class Mixed(JsonSink):
    def begin(self) -> Mapping[int, Part]:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "manifest.json").write_text(self.manifest.to_json())
        return super().begin()


class Eager(JsonSink):
    def finish(self) -> Manifest:
        if len(self._parts()) < 3:
            return self.manifest
        return super().finish()


class Forgetful(JsonSink):
    def begin(self) -> Mapping[int, Part]:
        super().begin()
        return {}


class Lossy(JsonSink):
    def writer(self) -> JsonPartWriter:
        return LossyWriter(self.folder)


class LossyWriter(JsonPartWriter):
    def write(self, rows: TaskRows) -> Receipt:
        half = {name: block.astype(np.float16) for name, block in rows.vectors.items()}
        return super().write(TaskRows(rows.task, rows.records, half, rows.refused, rows.long))


class HereOnly(JsonSink):
    def writer(self) -> JsonPartWriter:
        writer = super().writer()
        object.__setattr__(writer, "here", lambda: None)
        return writer


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Unlocked, "two runs are let in at once"),
        (Mixed, "vectors of other weights are taken"),
        (Eager, "it finishes while tasks are left"),
        (Forgetful, "a finished place, opened again, has tasks left"),
        (Lossy, "the vectors 'cls' are not those that were written"),
        (HereOnly, "other processes: raises"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, make: Callable[[Path, Manifest], Sink], words: str) -> None:
    found = faults(
        lambda place, manifest: make(tmp_path / place, manifest), lambda place: read_json_sink(tmp_path / place)
    )
    assert any(words in line for line in found), found
