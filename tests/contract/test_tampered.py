"""Folders that something happened to: the reference's vector, or a refusal in one line, or the thing is named.

Each trial makes an ordinary folder, changes one or two things of it (`tampering`, drawn from a seed), and opens it here
and in the library that it is for. A tenth of the trials in every run of the tests, all of them by `make soak`.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.contract.tampering import tamper
from tests.contract.untampered import EVERY, Numbers, Untampered, done_by, named_in

from classtoken.errors import ClasstokenError

TRIALS, OFTEN = 40, 4
TOLERANCE = 1e-5
#: What a changed folder may be called by `inspect` besides its key: words that stand for what was changed.
CALLED = {"tokenizer.json": "tokenizer", "preprocessor_config.json": "preprocessor file"}


@pytest.fixture(scope="module", params=EVERY, ids=lambda one: one.name)
def one(request: pytest.FixtureRequest) -> Untampered:
    return request.param


@pytest.fixture(scope="module")
def untouched(one: Untampered, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return one.make(tmp_path_factory.mktemp("untampered") / "model")


def apart(ours: Numbers, theirs: Numbers) -> float:
    """The largest difference, relative to the largest number; infinite where shapes or what there is differ."""
    if ours.keys() != theirs.keys():
        return float("inf")
    worst = 0.0
    for key, found in ours.items():
        for x, y in zip(map(np.asarray, found), map(np.asarray, theirs[key]), strict=True):
            if x.shape != y.shape or not np.isfinite(x).all():
                return float("inf")
            worst = max(worst, float(np.abs(x - y).max() / max(1.0, float(np.abs(y).max()))))
    return worst


def wrong(one: Untampered, folder: Path, untouched: Path, before: Numbers, done: list[str]) -> str:
    """What is wrong with how a changed folder was taken; empty where nothing is.

    Where the library itself fails nothing may have moved, unless `inspect` says that something is done otherwise.
    """
    try:
        ours = one.ours(folder)
        named, does = named_in(folder), done_by(folder)
    except ClasstokenError as error:
        return f"several lines: {error}" if "\n" in str(error) else ""
    if one.theirs is None:
        return ""
    try:
        wanted = one.theirs(folder)
    except Exception:  # whatever a library says to a folder that cannot be
        if does != done_by(untouched):
            return ""
        wanted = before
    shown = " ".join(does)  # of a file beside, the limit or the switch that was taken out of it, with its name
    beside = [line.split(" ")[0] for line in done if " beside, " in line]
    told = any(key and key in named for line in done for key in keys(line)) or any(name in shown for name in beside)
    if told or apart(ours, wanted) <= TOLERANCE:
        return ""
    return f"{apart(ours, wanted):.1e} from the reference"


def keys(line: str) -> list[str]:
    """The key and the file that a change was of, as `inspect` may name them."""
    file, _, rest = line.partition(": ")
    return [rest.split(" ")[0].rsplit(".", 1)[-1], CALLED.get(file.split(" ")[0], "")]


def found_in(one: Untampered, untouched: Path, folder: Path, seeds: range) -> list[str]:
    before, found = one.ours(untouched), []
    for seed in seeds:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(untouched, folder)
        done = tamper(folder, seed)
        said = wrong(one, folder, untouched, before, done)
        if said:
            found.append(f"seed {seed}, {'; '.join(done)}: {said}")
    return found


@pytest.mark.slow
def test_untouched(one: Untampered, untouched: Path) -> None:
    ours = one.ours(untouched)
    assert one.theirs is None or apart(ours, one.theirs(untouched)) <= TOLERANCE


def test_a_tenth(one: Untampered, untouched: Path, tmp_path: Path) -> None:
    assert found_in(one, untouched, tmp_path / "model", range(OFTEN)) == []


@pytest.mark.soak
def test_all(one: Untampered, untouched: Path, tmp_path: Path) -> None:
    assert found_in(one, untouched, tmp_path / "model", range(OFTEN, TRIALS)) == []
