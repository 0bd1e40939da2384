"""How long judging takes beyond the encoder's pass: 1,000 photographs, 8 poolings, every layer of DeiT-Tiny.

    python benchmarks/compare.py [--limit N]                          -> benchmarks/results/compare.json

`classtoken compare` with `--by-layer` on ../shared/data/clothing-dev (see its README), five folds, as many draws as
usual. Both parts are told by the wall's clock and by the processor's, the encoder's pass for itself: what counts is the
second part, which on a machine that other work shares is told by the processor's.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

from classtoken.comparison.compared import Told, judged_after
from classtoken.comparison.entrants import pass_through
from classtoken.comparison.opening import open_task
from classtoken.learning.folder.record import machine
from classtoken.options import CompareOptions
from classtoken.plain import to_json

SHARED = Path(__file__).resolve().parents[2] / "shared"
RESULTS = Path(__file__).parent / "results" / "compare.json"
POOLINGS = "cls,mean,max,gem,cls+mean,mean_sqrt_len,weightedmean,last"


class Clock:
    """Seconds of the wall and of the processor since it was made."""

    def __init__(self) -> None:
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """Both."""
        wall, processor = time.perf_counter() - self.wall, time.process_time() - self.processor
        return {"wall_s": round(wall, 1), "processor_s": round(processor, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=1000)
    limit = parser.parse_args().limit
    options = replace(CompareOptions(pooling=POOLINGS, by_layer=True), limit=limit)
    task = open_task(str(SHARED / "data" / "clothing-dev"), options)
    clock = Clock()
    passed = pass_through([str(SHARED / "models" / "deit-tiny-patch16-224")], task, options, None)
    extraction, clock = clock.read(), Clock()
    found = judged_after(task, passed, Told("clothing-dev", options, 0.0, time.monotonic()))
    judging = clock.read()
    result = {
        "photographs": len(task.records),
        "poolings": POOLINGS.split(","),
        "layers": len(found.by_layer[-1].layers),
        "extraction": extraction,
        "judging": judging,
        "machine": machine("cpu"),
    }
    print(to_json(result, indent=2))
    if limit == 1000:
        RESULTS.write_text(to_json(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
