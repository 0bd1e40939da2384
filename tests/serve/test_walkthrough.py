"""The server's promises under abuse: each control refuses what it must, and the server still answers afterwards."""

import contextlib
import io
import json
import struct
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import httpx
import pytest
from PIL import Image
from tests.serve.fake import KEY, FakeBackend, Running

from classtoken.errors import BadRecord, OptionError
from classtoken.page.document import Walkthrough
from classtoken.page.example import Experiments
from classtoken.serve.local import address_of, bound, checked_host, new_key
from classtoken.serve.pictures import checked_picture
from classtoken.serve.walkthrough import CSP, KEY_HEADER, ServerLimits

HEADERS = {KEY_HEADER: KEY}
PNG = {**HEADERS, "Content-Type": "image/png"}


@pytest.fixture(scope="module")
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture(scope="module")
def server(backend: FakeBackend) -> Iterator[Running]:
    running = Running(backend, ServerLimits(body_seconds=1.0, waiting=4))
    yield running
    running.stop()


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=20, trust_env=False) as client:
        yield client
        # Whatever the test did: the server still answers.
        assert client.get("/api/document", headers=HEADERS).status_code == 200


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 30), **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "teal").save(out, kind, **options)
    return out.getvalue()


def bomb(side: int) -> bytes:
    """A small PNG that claims side x side pixels, all of them black."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = b"\0" * ((side + 7) // 8 + 1)
    rows = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_the_page_and_its_parts_are_served_with_strict_headers(client: httpx.Client) -> None:
    for path in ("/", "/static/app.js", "/static/app.css"):
        found = client.get(path)
        assert found.status_code == 200
        assert found.headers["content-security-policy"] == CSP
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in found.headers["content-security-policy"]
        assert "unsafe" not in found.headers["content-security-policy"]
        assert "set-cookie" not in found.headers
        assert not [name for name in found.headers if name.startswith("access-control")]
    index = client.get("/").text
    assert 'data-shell="served"' in index
    assert "<script>" not in index
    assert "<style" not in index
    assert KEY not in index


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9", 200),
        ("localhost", 200),
        ("[::1]:80", 200),
        ("evil.com", 400),
        ("127.0.0.1.evil.com", 400),
        ("", 400),
    ],
)
def test_only_loopback_names_are_answered(client: httpx.Client, host: str, status: int) -> None:
    assert client.get("/api/document", headers={**HEADERS, "Host": host}).status_code == status


def test_the_key_is_needed_everywhere(client: httpx.Client) -> None:
    for headers in ({}, {KEY_HEADER: "wrong"}, {KEY_HEADER: ""}, {"Cookie": f"key={KEY}"}):
        assert client.get("/api/document", headers=headers).status_code == 403
        assert client.get(f"/api/document?key={KEY}", headers=headers).status_code == 403
        assert client.post("/api/input", content=picture(), headers=headers).status_code == 403
        assert client.get("/api/attention/x/0/0", headers=headers).status_code == 403
        assert client.get("/api/experiments/x", headers=headers).status_code == 403
        assert client.get("/api/pair/x/y", headers=headers).status_code == 403
        assert client.post("/api/whatif", content=b"{}", headers=headers).status_code == 403


def test_a_report_on_two_inputs_is_opened_at_an_address_that_nobody_can_guess(client: httpx.Client) -> None:
    address = client.get("/api/pair/cat/dog", headers=HEADERS).json()["address"]
    assert len(address.removeprefix("/report/")) >= 32
    opened = client.get(address)  # as a browser opens it: without the key
    assert opened.status_code == 200
    assert "<h1>cat and dog</h1>" in opened.text
    policy = opened.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert opened.headers["cache-control"] == "no-store"
    assert client.get("/report/another").status_code == 404
    assert client.get("/api/pair/cat/nobody", headers=HEADERS).status_code == 422
    for _ in range(4):  # only the last few are held
        client.get("/api/pair/cat/bird", headers=HEADERS)
    assert client.get(address).status_code == 404


@pytest.mark.parametrize("site", ["cross-site", "same-site", "strange"])
def test_other_sites_are_refused(client: httpx.Client, site: str) -> None:
    assert client.post("/api/input", content=picture(), headers={**PNG, "Sec-Fetch-Site": site}).status_code == 403


@pytest.mark.parametrize("origin", ["null", "https://evil.com", "http://127.0.0.1:1", "http://localhost.evil.com"])
def test_other_origins_are_refused(client: httpx.Client, origin: str) -> None:
    assert client.post("/api/input", content=picture(), headers={**PNG, "Origin": origin}).status_code == 403


def test_its_own_page_is_let_in(client: httpx.Client) -> None:
    own = {**PNG, "Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/input", content=picture(), headers=own).status_code == 200


def test_a_body_that_is_too_large_is_refused_declared_or_streamed(client: httpx.Client) -> None:
    refused = client.post("/api/input", content=b"0" * 9_000_000, headers=PNG)
    assert refused.status_code == 413
    assert refused.json()["error"] == ("the picture is larger than 8 MB, the most that is read here; save it smaller")

    def stream() -> Iterator[bytes]:
        for _ in range(90):
            yield b"0" * 100_000

    # The server may answer and close before all was sent.
    with contextlib.suppress(httpx.WriteError):
        assert client.post("/api/input", content=stream(), headers=PNG).status_code == 413


def test_a_slow_body_is_given_up(client: httpx.Client) -> None:
    def drip() -> Iterator[bytes]:
        for _ in range(30):
            yield b"0"
            time.sleep(0.1)

    start = time.monotonic()
    with contextlib.suppress(httpx.WriteError, httpx.RemoteProtocolError):
        assert client.post("/api/input", content=drip(), headers=PNG).status_code == 408
    assert time.monotonic() - start < 8


@pytest.mark.parametrize(
    "kind", ["image/svg+xml", "image/gif", "application/pdf", "multipart/form-data; boundary=x", "", "text/plain"]
)
def test_only_three_kinds_of_picture_are_read(client: httpx.Client, kind: str) -> None:
    assert client.post("/api/input", content=picture(), headers={**HEADERS, "Content-Type": kind}).status_code == 415


@pytest.mark.parametrize(
    "content",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"GIF89a" + b"0" * 50,
        b"%PDF-1.4",
        b"",
        b"\x89PNG\r\n\x1a\n",
        picture("GIF"),
        picture("TIFF"),
        picture("BMP"),
        picture()[:60],
    ],
)
def test_the_content_decides_not_its_name(client: httpx.Client, backend: FakeBackend, content: bytes) -> None:
    before = len(backend.seen)
    assert client.post("/api/input", content=content, headers=PNG).status_code == 422
    assert len(backend.seen) == before


def test_a_pixel_bomb_is_refused_before_it_is_decoded(client: httpx.Client) -> None:
    content = bomb(30_000)
    assert len(content) < 200_000
    start = time.monotonic()
    answer = client.post("/api/input", content=content, headers=PNG)
    assert answer.status_code == 422
    assert "pixels" in answer.json()["error"]
    assert time.monotonic() - start < 5


def test_metadata_does_not_survive_and_orientation_does() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    exif[0x010E] = "a secret place"
    fresh = Image.open(io.BytesIO(checked_picture(picture("JPEG", exif=exif), 20_000_000)))
    assert fresh.size == (30, 40)
    assert fresh.mode == "RGB"
    assert not fresh.getexif()
    assert b"secret" not in checked_picture(picture("JPEG", exif=exif), 20_000_000)
    with pytest.raises(BadRecord, match="more than the 100 allowed"):
        checked_picture(picture(), 100)


def test_fifty_uploads_at_once_are_queued_or_refused(
    client: httpx.Client, server: Running, backend: FakeBackend
) -> None:
    backend.pause, backend.most = 0.03, 0

    def upload(_: int) -> int:
        return httpx.post(
            f"{server.url}/api/input", content=picture(), headers=PNG, timeout=30, trust_env=False
        ).status_code

    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(upload, range(50)))
    backend.pause = 0.0
    assert set(found) <= {200, 503}
    assert found.count(200) >= 1
    assert backend.most == 1


def test_errors_are_sentences_and_give_no_secrets(client: httpx.Client) -> None:
    headers = {**HEADERS, "Content-Type": "application/json"}
    for content, status in [(b"{", 400), (b"[]", 400), (b'{"example": 3}', 400), (b"[" * 5000, 400)]:
        assert client.post("/api/whatif", content=content, headers=headers).status_code == status
    answer = client.post("/api/whatif", content=json.dumps({"example": "boom"}), headers=headers)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert client.post("/api/whatif", content=b"{}", headers=HEADERS).status_code == 415
    assert client.get("/api/attention/x/7/0", headers=HEADERS).json()["error"] == "there is no layer 7"
    assert client.get("/api/attention/x/1/0", headers=HEADERS).json()["shape"] == [3, 3]
    assert client.get("/../../etc/passwd").status_code == 404
    assert client.get("/api/input", headers=HEADERS).status_code == 404
    assert client.get("/nothing").headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", "8.8.8.8", ""])
def test_it_listens_to_this_machine_only(host: str) -> None:
    with pytest.raises(OptionError, match=r"127\.0\.0\.1"):
        checked_host(host)


def test_loopback_names_and_keys() -> None:
    assert checked_host("localhost") == "127.0.0.1"
    assert checked_host("::1") == "::1"
    keys = {new_key() for _ in range(50)}
    assert len(keys) == 50
    assert min(map(len, keys)) >= 40
    with bound("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        assert address_of(sock, "k") == f"http://127.0.0.1:{port}/#key=k"
        sock.listen()
        with pytest.raises(OptionError, match="`port`"):
            bound("127.0.0.1", port)


def test_another_model_is_opened_when_it_is_asked_for_and_then_kept() -> None:
    opened: list[str] = []

    def other() -> tuple[Walkthrough, FakeBackend]:
        opened.append("second")
        second = FakeBackend("second")
        return second.page, second

    running = Running(first := FakeBackend(), ServerLimits(), others={"second": other, "fixture": other})
    try:
        with httpx.Client(base_url=running.url, timeout=20, trust_env=False, headers=HEADERS) as client:
            assert client.get("/api/models").json() == ["fixture", "second"]
            assert client.get("/api/document").json()["model"]["name"] == "fixture"
            assert opened == []
            for _ in range(2):
                found = client.get("/api/document", params={"model": "second"}).json()
                assert found["model"]["name"] == "second"
            assert opened == ["second"]
            sent = client.post("/api/input", params={"model": "second"}, content=picture(), headers=PNG)
            assert sent.status_code == 200
            assert first.seen == []  # it went to the other model
            missing = client.get("/api/document", params={"model": "third"})
            assert missing.status_code == 404
            assert missing.json()["error"] == "there is no model 'third' here; there are fixture, second"
    finally:
        running.stop()


def test_what_takes_long_holds_up_nothing_else() -> None:
    ready = Event()

    class Long(FakeBackend):
        def experiments(self, example: str) -> Experiments:
            ready.wait(60)
            return super().experiments(example)

    def other() -> tuple[Walkthrough, FakeBackend]:
        ready.wait(60)
        second = FakeBackend("second")
        return second.page, second

    limits = ServerLimits(analysis_seconds=2.0, waiting=2)
    running = Running(Long(), limits, others={"second": other})
    change = json.dumps({"example": "cat", "removed": [3]})

    def get(path: str) -> int:
        return httpx.get(f"{running.url}{path}", headers=HEADERS, timeout=60, trust_env=False).status_code

    try:
        with ThreadPoolExecutor(2) as pool:
            long = [pool.submit(get, path) for path in ("/api/experiments/cat", "/api/document?model=second")]
            time.sleep(2.5)  # longer than an analysis may take
            with httpx.Client(base_url=running.url, timeout=20, trust_env=False, headers=HEADERS) as client:
                headers = {**HEADERS, "Content-Type": "application/json"}
                assert client.post("/api/whatif", content=change, headers=headers).status_code == 200
            ready.set()
            assert [each.result() for each in long] == [200, 200]
    finally:
        ready.set()
        running.stop()
