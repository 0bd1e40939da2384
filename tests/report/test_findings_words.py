"""The report over many inputs claims intervals where there are some."""

import numpy as np

from classtoken.measure.statistics import LEAST, mean_interval
from classtoken.report.findings import TOO_FEW, _over, intervals_in_words


def test_intervals_are_claimed_only_where_all_of_them_are_known() -> None:
    enough, few = mean_interval(np.arange(LEAST)), mean_interval(np.arange(LEAST - 1))
    assert "95 %" in intervals_in_words([enough])
    assert "95 %" not in intervals_in_words([enough, few])
    assert TOO_FEW in _over(few)
    assert "inf" not in _over(few)
    assert TOO_FEW not in _over(enough)
