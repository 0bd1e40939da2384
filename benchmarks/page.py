"""How soon the walkthrough page paints, how fast it steps and its film runs, how large it is, how long an upload takes.

    python benchmarks/page.py [MODEL [INPUT]]

The film is run on one core: frames a second, and the time between frames that 95 in 100 stay under.
First paint (the river), the whole page and steps are medians in headless Chromium from a page on disk; an upload is
what `--serve` does for a new input.
Seconds on the clock and of the processor (`cpu`): the second hardly grows when the machine has other work.
"""

import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from classtoken.jobs.walkthrough import document_of
from classtoken.options import WalkthroughOptions
from classtoken.page.blocks import plain
from classtoken.page.document import dumps
from classtoken.page.export import write_page
from classtoken.walk.engine import Engine

STEPPING = """async () => { const times = [];
    for (const key of ['ArrowRight', 'ArrowLeft', 'l', 'L', 'h']) for (let i = 0; i < 9; i++) {
        const start = performance.now();
        window.dispatchEvent(new KeyboardEvent('keydown', {key}));
        await new Promise(done => setTimeout(done, 0));
        document.body.offsetHeight;
        times.push(performance.now() - start);
    }
    return times; }"""


FILM = """async () => { const times = [];
    window.dispatchEvent(new KeyboardEvent('keydown', {key: ' '}));
    let last = await new Promise(requestAnimationFrame);
    const start = last;
    while (last - start < 6000) {
        const now = await new Promise(requestAnimationFrame);
        times.push(now - last);
        last = now;
    }
    return times; }"""


def film(playwright: Any, browser_path: str, path: Path) -> list[float]:
    """Milliseconds between the film's frames, browser and all on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{path.as_uri()}#step=5")
        page.wait_for_selector("h2#step-title")
        page.wait_for_timeout(500)
        taken: list[float] = page.evaluate(FILM)
        browser.close()
    finally:
        os.sched_setaffinity(0, cores)
    return taken


def busy(session: Any) -> float:
    """Milliseconds of processor time that the page's own thread has used so far."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return 1000 * next(each["value"] for each in metrics if each["name"] == "TaskDuration")


def upload(engine: Engine) -> tuple[float, float]:
    """Seconds on the clock and of the processor from a picture's bytes (or a text) to the JSON that the page gets."""
    if engine.modality == "text":
        content: bytes | str = "A sentence that nobody has walked through before."
    else:
        out = io.BytesIO()
        noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
        Image.fromarray(noise).save(out, "JPEG")
        content = out.getvalue()
    start, used = time.perf_counter(), time.process_time()
    dumps(plain(engine.add(content)))
    return time.perf_counter() - start, time.process_time() - used


def main(model: str = "builtin:toy", inputs: tuple[str, ...] = ()) -> None:
    """Print one JSON object."""
    start, used = time.perf_counter(), time.process_time()
    engine = Engine(model, inputs)
    document = document_of(engine, WalkthroughOptions())
    made, made_cpu = time.perf_counter() - start, time.process_time() - used
    browser_path = subprocess.run(["tools/browser.sh"], capture_output=True, text=True, check=True).stdout.split()[0]
    paints, whole, steps, load_cpu, step_cpu = [], [], [], [], []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "page.html"
        size = write_page(document, path)
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(5):
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            page.goto(path.as_uri())
            page.wait_for_selector("h2#step-title")
            whole.append(page.evaluate("performance.now()"))
            paints.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
            load_cpu.append(busy(session))
            taken = page.evaluate(STEPPING)
            step_cpu.append((busy(session) - load_cpu[-1]) / len(taken))
            steps += taken
            page.close()
        browser.close()
        frames = film(playwright, browser_path, path)
    uploads = [upload(engine) for _ in range(4)][1:]
    print(
        json.dumps(
            {
                "model": model,
                "layout": document.model.layout,
                "page_MB": round(size / 1e6, 2),
                "made_s": round(made, 1),
                "made_cpu_s": round(made_cpu, 1),
                "first_paint_ms": round(median(paints)),
                "whole_page_ms": round(median(whole)),
                "load_cpu_ms": round(median(load_cpu)),
                "step_cpu_ms": round(median(step_cpu), 1),
                "step_ms_median": round(median(steps), 1),
                "step_ms_95": round(sorted(steps)[int(0.95 * len(steps))], 1),
                "film_frames_a_second": round(1000 * len(frames) / sum(frames), 1),
                "film_frame_ms_95": round(sorted(frames)[int(0.95 * len(frames))], 1),
                "upload_s": round(median(clock for clock, _ in uploads), 2),
                "upload_cpu_s": round(median(cpu for _, cpu in uploads), 2),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:2], inputs=tuple(sys.argv[2:]))
