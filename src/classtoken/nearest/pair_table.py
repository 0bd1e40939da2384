"""The pairs of a folder as they were found once: a higher threshold is applied to them without a new run.

A cache below `_meta/`: it knows by a hash what it was made of, and where it is gone, damaged or of another state of the
folder, the pairs are found again.
"""

import contextlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from classtoken.errors import ClasstokenError
from classtoken.fingerprint import hash_value
from classtoken.nearest.keeping import Equals
from classtoken.nearest.pairs import Pairs, near_pairs
from classtoken.nearest.rows import unit_matrix
from classtoken.sink import Vectors
from classtoken.sink.manifest import META
from classtoken.sink.rows import table_in
from classtoken.values import Progress

BELOW = 0.05
"""how far below the threshold pairs are kept, to be looked at and for other thresholds"""
STEPS = 1000
"""steps of the distribution of nearest similarities"""
ABOUT = b"classtoken.pairs"
FORMAT = 4


@dataclass(frozen=True)
class PairTable:
    """Pairs down to `pairs.floor`; `quantiles` (STEPS + 1) are those of every row's similarity to its nearest other
    one, which of equal rows is an equal one; `without` of all `rows` have no vector to compare; `reused` says that
    nothing was computed."""

    pairs: Pairs
    quantiles: np.ndarray
    without: int
    rows: int
    reused: bool

    def share_below(self, score: float) -> float:
        """The share of rows whose nearest other row is less alike than this: of no more than a few hundred rows so many
        of them, else to a step of the distribution."""
        share = max(0.0, float(np.searchsorted(self.quantiles, score)) - 1) / STEPS
        return round(share * self.rows) / self.rows


def pair_table(
    vectors: Vectors,
    column: str,
    same: Equals,
    above: float,
    other: tuple[Vectors, str] | None,
    *,
    report: Callable[[Progress], object] | None = None,
) -> PairTable:
    """The pairs of rows that are no equals of an earlier one, out of the cache or found now."""
    key = hash_value([FORMAT, _state(vectors, column), other and _state(*other), hash_value(same.first.tolist())])
    name = f"{META}/pairs{'' if other is None else '-' + key[:8]}.parquet"
    with contextlib.suppress(ClasstokenError, OSError, ValueError, KeyError):  # a cache: whatever is wrong, do without
        return _read(vectors.place.read(name), key, len(vectors), above)
    rows, without = unit_matrix(vectors, column)
    representatives = torch.from_numpy(same.representatives)
    others = None if other is None else unit_matrix(*other)[0]
    found = near_pairs(rows[representatives], others, above - BELOW, above, report=report)
    back = representatives.numpy()
    second = back[found.second] if other is None else found.second
    pairs = Pairs(back[found.first], second, found.scores, found.nearest, found.floor)
    quantiles = np.quantile(_nearest(found.nearest, same), np.linspace(0, 1, STEPS + 1), method="inverted_cdf")
    table = PairTable(pairs, quantiles, int(without.sum()), len(vectors), False)
    with contextlib.suppress(ClasstokenError, OSError):  # a folder that may not be written is searched all the same
        vectors.place.put(name, _written(table, key, above))
    return table


def _nearest(of_representatives: np.ndarray, same: Equals) -> np.ndarray:
    """The similarity of every row to its nearest other one, from those of one row of each group of equals: where there
    are others in the group, these are equal to it."""
    found = np.ones(len(same.first))
    alone = np.bincount(same.first, minlength=len(found))[same.representatives] == 1
    found[same.representatives[alone]] = of_representatives[alone]
    return found


def _state(vectors: Vectors, column: str) -> list[str]:
    return [column, *(part.checksum for part in vectors.manifest.parts)]


def _written(table: PairTable, key: str, above: float) -> bytes:
    pairs = table.pairs
    about = {
        "key": key,
        "above": above,
        "floor": pairs.floor,
        "without": table.without,
        "quantiles": [round(float(value), 7) for value in table.quantiles],
    }
    columns = {"first": pairs.first, "second": pairs.second, "score": pairs.scores.astype(np.float32)}
    made = pa.table({name: pa.array(values) for name, values in columns.items()})
    out = io.BytesIO()
    pq.write_table(made.replace_schema_metadata({ABOUT: json.dumps(about).encode()}), out, compression="zstd")
    return out.getvalue()


def _read(content: bytes, key: str, rows: int, above: float) -> PairTable:
    """Raises `ValueError` or `KeyError` for what is not the pairs of this state, and where those just below the
    threshold are not among them; of the same threshold they may have been too many to hold."""
    made = table_in(content)
    about = json.loads((made.schema.metadata or {})[ABOUT])
    if about["key"] != key:
        raise ValueError("pairs of another state of the folder")
    if about["floor"] > above - BELOW and about["above"] != above:
        raise ValueError("pairs for a higher threshold")
    first, second, scores = (made.column(name).to_numpy() for name in ("first", "second", "score"))
    pairs = Pairs(first, second, scores, np.empty(0, np.float32), float(about["floor"]))
    return PairTable(pairs, np.array(about["quantiles"]), int(about["without"]), rows, True)
