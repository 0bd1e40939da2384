"""Maps as a picture file, for slides and papers: the picture, each map over it, its name and its scale."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from classtoken.report.colour import heat, ink_on, scaled, signed
from classtoken.report.svg import shown

SIDE, GAP, HEAD = 224, 16, 40
INK, SOFT, GROUND = (27, 31, 36), (87, 96, 106), (255, 255, 255)


@dataclass(frozen=True)
class Panel:
    """One map: its name, a value per patch (or word piece), whether signed."""

    name: str
    values: tuple[float, ...]
    diverging: bool = False


def maps_png(heading: str, panels: Sequence[Panel], grid: tuple[int, int], picture: str | None = None) -> bytes:
    """A sheet of maps over a patch grid; `picture` is a data URI of what the model saw."""
    below = Image.new("RGB", (SIDE, SIDE), GROUND)
    if picture:
        data = base64.b64decode(picture.split(",", 1)[1])
        below = Image.open(io.BytesIO(data)).convert("RGB").resize((SIDE, SIDE))
    columns = min(4, len(panels) + bool(picture))
    rows = -(-(len(panels) + bool(picture)) // columns)
    sheet = Image.new("RGB", (GAP + columns * (SIDE + GAP), HEAD + GAP + rows * (SIDE + HEAD + GAP)), GROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 14), heading, INK, _font(16))
    drawn: list[tuple[str, str, Image.Image]] = [("input", "", below)] if picture else []
    drawn += [_drawn(panel, grid, below) for panel in panels]
    for n, (name, ends, image) in enumerate(drawn):
        x = GAP + n % columns * (SIDE + GAP)
        y = HEAD + GAP + n // columns * (SIDE + HEAD + GAP)
        sheet.paste(image, (x, y))
        draw.text((x, y + SIDE + 4), name, INK, _font(13))
        draw.text((x, y + SIDE + 20), ends, SOFT, _font(11))
    return _png(sheet)


def _drawn(panel: Panel, grid: tuple[int, int], below: Image.Image) -> tuple[str, str, Image.Image]:
    shares, low, high = scaled(panel.values, diverging=panel.diverging)
    colours = Image.new("RGB", (grid[1], grid[0]))
    colours.putdata([signed(s) if panel.diverging else heat(s) for s in shares])
    alpha = Image.new("L", (grid[1], grid[0]))
    alpha.putdata([round(255 * (0.25 + 0.6 * abs(s))) for s in shares])
    size = below.size
    over = colours.resize(size, Image.Resampling.NEAREST)
    mixed = Image.composite(over, below, alpha.resize(size, Image.Resampling.NEAREST))
    return panel.name, f"{shown(low)} to {shown(high)}", mixed


def words_png(heading: str, panels: Sequence[Panel], words: Sequence[str], width: int = 960) -> bytes:
    """A sheet with the text once per map, its word pieces shaded and numbered."""
    font, small = _font(15), _font(10)
    lines = [_wrapped(words, width - 2 * GAP, font) for _ in panels]
    height = HEAD + sum(30 + 46 * len(rows) for rows in lines) + GAP
    sheet = Image.new("RGB", (width, height), GROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 12), heading, INK, _font(16))
    y = HEAD + 4
    for panel, rows in zip(panels, lines, strict=True):
        shares, low, high = scaled(panel.values, diverging=panel.diverging)
        draw.text((GAP, y), f"{panel.name}   ({shown(low)} to {shown(high)})", INK, _font(13))
        y += 24
        for row in rows:
            for i, x, wide in row:
                colour = signed(shares[i]) if panel.diverging else heat(shares[i])
                draw.rounded_rectangle((GAP + x, y, GAP + x + wide, y + 36), 4, fill=colour)
                ink = ink_on(colour)
                draw.text((GAP + x + 5, y + 3), words[i], ink, font)
                draw.text((GAP + x + 5, y + 22), shown(panel.values[i]), ink, small)
            y += 46
        y += 6
    return _png(sheet)


def _wrapped(words: Sequence[str], room: int, font: ImageFont.FreeTypeFont) -> list[list[tuple[int, int, int]]]:
    """(word, x, width) line by line."""
    rows: list[list[tuple[int, int, int]]] = [[]]
    x = 0
    for i, word in enumerate(words):
        wide = max(int(font.getlength(word)) + 10, 52)
        if x + wide > room and rows[-1]:
            rows.append([])
            x = 0
        rows[-1].append((i, x, wide))
        x += wide + 4
    return rows


def _png(sheet: Image.Image) -> bytes:
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
