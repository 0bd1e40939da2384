"""SVG elements as text. Colours of ink and ground are CSS variables, with a style inside each figure, so that a figure
reads in light and dark, in a page and as a file of its own."""

import math
from collections.abc import Iterable
from html import escape

STYLE = """
.ct{--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--ground:#fff;font:12px system-ui,-apple-system,"Segoe UI",sans-serif}
@media screen and (prefers-color-scheme:dark){.ct{--ink:#e6edf3;--soft:#9da7b3;--line:#3d444d;--ground:#0d1117}}
.ct text{fill:var(--ink)}.ct .soft{fill:var(--soft)}.ct .grid{stroke:var(--line);stroke-width:1}
.ct .axis{stroke:var(--soft);stroke-width:1}.ct .title{font-size:13px;font-weight:600}
.ct .over{paint-order:stroke;stroke:var(--ground);stroke-width:4px;stroke-linejoin:round}
""".strip()


def number(value: float) -> str:
    """A coordinate, two decimals at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else str(int(value))


def shown(value: float) -> str:
    """A number for a reader: three significant digits."""
    if value == 0:
        return "0"
    if abs(value) >= 1000 or abs(value) < 0.001:
        return f"{value:.1e}"
    text = f"{value:.3g}"
    return text if "e" not in text else f"{value:.0f}"


def evenly(value: float, largest: float) -> str:
    """A number among others of which `largest` is the largest: all with as many decimals, two digits of the largest."""
    if not largest or not 1e-4 <= largest < 1000:
        return shown(value)
    said = f"{value:.{max(0, 1 - math.floor(math.log10(largest)))}f}"
    return said if float(said) else said.removeprefix("-")


def element(name: str, content: str | Iterable[str] = "", /, **attributes: object) -> str:
    """One element. Underscores in attribute names become dashes; a trailing one is dropped (`class_`)."""
    parts = [name]
    for key, value in attributes.items():
        if value is None:
            continue
        written = number(value) if isinstance(value, float | int) else escape(str(value), quote=True)
        parts.append(f'{key.rstrip("_").replace("_", "-")}="{written}"')
    inside = content if isinstance(content, str) else "".join(content)
    return f"<{' '.join(parts)}>{inside}</{name}>" if inside else f"<{' '.join(parts)}/>"


def text(x: float, y: float, words: str, *, within: float | None = None, **attributes: object) -> str:
    """Text, escaped. Where it would be wider than `within` it is set smaller, and cut where that would be too small to
    read; what was cut is said to the pointer."""
    if within is None:
        return element("text", escape(words), x=x, y=y, **attributes)
    wanted = width_of(words, 1.0)
    usual = attributes.get("font_size", 13 if attributes.get("class_") == "title" else 12)
    size = max(SMALLEST, min(float(str(usual)), within / max(wanted, 1e-9)))
    said = words
    while len(said) > 1 and width_of(said, size) > within:
        said = said.removesuffix("...")[:-1].rstrip() + "..." if len(said) > 4 else said[:1]
    inside = escape(said) + ("" if said == words else title(words))
    attributes |= {"font_size": size, "style": f"font-size:{number(size)}px"}
    return element("text", inside, x=x, y=y, **attributes)


def width_of(words: str, size: float) -> float:
    """How wide a text is at most in the fonts that STYLE names, set at `size`: each sign by its kind."""
    return size * sum(NARROW if c in SLIM else WIDE if c in BROAD or ord(c) > LATIN else USUAL for c in words)


SMALLEST = 9.5
SLIM, BROAD, LATIN = "iljtfrI.,:;|!'()[] ", "mwMW@%", 0x2E80
NARROW, USUAL, WIDE = 0.42, 0.66, 1.0
"""of the size: what DejaVu Sans, the widest of the usual ones, does not exceed"""


def title(words: str) -> str:
    """What the pointer shows, and what a screen reader says, of the element around it."""
    return element("title", escape(words))


def figure(width: float, height: float, parts: Iterable[str], *, label: str, scrolls: bool = False) -> str:
    """A whole figure with a spoken label; it keeps its proportions and never grows beyond its own width. Where the
    window is narrower it shrinks, or with `scrolls` keeps its size (HTML), so that it can still be read."""
    drawn = element(
        "svg",
        [element("style", STYLE), title(label), *parts],
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=width,
        height=height,
        role="img",
        class_="ct",
        style=None if scrolls else "max-width:100%;height:auto",
    )
    return f'<div class="wide" tabindex="0">{drawn}</div>' if scrolls else drawn
