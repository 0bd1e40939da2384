"""What a person meets at a prompt: the package's names, and results that say what they are."""

from pathlib import Path

import pytest
from tests.folders import tiny_bert

import classtoken as ct


def test_a_name_that_is_not_there_is_answered_with_the_nearest() -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'embbed'; did you mean 'embed'\?"):
        ct.embbed  # noqa: B018
    with pytest.raises(AttributeError, match=r"has no attribute 'zzz'$"):
        ct.zzz  # noqa: B018
    assert not [name for name in dir(ct) if name not in ct.__all__]


def test_what_was_made_says_what_it_is(tmp_path: Path) -> None:
    ct.embed(tiny_bert(tmp_path / "bert"), ["a cat", "a dog"], tmp_path / "made", pooling="cls,mean")
    made = ct.read(tmp_path / "made")
    assert repr(made) == f"Vectors({str(tmp_path / 'made')!r}, 2 rows, cls: 32, mean: 32)"
    assert repr(made.arrays) == "Arrays(cls: (2, 32), mean: (2, 32))"
