"""Progress as a person sees it where stderr is no terminal."""

import pytest

from classtoken.cli import progress as shown
from classtoken.values import Progress


def test_a_line_now_and_then_says_what_how_far_and_how_it_goes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shown, "QUIET", 0.0)
    with shown.progress("training") as report:
        report(Progress(5, 10, 0, 2, 2.0))
        report(Progress(6, 10, 2, 0, 2.0, what="features", note="loss 0.5"))
        report(Progress(10, 10, seconds=4.0))
    assert capsys.readouterr().err.splitlines() == [
        "training: 5 of 10, 2.5 a second, 2 s left, 2 refused",
        "features: 6 of 10, 2.0 a second, 2 s left, loss 0.5",
    ]
