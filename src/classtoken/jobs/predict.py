"""A trained classifier applied to a whole source."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classtoken.destination import check_folder
from classtoken.embedder import Embedder, load, prompt_of
from classtoken.errors import OptionError, SourceError
from classtoken.files import user_path, whole_file
from classtoken.inputs import choose_modality
from classtoken.options import PredictOptions
from classtoken.results.base import write
from classtoken.results.train import PredictResult
from classtoken.run import run
from classtoken.run.classifying import PROBABILITIES, ClassifyStage
from classtoken.sink import ParquetSink, Vectors, check_place, read_quarantine
from classtoken.sink.manifest import META
from classtoken.source import first_record, make_plan, open_source
from classtoken.values import Progress, Record

EXAMPLES = 3


def predict(
    model: str | Path | Embedder,
    source: Any,
    out: str | Path,
    options: PredictOptions,
    *,
    report: Callable[[Progress], None] | None = None,
) -> PredictResult:
    """Label every record of a source: see `classtoken.predict`."""
    began, out = monotonic(), user_path(out)
    folder = model.folder if isinstance(model, Embedder) else model
    check_folder(out, {"model": folder, "source": source})
    check_place(out, overwrite=options.overwrite)
    opened = open_source(source, options.source_options)
    plan = make_plan(opened, task_rows=options.part_rows, limit=options.limit)
    embedder = load(
        model, precision=options.precision, device=options.device, revision=options.revision, accept=options.accept
    )
    side = _side(embedder, first_record(opened, plan), options.modality, opened.name)
    stage = ClassifyStage(embedder, side, prompt=prompt_of(embedder, side, options.prompt, options.prompt_text))
    labels, classifier = embedder.labels, stage.classifier
    tally = Tally(len(labels), classifier.multilabel, classifier.label_names)
    with ParquetSink(out, stage.manifest(opened, plan), overwrite=options.overwrite) as sink:
        finished, progress = run(opened, plan, stage, sink, report=report)
        _write_table(out / "predictions.csv", Vectors(out, finished), labels, options.every, tally)
    examples = read_quarantine(out / META, EXAMPLES)
    if not finished.rows:
        raise SourceError(
            f"none of the {finished.total} records could be labelled; the first, '{examples[0].id}': "
            f"{examples[0].reason}. All are in {out}/{META}/quarantine.parquet."
        )
    result = PredictResult(
        out=out.as_posix(),
        model=embedder.name,
        labels=labels,
        records=finished.rows,
        before=progress.before,
        refused=finished.refused,
        examples=examples,
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
    """Of the records whose label is known, how many were labelled right."""

    labels: int
    multilabel: bool
    names: Mapping[str, str] = field(default_factory=dict)
    judged: int = 0
    right: int = 0
    hits: int = 0
    seen: set[str] = field(default_factory=set)

    def count(self, label: str | None, chosen: tuple[str, ...]) -> None:
        """One more record: its own label, several joined by `|`, and the labels chosen for it."""
        if label is None:
            return
        named = filter(None, label.split("|")) if self.multilabel else (label,)
        given = {self.names.get(name, name) for name in named}
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


def _side(embedder: Embedder, first: Record, asked: str | None, source: str) -> str:
    """The side of the model whose classifier is meant. Raises `ContractError` where there is no classifier at all."""
    embedder.classifying()
    sides = tuple(name for name, tower in embedder.towers.items() if tower.reading.classifier is not None)
    if asked in embedder.modalities and asked not in sides:
        raise OptionError(
            f"the {asked} side of '{embedder.name}' has no classifier; `modality` may be {' or '.join(sides)}."
        )
    return choose_modality(sides, first, asked, model=embedder.name, source=source)


def _write_table(path: Path, found: Vectors, labels: tuple[str, ...], every: bool, tally: Tally) -> None:
    """`predictions.csv` from the parts, one after another; each record is counted."""
    with whole_file(path) as writing, writing.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "label", "probability", *([f"p:{name}" for name in labels] if every else [])])
        for part in found.tables(["id", "label", PROBABILITIES]):
            flat = part.column(PROBABILITIES).combine_chunks().flatten().to_numpy(zero_copy_only=False)
            known = part.column("label").to_pylist()
            rows = flat.reshape(-1, len(labels))
            for name, label, row in zip(part.column("id").to_pylist(), known, rows, strict=True):
                chosen = _chosen(row, labels, tally.multilabel)
                table.writerow([name, "|".join(chosen), f"{row.max():.6f}", *(f"{p:.6f}" for p in row if every)])
                tally.count(label, chosen)


def _chosen(row: NDArray, labels: tuple[str, ...], multilabel: bool) -> tuple[str, ...]:
    """The labels above one half, or the most probable one."""
    if multilabel:
        return tuple(name for name, p in zip(labels, row, strict=True) if p > 0.5)
    return (labels[int(np.argmax(row))],)
