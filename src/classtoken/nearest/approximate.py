"""An approximate index in LanceDB, its settings found by measuring; a cache that never answers for what has changed.

It lies in `DIR/_meta/index` beside the vectors, which it copies and never changes. What it was made of is written with
it: where that is not what the folder holds now, or anything of it is damaged, it counts as not there, and exact search
answers.

A row is known by its part and where it stands there. So an index of a folder that has been brought up to date grows:
rows of parts that have gone leave it, those of new parts come in, and the others stay, whatever their places are now.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from classtoken.errors import ClasstokenError, OptionError, OutputError
from classtoken.extras import need
from classtoken.files import alone, whole_folder, write_text
from classtoken.measure.statistics import mean_interval
from classtoken.nearest.rows import FileRows, has_direction, lengths_of, unit
from classtoken.nearest.scan import Found, search
from classtoken.places import LocalPlace
from classtoken.plain import to_json
from classtoken.results.base import counted
from classtoken.sink import Vectors
from classtoken.sink.beside import AT_ONCE, lance_writes
from classtoken.sink.manifest import META
from classtoken.values import Progress

FOLDER, ABOUT, TABLE, HELD = "index", "about.json", "rows", ".index.lock"
SMALL = 5000
"""rows below which an index could be no quicker than looking at all of them"""
QUERIES = 400
"""rows that the settings are chosen on, and as many others on which the recall is measured"""
FORMAT = 3
GROWN = 0.5
"""share of a folder's rows that an index must hold already to grow: its partitions were found for those that it held"""


@dataclass(frozen=True)
class Settings:
    """How it is asked: partitions that are looked into, and candidates per wanted row whose scores are made exact."""

    probes: int
    refine: int


@dataclass(frozen=True)
class IndexAbout:
    """What an index is of, how it is asked, and what was measured: recall of the `k` best with its 95 % interval.

    `parts` are the checksums of the folder's parts. `begun`: rows that the partitions were found for. `version`: that
    of the table, which Lance opens at an earlier one where the files of the last are not there.
    """

    column: str
    parts: tuple[str, ...]
    begun: int
    version: int
    settings: Settings
    recall: float
    low: float
    high: float
    k: int
    queries: int
    format: int = FORMAT


class ApproximateIndex:
    """An index that is there and up to date."""

    def __init__(self, table: Any, about: IndexAbout, vectors: Vectors):
        self.about, self.table = about, IndexedRows(table, vectors)

    def search(self, queries_QD: Tensor, k: int) -> Found | None:
        """The k rows most similar to each query by cosine, most of them; None where its files are damaged."""
        try:
            return self.table.nearest(unit(queries_QD.float()), k, self.about.settings)
        except Exception:  # a cache, as above
            return None


def open_index(vectors: Vectors, column: str) -> ApproximateIndex | None:
    """The index of a folder; None where there is none, or it is damaged, or of another state of the folder."""
    if not isinstance(vectors.place, LocalPlace):
        return None
    try:
        about, table = _there(vectors)
        same = about.column == column and sorted(about.parts) == sorted(_parts(vectors))
        return ApproximateIndex(table, about, vectors) if same else None
    except Exception:  # a cache, and Lance raises whatever it likes on damaged files
        return None


def build_index(
    vectors: Vectors, column: str, recall: float, k: int, *, report: Callable[[Progress], object] | None = None
) -> IndexAbout:
    """Make the index, or let it grow, and find settings with which its recall is met: the low end of the interval is
    above it.

    Settings are chosen on rows of the folder as queries, each without itself, and the recall is measured on others.
    Raises `OptionError` for folders that are too small and where no settings reach the recall; an index that is there
    stays then, unless it had to grow.
    """
    if not isinstance(vectors.place, LocalPlace):
        raise OutputError("an index lies beside its vectors on this machine; copy the folder here first.")
    if len(vectors) < SMALL:
        raise OptionError(
            f"{vectors.place.name} holds {counted(len(vectors), 'vector')}; below {SMALL} an index is no "
            "quicker than exact "
            "search, which needs none."
        )
    folder = vectors.place.path / META / FOLDER
    with alone(folder.with_name(HELD)) as free:
        if not free:
            raise OutputError(f"another process is making the index of {vectors.place.name}; wait for it.")
        return _built(vectors, column, folder, (recall, k), report)


