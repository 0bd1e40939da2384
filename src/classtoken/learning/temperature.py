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

#: Records that are looked at; more make a temperature no better.
MOST = 2000


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
    reader = Reader(opened)
    for task in make_plan(opened, limit=MOST).tasks:
        yield from (entry for entry in reader(task) if isinstance(entry, Record))
