"""What is searched for, as vectors of the folder's own space: texts, pictures, rows by their ids, a file of many."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from classtoken.embedder import Embedder, load, with_prompt
from classtoken.errors import OptionError, SourceError
from classtoken.files import user_path
from classtoken.inputs import check_item, listed, rest_in_words
from classtoken.inputs.modality import IMAGE_SUFFIXES
from classtoken.nearest.carried import columns_of, place_of, values_at
from classtoken.nearest.rows import FileRows, column_of
from classtoken.options import SearchOptions
from classtoken.sink import Vectors, read
from classtoken.sink.manifest import META, NAME
from classtoken.source import Reader, make_plan, open_source
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Modality, Record

QUERY = "query"
"""the prompt that the authors of many models put before what is searched for"""
SHOWN = 200
"""signs of a query's name"""


@dataclass(frozen=True)
class Asked:
    """Queries: `names` as people read them, `vectors` (Q, D); `itself` is the row that the only query is, if any."""

    names: tuple[str, ...]
    vectors: Tensor
    single: bool = True
    itself: int | None = None
    model: str | None = None
    prompt: str | None = None
    notes: tuple[str, ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()
    """what was asked with, where a page can show it: the `text`, or the `path` of a picture or the picture itself"""


def asked(vectors: Vectors, column: str, query: Any, options: SearchOptions, embedder: Callable[[], Embedder]) -> Asked:
    """What is searched for; `embedder` gives the model, where one is needed.

    Raises `OptionError` for nothing, for several kinds at once, and for another space.
    """
    given = {"query": query, **{name: getattr(options, name) for name in ("text", "image", "id", "queries")}}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        there = f"{' and '.join(f'`{name}`' for name in named)} are given" if named else "nothing is searched for"
        raise OptionError(f"{there}; give one of `query`, `text`, `image`, `id` and `queries`.")
    if options.id is not None:
        place = place_of(vectors, options.id)
        (row,) = values_at(vectors, [place], columns_of(vectors))
        return Asked((options.id,), FileRows(vectors, column).take(torch.tensor([place])), itself=place, rows=(row,))
    if options.queries is not None and (user_path(options.queries) / META / NAME).is_file():
        return _other_folder(vectors, column, options.queries)
    model = Asking(vectors, column, options, embedder())
    if options.queries is not None:
        return model.of_source(options.queries)
    if options.text is not None:
        return model.of_items([options.text], "text", asked="text")
    if options.image is not None:
        return model.of_items([options.image], "image", asked="image")
    many = listed(query)
    several = not (len(many) == 1 and not isinstance(query, list | tuple))
    side = options.modality or model.side_of(many)
    return model.of_items(many, side, several=several, asked=options.modality)


class Asking:
    """The model that made a folder, or another one that gives vectors of the same space."""

    def __init__(self, vectors: Vectors, column: str, options: SearchOptions, embedder: Embedder):
        self.vectors, self.column, self.options, self.embedder = vectors, column, options, embedder

    def side_of(self, items: Sequence[Any]) -> Modality:
        """Which side of the model these items are for: of a model with both, pictures are files that are there and
        whatever is no text."""
        if len(self.embedder.modalities) == 1:
            return self.embedder.tower().modality  # type: ignore[return-value]
        first = items[0] if items else ""
        if not isinstance(first, str):
            return "image"
        return "image" if first.lower().endswith(IMAGE_SUFFIXES) and user_path(first).is_file() else "text"

    def of_items(
        self, items: Sequence[Any], side: Modality, *, several: bool = False, asked: str | None = None
    ) -> Asked:
        """Texts or pictures; `asked` is the side that a person named (`check_item`)."""
        if not items or any(isinstance(item, str) and not item.strip() for item in items):
            raise OptionError(f"{'a query is empty' if items else 'there is no query'}; give a text or a picture.")
        pooling = self.same_space(side)
        embedder, prompt = self.prompted(side)
        for item in items:
            check_item(item, side, embedder.name, asked)
        found = embedder.embed(list(items), pooling=pooling, modality=side, prompt=prompt)
        assert not isinstance(found, dict)
        names = tuple(_name(self.embedder, side, item, place) for place, item in enumerate(items))
        said, prepare = prompt if side == "text" else None, embedder.tower(side).prepare
        notes: tuple[str, ...] = ()
        if isinstance(prepare, TextPreprocessor):
            notes = rest_in_words(prepare, [row.cut for row in prepare.encode(list(items), prompt=prompt)])
        rows = tuple({"text" if side == "text" else "path": item} for item in items)
        return Asked(names, torch.from_numpy(found), not several, None, self.embedder.name, said, notes, rows)

    def of_source(self, file: Path | str) -> Asked:
        """Every record of a source."""
        source = open_source(str(file), self.options.source_options, self.vectors.manifest.called)
        plan, reader = make_plan(source), Reader(source)
        records = [entry for task in plan.tasks for entry in reader(task)]
        bad = next((entry for entry in records if not isinstance(entry, Record)), None)
        if bad is not None:
            raise SourceError(f"the query '{bad.id}' of {file} cannot be read: {bad.reason}.")
        side = self.embedder.modality_of(records[0], self.options.modality, source=source.name)  # type: ignore[arg-type]
        items = [getattr(record, side) for record in records]
        empty = next((record.id for record, item in zip(records, items, strict=True) if item is None), None)
        if empty is not None:
            raise SourceError(f"the query '{empty}' of {file} has no {side}; leave it out.")
        found = self.of_items(items, side, several=True, asked=side)
        if side == "text":
            return found
        names = tuple(record.id for record in records)
        return Asked(names, found.vectors, False, model=found.model, rows=found.rows)

    def prompted(self, side: str) -> tuple[Embedder, str | None]:
        """The model with the prompt that was asked for, else its own for queries, else its own for everything."""
        named, words = self.options.prompt, self.options.prompt_text
        if named is None and words is None and QUERY in self.embedder.prompts(side):
            named = QUERY
        return with_prompt(self.embedder, side, named, words)

    def same_space(self, side: str) -> str | None:
        """The pooling with which the model gives vectors of the folder's space. Raises `OptionError` if none does."""
        here = self.vectors.manifest.fingerprint
        wanted = here.spaces.get(self.column)
        tried = self.embedder.fingerprint(modality=side)
        if wanted is not None and wanted in tried.spaces.values() and len(tried.spaces) == 1:
            return None
        if self.embedder.spec.pooling is None:
            named = self.embedder.fingerprint(self.column, modality=side)
            if wanted is not None and wanted in named.spaces.values():
                return self.column
            tried = named if tried.poolings != here.poolings else tried
        parts = [part for part in here.differences(tried) if part.startswith(("weights", "contract", "poolings"))]
        why = f" ({'; '.join(parts)})" if parts else ""
        raise OptionError(
            f"'{self.embedder.name}' gives {side} vectors of another space than '{self.column}' in "
            f"{self.vectors.place.name}, which '{self.vectors.manifest.model}' made{why}; they cannot be compared. "
            "Give the model that made the folder, or embed it anew with this one."
        )


def model_of(vectors: Vectors, options: SearchOptions) -> Embedder:
    """The model for queries, loaded: the folder's own, or the one that is named."""
    manifest = vectors.manifest
    own = options.model is None or options.model == manifest.model
    if own and Path(manifest.model).is_absolute() and not Path(manifest.model).exists():
        raise OptionError(
            f"the model that made {vectors.place.name}, '{manifest.model}', is not there any more; say as `model` "
            "where it is."
        )
    return load(
        options.model or manifest.model,
        precision=manifest.fingerprint.precision,  # type: ignore[arg-type]
        normalize=manifest.fingerprint.normalize,
        device=options.device,
        revision=options.revision or (manifest.revision if own else None),
        accept=options.accept,
    )


def same_folders(first: Vectors, column: str, second: Vectors, name: str) -> str:
    """The column of `second` whose vectors lie in the space of `column`. Raises `OptionError` where none does."""
    wanted = first.manifest.fingerprint.spaces.get(column)
    fitting = [
        one for one, space in second.manifest.fingerprint.spaces.items() if wanted is not None and space == wanted
    ]
    if not fitting:
        raise OptionError(
            f"`{name}`: {second.place.name} holds vectors of '{second.manifest.model}' in another space than "
            f"'{column}' in {first.place.name}, made by '{first.manifest.model}'. Embed both alike."
        )
    return column_of(second, fitting[0])


def _other_folder(vectors: Vectors, column: str, folder: Path | str) -> Asked:
    """Every row of another folder of vectors."""
    other = read(folder)
    theirs = same_folders(vectors, column, other, "queries")
    return Asked(other.ids, torch.from_numpy(other.matrix(theirs)), False)


def _name(embedder: Embedder, side: str, item: Any, place: int) -> str:
    name = " ".join(item.split()) if isinstance(item, str) else embedder.tower(side).prepare.name_of(item, place)
    return name if len(name) <= SHOWN else f"{name[: SHOWN - 1]}…"
