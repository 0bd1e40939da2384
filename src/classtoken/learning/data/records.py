"""Records for training and prediction: those of a SOURCE, or pictures that the package draws itself."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from classtoken import drawn
from classtoken.errors import SourceError, TrainingError
from classtoken.source import Source, SourceOptions, open_source
from classtoken.values import Record, Refused

DRAWN = {"scenes": "records", "tiny": "tiny_records"}
"""sources that the package draws itself: builtin:scenes?count=1000&seed=0, builtin:tiny"""


def read_records(
    spec: str | Path | Source, options: SourceOptions, refused: list[Refused], limit: int | None
) -> Iterator[Record]:
    """Records of a SOURCE, or of pictures that the package draws (`builtin:scenes?count=1000&seed=0`)."""
    if isinstance(spec, str) and spec.startswith("builtin:"):
        yield from _drawn(spec)
        return
    yield from open_source(spec, options).records(refused, limit=limit)


def renamed(records: Iterable[Record], names: Mapping[str, str]) -> Iterator[Record]:
    """Records whose labels are called by their names (`names`: old to new; empty: as they are).

    A label without a name raises `TrainingError`, and so do two labels of one name.
    """
    taken: dict[str, str] = {}
    for old, new in names.items():
        if taken.setdefault(new, old) != old:
            raise TrainingError(f"label_names calls both '{taken[new]}' and '{old}' '{new}'; give each its own name.")

    def name(label: str) -> str:
        if label in names:
            return names[label]
        raise TrainingError(
            f"the label '{label}' has no name in label_names, which has {', '.join(names)}; name every label there."
        )

    for record in records:
        label = record.label
        if not names or not label:
            yield record
        else:
            yield replace(record, label=name(label) if isinstance(label, str) else tuple(map(name, label)))


def _drawn(spec: str) -> Iterator[Record]:

    parts = urlsplit(spec)
    if parts.path not in DRAWN:
        raise SourceError(
            f"there is no built-in source '{spec}'; there are {', '.join(f'builtin:{n}' for n in DRAWN)}."
        )
    try:
        values = {
            name: int(given[-1]) for name, given in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()
        }
    except ValueError:
        raise SourceError(
            f"'{spec}' is not understood; write builtin:{parts.path}?count=1000&seed=0&start=0."
        ) from None
    unknown = sorted(values.keys() - {"count", "seed", "start"})
    if unknown:
        raise SourceError(f"'{spec}' has {unknown[0]}; a built-in source takes count, seed and start.")
    count = values.pop("count", 1000)
    yield from getattr(drawn, DRAWN[parts.path])(count, **values)
