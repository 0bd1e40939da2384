"""Vectors trained on scored pairs beside sentence-transformers' own trainer, at equal budget.

    python benchmarks/training/similarity.py --tokenizer MINILM [--keep benchmarks/results/similarity.json]

STS-B: 5,749 pairs, two epochs of batches of 64, from the same small BERT with random weights (two blocks of 128, mean
pooling, the word pieces of all-MiniLM-L6-v2): AdamW at 1e-3, weight decay 0.01, linear with a tenth of warm-up, dropout
0.1, gradients clipped at 1, CoSENT at scale 20, the last weights. Both folders are opened by sentence-transformers and
judged by it: Spearman's correlation on the 1,500 pairs of the development part, which neither has seen. Three seeds;
results are added to FILE one by one, so that it can be stopped.
"""

import argparse
import csv
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr, t

from classtoken.jobs.train import train
from classtoken.learning.folder.record import machine
from classtoken.options import TrainOptions
from classtoken.plain import to_json

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "text" / "stsb"
SEEDS, EPOCHS, BATCH, RATE, LONGEST = (0, 1, 2), 2, 64, 1e-3, 64
Pairs = list[dict[str, Any]]


def pairs(name: str) -> Pairs:
    """The pairs of one part."""
    with (DATA / f"{name}.csv").open(encoding="utf-8") as file:
        return [{**row, "score": float(row["score"])} for row in csv.DictReader(file)]


def beginning(folder: Path, tokenizer: Path, seed: int) -> Path:
    """A small BERT with random weights, as a folder of sentence-transformers."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers import models as modules
    from transformers import AutoTokenizer, BertConfig, BertModel

    words = AutoTokenizer.from_pretrained(tokenizer)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=512,
        attention_probs_dropout_prob=0.0,  # there is none in ours
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder / "bert")
    words.save_pretrained(folder / "bert")
    word = modules.Transformer(str(folder / "bert"), max_seq_length=LONGEST)
    made = SentenceTransformer(modules=[word, modules.Pooling(128, "mean")], device="cpu")
    made.save(str(folder / "model"))
    return folder / "model"


def ours(model: Path, out: Path, learned: Pairs, seed: int) -> None:
    """`classtoken train pairs.csv --model MODEL --config recipe.toml --out DIR`."""
    recipe = {
        "objective": {"kind": "similarity", "temperature": 0.05},
        "data": {"held_out": 0.0},
        "optimiser": {
            "learning_rate": RATE,
            "weight_decay": 0.01,
            "warmup": 0.1,
            "schedule": "linear",
            "final": 0.0,
            "clip": 1.0,
        },
        "loop": {"epochs": float(EPOCHS), "batch": BATCH, "dropout": 0.1, "keep": "last", "seed": seed},
    }
    train(model, learned, out, TrainOptions(recipe=recipe, device="cpu"))


def theirs(model: Path, out: Path, learned: Pairs, seed: int) -> None:
    """SentenceTransformerTrainer."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import CoSENTLoss

    made = SentenceTransformer(str(model), device="cpu")
    settings = SentenceTransformerTrainingArguments(
        output_dir=str(out.parent / "trainer"),
        num_train_epochs=EPOCHS,
        per_device_train_batch_size=BATCH,
        learning_rate=RATE,
        weight_decay=0.01,
        warmup_ratio=0.1,
        lr_scheduler_type="linear",
        max_grad_norm=1.0,
        dataloader_drop_last=True,
        seed=seed,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    rows = Dataset.from_list(
        [{"sentence1": r["sentence1"], "sentence2": r["sentence2"], "label": r["score"]} for r in learned]
    )
    SentenceTransformerTrainer(made, settings, train_dataset=rows, loss=CoSENTLoss(made, scale=20.0)).train()
    made.save(str(out))


def judged(folder: Path, rows: Pairs) -> float:
    """Spearman's correlation of cosines and scores, by sentence-transformers."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")
    a, b = (model.encode([row[name] for row in rows], normalize_embeddings=True) for name in ("sentence1", "sentence2"))
    return float(spearmanr((a * b).sum(1), [row["score"] for row in rows]).statistic)


def compared(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means, and the interval of 95 % of the mean difference by seed (Student's)."""
    both = [run for run in runs if "ours" in run and "theirs" in run]
    differences = np.array([run["ours"] - run["theirs"] for run in both])
    found: dict[str, Any] = {name: float(np.mean([run[name] for run in both])) for name in ("before", "ours", "theirs")}
    if len(both) > 1:
        half = float(t.ppf(0.975, len(both) - 1) * differences.std(ddof=1) / len(both) ** 0.5)
        found["difference"] = [
            float(differences.mean()) - half,
            float(differences.mean()),
            float(differences.mean()) + half,
        ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=Path, required=True, help="a folder with all-MiniLM-L6-v2")
    parser.add_argument("--keep", type=Path, default=Path("bench-results/similarity.json"))
    given = parser.parse_args()
    kept: dict[str, Any] = json.loads(given.keep.read_text()) if given.keep.is_file() else {"runs": []}
    kept["machine"] = machine("cpu")
    learned, rows = pairs("train"), pairs("dev")
    for seed in SEEDS[len(kept["runs"]) :]:
        scratch = Path(tempfile.mkdtemp())
        model = beginning(scratch, given.tokenizer, seed)
        run: dict[str, Any] = {"seed": seed, "before": judged(model, rows)}
        for name, way in (("ours", ours), ("theirs", theirs)):
            began = time.process_time()
            way(model, scratch / name, learned, seed)
            run[f"{name}, seconds of the processor"] = round(time.process_time() - began, 1)
            run[name] = judged(scratch / name, rows)
        kept["runs"].append(run)
        kept["compared"] = compared(kept["runs"])
        given.keep.parent.mkdir(parents=True, exist_ok=True)
        given.keep.write_text(to_json(kept, indent=1) + "\n", encoding="utf-8")
        print(run, flush=True)
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
