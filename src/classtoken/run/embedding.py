"""An embedder at work in a run: texts of a task in batches of like length, images as they come."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from classtoken.embedder import Embedder, ModelSpec, load
from classtoken.errors import BadRecord, ContractError, OptionError
from classtoken.fingerprint import Fingerprint, hash_value
from classtoken.inputs import batches, computed
from classtoken.readout.readout import Readout
from classtoken.results.base import Result
from classtoken.run.chunks import Chunker, ChunkSpec, MeanBatch, chunks_of, mean_batches
from classtoken.run.late import ChunkReader, LateBatch, check_late, late_batches
from classtoken.run.stage import StageBatch, StageSpec
from classtoken.sink import Manifest
from classtoken.sink.states import STATES, TokenStates, together
from classtoken.source import Plan, Source
from classtoken.values import Indexed, Record, Reject, Rejected


class EmbedStage:
    """An embedder at work on one modality: texts of a task in batches of like length, images as they come."""

    def __init__(
        self,
        embedder: Embedder,
        modality: str,
        *,
        prompt: str | None = None,
        dim: int | None = None,
        chunks: ChunkSpec | None = None,
        tokens: bool = False,
    ):
        self.embedder = embedder
        self.modality = modality
        self.prompt = prompt
        self.dim = dim
        self.chunks, self.tokens = chunks, tokens
        tower = embedder.tower(modality)
        self._chunker = None if chunks is None else Chunker(tower.prepare, chunks, prompt)
        needed = tokens or chunks is not None
        self._readouts = tower.readouts(embedder.spec.pooling, embedder.spec.normalize) if needed else {}
        if chunks is not None and chunks.kept == "late":
            check_late(self._readouts)
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
        """The same stage, its vectors not cut and nothing kept besides them."""
        return EmbedStage(self.embedder, self.modality, prompt=self.prompt, chunks=self.chunks)

    @property
    def token_size(self) -> int:
        """See `Stage.token_size`."""
        return self.embedder.tower(self.modality).token_size if self.tokens else 0

    def split(self, record: Record) -> Sequence[Record | Rejected]:
        """See `Stage.split`."""
        if self._chunker is None or self._chunker.spec.kept == "mean":
            return (record,)
        return chunks_of(self._chunker, record)

    def batches(self, records: Iterator[Indexed], reject: Reject) -> Iterator[StageBatch]:
        """The rows of one task, prepared; each is in one batch, or `reject` is called with its place and why."""
        if self._chunker is not None and self._chunker.spec.kept == "mean":
            return mean_batches(self._chunker, records, reject, prompt=self.prompt)
        if self._chunker is not None and self._chunker.spec.kept == "late":
            return late_batches(self._chunker.prepare, records, reject, prompt=self.prompt)
        return batches(self._prepare, records, reject, prompt=self.prompt)

    def vectors(self, batch: StageBatch) -> Mapping[str, np.ndarray]:
        """Vectors of one batch by name, (rows, size) float32; the states of all tokens where they are kept."""
        whole = self._whole(batch)
        if self.dim is None:
            return whole
        return {name: block if name == STATES else cut_to(block, self.dim) for name, block in whole.items()}

    def _whole(self, batch: StageBatch) -> dict[str, np.ndarray]:
        if isinstance(batch, MeanBatch):
            means = batch.mean(lambda some: self.embedder.vectors_of(some.tokens, **self._how))
            return {
                name: cut_to(block, block.shape[1]) if self._readouts[name].unit_length else block
                for name, block in means.items()
            }
        if isinstance(batch, LateBatch):
            readers = {name: ChunkReader(readout, batch) for name, readout in self._on_device().items()}
            return self.embedder.read(batch.tokens, readers, every=True, **self._how)[0]
        if not self.tokens:
            return self.embedder.vectors_of(batch.tokens, **self._how)
        vectors, states = self.embedder.read(batch.tokens, self._on_device(), every=True, **self._how)
        kept = self.embedder.tower(self.modality).token_states(states, batch.tokens.grids)
        return {**vectors, STATES: together([TokenStates(*one) for one in kept])}

    @property
    def _how(self) -> dict[str, Any]:
        return {"modality": self.modality, "prompt": self.prompt}

    def _on_device(self) -> Mapping[str, Readout]:
        return {name: readout.to(self.embedder.device).eval() for name, readout in self._readouts.items()}

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
        own = EmbedStageSpec(
            spec, self.modality, self.prompt, self.dim, self.chunks, self.tokens, self.fingerprint().hash()
        )
        return [replace(own, model=replace(spec, device=device)) for device in devices]

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
            tokens=self.token_size,
            beside=source.beside(),
            called=source.called(),
        )

    def fingerprint(self) -> Fingerprint:
        """What decides the vectors' numbers."""
        whole = self.embedder.fingerprint(modality=self.modality, prompt=self.prompt)
        if self.chunks is not None:
            whole = replace(whole, chunks=str(self.chunks))
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
    chunks: ChunkSpec | None = None
    tokens: bool = False
    made: str = ""

    def open(self) -> EmbedStage:
        """Load the model. Raises `ContractError` where another one lies there than where the run was started."""
        model = load(self.model)
        stage = EmbedStage(
            model, self.modality, prompt=self.prompt, dim=self.dim, chunks=self.chunks, tokens=self.tokens
        )
        if self.made and stage.fingerprint().hash() != self.made:
            raise ContractError(
                f"'{self.model.model}' gives other vectors where this worker opens it than where the run was started; "
                "give the same files everywhere."
            )
        return stage


def cut_to(vectors: np.ndarray, size: int) -> np.ndarray:
    """The first numbers of each vector, made unit again: (rows, size) float32."""
    first = vectors[:, :size]
    lengths = np.linalg.norm(first, axis=1, keepdims=True)
    return (first / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)
