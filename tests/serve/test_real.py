"""Everything that the server must refuse, against a real model: and then it still walks through a picture rightly."""

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from tests.serve.fake import KEY, Running
from tests.serve.test_walkthrough import bomb, picture

from classtoken.page.blocks import from_block
from classtoken.serve.walkthrough import KEY_HEADER, ServerLimits
from classtoken.walk.engine import Engine

HEADERS = {KEY_HEADER: KEY}
PNG = {**HEADERS, "Content-Type": "image/png"}


@pytest.mark.slow
def test_abuse_one_after_another_and_it_still_answers() -> None:
    engine = Engine("builtin:toy")
    running = Running(engine, ServerLimits(body_seconds=1.0), engine.document(full=False))
    try:
        with httpx.Client(base_url=running.url, timeout=60, trust_env=False) as client:
            before = client.post("/api/input", content=picture(), headers=PNG).json()

            def send(content: bytes | Iterator[bytes], **headers: str) -> int:
                with client.stream("POST", "/api/input", content=content, headers={**PNG, **headers}) as answer:
                    return answer.status_code  # a refusal's body may be lost: the server closes while we still send

            def drip() -> Iterator[bytes]:
                for _ in range(30):
                    yield b"0"
                    time.sleep(0.1)

            assert send(picture(), Host="evil.com") == 400
            assert send(picture(), **{"Sec-Fetch-Site": "cross-site"}) == 403
            assert send(picture(), Origin="null") == 403
            assert send(picture(), **{KEY_HEADER: ""}) == 403
            assert send(b"0" * 9_000_000) == 413
            assert send(bomb(30_000)) == 422
            assert send(b"<svg xmlns='http://www.w3.org/2000/svg'/>") == 422
            assert send(b"<svg/>", **{"Content-Type": "image/svg+xml"}) == 415
            with contextlib.suppress(httpx.WriteError, httpx.RemoteProtocolError):
                assert send(drip()) == 408

            def upload(_: int) -> int:
                return httpx.post(
                    f"{running.url}/api/input", content=picture(), headers=PNG, timeout=120, trust_env=False
                ).status_code

            with ThreadPoolExecutor(50) as pool:
                found = list(pool.map(upload, range(50)))
            assert set(found) <= {200, 503}
            assert found.count(200) >= 8  # those that may wait
            assert sum(each.startswith("yours-") for each in engine.walked) <= 8  # and no more are kept

            after = client.post("/api/input", content=picture(), headers=PNG).json()
            for name in ("values", "logits"):
                np.testing.assert_array_equal(from_block(after["answers"][name]), from_block(before["answers"][name]))
            assert client.get(f"/api/attention/{after['id']}/1/1", headers=HEADERS).json()["shape"] == [10, 10]
            found = client.get(f"/api/experiments/{after['id']}", headers=HEADERS).json()
            assert len(found["removals"]["tokens"]) == 9
            assert client.get("/api/experiments/nobody", headers=HEADERS).status_code == 422
    finally:
        running.stop()
