"""The smallest sink that is whole: a folder of JSON files, one per task, easily read in a test.

with JsonSink(folder, manifest) as sink:
    run(source, plan, stage, sink)
ids, vectors = read_json_sink(folder)
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classtoken.errors import OutputError
from classtoken.files import write_text
from classtoken.plain import to_json
from classtoken.sink import Manifest, Part, Receipt, TaskRows
from classtoken.sink.manifest import summed


@dataclass(frozen=True)
class JsonPartWriter:
    """Writes a JSON file per task, which is its own receipt."""

    folder: Path

    def write(self, rows: TaskRows) -> Receipt:
        """One file with ids, vectors and what was refused."""
        name = f"{rows.task.number:05d}.json"
        part = Part(rows.task.number, name, len(rows.records), 0, "", len(rows.refused), rows.cut)
        receipt = Receipt(part, tuple(rows.refused))
        vectors = {column: block.tolist() for column, block in rows.vectors.items()}
        content = {"receipt": receipt.to_dict(), "ids": [record.id for record in rows.records], "vectors": vectors}
        write_text(self.folder / name, to_json(content))
        return receipt


class JsonSink:
    """A folder of JSON files, one per task (`sink.base.Sink`)."""

    def __init__(self, folder: Path, manifest: Manifest):
        self.folder = folder
        self.manifest = manifest
        self._locked = False

    @property
    def place(self) -> str:
        """The folder."""
        return self.folder.as_posix()

    def begin(self) -> Mapping[int, Part]:
        """See `Sink.begin`."""
        kept = self.folder / "manifest.json"
        if kept.exists():
            self.manifest.refuse_others(Manifest.from_json(kept.read_text(encoding="utf-8")), self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            (self.folder / "lock").mkdir()  # stays after a kill, and must then be removed by hand
        except FileExistsError:
            raise OutputError(f"another run is writing to {self.folder}; wait for it.") from None
        self._locked = True
        if not kept.exists():
            write_text(kept, self.manifest.to_json())
        return self._parts()

    def writer(self) -> JsonPartWriter:
        """See `Sink.writer`."""
        return JsonPartWriter(self.folder)

    def finish(self) -> Manifest:
        """See `Sink.finish`."""
        parts = self._parts()
        if len(parts) < self.manifest.tasks:
            raise OutputError(f"{self.manifest.tasks - len(parts)} tasks are not done; run it again.")
        whole = summed(self.manifest, tuple(parts[number] for number in sorted(parts)))
        write_text(self.folder / "manifest.json", whole.to_json())
        return whole

    def close(self) -> None:
        """See `Sink.close`."""
        if self._locked:
            (self.folder / "lock").rmdir()
            self._locked = False

    def __enter__(self) -> "JsonSink":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _parts(self) -> dict[int, Part]:
        contents = (json.loads(path.read_text(encoding="utf-8")) for path in self.folder.glob("[0-9]*.json"))
        parts = (Receipt.from_dict(content["receipt"]).part for content in contents)
        return {part.task: part for part in parts}


def read_json_sink(folder: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """Ids and vectors of a finished `JsonSink`, in the order of the source. Raises `OutputError` for others."""
    manifest = Manifest.from_json((folder / "manifest.json").read_text(encoding="utf-8"))
    if not manifest.complete:
        raise OutputError(f"{folder} is not finished; run it again.")
    contents = [json.loads((folder / part.file).read_text(encoding="utf-8")) for part in manifest.parts]
    ids = [name for content in contents for name in content["ids"]]
    blocks = {
        name: [np.array(content["vectors"][name], np.float32).reshape(-1, size) for content in contents]
        for name, size in manifest.columns.items()
    }
    return ids, {name: np.concatenate(parts) for name, parts in blocks.items()}
