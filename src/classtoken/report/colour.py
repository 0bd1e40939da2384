"""Colours that colour-blind readers can tell apart, and the text colour that can be read on each."""

from collections.abc import Sequence

Rgb = tuple[int, int, int]

#: Cividis (Nunez, Anderton & Renslow 2018): dark blue to yellow, lightness rising evenly, the same for deuteranopes.
CIVIDIS: tuple[Rgb, ...] = (
    (0, 32, 77),
    (0, 51, 111),
    (57, 72, 107),
    (87, 92, 109),
    (112, 113, 115),
    (138, 135, 121),
    (166, 157, 117),
    (196, 181, 108),
    (228, 207, 91),
    (255, 234, 70),
)
#: Against (blue) - nothing (grey) - for (orange).
DIVERGING: tuple[Rgb, ...] = ((33, 90, 160), (110, 160, 210), (205, 205, 205), (235, 160, 80), (176, 80, 6))
#: Series (Okabe & Ito 2008, darkened where they would vanish on white); each also has its own dash.
SERIES: tuple[str, ...] = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8C6D00", "#56B4E9", "#6A51A3", "#7F7F7F")
DASHES: tuple[str, ...] = ("", "6 3", "2 3", "8 3 2 3", "12 4", "1 3", "4 2 1 2", "3 6")
CONTROL = "#7F7F7F"


def between(stops: Sequence[Rgb], share: float) -> Rgb:
    """The colour at `share` (0 to 1) of a scale, linear between its stops; out of range is the nearest end."""
    place = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    low = min(int(place), len(stops) - 2)
    rest = place - low
    first, second = stops[low], stops[low + 1]
    red, green, blue = (round(a + (b - a) * rest) for a, b in zip(first, second, strict=True))
    return red, green, blue


def heat(share: float) -> Rgb:
    """Cividis at 0 to 1."""
    return between(CIVIDIS, share)


def signed(share: float) -> Rgb:
    """Diverging at -1 to 1, grey at 0."""
    return between(DIVERGING, (share + 1) / 2)


def hexed(colour: Rgb) -> str:
    """#rrggbb."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def luminance(colour: Rgb) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.2)."""
    linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: Rgb, second: Rgb) -> float:
    """Contrast of two colours, 1 to 21 (WCAG 2.2)."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def ink_on(colour: Rgb) -> str:
    """Black or white, whichever is read more easily on a colour."""
    return "#000" if contrast(colour, (0, 0, 0)) >= contrast(colour, (255, 255, 255)) else "#fff"


def scaled(values: Sequence[float], *, diverging: bool = False) -> tuple[list[float], float, float]:
    """Values brought to the scale, and the numbers at its ends: 0..1 between least and most, or -1..1 about zero."""
    if diverging:
        end = max((abs(v) for v in values), default=0.0) or 1.0
        return [v / end for v in values], -end, end
    low, high = min(values, default=0.0), max(values, default=1.0)
    span = (high - low) or 1.0
    return [(v - low) / span for v in values], low, high
