"""Pairs of texts with a score, and judgements of which document answers which query."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from classtoken.errors import SourceError
from classtoken.source.columns import to_id
from classtoken.source.opening import read_table

#: What the two columns of texts are called in pairs.
PAIRS = (("sentence1", "sentence2"), ("text1", "text2"), ("text_a", "text_b"), ("left", "right"))


@dataclass(frozen=True)
class Pair:
    """Two texts and how much alike they are; the scale is the data's own. `meta` are the row's other columns."""

    id: str
    left: str
    right: str
    score: float
    meta: Mapping[str, Any] = field(default_factory=dict, compare=False)


def read_pairs(path: Path, *, columns: tuple[str, str] | None = None, score: str = "score") -> tuple[Pair, ...]:
    """The pairs of a table: two columns of texts (found by their usual names) and `score`.

    Raises `SourceError` for a missing column, an empty text or a score that is no number, naming the row.
    """
    rows = read_table(path)
    names = tuple(rows[0]) if rows else ()
    left, right = columns or next((pair for pair in PAIRS if set(pair) <= set(names)), ("sentence1", "sentence2"))
    lacking = [name for name in (left, right, score) if name not in names]
    if lacking:
        shown = ", ".join(names) or "nothing"
        raise SourceError(f"{path} has no column {', '.join(lacking)} for pairs; it has {shown}.")
    return tuple(_pairs(rows, left, right, score, path))


def read_judgements(path: Path) -> dict[str, dict[str, float]]:
    """query id -> document id -> relevance, from a table of `query_id, doc_id, relevance` (1 where left out).

    Raises `SourceError` for a missing column or a relevance that is no number, naming the row.
    """
    rows = read_table(path)
    names = set(rows[0]) if rows else set()
    if not {"query_id", "doc_id"} <= names:
        raise SourceError(
            f"{path} needs the columns query_id, doc_id and relevance; it has {', '.join(sorted(names))}."
        )
    judged: dict[str, dict[str, float]] = {}
    for number, row in enumerate(rows):
        query, document = to_id(row.get("query_id")), to_id(row.get("doc_id"))
        if query is None or document is None:
            raise SourceError(f"row {number} of {path} has no query_id or doc_id; fix it.")
        judged.setdefault(query, {})[document] = _number(row.get("relevance", 1), number, "relevance", path)
    return judged


def _pairs(rows: list[dict], left: str, right: str, score: str, path: Path) -> Iterator[Pair]:
    for number, row in enumerate(rows):
        first, second = (str(row.get(name) or "").strip() for name in (left, right))
        if not (first and second):
            raise SourceError(f"row {number} of {path} lacks a text; fix it or leave it out.")
        yield Pair(
            to_id(row.get("id")) or str(number),
            row[left],
            row[right],
            _number(row.get(score), number, score, path),
            {name: value for name, value in row.items() if name not in (left, right, score)},
        )


def _number(value: Any, number: int, column: str, path: Path) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise SourceError(f"row {number} of {path}: {column} is {value!r}, not a number; fix it.") from None
