"""The parity with sentence-transformers can fail: each mistake that somebody has made with its folders is noticed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import folders
from tests.contract.test_sentence_transformers import CHAINS, pooling, saved, theirs
from tests.folders import SENTENCES

import classtoken as ct
from classtoken.contract import model, modules, reading
from classtoken.contract.modules import Flow
from classtoken.readout.after import Dense
from classtoken.readout.readout import Readout

pytest.importorskip("sentence_transformers")
Patch = pytest.MonkeyPatch


def chain(name: str) -> Callable[[Path], tuple[Path, list[Any], str | None]]:
    """A folder out of the parity test, and what is embedded with it."""
    return lambda at: (saved(at / "st", folders.tiny_bert(at / "base"), *CHAINS[name]()), SENTENCES, None)


def truncated(at: Path) -> tuple[Path, list[Any], str | None]:
    return saved(at / "st", folders.tiny_bert(at / "base"), pooling(), truncate_dim=12), SENTENCES, None


def prompted(at: Path) -> tuple[Path, list[Any], str | None]:
    behind, prompts = pooling("cls", include_prompt=False), {"query": "the red bird: "}
    return saved(at / "st", folders.tiny_bert(at / "base"), behind, prompts=prompts), SENTENCES, "query"


def images(at: Path) -> tuple[Path, list[Any], str | None]:
    return saved(at / "st", folders.tiny_vit(at / "base", pooler=False), pooling()), folders.pictures(), None


def no_residual(patch: Patch) -> None:
    patch.setattr(Dense, "forward", lambda self, x: self.activate(self.linear(x)))


def tokens_untouched(patch: Patch) -> None:
    original = Readout.__init__

    def build(self: Readout, *args: Any, **named: Any) -> None:
        original(self, *args, **{**named, "before": ()})

    patch.setattr(Readout, "__init__", build)


def whole_length(patch: Patch) -> None:
    patch.setattr(modules, "_truncated", lambda folder, flow: flow)


def class_token_behind_a_prompt(patch: Patch) -> None:
    def follow(folder: Path) -> Flow | None:
        flow = original(folder)
        return flow and Flow((flow.pooling or "").replace("first", "cls"), flow.before, flow.after, flow.says)

    from classtoken.contract import clues

    original = clues.follow
    patch.setattr(clues, "follow", follow)


def patches_alone(patch: Patch) -> None:
    patch.setattr(model, "EVERY_TOKEN", None)


def unit_length_at_the_end(patch: Patch) -> None:
    original = reading.steps_of

    def steps(given: Any, *, ends: bool = True) -> Any:
        return original(sorted(given, key=lambda step: step.kind == "unit_length"), ends=ends)

    patch.setattr(model, "steps_of", steps)


MISTAKES = {
    "a residual is left out": (no_residual, chain("residual of equal sizes")),
    "a projected residual is left out": (no_residual, chain("residual with a projection")),
    "what is done to tokens is left out": (tokens_untouched, chain("dense on every token")),
    "all numbers are given": (whole_length, truncated),
    "the class token stands for the first one behind the prompt": (class_token_behind_a_prompt, prompted),
    "an image's mean leaves its class token out": (patches_alone, images),
    "unit length always comes last": (unit_length_at_the_end, chain("normalised before the dense")),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_noticed(name: str, tmp_path: Path, monkeypatch: Patch) -> None:
    make, build = MISTAKES[name]
    folder, items, prompt = build(tmp_path)
    wanted = theirs(folder, items, prompt_name=prompt)
    right = np.asarray(ct.load(folder).embed(items, prompt=prompt))
    assert np.abs(right - wanted).max() <= 1e-5 * max(1.0, np.abs(wanted).max())
    make(monkeypatch)
    try:
        wrong = np.asarray(ct.load(folder).embed(items, prompt=prompt))
    except ct.errors.ClasstokenError:
        return  # refused: noticed as well
    assert wrong.shape != wanted.shape or np.abs(wrong - wanted).max() > 1e-3
