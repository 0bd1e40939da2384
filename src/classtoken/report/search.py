"""The page of `search`: hits as cards, with their pictures or texts."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from classtoken.destination import OutputFile
from classtoken.inputs import thumbnail
from classtoken.report.html import Section, page
from classtoken.results.lines import cell
from classtoken.results.search import SearchResult
from classtoken.values import written_path

SUFFIXES = (".html", ".json")
SIDE = 224
LONG = 400
"""signs of a text on a card"""


def write_search(
    found: SearchResult, names: Sequence[str], asked: Sequence[Mapping[str, Any]], out: OutputFile
) -> None:
    """Write a result as .html or .json; `asked` are the queries as rows, where they can be shown."""
    whole = found.to_json() + "\n" if out.path.suffix.lower() == ".json" else search_page(found, names, asked)
    out.write(whole)


def search_page(found: SearchResult, names: Sequence[str], asked: Sequence[Mapping[str, Any]] = ()) -> str:
    """One self-contained HTML file: every query, and what is most like it."""
    rows = [found.hits] if not found.queries else [query.hits for query in found.queries]
    shown = [body_of(row) for row in asked] or [""] * len(names)
    sections = []
    for name, query, hits in zip(names, shown, rows, strict=True):
        said = f"{len(hits)} found" if hits else "Nothing found."
        head = f'<div class="asked"><small>asked with</small>{query}</div>' if query else ""
        sections.append(Section(name if len(names) > 1 else "What is most like it", said, head + cards(hits)))
    title = f"Most like {names[0]}" if len(names) == 1 else f"Most like each of {len(names)} queries"
    notes = f" {' '.join(found.notes)}" if found.notes else ""
    return page(title, f"{found.said()}.{notes}", sections)


def cards(hits: Sequence[Mapping[str, Any]], *, says: Mapping[str, str] | None = None) -> str:
    """Rows side by side, each with its picture or text and what is carried."""
    made = "".join(card(hit, shown=f"{rank}.") for rank, hit in enumerate(hits, 1))
    return f'<ol class="hits">{made}</ol>' if made else ""


def card(hit: Mapping[str, Any], *, shown: str = "") -> str:
    """One row: its picture or text, its score, its id and what is carried beside it."""
    score = f'<span class="score">{hit["score"]:.4f}</span>' if "score" in hit else ""
    rest = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(cell(value, name))}</dd>"
        for name, value in hit.items()
        if name not in ("id", "score", "text", "path") and value is not None
    )
    head = f"<h3>{escape(shown)} {escape(str(hit['id']))} {score}</h3>"
    return f"<li>{body_of(hit)}{head}{f'<dl>{rest}</dl>' if rest else ''}</li>"


def body_of(row: Mapping[str, Any], side: int = SIDE) -> str:
    """What a row is, as HTML: its picture where its file is still there, else its text."""
    path = row.get("path")  # of a source's own column of that name it may be anything
    small = thumbnail(written_path(path), side) if isinstance(path, str) else None
    if small is not None:
        return f'<img src="{small}" alt="{escape(str(row.get("id", "")), quote=True)}">'
    text = str(row.get("text", ""))
    return f"<p>{escape(text if len(text) <= LONG else text[: LONG - 1] + '…')}</p>" if text else ""
