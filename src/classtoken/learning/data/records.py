"""Records for training whose labels are called by other names."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from classtoken.errors import TrainingError
from classtoken.values import Record


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
