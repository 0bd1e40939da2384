"""Vectors over HTTP: what OpenAI's clients get, what is refused, and that batch mates change nothing."""

import asyncio
import base64
import contextlib
import gc
import gzip
import io
import json
import random
import socket
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from tests import folders

import classtoken as ct
from classtoken.embedder import Embedder
from classtoken.errors import OptionError
from classtoken.jobs.serve import named_model, read_keys, service
from classtoken.options import ServeOptions
from classtoken.serve.impatient import impatient
from classtoken.serve.local import bound, checked_host, served_host
from classtoken.serve.served import ServedModel
from classtoken.serve.service import JSON, EmbeddingService, ServiceLimits

TEXTS = [*folders.SENTENCES, "the dog sits under the red house", "a bird " * 12]


class RunningService:
    """A real server on a free loopback port, in a thread."""

    def __init__(self, app: Any, *, head_seconds: float = 10.0):
        self.socket = bound("127.0.0.1", 0)
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(
            app, log_level="critical", ws="none", http=impatient(head_seconds), lifespan="off", limit_concurrency=200
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.socket.close()


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served")
    folders.sentence_transformer(root / "texts", prompts=True)
    folders.tiny_vit(root / "pictures", pooler=False)
    folders.tiny_clip(root / "both")
    return root


@pytest.fixture(scope="module")
def texts(places: Path) -> Embedder:
    return ct.load(places / "texts")


@pytest.fixture(scope="module")
def running(places: Path, texts: Embedder) -> Iterator[RunningService]:
    models: dict[str, Any] = {"texts": texts, "pictures": places / "pictures", "both": places / "both"}
    made = RunningService(ct.service(models, max_inputs=64, max_body=200_000, max_pixels=10_000), head_seconds=0.5)
    yield made
    made.stop()


@pytest.fixture
def client(running: RunningService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, timeout=30, trust_env=False) as made:
        yield made
        assert ask(made, "cat").status_code == 200  # whatever the test did: it still answers


def ask(client: httpx.Client, given: Any, model: str = "texts", **rest: Any) -> httpx.Response:
    return client.post("/v1/embeddings", json={"input": given, "model": model, **rest})


def vectors(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    return np.array([entry["embedding"] for entry in response.json()["data"]], dtype=np.float32)


def png(color: str = "teal", size: tuple[int, int] = (40, 30)) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, "PNG")
    return out.getvalue()


def data_url(raw: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(raw).decode()


class TestAnswers:
    def test_are_what_embed_gives(self, client: httpx.Client, texts: Embedder) -> None:
        found = ask(client, TEXTS)
        np.testing.assert_allclose(vectors(found), texts.embed(TEXTS), atol=1e-5)
        body = found.json()
        assert body["object"] == "list"
        assert body["model"] == "texts"
        assert [entry["index"] for entry in body["data"]] == list(range(len(TEXTS)))
        assert body["usage"]["prompt_tokens"] == sum(len(row) for row in texts.tower().prepare.ready(TEXTS))
        one = ask(client, TEXTS[0])
        np.testing.assert_allclose(vectors(one)[0], vectors(found)[0], atol=1e-5)

    def test_in_base64_and_in_fewer_numbers(self, client: httpx.Client, texts: Embedder) -> None:
        plain = vectors(ask(client, TEXTS))
        coded = ask(client, TEXTS, encoding_format="base64", user="me").json()["data"]
        read = np.array([np.frombuffer(base64.b64decode(entry["embedding"]), "<f4") for entry in coded])
        np.testing.assert_array_equal(read, plain)
        short = ask(client, TEXTS, dimensions=8)
        expected = plain[:, :8] / np.linalg.norm(plain[:, :8], axis=1, keepdims=True)
        np.testing.assert_allclose(vectors(short), expected, atol=1e-6)
        whole = ask(client, TEXTS, dimensions=32)
        np.testing.assert_array_equal(vectors(whole), plain)
        assert short.json()["space"] != whole.json()["space"] == ask(client, "cat").json()["space"]

    def test_say_what_was_cut_and_what_made_them(self, client: httpx.Client, texts: Embedder) -> None:
        found = ask(client, ["cat", "a bird " * 30])
        assert [entry["truncated"] for entry in found.json()["data"]] == [False, True]
        assert found.headers["x-classtoken-truncated"] == "1"
        fingerprint = texts.fingerprint()
        assert found.headers["x-classtoken-fingerprint"] == fingerprint.hash() == found.json()["fingerprints"]["text"]
        assert found.headers["x-classtoken-space"] == next(iter(fingerprint.spaces.values()))
        refused = ask(client, ["cat", "a bird " * 30], truncate=False)
        assert refused.status_code == 400
        assert "input[1] is" in refused.json()["error"]["message"]

    def test_prompts_by_role_and_by_name(self, client: httpx.Client, texts: Embedder) -> None:
        for asked in ({"input_type": "query"}, {"prompt_name": "query"}, {"input_type": "search_query"}):
            found = ask(client, TEXTS, **asked)
            np.testing.assert_allclose(vectors(found), texts.embed(TEXTS, prompt="query"), atol=1e-5)
            assert found.json()["prompt"] == texts.tower().prepare.prompt_text("query") != ""
        other = ask(client, "cat", input_type="document").headers["x-classtoken-fingerprint"]
        assert found.headers["x-classtoken-fingerprint"] != other
        assert ask(client, "cat", prompt_name="nonsense").status_code == 400
        assert ask(client, "cat", input_type="nonsense").status_code == 400

    def test_ids_of_tokens_with_and_without_special_ones(self, client: httpx.Client, places: Path) -> None:
        both = ct.load(places / "both")
        expected = both.embed(TEXTS, modality="text")
        rows = [row.ids.tolist() for row in both.tower("text").prepare.ready(TEXTS)]
        np.testing.assert_allclose(vectors(ask(client, rows, "both")), expected, atol=1e-5)
        bare = [row[1:-1] for row in rows]
        np.testing.assert_allclose(vectors(ask(client, bare, "both")), expected, atol=1e-5)
        np.testing.assert_allclose(vectors(ask(client, rows[0], "both"))[0], expected[0], atol=1e-5)
        outside = ask(client, [[2, 999, 3]], "both")
        assert outside.status_code == 400
        assert "999" in outside.json()["error"]["message"]

    def test_images_and_both_sides_at_once(self, client: httpx.Client, places: Path) -> None:
        raw = [png("teal"), png("red", (20, 50))]
        urls = [data_url(each) for each in raw]
        np.testing.assert_allclose(
            vectors(ask(client, urls, "pictures")), ct.load(places / "pictures").embed(raw), atol=1e-5
        )
        both = ct.load(places / "both")
        mixed = ask(
            client,
            [
                "cat",
                urls[0],
                {"type": "image_url", "image_url": {"url": urls[1]}},
                {"text": "a dog"},
                {"image": urls[0]},
            ],
            "both",
        )
        expected = np.concatenate(
            [
                both.embed(["cat"], modality="text"),
                both.embed(raw, modality="image"),
                both.embed(["a dog"], modality="text"),
                both.embed(raw[:1], modality="image"),
            ]
        )
        np.testing.assert_allclose(vectors(mixed), expected, atol=1e-5)
        assert set(mixed.json()["fingerprints"]) == {"text", "image"}

    def test_whatever_they_are_batched_with(self, client: httpx.Client, texts: Embedder) -> None:
        chance = random.Random(0)
        pool = [" ".join(chance.choices(folders.WORDS[5:], k=chance.randint(1, 14))) for _ in range(60)]
        expected = dict(zip(pool, texts.embed(pool), strict=True))

        def one(seed: int) -> float:
            some = random.Random(seed).sample(pool, 1 + seed % 9)
            found = ask(client, some)
            return float(np.abs(vectors(found) - np.array([expected[text] for text in some])).max())

        with ThreadPoolExecutor(8) as threads:
            assert max(threads.map(one, range(60))) < 1e-5

    def test_of_a_space_that_is_wanted(self, client: httpx.Client) -> None:
        body = {"input": "cat", "model": "texts"}
        space = ask(client, "cat").headers["x-classtoken-space"]
        assert client.post("/v1/embeddings", json=body, headers={"X-Classtoken-Space": space}).status_code == 200
        refused = client.post("/v1/embeddings", json=body, headers={"X-Classtoken-Space": "another"})
        assert refused.status_code == 409

    def test_of_a_space_that_is_wanted_in_fewer_numbers(self, client: httpx.Client) -> None:
        body = {"input": "cat", "model": "texts", "dimensions": 8}
        whole, short = ask(client, "cat").json()["space"], ask(client, "cat", dimensions=8).json()["space"]
        assert client.post("/v1/embeddings", json=body, headers={"X-Classtoken-Space": short}).status_code == 200
        assert client.post("/v1/embeddings", json=body, headers={"X-Classtoken-Space": whole}).status_code == 409

    def test_models_health_and_metrics(self, client: httpx.Client) -> None:
        listed = client.get("/v1/models").json()["data"]
        assert [model["id"] for model in listed] == ["texts", "pictures", "both"]
        assert listed[0]["dimensions"] == 32
        assert listed[0]["max_tokens"] == 12
        assert set(listed[2]["spaces"].values()) == {listed[2]["spaces"]["text"]}
        assert client.get("/v1/models/both").json() == listed[2]
        assert client.get("/v1/models/none").status_code == 404
        assert client.get("/health").json() == {"status": "ok"}
        ask(client, ["cat", "dog"])
        text = client.get("/metrics").text
        counts = {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if not line.startswith("#")}
        assert counts["classtoken_inputs_total"] >= 2
        assert counts['classtoken_requests_total{status="200"}'] >= 2
        assert counts["classtoken_waiting_tokens"] == 0
        assert counts['classtoken_request_seconds_bucket{le="+Inf"}'] == counts["classtoken_request_seconds_count"]


#: What is wrong, the body, and the status that it gets.
MALFORMED: list[tuple[Any, int]] = [
    (b"", 400),
    (b"[", 400),
    (b"[" * 50_000, 400),
    (b'{"input": ' + b"9" * 5000 + b"}", 400),
    (b"\xff\xfe", 400),
    (b"[1]", 400),
    (b'"cat"', 400),
    ({"model": "texts"}, 400),
    ({"input": None}, 400),
    ({"input": []}, 400),
    ({"input": [[]]}, 400),
    ({"input": [["a"]]}, 400),
    ({"input": [[1.5]]}, 400),
    ({"input": [[True]]}, 400),
    ({"input": [[-1]]}, 400),
    ({"input": [[2**70]]}, 400),
    ({"input": 7}, 400),
    ({"input": ["cat", None]}, 400),
    ({"input": [{}]}, 400),
    ({"input": [{"image": "http://127.0.0.1/secret"}], "model": "both"}, 400),
    ({"input": [{"image": 3}], "model": "both"}, 400),
    ({"input": [{"image_url": {"url": "file:///etc/passwd"}}], "model": "both"}, 400),
    ({"input": ["cat"] * 65}, 400),
    ({"input": "cat", "model": "another"}, 404),
    ({"input": "cat", "model": 5}, 400),
    ({"input": "cat", "model": None}, 404),
    ({"input": "cat", "encoding_format": "hex"}, 400),
    ({"input": "cat", "dimensions": 0}, 400),
    ({"input": "cat", "dimensions": 33}, 400),
    ({"input": "cat", "dimensions": "8"}, 400),
    ({"input": "cat", "dimensions": True}, 400),
    ({"input": "cat", "dimension": 8}, 400),
    ({"input": "cat", "truncate": "no"}, 400),
    ({"input": "\ud800"}, 400),
    ({"input": "cat", "model": "pictures"}, 400),
    ({"input": data_url(png())}, 400),
    ({"input": data_url(b"<svg/>"), "model": "pictures"}, 400),
    ({"input": data_url(png(size=(200, 200))), "model": "pictures"}, 400),
    ({"input": data_url(png())[:-9], "model": "pictures"}, 400),
    ({"input": "data:image/png;base64,%%%", "model": "pictures"}, 400),
    ({"input": "data:image/png,abc", "model": "pictures"}, 400),
    ({"input": "a" * 300_000}, 413),
    ({"input": "cat", "truncate": 0}, 400),
    ({"input": "cat", "truncate": 1.0}, 400),
    ({"input": "cat", "encoding_format": 0}, 400),
    ({"input": "cat", "encoding_format": ""}, 400),
    ({"input": "cat", "encoding_format": []}, 400),
    ({"input": {"text": "cat", "txet": "dog"}}, 400),
    ({"input": [{"text": "cat", "image": data_url(png())}], "model": "both"}, 400),
    ({"input": [{"image": {"url": data_url(png()), "size": 3}}], "model": "both"}, 400),
    (b'{"input": "cat", "model": "texts", "user": NaN}', 400),
    ({"input": ""}, 400),
    ({"input": {"text": " "}, "model": "both"}, 400),
]


def body_of(given: Any) -> bytes:
    return given if isinstance(given, bytes) else json.dumps({"model": "texts", **given}).encode()


@pytest.mark.slow
@pytest.mark.parametrize(("given", "status"), MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_wrong_is_refused_by_name(client: httpx.Client, given: Any, status: int) -> None:
    found = client.post("/v1/embeddings", content=body_of(given), headers={"Content-Type": "application/json"})
    assert found.status_code == status, found.text
    assert set(found.json()["error"]) == {"message", "type", "param", "code"}
    assert "Traceback" not in found.text


def test_other_ways_to_ask_are_refused(client: httpx.Client) -> None:
    form = client.post("/v1/embeddings", content=b"{}", headers={"Content-Type": "text/plain"})
    assert form.status_code == 415  # what a web page of somebody else's can send without asking
    gone = client.get("/v1/embeddings")
    assert (gone.status_code, gone.headers["allow"]) == (405, "POST")
    sent = {
        "content": gzip.compress(b"{}"),
        "headers": {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    }
    packed = client.post("/v1/embeddings", **sent)  # type: ignore[arg-type]
    assert (packed.status_code, packed.headers["accept-encoding"]) == (415, "identity")
    assert "the content encoding is 'gzip'" in packed.json()["error"]["message"]
    assert client.get("/v1/nothing").status_code == 404
    assert not [name for name in form.headers if name.startswith("access-control")]


@pytest.mark.parametrize("nothing", ["", " \n"])
def test_an_empty_text_has_no_vector_here_either(client: httpx.Client, nothing: str) -> None:
    """As in `embed`, and in OpenAI's own service."""
    found = client.post("/v1/embeddings", json={"model": "texts", "input": ["cat", nothing]})
    assert found.status_code == 400
    assert found.json()["error"]["param"] == "input[1]"
    assert "input[1] cannot be embedded: is empty; leave it out" in found.json()["error"]["message"]


def mutated(chance: random.Random) -> bytes:
    """A request with something wrong in it, or perhaps not."""
    raw = bytearray(
        body_of(chance.choice([{"input": TEXTS}, {"input": [[2, 5, 3]]}, *(g for g, _ in MALFORMED[7:36])]))
    )
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(raw) + 1)
        kind = chance.randrange(3)
        if kind == 0:
            raw[at:at] = bytes(chance.choices(range(256), k=chance.randint(1, 5)))
        elif kind == 1:
            del raw[at : at + chance.randint(1, 20)]
        elif raw:
            raw[at % len(raw)] = chance.randrange(256)
    return bytes(raw)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def malformed(client: httpx.Client, count: int, texts: Embedder) -> None:
    """None crashes it, and the good ones between them are answered rightly."""
    chance = random.Random(1)
    expected = texts.embed(TEXTS)
    for number in range(count):
        found = client.post("/v1/embeddings", content=mutated(chance), headers={"Content-Type": "application/json"})
        assert found.status_code in (200, 400, 404, 413), found.text
        if number % 50 == 0:
            np.testing.assert_allclose(vectors(ask(client, TEXTS)), expected, atol=1e-5)


def test_small_answers_are_sent_at_once(client: httpx.Client) -> None:
    """Not when the client's system has acknowledged the head of the answer, 40 ms later."""
    seconds = []
    for _ in range(20):
        began = time.monotonic()
        client.post("/v1/embeddings", content=b"{", headers={"Content-Type": "application/json"})
        seconds.append(time.monotonic() - began)
    assert min(seconds) < 0.03


def test_malformed_requests(client: httpx.Client, texts: Embedder) -> None:
    malformed(client, 300, texts)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_ten_thousand_malformed_requests_in_flat_memory(client: httpx.Client, texts: Embedder) -> None:
    malformed(client, 2000, texts)
    before = resident()
    malformed(client, 8000, texts)
    assert resident() - before < 40_000_000


def test_a_client_that_goes_away_leaves_nothing_on_stderr(texts: Embedder, caplog: pytest.LogCaptureFixture) -> None:
    slow = ServedModel("texts", texts, most_pixels=1)
    compute, begun, go = slow.vectors, threading.Event(), threading.Event()

    def slowly(*given: Any) -> Any:
        begun.set()
        go.wait(10)
        return compute(*given)

    slow.vectors = slowly  # type: ignore[method-assign]
    running = RunningService(EmbeddingService([slow], ServiceLimits()).app())
    try:
        content = body_of({"input": "cat"})
        head = f"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nContent-Length: {len(content)}\r\n"
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            connection.sendall(f"{head}\r\n".encode() + content)
            assert begun.wait(10)
        time.sleep(0.2)
        go.set()
    finally:
        running.stop()
    gc.collect()
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


class TestOverload:
    def test_is_refused_and_not_queued(self, texts: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
        slow = ServedModel("texts", texts, most_pixels=1)
        compute = slow.vectors

        def slowly(*given: Any) -> Any:
            time.sleep(0.05)
            return compute(*given)

        monkeypatch.setattr(slow, "vectors", slowly)
        service = EmbeddingService([slow], ServiceLimits(waiting=60))
        running = RunningService(service.app())
        limits = httpx.Limits(max_connections=60)
        client = httpx.Client(base_url=running.url, timeout=30, trust_env=False, verify=False, limits=limits)
        try:

            def one(_: int) -> tuple[int, str]:
                found = ask(client, TEXTS[:2])
                return found.status_code, found.headers.get("retry-after", "")

            with ThreadPoolExecutor(40) as threads:
                found = list(threads.map(one, range(80)))
            refused = [after for status, after in found if status == 429]
            assert {status for status, _ in found} == {200, 429}
            assert refused
            assert all(1 <= int(after) <= 60 for after in refused)
            assert one(0)[0] == 200
            assert service.batcher.waiting == 0
        finally:
            client.close()
            running.stop()
            service.close()

    @pytest.mark.parametrize(
        ("limits", "why"),
        [
            (ServiceLimits(preparing=0), "0 requests are being read, and no more are at once. Try again later"),
            (
                ServiceLimits(waiting=0),
                "0 tokens are waiting, and with this request it would be more than 0. Try again later",
            ),
        ],
    )
    def test_the_reason_is_the_limit_that_was_met(self, texts: Embedder, limits: ServiceLimits, why: str) -> None:
        service = EmbeddingService([ServedModel("texts", texts, most_pixels=1)], limits)
        running = RunningService(service.app())
        try:
            found = httpx.post(
                f"{running.url}/v1/embeddings", json={"input": TEXTS[:1], "model": "texts"}, trust_env=False
            )
            assert (found.status_code, found.json()["error"]["message"]) == (429, why)
            assert int(found.headers["retry-after"]) >= 1
        finally:
            running.stop()
            service.close()

    def test_time_has_a_limit_and_what_nobody_waits_for_is_not_computed(
        self, texts: Embedder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow = ServedModel("texts", texts, most_pixels=1)
        computed: list[int] = []

        def slowly(modality: str, prompt: str | None, rows: Any) -> Any:
            time.sleep(0.3)
            computed.append(len(rows))
            return [np.zeros(32, np.float32) for _ in rows]

        monkeypatch.setattr(slow, "vectors", slowly)
        service = EmbeddingService([slow], ServiceLimits(seconds=0.2))
        service.batcher.round_tokens = 1
        running = RunningService(service.app())
        try:
            late = httpx.post(f"{running.url}/v1/embeddings", json={"input": TEXTS}, timeout=30, trust_env=False)
            assert late.status_code == 503
            assert "retry-after" in late.headers
            with contextlib.suppress(httpx.ReadTimeout):
                httpx.post(f"{running.url}/v1/embeddings", json={"input": TEXTS}, timeout=0.05, trust_env=False)
            time.sleep(1.0)
            assert sum(computed) <= 4  # of twelve
            assert service.batcher.waiting == 0
        finally:
            running.stop()
            service.close()


class TestSlowClients:
    def closed_after(self, port: int, pieces: list[bytes], pause: float) -> tuple[float, bytes]:
        """Seconds until the server closes the connection, and what it said."""
        began, said = time.monotonic(), b""
        with socket.create_connection(("127.0.0.1", port), timeout=15) as talk, contextlib.suppress(OSError):
            for piece in pieces:
                talk.sendall(piece)
                time.sleep(pause)
            while data := talk.recv(65_536):
                said += data
        return time.monotonic() - began, said

    def test_a_head_that_never_comes(self, running: RunningService, client: httpx.Client) -> None:
        seconds, said = self.closed_after(running.port, [], 0)
        assert seconds < 5
        assert said == b""
        dripped, _ = self.closed_after(running.port, [b"POST /v1/embeddings HTTP/1.1\r\n", *[b"X: y\r\n"] * 40], 0.1)
        assert dripped < 5

    def test_a_body_that_never_comes(self, texts: Embedder) -> None:
        service = EmbeddingService([ServedModel("texts", texts, most_pixels=1)], ServiceLimits(body_seconds=0.3))
        running = RunningService(service.app())
        head = (
            b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
        )
        try:
            seconds, said = self.closed_after(running.port, [head], 0)
            assert seconds < 5
            assert b" 408 " in said
            dripped, _ = self.closed_after(running.port, [head, *[b" "] * 30], 0.1)
            assert dripped < 5
        finally:
            running.stop()
            service.close()


class TestKeys:
    @pytest.mark.parametrize("keys", ["a-long-secret-key", [""], [" "], ["a-long-secret-key", ""], ["key "]])
    def test_that_would_let_in_everybody_are_refused(self, places: Path, keys: Any) -> None:
        """A text was taken for a key a letter; an empty key is what a variable holds that is not set."""
        with pytest.raises(OptionError, match="`keys` "):
            ct.service(places / "texts", keys=keys)

    def test_let_in_who_has_one(self, places: Path) -> None:
        app = ct.service(places / "texts", keys=["first-" * 4, "second-" * 4])
        transport = httpx.ASGITransport(app=app)

        async def status(path: str, **headers: str) -> int:
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return (await client.get(path, headers=headers)).status_code

        assert alone(status("/v1/models")) == 401
        assert alone(status("/metrics")) == 401
        assert alone(status("/health")) == 200
        assert alone(status("/v1/models", Authorization="Bearer wrong")) == 401
        assert alone(status("/v1/models", Authorization=f"Basic {'first-' * 4}")) == 401
        assert alone(status("/v1/models", Authorization="Bearer " + "second-" * 4)) == 200

    def test_are_read_from_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "keys"
        for content, says in (("", "holds no key"), ("short\n", "a key of 5 signs"), ("a b" * 9, "without spaces")):
            file.write_text(content)
            with pytest.raises(OptionError, match=says):
                read_keys(file)
        file.write_text("0123456789abcdef\n\nfedcba9876543210\n")
        assert read_keys(file) == ("0123456789abcdef", "fedcba9876543210")
        with pytest.raises(OptionError, match="cannot be read"):
            read_keys(tmp_path / "none")

    def test_without_one_only_this_machine(self) -> None:
        assert checked_host("localhost", "x", "y") == "127.0.0.1"
        assert served_host("0.0.0.0") == "0.0.0.0"
        with pytest.raises(OptionError, match="Others need a key: give a file of them with `api_key_file`"):
            checked_host("0.0.0.0", "vectors are served", "`api_key_file`")
        with pytest.raises(OptionError, match="not an address"):
            served_host("example.com")


def alone(question: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine gives, in a thread of its own: tests of pages leave a loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, question).result()


def test_an_application_of_ones_own_can_have_it(places: Path, texts: Embedder) -> None:
    outer = Starlette(routes=[Mount("/vectors", app=ct.service(texts))])

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=outer), base_url="http://here") as client:
            return await client.post("/vectors/v1/embeddings", json={"input": TEXTS})

    np.testing.assert_allclose(vectors(alone(post())), texts.embed(TEXTS), atol=1e-5)


def test_models_have_names(places: Path, tmp_path: Path) -> None:
    assert named_model("builtin:photos") == ("builtin:photos", "builtin:photos")
    assert named_model(f"mine={places / 'texts'}") == ("mine", str(places / "texts"))
    assert named_model(places / "texts") == ("texts", places / "texts")
    with pytest.raises(OptionError, match="give each a name"):
        service([str(places / "texts"), str(places / "texts")], ServeOptions())
    with pytest.raises(OptionError, match="names 2 vectors"):
        ct.service(places / "texts", pooling="cls,mean")
