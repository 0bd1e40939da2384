"""Progress as a person sees it where stderr is no terminal."""

import ast
import json
import sys
import time
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from classtoken import cli
from classtoken.activity import activity, did, heard, work
from classtoken.cli import VERBS
from classtoken.cli import progress as shown
from classtoken.values import Progress


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "FIRST", 0.02)
    monkeypatch.setattr(shown, "THEN", 0.05)


def until(capsys: pytest.CaptureFixture[str], start: str) -> None:
    """Wait for a line on stderr that begins so, however long a busy machine takes to write it."""
    lines: list[str] = []
    limit = time.monotonic() + 60
    while not any(line.startswith(start) for line in lines):
        assert time.monotonic() < limit, lines
        time.sleep(0.01)
        lines += capsys.readouterr().err.splitlines()


def test_a_job_that_says_nothing_is_seen_to_be_at_work(capsys: pytest.CaptureFixture[str]) -> None:
    with shown.progress("inspecting"):
        until(capsys, "inspecting: ")
        until(capsys, "inspecting: ")  # and again


@pytest.mark.slow
def test_a_line_now_and_then_says_what_how_far_and_how_it_goes(capsys: pytest.CaptureFixture[str]) -> None:
    with shown.progress("training") as report:
        report(Progress(5, 10, 0, 2, 2.0))
        until(capsys, "training: 5 of 10, 2.5 a second, 2 s left, 2 refused")
        report(Progress(6, 10, 2, 0, 2.0, what="features", note="loss 0.5"))
        until(capsys, "features: 6 of 10, 2.0 a second, 2 s left, loss 0.5")


def test_what_begins_is_said_before_the_next_line_is_due(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shown, "THEN", 600.0)
    monkeypatch.setattr(shown, "OTHER", 0.0)
    with shown.progress("training") as report:
        report(Progress(0, 6))
        until(capsys, "training: 0 of 6")
        with activity("loading minilm"):
            until(capsys, "training: loading minilm")
        report(Progress(0, 6, what="fitting the head"))
        until(capsys, "fitting the head: 0 of 6")


def test_a_library_that_is_being_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown._importing() == ""
    half = ModuleType("torch")
    half.__spec__ = ModuleSpec("torch", None)
    half.__spec__._initializing = True
    monkeypatch.setitem(sys.modules, "torch", half)
    assert shown._importing() == "loading torch"


def test_slow_steps_are_told_by_how_long_one_takes_and_time_goes_on() -> None:
    slow = Progress(4, 6, seconds=226.0)
    assert shown._rate(slow) == "56 s each, 1 min 53 s left"
    assert shown._rate(slow, 30.0) == "56 s each, 1 min 23 s left"
    assert shown._rate(slow, 200.0) == "56 s each"


def test_no_rate_is_said_before_anything_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with shown.progress("training") as report:
        report(Progress(0, 6, what="fitting the head"))
        until(capsys, "fitting the head: 0 of 6")


def test_events_are_a_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with shown.events("embedding") as report:
            report(Progress(5, 10, 0, 2, 2.0, tokens=50))
            report(Progress(6, 10, 0, 2, 3.0))  # less than a second later
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    begun, first, last = map(json.loads, capsys.readouterr().err.splitlines())
    assert (begun["event"], begun["done"], begun["left"]) == ("begun", 0, None)
    assert (first["event"], first["done"], first["rate"], first["token_rate"]) == ("progress", 5, 2.5, 25.0)
    assert (last["event"], last["what"], last["done"], last["refused"]) == ("stopped", "embedding", 6, 2)


def test_nothing_is_said_of_a_job_that_is_done_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shown, "FIRST", 60.0)
    with shown.progress("embedding") as report:
        report(Progress(1, 1))
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_what_is_being_done_is_said_until_it_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    with shown.progress("labelling") as report:
        with activity("loading minilm"):
            until(capsys, "labelling: loading minilm, ")
        report(Progress(1, 2))
        until(capsys, "labelling: 1 of 2")


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("serve",)])
def test_a_job_is_imported_where_somebody_sees_that_something_happens(verb: str) -> None:
    """Importing torch takes seconds, on a busy machine a minute."""
    tree = ast.parse((Path(cli.__file__).parent / f"{verb}.py").read_text(encoding="utf-8"))
    within = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.With) and "progress" in ast.unparse(block.items[0])
        for node in ast.walk(block)
    }
    jobs = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("classtoken.jobs")
    ]
    quiet = {"read_comparisons", "serve_atlas", "serve_walkthrough"}  # without torch; say themselves what they do
    silent = [
        ast.unparse(node) for node in jobs if id(node) not in within and {n.name for n in node.names}.isdisjoint(quiet)
    ]
    assert jobs
    assert not silent


def test_parts_of_a_work_are_counted_in_the_whole() -> None:
    """A work within another is worth what it says, however many pieces it has; at its end it is done."""
    shares: list[float] = []
    with heard(lambda _: None, shares.append):
        with work(4):
            did()
            assert shares[-1] == pytest.approx(0.25)
            with work(10, worth=2):
                did(5)
                assert shares[-1] == pytest.approx(0.5)
                with work(3, worth=5):
                    did(3)
                    assert shares[-1] == pytest.approx(0.75)
            assert shares[-1] == pytest.approx(0.75)
            with work(0):  # nothing to do
                pass
        assert shares[-1] == 1.0
        assert shares == sorted(shares)
    before = len(shares)
    did()  # nobody listens any more
    assert len(shares) == before


def test_how_much_is_done_and_about_how_long_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shown, "OTHER", 0.0)
    with shown.progress("walking through"), work(100):
        did(1)
        with activity("cat.jpg"):
            until(capsys, "walking through: cat.jpg, 1 %, ")
            did(49)
            until(capsys, "walking through: cat.jpg, 50 %, about ")


@pytest.mark.parametrize(
    ("last", "now", "said"),
    [
        ((0.02, 12.0), 12.0, "2 %, 2 s"),
        ((0.5, 40.0), 40.0, "50 %, about 30 s left"),
        ((1.0, 70.0), 70.0, "about 0 s left"),
    ],
)
def test_the_rest_takes_as_long_as_what_is_done_says(last: tuple[float, float], now: float, said: str) -> None:
    assert said in shown._part((0.0, 10.0), last, now)
