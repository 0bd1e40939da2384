"""What `embed` needs, looked at and opened before any work: place, source, plan, model, columns."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from classtoken.destination import check_folder
from classtoken.embedder import Embedder, load, with_prompt
from classtoken.model_folder import columns_learned_from
from classtoken.options import EmbedOptions
from classtoken.places import LocalPlace, Place, place_of
from classtoken.results.embed import Sampled
from classtoken.run.asked import asked, rows_of_part
from classtoken.run.chunks import ChunkSpec
from classtoken.run.drift import FEW, LOWEST, costliest_block, in_fp32
from classtoken.run.embedding import EmbedStage, cut_to
from classtoken.run.sample import RECORDS, measured, records_twice, sample, spread
from classtoken.sink import CarriedColumn, Manifest, carried_columns, check_place, read_manifest
from classtoken.sink.manifest import has_manifest
from classtoken.sink.numbers import Ranges, to_floats, to_stored
from classtoken.sink.rows import CHUNK_COLUMNS
from classtoken.sink.states import NAMES as STATE_NAMES
from classtoken.source import Plan, Source, first_record, make_plan, open_source

LOG = logging.getLogger("classtoken")


@dataclass(frozen=True)
class PreparedRun:
    """All that a run needs, looked at and opened."""

    place: Place
    source: Source
    plan: Plan
    stage: EmbedStage
    carried: tuple[CarriedColumn, ...]
    manifest: Manifest

    @property
    def modality(self) -> Any:
        """The side of the model."""
        return self.stage.modality

    @classmethod
    def of(cls, model: str | Path | Embedder, source: Any, out: str | Path, options: EmbedOptions) -> "PreparedRun":
        """Look at everything before any work. Raises what `embed` raises."""
        place = place_of(out)
        folder = model.folder if isinstance(model, Embedder) else model
        if isinstance(place, LocalPlace):
            check_folder(place.path, {"model": folder, "source": source.name if isinstance(source, Source) else source})
        check_place(place, overwrite=options.overwrite)
        opened = open_source(source, options.source_options, columns_learned_from(model))
        plan = make_plan(opened, task_rows=options.part_rows or rows_of_part(options, opened), limit=options.limit)
        embedder = load(
            model,
            pooling=options.pooling,
            normalize=options.normalize,
            precision=options.precision,
            device=options.device,
            revision=options.revision,
            accept=options.accept,
            max_length=options.max_length,
        )
        first = first_record(opened, plan)
        side = embedder.modality_of(first, options.modality, source=opened.name)
        embedder, prompt = with_prompt(embedder, side, options.prompt, options.prompt_text)
        chunks = None if options.chunks is None else ChunkSpec(options.chunks, options.overlap, options.chunked)
        stage = EmbedStage(embedder, side, prompt=prompt, dim=options.dim, chunks=chunks, tokens=options.tokens)
        names = () if options.carry == ("none",) else options.carry
        own = () if chunks is None or chunks.kept == "mean" else CHUNK_COLUMNS
        taken = (*stage.columns, *(column.name for column in own), *(STATE_NAMES if options.tokens else ()))
        carried = (*own, *carried_columns(first, plan.listing.meta, taken, names, opened.called()))
        names_carried = tuple(column.name for column in carried)
        question = asked(model, options)
        manifest = replace(stage.manifest(opened, plan, carried=names_carried), store=options.store, asked=question)
        return cls(place, opened, plan, stage, carried, manifest)

    def sampled(self) -> "PreparedRun":
        """The same run, with what a lower precision, shorter vectors or smaller numbers keep; and for bytes, what they
        stand for.

        Measured once, before anything is written: what goes on later goes on with the same ranges.
        """
        manifest, stage = self.manifest, self.stage
        exact, as_they_are = stage.embedder.spec.precision == "fp32", stage.dim is None and manifest.store == "fp32"
        if exact and as_they_are:
            return self
        if has_manifest(self.place):
            there = read_manifest(self.place)
            if there.store == manifest.store and there.fingerprint == manifest.fingerprint:
                return replace(self, manifest=replace(manifest, ranges=there.ranges, sampled=there.sampled))
        most = records_twice(self.plan.total) if as_they_are else RECORDS
        found = sample(self.source, self.plan, stage.whole(), most)
        whole = found if exact else sample(self.source, self.plan, in_fp32(stage), most)
        cut = {name: block if stage.dim is None else cut_to(block, stage.dim) for name, block in found.items()}
        some = {name: block for name, block in cut.items() if len(block) and len(block) == len(whole[name])}
        ranges = {name: Ranges.of(block) for name, block in some.items()} if manifest.store == "int8" else {}
        kept = {}
        for name, block in some.items():
            stored = to_stored(block, manifest.store, ranges.get(name))
            kept[name] = measured(whole[name], to_floats(stored, ranges.get(name)), stage.dim)
        kept = {name: self._blamed(one) for name, one in kept.items()}
        return replace(self, manifest=replace(manifest, ranges=ranges, sampled=kept))

    def _blamed(self, kept: Sampled) -> Sampled:
        """With the block that costs most, said at once, where vectors are worse than the precision should give."""
        embedder = self.stage.embedder
        bound = LOWEST.get(embedder.spec.precision)
        if bound is None or kept.lowest is None or kept.lowest >= bound:
            return kept
        block = costliest_block(self.source, spread(self.plan, FEW), self.stage)
        LOG.warning(
            "precision %s moves some of these vectors far: cosine to fp32 %.3f at the lowest, and %s is usual; most is "
            "lost in block %d. Consider bf16 or fp32.",
            *(embedder.spec.precision, kept.lowest, bound, block),
        )
        return replace(kept, block=block)
