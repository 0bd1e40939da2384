"""The walkthrough's local server: loopback only, one key per process, nothing kept on disk.

What stands between a stranger's web page and this process, in the order in which a request meets it:

    Host        one of 127.0.0.1, localhost, [::1]: a name that was rebound to loopback is refused (400)
    origin      Sec-Fetch-Site must be same-origin or none, Origin the server's own; `null` never passes (403)
    key         a random key, in the fragment of the address that is printed, must come back in a header (403)
    body        counted while it streams in, with a limit of size (413) and of time (408)
    queue       one analysis at a time, few may wait, the rest is told to come back (503); what takes long, a model
                that is loaded or the experiments on a picture, waits in a queue of its own and holds up no other
    picture     PNG, JPEG or WebP by content type and by content; pixels are counted before any is decoded (415, 422)

No cookies, no CORS headers, no multipart parser, no inline script.
"""

import asyncio
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from classtoken.errors import ClasstokenError
from classtoken.page.blocks import plain, to_block
from classtoken.page.bundle import bundle
from classtoken.page.document import Walkthrough, dumps
from classtoken.page.example import Example, Experiments
from classtoken.page.export import served_index
from classtoken.serve.bodies import BodyReader, RequestError
from classtoken.serve.local import LOCAL_HOSTS
from classtoken.serve.pictures import checked_picture

