"""A source from outside: `embed` reads it, resumes, and carries its columns."""

from pathlib import Path

import numpy as np
import pytest
from tests.extensions.conftest import Install
from tests.folders import tiny_bert

import classtoken as ct
from classtoken.errors import SourceError
from classtoken.source import open_source
from classtoken.testing.sources import check_source

SOURCE = """
import hashlib
from pathlib import Path

from classtoken.source.base import Listing, Shard, Source
from classtoken.values import Record


class Letters(Source):
    kind = "letters"

    def __init__(self, name, options):
        self.name, self.options = name, options

    @classmethod
    def opens(cls, name):
        return name.endswith(".letters")

    def scan(self, every, limit=None):
        data = Path(self.name).read_bytes()
        rows = len(data.splitlines())
        rows = rows if limit is None else min(rows, limit)
        return Listing((Shard(self.name, rows, hashlib.sha256(data).hexdigest(), tuple(range(0, rows, every))),))

    def rows(self, shard, start, first, offset):
        for number, line in enumerate(Path(shard).read_text().splitlines()[start:], start=first):
            yield Record(id=str(number), text=line)
"""


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    path = tmp_path / "post.letters"
    path.write_text("dear all\nthe fox is well\nyours, the dog\n")
    return path


def test_without_it_the_file_is_of_an_unknown_kind(letters: Path) -> None:
    with pytest.raises(SourceError, match="unknown kind"):
        open_source(letters)


def test_a_source_of_another_package_is_opened_and_read(letters: Path, tmp_path: Path, install: Install) -> None:
    install("my_letters", SOURCE, {"sources": "letters = my_letters:Letters"})
    check_source(open_source(letters))
    model = tiny_bert(tmp_path / "model")
    out = tmp_path / "out"
    result = ct.embed(str(model), str(letters), out)
    assert result.rows == 3
    vectors = ct.read(out)
    assert list(vectors.ids) == ["0", "1", "2"]
    texts = letters.read_text().splitlines()
    np.testing.assert_allclose(vectors.arrays["mean"], ct.load(model).embed(texts, pooling="mean"), atol=1e-6)