def _built(
    vectors: Vectors,
    column: str,
    folder: Path,
    wanted: tuple[float, int],
    report: Callable[[Progress], object] | None,
) -> IndexAbout:
    """The index, grown or made anew."""
    if (grown := _grown(vectors, column, folder)) is not None:
        table, begun = grown
        try:
            about = _about(table, vectors, column, begun, wanted, report)
            write_text(folder / ABOUT, to_json(asdict(about)) + "\n")
            return about
        except ClasstokenError as error:
            if isinstance(error, OptionError) and not (folder / ABOUT).is_file():  # it has grown
                shutil.rmtree(folder, ignore_errors=True)
            raise
        except (OSError, RuntimeError, ValueError):  # Lance, of a damaged table. It is a cache, and is made anew:
            shutil.rmtree(folder, ignore_errors=True)
    with whole_folder(folder, replacing=True) as new:
        table = _made(vectors, column, new)
        about = _about(table, vectors, column, len(vectors), wanted, report)
        write_text(new / ABOUT, to_json(asdict(about)) + "\n")
    return about


def _about(
    table: Any,
    vectors: Vectors,
    column: str,
    begun: int,
    wanted: tuple[float, int],
    report: Callable[[Progress], object] | None,
) -> IndexAbout:
    """The first settings that reach a recall among so many neighbours (`wanted`), and the recall that was measured.
    Raises `OptionError` where none do."""
    recall, k = wanted
    indexed, rows = IndexedRows(table, vectors), FileRows(vectors, column)
    drawn = np.random.default_rng(0).permutation(len(vectors))[: 2 * QUERIES]
    choosing, judging = (torch.from_numpy(np.sort(part)) for part in np.array_split(drawn, 2))
    queries = [unit(rows.take(part)) for part in (choosing, judging)]
    truth = [search(rows, part, k + 1) for part in queries]
    for step, settings in enumerate(_settings(begun)):
        if report is not None:
            report(Progress(step + 1, 0, what=f"{settings.probes} partitions, {settings.refine} candidates"))
        chosen = mean_interval(_recalls(indexed, queries[0], choosing, truth[0], settings), bounds=(0, 1))
        if chosen.low < recall:
            continue
        judged = mean_interval(_recalls(indexed, queries[1], judging, truth[1], settings), bounds=(0, 1))
        if judged.low >= recall:
            measured = judged.estimate, judged.low, judged.high
            return IndexAbout(column, _parts(vectors), begun, table.version, settings, *measured, k, len(judging))
    raise OptionError(f"no settings reach a `recall` of {recall:g} here; ask for less, or use exact search.")


class IndexedRows:
    """A table of an index whose rows are asked for; places are those that the folder's rows have now."""

    def __init__(self, table: Any, vectors: Vectors):
        self._table = table
        ends = np.cumsum([0, *(part.rows for part in vectors.manifest.parts)])
        self._begins = {_number(one): int(begin) for one, begin in zip(_parts(vectors), ends[:-1], strict=True)}

    def nearest(self, queries_QD: Tensor, k: int, settings: Settings) -> Found:
        """The k rows most similar to each query of unit length, most of them."""
        places = torch.full((len(queries_QD), k), -1)
        scores = torch.full((len(queries_QD), k), -torch.inf)
        for number, query in enumerate(queries_QD):
            asked = self._table.search(query.numpy(), vector_column_name="vector").nprobes(settings.probes)
            found = asked.refine_factor(settings.refine).limit(k).select(["part", "row", "_distance"]).to_arrow()
            rows = zip(found.column("part").to_pylist(), found.column("row").to_pylist(), strict=True)
            places[number, : len(found)] = torch.tensor([self._begins[part] + row for part, row in rows])
            scores[number, : len(found)] = 1 - torch.from_numpy(found.column("_distance").to_numpy().copy())
        return Found(places, scores)


def _there(vectors: Vectors) -> tuple[IndexAbout, Any]:
    """What lies beside these vectors, of whatever state of them; raises anything where it is not whole."""
    assert isinstance(vectors.place, LocalPlace)
    folder = vectors.place.path / META / FOLDER
    plain = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    about = IndexAbout(**plain | {"settings": Settings(**plain["settings"]), "parts": tuple(plain["parts"])})
    if about.format != FORMAT:
        raise OutputError("an index of another format")
    table = need("lancedb", "an index").connect(folder.as_posix()).open_table(TABLE)
    if table.version != about.version:
        raise OutputError("an earlier state of the table")
    return about, table


