"""What `embed` costs when data sets are large and grow, and what several workers cost: drawn texts, a tiny model.

    python benchmarks/embed_scale.py memory          # peak memory of 10,000 and of 1,000,000 texts
    python benchmarks/embed_scale.py grow            # 1 % more rows by --update, and a finished folder run again
    python benchmarks/embed_scale.py listing         # a folder of 1,000,000 names of images, listed
    python benchmarks/embed_scale.py workers         # one process of two threads, two and four workers, Ray

Each prints a line of JSON and keeps it in benchmarks/results/embed-scale.json. Times of `memory`, `grow` and `listing`
are processor time, those of `workers` what a clock says: run these on a machine that does nothing else.
"""

import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from classtoken.plain import to_json

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
RESULTS = Path(__file__).parent / "results" / "embed-scale.json"
ROWS, FEW, GROWN = 1_000_000, 10_000, 200_000
#: Rows of the comparison of workers.
TEXTS = 200_000
CODE = "import sys; from benchmarks.embed_scale import one; one(*sys.argv[1:])"


def tiny(folder: Path) -> Path:
    """A BERT of two blocks of 32 numbers; of 128 where `folder` says so."""
    from tests.folders import tiny_bert

    return folder if folder.is_dir() else tiny_bert(folder)


def texts(path: Path, rows: int, words: tuple[int, int] = (5, 15), seed: int = 0) -> Path:
    """A text a line, drawn."""
    chance = random.Random(seed)
    known = ["the", "cat", "dog", "bird", "sits", "runs", "on", "a", "mat", *(f"w{number}" for number in range(500))]
    with path.open("w") as file:
        for _ in range(rows):
            file.write(" ".join(chance.choices(known, k=chance.randint(*words))) + "\n")
    return path


def one(model: str, source: str, out: str, options: str = "{}") -> None:
    """One run in a process of its own: what it took."""
    import classtoken as ct

    result = ct.embed(model, source, out, pooling="mean", **json.loads(options))
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {"rows": result.rows, "computed": result.total - result.before, "seconds": round(result.seconds, 2)}
    found |= {"processor": round(used.ru_utime + used.ru_stime, 2), "peak_mib": round(used.ru_maxrss / 1024)}
    print(json.dumps(found))


def alone(*given: object, threads: int = 1) -> dict[str, Any]:
    """`one` in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", CODE, *map(str, given)], env=environment, capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def memory(place: Path) -> dict[str, Any]:
    """Peak memory by the number of rows."""
    model = tiny(place / "bert")
    few, many = (alone(model, texts(place / f"{n}.txt", n), place / f"v{n}") for n in (FEW, ROWS))
    return {"few": few, "many": many, "ratio": round(many["peak_mib"] / few["peak_mib"], 3)}


def grow(place: Path) -> dict[str, Any]:
    """A fresh run, the same again, and with 1 % more rows."""
    model, source = tiny(place / "bert"), texts(place / "a.txt", GROWN)
    fresh = alone(model, source, place / "v")
    again = alone(model, source, place / "v")
    with source.open("a") as file:
        file.write(texts(place / "more.txt", GROWN // 100, seed=1).read_text())
    more = alone(model, source, place / "v", json.dumps({"update": True}))
    begin = time.process_time()
    from classtoken.source import make_plan, open_source

    make_plan(open_source(str(source)))
    listing = round(time.process_time() - begin, 2)
    return {"fresh": fresh, "again": again, "more": more, "listing": listing}


def listing(place: Path) -> dict[str, Any]:
    """A folder of as many empty files."""
    from classtoken.source import make_plan, open_source

    photos = place / "photos"
    for number in range(1000):
        folder = photos / f"{number:03d}"
        folder.mkdir(parents=True)
        for inside in range(ROWS // 1000):
            os.close(os.open(folder / f"{inside:06d}.jpg", os.O_CREAT | os.O_WRONLY))
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    plan = make_plan(open_source(str(photos)))
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"files": plan.total, "processor": round(time.process_time() - begin, 1), "mib_more": round(more)}


def workers(place: Path) -> dict[str, Any]:
    """The same rows by this process with two threads, by two and four workers, and by Ray."""
    import numpy as np

    import classtoken as ct

    model, source = tiny(place / "bert"), texts(place / "a.txt", TEXTS)
    ways = {"one": {}, "two": {"workers": 2}, "four": {"workers": 4}, "ray": {"workers": 2, "engine": "ray"}}
    found: dict[str, Any] = {}
    for name, options in ways.items():
        begin = time.monotonic()
        found[name] = alone(model, source, place / name, json.dumps(options), threads=2)
        found[name]["whole"] = round(time.monotonic() - begin, 2)
    arrays = [ct.read(place / name).arrays["mean"] for name in ways]
    return {**found, "equal": [bool(np.array_equal(arrays[0], other)) for other in arrays[1:]]}


def main(name: str) -> None:
    """Run one of them, and keep what came out."""
    place = Path(tempfile.mkdtemp(prefix="classtoken-scale-"))
    try:
        found = {"memory": memory, "grow": grow, "listing": listing, "workers": workers}[name](place)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(to_json({**kept, name: found}, indent=2) + "\n")
    print(json.dumps({name: found}))


if __name__ == "__main__":
    main(sys.argv[1])
