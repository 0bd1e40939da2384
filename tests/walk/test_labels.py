"""Answers are called by name where a folder only numbers ImageNet's classes, and left alone everywhere else."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from classtoken.walk.labels import answer_names, apart, imagenet

THOUSAND = tuple(str(i) for i in range(1000))


def embedder(folder: Path, family: str) -> Any:
    tower = SimpleNamespace(reading=SimpleNamespace(family=SimpleNamespace(name=family)))
    return cast(Any, SimpleNamespace(folder=folder, tower=lambda: tower))


def test_a_thousand_names_in_their_usual_order() -> None:
    assert len(imagenet()) == 1000
    assert (imagenet()[0], imagenet()[281], imagenet()[999]) == ("tench", "tabby", "toilet tissue")


@pytest.mark.parametrize(
    ("family", "card", "labels", "named"),
    [
        ("timm vit", "", THOUSAND, True),
        ("vit", "Trained on ImageNet-1k.", tuple(f"LABEL_{i}" for i in range(1000)), True),
        ("vit", "Trained on something else.", THOUSAND, False),
        ("timm vit", "", THOUSAND[:10], False),
        ("timm vit", "", ("a", *THOUSAND[1:]), False),
    ],
)
def test_where_they_are_used(tmp_path: Path, family: str, card: str, labels: tuple[str, ...], named: bool) -> None:
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    assert (answer_names(embedder(tmp_path, family), labels) == imagenet()) == named


def test_classes_of_one_name_are_told_apart_by_their_numbers() -> None:
    named = apart(imagenet())
    assert len(set(named)) == 1000
    assert (named[134], named[517], named[281]) == ("crane (class 134)", "crane (class 517)", "tabby")
