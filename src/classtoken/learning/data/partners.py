"""Texts with their partners: pairs, triplets with hard negatives, pairs with a score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor

from classtoken.errors import SourceError
from classtoken.inputs import rows as ready_rows
from classtoken.learning.data.batches import TrainingBatch
from classtoken.learning.recipe import DataOptions
from classtoken.options import SourceOptions
from classtoken.source import open_source
from classtoken.source.judged import PAIRS
from classtoken.tokens.text import TextPreprocessor, TextRow
from classtoken.values import Record, Rejected

USUAL = (("anchor", "positive"), ("query", "positive"), *PAIRS)
"""what the columns of a text and its partner are called"""
NEGATIVE = "negative"
"""how the names of columns of hard negatives begin"""


@dataclass(frozen=True)
class Partners:
    """Tokenized texts, a column for each view of a row; `targets` are scores, where there are some."""

    columns: tuple[Sequence[TextRow], ...]
    targets: Tensor | None
    prepare: TextPreprocessor
    device: str = "cpu"

    def __len__(self) -> int:
        return len(self.columns[0])

    def train(self, rows: Tensor, generator: Generator) -> TrainingBatch:
        """These rows."""
        return self.plain(rows)

    def plain(self, rows: Tensor) -> TrainingBatch:
        """These rows."""
        views = tuple(
            self.prepare.collate([column[row] for row in rows.tolist()]).to(self.device) for column in self.columns
        )
        return TrainingBatch(views, None if self.targets is None else self.targets[rows.to(self.device)], rows)


def partner_columns(source: Any, options: SourceOptions, data: DataOptions, *, scored: bool) -> DataOptions:
    """The data of a recipe with the names of the columns that hold a text, its partner and what else is read.

    Those that the recipe names, else the usual ones that the source has: `anchor` and `positive`, `sentence1` and
    `sentence2` and their like, with every column whose name begins with `negative`; or a partner's with `score`.
    Raises `SourceError` where the source has no such columns.
    """
    for first, *rest in (data.text_columns,) if data.text_columns else USUAL:
        record = _first(source, replace(options, text_column=first))
        if record is None or not all(name in record.meta for name in rest):
            continue
        negatives = [] if data.text_columns or scored else [name for name in record.meta if name.startswith(NEGATIVE)]
        columns = (first, *rest, *negatives)
        score = data.score_column or "score"
        if scored and score not in record.meta:
            raise SourceError(f"there is no column '{score}' of scores; name it with [data] score_column.")
        return replace(data, text_column=first, text_columns=columns, score_column=score if scored else None)
    wanted = " and ".join(data.text_columns) or ", or ".join(f"{first} and {second}" for first, second in USUAL)
    raise SourceError(
        f"the source needs columns {wanted} (texts and their partners); name others with [data] text_columns."
    )


def _first(source: Any, options: SourceOptions) -> Record | None:
    """The first record that can be read, None where the text's column is not there."""
    try:
        return next(iter(open_source(source, options).records([])), None)
    except SourceError as error:
        if "no column" in str(error):
            return None
        raise


def partners_of(
    prepare: TextPreprocessor, records: Sequence[Record], data: DataOptions, device: str
) -> tuple[Partners, list[Record], list[Rejected]]:
    """The rows of all records that have every text (and a score), those records, and the others with the reason."""
    rejected: dict[int, Rejected] = {}
    prompts = (*data.prompts, *(None,) * len(data.text_columns))
    columns = []
    for place, (name, prompt) in enumerate(zip(data.text_columns, prompts, strict=False)):
        texts = [record if place == 0 else replace(record, text=_text(record.meta, name)) for record in records]
        empty = {i: Rejected(r.id, f"has nothing in the column '{name}'") for i, r in enumerate(texts) if not r.text}
        there = ((i, record) for i, record in enumerate(texts) if i not in empty)
        columns.append(dict(ready_rows(prepare, there, rejected.__setitem__, prompt=prompt)))
        rejected |= empty
    scores: dict[int, float] = {}
    if data.score_column is not None:
        for i, record in enumerate(records):
            try:
                scores[i] = float(record.meta[data.score_column])
            except (KeyError, TypeError, ValueError):
                rejected[i] = Rejected(record.id, f"has no number in the column '{data.score_column}'")
    kept = [i for i in range(len(records)) if i not in rejected]
    targets = torch.tensor([scores[i] for i in kept], device=device) if data.score_column is not None else None
    rows = tuple([column[i] for i in kept] for column in columns)
    return Partners(rows, targets, prepare, device), [records[i] for i in kept], [rejected[i] for i in sorted(rejected)]


def _text(meta: Mapping[str, Any], name: str) -> str | None:
    value = meta.get(name)
    return value if isinstance(value, str) and value.strip() else None
