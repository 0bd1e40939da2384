"""An approximate index in LanceDB, its settings found by measuring; a cache that never answers for what has changed.

It lies in `DIR/_meta/index` beside the vectors, which it copies and never changes. What it was made of is written with
it: where that is not what the folder holds now, or anything of it is damaged, it counts as not there, and exact search
answers.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from classtoken.errors import OptionError, OutputError
from classtoken.extras import need
from classtoken.files import write_text
from classtoken.fingerprint import hash_value
from classtoken.measure.statistics import mean_interval
from classtoken.nearest.rows import FileRows, unit
from classtoken.nearest.scan import MOST, Found, search
from classtoken.places import LocalPlace
from classtoken.sink import Vectors
from classtoken.sink.manifest import META
from classtoken.values import Progress

FOLDER, ABOUT, TABLE = "index", "about.json", "rows"
SMALL = 5000
"""rows below which an index could be no quicker than looking at all of them"""
QUERIES = 400
"""rows that the settings are chosen on, and as many others on which the recall is measured"""
FORMAT = 1


@dataclass(frozen=True)
class Settings:
    """How it is asked: partitions that are looked into, and candidates per wanted row whose scores are made exact."""

    probes: int
    refine: int


@dataclass(frozen=True)
class IndexAbout:
    """What an index is of, how it is asked, and what was measured: recall of the `k` best with its 95 % interval."""

    key: str
    settings: Settings
    recall: float
    low: float
    high: float
    k: int
    queries: int


class ApproximateIndex:
    """An index that is there and up to date."""

    def __init__(self, folder: Path, about: IndexAbout):
        self.about = about
        self.table = need("lancedb", "an index").connect(folder.as_posix()).open_table(TABLE)

    def search(self, queries_QD: Tensor, k: int) -> Found | None:
        """The k rows most similar to each query by cosine, most of them; None where its files are damaged."""
        try:
            return _asked(self.table, unit(queries_QD.float()), k, self.about.settings)
        except Exception:  # a cache, as above
            return None


def open_index(vectors: Vectors, column: str) -> ApproximateIndex | None:
    """The index of a folder; None where there is none, or it is damaged, or of another state of the folder."""
    if not isinstance(vectors.place, LocalPlace):
        return None
    folder = vectors.place.path / META / FOLDER
    try:
        plain = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        about = IndexAbout(**plain | {"settings": Settings(**plain["settings"])})
        return ApproximateIndex(folder, about) if about.key == _key(vectors, column) else None
    except Exception:  # a cache, and Lance raises whatever it likes on damaged files
        return None


def build_index(
    vectors: Vectors, column: str, recall: float, k: int, *, report: Callable[[Progress], object] | None = None
) -> IndexAbout:
    """Make the index and find settings with which its recall is met: the low end of the interval is above it.

    Settings are chosen on rows of the folder as queries, each without itself, and the recall is measured on others.
    Raises `OptionError` for folders that are too small and where no settings reach the recall.
    """
    if not isinstance(vectors.place, LocalPlace):
        raise OutputError("an index lies beside its vectors on this machine; copy the folder here first.")
    if len(vectors) < SMALL:
        raise OptionError(
            f"{vectors.place.name} holds {len(vectors)} vectors; below {SMALL} an index is no quicker than exact "
            "search, which needs none."
        )
    folder = vectors.place.path / META / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    rows = FileRows(vectors, column)
    table = _made(vectors, column, folder)
    drawn = np.random.default_rng(0).permutation(len(vectors))[: 2 * QUERIES]
    choosing, judging = (torch.from_numpy(np.sort(part)) for part in np.array_split(drawn, 2))
    found: IndexAbout | None = None
    queries = [unit(rows.take(part)) for part in (choosing, judging)]
    truth = [search(rows, part, k + 1) for part in queries]
    for step, settings in enumerate(_settings(len(vectors))):
        if report is not None:
            report(Progress(step + 1, 0, what=f"{settings.probes} partitions, {settings.refine} candidates"))
        chosen = mean_interval(_recalls(table, queries[0], choosing, truth[0], k, settings), bounds=(0, 1))
        if chosen.low < recall:
            continue
        judged = mean_interval(_recalls(table, queries[1], judging, truth[1], k, settings), bounds=(0, 1))
        if judged.low >= recall:
            found = IndexAbout(
                _key(vectors, column), settings, judged.estimate, judged.low, judged.high, k, len(judging)
            )
            break
    if found is None:
        shutil.rmtree(folder, ignore_errors=True)
        raise OptionError(f"no settings reach a `recall` of {recall:g} here; ask for less, or use exact search.")
    write_text(folder / ABOUT, json.dumps(asdict(found)) + "\n")
    return found


def _key(vectors: Vectors, column: str) -> str:
    return hash_value([FORMAT, column, *(part.checksum for part in vectors.manifest.parts)])


def _settings(count: int) -> Iterator[Settings]:
    """From quick to thorough; the last ones look into every partition."""
    partitions = _partitions(count)
    for share, refine in ((0.02, 5), (0.05, 5), (0.1, 10), (0.2, 10), (0.4, 20), (0.7, 30), (1.0, 50), (1.0, 200)):
        yield Settings(max(1, round(share * partitions)), refine)


def _partitions(count: int) -> int:
    return int(min(max(8, round(count**0.5 / 4)), 1024))


def _made(vectors: Vectors, column: str, folder: Path) -> Any:
    """The table with its index; rows at unit length, those that have no vector are left out."""
    lancedb = need("lancedb", "an index")
    size = vectors.manifest.columns[column]
    schema = pa.schema([("place", pa.int64()), ("vector", pa.list_(pa.float32(), size))])

    def batches() -> Iterator[pa.RecordBatch]:
        for block in FileRows(vectors, column).blocks(MOST):
            good = torch.isfinite(block.vectors).all(1) & block.vectors.any(1)
            rows = unit(block.vectors[good])
            flat = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1).numpy()), size)
            yield pa.record_batch([pa.array(block.places[good].numpy()), flat], schema=schema)

    folder.mkdir(parents=True, exist_ok=True)
    reader = pa.RecordBatchReader.from_batches(schema, batches())
    table = lancedb.connect(folder.as_posix()).create_table(TABLE, reader, schema=schema, mode="overwrite")
    kind = need("lancedb.index", "an index").IvfRq(distance_type="dot", num_partitions=_partitions(len(vectors)))
    table.create_index("vector", config=kind)
    return table


def _asked(table: Any, queries_QD: Tensor, k: int, settings: Settings) -> Found:
    places = torch.full((len(queries_QD), k), -1)
    scores = torch.full((len(queries_QD), k), -torch.inf)
    for row, query in enumerate(queries_QD):
        asked = table.search(query.numpy(), vector_column_name="vector").nprobes(settings.probes)
        found = asked.refine_factor(settings.refine).limit(k).select(["place", "_distance"]).to_arrow()
        at = torch.from_numpy(found.column("place").to_numpy().copy())
        places[row, : len(at)] = at
        scores[row, : len(at)] = 1 - torch.from_numpy(found.column("_distance").to_numpy().copy())
    return Found(places, scores)


def _recalls(table: Any, queries_QD: Tensor, itself: Tensor, truth: Found, k: int, settings: Settings) -> np.ndarray:
    """Per query the share of its k best other rows that are found; a row as good as the k-th counts as one of them."""
    found = _asked(table, queries_QD, k + 1, settings)
    shares = []
    for row, own in enumerate(itself.tolist()):
        others = truth.places[row] != own
        least = truth.scores[row][others][:k][-1] - 1e-5
        good = (found.places[row] != own) & (found.places[row] >= 0) & (found.scores[row] >= least)
        shares.append(min(1.0, int(good.sum()) / k))
    return np.array(shares)