KEY_HEADER = "X-Classtoken-Key"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""of a report, which has no script: its style stands in it"""
REPORTS = 4
"""reports held in memory; the oldest goes first"""
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


class WalkthroughBackend(Protocol):
    """What the server asks of a loaded model; `walk.engine.Engine` is one."""

    @property
    def modality(self) -> str: ...

    def add(self, content: bytes | str) -> Example: ...

    def attention(self, example: str, layer: int, head: int) -> Any: ...

    def what_if(self, example: str, change: dict[str, Any]) -> Any: ...

    def experiments(self, example: str) -> Experiments: ...

    def pair(self, one: str, other: str) -> str: ...


@dataclass(frozen=True)
class ServerLimits:
    """How much a request may ask for."""

    body: int = 8_000_000
    text: int = 20_000
    pixels: int = 20_000_000
    body_seconds: float = 20.0
    analysis_seconds: float = 60.0
    opening_seconds: float = 900.0
    """what takes long: a model that is switched to, the experiments on an input, why two inputs are alike"""
    waiting: int = 8


@dataclass
class Queue:
    """Work that is done one at a time."""

    turn: asyncio.Semaphore
    waiting: int = 0


Opener = Callable[[], tuple[Walkthrough, WalkthroughBackend]]
"""loads a model and walks its examples through; called when somebody switches to it"""


class WalkthroughService:
    """The routes, around the document of a model, and those of others that the page may switch to."""

    def __init__(
        self,
        document: Walkthrough,
        backend: WalkthroughBackend,
        key: str,
        limits: ServerLimits,
        others: Mapping[str, Opener],
    ):
        self.first = document.model.name
        self.others = {name: opener for name, opener in others.items() if name != self.first}
        self.opened = {self.first: (document.to_json(), backend)}
        self.key, self.limits = key, limits
        self.bodies = BodyReader(limits.body_seconds)
        self.short, self.long = Queue(asyncio.Semaphore(1)), Queue(asyncio.Semaphore(1))
        self.reports: dict[str, str] = {}

    # -- what a request must bring -------------------------------------------------------------------------------------

    def admit(self, request: Request) -> None:
        """Refuse what did not come from this server's own page with its key."""
        site = request.headers.get("sec-fetch-site", "none")
        if site not in ("same-origin", "none"):
            raise RequestError(403, "this request came from another site")
        origin = request.headers.get("origin")
        if origin is not None and origin != f"{request.url.scheme}://{request.headers.get('host', '')}":
            raise RequestError(403, "this request came from another origin")
        given = request.headers.get(KEY_HEADER, "")
        if not hmac.compare_digest(given.encode(), self.key.encode()):
            raise RequestError(403, "the key is missing or wrong; open the address that classtoken printed")

    async def model(self, request: Request) -> tuple[str, WalkthroughBackend]:
        """The document and the model that a request is about: `?model=`, opened when it is asked for first."""
        name = request.query_params.get("model", self.first)
        if name not in self.opened:
            opener = self.others.get(name)
            if opener is None:
                raise RequestError(404, f"there is no model '{name[:60]}' here; there are {', '.join(self.names)}")
            document, backend = await self.analyse(lambda: self._open(name, opener), long=True)
            return document, backend
        return self.opened[name]

    @property
    def names(self) -> list[str]:
        """The models that the page may show, the one that it was made for first."""
        return [self.first, *self.others]

    def _open(self, name: str, opener: Opener) -> tuple[str, WalkthroughBackend]:
        if name not in self.opened:  # two may have asked at once
            document, backend = opener()
            self.opened[name] = (document.to_json(), backend)
        return self.opened[name]

    async def analyse(self, work: Callable[[], Any], *, long: bool = False) -> Any:
        """Run one analysis at a time in a thread; a few may wait, the rest is refused. `long`: in the other queue."""
        queue = self.long if long else self.short
        seconds = self.limits.opening_seconds if long else self.limits.analysis_seconds
        if queue.waiting >= self.limits.waiting:
            raise RequestError(503, "too many analyses are waiting; try again in a moment")
        queue.waiting += 1
        try:
            async with asyncio.timeout(seconds), queue.turn:
                return await run_in_threadpool(work)
        except TimeoutError:
            raise RequestError(503, f"the analysis took longer than {seconds:g} seconds") from None
        finally:
            queue.waiting -= 1

    # -- routes --------------------------------------------------------------------------------------------------------

    async def index(self, _: Request) -> Response:
        return Response(served_index(), media_type="text/html; charset=utf-8")

    async def script(self, _: Request) -> Response:
        return Response(bundle().script, media_type="text/javascript; charset=utf-8")

    async def style(self, _: Request) -> Response:
        return Response(bundle().style, media_type="text/css; charset=utf-8")

    async def document(self, request: Request) -> Response:
        self.admit(request)
        text, _ = await self.model(request)
        return _json(text)

    async def models(self, request: Request) -> Response:
        """The names of all models that the page may show."""
        self.admit(request)
        return _json(dumps(self.names))

    async def input(self, request: Request) -> Response:
        """A new input: a raw picture (image/png, image/jpeg, image/webp) or a text (text/plain)."""
        self.admit(request)
        _, backend = await self.model(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/plain":
            if backend.modality != "text":
                raise RequestError(415, "this model reads pictures; send image/png, image/jpeg or image/webp")
            raw = await self._read(request, self.limits.text, "text")
            content: bytes | str = _text(raw)
        else:
            if backend.modality != "image":
                raise RequestError(415, "this model reads texts; send text/plain")
            if kind not in ("image/png", "image/jpeg", "image/webp"):
                raise RequestError(415, f"'{kind[:60]}' is not read; send image/png, image/jpeg or image/webp")
            raw = await self._read(request, self.limits.body, "picture")
            content = await run_in_threadpool(checked_picture, raw, self.limits.pixels)
        example = await self.analyse(lambda: backend.add(content))
        return _json(dumps(plain(example)))

    async def _read(self, request: Request, limit: int, what: str) -> bytes:
        """The body of an input; one that is too large is refused in the words of those who sent it."""
        try:
            return await self.bodies.read(request, limit)
        except RequestError as error:
            if error.status != 413:
                raise
            most = f"{limit / 1e6:g} MB" if limit >= 1_000_000 else f"{limit:,} bytes"
            less = "save it smaller" if what == "picture" else "send a part of it"
            raise RequestError(413, f"the {what} is larger than {most}, the most that is read here; {less}") from None

    async def attention(self, request: Request) -> Response:
        """A whole attention matrix as a block."""
        self.admit(request)
        _, backend = await self.model(request)
        example, layer, head = (request.path_params[name] for name in ("example", "layer", "head"))
        matrix = await self.analyse(lambda: backend.attention(example, layer, head))
        return _json(dumps(to_block(matrix)))

    async def experiments(self, request: Request) -> Response:
        """Knock-outs and removals of an input that was sent; asked for after it, since they take longer."""
        self.admit(request)
        _, backend = await self.model(request)
        example = request.path_params["example"]
        found = await self.analyse(lambda: backend.experiments(example), long=True)
        return _json(dumps(plain(found)))

    async def pair(self, request: Request) -> Response:
        """Why two inputs are alike: computed, and kept under an address that nobody can guess, since what a browser
        opens brings no key."""
        self.admit(request)
        _, backend = await self.model(request)
        one, other = (request.path_params[name] for name in ("one", "other"))
        page = await self.analyse(lambda: backend.pair(one, other), long=True)
        address = f"/report/{secrets.token_urlsafe(24)}"
        self.reports[address] = page
        for old in list(self.reports)[:-REPORTS]:
            del self.reports[old]
        return _json(dumps({"address": address}))

    async def report(self, request: Request) -> Response:
        """A report that was made before, at its address."""
        page = self.reports.get(request.url.path)
        if page is None:
            raise RequestError(404, "this report is not held any more; make it again from the walkthrough")
        return Response(page, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": REPORT_CSP})

    async def what_if(self, request: Request) -> Response:
        """Answers after a change, as JSON in and a block out."""
        self.admit(request)
        _, backend = await self.model(request)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise RequestError(415, "send application/json")
        try:
            change = json.loads(await self.bodies.read(request, 100_000))
        except (ValueError, RecursionError):
            raise RequestError(400, "the body is not JSON") from None
        if not isinstance(change, dict) or not isinstance(change.get("example"), str):
            raise RequestError(400, "send an object with 'example' and the change")
        values = await self.analyse(lambda: backend.what_if(change["example"], change))
        return _json(dumps({"values": to_block(values)}))


def _json(text: str) -> Response:
    return Response(text, media_type="application/json; charset=utf-8")


def _text(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise RequestError(422, "the text is not UTF-8") from None
    if not text:
        raise RequestError(422, "the text is empty")
    return text


def guarded(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """A route whose refusals and errors become a status and one sentence, with the same headers as everything else."""

    async def run(request: Request) -> Response:
        try:
            response = await handler(request)
        except RequestError as error:
            response = _problem(error.status, error.says)
            response.headers.update(error.headers)
        except ClasstokenError as error:
            response = _problem(422, str(error))
        except Exception as error:
            response = _problem(500, f"internal error: {type(error).__name__}")
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return run


def _problem(status: int, says: str) -> Response:
    return Response(dumps({"error": says}), status, media_type="application/json; charset=utf-8")


async def _missing(_: Request, __: Exception) -> Response:
    return PlainTextResponse("not found", 404, headers=HEADERS)


def app_of(
    document: Walkthrough,
    backend: WalkthroughBackend,
    key: str,
    limits: ServerLimits | None = None,
    others: Mapping[str, Opener] | None = None,
) -> Starlette:
    """The application: a document made before serving begins, and the model to ask about it.

    others: models that the page may switch to, by name; each is opened when it is first asked for, and then kept.
    `key` must come with every call of /api in the header `X-Classtoken-Key`.
    """
    limits = limits or ServerLimits()
    service = WalkthroughService(document, backend, key, limits, others or {})
    routes = [
        Route("/", guarded(service.index)),
        Route("/static/app.js", guarded(service.script)),
        Route("/static/app.css", guarded(service.style)),
        Route("/api/document", guarded(service.document)),
        Route("/api/models", guarded(service.models)),
        Route("/api/input", guarded(service.input), methods=["POST"]),
        Route("/api/attention/{example}/{layer:int}/{head:int}", guarded(service.attention)),
        Route("/api/experiments/{example}", guarded(service.experiments)),
        Route("/api/pair/{one}/{other}", guarded(service.pair)),
        Route("/report/{address}", guarded(service.report)),
        Route("/api/whatif", guarded(service.what_if), methods=["POST"]),
    ]
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=LOCAL_HOSTS, www_redirect=False)
    return Starlette(routes=routes, middleware=[hosts], exception_handlers={404: _missing, 405: _missing})
