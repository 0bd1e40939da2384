"""Screenshots of the walkthrough for docs/: `python tools/screenshots.py docs/screenshots`.

Needs a Chromium (`make browser`) and Playwright. They are made from the built-in models, so that anybody can make them
again: real pictures of attention from builtin:scenes, the arithmetic from builtin:toy, words from builtin:sentiment.
Look at them after every change of the page or of those models, with the eyes of someone who is new to all this.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

import classtoken as ct

LOOKS: dict[str, dict[str, Any]] = {
    "laptop": {"viewport": {"width": 1366, "height": 768}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1366, "height": 768}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light"},
}
#: file name without its end, model, look, place in the page
SHOTS = (
    *((f"step-{step}-laptop", "builtin:scenes", "laptop", f"step={step}") for step in (1, 2, 3, 4, 5, 7, 8, 9)),
    ("step-6-laptop", "builtin:toy", "laptop", "step=6"),
    ("step-10-laptop", "builtin:scenes", "laptop", "step=10"),
    ("step-5-phone", "builtin:scenes", "phone", "step=5&layer=2"),
    ("step-5-dark", "builtin:scenes-multi", "dark", "step=5&layer=3"),
    ("step-10-dark", "builtin:sentiment", "dark", "step=10"),
    ("step-5-text", "builtin:sentiment", "laptop", "step=5&layer=1"),
)


def pages(folder: Path) -> dict[str, Path]:
    """A page for each model named."""
    found = {}
    for model in sorted({shot[1] for shot in SHOTS}):
        found[model] = folder / f"{model.partition(':')[2]}.html"
        print(ct.walkthrough(model, out=found[model]))
    return found


def main(out: Path) -> None:
    """Write one PNG for each of SHOTS; on a telephone the whole length of the page."""
    out.mkdir(parents=True, exist_ok=True)
    chromium = subprocess.run(["tools/browser.sh"], capture_output=True, text=True, check=True).stdout.split()[0]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        files = pages(Path(folder))
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=flags)
        for name, model, look, place in SHOTS:
            page = browser.new_page(**LOOKS[look])
            page.goto(f"{files[model].as_uri()}#{place}")
            page.wait_for_selector("h2#step-title")
            page.wait_for_timeout(1800)  # patches have landed
            page.screenshot(path=out / f"{name}.png", full_page=look == "phone")
            Image.open(out / f"{name}.png").convert("RGB").quantize(256, kmeans=3).save(
                out / f"{name}.png", optimize=True
            )
            page.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
