"""A cut beside its controls: a dot for each, on the scale of the answer, with the uncut answer as a line."""

from collections.abc import Callable, Sequence

from classtoken.report.charts import ticks
from classtoken.report.colour import CONTROL, SERIES
from classtoken.report.svg import element, figure, text, title, width_of
from classtoken.results.explain import KnockOut

WIDE = 400
"""so that a phone shows it at its own size, nearly"""
SIDE = 18
RADIUS = 3.2
ROOM = 74
"""for dots above each other"""
HEAD = 50
"""for the two names above"""


def strip(
    k: KnockOut, amount: Callable[[float], str], *, whole: str, without: str, others: str, percent: bool = False
) -> str:
    """The answer without what was cut (a large dot), without as many others (grey dots, above each other where they
    are alike), and to the whole input (a line).

    amount: an answer in words. whole, without, others: what the three are called. percent: answers are shares of 1.
    """
    scale = 100 if percent else 1
    values = [k.before, k.after, *k.null]
    low, high = _range(values)

    def at(value: float) -> float:
        return SIDE + (value - low) / (high - low) * (WIDE - 2 * SIDE)

    floor = HEAD + (ROOM if k.null else 16)
    parts = [element("line", x1=SIDE, x2=WIDE - SIDE, y1=floor + 6, y2=floor + 6, class_="axis")]
    for tick in ticks(low * scale, high * scale, 4):
        x = at(tick / scale)
        parts.append(element("line", x1=x, x2=x, y1=floor + 6, y2=floor + 11, class_="axis"))
        said = f"{tick:g}{' %' if percent else ''}"
        parts.append(text(x, floor + 26, said, text_anchor="middle", class_="soft"))
    parts += [
        element("circle", title(f"{others}: {amount(value)}"), cx=x, cy=y, r=RADIUS, fill=CONTROL, fill_opacity=0.6)
        for value, x, y in _stacked(sorted(k.null), at, floor)
    ]
    line, dot = at(k.before), at(k.after)
    parts.append(
        element("line", x1=line, x2=line, y1=20, y2=floor + 6, stroke=SERIES[0], stroke_width=2, stroke_dasharray="5 3")
    )
    parts.append(element("line", x1=dot, x2=dot, y1=40, y2=floor, stroke=SERIES[1], stroke_width=1.4))
    parts.append(element("circle", title(f"{without}: {amount(k.after)}"), cx=dot, cy=floor, r=6, fill=SERIES[1]))
    parts.append(_named(line, 13, f"{whole}: {amount(k.before)}"))
    parts.append(_named(dot, 34, f"{without}: {amount(k.after)}", beside=line))
    foot = floor + 46
    if k.null:
        count = f"{len(k.null)} times" if len(k.null) > 1 else "once"
        parts.append(element("circle", cx=SIDE + 4, cy=foot - 4, r=RADIUS, fill=CONTROL, fill_opacity=0.6))
        parts.append(text(SIDE + 14, foot, f"{others}, {count}", within=WIDE - SIDE - 14, class_="soft"))
    label = f"{whole}: {amount(k.before)}; {without}: {amount(k.after)}; {len(k.null)} others: {k.beside_null}"
    return figure(WIDE, foot + 8, parts, label=label)


def _range(values: Sequence[float]) -> tuple[float, float]:
    """With a little room at both ends; values that are all alike stand in the middle."""
    low, high = min(values), max(values)
    span = max(high - low, 1e-3 * max(1.0, abs(high)))
    middle = (low + high) / 2
    return middle - 0.54 * span, middle + 0.54 * span


def _stacked(values: Sequence[float], at: Callable[[float], float], floor: float) -> list[tuple[float, float, float]]:
    """Each value with a place: where dots would lie over each other they stand above each other, closer where many."""
    heights: dict[int, int] = {}
    columns = [round(at(value) / (2 * RADIUS)) for value in values]
    most = max((columns.count(column) for column in set(columns)), default=1)
    step = min(2 * RADIUS, (ROOM - 4) / max(1, most - 1))
    found = []
    for value, column in zip(values, columns, strict=True):
        level = heights[column] = heights.get(column, -1) + 1
        found.append((value, column * 2 * RADIUS, floor - level * step))
    return found


def _named(x: float, y: float, words: str, *, beside: float | None = None) -> str:
    """Words at a place, moved so far that they stay inside, and do not stand on the line `beside`."""
    half = width_of(words, 12) / 2
    place = min(max(x, 4 + half), WIDE - 4 - half)
    if beside is not None and abs(place - beside) < half + 6:
        left, right = beside - half - 6, beside + half + 6
        fits = {side: 4 + half <= side <= WIDE - 4 - half for side in (left, right)}
        first, second = (right, left) if x >= beside else (left, right)
        place = first if fits[first] else second
    return text(place, y, words, text_anchor="middle", class_="over")
