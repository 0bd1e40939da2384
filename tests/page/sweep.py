"""What a page must not do at any size or in any look: scroll sideways, print a text over another, cut one off."""

from pathlib import Path
from typing import Any

SIZES = {
    "320": (320, 740),
    "360": (360, 740),
    "390": (390, 844),
    "1024": (1024, 768),
    "1280": (1280, 800),
    "1366": (1366, 768),
    "1440": (1440, 900),
    "200 %": (720, 450),  # a laptop of 1440 x 900 at twice the size
    "400 %": (320, 225),  # one of 1280 x 900 at four times the size
}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced colours": {"forced_colors": "active"},
    "reduced motion": {"reduced_motion": "reduce"},
}

MOST_WORDS = 60
WORDS = """
[...document.querySelectorAll('main p:not(.formula), main dd, main aside')]
    .filter(e => e.checkVisibility() && !e.querySelector('p'))
    .filter(e => !e.closest('.arithmetic, details:not([open])'))
    .map(e => e.innerText).join(' ').split(/\\s+/).filter(word => /[A-Za-z]/.test(word)).length
"""

FAULTS = Path(__file__).with_name("faults.js").read_text(encoding="utf-8")


STILL = "* { transition: none !important; animation: none !important; }"
"""a style: what is half-way between two steps is not what a reader sees"""


SETTLED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""two frames: what is laid out by its own size is laid out again in the first"""


def faults(page: Any) -> list[str]:
    """What is wrong with what the page shows now."""
    page.evaluate(SETTLED)
    found: list[str] = page.evaluate(FAULTS)
    words = page.evaluate(WORDS)
    return found + ([f"{words} words"] if words > MOST_WORDS else [])
