"""What a run was, in plain values: the machine, the versions, the training record and the card written from it."""

import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import torch

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


def card(title: str, about: str, record: Mapping[str, Any], lines: Sequence[str] = ()) -> str:
    """The model card: every figure comes from the training record."""
    result, recipe = record["result"], record["recipe"]
    where = record["result"]["machine"]
    ranges = {name: f" [{at['low']:.4f}, {at['high']:.4f}]" for name, at in result["intervals"].items()}
    scores = "\n".join(
        f"| {name.replace('_', ' ')} | {value:.4f}{ranges.get(name, '')} |" for name, value in result["scores"].items()
    )
    judged = f"each judged in {result['folds']} folds" if result["folds"] else f"{result['held_out']} held out"
    names = ", ".join(result["labels"][:20]) + (" ..." if len(result["labels"]) > 20 else "")
    labelled, used = bool(result["labels"]), "logits" if result["labels"] else "embed"
    learned = f"{len(result['labels'])} labels: {names}" if labelled else "no classifier: its vectors were trained"
    if labelled:
        scores += f"\n| calibration error (15 bins) | {result['error']:.4f} |"
    figures = f"| score | value |\n|---|---|\n{scores}" if scores else "None: no record was held out to judge."
    refused = f" {result['refused']} records could not be read and were left out." if result["refused"] else ""
    parts = [
        f"# {title}",
        about,
        "## What it is",
        f"- way: {result['way']}; pooling `{result['pooling']}`; head `{result['head']}`; {result['task']} task",
        f"- {learned}",
        f"- {result['parameters']:,} parameters, {result['trained_parameters']:,} of them learned here",
        "",
        "## How it was trained",
        f"{result['learned']} records learned from, {judged}.{refused} {result['steps']} steps in "
        f"{result['seconds']:.0f} s on {where['processor']}, {where['threads']} of {where['cores']} cores, device "
        f"{where['device']}, torch {where['torch']}. Objective: {recipe['objective']['kind']}. The whole recipe is in "
        "`training.json`.",
        "## Figures on records that were not learned from",
        figures,
        "What was chosen was chosen without the records that judge it; in brackets, intervals of 95 %. Records of "
        "another kind than these need a test set of their own: `classtoken predict`.",
        *lines,
        "## Use",
        f'```python\nimport classtoken as ct\nmodel = ct.load("{title}")\nmodel.{used}([...])\n```',
    ]
    return "\n\n".join(part for part in parts if part) + "\n"
