"""One self-contained HTML file out of a walkthrough, HTML for a notebook, and the shell that a server hands out."""

import html
import re
from pathlib import Path

from classtoken.destination import OutputFile
from classtoken.errors import OutputError
from classtoken.page.blocks import plain
from classtoken.page.bundle import bundle
from classtoken.page.document import Walkthrough, dumps, folded
from classtoken.results.walkthrough import framed

#: A page on disk may run its own inline script and show its own pictures; it may fetch nothing at all.
CSP_FILE = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)

#: What stands in the page's place until its script runs: seen after some seconds, and on paper at once.
_PART = {
    "file": "If this stays, the file is incomplete: copy or make it again.",
    "served": "If this stays, the server has stopped: start it again and open the address that it prints.",
}
#: And where none may run.
_EMPTY = {
    "file": "<style>#app{display:none}</style>This page needs JavaScript. "
    "The numbers are in this file as JSON, in the script element 'walkthrough'.",
    "served": "This page needs JavaScript.",
}


def _shell(head: str, body: str, *, kind: str, title: str) -> str:
    part = f'<p id="part">Still loading. {_PART[kind]}</p>'
    return (
        f'<!doctype html>\n<html lang="en" data-shell="{kind}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n{head}</head>\n<body>\n"
        f'<div id="app">{part}</div>\n<noscript>{_EMPTY[kind]}</noscript>\n{body}</body>\n</html>\n'
    )


def page(walkthrough: Walkthrough) -> str:
    """A whole page as one string: opens from disk, asks no network for anything, keeps its place in the hash."""
    parts = bundle()
    # A literal "</script" or "<!--" inside the script would end or hide it; in JavaScript strings "<\/" is the same.
    script = re.sub(r"<(?=/script|!--)", r"\\x3c", parts.script, flags=re.IGNORECASE)
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{CSP_FILE}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<link rel="icon" href="data:,">\n'
        f"<style>{parts.style}</style>\n"
    )
    data = f'<script type="application/json" id="walkthrough">{dumps(folded(plain(walkthrough)))}</script>\n'
    body = f"{data}<script>{script}</script>\n"
    return _shell(head, body, kind="file", title=f"classtoken walkthrough: {walkthrough.model.name}")


def check_page(out: Path) -> None:
    """Raise `OutputError` for a name that is none of a page."""
    if out.suffix.lower() not in {".html", ".htm"}:
        raise OutputError(f"`out` is {out}: the page is one HTML file; name it something.html")


def write_page(walkthrough: Walkthrough, out: Path | OutputFile) -> int:
    """Write the page to a file and say its size in bytes. Raises `OutputError` where it cannot be written."""
    place = out if isinstance(out, OutputFile) else OutputFile(out)
    check_page(place.path)
    try:
        place.path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{place.path} cannot be written: {error.strerror}. Choose another place.") from error
    return place.write(page(walkthrough))


def served_index() -> str:
    """The page that a server hands out: no inline script, no inline style; data come from /api with the key."""
    head = '<link rel="icon" href="data:,">\n<link rel="stylesheet" href="static/app.css">\n'
    return _shell(head, '<script src="static/app.js"></script>\n', kind="served", title="classtoken walkthrough")


class NotebookPage(str):
    """HTML that a notebook draws when it is the value of a cell."""

    def _repr_html_(self) -> str:
        return str(self)


def notebook_page(walkthrough: Walkthrough, *, height: int = 760) -> NotebookPage:
    """The same page as HTML for a notebook's output cell: a sandboxed frame, so that notebook and page cannot meet."""
    return NotebookPage(framed(page(walkthrough), height))
