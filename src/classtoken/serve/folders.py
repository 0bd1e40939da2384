"""Search over folders of vectors through the service: `POST /v1/search`, `GET /v1/folders`."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from classtoken.errors import ClasstokenError, OptionError
from classtoken.nearest.asking import QUERY, Asked
from classtoken.nearest.searcher import Searcher
from classtoken.options import SearchOptions
from classtoken.results.search import SearchResult
from classtoken.serve.asked import only_known, read_body, served_item, short_text
from classtoken.serve.bodies import RequestError
from classtoken.serve.served import ServedItem, ServedModel
from classtoken.serve.service import JSON, EmbeddingService, json_answer

KNOWN = ("query", "id", "folder", "k", "above", "where", "prompt_name")
MOST = 1000
"""hits of a request"""
LARGEST = 1e30
"""that `above` may be: more than any product of two vectors"""
COST = 256
"""tokens that a search counts as among what waits; it is done by the thread that computes (`batching.apart`)"""
LOOKS = 2.0
"""seconds after which a folder is looked at again: whether it holds other vectors by now"""


@dataclass(frozen=True)
class SearchRequest:
    """What is searched for: a text, a picture, or the `id` of a row; in which folder, and how much is wanted."""

    item: ServedItem | None
    id: str | None
    folder: str | None
    options: SearchOptions
    prompt: str | None


class ServedFolder:
    """A folder in memory under a name, and the model whose vectors lie in its space.

    Raises `OptionError` where no model's do.
    """

    def __init__(self, name: str, searcher: Searcher, models: Sequence[ServedModel]):
        self.name, self.searcher = name, searcher
        self.space = searcher.vectors.manifest.fingerprint.spaces.get(searcher.column)
        fitting = [model for model in models if self._sides(model)]
        if not fitting:
            raise OptionError(
                f"{searcher.vectors.place.name} holds vectors of '{searcher.vectors.manifest.model}', and "
                f"{', '.join(model.name for model in models)} gives vectors of another space; serve the model that "
                "made the folder."
            )
        self.model = fitting[0]
        self.sides = self._sides(self.model)
        self._looked, self._lock = time.monotonic(), threading.Lock()

    def _sides(self, model: ServedModel) -> tuple[str, ...]:
        return tuple(side for side in model.modalities if self.space is not None and model.space(side) == self.space)

    def current(self, *, look: bool = False) -> Searcher:
        """The folder as it is now: read anew where it holds other vectors than when it was read. It is looked at after
        `LOOKS` seconds, or with `look`. Raises `RequestError` 409 where those lie in another space."""
        with self._lock:
            if look or time.monotonic() - self._looked > LOOKS:
                if self.searcher.stale:
                    self.searcher = self._anew()
                self._looked = time.monotonic()
            return self.searcher

    def _anew(self) -> Searcher:
        fresh = Searcher(self.searcher.vectors.place, options=self.searcher.options)
        if fresh.vectors.manifest.fingerprint.spaces.get(fresh.column) != self.space:
            says = f"'{self.name}' holds vectors of another space by now, and is not searched; start the service anew"
            raise RequestError(409, says, about="folder")
        return fresh

    def _answer(self, ask: Callable[[Searcher], SearchResult]) -> str:
        """What the folder answers, as JSON. What is carried lies in its files: where these are others by now, it is
        asked anew."""
        searcher = self.current()
        try:
            return ask(searcher).to_json()
        except ClasstokenError:
            again = self.current(look=True)
            if again is searcher:
                raise
            return ask(again).to_json()

    def by_vector(self, vector: np.ndarray, name: str, prompt: str | None, options: SearchOptions) -> str:
        """The answer for a query's vector, as JSON."""
        what = Asked((name,), torch.from_numpy(vector[None]), model=self.model.name, prompt=prompt)
        return self._answer(lambda searcher: searcher.found(what, options))

    def by_row(self, identity: str, options: SearchOptions) -> str:
        """The answer for a row of the folder, as JSON."""
        return self._answer(
            lambda searcher: searcher.search(id=identity, k=options.k, above=options.above, where=options.where)
        )

    def about(self) -> Mapping[str, Any]:
        """What `GET /v1/folders` says of it."""
        vectors = self.searcher.vectors
        return {
            "id": self.name,
            "object": "folder",
            "rows": len(vectors),
            "model": self.model.name,
            "modalities": list(self.sides),
            "columns": ["id", *vectors.manifest.beside, *vectors.carried],
            "space": self.space,
        }


