"""Which texts were longer than the model takes, and how much of them was left out."""

from collections.abc import Iterator

import numpy as np

from classtoken.places import Place
from classtoken.results.embed import CutText
from classtoken.run.embedding import EmbedStage
from classtoken.sink import Manifest
from classtoken.sink.ledger import KnownPart, RowLedger
from classtoken.sink.vectors import read_part
from classtoken.tokens.text import TextPreprocessor

NAMED = 3
"""cut texts that are named"""
COUNTED = 1_000_000
"""signs of a text whose tokens are counted: they are only told, and more would take longer than all that is embedded"""


def cut_texts(place: Place, manifest: Manifest, stage: EmbedStage | None = None) -> tuple[CutText, ...]:
    """The first cut texts of a folder, with their lengths in tokens where a stage and the texts are at hand."""
    return tuple(one for one, _ in zip(_found(place, manifest, stage), range(NAMED), strict=False))


def _found(place: Place, manifest: Manifest, stage: EmbedStage | None) -> Iterator[CutText]:
    columns = ["id", *(name for name in ("text",) if name in manifest.carried)]
    prepare = None if stage is None else stage.embedder.tower(stage.modality).prepare
    reads = prepare if isinstance(prepare, TextPreprocessor) else None
    for part in manifest.parts:
        cut = np.flatnonzero(RowLedger([KnownPart(place, part)]).rows["cut"]) if part.cut else ()
        if not len(cut):
            continue
        for row in read_part(place, part.file, columns).take(cut).to_pylist():
            text = row.get("text")
            whole = None
            if reads is not None and stage is not None and text is not None and len(text) <= COUNTED:
                whole = reads.length(text, prompt=stage.prompt)
            yield CutText(row["id"], whole, None if reads is None else reads.recipe.max_length)
