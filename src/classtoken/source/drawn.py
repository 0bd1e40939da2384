"""Pictures that the package draws itself, as a source: `builtin:scenes?count=1000&seed=0&start=0`, `builtin:tiny`."""

import hashlib
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from classtoken.errors import SourceError
from classtoken.source.base import Entry, Listing, Shard, Source, SourceOptions

PREFIX = "builtin:"
#: What can be drawn, and the function of `classtoken.drawn` that gives its records.
DRAWN = {"scenes": "records", "tiny": "tiny_records"}
#: What may stand behind the question mark, and what it is when left out.
USUAL = {"count": 1000, "seed": 0, "start": 0}


class Drawn(Source):
    """Pictures `start` .. `start + count` of a seed, drawn when they are read; each follows from (seed, number) alone.

    Scenes have several labels, tiny faces one. Raises `SourceError` for a name or a value that does not exist.
    """

    kind = "drawn"

    def __init__(self, name: str, options: SourceOptions):
        self.name = name
        self.options = options
        parts = urlsplit(name)
        if parts.path not in DRAWN:
            raise SourceError(
                f"there is no built-in source '{name}'; there are {', '.join(PREFIX + n for n in DRAWN)}."
            )
        self.what = parts.path
        self._values = {**USUAL, **_numbers(name, parts.query)}

    def scan(self, every: int, limit: int | None = None) -> Listing:
        count = self._values["count"] if limit is None else min(self._values["count"], limit)
        which = f"{self.what} {self._values['seed']} {self._values['start']}"
        stamp = hashlib.blake2b(which.encode(), digest_size=16).hexdigest()
        return Listing((Shard("", count, stamp, tuple(range(0, count, every))),))

    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        import classtoken.drawn as drawn

        draw = getattr(drawn, DRAWN[self.what])
        left = self._values["count"] - start
        yield from draw(left, seed=self._values["seed"], start=self._values["start"] + start)


def _numbers(name: str, query: str) -> dict[str, int]:
    usual = "&".join(f"{word}={value}" for word, value in USUAL.items())
    try:
        given = parse_qs(query, strict_parsing=bool(query))
        values = {word: int(texts[-1]) for word, texts in given.items()}
    except ValueError:
        values = {"": -1}
    unknown = sorted(values.keys() - USUAL)
    if unknown and unknown[0]:
        raise SourceError(f"'{name}' has {unknown[0]}; a built-in source takes count, seed and start.")
    if any(value < 0 for value in values.values()):
        raise SourceError(
            f"'{name}' is not understood; write whole numbers from 0, as in {name.split('?')[0]}?{usual}."
        )
    return values
