"""Services that answer in other ways than with vectors: never a verdict about the vectors, never a traceback."""

import gzip
import json
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

import classtoken as ct
from classtoken.audit import services
from classtoken.embedder import Embedder
from classtoken.errors import SourceError
from classtoken.results.verify import Diagnosis

#: Number of the request from 0, its texts -> status, headers, body.
Answer = Callable[[int, Sequence[str]], tuple[int, dict[str, str], Any]]


@pytest.fixture(scope="module")
def meant() -> Embedder:
    return ct.load("builtin:sentiment")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "PAUSE", 0.0)


@contextmanager
def service(answer: Answer) -> Iterator[tuple[str, list[Any]]]:
    """Its address, and the headers of each request that it got."""
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append(self.headers)
            status, headers, value = answer(len(got) - 1, body["input"])
            self.send_response(status)
            for name, said in headers.items():
                self.send_header(name, said)
            self.end_headers()
            self.wfile.write(value if isinstance(value, bytes) else json.dumps(value).encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/embeddings", got
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def rows(vectors: np.ndarray) -> dict[str, Any]:
    return {"data": [{"index": place, "embedding": row} for place, row in enumerate(vectors.tolist())]}


def diagnosed(meant: Embedder, answer: Answer) -> Diagnosis:
    with service(answer) as (url, _):
        found = ct.verify(model=meant, endpoint=url)
    assert isinstance(found, Diagnosis)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("when", [0, 2])
def test_one_that_has_no_time_is_asked_again(meant: Embedder, status: int, when: int) -> None:
    def answer(number: int, texts: Sequence[str]) -> tuple[int, dict[str, str], Any]:
        return (status, {"Retry-After": "0"}, "busy") if number == when else (200, {}, rows(meant.embed(list(texts))))

    found = diagnosed(meant, answer)
    assert found.ok
    assert "long texts: cut at 64 tokens" in found.evidence[-1]


def test_one_that_stays_busy_gets_no_verdict(meant: Embedder) -> None:
    def answer(number: int, texts: Sequence[str]) -> tuple[int, dict[str, str], Any]:
        return (429, {}, "busy") if number > 1 else (200, {}, rows(meant.embed(list(texts))))

    with pytest.raises(SourceError, match=r"has no time \(status 429: \"busy\"\), asked 4 times; try again later"):
        diagnosed(meant, answer)


def test_a_long_text_that_is_always_an_error_is_refused_for_its_length(meant: Embedder) -> None:
    def answer(number: int, texts: Sequence[str]) -> tuple[int, dict[str, str], Any]:
        return (500, {}, "too long") if number > 1 else (200, {}, rows(meant.embed(list(texts))))

    found = diagnosed(meant, answer)
    assert found.ok
    assert "words is refused (status 500" in found.evidence[-1]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_key_goes_to_another_address(meant: Embedder, tmp_path: Any, status: int) -> None:
    key = tmp_path / "key"
    key.write_text("a-key-of-somebody")
    with service(lambda _, texts: (200, {}, rows(meant.embed(list(texts))))) as (there, got):  # noqa: SIM117
        with service(lambda *_: (status, {"Location": there}, "")) as (url, _):
            with pytest.raises(SourceError, match=f"sends on to '{there}', which is not followed; give that address"):
                ct.verify(model=meant, endpoint=url, api_key_file=key)
    assert got == []


def test_an_address_with_a_slash_behind_is_asked_as_it_is_given(meant: Embedder) -> None:
    with service(lambda _, texts: (200, {}, rows(meant.embed(list(texts))))) as (url, _):
        found = ct.verify(model=meant, endpoint=f"{url}/")
    assert isinstance(found, Diagnosis)
    assert found.of == f"{url}/"


@pytest.mark.slow
def test_vectors_in_another_order(meant: Embedder) -> None:
    def sorted_by_length(_: int, texts: Sequence[str]) -> tuple[int, dict[str, str], Any]:
        return 200, {}, rows(meant.embed(sorted(texts, key=len)))

    found = diagnosed(meant, sorted_by_length)
    assert (found.verdict, found.differs_by) == ("differs", ("order",))
    assert "short texts have another one's vector" in str(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda vectors: vectors * 0, "24 of the 24 short texts have a vector of zeros"),
        (lambda vectors: np.ones_like(vectors), "all short texts have the same vector"),
    ],
    ids=["zeros", "the same"],
)
def test_what_no_encoder_gives(meant: Embedder, change: Callable[[np.ndarray], np.ndarray], says: str) -> None:
    found = diagnosed(meant, lambda _, texts: (200, {}, rows(change(meant.embed(list(texts))))))
    assert (found.verdict, found.differs_by) == ("differs", ("model",))
    assert says in found.evidence


