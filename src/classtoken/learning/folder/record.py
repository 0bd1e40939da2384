"""What a run was, in plain values: the machine, the versions, the training record and the card written from it."""

import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from classtoken.files import shown_name
from classtoken.results.base import counted
from classtoken.version import __version__


def machine(device: str) -> dict[str, Any]:
    """Where it ran; nothing that names a person or a place."""
    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": device,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "classtoken": __version__,
    }
    if device.startswith("cuda"):
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def _processor() -> str:
    flags = "avx512_bf16", "avx512f", "avx2"
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123  (a kernel file, not a path of ours)
            text = file.read()
    except OSError:
        return platform.processor() or platform.machine()
    name = next((line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")), "")
    best = next((flag for flag in flags if f" {flag}" in text), "")
    return f"{name or platform.machine()}{f' ({best})' if best else ''}"


def base_name(model: str) -> str:
    """What a MODEL is called: a hub id or builtin:NAME as it is, a folder by its own name, wherever it lies."""
    return shown_name(model)


def licence_of(folder: Path) -> str:
    """What the card of a model's folder says its licence is; empty where it says nothing."""
    try:
        text = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    front = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    said = re.search(r"^licen[sc]e:\s*['\"]?([\w.+-]+)", front[1], re.MULTILINE) if front else None
    return said[1] if said else ""


def card(title: str, about: str, record: Mapping[str, Any], lines: Sequence[str] = ()) -> str:
    """The model card: every figure comes from the training record.

    Its first lines are what hubs read: the base model, its licence.
    """
    result = record["result"]
    parts = [
        _front(result),
        f"# {title}",
        about,
        "## What it is",
        "\n".join(_what(result)),
        "## How it was trained",
        _how(result, record["recipe"]),
        "## Figures on records that were not learned from",
        _figures(result),
        "What was chosen was chosen without the records that judge it; in brackets, intervals of 95 %. Records of "
        "another kind than these need a test set of their own: `classtoken predict`.",
        *lines,
        "## Use",
        _use(title, result),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _use(title: str, result: Mapping[str, Any]) -> str:
    """What to write, on the command line and in Python."""
    item = '"PICTURE.jpg"' if result["modality"] == "image" else '"some words"'
    if not result["labels"]:
        return f'```python\nimport classtoken as ct\n\nct.load("{title}").embed([{item}])  # (1, numbers)\n```'
    return (
        f'```python\nimport classtoken as ct\n\nfound = ct.predict("{title}", {item})\n'
        "print(found.prediction, found.probabilities[0].probability)\n\n"
        f'model = ct.load("{title}")                # for many at once\n'
        f"model.labels, model.probabilities([{item}])\n```\n\n"
        f"On the command line: `classtoken predict {item} --model {title}`; of a source of records "
        f"`classtoken predict SOURCE --model {title} --out OUT`."
    )


def _front(result: Mapping[str, Any]) -> str:
    found = [f"license: {result['licence']}"] if result["licence"] else []
    if "/" in result["model"]:  # a hub id; a folder of this machine means nothing elsewhere
        found.append(f"base_model: {result['model']}")
    return "\n".join(["---", *found, "library_name: classtoken", "---"])


def _what(result: Mapping[str, Any]) -> Iterator[str]:
    base = result["model"]
    licence = f", licence {result['licence']}" if result["licence"] else ", whose card names no licence"
    yield f"- base model: {base}{licence}" if base else "- base model: none, it began with random weights"
    yield f"- data: {result['source']}, {counted(result['records'], 'record')}"
    names = ", ".join(result["labels"][:20]) + (" ..." if len(result["labels"]) > 20 else "")
    labels = f"{counted(len(result['labels']), 'label')}: {names}"
    yield f"- way: {result['way']}; pooling `{result['pooling']}`; head `{result['head']}`; {result['task']} task"
    yield f"- {labels if result['labels'] else 'no classifier: its vectors were trained'}"
    yield f"- {result['parameters']:,} parameters, {result['trained_parameters']:,} of them learned here"


def _how(result: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
    where = result["machine"]
    judged = f"each judged in {result['folds']} folds" if result["folds"] else f"{result['held_out']} held out"
    refused = f" {counted(result['refused'], 'record')} could not be used, and left out." if result["refused"] else ""
    steps = f"{result['steps']} steps in" if result["steps"] else "Fitted in"
    return (
        f"{result['date']}: {counted(result['learned'], 'record')} learned from, {judged}.{refused} {steps} "
        f"{result['seconds']:.0f} s on {where['processor']}, {where['threads']} of {where['cores']} cores, device "
        f"{where['device']}, torch {where['torch']}. Objective: {recipe['objective']['kind']}. The whole recipe is in "
        "`training.json`."
    )


def _figures(result: Mapping[str, Any]) -> str:
    if not result["scores"]:
        return "None: too few records were held out to judge."
    ranges = {name: f" [{at['low']:.4f}, {at['high']:.4f}]" for name, at in result["intervals"].items()}
    scores = {name: float(value) for name, value in result["scores"].items()}  # no number is a word in JSON
    rows = [(name.replace("_", " "), f"{value:.4f}{ranges.get(name, '')}") for name, value in scores.items()]
    if result["labels"]:
        rows.append(("calibration error (15 bins), as it is", f"{result['error_before']:.4f}"))
        if result["temperature"] != 1:
            rows.append((f"the same at temperature {result['temperature']:.3f}", f"{result['error']:.4f}"))
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    compared = [
        f"- `{one['pooling']}`: {', '.join(f'{n.replace(chr(95), chr(32))} {v:.4f}' for n, v in one['scores'].items())}"
        for one in result["poolings"]
    ]
    others = "\n\nCompared, each judged on its own:\n\n" + "\n".join(compared) if compared else ""
    return f"| score | value |\n|---|---|\n{table}{others}"
