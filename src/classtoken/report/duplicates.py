"""What `duplicates` writes: a table of all pairs, or a page with pairs on both sides of the threshold."""

import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from classtoken.destination import OutputFile
from classtoken.report.html import Section, page, table
from classtoken.report.search import body_of
from classtoken.results.base import counted
from classtoken.results.duplicates import DuplicatePair, DuplicatesResult
from classtoken.results.lines import cell

SUFFIXES = (".parquet", ".html", ".json")
SIDE = 240
PAIRS = 24
"""pairs on either side of the threshold that a page shows"""
EQUAL = 12
"""equal pairs that it shows"""
Values = Mapping[str, Mapping[str, Any]]


def near_threshold(found: DuplicatesResult) -> tuple[Sequence[DuplicatePair], Sequence[DuplicatePair]]:
    """The pairs that a page shows above the threshold, the lowest first, and below it, the highest first."""
    near = [pair for pair in found.pairs if not pair.equal]
    return near[::-1][:PAIRS], found.near_misses[:PAIRS]


def shown_pairs(found: DuplicatesResult) -> list[DuplicatePair]:
    """Every pair that a page shows."""
    above, below = near_threshold(found)
    return [*_equal(found), *above, *below]


def write_duplicates(found: DuplicatesResult, values: tuple[Values, Values], out: OutputFile) -> None:
    """Write the pairs as .parquet, or everything as .html or .json; `values` are what is carried beside the shown
    pairs' ids and others."""
    suffix = out.path.suffix.lower()
    if suffix == ".json":
        out.write(found.to_json() + "\n")
    elif suffix == ".html":
        out.write(duplicates_page(found, values))
    else:
        out.write(_parquet(found, out.mark))


def duplicates_page(found: DuplicatesResult, values: tuple[Values, Values]) -> str:
    """One self-contained HTML file."""
    above, below = near_threshold(found)
    disputed = sum(pair.disputed for pair in found.pairs)
    between = f"between {found.folder} and {found.against}" if found.against else f"in {found.folder}"
    lead = (
        f"{counted(len(found.pairs), 'pair')} at {found.above:g} or more; {len(found.removed)} of "
        f"{counted(found.rows, 'row')} would go "
        f"(keep: {found.keep}). Nothing was deleted."
    )
    near = sum(not pair.equal for pair in found.pairs)
    sections = [
        Section(
            "Equal byte by byte",
            f"Rows that are equal to an earlier one: {sum(pair.equal for pair in found.pairs)}."
            + (f" With two labels, of which one is wrong: {disputed}." if disputed else ""),
            _pairs(_equal(found), found, values),
        ),
        Section(
            f"Just above {found.above:g}" if near > len(above) else f"Alike by {found.above:g} or more",
            f"The {len(above)} least alike of the {near} near pairs that count, the least alike first. "
            "Where these are no duplicates, give a higher threshold.",
            _pairs(above, found, values),
        ),
        Section(
            f"Just below {found.above:g}",
            "The most alike of the pairs that do not count. Where these are duplicates, give a lower threshold.",
            _pairs(below, found, values),
        ),
        Section(
            "How alike rows are here anyway",
            f"For {found.percentile:.1%} of the rows the most similar other row is less alike than {found.above:g}. "
            "A threshold does not carry over from one model to another; this share does better.",
            table(("percentile", "similarity to the nearest other row"), _percentiles(found), numbers=(0, 1)),
        ),
    ]
    return page(f"What is alike {between}", lead, [section for section in sections if section.body])


def _equal(found: DuplicatesResult) -> list[DuplicatePair]:
    equal = [pair for pair in found.pairs if pair.equal]
    return sorted(equal, key=lambda pair: not pair.disputed)[:EQUAL]


def _percentiles(found: DuplicatesResult) -> list[tuple[str, str]]:
    return [(name, f"{value:.4f}") for name, value in found.nearest.items()]


def _pairs(pairs: Sequence[DuplicatePair], found: DuplicatesResult, values: tuple[Values, Values]) -> str:
    return f'<ol class="pairs">{"".join(_pair(pair, found, values) for pair in pairs)}</ol>' if pairs else ""


def _pair(pair: DuplicatePair, found: DuplicatesResult, values: tuple[Values, Values]) -> str:
    said = "equal" if pair.equal else f"{pair.score:.4f}"
    said += ", with two labels" if pair.disputed else ""
    sides = _side(pair.id, values[0].get(pair.id, {}), found.fate(pair.id))
    sides += _side(pair.other, values[1].get(pair.other, {}), found.fate(pair.other, other=True))
    return f'<li><h3 class="score">{said}</h3><div>{sides}</div></li>'


def _side(identity: str, values: Mapping[str, Any], fate: str) -> str:
    label = f"<div>{escape(cell(values['label'], 'label'))}</div>" if values.get("label") else ""
    kept = fate.removeprefix("goes for ")
    says = "would stay" if fate == "stays" else f'<b class="goes">would go, for {escape(kept)} stays</b>'
    return (
        f"<figure>{body_of(values, SIDE)}<figcaption>{escape(identity)}{label}<div>{says}</div></figcaption></figure>"
    )


def _parquet(found: DuplicatesResult, mark: str) -> bytes:
    pairs = found.pairs
    columns = {
        "id": pa.array([pair.id for pair in pairs], pa.string()),
        "other": pa.array([pair.other for pair in pairs], pa.string()),
        "score": pa.array([pair.score for pair in pairs], pa.float32()),
        "equal": pa.array([pair.equal for pair in pairs], pa.bool_()),
        "id_removed": pa.array([pair.id in found.because for pair in pairs], pa.bool_()),
        "other_removed": pa.array([not found.against and pair.other in found.because for pair in pairs], pa.bool_()),
    }
    out = io.BytesIO()
    pq.write_table(pa.table(columns, metadata={"made": mark}), out, compression="zstd")
    return out.getvalue()
