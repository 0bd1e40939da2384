"""The atlas as one HTML file: points on a plane, what each of them is, clusters; no request leaves it."""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from classtoken.page.document import dumps
from classtoken.page.export import CSP_FILE

CSP_SERVED = CSP_FILE.replace("img-src", "connect-src 'self'; img-src")
SCALE = 10_000
"""places are whole numbers up to this"""


@dataclass(frozen=True)
class AtlasPoint:
    """A row on the page: its place (0 to 1 both ways), its id, what is shown of it and what it is coloured by."""

    x: float
    y: float
    id: str
    cluster: int
    text: str = ""
    picture: str = ""
    label: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class AtlasPage:
    """The whole page: points, clusters as (name, typical points, odd points), and what is said above and below."""

    title: str
    lead: str
    points: Sequence[AtlasPoint]
    clusters: Sequence[tuple[str, Sequence[int], Sequence[int]]]
    notes: Sequence[str] = ()


def atlas_html(page: AtlasPage, *, search: str | None = None) -> str:
    """The page as one string. search: where the server that it comes from answers searches; no other is ever asked."""
    static = files("classtoken.page") / "static"
    style, code = ((static / name).read_text(encoding="utf-8") for name in ("atlas.css", "atlas.js"))
    script = re.sub(r"<(?=/script|!--)", r"\\x3c", code, flags=re.IGNORECASE)
    data = dumps({**_data(page), "search": search})
    notes = "".join(f"<p class=note>{html.escape(note)}</p>" for note in page.notes)
    return (
        '<!doctype html>\n<html lang="en"><head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{CSP_FILE if search is None else CSP_SERVED}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">\n'
        f"<title>{html.escape(page.title)}</title>\n<style>{style}</style></head>\n<body>\n"
        f"<header><h1>{html.escape(page.title)}</h1><p>{html.escape(page.lead)}</p></header>\n"
        f'<main id="atlas"></main>\n<footer>{notes}</footer>\n'
        "<noscript>This page needs JavaScript; it runs its own script and fetches nothing.</noscript>\n"
        f'<script type="application/json" id="data">{data}</script>\n<script>{script}</script>\n'
        "</body></html>\n"
    )


def _data(page: AtlasPage) -> Mapping[str, Any]:
    """Columns rather than rows: names of labels and groups stand once."""
    points = page.points
    return {
        "x": [round(point.x * SCALE) for point in points],
        "y": [round(point.y * SCALE) for point in points],
        "id": [point.id for point in points],
        "text": [point.text for point in points],
        "picture": [point.picture for point in points],
        "cluster": [point.cluster for point in points],
        "label": _coded([point.label for point in points]),
        "group": _coded([point.group for point in points]),
        "clusters": [{"name": name, "typical": list(a), "odd": list(b)} for name, a, b in page.clusters],
    }


def _coded(values: Sequence[str | None]) -> Mapping[str, Any] | None:
    names = sorted({value for value in values if value is not None})
    if not names:
        return None
    at = {name: number for number, name in enumerate(names)}
    return {"names": names, "codes": [-1 if value is None else at[value] for value in values]}
