"""The first picture of `explain`: what was taken away, what it did to the answer, and what random cuts did."""

from collections.abc import Sequence
from html import escape
from statistics import median

from classtoken.report.colour import CONTROL, SERIES
from classtoken.report.html import Section, row
from classtoken.report.svg import element, figure, text
from classtoken.results.explain import Explanation, KnockOut

SIDE = 300
BARS = 420


def verdict(found: Explanation) -> Section:
    """The sentence and the picture."""
    removal = found.removal
    if removal is None:
        return Section("What the answer rests on", found.conclusion, "<p></p>")
    pictures = [_bars(found, removal.knockout)]
    words = ""
    if found.grid:
        pictures.insert(0, _picture(found, removal.knockout.tokens))
    else:
        words = _words(found, removal.knockout.tokens)
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
    """The input with these tokens' patches outlined, or with `hidden` covered."""
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
            if hidden:
                body.append(element("rect", fill="var(--ground)", fill_opacity=0.86, **place))
            body.append(element("rect", fill="none", stroke="#000", stroke_width=2.6, **place))
            body.append(element("rect", fill="none", stroke="#fff", stroke_width=1.1, **place))
    return figure(
        width,
        height + 24,
        [text(0, 14, heading, within=width, class_="title"), element("g", body, transform="translate(0 22)")],
        label=f"{heading}: {len(tokens)} of {rows} by {columns} patches",
    )


def _picture(found: Explanation, tokens: Sequence[int]) -> str:
    return marked_patches(found, tokens, heading=f"taken away: {len(tokens)} patches", hidden=True)


def _words(found: Explanation, tokens: Sequence[int]) -> str:
    """The text with the word pieces that were taken away struck through."""
    gone = set(tokens)
    pieces = [
        f'<span class="word{" gone special" if i in gone else ""}">{escape(found.tokens[i].text)}</span>'
        for i in found.content
    ]
    return f'<p class="words">{"".join(pieces)}</p><span class="ends">struck through: taken away</span>'


def _bars(found: Explanation, k: KnockOut) -> str:
    """The answer to the whole input, without the tokens, and without as many others: their median and range."""
    others = sorted(k.null)
    bars: list[tuple[str, float, float, float, str]] = [
        ("whole input", k.before, k.before, k.before, SERIES[0]),
        ("without them", k.after, k.after, k.after, SERIES[1]),
    ]
    if others:
        bars.append(("without others", median(others), others[0], others[-1], CONTROL))
    most = 1.0 if found.outcome == "probability" else max(1e-9, *(abs(v) for bar in bars for v in bar[1:4]))
    left, right, tall = 104, 74, 34
    wide = BARS - left - right
    parts = [text(0, 14, found.target_label, within=BARS, class_="title")]
    for n, (name, value, low, high, colour) in enumerate(bars):
        y = 30 + n * tall
        parts.append(text(left - 10, y + 16, name, text_anchor="end"))
        parts.append(element("rect", x=left, y=y, width=wide, height=22, fill="var(--line)", fill_opacity=0.45))
        parts.append(element("rect", x=left, y=y, width=max(1.0, wide * _share(value, most)), height=22, fill=colour))
        if high > low:
            x1, x2 = left + wide * _share(low, most), left + wide * _share(high, most)
            parts.append(element("line", x1=x1, x2=x2, y1=y + 11, y2=y + 11, stroke="var(--ink)", stroke_width=1.5))
            parts += [
                element("line", x1=x, x2=x, y1=y + 6, y2=y + 16, stroke="var(--ink)", stroke_width=1.5)
                for x in (x1, x2)
            ]
        parts.append(text(BARS - right + 10, y + 16, found.amount(value)))
    foot = 30 + len(bars) * tall + 12
    if others:
        said = f"others: the median of {len(others)} random sets, and their whole range"
        parts.append(text(0, foot, said, within=BARS, font_size=11, class_="soft"))
    return figure(BARS, foot + 8, parts, label=found.conclusion)


def _share(value: float, most: float) -> float:
    return min(1.0, max(0.0, value / most))
