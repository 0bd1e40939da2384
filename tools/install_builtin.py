"""Put a trained folder into the package as a built-in model, with its figure on a test split, measured once.

    python tools/install_builtin.py photos RUN --test ../shared/data/cifar10/test.parquet
    python tools/install_builtin.py scenes RUN --test "builtin:scenes?count=2000&seed=2"

Copies config, weights, readout, preprocessing or vocabulary and the training record to src/classtoken/builtin/NAME, and
writes README.md from `about.md` there and the measured figures. Weights that take more than 8 MB as 16-bit numbers have
their matrices rounded to 8 bits first, so that what is measured is what is shipped.
"""

import argparse
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from classtoken import predict
from classtoken.plain import to_json

ROOT = Path(__file__).resolve().parent.parent
BUILT_IN = ROOT / "src/classtoken/builtin"
FILES = (
    "config.json",
    "model.safetensors",
    "classtoken.json",
    "classtoken.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
)
MOST = 8_000_000
MATRIX = re.compile(r"\bencoder\.layer\.\d+\..*\.weight$")
"""the matrices of a ViT's blocks, in transformers' names"""


def main() -> int:
    """Copy, measure, write the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("run", type=Path)
    parser.add_argument("--test", required=True, help="a SOURCE that nothing was learned from or chosen on")
    given = parser.parse_args()
    install(given.name, given.run, given.test)
    return 0


def install(title: str, run: Path, source: str) -> None:
    """Copy a run's folder to the built-in `title`, measure it on `source` and write its card."""
    target = BUILT_IN / title
    for name in FILES:
        if (run / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(run / name, target / name)
            (target / name).chmod(0o644)
    if (target / "model.safetensors").stat().st_size > MOST:
        round_matrices(target / "model.safetensors")
    (target / "model.safetensors").chmod(0o644)
    size = (target / "model.safetensors").stat().st_size
    if size > MOST:
        sys.exit(f"{target}/model.safetensors has {size} bytes, more than {MOST}")
    with tempfile.TemporaryDirectory() as folder:
        found = predict(target, source, folder)
    record = json.loads((run / "training.json").read_text(encoding="utf-8"))
    record["result"] |= {"out": f"builtin:{title}", "model": Path(record["result"]["model"]).name}
    for name in ("teacher", "unlabelled", "source"):  # where files lay is nobody's business
        for table in ("objective", "data"):
            value = record["recipe"][table].get(name)
            if isinstance(value, str):
                record["recipe"][table][name] = value if value.startswith("builtin:") else Path(value).name
            elif isinstance(value, list):
                record["recipe"][table][name] = [Path(v).name for v in value]
    record["test"] = {
        "source": source if source.startswith("builtin:") else Path(source).name,
        "records": found.judged,
        "accuracy": found.accuracy,
        "label_accuracy": found.label_accuracy,
    }
    (target / "training.json").write_text(to_json(record, indent=2) + "\n", encoding="utf-8")
    about = (target / "about.md").read_text(encoding="utf-8")
    (target / "README.md").write_text(card(title, about, record, size), encoding="utf-8")
    print(f"builtin:{title}: {found}")


def round_matrices(path: Path) -> None:
    """Round the matrices of the blocks in a file of weights to 8-bit floats (E4M3, Micikevicius et al. 2022, "FP8
    Formats for Deep Learning"): a sign, four bits of exponent, three of mantissa.

    A weight moves by at most 1/16 of itself, one below 2^-6 by at most 2^-10. No scale stands beside them, so whoever
    reads safetensors reads them; everything else (norms, biases, positions, the stem, the head) stays as it is.
    """
    weights = load_file(path)
    for name, tensor in weights.items():
        if tensor.dim() == 2 and MATRIX.search(name):
            weights[name] = tensor.float().to(torch.float8_e4m3fn)
    save_file(weights, path, metadata={"format": "pt"})


def card(name: str, about: str, record: dict[str, Any], size: int) -> str:
    """The model card; every figure is out of the training record."""
    result, test, where = record["result"], record["test"], record["result"]["machine"]
    figures = [("accuracy on the test split (every label of a record right)", test["accuracy"])]
    if test["label_accuracy"] is not None:
        figures.append(("accuracy per label on the test split", test["label_accuracy"]))
    figures += [(f"{key.replace('_', ' ')} on the held-out part", value) for key, value in result["scores"].items()]
    figures.append(("calibration error on the held-out part, after the temperature", result["error"]))
    rows = "\n".join(f"| {what} | {value:.4f} |" for what, value in figures)
    return f"""---
license: apache-2.0
library_name: classtoken
---

# builtin:{name}

{about.strip()}

## Figures

| what | value |
|---|---|
{rows}

Test split: {test["source"]}, {test["records"]} records, looked at once, after all had been chosen on the held-out part.
`tools/install_builtin.py` made this table.

## Training

- {result["learned"]} records learned from, {result["held_out"]} held out
- {result["steps"]} steps in {result["seconds"] / 60:.1f} minutes on {where["processor"]}, {where["threads"]} of
  {where["cores"]} cores, which other work had a share of; device {where["device"]}, torch {where["torch"]}
- {result["parameters"]:,} parameters, {size / 1e6:.2f} MB as {_numbers(result["parameters"], size)} numbers
- recipe: `recipe.toml` beside this file; record: `training.json`
"""


def _numbers(parameters: int, size: int) -> str:
    return "16-bit" if size >= 2 * parameters else "8-bit (the blocks' matrices) and 16-bit"


if __name__ == "__main__":
    raise SystemExit(main())