@pytest.mark.parametrize("content", [b"[" * 200_000, b"\x1f\x8b", b"", b"{}"], ids=["deep", "gzip", "nothing", "empty"])
def test_what_is_no_answer(meant: Embedder, content: bytes) -> None:
    with pytest.raises(SourceError, match="answer"):
        diagnosed(meant, lambda *_: (200, {}, content))


def test_vectors_of_no_numbers(meant: Embedder) -> None:
    with pytest.raises(SourceError, match="or not all numbers"):
        diagnosed(meant, lambda _, texts: (200, {}, rows(np.zeros((len(texts), 0)))))


@pytest.mark.parametrize("content", [b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n{}"])
def test_what_speaks_no_http(meant: Embedder, content: bytes) -> None:
    import socketserver

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1 << 16)
            self.request.sendall(content)

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        with pytest.raises(SourceError, match="does not answer as a service of vectors does"):
            ct.verify(model=meant, endpoint=f"http://127.0.0.1:{server.server_address[1]}/v1/embeddings")
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:abc", "http://127.0.0.1:99999", "http://[::1", "http://127.0.0.1:9/a b", "http://h\n"]
)
def test_what_is_no_address(meant: Embedder, url: str) -> None:
    with pytest.raises(SourceError, match="is no address of a service; write http://HOST:PORT"):
        ct.verify(model=meant, endpoint=url)


def test_a_password_in_an_address_is_not_said_again(meant: Embedder) -> None:
    with pytest.raises(SourceError, match="api_key_file") as raised:
        ct.verify(model=meant, endpoint="http://somebody:secret@127.0.0.1:9/v1/embeddings")
    assert "secret" not in str(raised.value)


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "X-GZIP": gzip.compress,
    "deflate": zlib.compress,
}


def packed(embedder: Embedder, pack: Callable[[bytes], bytes], coding: str) -> Answer:
    """A service whose proxy packs every answer, whoever asks."""

    def answer(_: int, texts: Sequence[str]) -> tuple[int, dict[str, str], Any]:
        vectors = [embedder.embed([text])[0].tolist() for text in texts]  # type: ignore[union-attr]
        plain = json.dumps({"data": [{"index": n, "embedding": row} for n, row in enumerate(vectors)]}).encode()
        return 200, {"Content-Encoding": coding}, pack(plain)

    return answer


@pytest.mark.parametrize("coding", PACKINGS)
def test_an_answer_that_is_packed_without_being_asked_is_unpacked(meant: Embedder, coding: str) -> None:
    with service(packed(meant, PACKINGS[coding], coding)) as (url, _):
        found = services.VectorService(url, name="m").vectors(["a film", "a bore"])
    np.testing.assert_allclose(found, meant.embed(["a film", "a bore"]), atol=1e-6)


@pytest.mark.parametrize(
    ("coding", "why"), [("br", "content encoding 'br', which was not asked for"), ("gzip", "cannot be unpacked")]
)
def test_a_packing_that_is_not_known_or_not_true_is_said(meant: Embedder, coding: str, why: str) -> None:
    with service(packed(meant, bytes, coding)) as (url, _), pytest.raises(SourceError, match=why):
        services.VectorService(url, name="m").vectors(["a film"])


def test_a_refusal_that_is_packed_is_read(meant: Embedder) -> None:
    said = gzip.compress(b"no such model")
    with (
        service(lambda *_: (400, {"Content-Encoding": "gzip"}, said)) as (url, _),
        pytest.raises(services.ServiceRefusal, match="no such model"),
    ):
        services.VectorService(url, name="m").vectors(["a film"])
