"""Ask a service for vectors of texts, in the three ways that services have: OpenAI's, TEI's and Ollama's."""

import base64
import json
import socket
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import numpy as np

from classtoken.errors import SourceError

#: Texts of one request; TEI takes no more than 32 unless it is told to.
AT_ONCE = 16
SECONDS = 120
#: Bytes of an answer that are read.
LARGEST = 200_000_000
#: Content encodings that are unpacked.
PACKED = ("gzip", "x-gzip", "deflate")
LOCAL = ("127.0.0.1", "::1", "localhost")
#: What a service answers that has no time just now, whatever it is asked; and besides, what may pass. A few of them
#: answer 500 to a text that is too long: asked again they do so again.
BUSY = (408, 425, 429, 502, 503, 504)
PASSING = (*BUSY, 500)
#: How often a service is asked that may answer later; seconds between, where it says none; the most that it may say.
ATTEMPTS, PAUSE, LONGEST_PAUSE = 4, 0.5, 30.0


class NoService(SourceError):
    """There is nobody at an address, or nobody who answers there and now."""


class ServiceRefusal(Exception):
    """The service answered, and not with vectors: its status, the first of what it said, and in how many seconds it
    may be asked again, where it said so."""

    def __init__(self, status: int, says: str, seconds: float | None = None):
        super().__init__(says)
        self.status, self.says, self.seconds = status, says, seconds


@dataclass(frozen=True)
class Way:
    """How one kind of service is asked: the end of its address, the body, and the vectors in the answer."""

    name: str
    path: str
    body: Callable[[str, Sequence[str]], Mapping[str, Any]]
    read: Callable[[Any], Sequence[Any]]


def _openai(answer: Any) -> list[Any]:
    entries = sorted(answer["data"], key=lambda entry: entry.get("index", 0))
    return [entry["embedding"] for entry in entries]


WAYS = (
    Way("OpenAI", "/v1/embeddings", lambda model, texts: {"model": model, "input": list(texts)}, _openai),
    Way("TEI", "/embed", lambda model, texts: {"inputs": list(texts), "truncate": True}, lambda answer: answer),
    Way(
        "Ollama",
        "/api/embed",
        lambda model, texts: {"model": model, "input": list(texts)},
        lambda answer: answer["embeddings"],
    ),
)


