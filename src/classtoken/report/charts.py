"""Curves with bands, dots with intervals, numbers in a matrix. Every chart carries its numbers, not colours alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from classtoken.report.colour import CONTROL, DASHES, SERIES, heat, hexed, ink_on, scaled, signed
from classtoken.report.svg import element, figure, shown, text, title, width_of

LEFT, RIGHT, TOP, BOTTOM = 56, 16, 34, 44


@dataclass(frozen=True)
class Series:
    """A line, with an interval at every point where there is one. `control` draws it grey and thin."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    control: bool = False


@dataclass(frozen=True)
class Dot:
    """A number with its interval, on a line of its own. `control` draws it grey."""

    name: str
    value: float
    low: float
    high: float
    control: bool = False


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between two ends: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= raw)
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first
    return [round((first + i) * step, 12) for i in range(count + 1)]


def lines(
    series: Sequence[Series],
    *,
    heading: str,
    x_label: str,
    y_label: str,
    width: float = 560,
    height: float = 300,
    y_range: tuple[float, float] | None = None,
) -> str:
    """Lines over a common axis; each is named at its end's side, has its own dash, and its band is its interval."""
    xs = [x for s in series for x in s.x]
    ys = [y for s in series for y in (*s.y, *s.low, *s.high) if math.isfinite(y)]
    low, high = y_range or _padded(min(ys), max(ys))
    legend = 16 * len(series)
    bottom = height - BOTTOM
    whole = height + legend + 10

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - min(xs)) / ((max(xs) - min(xs)) or 1)
        return LEFT + across * (width - LEFT - RIGHT), bottom - (y - low) / (high - low) * (bottom - TOP)

    parts = [text(LEFT, 18, heading, within=width - LEFT, class_="title")]
    for tick in ticks(low, high):
        _, y = at(min(xs), tick)
        parts.append(element("line", x1=LEFT, x2=width - RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(text(LEFT - 6, y + 4, shown(tick), text_anchor="end", class_="soft"))
    counted = all(x == round(x) for x in xs)
    for tick in ticks(min(xs), max(xs), 8):
        if counted and tick != round(tick):  # there is no layer 2.5
            continue
        x, _ = at(tick, low)
        parts.append(text(x, bottom + 16, shown(tick), text_anchor="middle", class_="soft"))
    parts.append(text((LEFT + width - RIGHT) / 2, bottom + 34, x_label, text_anchor="middle", class_="soft"))
    middle = (TOP + bottom) / 2
    turn = f"rotate(-90 14 {middle:g})"
    parts.append(text(14, middle, y_label, text_anchor="middle", class_="soft", transform=turn))
    coloured = 0
    for n, s in enumerate(series):
        colour, dash = (CONTROL, "3 3") if s.control else (SERIES[coloured % 8], DASHES[coloured % 8])
        coloured += not s.control
        parts += _line(s, colour, dash, at)
        y = height + 16 * n + 8
        parts.append(
            element(
                "line",
                x1=LEFT,
                x2=LEFT + 26,
                y1=y - 4,
                y2=y - 4,
                stroke=colour,
                stroke_width=2.5,
                stroke_dasharray=dash or None,
            )
        )
        parts.append(text(LEFT + 34, y, s.name, within=width - LEFT - 34))
    return figure(width, whole, parts, label=f"{heading}. {y_label} over {x_label}.")


def _line(s: Series, colour: str, dash: str, at: object) -> list[str]:
    assert callable(at)
    points = [(x, y) for x, y in zip(s.x, s.y, strict=True) if math.isfinite(y)]
    parts = []
    if s.low:
        up = [at(x, y) for x, y in zip(s.x, s.high, strict=True)]
        down = [at(x, y) for x, y in zip(s.x, s.low, strict=True)]
        ring = " ".join(f"{x:.1f},{y:.1f}" for x, y in (*up, *reversed(down)))
        parts.append(element("polygon", points=ring, fill=colour, fill_opacity=0.18))
    path = " ".join(f"{at(x, y)[0]:.1f},{at(x, y)[1]:.1f}" for x, y in points)
    thin = 1.5 if s.control else 2.2
    parts.append(
        element("polyline", points=path, fill="none", stroke=colour, stroke_width=thin, stroke_dasharray=dash or None)
    )
    for i, (x, y) in enumerate(points):
        px, py = at(x, y)
        band = f" (95 %: {shown(s.low[i])} to {shown(s.high[i])})" if s.low else ""
        said = title(f"{s.name}: {shown(y)}{band} at {shown(x)}")
        parts.append(element("circle", said, cx=px, cy=py, r=2.5, fill=colour))
    return parts


def dots(rows: Sequence[Dot], *, heading: str, x_label: str, width: float = 560, reference: float | None = None) -> str:
    """A number and its 95 % interval per line, written out at the right; `reference` is a line to be compared with."""
    names = max((width_of(row.name, 12) for row in rows), default=0)
    written = [_interval(row) for row in rows]
    right = 24 + max((width_of(words, 12) for words in written), default=140)
    left, step = min(20 + names, width * 0.45), 22
    values = [v for row in rows for v in (row.low, row.high, row.value)]
    values += [] if reference is None else [reference]
    low, high = _padded(min(values), max(values))
    height = TOP + step * len(rows) + 40

    def at(value: float) -> float:
        return left + (value - low) / (high - low) * (width - left - right)

    parts = [text(8, 18, heading, within=width - 8, class_="title")]
    foot = TOP + step * len(rows)
    for tick in ticks(low, high):
        parts.append(element("line", x1=at(tick), x2=at(tick), y1=TOP, y2=foot, class_="grid"))
        parts.append(text(at(tick), foot + 16, shown(tick), text_anchor="middle", class_="soft"))
    if reference is not None:
        parts.append(
            element("line", x1=at(reference), x2=at(reference), y1=TOP, y2=foot, class_="axis", stroke_dasharray="4 3")
        )
    for n, row in enumerate(rows):
        y, colour = TOP + step * n + step / 2, CONTROL if row.control else SERIES[0]
        numbers = written[n]
        parts.append(text(left - 10, y + 4, row.name, within=left - 12, text_anchor="end"))
        parts.append(element("line", x1=at(row.low), x2=at(row.high), y1=y, y2=y, stroke=colour, stroke_width=2))
        mark = {"fill": "none", "stroke": colour, "stroke_width": 2} if row.control else {"fill": colour}
        parts.append(element("circle", title(f"{row.name}: {numbers}"), cx=at(row.value), cy=y, r=4.5, **mark))
        parts.append(text(width - right + 12, y + 4, numbers, class_="soft"))
    parts.append(text((left + width - right) / 2, foot + 33, x_label, text_anchor="middle", class_="soft"))
    return figure(width, height, parts, label=f"{heading}. {x_label}.")


@dataclass(frozen=True)
class Spot:
    """A named point with an interval in y. `control` draws it hollow and grey."""

    name: str
    x: float
    y: float
    low: float
    high: float
    control: bool = False


def spots(points: Sequence[Spot], *, heading: str, x_label: str, y_label: str, width: float = 560) -> str:
    """Named points over an axis that grows by factors (a cost); each is numbered, and named in the list below."""
    height, below = 300.0, 16 * len(points)
    low, high = _padded(min(p.low for p in points), max(p.high for p in points))
    left, right = _padded(math.log10(min(p.x for p in points)), math.log10(max(p.x for p in points)))
    bottom = height - BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - left) / (right - left)
        return LEFT + across * (width - LEFT - RIGHT), bottom - (y - low) / (high - low) * (bottom - TOP)

    parts = [text(LEFT, 18, heading, class_="title")]
    for tick in ticks(low, high):
        _, y = at(10**left, tick)
        parts.append(element("line", x1=LEFT, x2=width - RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(text(LEFT - 6, y + 4, shown(tick), text_anchor="end", class_="soft"))
    for value in sorted({p.x for p in points}):
        parts.append(text(at(value, low)[0], bottom + 16, f"{value:g}", text_anchor="middle", class_="soft"))
    parts.append(text((LEFT + width - RIGHT) / 2, bottom + 34, x_label, text_anchor="middle", class_="soft"))
    middle = (TOP + bottom) / 2
    turn = f"rotate(-90 14 {middle:g})"
    parts.append(text(14, middle, y_label, text_anchor="middle", class_="soft", transform=turn))
    for n, p in enumerate(points):
        x, y = at(p.x, p.y)
        x += 9 * (n % 5 - 2)  # points of one cost stand beside each other
        colour = CONTROL if p.control else SERIES[n % 8]
        ends = at(p.x, p.low)[1], at(p.x, p.high)[1]
        parts.append(element("line", x1=x, x2=x, y1=ends[0], y2=ends[1], stroke=colour, stroke_width=1.5))
        said = title(f"{p.name}: {shown(p.y)} [{shown(p.low)}, {shown(p.high)}] at {p.x:g}")
        fill = {"fill": "none", "stroke": colour, "stroke_width": 2} if p.control else {"fill": colour}
        parts.append(element("circle", said, cx=x, cy=y, r=4.5, **fill))
        parts.append(text(x + 6, y - 5, str(n + 1), font_size=10))
        parts.append(text(LEFT, height + 16 * n + 8, f"{n + 1}  {p.name}"))
    return figure(width, height + below + 10, parts, label=f"{heading}. {y_label} over {x_label}.")


def matrix(
    values: Sequence[Sequence[float]],
    *,
    heading: str,
    row_label: str = "layer",
    column_label: str = "head",
    row_names: Sequence[str] = (),
    column_names: Sequence[str] = (),
    diverging: bool = False,
    cell: float = 44,
) -> str:
    """Numbers in coloured cells, rows by columns (layers by heads), numbered from 0 where they have no names."""
    flat = [v for row in values for v in row]
    shares, low, high = scaled(flat, diverging=diverging)
    columns = len(values[0])
    across = column_names or [str(c) for c in range(columns)]
    down = row_names or [str(r) for r in range(len(values))]
    tall = 20
    width, height = max(70 + columns * cell + 16, 300), 62 + tall * len(values) + 34
    corner = text(62, 40, f"{row_label} \\ {column_label}", class_="soft", text_anchor="end", font_size=10)
    parts = [text(8, 18, heading, within=width - 8, class_="title"), corner]
    parts += [
        text(70 + (c + 0.5) * cell, 40, across[c], within=cell - 2, text_anchor="middle", class_="soft")
        for c in range(columns)
    ]
    for i, share in enumerate(shares):
        r, c = divmod(i, columns)
        colour = signed(share) if diverging else heat(share)
        x, y = 70 + c * cell, 48 + r * tall
        said = title(f"{row_label} {down[r]}, {column_label} {across[c]}: {shown(flat[i])}")
        parts.append(element("rect", said, x=x, y=y, width=cell - 2, height=tall - 2, fill=hexed(colour)))
        parts.append(
            element(
                "text",
                shown(flat[i]),
                x=x + cell / 2 - 1,
                y=y + 13,
                text_anchor="middle",
                font_size=10,
                style=f"fill:{ink_on(colour)}",
            )
        )
        if c == 0:
            parts.append(text(60, y + 13, down[r], within=58, text_anchor="end", class_="soft"))
    ends = f"scale: {shown(low)} to {shown(high)}"
    parts.append(text(70, height - 12, ends, class_="soft"))
    return figure(width, height, parts, label=heading)


def _interval(row: Dot) -> str:
    """1.5 [1.2, 1.7], or the number alone where there is no interval."""
    none = row.low == row.high or not math.isfinite(row.high - row.low)
    return shown(row.value) + ("" if none else f" [{shown(row.low)}, {shown(row.high)}]")


def _padded(low: float, high: float) -> tuple[float, float]:
    """A little room at both ends; a single value gets a range of its own size."""
    span = (high - low) or abs(high) or 1.0
    return low - 0.04 * span, high + 0.04 * span
