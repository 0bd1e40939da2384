"""The temperature of a classifier that was not trained here, fitted to records whose labels are known."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from classtoken.embedder import Embedder
from classtoken.errors import OptionError
from classtoken.inputs import batches
from classtoken.learning.judge import FEWEST, fit_temperature
from classtoken.options import SourceOptions
from classtoken.source import Reader, make_plan, open_source
from classtoken.values import Record

#: Records that are looked at, at most, and how many from one place: more make a temperature no better, and the first
#: ones of a source are often of one label.
MOST, AT_ONE_PLACE = 2000, 20


def fitted_temperature(
    embedder: Embedder, side: str, source: Any, options: SourceOptions, *, prompt: str | None = None
) -> float:
    """T that makes this classifier's probabilities fit the labels of a source (`judge.fit_temperature`).

    Raises `OptionError` where too few records have a label of the classifier's.
    """
    places = {label: place for place, label in enumerate(embedder.labels)}
    prepare = embedder.tower(side).prepare
    opened = open_source(source, options)
    labelled = [record for record in _records(opened) if isinstance(record.label, str) and record.label in places]
    found: dict[int, np.ndarray] = {}
    for batch in batches(prepare, enumerate(labelled), lambda place, why: None, prompt=prompt):
        rows, _ = embedder.answers_of(batch.tokens, modality=side, prompt=prompt)
        found.update(zip(batch.places, rows, strict=True))
    if len(found) < FEWEST:
        names = ", ".join(list(places)[:5])
        raise OptionError(
            f"`calibrate` is {opened.name}, where {len(found)} of its records have one of the labels {names} ...; a "
            f"temperature needs {FEWEST} or more."
        )
    # The logarithm of a softmax is the logits but for a number that all classes share, which no softmax sees.
    logits = torch.from_numpy(np.log(np.stack([found[place] for place in found]).clip(1e-12)))
    targets = torch.tensor([places[str(labelled[place].label)] for place in found])
    return fit_temperature(logits, targets, "single")


def _records(opened: Any) -> Iterator[Record]:
    """All records, or `MOST` of them from places that are spread over the source."""
    reader, plan = Reader(opened), make_plan(opened, task_rows=AT_ONE_PLACE)
    count = len(plan.tasks) * min(1.0, MOST / plan.total)
    for number in np.unique(np.linspace(0, len(plan.tasks) - 1, max(1, int(count))).round().astype(int)).tolist():
        yield from (entry for entry in reader(plan.tasks[number]) if isinstance(entry, Record))
