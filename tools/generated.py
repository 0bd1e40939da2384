"""What the generators of docs share: tables, a line that says who wrote the page, writing it or checking it.

python tools/docs_NAME.py            write the page
python tools/docs_NAME.py --check    exit code 1 when it is old
"""

import re
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def notice(tool: str) -> str:
    """The first line of a generated page."""
    return f"<!-- written by tools/{tool}; change that, then run `make docs` -->\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)])


def wrapped(text: str, width: int = 120) -> str:
    """Markdown with its paragraphs and list items wrapped; tables, headings and code stay as they are."""
    parts, code = [], False
    for block in text.split("\n\n"):
        plain = not code and not block.lstrip().startswith(("|", "#", "```", "<!--", "    "))
        code ^= block.count("```") % 2 == 1
        parts.append(_filled(block, width) if plain and "```" not in block else block)
    return "\n\n".join(parts)


def _filled(block: str, width: int) -> str:
    """One paragraph, or the items of one list."""
    items = re.split(r"\n(?=(?:[-*]|\d+\.) )", block)
    found = []
    for item in items:
        mark = re.match(r"(?:[-*]|\d+\.) ", item)
        indent = " " * len(mark[0]) if mark else ""
        plain = " ".join(item.split())
        found.append(
            textwrap.fill(plain, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        )
    return "\n".join(found)


def into(page: str, tool: str, text: str) -> str:
    """A page with the part between `<!-- begin TOOL -->` and `<!-- end TOOL -->` replaced."""
    begin, end = f"<!-- begin {tool} -->", f"<!-- end {tool} -->"
    if begin not in page or end not in page:
        raise ValueError(f"the page lacks the lines {begin} and {end}")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n{text.strip()}\n{end}", page)


def finish(path: Path, text: str) -> None:
    """Write a page; with `--check` only say, by the exit code, whether it is as it would be written."""
    finish_all({path: text})


def finish_all(pages: Mapping[Path, str]) -> None:
    """The same for several pages."""
    if "--check" in sys.argv:
        raise SystemExit(any(not path.is_file() or path.read_text("utf-8") != text for path, text in pages.items()))
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.name}")
