"""Plain values that the stages share."""

from classtoken.values import Progress


def test_the_rate_is_that_of_this_run_and_says_how_long_is_left() -> None:
    assert Progress(10, 30, 5, seconds=2.0).rate == 2.5
    assert Progress(10, 30, 5, seconds=2.0).left == 8
    assert Progress(5, 30, 5, seconds=2.0).left is None
