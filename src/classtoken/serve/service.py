"""Vectors over HTTP: OpenAI's `POST /v1/embeddings` around models that are loaded once.

What a request meets, in order:

    key         Authorization: Bearer ..., where the service has keys (401)
    body        application/json, counted while it streams in, with a limit of size (413) and of time (408)
    fields      read strictly; the number of inputs has a limit (400)
    model       by its name (404); of the space that the request wants, if it wants one (409)
    inputs      tokenised or decoded in threads of their own, beside the model; what cannot be read is named (400)
    queue       so many tokens may wait; beyond that the request is refused with Retry-After (429)
    time        all of it has a limit (503)

The answer says of each input whether it was cut, and in its body and headers which fingerprint and space the vectors
have. Vectors do not depend on what they were batched with.
"""

import asyncio
import contextlib
import hmac
import json
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from classtoken.errors import BadRecord, ClasstokenError, OptionError
from classtoken.fingerprint import hash_value
from classtoken.serve.answers import embeddings, shortened
from classtoken.serve.asked import EmbeddingRequest, read_request
from classtoken.serve.batching import IN_TURN, Batcher, Full, Job
from classtoken.serve.bodies import BodyReader, RequestError
from classtoken.serve.metrics import ServiceCounts
from classtoken.serve.served import PreparedShare, ServedItem, ServedModel

JSON = "application/json"
HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
#: Names of OpenAI's kinds of errors by status.
KINDS = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 500: "server_error"}
#: Refused before the body was read, which nobody waits for.
UNREAD = (401, 404, 405, 408, 413, 415)
#: A body of so many bytes is read as JSON in a thread.
LARGE = 65_536
#: Threads that tokenise and decode, beside the one that computes.
PREPARING_THREADS = 2


@dataclass(frozen=True)
class ServiceLimits:
    """How much requests may ask for.

    body: bytes of one; bodies: bytes of all that are being read. items: inputs of a request. pixels: of an image.
    waiting: tokens that may wait for the model. preparing: requests that are tokenised at a time. seconds: a request
    from its body to its answer; body_seconds: a body.
    """

    body: int = 16_000_000
    bodies: int = 256_000_000
    items: int = 2048
    pixels: int = 20_000_000
    waiting: int = 262_144
    preparing: int = 64
    seconds: float = 60.0
    body_seconds: float = 20.0


@dataclass(frozen=True)
class EmbeddedItems:
    """Vectors of a request's items, how they were prepared, the tokens that each lost, and the tokens of all."""

    vectors: np.ndarray
    shares: Sequence[PreparedShare]
    cut: Sequence[int]
    tokens: int