def _parts(vectors: Vectors) -> tuple[str, ...]:
    return tuple(part.checksum for part in vectors.manifest.parts)


def _number(checksum: str) -> int:
    """A part's checksum as a number that a table holds."""
    return int(checksum[:15], 16)


def _settings(count: int) -> Iterator[Settings]:
    """From quick to thorough; the last ones look into every partition."""
    partitions = _partitions(count)
    for share, refine in ((0.02, 5), (0.05, 5), (0.1, 10), (0.2, 10), (0.4, 20), (0.7, 30), (1.0, 50), (1.0, 200)):
        yield Settings(max(1, round(share * partitions)), refine)


def _partitions(count: int) -> int:
    return int(min(max(8, round(count**0.5 / 4)), 1024))


def _grown(vectors: Vectors, column: str, folder: Path) -> tuple[Any, int] | None:
    """The index of an earlier state brought up to this one, and the rows that its partitions were found for; None where
    there is none, or it is of too few of the rows."""
    parts = {one: number for number, one in enumerate(_parts(vectors))}
    sizes = [part.rows for part in vectors.manifest.parts]
    try:
        about, table = _there(vectors)
        stay = parts.keys() & set(about.parts)
        if about.column != column or sum(sizes[parts[one]] for one in stay) < GROWN * max(len(vectors), about.begun):
            return None
        gone, new = set(about.parts) - stay, sorted(parts[one] for one in parts.keys() - stay)
        if not (gone or new):
            return table, about.begun
        (folder / ABOUT).unlink()  # what is half is not whole
        if gone:
            table.delete(f"part IN ({', '.join(str(_number(one)) for one in sorted(gone))})")
        if new:
            table.add(_rows_of(vectors, column, new))
        table.optimize(cleanup_older_than=AT_ONCE, delete_unverified=True)  # else it keeps all that it ever was
        return table, about.begun
    except Exception:  # a cache: made anew
        return None


def _made(vectors: Vectors, column: str, folder: Path) -> Any:
    """The table with its index in an empty folder; rows at unit length, those that have no vector are left out."""
    reader = _rows_of(vectors, column, range(len(vectors.manifest.parts)))
    kind = need("lancedb.index", "an index").IvfRq(distance_type="dot", num_partitions=_partitions(len(vectors)))
    base = need("lancedb", "an index").connect(folder.as_posix())
    with lance_writes(folder):
        table = base.create_table(TABLE, reader)
        table.create_index("vector", config=kind)
    return table


def _rows_of(vectors: Vectors, column: str, parts: Iterable[int]) -> pa.RecordBatchReader:
    """The rows of these parts at unit length; those that have no vector are left out."""
    size = vectors.manifest.columns[column]
    fields = [("part", pa.int64()), ("row", pa.int32()), ("vector", pa.list_(pa.float32(), size))]
    schema, checksums = pa.schema(fields), _parts(vectors)

    def batches() -> Iterator[pa.RecordBatch]:
        for number in parts:
            numbers = torch.from_numpy(np.array(vectors.numbers(number, column), dtype=np.float32))
            good = has_direction(lengths_of(numbers))
            flat = pa.FixedSizeListArray.from_arrays(pa.array(unit(numbers[good]).reshape(-1).numpy()), size)
            part = np.full(len(flat), _number(checksums[number]))
            row = good.nonzero()[:, 0].to(torch.int32).numpy()
            yield pa.record_batch([pa.array(part), pa.array(row), flat], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _recalls(indexed: IndexedRows, queries_QD: Tensor, itself: Tensor, truth: Found, settings: Settings) -> np.ndarray:
    """Per query the share of its k best other rows that are found; a row as good as the k-th counts as one of them."""
    k = truth.places.shape[1] - 1
    found = indexed.nearest(queries_QD, k + 1, settings)
    shares = []
    for row, own in enumerate(itself.tolist()):
        others = truth.places[row] != own
        least = truth.scores[row][others][:k][-1] - 1e-5
        good = (found.places[row] != own) & (found.places[row] >= 0) & (found.scores[row] >= least)
        shares.append(min(1.0, int(good.sum()) / k))
    return np.array(shares)
