"""An embedder at work in a run: texts of a task in batches of like length, images as they come."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from classtoken.embedder import Embedder
from classtoken.fingerprint import Fingerprint, hash_file, hash_files, hash_value
from classtoken.inputs import batches
from classtoken.run.stage import Batch, Placed, Turned
from classtoken.sink import Manifest
from classtoken.source import Plan, Source
from classtoken.values import Rejected

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
        turned: list[Turned] = []

        def reject(place: int, why: Rejected) -> None:
            turned.append(Turned(place, why.reason))

        for ready in batches(self._prepare, records, reject, prompt=self.prompt):
            yield from turned
            turned.clear()
            yield Batch(ready.places, ready.tokens, ready.cut)
        yield from turned

    def vectors(self, batch: Batch) -> Mapping[str, np.ndarray]:
        """Vectors of one batch by name: (rows, size) float32."""
        return self.embedder.vectors_of(batch.tokens, modality=self.modality, prompt=self.prompt)

    def manifest(
        self, source: Source, plan: Plan, *, revision: str | None = None, carried: tuple[str, ...] = ()
    ) -> Manifest:
        """What a sink is told of a run of this stage over a source."""
        name = self.embedder.name
        return Manifest(
            # A local folder is known by its whole path, so that the model is found again from anywhere.
            model=Path(name).resolve().as_posix() if Path(name).is_dir() else name,
            revision=revision,
            source=source.name,
            kind=source.kind,
            columns=dict(self.columns),
            fingerprint=self.fingerprint(),
            carried=carried,
            prompt=self.prompt,
            plan=plan.hash,
            tasks=len(plan.tasks),
            total=plan.total,
        )

    def fingerprint(self) -> Fingerprint:
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
