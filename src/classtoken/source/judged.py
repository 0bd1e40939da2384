"""Pairs of texts with a score, and judgements of which document answers which query."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from classtoken.errors import OptionError, SourceError
from classtoken.files import user_path
from classtoken.source.columns import to_id
from classtoken.source.opening import read_table
from classtoken.values import Rejected

#: What the two columns of texts are called in pairs.
PAIRS = (("sentence1", "sentence2"), ("text1", "text2"), ("text_a", "text_b"), ("left", "right"))
#: What the columns of judgements are called: here, in BEIR and MTEB, and by those who write TREC's with a head.
JUDGEMENTS = (
    ("query_id", "doc_id", "relevance"),
    ("query-id", "corpus-id", "score"),
    ("qid", "docid", "relevance"),
)
#: Files of TREC have no head and four fields a line: query, iteration, document, relevance.
TREC = 4


@dataclass(frozen=True)
class Pair:
    """Two texts and how much alike they are; the scale is the data's own. `meta` is the whole row."""

    id: str
    left: str
    right: str
    score: float
    meta: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class PairColumns:
    """What the columns of pairs are called; None: by their usual names."""

    left: str | None = None
    right: str | None = None
    score: str | None = None
    id: str | None = None

    @classmethod
    def named(cls, texts: str | None, score: str | None, id: str | None) -> "PairColumns":
        """By the names that options give, the two columns of texts in one, a comma between them. Raises
        `OptionError`."""
        if texts is None:
            return cls(None, None, score, id)
        left, comma, right = (part.strip() for part in texts.partition(","))
        if not (comma and left and right) or left == right:
            raise OptionError(
                f"`text_column` is '{texts}', and pairs have two columns of texts; give both names, joined by a comma."
            )
        return cls(left, right, score, id)

    def found(self, names: Collection[str], remembered: "PairColumns") -> tuple[str, str, str]:
        """Both texts and the score among the columns that there are: as they are named, else as they were remembered,
        else by usual names."""
        usual = next((pair for pair in PAIRS if set(pair) <= set(names)), None)
        kept = (remembered.left, remembered.right)
        texts = usual or (kept if {*kept} <= set(names) else PAIRS[0])
        score = "score" if "score" in names or remembered.score not in names else remembered.score
        return self.left or str(texts[0]), self.right or str(texts[1]), self.score or str(score)


def read_pairs(
    path: Path,
    *,
    columns: PairColumns = PairColumns(),
    remembered: PairColumns = PairColumns(),
    refused: list[Rejected] | None = None,
) -> tuple[Pair, ...]:
    """The pairs of a table: two columns of texts and the score, by the names that `columns` gives, else by those that
    are `remembered` or usual.

    A row that cannot be read, with an empty text or a score that is no number goes into `refused` where that is given.
    Raises `SourceError` for it otherwise, and for a missing column.
    """
    rows = read_table(path, refused)
    names = tuple(next(filter(None, rows), {}))
    left, right, score = columns.found(names, remembered)
    lacking = [name for name in (left, right, score, columns.id) if name is not None and name not in names]
    if lacking:
        shown = ", ".join(map(repr, names)) or "nothing"
        raise SourceError(
            f"{path} has no column {', '.join(map(repr, lacking))} for pairs; it has {shown}. Name the two columns of "
            "texts as `text_column`, joined by a comma, and that of scores as `label_column`."
        )
    unread = {entry.id for entry in refused or ()}
    found = []
    for number, row in enumerate(rows):
        if f"row {number}" in unread:
            continue
        pair = _pair(row, number, (left, right, score, columns.id or "id"))
        if isinstance(pair, Pair):
            found.append(pair)
        elif refused is None:
            raise SourceError(f"{pair.id} of {path} {pair.reason}; fix it or leave it out.")
        else:
            refused.append(pair)
    return tuple(found)


def read_judgements(path: Path) -> dict[str, dict[str, float]]:
    """query id -> document id -> relevance (1 where there is no such column).

    From a table with a head (`query_id, doc_id, relevance`; BEIR's `query-id, corpus-id, score`), or a file of TREC's
    without one (query, iteration, document, relevance). Raises `SourceError` for a missing column, a relevance that is
    no number and two different ones of one pair, naming the row.
    """
    path = user_path(path)
    rows = _trec(path)
    if rows is None:
        rows = read_table(path)
    names = set(rows[0]) if rows else set()
    query_name, document_name, relevance = next((one for one in JUDGEMENTS if set(one[:2]) <= names), JUDGEMENTS[0])
    if not {query_name, document_name} <= names:
        raise SourceError(
            f"{path} needs the columns query_id, doc_id and relevance; it has {', '.join(sorted(names))}."
        )
    judged: dict[str, dict[str, float]] = {}
    for number, row in enumerate(rows):
        query, document = to_id(row.get(query_name)), to_id(row.get(document_name))
        if query is None or document is None:
            raise SourceError(f"row {number} of {path} has no {query_name} or {document_name}; fix it.")
        value = _number(row.get(relevance, 1))
        if value is None:
            raise SourceError(f"row {number} of {path}: {relevance} is {row[relevance]!r}, not a number; fix it.")
        known = judged.setdefault(query, {}).setdefault(document, value)
        if known != value:
            raise SourceError(
                f"row {number} of {path} says {value:g} of query {query!r} and document {document!r}, and an earlier "
                f"one {known:g}; keep one."
            )
    return judged


def _trec(path: Path) -> list[dict[str, Any]] | None:
    """The judgements of a file of TREC's; None for any other."""
    if not path.is_file() or path.suffix not in (".qrels", ".txt", ".tsv", ".qrel"):
        return None
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError:
        return None
    if not lines or not all(len(line) == TREC and _number(line[3]) is not None for line in lines):
        return None
    return [{"query_id": query, "doc_id": document, "relevance": value} for query, _, document, value in lines]


def _pair(row: Mapping[str, Any], number: int, names: tuple[str, str, str, str]) -> Pair | Rejected:
    left, right, score, identity = names
    first, second = (str(row.get(name) or "").strip() for name in (left, right))
    if not (first and second):
        return Rejected(f"row {number}", "lacks a text")
    value = _number(row.get(score))
    if value is None:
        return Rejected(f"row {number}", f"cannot be judged: {score} is {row.get(score)!r}, not a number")
    return Pair(to_id(row.get(identity)) or str(number), row[left], row[right], value, dict(row))


def _number(value: Any) -> float | None:
    """A finite number; None for anything else."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None