class VectorService:
    """A service at an address: `http://host:port`, or with the path that is to be asked.

    `name` is what the service calls its model; without one it is asked for its list, and the first is taken. `key` is
    sent as `Authorization: Bearer`.
    """

    def __init__(self, url: str, *, name: str | None = None, key: str | None = None):
        parts = _address(url)
        self.url, self.key = url.rstrip("/"), key
        handlers = [urllib.request.ProxyHandler({})] if parts.hostname in LOCAL else []
        self.opener = urllib.request.build_opener(_NotElsewhere, *handlers)
        self.way, self.address = self._find(parts.path.rstrip("/"), url)
        self.name = name or _listed(self, self.address) or "default"

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """(texts, size) float32. Raises `ServiceRefusal` where the service refuses, `SourceError` for what is no
        vectors."""
        blocks = [self._some(texts[at : at + AT_ONCE]) for at in range(0, len(texts), AT_ONCE)]
        if len({block.shape[1] for block in blocks}) != 1:
            raise SourceError(f"{self.address} answers with vectors of different sizes.")
        return np.concatenate(blocks)

    def _some(self, texts: Sequence[str]) -> np.ndarray:
        answer = self.asked(self.address, self.way.body(self.name, texts))
        try:
            rows = [_numbers(row) for row in self.way.read(answer)]
            found = np.array(rows, dtype=np.float32)
        except (KeyError, TypeError, ValueError, AttributeError):
            shown = json.dumps(answer)[:80]
            raise SourceError(
                f"{self.address} answers with {shown}, which is not what {self.way.name} gives."
            ) from None
        if found.ndim != 2 or len(found) != len(texts) or not found.size or not np.isfinite(found).all():
            raise SourceError(f"{self.address} gives {len(found)} vectors for {len(texts)} texts, or not all numbers.")
        return found

    def _find(self, path: str, given: str) -> tuple[Way, str]:
        """The way whose path the address ends with, which is then asked as it is given; else the first that the service
        knows."""
        for way in WAYS:
            if path.endswith(way.path) or (way.name == "OpenAI" and path.endswith("/embeddings")):
                return way, given
        said = "no answer"
        for way in WAYS:
            address = self.url.removesuffix("/v1") + way.path
            self.way, self.address, self.name = way, address, _listed(self, address) or "default"
            try:
                self._some(["a"])
            except NoService:
                raise
            except (ServiceRefusal, SourceError) as error:
                said = str(error)
                if isinstance(error, ServiceRefusal) and error.status not in (404, 405):
                    raise SourceError(f"{address} refuses with status {error.status}: {error.says}") from None
                continue
            return way, address
        raise SourceError(
            f"'{self.url}' gives no vectors in OpenAI's, TEI's or Ollama's way ({said}); give the whole address, such "
            "as http://HOST:PORT/v1/embeddings."
        )

    def asked(self, address: str, body: Mapping[str, Any] | None = None) -> Any:
        """The JSON that an address answers with, asked again where the service may answer later.

        Raises `ServiceRefusal`, `NoService` for one that has no time or sends on to another address, and `SourceError`
        where there is no JSON.
        """
        for attempt in range(ATTEMPTS):
            try:
                return self._once(address, body)
            except ServiceRefusal as refusal:
                last = attempt + 1 == ATTEMPTS
                if last and refusal.status in BUSY:
                    raise NoService(
                        f"{address} has no time (status {refusal.status}: {refusal.says}), asked {ATTEMPTS} times; try "
                        "again later."
                    ) from None
                if last or refusal.status not in PASSING:
                    raise
                time.sleep(refusal.seconds if refusal.seconds is not None else PAUSE * 2**attempt)
        raise AssertionError("unreachable")

    def _once(self, address: str, body: Mapping[str, Any] | None) -> Any:
        request = urllib.request.Request(address, None if body is None else json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        if self.key is not None:
            request.add_header("Authorization", f"Bearer {self.key}")
        try:
            with self.opener.open(request, timeout=SECONDS) as answer:
                return json.loads(_plain(answer, LARGEST))
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(address, error) from None
        except (OSError, ValueError, HTTPException, RecursionError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ConnectionRefusedError | socket.gaierror):
                what = (
                    "there is no machine called so" if isinstance(reason, socket.gaierror) else "nothing listens there"
                )
                raise NoService(f"{request.host}: {what}; start the service, or give its address.") from None
            said = " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__
            raise SourceError(
                f"{address} does not answer as a service of vectors does ({said}); is it running?"
            ) from None


def _plain(answer: Any, most: int) -> bytes:
    """At most so many bytes of an answer, unpacked where it was packed without being asked, as some proxies do.

    Raises `ValueError` for what is packed in another way, or is not whole.
    """
    coding = (answer.headers.get("Content-Encoding") or "identity").strip().lower()
    content: bytes = answer.read(most)
    if coding == "identity":
        return content
    if coding not in PACKED:
        raise ValueError(f"its answer has the content encoding '{coding[:60]}', which was not asked for")
    unpacking = zlib.decompressobj(32 + zlib.MAX_WBITS)  # gzip's head or zlib's
    try:
        return unpacking.decompress(content, most)
    except zlib.error as error:
        raise ValueError(f"its answer cannot be unpacked: {error}") from None


class _NotElsewhere(urllib.request.HTTPRedirectHandler):
    """Follows no address that a service sends on to: a key would go along, and what is asked would be lost."""

    def redirect_request(self, *_: object) -> None:
        """Nothing: the answer is an error, as any other that is no JSON."""


def _refusal(address: str, error: urllib.error.HTTPError) -> ServiceRefusal | NoService:
    """What the status of an answer means."""
    elsewhere = error.headers.get("Location")
    if 300 <= error.code < 400 and elsewhere:
        there = urljoin(address, elsewhere)[:200]
        return NoService(f"{address} sends on to '{there}', which is not followed; give that address.")
    try:
        says = " ".join(_plain(error, 500).decode("utf-8", "replace").split())
    except (OSError, HTTPException, ValueError):
        says = ""
    told = error.headers.get("Retry-After", "")
    return ServiceRefusal(error.code, says[:200], min(float(told), LONGEST_PAUSE) if told.isdecimal() else None)


def _address(url: str) -> SplitResult:
    """An address in its parts. Raises `SourceError` for what is none."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not close; a port that is no number
        usable = False
    if not usable or any(sign <= " " or sign == "\x7f" for sign in url):
        raise SourceError(f"{url!r} is no address of a service; write http://HOST:PORT, or with the path to ask.")
    if parts.username is not None:
        raise SourceError(
            f"the address of '{parts.hostname}' has a name or a password before its @, and neither is sent; leave them "
            "out, and give a key in `api_key_file`."
        )
    return parts


def _listed(service: VectorService, address: str) -> str | None:
    """The first model that the service lists, where it lists any."""
    base = address.rstrip("/")
    for way in WAYS:
        base = base.removesuffix(way.path)
    base = base.removesuffix("/embeddings").removesuffix("/v1")
    for path, (models, name) in (("/v1/models", ("data", "id")), ("/api/tags", ("models", "name"))):
        try:
            return str(service.asked(base + path)[models][0][name])
        except (ServiceRefusal, SourceError, KeyError, TypeError, IndexError):
            continue
    return None


def _numbers(row: Any) -> Any:
    return np.frombuffer(base64.b64decode(row), "<f4") if isinstance(row, str) else row
