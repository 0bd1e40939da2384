"""An S3 server on this machine that fails as real ones do."""

import random
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

#: Seconds that a client waits for an answer.
PATIENCE = 1.2


class Faulty:
    """An application whose answers are sometimes lost, late or wrong; what is asked may have been done all the same."""

    def __init__(self, inner: Callable[..., Iterable[bytes]], seed: int):
        self.inner, self.chance = inner, random.Random(seed)
        self.share, self.faults, self.most = 0.0, 0, 0
        self.denied: Callable[[str, str], bool] = lambda method, path: False
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            if self.denied(environ["REQUEST_METHOD"], environ["PATH_INFO"]):
                said = b"<Code>AccessDenied</Code><Message>Access Denied</Message>"
                return self._said(environ, start, "403 Forbidden", said)
            fault = self.chance.random() < self.share and self.faults < self.most
            kind = self.chance.choice(["503", "done, then 500", "late"]) if fault else ""
            self.faults += fault
        if kind == "503":
            return self._said(environ, start, "503 Slow Down", b"<Code>SlowDown</Code><Message>slow down</Message>")
        if kind == "late":
            time.sleep(PATIENCE * 1.25)
        if kind == "done, then 500":
            list(self.inner(environ, lambda *_: None))
            said = b"<Code>InternalError</Code><Message>done, in truth</Message>"
            return self._said(environ, start, "500 Internal Server Error", said)
        return self.inner(environ, start)

    def _said(self, environ: dict[str, Any], start: Callable[..., Any], status: str, inside: bytes) -> Iterable[bytes]:
        """An answer as S3 gives it: its length is said, and to HEAD it has no body, which a client would take for the
        beginning of the next answer."""
        body = b"<Error>" + inside + b"</Error>"
        start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


@contextmanager
def s3_server(monkeypatch: pytest.MonkeyPatch, seed: int = 0) -> Iterator[Faulty]:
    """A server with a bucket `bucket`, which `s3://` leads to meanwhile."""
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    import fsspec
    from fsspec.config import conf
    from moto.server import DomainDispatcherApplication, create_backend_app
    from s3fs import S3FileSystem
    from werkzeug.serving import make_server

    app = Faulty(DomainDispatcherApplication(create_backend_app), seed)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    settings = {"read_timeout": PATIENCE, "retries": {"max_attempts": 0}}  # so that it is we who ask again
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setitem(conf, "s3", {"endpoint_url": endpoint, "config_kwargs": settings})
    monkeypatch.setattr(S3FileSystem, "retries", 1)
    monkeypatch.setattr("classtoken.places.PAUSE", 0.01)
    monkeypatch.setattr("classtoken.places.ATTEMPTS", 8)
    S3FileSystem.clear_instance_cache()
    urllib.request.urlopen(f"{endpoint}/moto-api/reset", data=b"").close()  # what is stored is one process's
    try:
        fsspec.filesystem("s3").mkdir("bucket")
        yield app
    finally:
        S3FileSystem.clear_instance_cache()
        server.shutdown()
        thread.join()
