"""One side of a model: how its inputs are prepared, encoded and read out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from classtoken.contract.reading import Reading
from classtoken.encoder.protocol import is_stepwise
from classtoken.encoder.shape import ImageStem
from classtoken.errors import ModelError, UnsupportedModel
from classtoken.inputs import Preprocessor, one_batch
from classtoken.pooling.spec import parse_many
from classtoken.readout.after import size_behind
from classtoken.readout.readout import Readout
from classtoken.tensors import States, Tokens
from classtoken.tokens.image import ImagePreprocessor
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Layout, Role


@dataclass
class Tower:
    """One side of a model: how its inputs are prepared, encoded and read out."""

    reading: Reading
    prepare: Preprocessor

    def __post_init__(self) -> None:
        self.reading.prepared = self.prepare.layout
        self.reading.check_classifier()

    @property
    def modality(self) -> str:
        """`text` or `image`."""
        return self.reading.modality

    def tokens(self, items: Sequence[Any], prompt: str | None = None) -> Tokens:
        """Items prepared as one batch; the prompt is for texts. Raises `BadRecord` at the first bad one."""
        return one_batch(self.prepare, items, prompt=prompt)

    @property
    def layout(self) -> Layout:
        """Roles in order, as inputs come out of the preprocessing."""
        return self.prepare.layout

    def readouts(self, pooling: str | None = None, normalize: bool | None = None) -> dict[str, Readout]:
        """Readouts by the name of their column, the canonical spec: those named, or the whole contract's.

        Raises `VectorRefused`, `ContractError` and `SpecError` for what cannot be given.
        """
        if pooling is None:
            return {self.reading.contract.pooling: self.reading.readout(None, unit_length=normalize)}
        return {str(spec): self.reading.readout(spec, unit_length=normalize) for spec in parse_many(pooling)}

    @property
    def token_size(self) -> int:
        """Numbers in the state of a token, behind what the contract does to each of them."""
        return size_behind(self.reading.before, self.reading.encoder.hidden_size)

    def token_states(
        self, states: States, grids: Sequence[tuple[int, int]] | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[int, int] | None]]:
        """Of each row of a batch, padding left out: the last states of its tokens, behind what the contract does to
        each of them, their roles, and the patch grid of an image; `grids` are theirs where each has its own."""
        found = states.last_BLD
        for step in self.reading.before:
            found = step(found)
        whole, roles = found.float().cpu().numpy(), states.roles_BL.cpu().numpy()
        for row, kept in enumerate(roles != Role.PAD):
            grid = states.grid if grids is None else grids[row]
            yield whole[row, kept], roles[row, kept].astype(np.uint8), grid

    def size_of(self, readout: Readout) -> int:
        """Numbers in a vector of this readout."""
        if readout.after:
            return self.reading.contract.size
        widths = [getattr(p, "width", None) or getattr(p, "size", None) for p in readout.poolings]
        return sum(int(width or self.reading.encoder.hidden_size) for width in widths)


def preprocessor(folder: Path, reading: Reading, max_length: int | None = None) -> Preprocessor:
    """The authors' preprocessing of one tower, texts cut at `max_length` tokens where that is given."""
    encoder, usual = reading.encoder, reading.inputs
    folder = reading.inputs_at(folder)
    if reading.modality == "text":
        texts = TextPreprocessor.from_folder(
            folder, positions=encoder.positions, vocabulary=encoder.vocabulary, usual=usual, max_length=max_length
        )
        if texts.begins_unnamed and not encoder.causal:  # then it is the class token, which the file forgot to name
            texts.leading = (Role.CLASS, *texts.leading[1:])
        return texts
    if encoder.layout.grid is None:
        raise UnsupportedModel(
            f"the image side of '{folder}' gives no tokens of a grid of patches ({encoder.layout.count(Role.CONTENT)} "
            "that stand for none). Compute its vectors with transformers."
        )
    stem = encoder.shape.stem if is_stepwise(encoder) else None
    name = "" if reading.family is None else f"the usual one of {reading.family.name}"
    channels = stem.channels if isinstance(stem, ImageStem) else int(reading.config.get("num_channels") or 3)
    prepare = ImagePreprocessor.from_folder(
        folder, encoder.layout, patch=encoder.patch, usual=usual.image, usual_of=name
    )
    prepare.recipe = replace(prepare.recipe, channels=channels)
    cut = stem.patch if isinstance(stem, ImageStem) and stem.cut_patches else None
    if prepare.recipe.patch != cut:
        gives, reads = (f"patches of {n} pixels" if n else "whole images" for n in (prepare.recipe.patch, cut))
        raise ModelError(
            f"{prepare.recipe.source} of '{folder}' prepares {gives}, and its model reads {reads}. Copy the file that "
            "belongs to this model."
        )
    return prepare
