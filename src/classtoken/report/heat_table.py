"""A table of shaded numbers with names at both sides: which class is taken for which, how alike candidates are."""

from collections.abc import Sequence
from html import escape

from classtoken.report.colour import heat, hexed, ink_on, signed

Cell = tuple[str, float] | None
"""what stands in a cell and its shade, from 0 to 1 or from -1 to 1; None: nothing"""


def heat_table(
    rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[Cell]], *, diverging: bool = False
) -> str:
    """HTML: an empty cell is none, so that what is there is seen; it scrolls by itself where it is too wide.

    diverging: shades run from -1 (against, blue) to 1 (for, orange).
    """
    head = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in columns)
    body = []
    for name, row in zip(rows, cells, strict=True):
        inside = "".join(_cell(cell, diverging) for cell in row)
        body.append(f'<tr><th scope="row">{escape(name)}</th>{inside}</tr>')
    return (
        f'<div class="wide" tabindex="0"><table class="heat"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _cell(cell: Cell, diverging: bool) -> str:
    if cell is None:
        return "<td></td>"
    said, shade = cell
    colour = signed(shade) if diverging else heat(shade)
    return f'<td style="background:{hexed(colour)};color:{ink_on(colour)}">{escape(said)}</td>'
