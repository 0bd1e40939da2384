"""The report over many inputs claims intervals where there are some."""

import numpy as np

from classtoken.measure.statistics import LEAST, mean_interval
from classtoken.report.findings import TOO_FEW, _layers, _over, intervals_in_words
from classtoken.results.explain_data import Findings


def test_intervals_are_claimed_only_where_all_of_them_are_known() -> None:
    enough, few = mean_interval(np.arange(LEAST)), mean_interval(np.arange(LEAST - 1))
    assert "95 %" in intervals_in_words([enough])
    assert "95 %" not in intervals_in_words([enough, few])
    assert TOO_FEW in _over(few)
    assert "inf" not in _over(few)
    assert TOO_FEW not in _over(enough)


def test_the_line_of_one_shuffle_is_not_said_to_show_what_was_learned() -> None:
    """Five seeds of shuffled weights differ by 0.02 to 0.05."""
    said = _layers(Findings("m", "d", 20, "cls", ())).says
    assert "of one shuffle: another one differs" in said
    assert "learned" not in said
