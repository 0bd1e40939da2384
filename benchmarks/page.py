"""How soon the walkthrough page paints, how fast it steps, how large it is, how long an upload takes.

    python benchmarks/page.py [MODEL [INPUT]]

Paint and steps are medians in headless Chromium from a page on disk; an upload is what `--serve` does for a new input.
"""

import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from classtoken.jobs.walking.engine import Engine
from classtoken.page.blocks import plain
from classtoken.page.document import dumps
from classtoken.page.export import write_page

STEPPING = """async () => { const times = [];
    for (const key of ['ArrowRight', 'ArrowLeft', 'l', 'L', 'h']) for (let i = 0; i < 9; i++) {
        const start = performance.now();
        window.dispatchEvent(new KeyboardEvent('keydown', {key}));
        await new Promise(done => setTimeout(done, 0));
        document.body.offsetHeight;
        times.push(performance.now() - start);
    }
    return times; }"""


def upload(engine: Engine) -> float:
    """Seconds from a picture's bytes (or a text) to the JSON that the page gets."""
    if engine.modality == "text":
        content: bytes | str = "A sentence that nobody has walked through before."
    else:
        out = io.BytesIO()
        noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
        Image.fromarray(noise).save(out, "JPEG")
        content = out.getvalue()
    start = time.perf_counter()
    dumps(plain(engine.add(content)))
    return time.perf_counter() - start


def main(model: str = "builtin:toy", inputs: tuple[str, ...] = ()) -> None:
    """Print one JSON object."""
    start = time.perf_counter()
    engine = Engine(model, inputs)
    document = engine.document()
    made = time.perf_counter() - start
    browser_path = subprocess.run(["tools/browser.sh"], capture_output=True, text=True, check=True).stdout.split()[0]
    paints, steps = [], []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "page.html"
        size = write_page(document, path)
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(5):
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            page.goto(path.as_uri())
            page.wait_for_selector("h2#step-title")
            paints.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
            steps += page.evaluate(STEPPING)
            page.close()
        browser.close()
    uploads = [upload(engine) for _ in range(4)][1:]
    print(
        json.dumps(
            {
                "model": model,
                "layout": document.model.layout,
                "page_MB": round(size / 1e6, 2),
                "made_s": round(made, 1),
                "first_paint_ms": round(median(paints)),
                "step_ms_median": round(median(steps), 1),
                "step_ms_95": round(sorted(steps)[int(0.95 * len(steps))], 1),
                "upload_s": round(median(uploads), 2),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:2], inputs=tuple(sys.argv[2:]))
