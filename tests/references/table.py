"""Every formula beside somebody else's: all rows, and the part of docs/trust.md that lists them, which
`python -m tests.references.table` writes."""

from pathlib import Path

from tests.references import knockouts, losses, maps, steps
from tests.references.row import Row
from tools.generated import into, table

ROWS = (*losses.ROWS, *steps.ROWS, *maps.ROWS, *knockouts.ROWS)
PAGE = Path(__file__).parents[2] / "docs" / "trust.md"
TOOL = "python -m tests.references.table"


def lines(room: str) -> list[tuple[str, ...]]:
    """A line for all rows of a room that differ in `on` alone."""
    found: dict[tuple[str, str, float], list[Row]] = {}
    for row in ROWS:
        if row.room == room:
            found.setdefault((row.what, row.source, row.tolerance), []).append(row)
    return [
        (
            what,
            "; ".join(", ".join(dict.fromkeys(words)) for words in zip(*(row.on for row in rows), strict=True)),
            *rest,
        )
        for (what, source, tolerance), rows in found.items()
        for rest in [(source, f"{tolerance:g}")]
    ]


def page() -> str:
    """The tables, a room each."""
    parts = []
    for room in dict.fromkeys(row.room for row in ROWS):
        head = ("what", "of", "beside", "within")
        parts += [f"**{room[0].upper()}{room[1:]}**", table(head, lines(room))]
    return "\n\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(into(PAGE.read_text("utf-8"), TOOL, page()), "utf-8")
