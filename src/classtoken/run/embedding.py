"""An embedder at work in a run: texts of a task in batches of like length, images as they come."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from classtoken.embedder import Embedder, ModelSpec, load
from classtoken.errors import BadRecord, OptionError
from classtoken.fingerprint import Fingerprint, hash_value
from classtoken.inputs import PreparedBatch, batches, computed
from classtoken.results.base import Result
from classtoken.run.stage import StageBatch, StageSpec
from classtoken.sink import Manifest
from classtoken.source import Plan, Source
from classtoken.values import Indexed, Reject


class EmbedStage:
    """An embedder at work on one modality: texts of a task in batches of like length, images as they come."""

    def __init__(self, embedder: Embedder, modality: str, *, prompt: str | None = None, dim: int | None = None):
        self.embedder = embedder
        self.modality = modality
        self.prompt = prompt
        self.dim = dim
        for name, size in embedder.columns(modality=modality).items():
            if dim is not None and dim > size:
                raise OptionError(f"`dim` is {dim}, and '{name}' has {size} numbers; give at most that.")
        self._prepare = embedder.tower(modality).prepare

    @property
    def columns(self) -> Mapping[str, int]:
        """Name and size of each vector that a record gets."""
        whole = self.embedder.columns(modality=self.modality)
        return whole if self.dim is None else dict.fromkeys(whole, self.dim)

    def whole(self) -> "EmbedStage":
        """The same stage, its vectors not cut."""
        return EmbedStage(self.embedder, self.modality, prompt=self.prompt)

    def batches(self, records: Iterator[Indexed], reject: Reject) -> Iterator[PreparedBatch]:
        """The records of one task, prepared; each is in one batch, or `reject` is called with its place and why."""
        return batches(self._prepare, records, reject, prompt=self.prompt)

    def vectors(self, batch: StageBatch) -> Mapping[str, np.ndarray]:
        """Vectors of one batch by name: (rows, size) float32."""
        whole = self.embedder.vectors_of(batch.tokens, modality=self.modality, prompt=self.prompt)
        return whole if self.dim is None else {name: cut_to(block, self.dim) for name, block in whole.items()}

    def outcomes(self, batch: StageBatch) -> Iterator[tuple[StageBatch, Mapping[str, np.ndarray] | BadRecord]]:
        """See `Stage.outcomes`: a batch that fails is computed record by record."""
        return computed(self.vectors, batch)

    @property
    def gpus(self) -> int:
        """See `SentStage.gpus`."""
        return int(self.embedder.device.type == "cuda")

    def specs(self, count: int, *, spread: bool) -> Sequence[StageSpec]:
        """See `SentStage.specs`."""
        spec = self.embedder.spec.from_anywhere()
        here = torch.cuda.device_count() if spread and spec.device is None else 0
        devices = [f"cuda:{worker % here}" if here > 1 else spec.device for worker in range(count)]
        return [
            EmbedStageSpec(replace(spec, device=device), self.modality, self.prompt, self.dim) for device in devices
        ]

    def manifest(self, source: Source, plan: Plan, *, carried: tuple[str, ...] = ()) -> Manifest:
        """What a sink is told of a run of this stage over a source."""
        fingerprint = self.fingerprint()
        return Manifest(
            model=self.embedder.spec.from_anywhere().model,
            revision=self.embedder.spec.revision,
            source=source.name,
            kind=source.kind,
            columns=dict(self.columns),
            fingerprint=fingerprint,
            carried=carried,
            prompt=self.prompt,
            accepted=fingerprint.accepted,
            products=self.embedder.products(self.modality),
            plan=plan.hash,
            tasks=len(plan.tasks),
            total=plan.total,
            times=plan.listing.times,
        )

    def fingerprint(self) -> Fingerprint:
        """What decides the vectors' numbers."""
        whole = self.embedder.fingerprint(modality=self.modality, prompt=self.prompt)
        if self.dim is None:
            return whole
        spaces = {name: hash_value(["cut", space, self.dim]) for name, space in whole.spaces.items()}
        return replace(whole, dim=self.dim, spaces=spaces)


@dataclass(frozen=True)
class EmbedStageSpec(Result):
    """An `EmbedStage` as a value: another process opens it there. See `run.stage.StageSpec`."""

    model: ModelSpec
    modality: str
    prompt: str | None = None
    dim: int | None = None

    def open(self) -> EmbedStage:
        """Load the model."""
        return EmbedStage(load(self.model), self.modality, prompt=self.prompt, dim=self.dim)


def cut_to(vectors: np.ndarray, size: int) -> np.ndarray:
    """The first numbers of each vector, made unit again: (rows, size) float32."""
    first = vectors[:, :size]
    lengths = np.linalg.norm(first, axis=1, keepdims=True)
    return (first / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)
