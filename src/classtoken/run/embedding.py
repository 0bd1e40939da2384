"""An embedder at work in a run: texts of a task in batches of like length, images as they come."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from classtoken.embedder import IMAGE_ROWS, TOKEN_BUDGET, Embedder
from classtoken.errors import BadRecord
from classtoken.fingerprint import Fingerprint, hash_file, hash_files, hash_value
from classtoken.run.stage import Batch, Placed, Turned
from classtoken.tokens.batching import batches_by_length
from classtoken.tokens.image import ImagePreprocessor
from classtoken.tokens.pixels import Pixels
from classtoken.tokens.text import TextPreprocessor, TextRow

#: Files that decide how a text becomes tokens.
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model")


class EmbedStage:
    """An embedder at work on one modality: texts of a task in batches of like length, images as they come."""

    def __init__(self, embedder: Embedder, modality: str, *, prompt: str | None = None):
        self.embedder = embedder
        self.modality = modality
        self.prompt = prompt
        self._prepare = embedder.tower(modality).prepare

    @property
    def columns(self) -> Mapping[str, int]:
        """Name and size of each vector that a record gets."""
        return self.embedder.columns(modality=self.modality)

    def batches(self, records: Iterator[Placed]) -> Iterator[Batch | Turned]:
        """The records of one task, prepared; each is in one batch or turned away."""
        if isinstance(self._prepare, TextPreprocessor):
            return self._text_batches(self._prepare, records)
        return self._image_batches(self._prepare, records)

    def vectors(self, batch: Batch) -> Mapping[str, np.ndarray]:
        """Vectors of one batch by name: (rows, size) float32."""
        return self.embedder.vectors_of(batch.tokens, modality=self.modality, prompt=self.prompt)

    def made_by(self) -> Fingerprint:
        """What decides the vectors' numbers."""
        contract = self.embedder.tower(self.modality).reading.contract
        return Fingerprint(
            weights=hash_files(sorted(self.embedder.folder.rglob("*.safetensors"))),
            contract=str(contract),
            preprocessing=self._preprocessing(self.embedder.folder),
            modality=self.modality,
            poolings=tuple(self.columns),
            normalize=self.embedder.normalize,
            precision=self.embedder.precision,
        )

    def _preprocessing(self, folder: Path) -> str:
        files = sorted(path for name in TOKENIZER_FILES for path in folder.rglob(name))
        tokenizer = [hash_file(path) for path in files] if self.modality == "text" else []
        return hash_value([repr(self._prepare.recipe), self.prompt or "", *tokenizer])

    def _text_batches(self, prepare: TextPreprocessor, records: Iterator[Placed]) -> Iterator[Batch | Turned]:
        texts: list[tuple[int, str]] = []
        for place, record in records:
            if record.text is None:
                yield Turned(place, "has no text")
            else:
                texts.append((place, record.text))
        rows: dict[int, TextRow] = {}
        for place, row in self._rows(prepare, texts):
            if isinstance(row, TextRow):
                rows[place] = row
            else:
                yield Turned(place, row)
        places = list(rows)
        lengths = [prepare.recipe.pad_to or len(rows[place]) for place in places]
        for chosen in batches_by_length(lengths, TOKEN_BUDGET, padded=False):
            here = [places[index] for index in chosen]
            cut = sum(rows[place].cut > 0 for place in here)
            yield Batch(tuple(here), prepare.collate([rows[place] for place in here]), cut)

    def _rows(self, prepare: TextPreprocessor, texts: Sequence[tuple[int, str]]) -> Iterator[tuple[int, TextRow | str]]:
        """All texts at once; only when one of them is bad, each on its own, to know which."""
        try:
            rows = prepare.encode([text for _, text in texts], prompt=self.prompt)
        except BadRecord as error:
            if len(texts) == 1:
                yield texts[0][0], _reason(error)
                return
            for one in texts:
                yield from self._rows(prepare, [one])
        else:
            yield from ((place, row) for (place, _), row in zip(texts, rows, strict=True))

    def _image_batches(self, prepare: ImagePreprocessor, records: Iterator[Placed]) -> Iterator[Batch | Turned]:
        while chunk := list(islice(records, IMAGE_ROWS)):
            # A recipe that fixes no size leaves images as they are: those of one size go together.
            by_size: dict[tuple[int, ...], list[tuple[int, Pixels]]] = defaultdict(list)
            for place, record in chunk:
                if record.image is None:
                    yield Turned(place, "has no image")
                    continue
                try:
                    pixels = prepare.prepare(record.image, name=record.id)
                except BadRecord as error:
                    yield Turned(place, _reason(error).removeprefix(f"{record.id}: "))
                    continue
                by_size[() if prepare.recipe.resize == "patches" else pixels.values.shape].append((place, pixels))
            for group in by_size.values():
                yield Batch(tuple(place for place, _ in group), prepare.collate([pixels for _, pixels in group]))


def _reason(error: BadRecord) -> str:
    return " ".join(str(error).split())