class EmbeddingService:
    """The routes around some models; `close` ends the computing thread."""

    def __init__(self, models: Sequence[ServedModel], limits: ServiceLimits, keys: Sequence[str] = ()):
        self.more: list[Route] = []
        self.models = {model.name: model for model in models}
        self.limits, self.keys = limits, _told_apart(keys)
        self.bodies = BodyReader(limits.body_seconds, limits.bodies)
        self.counts = ServiceCounts()
        self.began = int(time.time())
        self.batcher = Batcher(self._compute, most_waiting=limits.waiting)
        self.preparing = 0
        self.threads = ThreadPoolExecutor(PREPARING_THREADS, thread_name_prefix="classtoken-prepare")

    def close(self) -> None:
        """End the threads."""
        self.batcher.close()
        self.threads.shutdown(wait=False, cancel_futures=True)

    def app(self, page: str | None = None) -> Starlette:
        """The application; mount it in one's own, or serve it. page: HTML that `GET /` answers with."""
        if page is not None:
            self.more.append(Route("/", lambda _: HTMLResponse(page, headers=HEADERS)))
        routes = [
            Route("/v1/embeddings", self.answered(self.embeddings), methods=["POST"]),
            Route("/v1/models", self.answered(self.list_models)),
            Route("/v1/models/{name:path}", self.answered(self.one_model)),
            Route("/health", self.health),
            Route("/metrics", self.answered(self.metrics)),
            *self.more,
        ]

        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> Any:
            yield
            self.close()

        return Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: _nothing, 405: _nothing})

    # -- routes --------------------------------------------------------------------------------------------------------

    async def embeddings(self, request: Request) -> Response:
        """`POST /v1/embeddings`."""
        raw = await self.body_of(request)
        read = partial(read_request, raw, most_items=self.limits.items)
        asked = read() if len(raw) < LARGE else await self.beside(read)
        del raw
        model = self._model(asked.model)
        self._check_size(asked, model)
        for side in model.modalities:
            _check_space(request, _space(model, side, asked.dimensions))
        async with self.in_time():
            return await self._embed(request, asked, model)

    async def list_models(self, _: Request) -> Response:
        """`GET /v1/models`."""
        return json_answer({"object": "list", "data": [self._about(model) for model in self.models.values()]})

    async def one_model(self, request: Request) -> Response:
        """`GET /v1/models/NAME`."""
        return json_answer(self._about(self._model(request.path_params["name"])))

    async def health(self, _: Request) -> Response:
        """`GET /health`: the process answers, and its models are loaded."""
        return json_answer({"status": "ok"})

    async def metrics(self, _: Request) -> Response:
        """`GET /metrics`."""
        now = {
            "waiting_tokens": ("Tokens that wait for the model.", self.batcher.waiting),
            "rounds": ("Rounds of computation.", self.batcher.rounds),
            "computing_seconds": ("Seconds in which the model computed.", self.batcher.computing_seconds),
            "preparing_requests": ("Requests that are being tokenised.", self.preparing),
        }
        return Response(self.counts.text(now), media_type="text/plain; version=0.0.4; charset=utf-8")

    # -- one request ---------------------------------------------------------------------------------------------------

    async def body_of(self, request: Request) -> bytes:
        """The JSON that a request brings, within the limits. Raises `RequestError`."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != JSON:
            raise RequestError(415, f"the content type is '{kind[:60]}'; send {JSON}")
        coding = request.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            says = f"the content encoding is '{coding[:60]}'; send the body as it is, without one"
            raise RequestError(415, says, headers={"Accept-Encoding": "identity"})
        return await self.bodies.read(request, self.limits.body)

    @contextlib.asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Raises `RequestError` 503 where what is done within takes longer than a request may."""
        try:
            async with asyncio.timeout(self.limits.seconds):
                yield
        except TimeoutError:
            says = f"this took longer than {self.limits.seconds:g} seconds; send fewer inputs, or come back later"
            raise RequestError(503, says, headers={"Retry-After": self._retry()}) from None

    async def _embed(self, request: Request, asked: EmbeddingRequest, model: ServedModel) -> Response:
        prompt = model.prompt_for(asked.role, asked.prompt)
        found = await self.vectors_of(request, asked.items, model, prompt, truncate=asked.truncate)
        vectors, size = found.vectors, asked.dimensions
        if size is not None and size < model.size:
            vectors = shortened(vectors, size, model.unit_length)
        said = _identity(model, found.shares, size)
        rest = {
            "model": model.name,
            "usage": {"prompt_tokens": found.tokens, "total_tokens": found.tokens},
            **said,
        }
        content = await self.beside(partial(embeddings, vectors, asked.encoding, found.cut, rest))
        headers = {
            "X-Classtoken-Fingerprint": ",".join(dict.fromkeys(said["fingerprints"].values())),
            "X-Classtoken-Space": said["space"],
            "X-Classtoken-Truncated": str(sum(map(bool, found.cut))),
        }
        return Response(content, media_type=JSON, headers=headers)

    async def vectors_of(
        self,
        request: Request,
        items: Sequence[ServedItem],
        model: ServedModel,
        prompt: str | None,
        *,
        truncate: bool = True,
        about: str | None = None,
    ) -> EmbeddedItems:
        """The vectors of a request's items, which errors call `input[0]`, ... or all of them `about`.

        Raises `RequestError` for one that cannot be read, is too long where `truncate` is False, or finds no room.
        """
        shares = await self._prepare(items, model, prompt, about)
        cut = [0] * len(items)
        for share in shares:
            for place, lost in zip(share.places, share.cut, strict=True):
                cut[place] = lost
        if not truncate and any(cut):
            place = next(place for place, lost in enumerate(cut) if lost)
            name = about or f"input[{place}]"
            says = f"{name} is {cut[place]} tokens longer than '{model.name}' takes ({model.longest})"
            raise RequestError(400, says, about=name)
        vectors = await self._computed(request, model, shares, len(items), about)
        tokens = sum(sum(share.tokens) for share in shares)
        self.counts.inputs += len(items)
        self.counts.tokens += tokens
        self.counts.cut += sum(map(bool, cut))
        return EmbeddedItems(vectors, shares, cut, tokens)

    async def _prepare(
        self, items: Sequence[ServedItem], model: ServedModel, prompt: str | None, about: str | None
    ) -> list[PreparedShare]:
        """Tokenised and decoded, beside the model. Raises `RequestError` for an input that cannot be read."""
        _check_kinds(items, model, about)
        if self.preparing >= self.limits.preparing:
            raise self._later(f"{self.preparing} requests are being read, and no more are at once", 1.0)
        if self.batcher.waiting >= self.limits.waiting:
            raise self._full(1.0)
        self.preparing += 1
        try:
            shares, bad = await self.beside(partial(model.prepare, items, prompt))
        finally:
            self.preparing -= 1
        for place, reason in sorted(bad.items()):
            name = about or f"input[{place}]"
            raise RequestError(400, f"{name} cannot be embedded: {reason}", about=name)
        return shares

    async def _computed(
        self, request: Request, model: ServedModel, shares: Sequence[PreparedShare], count: int, about: str | None
    ) -> np.ndarray:
        """The vectors of all inputs in order; what is left of them is given up when the client goes away."""
        loop = asyncio.get_running_loop()
        jobs: list[Job] = []
        waiting: list[asyncio.Future] = []
        gone = asyncio.ensure_future(_gone(request))
        try:
            for share in shares:
                future = loop.create_future()
                key = (model.name, share.modality, share.prompt)
                job = Job(key, share.rows, share.tokens, partial(_deliver, loop, future))
                self.batcher.submit(job)
                jobs.append(job)
                waiting.append(future)
            every = asyncio.gather(*waiting)
            every.add_done_callback(_seen)
            await asyncio.wait((every, gone), return_when=asyncio.FIRST_COMPLETED)
            if not every.done():
                every.cancel()
                raise RequestError(400, "the client has gone away")
            outcomes = every.result()
        except Full as full:
            raise self._full(full.seconds) from None
        finally:
            gone.cancel()
            for job in jobs:
                self.batcher.abandon(job)
        return _in_order(shares, outcomes, count, about)

    async def in_turn(self, work: Callable[[], Any], cost: int) -> Any:
        """Do it in the thread that computes, when it is its turn, as so many tokens; what `work` raises is raised."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        job = Job(IN_TURN, [partial(_caught, work)], [cost], partial(_deliver, loop, future))
        try:
            self.batcher.submit(job)
            (outcome,) = await future
        except Full as full:
            raise self._full(full.seconds) from None
        finally:
            self.batcher.abandon(job)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _compute(self, key: tuple[str, str, str | None], rows: list[Any]) -> list[np.ndarray | BadRecord]:
        """In the computing thread."""
        name, modality, prompt = key
        return self.models[name].vectors(modality, prompt, rows)

    # -- what a request must bring -------------------------------------------------------------------------------------

    def _admit(self, request: Request) -> None:
        """Refuse whoever has no key, where there are keys."""
        if not self.keys:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        right = [hmac.compare_digest(given.strip().encode(), key) for key in self.keys]
        if scheme.lower() != "bearer" or not any(right):
            raise RequestError(401, "send a key of this service as 'Authorization: Bearer KEY'")

    def _model(self, name: str | None) -> ServedModel:
        if name is None and len(self.models) == 1:
            return next(iter(self.models.values()))
        if name not in self.models:
            asked = "no model is named" if name is None else f"there is no model '{name[:100]}'"
            raise RequestError(404, f"{asked}; there are: {', '.join(self.models)}", about="model")
        return self.models[name]

    def _check_size(self, asked: EmbeddingRequest, model: ServedModel) -> None:
        if asked.dimensions is not None and asked.dimensions > model.size:
            says = f"dimensions is {asked.dimensions}, and '{model.name}' gives {model.size} numbers"
            raise RequestError(400, says, about="dimensions")

    def _full(self, seconds: float) -> RequestError:
        waiting, most = self.batcher.waiting, self.limits.waiting
        return self._later(f"{waiting} tokens are waiting, and with this request it would be more than {most}", seconds)

    def _later(self, why: str, seconds: float) -> RequestError:
        return RequestError(429, f"{why}. Try again later", headers={"Retry-After": self._retry(seconds)})

    def _retry(self, seconds: float = 1.0) -> str:
        """Whole seconds after which to try again."""
        return str(min(max(math.ceil(seconds), 1), 60))

    async def beside(self, work: Callable[[], Any]) -> Any:
        """Do it in a thread that prepares inputs, so that neither the model nor the answering of others waits."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)

    def _about(self, model: ServedModel) -> dict[str, Any]:
        return {
            "id": model.name,
            "object": "model",
            "created": self.began,
            "owned_by": "classtoken",
            "dimensions": model.size,
            "modalities": list(model.modalities),
            "max_tokens": model.longest,
            "prompts": list(model.prompts),
            "spaces": {side: model.space(side) for side in model.modalities},
            "fingerprints": {side: model.fingerprint(side, None).hash() for side in model.modalities},
        }

    def answered(self, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """A route whose refusals and errors become a status and one sentence, as OpenAI's clients read them."""

        async def run(request: Request) -> Response:
            began = time.monotonic()
            try:
                self._admit(request)
                response = await handler(request)
            except RequestError as error:
                response = _problem(error.status, error.says, error.about, error.headers)
            except ClasstokenError as error:
                response = _problem(400, str(error))
            except Exception as error:
                response = _problem(500, f"internal error: {type(error).__name__}")
            response.headers.update(HEADERS)
            self.counts.answered(response.status_code, time.monotonic() - began)
            return response

        return run


def _told_apart(keys: Sequence[str]) -> list[bytes]:
    """Keys as they are compared. Raises `OptionError` for what would let in everybody: a text in the place of a list,
    each sign of which would be a key, and an empty one, as of a variable that is not set."""
    if isinstance(keys, str):
        raise OptionError("`keys` is a list of keys; give ['...'], or each letter would be one.")
    if not all(isinstance(key, str) and key.strip() == key != "" for key in keys):
        raise OptionError("`keys` holds one that is empty, no text, or has blanks around it; nobody is kept out by it.")
    return [key.encode() for key in keys]


def _check_kinds(items: Sequence[ServedItem], model: ServedModel, about: str | None) -> None:
    """Raise `RequestError` for a text that a model of images should read, or the reverse."""
    for place, item in enumerate(items):
        side = "image" if item.kind == "image" else "text"
        if side not in model.modalities:
            way = "send texts" if side == "image" else "send images as data URLs (data:image/png;base64,...)"
            name = about or f"input[{place}]"
            raise RequestError(
                400, f"'{model.name}' reads {model.modalities[0]}s, and {name} is {side}; {way}", about=name
            )


def _check_space(request: Request, space: str) -> None:
    """A client that keeps vectors may name their space, and is refused rather than given others."""
    wanted = request.headers.get("x-classtoken-space")
    if wanted is not None and wanted != space:
        raise RequestError(
            409,
            f"the vectors lie in the space {space}, not in {wanted[:60]}; embed anew, or ask for "
            "the model that made yours",
        )


def _space(model: ServedModel, modality: str, size: int | None) -> str:
    """The space of one side's vectors, or of so many first numbers of them."""
    space = model.space(modality)
    return hash_value(["cut", space, size]) if size is not None and size < model.size else space


def _identity(model: ServedModel, shares: Sequence[PreparedShare], size: int | None) -> dict[str, Any]:
    """What the answer says of its vectors: the fingerprint of each side, the space, and what was put before texts."""
    space = _space(model, shares[0].modality, size)
    prompts = [model.fingerprint(share.modality, share.prompt).prompt for share in shares if share.modality == "text"]
    return {
        "fingerprints": {share.modality: model.fingerprint(share.modality, share.prompt).hash() for share in shares},
        "space": space,
        "prompt": prompts[0] if prompts else "",
    }


def _in_order(
    shares: Sequence[PreparedShare], outcomes: Sequence[Sequence[Any]], count: int, about: str | None
) -> np.ndarray:
    """One matrix in the order of the inputs. Raises `RequestError` for an input that the model cannot compute."""
    found: list[np.ndarray | None] = [None] * count
    for share, values in zip(shares, outcomes, strict=True):
        for place, value in zip(share.places, values, strict=True):
            if isinstance(value, BadRecord):
                name = about or f"input[{place}]"
                raise RequestError(400, f"{name} cannot be embedded: {value.reason}", about=name)
            found[place] = value
    vectors = np.stack([value for value in found if value is not None])
    if not np.isfinite(vectors).all():
        place = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        name = about or f"input[{place}]"
        raise RequestError(400, f"{name} has a vector that is not finite", about=name)
    return vectors


def _caught(work: Callable[[], Any]) -> Any:
    """What it gives, or the error that it raises: one request's, and nobody else's of the round."""
    try:
        return work()
    except Exception as error:
        return error


def _seen(future: asyncio.Future) -> None:
    """Look at how it ended: what nobody has looked at is written on stderr, where a client has gone away too."""
    if not future.cancelled():
        future.exception()


async def _gone(request: Request) -> None:
    """Until the client closes its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _deliver(loop: asyncio.AbstractEventLoop, future: asyncio.Future, outcome: Any) -> None:
    """From the computing thread to whoever waits in the loop."""

    def settle() -> None:
        if future.done():
            return
        if isinstance(outcome, BaseException):
            future.set_exception(outcome if isinstance(outcome, Exception) else RuntimeError(type(outcome).__name__))
        else:
            future.set_result(outcome)

    with contextlib.suppress(RuntimeError):  # the loop is closed: the service has ended
        loop.call_soon_threadsafe(settle)


def json_answer(value: Mapping[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(value, allow_nan=False), status, media_type=JSON)


def _problem(status: int, says: str, about: str | None = None, headers: Mapping[str, str] | None = None) -> Response:
    kind = KINDS.get(status, "server_error" if status > 500 else "invalid_request_error")
    response = json_answer({"error": {"message": says, "type": kind, "param": about, "code": status}}, status)
    response.headers.update(headers or {})
    if status in UNREAD:
        response.headers["Connection"] = "close"
    return response


async def _nothing(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    says = f"there is no {request.method} {request.url.path[:100]}; there are POST /v1/embeddings and GET /v1/models, "
    says += "/health, /metrics; and POST /v1/search, GET /v1/folders where folders are served"
    return _problem(status, says, headers=getattr(error, "headers", None))
