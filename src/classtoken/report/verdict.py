"""The first picture of `explain`: what was taken away, what it did to the answer, and what random cuts did."""

import base64
from collections.abc import Sequence
from html import escape

from classtoken.report.html import Section, row
from classtoken.report.strip import strip
from classtoken.report.svg import element, figure, text
from classtoken.results.explain import Explanation

SIDE = 300


def verdict(found: Explanation) -> Section:
    """The sentence and the picture."""
    removal = found.removal
    if removal is None:
        return Section("What the answer rests on", found.conclusion, "<p></p>")
    k, pieces = removal.knockout, "patches" if found.grid else "word pieces"
    n = len(k.tokens)
    others = (
        f"without {n} other {pieces}"
        if n > 1
        else f"without another {pieces.removesuffix('es' if found.grid else 's')}"
    )
    called = {"whole": "whole input", "without": "without them" if n > 1 else "without it", "others": others}
    pictures = [strip(k, found.amount, percent=found.outcome == "probability", **called)]
    words = ""
    if found.grid:
        pictures.insert(0, _picture(found, k.tokens))
    else:
        words = _words(found, k.tokens)
    scattered = (
        " And patches drawn at random lie scattered over the picture, where an object lies in one piece, so that "
        "taking the object away would weigh more even if the map knew nothing."
    )
    many = " classtoken explain --data tests maps over many inputs."
    mind = f"One input proves little.{scattered if found.grid else ''}{many}"
    return Section("What the answer rests on", found.conclusion, words + row(*pictures), mind)


def marked_patches(
    found: Explanation, tokens: Sequence[int], *, heading: str, side: float = SIDE, hidden: bool = False
) -> str:
    """The input with these tokens' patches outlined, or with `hidden` crossed out."""
    assert found.grid is not None
    rows, columns = found.grid
    step = side / max(found.grid)
    width, height = columns * step, rows * step
    body = [element("rect", x=0, y=0, width=width, height=height, fill="var(--line)")]
    if found.image:
        body.append(
            element("image", href=found.image, x=0, y=0, width=width, height=height, preserveAspectRatio="none")
        )
    for cell in (found.tokens[i].cell for i in tokens):
        if cell is not None:
            place = {"x": cell[1] * step, "y": cell[0] * step, "width": step, "height": step}
            if hidden:  # crossed out: white alone would be one more colour of the picture
                x, y, cross = place["x"], place["y"], {"stroke": "#000", "stroke_width": 1.4, "stroke_opacity": 0.55}
                body.append(element("rect", fill="#fff", fill_opacity=0.8, **place))
                body.append(element("line", x1=x, y1=y, x2=x + step, y2=y + step, **cross))
                body.append(element("line", x1=x, y1=y + step, x2=x + step, y2=y, **cross))
            body.append(element("rect", fill="none", stroke="#000", stroke_width=2.6, **place))
            body.append(element("rect", fill="none", stroke="#fff", stroke_width=1.1, **place))
    return figure(
        width,
        height + 24,
        [text(0, 14, heading, within=width, class_="title"), element("g", body, transform="translate(0 22)")],
        label=f"{heading}: {len(tokens)} of {rows} by {columns} patches",
    )


def _picture(found: Explanation, tokens: Sequence[int]) -> str:
    many = f"{len(tokens)} patches" if len(tokens) > 1 else "1 patch"
    drawn = marked_patches(found, tokens, heading=f"taken away: {many}", hidden=True)
    size = size_of_png(found.image) if found.image else None
    said = "" if size is None else f"as the model gets it: {size[0]} x {size[1]} pixels"
    return drawn + (f"<figcaption>{said}</figcaption>" if said else "")


def size_of_png(uri: str) -> tuple[int, int] | None:
    """Width and height of a PNG data URI, which its first bytes say; None of anything else."""
    start, _, data = uri.partition(",")
    if start != "data:image/png;base64":
        return None
    head = base64.b64decode(data[:32])
    return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])


def _words(found: Explanation, tokens: Sequence[int]) -> str:
    """The text with the word pieces that were taken away struck through."""
    gone = set(tokens)
    pieces = [
        f'<span class="word{" gone special" if i in gone else ""}">{escape(found.tokens[i].text)}</span>'
        for i in found.content
    ]
    return f'<p class="words">{"".join(pieces)}</p><span class="ends">struck through: taken away</span>'
