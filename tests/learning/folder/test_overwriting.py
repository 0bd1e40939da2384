"""`overwrite`: what is there stays until nothing may be refused any more, goes with a word, and a stop tells how to go
on."""

import errno
import logging
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.folders import tiny_vit
from tests.learning.training import scratch, texts, train

import classtoken as ct
from classtoken.destination import entries
from classtoken.embedder import load
from classtoken.errors import ClasstokenError, OutputError
from classtoken.files import UNFINISHED, alone
from classtoken.learning.recipe import Recipe
from classtoken.learning.work import HELD
from classtoken.model_folder import BEFORE

TEXTS = {
    "model": {
        "hidden_size": 16,
        "depth": 1,
        "stem": {"kind": "text", "vocabulary": 60, "positions": 16, "kinds": 2},
        "block": {"heads": 2, "feedforward_size": 32, "order": "post", "final_norm": False, "norm_eps": 1e-12},
    },
    "loop": {"epochs": 1.0, "batch": 12},
    "data": {"longest": 16, "held_out": 0.2},
}


def with_tables(recipe: dict[str, Any], **tables: Any) -> dict[str, Any]:
    return {**recipe, **{name: {**recipe.get(name, {}), **table} for name, table in tables.items()}}


def held(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


PICTURES = scratch().to_dict()
REFUSED = {
    "no label": (PICTURES, {}, "has no label"),
    "crops of no whole patches": (
        PICTURES,
        {"objective": {"kind": "dino", "local_size": 13}},
        "whole number of patches",
    ),
    "a patience without a score": (
        PICTURES,
        {"objective": {"kind": "dino"}, "loop": {"patience": 2}},
        "without labels no score",
    ),
    "one label of texts": (TEXTS, {}, r"have 1 label \(a\)"),
    "two views that are one": (TEXTS, {"objective": {"kind": "contrast"}, "loop": {"dropout": 0.0}}, "dropout above 0"),
    "lengths beyond the vector": (
        TEXTS,
        {"objective": {"kind": "contrast", "matryoshka": [64]}, "loop": {"dropout": 0.1}},
        "lengths below",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_costs_no_earlier_model(tmp_path: Path, squares: Path, case: str) -> None:
    recipe, tables, message = REFUSED[case]
    rows = {"text": texts(24), "label": ["a", "b"] * 12}
    source: Any = rows if recipe is TEXTS else squares
    ct.train(None, source, tmp_path / "out", recipe=PICTURES if source is squares else TEXTS)
    before = held(tmp_path / "out")
    if "label" in case:
        source = {**rows, "label": ["a"] * 24} if recipe is TEXTS else {"image": sorted(squares.rglob("*.png"))}
    if "score" in case:
        source = {"image": sorted(squares.rglob("*.png"))}
    with pytest.raises(ClasstokenError, match=message):
        ct.train(None, source, tmp_path / "out", recipe=with_tables(recipe, **tables), overwrite=True)
    assert held(tmp_path / "out") == before
    load(tmp_path / "out")


def test_a_vocabulary_that_is_learned_before_the_old_one_goes_comes_to_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = {"text": texts(24), "label": ["a", "b"] * 12}
    ct.train(None, rows, tmp_path / "fresh", recipe=TEXTS)
    other = {"text": [f"{text} another" for text in texts(24)], "label": ["a", "b"] * 12}
    ct.train(None, other, tmp_path / "out", recipe=TEXTS)
    assert not caplog.records
    with caplog.at_level(logging.WARNING, logger="classtoken"):
        ct.train(None, rows, tmp_path / "out", recipe=TEXTS, overwrite=True)
    assert "is kept in '" in caplog.text
    names = ("tokenizer.json", "model.safetensors", "classtoken.safetensors")
    assert all((tmp_path / "out" / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes() for name in names)
    assert entries(tmp_path / "out") == entries(tmp_path / "fresh")


def test_a_vocabulary_of_other_texts_is_not_taken_over(tmp_path: Path) -> None:
    """A run that ends between the vocabulary and the first step has claimed nothing: its texts may be changed."""
    rows = {"text": texts(24), "label": ["a", "b"] * 12}
    other = {"text": [f"{text} another" for text in texts(24)], "label": ["a", "b"] * 12}
    ct.train(None, rows, tmp_path / "fresh", recipe=TEXTS)
    with pytest.raises(ClasstokenError, match="distillation token"):
        ct.train(None, other, tmp_path / "out", recipe=with_tables(TEXTS, head={"kind": "distilled"}))
    ct.train(None, rows, tmp_path / "out", recipe=TEXTS)
    names = ("tokenizer.json", "model.safetensors", "classtoken.safetensors")
    assert all((tmp_path / "out" / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes() for name in names)


def test_a_stop_says_that_the_same_command_would_begin_anew(tmp_path: Path, squares: Path) -> None:
    vit, out = tiny_vit(tmp_path / "vit"), tmp_path / "out"
    recipe = {"unfreeze": "last-1", "loop": {"epochs": 2.0, "batch": 12}, "optimiser": {"learning_rate": 1e-3}}

    def press(progress: Any) -> None:
        if progress.what == "training":
            signal.raise_signal(signal.SIGINT)

    fresh = ct.train(vit, squares, out, recipe=recipe)
    with pytest.raises(KeyboardInterrupt, match=r"stopped at step 1 .* without `overwrite` goes on from there"):
        ct.train(vit, squares, out, recipe=recipe, overwrite=True, report=press)
    assert (out / BEFORE).is_dir()
    steps = list[int]()
    found = ct.train(vit, squares, out, recipe=recipe, report=lambda p: steps.append(p.done))
    assert (min(steps), found.steps, found.scores) == (2, fresh.steps, fresh.scores)
    assert not (out / BEFORE).exists()
    with pytest.raises(KeyboardInterrupt, match="; the same command goes on from there"):
        train(squares, tmp_path / "new", model=vit, recipe=Recipe.from_dict(recipe), report=press)


@pytest.mark.parametrize("where", ["learn.encoder_hash", "work._remove"])
def test_a_stop_before_the_first_step_says_where_the_old_model_is(
    tmp_path: Path, squares: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not go on without `overwrite`: the folder is still the old one's."""
    out, again = tmp_path / "out", with_tables(PICTURES, loop={"epochs": 2.0})

    def press(*given: Any) -> None:
        if where == "work._remove":
            (out / "training.json").unlink()
        raise KeyboardInterrupt

    ct.train(None, squares, out, recipe=PICTURES)
    monkeypatch.setattr(f"classtoken.learning.{'ways.' * where.startswith('learn')}{where}", press)
    with pytest.raises(
        KeyboardInterrupt, match=r"stopped before the first step\. The model that .* in '(.*)'\."
    ) as told:
        ct.train(None, squares, out, recipe=again, overwrite=True)
    place = str(told.value).split("'")[1]
    assert place == str(out if where.startswith("learn") else out / BEFORE)
    load(place)


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_the_model_before_is_kept_whole_until_the_new_one_is(
    tmp_path: Path, squares: Path, links: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where that is overwritten before it has finished, and the file system has no links."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    def press(progress: Any) -> None:
        if progress.what == "training":
            raise KeyboardInterrupt

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    out, before = tmp_path / "out", tmp_path / "out" / BEFORE
    ct.train(None, squares, out, recipe=PICTURES)
    first = {name: content for name, content in held(out).items() if name != "checkpoint.pt"}
    for epochs in (2.0, 3.0):
        again = with_tables(PICTURES, loop={"epochs": epochs})
        with pytest.raises(KeyboardInterrupt):
            ct.train(None, squares, out, recipe=again, overwrite=True, report=press)
        assert held(before) == first
    assert caplog.text.count("is kept in") == 1
    ct.load(before)
    ct.train(None, squares, tmp_path / "fresh", recipe=with_tables(PICTURES, loop={"epochs": 3.0}))
    ct.train(None, squares, out, recipe=with_tables(PICTURES, loop={"epochs": 3.0}))
    assert entries(out / "_meta") == entries(tmp_path / "fresh" / "_meta") - {"begun"}
    assert (out / "model.safetensors").read_bytes() == (tmp_path / "fresh" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("way", ["frozen", "finetune", "scratch"])
def test_one_process_trains_in_a_folder(tmp_path: Path, squares: Path, way: str) -> None:
    """Of two, each would remove or write what the other one has there, and both would say that they are done."""
    out, model = tmp_path / "out", None if way == "scratch" else tiny_vit(tmp_path / "vit")
    recipe = Recipe.from_dict(PICTURES if way == "scratch" else {"unfreeze": "last-1" * (way == "finetune")})
    with alone(out / HELD), pytest.raises(OutputError, match=r"another training is at work in '.*out'; wait for it"):
        train(squares, out, model=model, recipe=recipe)
    train(squares, out, model=model, recipe=recipe)
    before = held(out)
    for overwrite in (False, True):
        with alone(out / HELD), pytest.raises(OutputError, match="another training is at work"):
            ct.train(model, squares, out, recipe=recipe.to_dict(), overwrite=overwrite)
    assert held(out) == before
    assert not any(name.endswith(UNFINISHED) for name in before)


def test_what_is_kept_goes_though_a_kill_came_between(tmp_path: Path, squares: Path) -> None:
    ct.train(None, squares, tmp_path / "out", recipe=PICTURES)
    (tmp_path / "out" / BEFORE).mkdir()
    ct.train(None, squares, tmp_path / "out", recipe=PICTURES)
    assert not (tmp_path / "out" / BEFORE).exists()


def test_a_kill_while_the_model_is_put_aside_costs_nothing(
    tmp_path: Path, squares: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, left = tmp_path / "out", tmp_path / "out" / "_meta" / ".before.unfinished"
    ct.train(None, squares, out, recipe=PICTURES)
    before, again = held(out), with_tables(PICTURES, loop={"epochs": 2.0})

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("classtoken.learning.work.link_or_copy", die)
        with pytest.raises(KeyboardInterrupt):
            ct.train(None, squares, out, recipe=again, overwrite=True)
    assert held(out) == before
    left.mkdir()
    (left / "half.safetensors").touch()  # as a process that is killed hard leaves it
    ct.train(None, squares, out, recipe=again, overwrite=True)
    assert not left.exists()
    assert not (out / BEFORE).exists()