class FolderRoutes:
    """The routes of some folders, beside those of the service that computes the queries' vectors."""

    def __init__(self, service: EmbeddingService, folders: Sequence[ServedFolder]):
        self.service = service
        self.folders = {folder.name: folder for folder in folders}

    def join(self) -> None:
        """Add them to the service's own."""
        answered = self.service.answered
        self.service.more += [
            Route("/v1/search", answered(self.search), methods=["POST"]),
            Route("/v1/folders", answered(self.list_folders)),
        ]

    async def list_folders(self, _: Request) -> Response:
        """`GET /v1/folders`."""
        return json_answer({"object": "list", "data": [folder.about() for folder in self.folders.values()]})

    async def search(self, request: Request) -> Response:
        """`POST /v1/search`."""
        asked = read_search(await self.service.body_of(request))
        folder = self._folder(asked.folder)
        async with self.service.in_time():
            if asked.item is None:
                assert asked.id is not None
                return await self._answer(partial(folder.by_row, asked.id, asked.options))
            side = "image" if asked.item.kind == "image" else "text"
            if side not in folder.sides:
                says = f"'{folder.name}' is searched by {' or '.join(folder.sides)}, and query is {side}"
                raise RequestError(400, says, about="query")
            named = asked.prompt or (QUERY if side == "text" and QUERY in folder.model.prompts else None)
            prompt = folder.model.prompt_for(None, named)
            found = await self.service.vectors_of(request, (asked.item,), folder.model, prompt, about="query")
            name = asked.item.value if side == "text" else "image"
            return await self._answer(partial(folder.by_vector, found.vectors[0], name, prompt, asked.options))

    async def _answer(self, work: Any) -> Response:
        return Response(await self.service.in_turn(work, COST), media_type=JSON)

    def _folder(self, name: str | None) -> ServedFolder:
        if name is None and len(self.folders) == 1:
            return next(iter(self.folders.values()))
        if name not in self.folders:
            asked = "no folder is named" if name is None else f"there is no folder '{name[:100]}'"
            raise RequestError(404, f"{asked}; there are: {', '.join(self.folders)}", about="folder")
        return self.folders[name]


def read_search(raw: bytes) -> SearchRequest:
    """The body of `POST /v1/search`. Raises `RequestError` 400 that names the field."""
    body = read_body(raw, "query")
    only_known(body, KNOWN)
    query, identity = body.get("query"), short_text(body, "id", 10_000)
    if (query is None) == (identity is None):
        raise RequestError(400, "give one of 'query' and 'id'", about="query")
    item = None if query is None else served_item(query, "query")
    if item is not None and item.kind == "text" and not item.value.strip():
        raise RequestError(400, "query is empty", about="query")
    k, above = body.get("k", 10), body.get("above")
    if type(k) is not int or not 1 <= k <= MOST:
        raise RequestError(400, f"k must be a whole number of 1 to {MOST}", about="k")
    if above is not None and (isinstance(above, bool) or not isinstance(above, int | float) or abs(above) > LARGEST):
        raise RequestError(400, f"above must be a number of -{LARGEST:g} to {LARGEST:g}", about="above")
    options = SearchOptions(k=k, above=above, where=short_text(body, "where", 4000))
    return SearchRequest(item, identity, short_text(body, "folder"), options, short_text(body, "prompt_name"))
