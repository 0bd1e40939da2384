"""A model as a service has it: inputs of a request -> prepared rows with their costs, rows -> vectors."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np

from classtoken.embedder import Embedder, Tower, prompt_for_role
from classtoken.errors import BadRecord, OptionError
from classtoken.fingerprint import Fingerprint
from classtoken.inputs import PreparedBatch, Preprocessor, computed, rejected, rows
from classtoken.inputs.rejecting import attempt
from classtoken.tokens.decode import WEB_FORMATS
from classtoken.tokens.image import ImagePreprocessor
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Record, Rejected


@dataclass(frozen=True)
class ServedItem:
    """One input of a request: a text, the bytes of an image, or the ids of a text's tokens."""

    kind: Literal["text", "image", "ids"]
    value: Any


@dataclass(frozen=True)
class PreparedShare:
    """Inputs of a request that go through one side of a model with one prompt: `places` in the request, a row each.

    `tokens` is what each row costs, `cut` how many tokens of it did not fit into the model.
    """

    modality: str
    prompt: str | None
    places: tuple[int, ...]
    rows: tuple[Any, ...]
    tokens: tuple[int, ...]
    cut: tuple[int, ...]


class ServedModel:
    """An embedder under a name. Raises `OptionError` for one that gives several vectors an input.

    Images are PNG, JPEG or WebP, of at most `most_pixels` pixels, whatever the caller's own embedder takes.
    """

    def __init__(self, name: str, embedder: Embedder, *, most_pixels: int):
        self.name = name
        self.embedder = copy.copy(embedder)
        self.embedder.towers = {side: _careful(tower, most_pixels) for side, tower in embedder.towers.items()}
        self.size, self.unit_length = 0, True
        for side in self.embedder.towers:
            columns = self.embedder.columns(modality=side)
            if len(columns) > 1:
                raise OptionError(
                    f"`pooling` names {len(columns)} vectors ({', '.join(columns)}), and a service gives one for each "
                    "input; name one."
                )
            self.size = next(iter(columns.values()))
            readouts = embedder.tower(side).readouts(embedder.spec.pooling, embedder.spec.normalize)
            self.unit_length &= all(readout.unit_length for readout in readouts.values())

    @property
    def modalities(self) -> tuple[str, ...]:
        """`text`, `image` or both."""
        return self.embedder.modalities

    @cached_property
    def prompts(self) -> tuple[str, ...]:
        """Names of the model's prompts, and of its routes."""
        return () if self._text() is None else self.embedder.prompts("text")

    @cached_property
    def longest(self) -> int | None:
        """Tokens of the longest text that is not cut."""
        prepare = self._text()
        return None if prepare is None else prepare.recipe.max_length

    @cached_property
    def fingerprints(self) -> Mapping[tuple[str, str | None], Fingerprint]:
        """What decides the vectors of each side, and of each route of its texts, with no other prompt."""
        ways = [(side, None) for side in self.modalities] + [("text", name) for name in self.embedder.routes]
        return {(side, route): self.embedder.fingerprint(modality=side, prompt=route) for side, route in ways}

    def fingerprint(self, modality: str, prompt: str | None) -> Fingerprint:
        """What decides the vectors of one side with this prompt."""
        before = self.embedder.route(prompt).tower(modality).prepare.prompt_text(prompt)
        route = prompt if prompt in self.embedder.routes else None
        return replace(self.fingerprints[modality, route], prompt=before)

    def space(self, modality: str) -> str:
        """Which other vectors those of a side may be compared with: those of the same space."""
        return next(iter(self.fingerprints[modality, None].spaces.values()))

    def prompt_for(self, role: str | None, name: str | None) -> str | None:
        """The name of the prompt that a request means: by name, or by the role of its texts; None for the model's own.

        Raises `OptionError` for a name that the model has no prompt of, and for an unknown role.
        """
        if name is not None:
            if name not in self.prompts:
                known = ", ".join(map(repr, self.prompts)) or "none"
                raise OptionError(f"'{self.name}' has no prompt called '{name}'; its prompts are {known}.")
            return name
        if role is None:
            return None
        return prompt_for_role(self.prompts, role)

    def prepare(self, items: Sequence[ServedItem], prompt: str | None) -> tuple[list[PreparedShare], dict[int, str]]:
        """Rows of all inputs, those of one side together; and the inputs that cannot be read, with the reason."""
        # As `embed` has it, and OpenAI: the vector of nothing is like that of anything.
        bad = {
            n: "is empty; leave it out"
            for n, item in enumerate(items)
            if item.kind == "text" and not item.value.strip()
        }
        shares = []
        for modality in self.modalities:
            kinds = ("image",) if modality == "image" else ("text", "ids")
            here = [(place, item) for place, item in enumerate(items) if item.kind in kinds and place not in bad]
            if here:
                named = prompt if modality == "text" else None
                shares.append(self._share(modality, named, here, bad))
        return shares, bad

    def _share(
        self, modality: str, prompt: str | None, items: list[tuple[int, ServedItem]], bad: dict[int, str]
    ) -> PreparedShare:
        prepare = self.embedder.route(prompt).tower(modality).prepare

        def reject(place: int, why: Rejected) -> None:
            bad[place] = why.reason

        records = ((place, _record(place, item)) for place, item in items if item.kind != "ids")
        found = list(rows(prepare, records, reject, prompt=prompt))
        for place, item in items:
            if item.kind == "ids":
                row = attempt(partial(_as_text(prepare).row_of_ids, prompt=prompt), item.value)
                if isinstance(row, BadRecord):
                    reject(place, rejected(str(place), row))
                else:
                    found.append((place, row))
        length = prepare.layout.length or 1
        return PreparedShare(
            modality,
            prompt,
            tuple(place for place, _ in found),
            tuple(row for _, row in found),
            tuple(len(row) if modality == "text" else length for _, row in found),
            tuple(getattr(row, "cut", 0) for _, row in found),
        )

    def vectors(self, modality: str, prompt: str | None, ready: Sequence[Any]) -> list[np.ndarray | BadRecord]:
        """A vector per row, whatever company it has; or what is wrong with that row alone."""
        asked = self.embedder.route(prompt)
        prepare = asked.tower(modality).prepare

        def compute(some: PreparedBatch) -> np.ndarray:
            return next(iter(asked.vectors_of(some.tokens, modality=modality, prompt=prompt).values()))

        outcomes: dict[int, np.ndarray | BadRecord] = {}
        for places, tokens in prepare.batches(enumerate(ready)):
            for batch, block in computed(compute, PreparedBatch(tuple(places), tokens)):
                for row, place in enumerate(batch.places):
                    outcomes[place] = block if isinstance(block, BadRecord) else block[row]
        return [outcomes[place] for place in range(len(ready))]

    def _text(self) -> TextPreprocessor | None:
        tower = self.embedder.towers.get("text")
        return None if tower is None else _as_text(tower.prepare)


def _as_text(prepare: Preprocessor) -> TextPreprocessor:
    assert isinstance(prepare, TextPreprocessor)
    return prepare


def _careful(tower: Tower, most_pixels: int) -> Tower:
    """The same tower, whose images are strangers'."""
    if not isinstance(tower.prepare, ImagePreprocessor):
        return tower
    prepare = copy.copy(tower.prepare)
    prepare.decoding = replace(prepare.decoding, formats=WEB_FORMATS, max_pixels=most_pixels)
    return replace(tower, prepare=prepare)


def _record(place: int, item: ServedItem) -> Record:
    text, image = (item.value, None) if item.kind == "text" else (None, item.value)
    return Record(id=str(place), text=text, image=image)
