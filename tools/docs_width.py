"""One width for the prose of all pages: paragraphs and lists with a line above 120 signs are wrapped anew."""

from pathlib import Path

from generated import DOCS, ROOT, finish_all, wrapped

WIDTH = 120
PAGES = [*sorted(DOCS.glob("*.md")), *sorted(ROOT.glob("*.md")), ROOT / "tests" / "README.md", ROOT / "web" / "DATA.md"]
#: What a block begins with that is laid out by hand: tables, headings, comments, HTML.
LAID_OUT = ("|", "#", "<")


def narrowed(page: str) -> str:
    """A page with its wide prose wrapped; tables, code and headings are left as they are."""
    blocks, code = [], False
    for block in page.rstrip("\n").split("\n\n"):
        inside, code = code, code ^ (block.count("```") % 2 == 1)
        lines = block.splitlines() or [""]
        prose = not inside and "```" not in block and not any(line.lstrip().startswith(LAID_OUT) for line in lines)
        blocks.append(wrapped(block) if prose and max(map(len, lines)) > WIDTH else block)
    return "\n\n".join(blocks) + "\n"


def pages() -> dict[Path, str]:
    """Every page as it should be."""
    return {path: narrowed(path.read_text(encoding="utf-8")) for path in PAGES if path.is_file()}


if __name__ == "__main__":
    finish_all(pages())
