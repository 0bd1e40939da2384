"""A text with its word pieces shaded, numbers under each; special tokens drawn as what they are."""

from collections.abc import Sequence
from html import escape

from classtoken.report.colour import heat, hexed, ink_on, scaled, signed
from classtoken.report.svg import evenly


def shaded_words(
    words: Sequence[str],
    values: Sequence[float],
    *,
    special: Sequence[bool] = (),
    diverging: bool = False,
    unit: str = "",
) -> str:
    """HTML: one box a word piece, its background the value, its number below (so nothing hangs on colour alone)."""
    marks = list(special) or [False] * len(words)
    counted = [v for v, s in zip(values, marks, strict=True) if not s] or list(values)
    _, low, high = scaled(counted, diverging=diverging)
    span, most = (high - low) or 1.0, max(abs(low), abs(high))
    boxes = []
    for word, value, mark in zip(words, values, marks, strict=True):
        share = value / high if diverging else (value - low) / span
        colour = signed(max(-1.0, min(1.0, share))) if diverging else heat(share)
        kind = "word special" if mark else "word"
        style = "" if mark else f' style="background:{hexed(colour)};color:{ink_on(colour)}"'
        number = evenly(value, most)
        said = escape(f"{word}: {number} {unit}".rstrip(), quote=True)
        boxes.append(f'<span class="{kind}"{style} title="{said}">{escape(word)}<small>{number}</small></span>')
    scale = f"scale {evenly(low, most)} to {evenly(high, most)} {unit}".rstrip()
    ends = f'<span class="ends">{escape(scale)}</span>'
    return f'<p class="words">{"".join(boxes)}</p>{ends}'
