"""The page of `outliers`: odd rows, and labels that neighbours contradict."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from classtoken.destination import OutputFile
from classtoken.report.html import Section, page
from classtoken.report.search import body_of
from classtoken.results.base import counted
from classtoken.results.outliers import EqualRows, OutliersResult

SUFFIXES = (".html", ".json")


def write_outliers(found: OutliersResult, out: OutputFile) -> None:
    """Write a result as .html or .json."""
    out.write(found.to_json() + "\n" if out.path.suffix.lower() == ".json" else outliers_page(found))


def outliers_page(found: OutliersResult) -> str:
    """One self-contained HTML file."""
    sections = []
    if found.disputed:
        sections.append(
            Section(
                "The same with two labels",
                "Rows that are equal byte by byte and have more than one label: of those at least one is wrong.",
                f'<ol class="hits">{"".join(_equal(group) for group in found.disputed)}</ol>',
            )
        )
    if found.labelled:
        sections.append(
            Section(
                "Labels that neighbours contradict",
                f"{found.found} of {counted(found.labelled, 'labelled row')}. The {found.k} nearest others vote "
                "for another label "
                "at least as much as they do for rows that have it, and more than for the row's own. Where the label "
                "is right all the same, the vectors do not tell the two apart.",
                _rows(found.contradicted, _votes),
            )
        )
    sections.append(
        Section(
            "Odd rows",
            f"The lowest mean similarity to the {found.k} nearest others; deviations are robust standard deviations "
            "below the median.",
            _rows(found.odd, _deviations),
        )
    )
    return page(f"What is odd in {found.folder}", f"{counted(found.rows, 'row')}. Nothing was changed.", sections)


def _rows(rows: Sequence[Mapping[str, Any]], said: Any) -> str:
    return f'<ol class="hits">{"".join(_row(row, said(row)) for row in rows)}</ol>' if rows else "<p>None.</p>"


def _row(row: Mapping[str, Any], said: str) -> str:
    return f"<li>{body_of(row)}<h3>{escape(str(row['id']))}</h3><dl>{said}</dl></li>"


def _equal(group: EqualRows) -> str:
    said = "".join(
        f"<dt>{escape(str(row['id']))}</dt><dd>{escape(str(row.get('label') or 'no label'))}</dd>" for row in group.rows
    )
    return f"<li>{body_of(group.rows[0])}<dl>{said}</dl></li>"


def _votes(row: Mapping[str, Any]) -> str:
    return (
        f"<dt>label</dt><dd>{escape(row['label'])} (votes {row['own']:.2f})</dd>"
        f"<dt>neighbours say</dt><dd><b>{escape(row['suggested'])}</b> (votes {row['votes']:.2f})</dd>"
    )


def _deviations(row: Mapping[str, Any]) -> str:
    label = f"<dt>label</dt><dd>{escape(str(row['label']))}</dd>" if row.get("label") else ""
    return f"<dt>similarity</dt><dd>{row['score']:.4f} ({round(row['deviations'], 1) + 0.0:.1f} deviations)</dd>{label}"
