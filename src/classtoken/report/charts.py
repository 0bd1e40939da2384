"""Curves with bands, dots with intervals, numbers in a matrix. Every chart carries its numbers, not colours alone."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from classtoken.report.colour import CONTROL, DASHES, SERIES, heat, hexed, ink_on, scaled, signed
from classtoken.report.svg import element, figure, shown, text, title, width_of

LEFT, TOP, BOTTOM = 56, 34, 44
APART = 14
"""between the names of two lines"""
HEADED = 24
"""the height of a heading among lines"""
LEADER = 22
"""room between what is drawn and its name"""


@dataclass(frozen=True)
class Series:
    """A line, with an interval at every point where there is one. `control` draws it grey and thin; `stroke` is which
    colour and dash it has (those of its place among the others, if left out)."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    control: bool = False
    stroke: int | None = None


@dataclass(frozen=True)
class Dot:
    """A number with its interval, on a line of its own. `control` draws it grey. `above` is a heading over it."""

    name: str
    value: float
    low: float
    high: float
    control: bool = False
    stroke: int | None = None
    above: str = ""


def stroke_of(control: bool, number: int) -> tuple[str, str]:
    """Colour and dash number so-and-so: colours come again with other dashes."""
    return (CONTROL, "3 3") if control else (SERIES[number % 8], DASHES[(number + number // 8) % 8])


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
    key: bool = False,
) -> str:
    """Lines over a common axis; each is named where it ends, or with `key` (lines that all end in one place) in a list
    below; each has its own dash, and its band is its interval."""
    xs = [x for s in series for x in s.x]
    ys = [y for s in series for y in (*s.y, *s.low, *s.high) if math.isfinite(y)]
    low, high = y_range or _padded(min(ys), max(ys))
    right = 12 if key else _room([s.name for s in series], width)
    height = max(height, TOP + BOTTOM + (0 if key else APART * len(series)))
    bottom = height - BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - min(xs)) / ((max(xs) - min(xs)) or 1)
        return LEFT + across * (width - LEFT - right), bottom - (y - low) / (high - low) * (bottom - TOP)

    parts = [text(8, 18, heading, within=width - 8, class_="title")]
    parts += _sides((low, high), (x_label, y_label), (width, height, right))
    counted = all(x == round(x) for x in xs)
    for tick in ticks(min(xs), max(xs), 8):
        if counted and tick != round(tick):  # there is no layer 2.5
            continue
        x, _ = at(tick, low)
        parts.append(text(x, bottom + 16, shown(tick), text_anchor="middle", class_="soft"))
    coloured, ends = 0, []
    for s in series:
        colour, dash = stroke_of(s.control, coloured if s.stroke is None else s.stroke)
        coloured += not s.control
        parts += _line(s, colour, dash, at)
        ends += [_End(s.name, *at(x, y), colour) for x, y in zip(s.x, s.y, strict=True) if math.isfinite(y)][-1:]
    if not key:
        parts += _names(ends, width - right, width, (TOP, bottom))
        return figure(width, height, parts, label=f"{heading}. {y_label} over {x_label}.")
    parts += _key(series, height, width)
    return figure(width, height + 18 * len(series), parts, label=f"{heading}. {y_label} over {x_label}.")


def _key(series: Sequence[Series], top: float, width: float) -> list[str]:
    """The names one below the other, each behind a piece of its line."""
    parts, coloured = [], 0
    for n, s in enumerate(series):
        colour, dash = stroke_of(s.control, coloured if s.stroke is None else s.stroke)
        coloured += not s.control
        y, thin = top + 18 * n + 4, 1.5 if s.control else 2.2
        mark = {"stroke": colour, "stroke_width": thin, "stroke_dasharray": dash or None}
        parts.append(element("line", x1=LEFT, x2=LEFT + 34, y1=y, y2=y, **mark))
        parts.append(text(LEFT + 42, y + 4, s.name, within=width - LEFT - 42))
    return parts


def _sides(y_range: tuple[float, float], labels: tuple[str, str], size: tuple[float, float, float]) -> list[str]:
    """Lines across with their numbers, and what both axes are; `size`: width, height, room at the right."""
    (low, high), (x_label, y_label), (width, height, right) = y_range, labels, size
    bottom, parts = height - BOTTOM, []
    for tick in ticks(low, high):
        y = bottom - (tick - low) / (high - low) * (bottom - TOP)
        parts.append(element("line", x1=LEFT, x2=width - right, y1=y, y2=y, class_="grid"))
        parts.append(text(LEFT - 6, y + 4, shown(tick), text_anchor="end", class_="soft"))
    parts.append(text((LEFT + width - right) / 2, bottom + 34, x_label, text_anchor="middle", class_="soft"))
    middle = (TOP + bottom) / 2
    parts.append(text(14, middle, y_label, text_anchor="middle", class_="soft", transform=f"rotate(-90 14 {middle:g})"))
    return parts


@dataclass(frozen=True)
class _End:
    """Where something that is to be named ends."""

    name: str
    x: float
    y: float
    colour: str


def _room(names: Sequence[str], width: float) -> float:
    """For names at the right."""
    return min(0.45 * width, LEADER + 6 + max(width_of(name, 12) for name in names))


def _names(ends: Sequence[_End], left: float, width: float, within: tuple[float, float]) -> list[str]:
    """Each name beside its end, no two over each other, a thin line leading to those that had to give way."""
    order = sorted(ends, key=lambda end: end.y)
    places: list[float] = []
    for end in order:  # downwards, each below the one before
        places.append(max(end.y, within[0] + 4, places[-1] + APART if places else -math.inf))
    lowest = within[1]
    for n in reversed(range(len(places))):  # and up again, where the last ones fell out
        places[n] = min(places[n], lowest)
        lowest = places[n] - APART
    parts = []
    for end, y in zip(order, places, strict=True):
        bend = left + LEADER - 4
        path = f"{end.x:.1f},{end.y:.1f} {left + 4:.1f},{end.y:.1f} {bend:.1f},{y:.1f}"
        parts.append(element("polyline", points=path, fill="none", stroke=end.colour, stroke_width=1))
        parts.append(text(left + LEADER, y + 4, end.name, within=width - left - LEADER))
    return parts


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
    """A number and its 95 % interval per line, written out at the right; names that leave no room stand over their
    lines. `reference` is a line to be compared with."""
    names = max((width_of(row.name, 12) for row in rows), default=0)
    written = [_interval(row) for row in rows]
    numbers = max((width_of(words, 12) for words in written), default=140)
    over = 20 + names > 0.45 * width
    left, right, step = (16.0, 16.0, 36) if over else (20 + names, 24 + numbers, 22)
    values = [v for row in rows for v in (row.low, row.high, row.value)]
    values += [] if reference is None else [reference]
    low, high = _padded(min(values), max(values))
    foot = TOP + step * len(rows) + HEADED * sum(bool(row.above) for row in rows)

    def at(value: float) -> float:
        return left + (value - low) / (high - low) * (width - left - right)

    parts = [text(8, 18, heading, within=width - 8, class_="title")]
    for tick in ticks(low, high):
        parts.append(element("line", x1=at(tick), x2=at(tick), y1=TOP, y2=foot, class_="grid"))
        parts.append(text(at(tick), foot + 16, shown(tick), text_anchor="middle", class_="soft"))
    top, ground = float(TOP), len(parts)
    beside: list[tuple[float, float]] = []  # heights at which nothing is written where the dots are
    for row, said in zip(rows, written, strict=True):
        if row.above:
            parts.append(
                text(8, top + HEADED - 6, row.above, within=width - 16, class_="soft over", font_style="italic")
            )
            top += HEADED
        y, below = (top + 13, top + 25) if over else (top + step / 2 + 4, top + step / 2)
        if over:
            parts.append(text(8, y, row.name, within=width - numbers - 32, class_="over"))
            parts.append(text(width - 8, y, said, text_anchor="end", class_="soft over"))
        else:
            parts.append(text(left - 10, y, row.name, text_anchor="end"))
            parts.append(text(width - right + 12, y, said, class_="soft"))
        beside.append((below - 7, below + 9))
        parts += _dot(row, at, below, said)
        top += step
    if reference is not None:  # through words or numbers it would strike them out
        path = " ".join(
            f"M {at(reference):.2f} {start:g} V {end:g}" for start, end in (beside if over else [(TOP, foot)])
        )
        parts.insert(ground, element("path", d=path, fill="none", class_="axis", stroke_dasharray="4 3"))
    parts.append(text((left + width - right) / 2, foot + 33, x_label, text_anchor="middle", class_="soft"))
    return figure(width, foot + 40, parts, label=f"{heading}. {x_label}.")


def _dot(row: Dot, at: Callable[[float], float], y: float, said: str) -> list[str]:
    colour, _ = stroke_of(row.control, row.stroke or 0)
    mark = {"fill": "none", "stroke": colour, "stroke_width": 2} if row.control else {"fill": colour}
    return [
        element("line", x1=at(row.low), x2=at(row.high), y1=y, y2=y, stroke=colour, stroke_width=2),
        element("circle", title(f"{row.name}: {said}"), cx=at(row.value), cy=y, r=4.5, **mark),
    ]


@dataclass(frozen=True)
class Spot:
    """A named point with an interval in y. `control` draws it hollow and grey."""

    name: str
    x: float
    y: float
    low: float
    high: float
    control: bool = False
    stroke: int | None = None


def spots(points: Sequence[Spot], *, heading: str, x_label: str, y_label: str, width: float = 560) -> str:
    """Named points over an axis that grows by factors (a cost); points of one cost stand beside each other."""
    height, right = max(300.0, TOP + BOTTOM + APART * len(points)), _room([p.name for p in points], width)
    low, high = _padded(min(p.low for p in points), max(p.high for p in points))
    costs = sorted({p.x for p in points})
    least, most = _padded(math.log10(costs[0]), math.log10(costs[-1]))
    beside = {cost: [p for p in points if p.x == cost] for cost in costs}
    bottom, side = height - BOTTOM, 8 + 4.5 * max(len(some) for some in beside.values())

    def at(p: Spot) -> tuple[float, float]:
        across, some = (math.log10(p.x) - least) / (most - least), beside[p.x]
        x = LEFT + side + across * (width - LEFT - right - 2 * side) + 9 * (some.index(p) - (len(some) - 1) / 2)
        return x, height_of(p.y)

    def height_of(y: float) -> float:
        return bottom - (y - low) / (high - low) * (bottom - TOP)

    parts = [text(8, 18, heading, within=width - 8, class_="title")]
    parts += _sides((low, high), (x_label, y_label), (width, height, right))
    for cost in costs:
        x = (at(beside[cost][0])[0] + at(beside[cost][-1])[0]) / 2
        parts.append(text(x, bottom + 16, f"{cost:g}", text_anchor="middle", class_="soft"))
    ends = []
    for n, p in enumerate(points):
        x, y = at(p)
        colour, _ = stroke_of(p.control, n if p.stroke is None else p.stroke)
        below, above = height_of(p.low), height_of(p.high)
        parts.append(element("line", x1=x, x2=x, y1=below, y2=above, stroke=colour, stroke_width=1.5))
        said = title(f"{p.name}: {shown(p.y)} [{shown(p.low)}, {shown(p.high)}] at {p.x:g}")
        fill = {"fill": "none", "stroke": colour, "stroke_width": 2} if p.control else {"fill": colour}
        parts.append(element("circle", said, cx=x, cy=y, r=4.5, **fill))
        ends.append(_End(p.name, x, y, colour))
    parts += _names(ends, width - right, width, (TOP, bottom))
    return figure(width, height, parts, label=f"{heading}. {y_label} over {x_label}.")


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
