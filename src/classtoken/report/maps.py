"""Heat over a picture's patches, with legend, numbers and the strongest patches outlined; and small maps in a grid."""

import base64
import io
from collections.abc import Sequence

from PIL import Image

from classtoken.errors import InternalError
from classtoken.report.colour import CIVIDIS, DIVERGING, between, heat, hexed, scaled, signed
from classtoken.report.svg import element, evenly, figure, shown, text, title, width_of

SIDE = 240
WIDEST = 420
"""a grid of small maps that is wider scrolls on a small screen: shrunk it would show nothing"""


def png_uri(values: Sequence[float], grid: tuple[int, int], *, diverging: bool = False) -> str:
    """One pixel a patch, as a PNG data URI: small, and sharp when drawn pixelated."""
    shares, _, _ = scaled(values, diverging=diverging)
    picture = Image.new("RGB", (grid[1], grid[0]))
    picture.putdata([signed(s) if diverging else heat(s) for s in shares])
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def heat_map(
    values: Sequence[float],
    grid: tuple[int, int],
    *,
    heading: str,
    unit: str = "",
    picture: str | None = None,
    diverging: bool = False,
    top: int = 3,
    side: float = SIDE,
    outline: Sequence[int] = (),
) -> str:
    """A map over the patch grid, over the picture (a data URI) where there is one.

    The `top` strongest patches are outlined, their numbers written below, the strongest first; every patch says its
    number to the pointer.
    outline: patches of the true object, ringed.
    """
    if len(values) != grid[0] * grid[1]:
        raise InternalError(f"{len(values)} values do not fill a grid of {grid[0]}x{grid[1]} patches.")
    shares, low, high = scaled(values, diverging=diverging)
    step = side / max(grid)
    width, height = grid[1] * step, grid[0] * step
    parts = [text(0, 14, heading, within=max(width, 240), class_="title")]
    body = []
    if picture:
        body.append(element("image", href=picture, x=0, y=0, width=width, height=height, preserveAspectRatio="none"))
    for i, share in enumerate(shares):
        row, column = divmod(i, grid[1])
        colour = hexed(signed(share) if diverging else heat(share))
        # Over a picture weak patches let it through; the outline and the numbers do not depend on that.
        opacity = None if not picture else 0.25 + 0.6 * abs(share)
        said = title(f"patch {i} (row {row}, column {column}): {shown(values[i])} {unit}".rstrip())
        body.append(
            element(
                "rect",
                said,
                x=column * step,
                y=row * step,
                width=step + 0.4,
                height=step + 0.4,
                fill=colour,
                fill_opacity=opacity,
            )
        )
    body += [_ring(i, grid, step, "#ffffff", 1.2, "2 2") for i in outline]
    strongest = sorted(range(len(values)), key=lambda i: -abs(values[i]) if diverging else -values[i])[:top]
    for i in strongest:
        body += [_ring(i, grid, step, "#000", 3.4, None), _ring(i, grid, step, "#fff", 1.6, None)]
    parts.append(element("g", body, transform="translate(0 22)"))
    parts.append(
        element("g", legend(low, high, unit, width, diverging=diverging), transform=f"translate(0 {height + 32:g})")
    )
    for line, i in enumerate(strongest):
        row, column = divmod(i, grid[1])
        number, room = evenly(values[i], max(abs(low), abs(high))), max(width, 240)
        said = f"patch {i} (row {row}, column {column}): {number}"
        if width_of(said, 12) > room:
            said = f"patch {i} ({row}, {column}): {number}"
        parts.append(text(0, height + 76 + 16 * line, said, within=room, class_="soft"))
    return figure(
        max(width, 240),
        height + 84 + 16 * max(0, len(strongest) - 1),
        parts,
        label=f"{heading}: heat map of {grid[0]} by {grid[1]} patches",
    )


def _ring(i: int, grid: tuple[int, int], step: float, colour: str, wide: float, dash: str | None) -> str:
    row, column = divmod(i, grid[1])
    return element(
        "rect",
        x=column * step,
        y=row * step,
        width=step,
        height=step,
        fill="none",
        stroke=colour,
        stroke_width=wide,
        stroke_dasharray=dash,
    )


def legend(low: float, high: float, unit: str, width: float, *, diverging: bool = False) -> list[str]:
    """The scale as a bar with the numbers at its ends."""
    stops = DIVERGING if diverging else CIVIDIS
    n, wide = 40, min(width, 200)
    bar = [
        element("rect", x=i * wide / n, y=0, width=wide / n + 0.5, height=9, fill=hexed(between(stops, i / (n - 1))))
        for i in range(n)
    ]
    most = max(abs(low), abs(high))
    ends = [text(0, 22, evenly(low, most), class_="soft")]
    ends.append(text(wide, 22, evenly(high, most), class_="soft", text_anchor="end"))
    middle = [text(wide / 2, 22, unit, class_="soft", text_anchor="middle")] if unit else []
    return [*bar, *ends, *middle]


def map_grid(
    maps: Sequence[Sequence[Sequence[float]]],
    grid: tuple[int, int],
    *,
    heading: str,
    cell: float = 76,
    row_name: str = "layer",
    column_name: str = "head",
) -> str:
    """Small maps, rows by columns (heads by layers), each on its own scale; the pointer says which."""
    rows, columns = len(maps), len(maps[0])
    wide = cell * min(1.0, grid[1] / grid[0])
    width = max(52 + columns * (wide + 6), 260, min(400, width_of(heading, 13)))  # so that few maps cut no heading
    height = 44 + rows * (cell + 6)
    parts = [text(0, 14, heading, within=width, class_="title")]
    parts += [
        text(
            46 + c * (wide + 6) + wide / 2,
            34,
            str(c),
            text_anchor="middle",
            class_="soft",
        )
        for c in range(columns)
    ]
    for r, row in enumerate(maps):
        y = 40 + r * (cell + 6)
        parts.append(text(40, y + cell / 2 + 4, str(r), text_anchor="end", class_="soft"))
        for c, values in enumerate(row):
            x = 46 + c * (wide + 6)
            said = title(
                f"{row_name} {r}, {column_name} {c}: strongest {shown(max(values))}, weakest {shown(min(values))}"
            )
            image = element(
                "image",
                href=png_uri(values, grid),
                x=x,
                y=y,
                width=wide,
                height=cell,
                preserveAspectRatio="none",
                style="image-rendering:pixelated",
            )
            parts.append(element("g", [said, image]))
    parts.append(
        text(0, 34, f"{row_name} \\ {column_name}" if len(maps) > 1 else column_name, class_="soft", font_size=10)
    )
    return figure(width, height, parts, label=heading, scrolls=width > WIDEST)
