"""What answers are called where a model's folder only numbers its classes."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from classtoken.embedder import Embedder

NAMES = Path(__file__).with_name("imagenet-1k.txt")
"""ImageNet-1k's classes in their usual order, one a line; crane and maillot are two each"""


def answer_names(embedder: Embedder, labels: Sequence[str]) -> tuple[str, ...]:
    """The labels; ImageNet-1k's names where a folder numbers a thousand classes and is timm's (which takes a thousand
    for these, too) or names ImageNet in its card."""
    family, card = embedder.tower().reading.family, embedder.folder / "README.md"
    says = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    known = (family is not None and family.name.startswith("timm")) or "imagenet" in says.lower()
    return imagenet() if known and numbered(labels) and len(labels) == len(imagenet()) else tuple(labels)


def apart(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels; of classes that are called the same, each with its number behind: ImageNet's two cranes are a bird
    and a machine."""
    counts = Counter(labels)
    return tuple(label if counts[label] == 1 else f"{label} (class {i})" for i, label in enumerate(labels))


def numbered(labels: Sequence[str]) -> bool:
    """Whether labels are only the classes' own numbers: "284", or transformers' "LABEL_284"."""
    return all(label.removeprefix("LABEL_") == str(i) for i, label in enumerate(labels))


@cache
def imagenet() -> tuple[str, ...]:
    """The thousand names."""
    return tuple(NAMES.read_text(encoding="utf-8").splitlines())
