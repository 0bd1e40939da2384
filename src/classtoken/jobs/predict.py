"""A trained classifier applied to a whole source."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from classtoken.embedder import Embedder, Precision, load
from classtoken.errors import BadRecord, OptionError, OutputError
from classtoken.files import whole_file
from classtoken.head import probabilities
from classtoken.results.base import write
from classtoken.results.train import PredictResult
from classtoken.sink import write_quarantine
from classtoken.source import Source, SourceOptions, open_source
from classtoken.tokens.image import ImagePreprocessor
from classtoken.values import Record, Refused

CHUNK = 128
EXAMPLES = 3


def predict(
    source: str | Path | Source,
    out: str | Path,
    *,
    model: str | Path | Embedder,
    every: bool = False,
    source_options: SourceOptions | None = None,
    device: str | None = None,
    revision: str | None = None,
    precision: Precision = "fp32",
    modality: str | None = None,
    limit: int | None = None,
) -> PredictResult:
    """Label every record of a source: `out/predictions.csv` with id, label, probability.

    With several labels a row, `label` holds those above one half joined by `|`, and `probability` that of the most
    probable one. `every`: a column `p:LABEL` per class too. Probabilities are at the model's fitted temperature. Where
    the records have labels, under the model's names or those of the data that it learned from, the result says how many
    were right. Raises `ContractError` for a model without classifier.
    """
    began, out = monotonic(), Path(out)
    if out.exists() and not out.is_dir():
        raise OutputError(f"'{out}' is a file; give a folder to --out.")
    embedder = (
        model if isinstance(model, Embedder) else load(model, device=device, revision=revision, precision=precision)
    )
    labels = embedder.labels
    side = modality or embedder.modalities[0]
    classifier = embedder.tower(side).reading.classifier
    if classifier is None:
        raise OptionError(f"the {side} side of '{embedder.name}' has no classifier; name another --modality.")
    out.mkdir(parents=True, exist_ok=True)
    refused, tally = list[Refused](), Tally(len(labels), classifier.multilabel, classifier.label_names)
    with whole_file(out / "predictions.csv") as writing, writing.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "label", "probability", *([f"p:{name}" for name in labels] if every else [])])
        for records, logits in _logits(embedder, side, source, source_options, refused, limit):
            chances = _chances(logits, classifier.multilabel, classifier.temperature)
            for record, row in zip(records, chances, strict=True):
                chosen = _chosen(row, labels, classifier.multilabel)
                table.writerow([record.id, "|".join(chosen), f"{row.max():.6f}", *(f"{p:.6f}" for p in row if every)])
                tally.count(record, chosen)
    write_quarantine(out, refused)
    result = PredictResult(
        out=out.as_posix(),
        model=embedder.name,
        labels=labels,
        records=tally.found,
        refused=len(refused),
        examples=tuple(refused[:EXAMPLES]),
        seconds=monotonic() - began,
        judged=tally.judged,
        accuracy=tally.accuracy,
        label_accuracy=tally.label_accuracy,
        unknown=tuple(sorted(tally.seen - set(labels))),
    )
    write(result, out / "result.json")
    return result


@dataclass
class Tally:
    """Records labelled, and of those whose label is known how many were right."""

    labels: int
    multilabel: bool
    names: Mapping[str, str] = field(default_factory=dict)
    found: int = 0
    judged: int = 0
    right: int = 0
    hits: int = 0
    seen: set[str] = field(default_factory=set)

    def count(self, record: Record, chosen: tuple[str, ...]) -> None:
        """One more record and the labels chosen for it."""
        self.found += 1
        if record.label is None:
            return
        named = record.label if isinstance(record.label, tuple) else (record.label,)
        given = {self.names.get(label, label) for label in named}
        self.seen |= given
        self.judged += 1
        self.right += set(chosen) == given
        self.hits += self.labels - len(set(chosen) ^ given)

    @property
    def accuracy(self) -> float | None:
        """Records whose labels are all right, of those that were judged."""
        return self.right / self.judged if self.judged else None

    @property
    def label_accuracy(self) -> float | None:
        """Labels given or withheld rightly, of all labels of all judged records; for several labels a row."""
        return self.hits / (self.judged * self.labels) if self.judged and self.multilabel else None


def _logits(
    embedder: Embedder,
    side: str,
    source: str | Path | Source,
    options: SourceOptions | None,
    refused: list[Refused],
    limit: int | None,
) -> Iterator[tuple[list[Record], NDArray]]:
    """Records that could be read with their logits, a chunk at a time; the others go into `refused`."""
    prepare = embedder.tower(side).prepare
    good: list[Record] = []
    for record in open_source(source, options).records(refused, limit=limit):
        try:
            item = record.image if side == "image" else record.text
            if item is None or item == "":
                raise BadRecord(f"there is no {side} in this record.")
            if isinstance(prepare, ImagePreprocessor):
                prepare.prepare(item, name=record.id)
            good.append(record)
        except BadRecord as error:
            refused.append(Refused(record.id, str(error).removeprefix(f"{record.id}: ")))
        if len(good) == CHUNK:
            yield good, _of(embedder, side, good)
            good = []
    if good:
        yield good, _of(embedder, side, good)


def _of(embedder: Embedder, side: str, records: list[Record]) -> NDArray:
    return embedder.logits([record.image if side == "image" else record.text for record in records])


def _chances(logits: NDArray, multilabel: bool, temperature: float) -> NDArray:
    import torch

    p = probabilities(torch.from_numpy(logits), multilabel=multilabel, temperature=temperature)
    found: NDArray = p.float().numpy()
    return found


def _chosen(row: NDArray, labels: tuple[str, ...], multilabel: bool) -> tuple[str, ...]:
    """The labels above one half, or the most probable one."""
    if multilabel:
        return tuple(name for name, p in zip(labels, row, strict=True) if p > 0.5)
    return (labels[int(np.argmax(row))],)
