"""Screenshots of every step of a walkthrough page: `python tools/screenshots.py MODEL docs/screenshots`.

Needs a Chromium (`make browser`) and Playwright. The pictures in docs/ were made from a built-in model, so that anybody
can make them again; look at them after every change of the page, with the eyes of someone who is new to all this.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

import classtoken as ct

STEPS = range(1, 11)
LOOKS = {
    "laptop": {"viewport": {"width": 1280, "height": 720}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 720}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light"},
}
WANTED = {"laptop": STEPS, "dark": (5, 10), "phone": (5,)}


def main(model: str, out: Path, inputs: list[str]) -> None:
    """Write step-N-LOOK.png for every step on a laptop, and a few in the dark and on a phone."""
    out.mkdir(parents=True, exist_ok=True)
    found = subprocess.run(["tools/browser.sh"], capture_output=True, text=True, check=True).stdout.split()[0]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_file = Path(folder) / "page.html"
        print(ct.walkthrough(model, inputs, out=page_file))
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=found, headless=True, args=flags)
        for look, options in LOOKS.items():
            page = browser.new_page(**options)
            for step in WANTED[look]:
                page.goto("about:blank")
                page.goto(f"{page_file.as_uri()}#step={step}&layer=2")
                page.wait_for_selector("h2#step-title")
                page.wait_for_timeout(400)
                path = out / f"step-{step}-{look}.png"
                page.screenshot(path=path, full_page=look == "phone")
                Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
