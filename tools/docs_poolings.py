"""The table in docs/poolings.md: every pooling by name, with its formula and when to take it."""

from generated import DOCS, finish, into, table

from classtoken.pooling.table import POOLINGS

PAGE = DOCS / "poolings.md"


def rows() -> list[list[str]]:
    """One row per pooling, in the order of the table of names."""
    found = []
    for name, about in POOLINGS.items():
        takes = f"`{name}(...)`: {about.takes}" if about.takes else ""
        takes += f"; {about.default} if left out" if about.default is not None else ""
        found.append([f"`{name}`", about.meaning, about.formula, takes, "yes" if about.learned else "", about.when])
    return found


def text() -> str:
    """The page with its table as the code is now."""
    head = ["name", "what it is", "formula", "in parentheses", "trained", "when"]
    return into(PAGE.read_text(encoding="utf-8"), "docs_poolings.py", table(head, rows()))


if __name__ == "__main__":
    finish(PAGE, text())
