"""Where the class token looks, for each value of an audited column: what it leaves out of somebody's pictures."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from classtoken.comparison.audit import Audit
from classtoken.comparison.entrants import Passed
from classtoken.comparison.labelled import Labelled
from classtoken.comparison.task import JudgedTask
from classtoken.errors import ClasstokenError
from classtoken.inputs import batches
from classtoken.probe.from_embedder import subject_of
from classtoken.probe.traced import trace
from classtoken.results.compare import Overlooked
from classtoken.study.inputs import BATCH, on_device
from classtoken.study.unseen import coverage
from classtoken.values import Record, Role

MOST = 64
"""pictures of a value that are looked into, evenly taken"""


def overlooked(one: Passed, task: JudgedTask, audit: Audit) -> tuple[Overlooked, ...]:
    """The class token's attention on the patches, the mean over layers and heads, for every value of the column; none
    for texts, for models without a class token, and where a model does not show its attention."""
    tower = one.model.embedder.tower(one.model.modality)
    grid = tower.layout.grid
    if grid is None or not tower.layout.count(Role.CLASS) or not isinstance(task, Labelled):
        return ()
    records = [task.records[row] for row in task.split.judged]
    found = []
    for value in audit.values:
        rows = np.flatnonzero(audit.of_item == value)
        some = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST)).astype(int)]
        try:
            weights_BP = _weights(one, [records[row] for row in some])
        except ClasstokenError:  # attention that cannot be shown
            return ()
        if len(weights_BP):
            seen = coverage(weights_BP, value, grid)
            found.append(Overlooked(one.name, value, seen.n, seen.grid, seen.mean, seen.never))
    return tuple(found)


def _weights(one: Passed, records: Sequence[Record]) -> Tensor:
    """(n, P), of the records that can be read."""
    embedder, side = one.model.embedder, one.model.modality
    subject, prepare = subject_of(embedder, modality=side), embedder.tower(side).prepare
    rows: list[Tensor] = []
    for batch in batches(prepare, enumerate(records), lambda *_: None, most_rows=BATCH):
        tokens = on_device(embedder, prepare, batch.tokens)
        weights = trace(subject, tokens, ("weights",)).part("weights")
        asks, given = tokens.roles_BL == Role.CLASS, tokens.roles_BL == Role.CONTENT
        mean_BLL = torch.stack([w.float().mean(1) for w in weights]).mean(0)
        count = int(asks[0].sum())
        read_BCL = mean_BLL[asks].view(len(tokens), count, -1).mean(1)
        rows.append(read_BCL[given].view(len(tokens), -1).double().cpu())
    return torch.cat(rows) if rows else torch.zeros(0, 0)
